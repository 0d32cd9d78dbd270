"""Options that several commands share."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..request import CLOCKS, RIGS

Command = TypeVar("Command", bound=Callable[..., Any])

lab_argument = click.argument("lab", type=click.Path(path_type=Path))


def rig_options(command: Command) -> Command:
    """``--rig`` and ``--clock``."""
    rig = click.option(
        "--rig",
        type=click.Choice(RIGS),
        default="auto",
        show_default=True,
        help="Where: this host's hwsim, a guest, or machines over SSH.",
    )
    clock = click.option(
        "--clock",
        type=click.Choice(CLOCKS),
        help="Real time, or the guest's counted instructions, which repeat.  "
        "[default: virtual where the guest runs without KVM, but wall for `lab up`]",
    )
    return rig(clock(command))


def set_option(command: Command) -> Command:
    """``--set``."""
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY.PATH=VALUE",
        help="Change one value of the lab file; repeatable.",
    )(command)


def measuring_options(command: Command) -> Command:
    """``--rig``, ``--clock``, ``--seed``, ``--out``, ``--json`` and ``--set``: of what measures."""
    seed = click.option(
        "--seed", type=click.IntRange(0, 2**32 - 1), help="Start of all random choices."
    )
    out = click.option("--out", type=click.Path(path_type=Path), help="Folder for the results.")
    as_json = click.option(
        "--json", "as_json", is_flag=True, help="Print the JSON summary, not the table."
    )
    return rig_options(seed(out(as_json(set_option(command)))))


def default_out(lab: Path) -> Path:
    """The folder of a run that was given none: ``runs/LAB-TIME``, one that does not exist."""
    base = Path("runs") / f"{lab.stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    out, number = base, 2
    while out.exists():
        out, number = base.with_name(f"{base.name}-{number}"), number + 1
    return out
