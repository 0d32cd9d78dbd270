"""Benchmarks: figures, not verdicts."""
