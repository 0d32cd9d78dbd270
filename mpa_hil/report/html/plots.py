"""One flow in one direction round the switch: one-way delay above, sequence numbers below. Pure.

Times are the mobile node's. A downlink packet stands where it arrived there. An uplink packet
stands where it arrived at the CN less the shortest transit of its stream, and a lost packet where
it was due by that transit: so phases, blackouts and packets of both directions fit one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mpa_hil.report.html import holes
from mpa_hil.report.html.data import Packet, Stream, Trace
from mpa_hil.report.html.holes import Phase
from mpa_hil.report.html.ladder_tables import PHASES, PhaseStyle
from mpa_hil.report.html.markup import Markup, el
from mpa_hil.report.html.scales import Linear, label

WIDTH, LEFT, RIGHT = 600.0, 58.0, 12.0
STRIP, DELAY, SEQUENCE, BETWEEN = 12.0, 120.0, 150.0, 26.0
FOOT = 34.0
TOLD_SINGLY = 400
"""Up to so many packets each has its numbers under the pointer; more are drawn as one path."""
_TELLING = 5
"""A hole is marked when a fifth of it at least is blackout, not mere spacing."""
_GRID = 2
"""Points a pixel: packets closer than that are one point."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A packet of the window."""

    packet: Packet
    at_ms: float
    """Where it stands, from the trigger."""
    due_ms: float
    delay_ms: float | None
    """None: it never arrived."""


@dataclass(frozen=True, slots=True)
class View:
    """What a plot of one stream shows, in ms from the trigger."""

    shown: Sequence[Shown]
    phases: Sequence[tuple[Phase, float, float]]
    dead: tuple[float, float] | None
    low_ms: float
    high_ms: float
    one_clock: bool


def view(trace: Trace, stream: Stream) -> View | None:
    """What there is to see of a stream; None where the log has no switch."""
    span, origin_ns = holes.span(trace), holes.trigger_ns(trace)
    if span is None or origin_ns is None:
        return None
    transit_ns, shift_ns = holes.transit_ns(stream), holes.shift_ns(stream)
    due_by_ns = transit_ns - shift_ns
    shown = []
    for packet in stream.packets:
        due_ns = packet.sent_ns + due_by_ns
        at_ns = due_ns if packet.received_ns is None else packet.received_ns - shift_ns
        if at_ns >= span[0] and due_ns <= span[1]:
            took = None if packet.received_ns is None else packet.received_ns - packet.sent_ns
            shown.append(
                Shown(
                    packet,
                    (at_ns - origin_ns) / 1e6,
                    (due_ns - origin_ns) / 1e6,
                    None if took is None else took / 1e6,
                )
            )
    hole = holes.blackout(trace, stream)
    dead = None
    gap_ms = holes.gap_ms(trace, stream) or 0.0
    if hole is not None and (hole.end_ns - hole.start_ns) / 1e6 < _TELLING * gap_ms:
        dead = tuple((t - shift_ns - origin_ns) / 1e6 for t in (hole.start_ns, hole.end_ns))
    phases = [
        (phase, (phase.start_ns - origin_ns) / 1e6, (phase.end_ns - origin_ns) / 1e6)
        for phase in holes.phases(trace.events)
        if phase.end_ns >= span[0] and phase.start_ns <= span[1]
    ]
    low_ms, high_ms = ((t - origin_ns) / 1e6 for t in span)
    one_clock = holes.one_clock(trace, stream)
    return View(shown, phases, (dead[0], dead[1]) if dead else None, low_ms, high_ms, one_clock)


def draw(seen: View, title: str) -> Markup:
    """Both panels over one time axis."""
    x = Linear(seen.low_ms, seen.high_ms, LEFT, WIDTH - RIGHT)
    top = STRIP + 22
    middle = top + DELAY + BETWEEN
    bottom = middle + SEQUENCE
    parts: list[Markup] = []
    for phase, start_ms, end_ms in seen.phases:
        parts.append(_phase(phase, x, start_ms, end_ms, bottom))
    if seen.dead is not None:
        parts.append(_dead(seen.dead, x, top, bottom))
    parts += _time_axis(x, top, bottom)
    parts += _delays(seen, x, top, top + DELAY)
    parts += _sequence(seen, x, middle, bottom)
    return el(
        "svg",
        {"viewBox": f"0 0 {WIDTH:.0f} {bottom + FOOT:.0f}"},
        el("title", None, title),
        parts,
        class_="plot",
        role="img",
    )


def _phase(phase: Phase, x: Linear, start_ms: float, end_ms: float, bottom: float) -> Markup:
    left, right = x(max(start_ms, x.low)), x(min(end_ms, x.high))
    style = PHASES.get(phase.name, PhaseStyle(phase.name, "slate"))
    width = max(right - left, 0.8)
    tip = f"{style.label}: {end_ms - start_ms:.3f} ms, from {start_ms:+.3f} ms"
    return el(
        "g",
        None,
        el("title", None, tip),
        el("rect", x=left, y=0, width=width, height=STRIP, class_="strip"),
        el("rect", x=left, y=STRIP, width=width, height=bottom - STRIP, class_="shade"),
        style=f"--c:var(--{style.colour})",
    )


def _dead(dead: tuple[float, float], x: Linear, top: float, bottom: float) -> Markup:
    left, right = x(max(dead[0], x.low)), x(min(dead[1], x.high))
    tip = f"largest hole, {dead[1] - dead[0]:.3f} ms from packet to packet"
    sides = [el("line", x1=at, y1=top, x2=at, y2=bottom) for at in (left, right)]
    rect = el("rect", x=left, y=top, width=right - left, height=bottom - top)
    return el("g", None, el("title", None, tip), rect, sides, class_="hole")


