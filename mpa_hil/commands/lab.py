"""``mpa-hil lab``: a lab that stays up, to be explored."""

from __future__ import annotations

from pathlib import Path

import click

from ..request import ClockName, LabRequest, RigName
from .options import lab_argument, rig_options, set_option


@click.group()
def lab() -> None:
    """Bring a lab up, look around in its hosts, take it down."""


@lab.command()
@lab_argument
@rig_options
@set_option
def up(lab: Path, rig: RigName, clock: ClockName | None, overrides: tuple[str, ...]) -> int:
    """Build the lab that the file LAB describes and leave it running."""
    from .. import scenario

    described = scenario.load(lab, overrides)
    if rig == "bench":
        scenario.check_bench(described, str(lab))

    from .. import lab_session

    return lab_session.up(LabRequest(lab=lab, rig=rig, clock=clock, overrides=overrides))


@lab.command()
def down() -> int:
    """Take the lab down and remove everything of it."""
    from .. import lab_session

    return lab_session.down()


@lab.command()
def status() -> int:
    """Say whether a lab is up, and which hosts it has."""
    from .. import lab_session

    return lab_session.status()


@lab.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("host")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(host: str, command: tuple[str, ...]) -> int:
    """Run COMMAND in HOST of the running lab: lab exec mn -- ip address."""
    from .. import lab_session

    return lab_session.execute(host, command)
