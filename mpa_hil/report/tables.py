"""The tables and verdict lines that a run ends with, for a terminal or as plain text.

`render` writes to a terminal in its own width with colour, and to anything else as plain text of
a fixed width, so that a log file and a test see the same characters everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from mpa_hil.report.statistics import Spread, spread
from mpa_hil.report.summary import DIRECTIONS, PHASES, Direction, Run, Scheme, Summary

if TYPE_CHECKING:
    from rich.table import Table

PLAIN_WIDTH = 120
"""Columns of plain text: room for four schemes side by side in the phases table."""
NARROWEST = 100
"""Columns that every table of up to four schemes fits in."""
MISSING = "-"

_ARROWS = {"downlink": "down", "uplink": "up"}
_PHASE_NAMES = {
    "decision": "link lost, decision",
    "four_way": "4-way handshake",
    "eap": "EAP",
    "dhcp": "DHCP",
    "binding": "binding update",
    "first_packet": "first packet",
}


def ms(value: float | None, digits: int = 1) -> str:
    """A time in ms, or a dash."""
    return MISSING if value is None else f"{value:.{digits}f}"


def count(value: float) -> str:
    """A count or the median of counts: a fraction is shown only where there is one."""
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def gap_table(summary: Summary, seed: int = 1) -> Table:
    """How long each direction was dead, over the runs that are ok."""
    table = _table("Blackout: largest hole in the stream less the packet spacing, ms")
    for heading in ("scheme", "way", "runs"):
        table.add_column(heading, no_wrap=True)
    for heading in ("min", "median", "p95", "max", "95 % CI", "L2", "L3"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, scheme in summary.schemes.items():
        runs = _good(scheme)
        for direction in DIRECTIONS:
            gap = spread([run.gap_ms.of(direction) for run in runs], seed)
            first = direction == "downlink"
            table.add_row(
                name if first else "",
                _ARROWS[direction],
                _runs(scheme) if first else "",
                *_four(gap),
                _interval(gap),
                *((_median(runs, attribute) if first else "") for attribute in ("l2_ms", "l3_ms")),
            )
        table.add_section()
    return table


def call_table(summary: Summary, seed: int = 1) -> Table:
    """What the handover did to the voice call, over the runs that are ok."""
    table = _table("The call: packets and how it sounded in the 10 s round the handover")
    for heading in ("scheme", "way"):
        table.add_column(heading, no_wrap=True)
    headings = ("lost median", "max", "of sent", "dup", "reord", "jitter ms", "delay p95 ms", "MOS")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, scheme in summary.schemes.items():
        for direction in DIRECTIONS:
            label = name if direction == "downlink" else ""
            table.add_row(label, _ARROWS[direction], *_call(_good(scheme), direction, seed))
        table.add_section()
    return table


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


def median_run(scheme: Scheme) -> tuple[int, Run] | None:
    """Number (from 1) and record of the ok run whose total is the (lower) median.

    Medians of single phases need not add up to the median of the totals; one run's phases do.
    """
    timed = [(i, r) for i, r in enumerate(scheme.runs, 1) if r.ok and "total" in r.phases_ms]
    timed.sort(key=lambda entry: entry[1].phases_ms["total"])
    return timed[(len(timed) - 1) // 2] if timed else None


def phases_table(summary: Summary) -> Table | None:
    """Where the time went: the median run of each scheme, and the range over all runs.

    The phases of a column add up to its total, remainder included. None when no run has phases.
    """
    chosen = {name: median_run(scheme) for name, scheme in summary.schemes.items()}
    columns = {name: pick for name, pick in chosen.items() if pick is not None}
    if not columns:
        return None
    table = _table("Where the time went, ms: the median run (range over all runs)")
    table.add_column("phase", no_wrap=True)
    for name, (number, _) in columns.items():
        table.add_column(f"{name}, run {number}", justify="right")
    for phase in (*PHASES, "remainder", "total"):
        if not any(phase in run.phases_ms for _, run in columns.values()):
            continue
        if phase == "total":
            table.add_section()
        cells = [_phase(summary.schemes[name], run, phase) for name, (_, run) in columns.items()]
        table.add_row(_PHASE_NAMES.get(phase, phase), *cells)
        if phase == "eap":
            for unit in ("messages", "round_trips"):
                numbers = [_eap(run, unit) for _, run in columns.values()]
                table.add_row(f"  its {unit.replace('_', ' ')}", *numbers, style="dim")
    return table


def _eap(run: Run, unit: str) -> str:
    """How many messages or round trips the EAP phase consisted of; not a time."""
    number = None if run.eap is None else getattr(run.eap, unit)
    return MISSING if number is None else f"x {number}"


def _phase(scheme: Scheme, run: Run, phase: str) -> str:
    """One phase of one run, with its range over the scheme's runs."""
    if phase not in run.phases_ms:
        return MISSING
    text = ms(run.phases_ms[phase])
    others = [r.phases_ms[phase] for r in _good(scheme) if phase in r.phases_ms]
    if len(others) > 1:
        text += f" ({ms(min(others))}..{ms(max(others))})"
    return text


def verdict_lines(summary: Summary) -> list[str]:
    """The checks one a line, then the verdict or why it is refused; failed runs and notes first."""
    lines = [
        f"FAILED    {name}, run {number}: {run.error or 'no reason recorded'}"
        for name, scheme in summary.schemes.items()
        for number, run in enumerate(scheme.runs, 1)
        if not run.ok
    ]
    lines += [f"NOTE      {note}" for note in summary.notes]
    if summary.verdict is None:
        return lines
    marks = {True: "ok", False: "FAILED", None: "not made"}
    lines += [f"{marks[c.passed]:<10}{c.name}: {c.detail}" for c in summary.verdict.checks]
    if summary.verdict.given:
        lines.append("The figures above passed every check that was made.")
    else:
        lines.append("No verdict: do not quote the figures above.")
        lines += [f"  because of {reason}" for reason in summary.verdict.refused]
    return lines


def render(summary: Summary, out: TextIO, *, width: int | None = None) -> None:
    """Write all tables and the verdict to `out`.

    Args:
        out: a terminal gets colour and its own width; anything else plain text.
        width: columns, overriding both.
    """
    from rich.console import Console
    from rich.text import Text

    terminal = out.isatty()
    console = Console(
        file=out,
        width=width if width is not None or terminal else PLAIN_WIDTH,
        force_terminal=terminal,
        color_system="auto" if terminal else None,
        highlight=False,
    )
    if width is None:  # a narrow terminal may break lines, but no digit is cut off
        console.width = max(console.width, NARROWEST)
    tables = (
        gap_table(summary, summary.seed),
        call_table(summary, summary.seed),
        phases_table(summary),
    )
    with console.capture() as captured:
        for table in tables:
            if table is not None:
                console.print(table)
                console.print()
        for line in verdict_lines(summary):
            bad = line.startswith(("FAILED", "No verdict", "  because"))
            console.print(Text(line, style="bold red" if bad else ""), soft_wrap=not terminal)
    text = captured.get()
    if not terminal:
        text = "\n".join(line.rstrip() for line in text.split("\n"))
    out.write(text)


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
        show_edge=False,
    )


def _good(scheme: Scheme) -> list[Run]:
    return [run for run in scheme.runs if run.ok]


def _runs(scheme: Scheme) -> str:
    """How many runs count, and of how many when some failed."""
    good, every = len(_good(scheme)), len(scheme.runs)
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