def _time_axis(x: Linear, top: float, bottom: float) -> list[Markup]:
    parts = []
    for tick in x.ticks(7):
        at = x(tick)
        parts.append(el("line", x1=at, y1=top, x2=at, y2=bottom, class_="grid"))
        parts.append(el("text", None, label(tick), x=at, y=bottom + 15, class_="tick mid"))
    trigger = x(0.0)
    parts.append(el("line", x1=trigger, y1=top, x2=trigger, y2=bottom, class_="trigger"))
    text = "ms since the trigger, at the mobile node"
    middle = (x.start + x.end) / 2
    parts.append(el("text", None, text, x=middle, y=bottom + 30, class_="axis mid"))
    return parts


def _frame(name: str, scale: Linear, top: float, bottom: float, most: int) -> list[Markup]:
    """A panel's border, name and marks."""
    parts = [
        el("rect", x=LEFT, y=top, width=WIDTH - LEFT - RIGHT, height=bottom - top, class_="frame"),
        el("text", None, name, x=LEFT, y=top - 5, class_="axis"),
    ]
    for tick in scale.ticks(most):
        at = scale(tick)
        parts.append(el("line", x1=LEFT, y1=at, x2=WIDTH - RIGHT, y2=at, class_="grid"))
        parts.append(el("text", None, label(tick), x=LEFT - 6, y=at + 4, class_="tick end"))
    return parts


def _delays(seen: View, x: Linear, top: float, bottom: float) -> list[Markup]:
    """One-way delay of what arrived; what was lost is marked at the foot."""
    arrived = [s for s in seen.shown if s.delay_ms is not None]
    lost = [s for s in seen.shown if s.delay_ms is None]
    highest = max((s.delay_ms or 0.0 for s in arrived), default=1.0)
    y = Linear(0.0, max(highest * 1.15, 0.1), bottom - 8, top + 4)
    if not seen.one_clock:
        words = "no one-way delay: CN and MN share no clock"
        empty = Linear(0.0, 1.0, bottom, top)
        middle = (top + bottom) / 2
        parts = _frame("one-way delay", empty, top, bottom, 0)[:2]
        return [*parts, el("text", None, words, x=WIDTH / 2, y=middle, class_="axis mid")]
    parts = _frame("one-way delay, ms", y, top, bottom, 4)
    spots = [(x(s.at_ms), y(s.delay_ms or 0.0), s) for s in arrived]
    parts += _spots([one for one in spots if x.start <= one[0] <= x.end], "got")
    parts += _spots([(x(s.due_ms), bottom - 3, s) for s in lost], "lost")
    return parts


def _sequence(seen: View, x: Linear, top: float, bottom: float) -> list[Markup]:
    """Sequence numbers of what arrived, over the line on which they were due."""
    numbers = [s.packet.seq for s in seen.shown] or [0]
    y = Linear(min(numbers), max(*numbers, min(numbers) + 1), bottom - 4, top + 4)
    parts = _frame("sequence number", y, top, bottom, 5)
    due = [(x(s.due_ms), y(s.packet.seq)) for s in seen.shown if x.low <= s.due_ms <= x.high]
    if due:
        parts.append(el("path", d=_polyline(due), class_="due"))
    spots = [(x(s.at_ms), y(s.packet.seq), s) for s in seen.shown]
    inside = [one for one in spots if x.start <= one[0] <= x.end]
    parts += _spots([one for one in inside if one[2].delay_ms is not None], "got")
    parts += _spots([one for one in inside if one[2].delay_ms is None], "lost")
    return parts


def _polyline(points: Sequence[tuple[float, float]]) -> str:
    """A line through points; of many that lie together only the ends matter."""
    kept = [points[0]]
    for number, point in enumerate(points[1:], 1):
        last = number + 1 == len(points)
        if last or abs(point[0] - kept[-1][0]) >= 1 or abs(point[1] - kept[-1][1]) >= 1:
            kept.append(point)
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in kept)


def _spots(spots: Sequence[tuple[float, float, Shown]], kind: str) -> list[Markup]:
    """Packets as dots: few with their numbers, many as one path of dots."""
    if not spots:
        return []
    if len(spots) > TOLD_SINGLY:
        path = _dots((a, b) for a, b, _ in spots)
        return [el("path", d=path, class_=f"many {kind}")]
    return [
        el("circle", None, el("title", None, _tell(one)), cx=a, cy=b, r=2.4, class_=f"one {kind}")
        for a, b, one in spots
    ]


def _dots(points: Iterable[tuple[float, float]]) -> str:
    """Dots on a grid of half pixels; those that touch in a row become one stroke."""
    rows: dict[int, list[int]] = {}
    for a, b in points:
        rows.setdefault(round(b * _GRID), []).append(round(a * _GRID))
    parts = []
    for row, columns in sorted(rows.items()):
        ordered = sorted(set(columns))
        start = last = ordered[0]
        for column in [*ordered[1:], None]:
            if column is not None and column - last <= 1:
                last = column
                continue
            parts.append(f"M{start / _GRID:g} {row / _GRID:g}h{(last - start) / _GRID:g}")
            if column is not None:
                start = last = column
    return "".join(parts)


def _tell(one: Shown) -> str:
    packet = one.packet
    note = f" ({packet.note})" if packet.note else ""
    if one.delay_ms is None:
        return f"no. {packet.seq} lost{note}, due at {one.due_ms:+.3f} ms"
    return f"no. {packet.seq}{note} at {one.at_ms:+.3f} ms, delay {one.delay_ms:.3f} ms"
