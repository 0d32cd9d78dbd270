"""Runs in which a policy decided: how they are stored, and their table. Pure.

As with `mpa_hil.report.summary`: keys are a contract.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from mpa_hil.report.grids import Grid
    from mpa_hil.report.summary import Summary


class PolicyMove(msgspec.Struct, frozen=True, kw_only=True):
    """One switch that the policy wanted."""

    old: str = ""
    new: str = ""
    t_s: float = 0.0
    """Since the policy began."""
    rule: str = ""
    """That fired."""
    level: int | None = None
    """What was ready (RFC 6252 C.4)."""
    gap_ms: dict[str, float] = {}
    """By direction, of the gap flow."""


class PolicySummary(msgspec.Struct, frozen=True, kw_only=True):
    """One run that a policy decided in."""

    scheme: str
    number: int
    """Which run of the experiment, from 1."""
    policy: str = ""
    network: str = ""
    """Where the MN was at the end."""
    linked: bool = False
    """And it was on it."""
    switches: int = 0
    ping_pongs: int = 0
    """Switches back to an access point left less than a minute before."""
    returns: int = 0
    """Switches to a network whose context was kept."""
    failed: int = 0
    """Switches that did not end at their target."""
    full_authentications: int = 0
    """EAP runs after a switch."""
    authentications: int = 0
    """EAP runs ahead."""
    addresses: int = 0
    tunnels: int = 0
    wasted_authentications: int = 0
    """Prepared, and not used."""
    wasted_addresses: int = 0
    wasted_tunnels: int = 0
    wasted_octets: int = 0
    """Of signalling; a rehearsal's are estimated."""
    holes_ms: float = 0.0
    """Off the channel for scans."""
    gap_ms: dict[str, float] = {}
    """By direction, the largest hole of the whole run, of the gap flow."""
    lost: dict[str, int] = {}
    duplicated: dict[str, int] = {}
    reordered: dict[str, int] = {}
    """By direction, of all flows."""
    available_s: float | None = None
    """From the policy's beginning until the access point that the MN was on is out of range (RFC
    6252 C.6's D / v); None: it never is."""
    begun_s: float | None = None
    """And until anything was prepared."""
    lead_s: dict[str, float] = {}
    """What each part of a preparation took, the median: as in a policy's input `measured`."""
    moves: tuple[PolicyMove, ...] = ()
    problems: tuple[str, ...] = ()
    """What should not be."""


def policies_grid(summary: Summary) -> Grid:
    """Each run with what it cost."""
    from mpa_hil.report.grids import Grid, ms

    grid = Grid(
        "A policy decides: switches, what they cost, and what was prepared for nothing",
        (
            "policy",
            "ended",
            "switches",
            "back",
            "failed",
            "EAP",
            "lost",
            "gap down",
            "up",
            "at a switch",
            "wasted",
            "verdict",
        ),
        labels=2,
        wrap=True,
    )
    for run in summary.policy:
        wasted = (run.wasted_authentications, run.wasted_addresses, run.wasted_tunnels)
        at_switch = [gap for move in run.moves for gap in move.gap_ms.values()]
        grid.add(
            run.policy or run.scheme,
            run.network if run.linked else "nowhere",
            str(run.switches),
            str(run.ping_pongs),
            str(run.failed),
            str(run.full_authentications),
            str(sum(run.lost.values())),
            *(ms(run.gap_ms.get(direction)) for direction in ("downlink", "uplink")),
            ms(max(at_switch, default=None)),
            "/".join(map(str, wasted)) + f", {run.wasted_octets} B",
            "ok" if not run.problems else f"FAILED: {run.problems[0]}",
        )
    return grid
