"""What the command line asks for, as plain values that the rest of the program is handed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

RigName = Literal["auto", "host", "guest", "bench"]
ClockName = Literal["wall", "virtual"]

RIGS: tuple[RigName, ...] = ("auto", "host", "guest", "bench")
CLOCKS: tuple[ClockName, ...] = ("wall", "virtual")


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One `mpa-hil run`.

    Attributes:
        lab: the lab file.
        schemes: names in the order asked for; empty: those that the lab file names.
        repeat: how often each scheme is run, at least once.
        rig: where; ``auto`` takes the host where it can carry the lab, else the guest.
        clock: None: virtual where the rig has it, else wall.
        seed: None: the lab file's.
        out: the run's folder; made by the run.
        json: print ``summary.json`` on standard output instead of the table.
        overrides: ``key.path=value`` settings laid over the lab file.
    """

    lab: Path
    schemes: tuple[str, ...]
    repeat: int
    rig: RigName
    clock: ClockName | None
    seed: int | None
    out: Path
    json: bool
    overrides: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """One `mpa-hil compare`: the fields mean what they mean in `RunRequest`.

    Attributes:
        columns: names of the columns wanted; empty: all.
        repeat: runs of each column; None: as the lab file says.
    """

    lab: Path
    columns: tuple[str, ...]
    repeat: int | None
    rig: RigName
    clock: ClockName | None
    seed: int | None
    out: Path
    json: bool
    overrides: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LabRequest:
    """One `mpa-hil lab up`: the fields mean what they mean in `RunRequest`."""

    lab: Path
    rig: RigName
    clock: ClockName | None
    overrides: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WalksRequest:
    """One `mpa-hil walks`: the fields mean what they mean in `RunRequest`.

    Attributes:
        seeds: the walks of seeds 1 up to this one.
        policies: names in the order asked for.
        boot: walks on one boot of the guest.
        most: walks to take now; None: all that are missing.
        rehearse: nothing is run, the policies decide on the model of the air.
        out: folder of the walks; what it has is not measured again. None: one is made, and a
            rehearsal writes nothing.
    """

    lab: Path
    seeds: int
    policies: tuple[str, ...]
    boot: int
    most: int | None
    rehearse: bool
    rig: RigName
    clock: ClockName | None
    out: Path | None
    json: bool
    overrides: tuple[str, ...]
