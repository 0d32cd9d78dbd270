"""The tables that a run ends with, as plain cells for the terminal and the page. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mpa_hil.report.faults import faults_grid
from mpa_hil.report.policies import policies_grid
from mpa_hil.report.statistics import Spread, median, percentile, spread
from mpa_hil.report.summary import DIRECTIONS, PHASES, Direction, Run, Scheme, Summary

MISSING = "-"
_PERCENTS = (0, 50, 95, 99, 100)
"""Of the blackouts of many switches."""

ARROWS = {"downlink": "down", "uplink": "up"}
PHASE_NAMES = {
    "decision": "link lost, decision",
    "four_way": "4-way handshake",
    "eap": "EAP",
    "dhcp": "DHCP",
    "binding": "binding update",
    "first_packet": "first packet",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    cells: tuple[str, ...]
    dim: bool = False
    """It explains the line above it."""


@dataclass(slots=True)
class Grid:
    """One table."""

    title: str
    headings: tuple[str, ...]
    labels: int
    """So many columns from the left are labels; those after them are figures."""
    groups: list[list[Row]] = field(default_factory=lambda: [[]])
    """Rows that belong together; a rule or a space goes between two groups."""
    wrap: bool = False
    """Headings and figures may be broken into lines where there is little room."""

    def add(self, *cells: str, dim: bool = False) -> None:
        """Add a row to the last group."""
        self.groups[-1].append(Row(cells, dim))

    def section(self) -> None:
        """Begin another group, unless the last one is empty still."""
        if self.groups[-1]:
            self.groups.append([])


def ms(value: float | None, digits: int = 1) -> str:
    """A time in ms, or a dash."""
    return MISSING if value is None else f"{value:.{digits}f}"


def count(value: float) -> str:
    """A count or the median of counts: a fraction is shown only where there is one."""
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def gap_grid(summary: Summary) -> Grid:
    """How long each direction was dead, over the runs that are ok."""
    figures = ("min", "median", "p95", "max", "95 % CI", "L2", "L3")
    grid = Grid(
        "Blackout: largest hole in the stream less the packet spacing, ms",
        ("scheme", "way", "runs", *figures),
        labels=3,
    )
    for name, scheme in summary.schemes.items():
        runs = good_runs(scheme)
        for direction in DIRECTIONS:
            gap = spread([run.gap_ms.of(direction) for run in runs], summary.seed)
            first = direction == "downlink"
            grid.add(
                name if first else "",
                ARROWS[direction],
                _runs(scheme) if first else "",
                *_four(gap),
                _interval(gap),
                *((_median(runs, attribute) if first else "") for attribute in ("l2_ms", "l3_ms")),
            )
        grid.section()
    return grid


def switches_grid(summary: Summary) -> Grid | None:
    """Blackout and losses over all switches of the runs that are ok; None: each had but one."""
    headings = ("scheme", "way", "switches", "min", "median", "p95", "p99", "max")
    grid = Grid(
        "Each switch for itself: blackout, ms, and packets of all runs together",
        (*headings, "lost", "dup", "reord", "of sent"),
        labels=3,
    )
    for name, scheme in summary.schemes.items():
        runs = [run for run in scheme.runs if run.ok and run.switches]
        if not runs:
            continue
        number = sum(len(run.switches) for run in runs)
        for direction in DIRECTIONS:
            first = direction == "downlink"
            label, told = (name, str(number)) if first else ("", "")
            grid.add(
                label, ARROWS[direction], told, *_gaps(runs, direction), *_all(runs, direction)
            )
        grid.section()
    return grid if any(grid.groups) else None


def _gaps(runs: Sequence[Run], direction: Direction) -> list[str]:
    gaps = [each.gap_ms[direction] for run in runs for each in run.switches if each.gap_ms]
    if not gaps:
        return [MISSING] * len(_PERCENTS)
    return [ms(percentile(gaps, percent)) for percent in _PERCENTS]


def _all(runs: Sequence[Run], direction: Direction) -> list[str]:
    """Of every flow, over the whole of each run."""
    flows = [flow for run in runs for one in run.flows.values() if (flow := one.of(direction))]
    return [
        count(sum(getattr(flow, name) for flow in flows))
        for name in ("lost", "duplicated", "reordered", "sent")
    ]


def call_grid(summary: Summary) -> Grid:
    """What the handover did to the voice call, over the runs that are ok."""
    figures = ("lost median", "max", "of sent", "dup", "reord", "jitter ms", "delay p95 ms", "MOS")
    grid = Grid(
        "The call: packets and how it sounded in the 10 s round the handover",
        ("scheme", "way", *figures),
        labels=2,
    )
    for name, scheme in summary.schemes.items():
        for direction in DIRECTIONS:
            label = name if direction == "downlink" else ""
            cells = _call(good_runs(scheme), direction, summary.seed)
            grid.add(label, ARROWS[direction], *cells)
        grid.section()
    return grid


def _call(runs: Sequence[Run], direction: Direction, seed: int) -> list[str]:
    """Cells of one line of the call table: medians, but the largest loss and repetition count."""
    lost = spread([run.lost.of(direction) for run in runs], seed)
    sent = spread([run.sent.of(direction) for run in runs], seed)
    if lost is None or sent is None:
        return [MISSING] * 8

    def middle(pick: Callable[[Run], float | None], digits: int) -> str:
        found = spread([pick(run) for run in runs], seed)
        return ms(found.median if found else None, digits)

    return [
        count(lost.median),
        count(lost.maximum),
        count(sent.median),
        count(max(run.duplicated.of(direction) or 0 for run in runs)),
        count(max(run.reordered.of(direction) or 0 for run in runs)),
        middle(lambda run: run.jitter_ms.of(direction), 2),
        middle(lambda run: run.delay_ms.of(direction).p95, 1),
        middle(lambda run: run.mos.of(direction), 2),
    ]


def download_grid(summary: Summary) -> Grid | None:
    """What the handover did to downloads, over the runs that are ok. None when there were none."""
    figures = ("MB", "Mbit/s", "stall median", "max", "usual p95", "sent again")
    grid = Grid(
        "Downloads: longest time without an octet, ms", ("scheme", "flow", *figures), labels=2
    )
    for name, scheme in summary.schemes.items():
        runs = good_runs(scheme)
        label = name
        for flow in dict.fromkeys(flow for run in runs for flow in run.transfers):
            found = [run.transfers[flow] for run in runs if flow in run.transfers]
            grid.add(
                label,
                flow,
                f"{median([one.octets / 1e6 for one in found]):.2f}",
                f"{median([one.rate_mbit for one in found]):.2f}",
                ms(median([one.stall_ms for one in found])),
                ms(max(one.stall_ms for one in found)),
                ms(median([one.usual_ms for one in found])),
                count(max(one.retransmissions for one in found)),
            )
            label = ""
        grid.section()
    return grid if any(grid.groups) else None


def median_run(scheme: Scheme) -> tuple[int, Run] | None:
    """Number (from 1) and record of the ok run whose total is the (lower) median.

    Medians of single phases need not add up to the median of the totals; one run's phases do.
    """
    timed = [(i, r) for i, r in enumerate(scheme.runs, 1) if r.ok and "total" in r.phases_ms]
    timed.sort(key=lambda entry: entry[1].phases_ms["total"])
    return timed[(len(timed) - 1) // 2] if timed else None


def phases_grid(summary: Summary) -> Grid | None:
    """Where the time went: the median run of each scheme, and the range over all runs.

    The phases of a column add up to its total, remainder included. None when no run has phases.
    """
    chosen = {name: median_run(scheme) for name, scheme in summary.schemes.items()}
    columns = {name: pick for name, pick in chosen.items() if pick is not None}
    if not columns:
        return None
    grid = Grid(
        "Where the time went, ms: the median run (range over all runs)",
        ("phase", *(f"{name}, run {number}" for name, (number, _) in columns.items())),
        labels=1,
        wrap=True,
    )
    for phase in (*PHASES, "remainder", "total"):
        if not any(phase in run.phases_ms for _, run in columns.values()):
            continue
        if phase == "total":
            grid.section()
        cells = [_phase(summary.schemes[name], run, phase) for name, (_, run) in columns.items()]
        grid.add(PHASE_NAMES.get(phase, phase), *cells)
        if phase == "eap":
            for unit in ("messages", "round_trips"):
                numbers = [_eap(run, unit) for _, run in columns.values()]
                grid.add(f"  its {unit.replace('_', ' ')}", *numbers, dim=True)
    return grid


def grids(summary: Summary) -> list[Grid]:
    """All of them, in the order in which they are shown."""
    every = (
        gap_grid(summary),
        switches_grid(summary),
        call_grid(summary),
        download_grid(summary),
        phases_grid(summary),
    )
    found = [grid for grid in every if grid is not None]
    found += [faults_grid(summary)] if summary.faults else []
    return found + ([policies_grid(summary)] if summary.policy else [])


def good_runs(scheme: Scheme) -> list[Run]:
    """The runs that are ok."""
    return [run for run in scheme.runs if run.ok]


def _eap(run: Run, unit: str) -> str:
    """How many messages or round trips the EAP phase consisted of; not a time."""
    number = None if run.eap is None else getattr(run.eap, unit)
    return MISSING if number is None else f"x {number}"


def _phase(scheme: Scheme, run: Run, phase: str) -> str:
    """One phase of one run, with its range over the scheme's runs."""
    if phase not in run.phases_ms:
        return MISSING
    text = ms(run.phases_ms[phase])
    others = [r.phases_ms[phase] for r in good_runs(scheme) if phase in r.phases_ms]
    if len(others) > 1:
        text += f" ({ms(min(others))}..{ms(max(others))})"
    return text


def _runs(scheme: Scheme) -> str:
    """How many runs count, and of how many when some failed."""
    good, every = len(good_runs(scheme)), len(scheme.runs)
    return str(good) if good == every else f"{good} of {every}"


def _four(gap: Spread | None) -> list[str]:
    if gap is None:
        return [MISSING] * 4
    return [ms(value) for value in (gap.minimum, gap.median, gap.p95, gap.maximum)]


def _interval(gap: Spread | None) -> str:
    if gap is None or gap.interval is None:
        return MISSING
    low, high = gap.interval
    return f"{ms(low)}..{ms(high)}"


def _median(runs: Sequence[Run], attribute: str) -> str:
    found = spread([getattr(run, attribute) for run in runs])
    return ms(found.median if found else None)
