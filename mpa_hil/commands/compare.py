"""``mpa-hil compare``: what a lab file's ``[compare]`` table puts side by side."""

from __future__ import annotations

from pathlib import Path

import click

from ..request import ClockName, CompareRequest, RigName
from .options import default_out, lab_argument, measuring_options


@click.command()
@lab_argument
@click.option("--column", "columns", multiple=True, help="Column to measure; repeatable.")
@click.option("--repeat", type=click.IntRange(min=1), help="Runs of each column.")
@measuring_options
def compare(
    lab: Path,
    columns: tuple[str, ...],
    repeat: int | None,
    rig: RigName,
    clock: ClockName | None,
    seed: int | None,
    out: Path | None,
    as_json: bool,
    overrides: tuple[str, ...],
) -> int:
    """Measure the columns of the lab file LAB and print them side by side."""
    request = CompareRequest(
        lab=lab,
        columns=columns,
        repeat=repeat,
        rig=rig,
        clock=clock,
        seed=seed,
        out=out or default_out(lab),
        json=as_json,
        overrides=overrides,
    )
    from ..comparing import compare as launch

    return launch(request)
