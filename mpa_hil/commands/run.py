"""``mpa-hil run``: schemes times repeats on a lab, measured."""

from __future__ import annotations

from pathlib import Path

import click

from ..request import ClockName, RigName, RunRequest
from .options import default_out, lab_argument, measuring_options


@click.command()
@lab_argument
@click.option("--scheme", "schemes", multiple=True, help="Scheme to run; repeatable.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, help="Runs of each scheme.")
@measuring_options
def run(
    lab: Path,
    schemes: tuple[str, ...],
    repeat: int,
    rig: RigName,
    clock: ClockName | None,
    seed: int | None,
    out: Path | None,
    as_json: bool,
    overrides: tuple[str, ...],
) -> int:
    """Run the handover that the lab file LAB describes and print what it cost."""
    request = RunRequest(
        lab=lab,
        schemes=schemes,
        repeat=repeat,
        rig=rig,
        clock=clock,
        seed=seed,
        out=out or default_out(lab),
        json=as_json,
        overrides=overrides,
    )
    from ..preflight import check_request

    check_request(request)

    from ..launch import run as launch

    return launch(request)
