"""``mpa-hil report``: a run's tables and its page once more, from its folder."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the JSON summary, not the tables.")
def report(folder: Path, as_json: bool) -> int:
    """Print the tables of the run in DIR, and make its report.html again."""
    from ..report.again import again

    return again(folder, as_json=as_json)
