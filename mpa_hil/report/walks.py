"""Many walks, each with several policies: how they are stored, and their table. Pure.

As with `mpa_hil.report.summary`: keys are a contract. A rehearsed walk has neither `lost` nor gaps:
nothing was sent, so nothing was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from mpa_hil.report.policies import PolicySummary
from mpa_hil.report.statistics import median, percentile

if TYPE_CHECKING:
    from mpa_hil.policy.rehearsal import Tally
    from mpa_hil.report.grids import Grid


class Walked(msgspec.Struct, frozen=True, kw_only=True):
    """What one walk with one policy came to; one field is described where its summary has it."""

    seed: int
    policy: str
    rehearsed: bool = False
    """Worked out from the model of the air and from guessed lead times; nothing was run."""
    linked: bool = False
    """It ended on a network."""
    switches: int = 0
    ping_pongs: int = 0
    failed: int = 0
    full_authentications: int = 0
    levels: dict[str, int] = {}
    """Switches by what was ready (RFC 6252 C.4)."""
    wasted_authentications: int = 0
    wasted_addresses: int = 0
    wasted_tunnels: int = 0
    wasted_octets: int = 0
    lost: dict[str, int] | None = None
    """By direction, of all flows."""
    gap_ms: list[float] | None = None
    """One entry a switch: the larger of both directions."""
    hole_ms: float | None = None
    """The largest hole of the whole walk, scans included, in either direction."""
    problems: tuple[str, ...] = ()


def measured(seed: int, policy: str, found: PolicySummary) -> Walked:
    """Of a walk in the lab."""
    levels: dict[str, int] = {}
    for move in found.moves:
        level = "unknown" if move.level is None else str(move.level)
        levels[level] = levels.get(level, 0) + 1
    return Walked(
        seed=seed,
        policy=policy,
        linked=found.linked,
        switches=found.switches,
        ping_pongs=found.ping_pongs,
        failed=found.failed,
        full_authentications=found.full_authentications,
        levels=levels,
        wasted_authentications=found.wasted_authentications,
        wasted_addresses=found.wasted_addresses,
        wasted_tunnels=found.wasted_tunnels,
        wasted_octets=found.wasted_octets,
        lost=found.lost,
        gap_ms=[max(move.gap_ms.values()) for move in found.moves if move.gap_ms],
        hole_ms=max(found.gap_ms.values(), default=None),
        problems=found.problems,
    )


def rehearsed(
    seed: int, policy: str, tally: Tally, octets: Mapping[int, int], *, linked: bool
) -> Walked:
    """Of a walk that was only thought through.

    Args:
        octets: signalling of a step, by the level that it leads to.
    """
    unused = tally.unused
    return Walked(
        seed=seed,
        policy=policy,
        rehearsed=True,
        linked=linked,
        switches=tally.moves,
        ping_pongs=tally.ping_pongs,
        failed=tally.failed,
        full_authentications=tally.full_authentications,
        levels={str(level): count for level, count in sorted(tally.levels.items())},
        wasted_authentications=unused.get(1, 0),
        wasted_addresses=unused.get(2, 0),
        wasted_tunnels=unused.get(3, 0),
        wasted_octets=sum(octets[level] * count for level, count in unused.items()),
        problems=() if linked else ("the node is on no network",),
    )


class Figure(msgspec.Struct, frozen=True):
    """One figure of one policy over its walks (gaps: over their switches)."""

    count: int
    total: float
    mean: float
    minimum: float
    median: float
    p95: float
    maximum: float


class PolicyWalks(msgspec.Struct, frozen=True, kw_only=True):
    """One policy's walks."""

    policy: str
    walks: int
    connected: int
    """Of them, those that ended without a problem."""
    levels: dict[str, int]
    figures: dict[str, Figure]


class Walks(msgspec.Struct, frozen=True, kw_only=True):
    """`walks.json`."""

    lab: str
    rehearsed: bool
    seeds: int
    """Seeds asked for, from 1."""
    policies: list[PolicyWalks]
    walks: list[Walked]

    @property
    def good(self) -> bool:
        """All of them were taken, and ended connected."""
        return all(one.walks == one.connected == self.seeds for one in self.policies)


