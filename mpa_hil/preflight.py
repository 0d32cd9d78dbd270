"""What is checked before anything starts: the request, the run's folder, the space on disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from radios.errors import LocalError, MachineError

from . import scenario
from .experiment.plan import AHEAD
from .request import CompareRequest, RunRequest, WalksRequest
from .scenario.shape import suggestion

OUT_SPACE = 200 << 20
"""Octets that a run may leave behind: captures of every link are most of it."""

GUEST_SPACE = 500 << 20
"""Octets of temporary files: the same captures on their way out of the guest, twice."""

FreeSpace = Callable[[Path], int]


def free_space(folder: Path) -> int:
    """Octets that this user can still write there."""
    return shutil.disk_usage(folder).free


def check_request(request: RunRequest, free: FreeSpace = free_space) -> scenario.Scenario:
    """Everything about a run that can be told without starting it; the lab it is about.

    Raises:
        LocalError: the lab, a scheme or the folder's name is wrong.
        MachineError: the folder cannot be made or its disk is full.
    """
    described = scenario.load(request.lab, request.overrides)
    choose_schemes(described, request.schemes)
    if request.rig == "bench":
        scenario.check_bench(described, str(request.lab))
    check_clock(request)
    check_out(request.out, free)
    if request.rig == "guest":
        check_image_space(free)
    return described


def choose_schemes(described: scenario.Scenario, names: tuple[str, ...]) -> tuple[str, ...]:
    """The schemes to run: those asked for, else the lab's own; each once.

    Raises:
        LocalError: an unknown scheme, or one that this lab has no networks for.
    """
    for name in names:
        if name not in scenario.SCHEMES:
            raise LocalError(
                "unknown scheme",
                where=f"--scheme {name}",
                remedy=suggestion(name, scenario.SCHEMES),
            )
    chosen = tuple(dict.fromkeys(names or described.lab.schemes))
    above = [name for name in chosen if name != "l2-floor"]
    if above and scenario.is_floor(described):
        raise LocalError(
            "this lab has no second domain to move to",
            where=f"--scheme {above[0]}",
            remedy="run l2-floor on it, or take lab_configs/two_domains.toml",
        )
    for name in chosen:
        _check_way(described, name)
    return chosen


def _check_way(described: scenario.Scenario, scheme: str) -> None:
    """Refuse a scheme that cannot work between the two access points of the lab's movement.

    Raises:
        LocalError: says why not.
    """
    move = scenario.switch(described)
    if move is None or scheme not in ("rsn-preauth", *AHEAD):
        return
    old, new = described.domain_of(move.old), described.domain_of(move.new)
    if scheme == "rsn-preauth" and old != new:
        raise LocalError(
            f"802.11i pre-authentication does not reach from {old.name} into {new.name}: its "
            "frames stay in one distribution system",
            where=f"--scheme {scheme}",
            remedy="move between two access points of one domain, or take mpa-level1",
        )
    if described.ap(move.new).security != "wpa2-enterprise":
        raise LocalError(
            f"there is nothing to authenticate ahead at {move.new}: it has a pre-shared key",
            where=f"--scheme {scheme}",
            remedy=f'give {move.new} security = "wpa2-enterprise"',
        )


def check_clock(request: RunRequest | CompareRequest | WalksRequest) -> None:
    """Only a guest can have a clock that is not the real one.

    Raises:
        LocalError: a virtual clock was asked for elsewhere.
    """
    if request.clock == "virtual" and request.rig in ("host", "bench"):
        raise LocalError(
            "only the guest has a virtual clock",
            where=f"--rig {request.rig} --clock virtual",
            remedy="use --rig guest, or --clock wall",
        )


def check_out(out: Path, free: FreeSpace = free_space, *, holds: str = "summary.json") -> None:
    """Refuse a folder that a run could not be written to. Makes nothing.

    Raises:
        LocalError: it is a file, or holds another run already.
        MachineError: it may not be written to, or its disk is full.
    """
    if out.exists() and not out.is_dir():
        raise LocalError("not a folder", where=f"--out {out}", remedy="name a folder to be made")
    if (out / holds).exists():
        raise LocalError(
            "holds a run already",
            where=f"--out {out}",
            remedy="name another folder, or leave --out away to have one made",
        )
    standing = _nearest_existing(out)
    if not standing.is_dir() or not os.access(standing, os.W_OK | os.X_OK):
        raise MachineError(
            f"may not write in {standing}",
            where=f"--out {out}",
            remedy="name a folder that you may write to with --out",
        )
    remedy = "name a folder on another disk with --out"
    check_space(standing, OUT_SPACE, "a run's results", remedy, free)


def check_image_space(free: FreeSpace = free_space) -> None:
    """Refuse a disk on which the guest image, not built yet, would not fit.

    Raises:
        MachineError: too little space in the cache.
    """
    from rigs.guest import image

    if image.find() is None:
        folder = _nearest_existing(image.cache_folder())
        remedy = "set MPA_HIL_CACHE to a folder on a larger disk"
        check_space(folder, image.SPACE_NEEDED, "building the guest image", remedy, free)


def check_guest_space(free: FreeSpace = free_space) -> None:
    """Refuse to boot a guest whose results would not fit where temporary files go.

    Raises:
        MachineError: too little space.
    """
    remedy = "set TMPDIR to a folder on a larger disk"
    check_space(Path(tempfile.gettempdir()), GUEST_SPACE, "a guest's results", remedy, free)


def check_space(
    folder: Path, needed: int, purpose: str, remedy: str, free: FreeSpace = free_space
) -> None:
    """Refuse to start what would fill the disk.

    Raises:
        MachineError: fewer octets than `needed` are free where the folder is.
    """
    there = free(folder)
    if there < needed:
        raise MachineError(
            f"{there >> 20} MiB free, {needed >> 20} MiB needed for {purpose}",
            where=str(folder),
            remedy=f"free some space, or {remedy}",
        )


def _nearest_existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
