"""Which rig and which clock a lab gets, from what was asked for and what the machine can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from radios.errors import LocalError, MachineError

from .doctor import APT, HOST_PROGRAMS, HWSIM, Probes
from .request import ClockName, RigName

if TYPE_CHECKING:
    from rigs.guest.accelerator import Accelerator

ChosenRig = Literal["host", "guest", "bench"]

NO_HWSIM = "use --rig guest, or a kernel that has the module (Debian: linux-image-amd64)"


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a lab will stand, and by which clock.

    Attributes:
        accelerator: what runs the guest; None on the other rigs. Under the virtual clock the guest
            runs on TCG even where this is KVM (`rigs.guest.machine`).
        reason: why, for people: one clause.
    """

    rig: ChosenRig
    clock: ClockName
    accelerator: Accelerator | None
    reason: str


@dataclass(frozen=True, slots=True)
class _Obstacle:
    what: str
    remedy: str


def choose(rig: RigName, clock: ClockName | None, probes: Probes | None = None) -> Choice:
    """Settle ``auto`` and the default clock; refuse what this machine cannot do.

    Args:
        rig: ``auto`` takes the host where it can carry a lab, else the guest.
        clock: None: virtual in a guest that runs without KVM, else wall.
        probes: how to look at the machine; the real one by default.

    Raises:
        LocalError: a virtual clock on a rig that has none.
        MachineError: the rig cannot stand here, with the command that mends it.
    """
    if clock == "virtual" and rig in ("host", "bench"):
        raise LocalError(
            "only the guest has a virtual clock",
            where=f"--rig {rig} --clock virtual",
            remedy="use --rig guest, or --clock wall",
        )
    if rig == "bench":
        return Choice("bench", "wall", None, "asked for")
    if probes is None:
        from .probes import real

        probes = real()
    if rig == "guest":
        return _guest(clock, probes, "asked for")
    if rig == "auto" and clock == "virtual":
        return _guest(clock, probes, "only the guest has a virtual clock")
    obstacle = _host_obstacle(probes)
    if obstacle is None:
        return Choice("host", "wall", None, f"the caller is root and {HWSIM} is there")
    if rig == "host":
        raise MachineError(obstacle.what, where="--rig host", remedy=obstacle.remedy)
    return _guest(clock, probes, f"not the host: {obstacle.what}")


def _guest(clock: ClockName | None, probes: Probes, reason: str) -> Choice:
    try:
        name, why = probes.accelerator()
    except MachineError as error:
        if reason == "asked for":
            raise
        raise MachineError(f"{error.what}; {reason}", remedy=error.remedy) from error
    from rigs.guest.accelerator import Accelerator

    if name == "kvm":
        return Choice("guest", clock or "wall", Accelerator("kvm", why), reason)
    return Choice("guest", clock or "virtual", Accelerator("tcg", why), reason)


def _host_obstacle(probes: Probes) -> _Obstacle | None:
    """What keeps a lab from standing on this host itself."""
    if not probes.is_root():
        return _Obstacle("the caller is not root", "run mpa-hil with sudo, or use --rig guest")
    if why_not := probes.module_loadable(HWSIM):
        return _Obstacle(f"{HWSIM}: {why_not}", NO_HWSIM)
    missing = [program for program in HOST_PROGRAMS if not probes.which(program)]
    if missing:
        packages = " ".join(sorted({HOST_PROGRAMS[program] for program in missing}))
        return _Obstacle(f"programs missing: {', '.join(missing)}", f"{APT} {packages}")
    return None
