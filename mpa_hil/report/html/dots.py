"""Every run's blackout as a dot, scheme by scheme, and where the time of a handover went. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mpa_hil.report.html.ladder_tables import PHASES, PhaseStyle
from mpa_hil.report.html.markup import Markup, el
from mpa_hil.report.html.scales import Wide, label
from mpa_hil.report.statistics import spread
from mpa_hil.report.summary import (
    DIRECTIONS,
    EVENT_PHASES,
    Direction,
    Run,
    Summary,
)
from mpa_hil.report.summary import (
    PHASES as NAMES,
)

_NAMED = 0.12
"""A phase has its name in a bar from this share of the whole on."""
WIDTH, LEFT, RIGHT, ROW, HEAD, FOOT = 900.0, 190.0, 170.0, 34.0, 10.0, 42.0
_SWAY = 18.0
"""Dots of one row are spread over so many pixels, so that equal ones can be told apart."""


def gaps(summary: Summary) -> Markup | None:
    """Both directions of each scheme over one axis; None when no run has a blackout."""
    rows = [
        (name, direction, _values(scheme.runs, direction))
        for name, scheme in summary.schemes.items()
        for direction in DIRECTIONS
    ]
    every = [value for _, _, values in rows for _, value in values]
    if not every:
        return None
    x = Wide(max(*every, 1.0) * 1.3, LEFT, WIDTH - RIGHT)
    bottom = HEAD + ROW * len(rows)
    parts: list[Markup] = []
    for tick in x.ticks():
        at = x(tick)
        parts.append(el("line", x1=at, y1=HEAD, x2=at, y2=bottom, class_="grid"))
        parts.append(el("text", None, label(tick), x=at, y=bottom + 16, class_="tick mid"))
    middle = (x.start + x.end) / 2
    text = "blackout, ms (logarithmic above 1)"
    parts.append(el("text", None, text, x=middle, y=bottom + 34, class_="axis mid"))
    for number, (name, direction, values) in enumerate(rows):
        parts += _row(name, direction, values, x, HEAD + ROW * (number + 0.5), summary.seed)
    return el(
        "svg",
        {"viewBox": f"0 0 {WIDTH:.0f} {bottom + FOOT:.0f}"},
        el("title", None, "Blackout of every run by scheme and direction"),
        parts,
        class_="gaps",
        role="img",
    )


def _values(runs: Sequence[Run], direction: Direction) -> list[tuple[str, float]]:
    """Name and blackout of each run that is ok, or of each of its switches if it has several."""
    found: list[tuple[str, float]] = []
    for place, run in enumerate(runs, 1):
        gap = run.gap_ms.of(direction)
        if run.ok and run.switches:
            for number, switch in enumerate(run.switches, 1):
                if direction in switch.gap_ms:
                    name = f"run {place}, switch {number}"
                    found.append((name, switch.gap_ms[direction]))
        elif run.ok and gap is not None:
            found.append((f"run {place}", gap))
    return found


def _row(
    name: str, direction: Direction, values: list[tuple[str, float]], x: Wide, y: float, seed: int
) -> list[Markup]:
    first = direction == "downlink"
    way = "down" if first else "up"
    parts = [el("text", None, way, x=LEFT - 12, y=y + 4, class_="tick end")]
    if first:
        shown = name if len(name) <= 20 else f"{name[:19]}…"
        parts.append(el("text", None, shown, x=LEFT - 52, y=y + 4, class_="scheme end"))
    else:
        under = y + ROW / 2
        parts.append(el("line", x1=0, y1=under, x2=WIDTH, y2=under, class_="grid"))
    found = spread([value for _, value in values], seed)
    if found is None:
        words = "not measured"
        return [*parts, el("text", None, words, x=WIDTH - 4, y=y + 4, class_="tick end")]
    if found.interval is not None:
        low, high = found.interval
        tip = f"95 % confidence interval of the median: {low:.1f}..{high:.1f} ms"
        left, width = x(low), max(x(high) - x(low), 2)
        bar = el("rect", None, el("title", None, tip), x=left, y=y - 9, width=width, height=18)
        parts.append(el("g", None, bar, class_="interval"))
    count = len(values)
    for number, (place, value) in enumerate(values):
        sway = 0.0 if count == 1 else (number / (count - 1) - 0.5) * _SWAY
        tip = f"{name}, {place}, {way}: {value:.3f} ms"
        title = el("title", None, tip)
        parts.append(el("circle", None, title, cx=x(value), cy=y + sway, r=3.6, class_="run"))
    if count > 1:
        at = x(found.median)
        parts.append(el("line", x1=at, y1=y - 12, x2=at, y2=y + 12, class_="median"))
    shown = f"{found.median:.1f}"
    if count > 1:
        shown += f" ({found.minimum:.1f}..{found.maximum:.1f})"
    parts.append(el("text", None, shown, x=WIDTH - 4, y=y + 4, class_="figure end"))
    return parts


def phase_style(name: str) -> PhaseStyle:
    """How a phase of the summary is drawn: as the one that the event log has for it."""
    logged = next((event for event, own in EVENT_PHASES.items() if own == name), name)
    return PHASES.get(logged, PhaseStyle(name.replace("_", " "), "slate"))


def parts_of(phases_ms: Mapping[str, float]) -> list[tuple[str, float]]:
    """The phases that a total is made of, in their order, those without length left out."""
    order = {name: place for place, name in enumerate((*NAMES, "remainder"))}
    known = [(name, ms) for name, ms in phases_ms.items() if name != "total" and ms > 0]
    return sorted(known, key=lambda one: order.get(one[0], len(order)))


def bar(phases_ms: Mapping[str, float]) -> Markup | None:
    """One handover's phases side by side, over the whole width; None when it has none."""
    parts = parts_of(phases_ms)
    whole = sum(ms for _, ms in parts)
    if not whole:
        return None
    drawn = []
    for name, took_ms in parts:
        style, share = phase_style(name), took_ms / whole
        tip = f"{style.label}: {took_ms:.3f} ms, {100 * share:.1f} %"
        look = f"--c:var(--{style.colour});flex-grow:{share:.5f}"
        drawn.append(el("i", None, style.label if share > _NAMED else None, title=tip, style=look))
    return el("div", None, drawn, class_="bar")
