"""``mpa-hil walks``: the same walks with several policies, and what they came to."""

from __future__ import annotations

from pathlib import Path

import click

from ..request import ClockName, RigName, WalksRequest
from .options import lab_argument, rig_options, set_option

SHIPPED = ("default", "fixed", "naive")


@click.command()
@lab_argument
@click.option(
    "--seeds",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="How many walks: those of seeds 1, 2, 3 ...",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    default=SHIPPED,
    show_default=True,
    help="Policy to walk with; repeatable.",
)
@click.option("--rehearse", is_flag=True, help="Run nothing: decide on the model of the air.")
@click.option(
    "--boot",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    help="Walks on one boot of the guest: what an interruption can cost.",
)
@click.option(
    "--most", type=click.IntRange(min=0), help="Walks to take now; the others another time."
)
@rig_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for the walks; those that it has already are not measured again.",
)
@click.option("--json", "as_json", is_flag=True, help="Print walks.json, not the table.")
@set_option
def walks(
    lab: Path,
    seeds: int,
    policies: tuple[str, ...],
    rehearse: bool,
    boot: int,
    most: int | None,
    rig: RigName,
    clock: ClockName | None,
    out: Path | None,
    as_json: bool,
    overrides: tuple[str, ...],
) -> int:
    """Take each policy along the same walks of the lab file LAB, a seed each, and print loss, gaps,
    switches and what was prepared for nothing."""
    request = WalksRequest(
        lab=lab,
        seeds=seeds,
        policies=tuple(dict.fromkeys(policies)),
        boot=boot,
        most=most,
        rehearse=rehearse,
        rig=rig,
        clock=clock,
        out=out,
        json=as_json,
        overrides=overrides,
    )
    from ..walking import walk

    return walk(request)
