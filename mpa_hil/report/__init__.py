"""What a run leaves behind for people and programs: statistics, tables, summary.json."""
