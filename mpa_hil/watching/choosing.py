"""Which of a folder's runs is shown, and what there is to know of its lab."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mpa_hil.errors import LocalError

ASIDE = frozenset({"null", "control"})
"""Kinds of runs that vouch for the others."""


class Run(NamedTuple):
    """One run of a log; an empty scheme and no repeat: all that the log has.

    Attributes:
        decided: a policy moved the node.
    """

    scheme: str = ""
    repeat: int | None = None
    decided: bool = False


def choose(path: Path, scheme: str, repeat: int) -> Run:
    """The run that is meant: of `scheme`; without one that of a policy, of MPA, or the last.

    Raises:
        LocalError: there is no such run; the log cannot be read.
        ValueError: it is no event log.
    """
    repeats: dict[str, set[int]] = {}
    decided = set()
    for told in lines(path):
        of = str(told.get("scheme", ""))
        if told.get("type") == "run.started" and told.get("kind") not in ASIDE:
            number = told.get("repeat", 0)
            repeats.setdefault(of, set()).add(number if isinstance(number, int) else 0)
        elif told.get("type") == "policy.opened":
            decided.add(of)
    if not repeats:
        return Run(scheme, repeat, scheme in decided or bool(decided and not scheme))
    preferred = (*decided, "mpa", list(repeats)[-1])
    chosen = scheme or next(name for name in preferred if name in repeats)
    if repeat not in repeats.get(chosen, ()):
        runs = ", ".join(f"{name} {sorted(those)}" for name, those in repeats.items())
        raise LocalError(
            f"no run of {chosen} with number {repeat}; it has {runs}",
            where=str(path),
            remedy="give --scheme and --repeat of one of these",
        )
    return Run(chosen, repeat, chosen in decided)


def lines(path: Path) -> Iterator[dict[str, object]]:
    """The log's events.

    Raises:
        LocalError: it cannot be read.
        ValueError: a line is no JSON object.
    """
    try:
        with path.open("rb") as stream:
            for line in stream:
                told = json.loads(line)
                if not isinstance(told, dict):
                    raise ValueError("a line that is no object")
                yield told
    except OSError as error:
        raise LocalError(f"cannot read it: {error.strerror}", where=str(path)) from error


def of_run(path: Path, run: Run) -> Iterator[dict[str, object]]:
    """What the mobile node's programs say in this run.

    Raises:
        LocalError: it cannot be read.
        ValueError: a line is no JSON object.
    """
    aside = False
    for told in lines(path):
        if told.get("type") == "run.started":
            aside = told.get("kind") in ASIDE
        mine = told.get("host") == "mn" and run.scheme in ("", told.get("scheme", ""))
        if mine and not aside and run.repeat in (None, told.get("repeat", 0)):
            yield told


def known(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Realms of the lab's access points by name, and their names by BSSID; empty without a lab."""
    from mpa_hil import scenario

    try:
        described = scenario.load(folder / "lab.toml")
    except LocalError:
        return {}, {}
    points = [(domain, point) for domain in described.domains for point in domain.aps]
    realms = {point.name: domain.realm for domain, point in points}
    return realms, {str(point.bssid).lower(): point.name for _, point in points}
