"""Runs in which something went wrong on purpose: how they are stored, and their table. Pure.

As with `mpa_hil.report.summary`: keys are a contract.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from mpa_hil.report.grids import Grid
    from mpa_hil.report.summary import Summary


class FaultSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One run with a fault."""

    fault: str
    """Its name in the lab file."""
    scheme: str
    number: int
    """Which run of the experiment, from 1."""
    what: str = ""
    at: str = ""
    target: str | None = None
    end: str = "any"
    """Where the MN had to be."""
    ended: str = ""
    """Where it was: moved, stayed, or nothing of these."""
    injected: int = 0
    outcome: str = ""
    """What the MN itself says: moved, stayed, lost, reactive."""
    cause: str = ""
    network: str = ""
    care_of: str = ""
    gap_ms: dict[str, float] = {}
    """By direction, the largest hole of the whole run, of the gap flow."""
    lost: dict[str, int] = {}
    duplicated: dict[str, int] = {}
    reordered: dict[str, int] = {}
    """By direction, of all flows."""
    limit_ms: float | None = None
    """What the gap may be: 1.10 times the reactive one of the same experiment."""
    left: tuple[str, ...] = ()
    clean_s: float = 0.0
    problems: tuple[str, ...] = ()
    """What should not be; empty: it ended as it must."""


def faults_grid(summary: Summary) -> Grid:
    """Each fault with where it ended and what it cost."""
    from mpa_hil.report.grids import Grid, ms

    grid = Grid(
        "Faults: where the node was at the end, and the largest hole in the stream, ms",
        ("fault", "scheme", "ended", "gap down", "up", "lost", "verdict"),
        labels=3,
        wrap=True,
    )
    for run in summary.faults:
        grid.add(
            run.fault,
            run.scheme,
            run.ended or "?",
            *(ms(run.gap_ms.get(direction)) for direction in ("downlink", "uplink")),
            str(sum(run.lost.values())),
            "ok" if not run.problems else f"FAILED: {run.problems[0]}",
        )
    return grid