_NAMES = {
    "lost": "packets lost, a walk",
    "gap_ms": "gap at a switch, ms",
    "hole_ms": "largest hole, a walk, ms",
    "switches": "switches, a walk",
    "ping_pongs": "  of them back at once",
    "failed": "  that failed",
    "full_authentications": "  with an EAP run after",
    "wasted_authentications": "keys for nothing",
    "wasted_addresses": "addresses for nothing",
    "wasted_tunnels": "tunnels for nothing",
    "wasted_octets": "signalling for nothing, B",
}
_PICK: dict[str, Callable[[Walked], Sequence[float]]] = {
    "lost": lambda walk: () if walk.lost is None else (sum(walk.lost.values()),),
    "gap_ms": lambda walk: walk.gap_ms or (),
    "hole_ms": lambda walk: () if walk.hole_ms is None else (walk.hole_ms,),
}
_TOGETHER = (
    ("lost",),
    ("gap_ms", "hole_ms"),
    ("switches", "ping_pongs", "failed", "full_authentications"),
    ("wasted_authentications", "wasted_addresses", "wasted_tunnels", "wasted_octets"),
)
_LENGTHS = ("gap_ms", "hole_ms")
"""Of these a sum says nothing."""


def gathered(
    lab: str, walks: Sequence[Walked], policies: Sequence[str], seeds: int, *, rehearsed: bool
) -> Walks:
    """All walks that there are, by policy in the order asked for."""
    ordered = sorted(walks, key=lambda walk: (walk.seed, policies.index(walk.policy)))
    return Walks(
        lab=lab,
        rehearsed=rehearsed,
        seeds=seeds,
        policies=[_policy(name, [w for w in ordered if w.policy == name]) for name in policies],
        walks=ordered,
    )


def _policy(name: str, walks: Sequence[Walked]) -> PolicyWalks:
    levels: dict[str, int] = {}
    for walk in walks:
        for level, count in walk.levels.items():
            levels[level] = levels.get(level, 0) + count
    picked = {figure: _values(figure, walks) for figure in _NAMES}
    return PolicyWalks(
        policy=name,
        walks=len(walks),
        connected=sum(not walk.problems for walk in walks),
        levels=dict(sorted(levels.items(), reverse=True)),
        figures={figure: _figure(values) for figure, values in picked.items() if values},
    )


def _values(figure: str, walks: Sequence[Walked]) -> list[float]:
    pick = _PICK.get(figure)
    if pick is None:
        return [float(getattr(walk, figure)) for walk in walks]
    return [float(value) for walk in walks for value in pick(walk)]


def _figure(values: Sequence[float]) -> Figure:
    total = sum(values)
    return Figure(
        count=len(values),
        total=round(total, 6),
        mean=round(total / len(values), 6),
        minimum=min(values),
        median=median(values),
        p95=percentile(values, 95),
        maximum=max(values),
    )


def grid(made: Walks) -> Grid:
    """Figures with their spread, the policies one below the other."""
    from mpa_hil.report.grids import Grid

    what = "REHEARSED on the model of the air, nothing was run" if made.rehearsed else "measured"
    found = Grid(
        f"Walks of {made.lab}, seeds 1 to {made.seeds}: {what}",
        ("figure", "policy", "of", "in all", "mean", "min", "median", "p95", "max"),
        labels=2,
    )
    for together in _TOGETHER:
        for figure in together:
            label = _NAMES[figure]
            for one in made.policies:
                spread = one.figures.get(figure)
                if spread is not None:
                    found.add(label, one.policy, *_cells(figure, spread))
                    label = ""
        found.section()
    return found


def _cells(figure: str, spread: Figure) -> list[str]:
    def told(value: float) -> str:
        return (
            f"{value:.1f}"
            if figure in _LENGTHS
            else f"{value:.4g}"
            if value < 1e4
            else f"{value:.0f}"
        )

    total = "-" if figure in _LENGTHS else f"{spread.total:.0f}"
    ends = (spread.minimum, spread.median, spread.p95, spread.maximum)
    mean = (
        f"{spread.mean:.1f}" if spread.mean >= 100 or figure in _LENGTHS else f"{spread.mean:.2f}"
    )
    return [str(spread.count), total, mean, *map(told, ends)]


def lines(made: Walks) -> list[str]:
    """How they ended, and what is not in the table."""
    found = []
    for one in made.policies:
        levels = ", ".join(f"level {level} x {count}" for level, count in one.levels.items())
        ended = f"{one.connected} of {one.walks} walks ended connected"
        found.append(f"{one.policy}: {ended}; ready at a switch: {levels or 'no switch'}")
        if one.walks < made.seeds:
            found.append(f"  {made.seeds - one.walks} walks are missing")
    for walk in made.walks:
        what = [each.partition("\n")[0] for each in walk.problems]
        found += [f"FAILED    seed {walk.seed}, {walk.policy}: {each}" for each in what]
    if made.rehearsed:
        found.append("Loss and gaps are not given: no packet was sent.")
    return found


def encode(made: Walks) -> bytes:
    """`walks.json`: indented."""
    return msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n"
