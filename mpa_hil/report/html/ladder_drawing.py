"""A ladder diagram as SVG. Pure.

Down the page goes time, but not to scale: each message has a line of its own, as in the figures of
RFC 6252. Long waits are stretched a little and told in the margin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from mpa_hil.report.html.holes import Phase
from mpa_hil.report.html.ladder_rows import Arrow, Dead, Ladder, Remark
from mpa_hil.report.html.ladder_tables import CANDIDATE, COLUMN_NAMES, PHASES, PhaseStyle
from mpa_hil.report.html.markup import Markup, el
from mpa_hil.report.html.scene import Scene

ROW, EDGE, BOX, WAIT = 25.0, 10.0, 20.0, 15.0
"""Height of a line with text, of one without, the least of a phase's box, and of a told wait."""
TIME, LANE, MARGIN = 84.0, 204.0, 52.0
"""Width of the margin with the times, of a lane of phases, and round the columns."""
NARROW, WIDE = 100.0, 150.0
"""Least and most distance of two columns."""
WANTED = 1250.0
"""Width that a diagram takes if its columns allow it."""
REACH = 96.0
HEAD = 84.0
TOGETHER_NS = 40_000
"""What happens within that is drawn as one instant: a program's turn takes about so long."""
_WAIT_NS = 20_000_000
_LETTER = 6.1
"""Width of a letter of the diagram's text, pixels; an estimate that keeps labels in the picture."""


@dataclass(slots=True)
class _Layout:
    """Coordinates."""

    x: dict[str, float]
    step: float
    """Distance of two columns."""
    width: float
    lanes: dict[int, int]
    """Lane by number of phase."""
    instants: list[tuple[int, float]] = field(default_factory=list)
    """Times and their heights, both rising."""
    lines: list[float] = field(default_factory=list)
    """Height of each item's line."""
    waits: list[tuple[float, int]] = field(default_factory=list)
    boxes: dict[int, tuple[float, float]] = field(default_factory=dict)
    """Top and bottom of the box of each phase, by its number."""
    height: float = 0.0

    def y(self, t_ns: int) -> float:
        """The height of a time that has one, or of the last before it."""
        found = self.instants[0][1]
        for instant_ns, y in self.instants:
            if instant_ns > t_ns:
                break
            found = y
        return found


def draw(ladder: Ladder, scene: Scene, title: str) -> Markup:
    """The diagram; `title` is for those who cannot see it."""
    layout = _lay_out(ladder)
    top, bottom = HEAD, layout.height
    parts: list[Markup | None] = [_candidate(ladder, scene, layout)]
    parts += [_dead(dead, layout) for dead in ladder.dead]
    for column, x in layout.x.items():
        parts.append(el("line", x1=x, y1=top, x2=x, y2=bottom, class_="life"))
        parts.append(_head(column, scene, layout))
    parts += [_phase(p, n, ladder, layout) for n, p in enumerate(ladder.phases)]
    parts += [_bar(dead, layout) for dead in ladder.dead]
    parts += _reach(ladder, layout)
    parts += [_wait(y, waited_ns) for y, waited_ns in layout.waits]
    lines = list(zip(ladder.items, layout.lines, strict=True))
    parts += [_shaft(item, y, layout) for item, y in lines]
    parts += [_label(item, y, ladder, layout) for item, y in lines]
    height = bottom + 12
    return el(
        "svg",
        {"viewBox": f"0 0 {layout.width:.0f} {height:.0f}"},
        el("title", None, title),
        parts,
        class_="ladder",
        role="img",
        style=f"max-width:{layout.width:.0f}px",
    )


def _lay_out(ladder: Ladder) -> _Layout:
    lanes = _lanes(ladder.phases)
    left = TIME + 10 + LANE * (max(lanes.values(), default=0) + 1) + MARGIN
    gaps = max(len(ladder.columns) - 1, 1)
    step = (WANTED - left - MARGIN - REACH) / gaps
    step = min(max(step, NARROW), WIDE)
    x = {column: left + step * number for number, column in enumerate(ladder.columns)}
    layout = _Layout(x, step, left + step * gaps + MARGIN + REACH, lanes)
    _instants(ladder, layout)
    return layout


def _lanes(phases: Sequence[Phase]) -> dict[int, int]:
    """Phases that overlap stand side by side."""
    free: list[int] = []
    found = {}
    for number, phase in enumerate(phases):
        lane = next((n for n, end in enumerate(free) if end <= phase.start_ns), len(free))
        free[lane : lane + 1] = [phase.end_ns]
        found[number] = lane
    return found


def _instants(ladder: Ladder, layout: _Layout) -> None:
    """Give every item a line and every edge a height, from the top down."""
    lines = [(_line_ns(item), number) for number, item in enumerate(ladder.items)]
    edges = {t for phase in ladder.phases for t in (phase.start_ns, phase.end_ns)}
    edges |= {t for dead in ladder.dead for t in (dead.start_ns, dead.end_ns)}
    edges |= {item.end_ns for item in ladder.items if isinstance(item, Arrow)}
    edges |= {reach.t_ns for reach in ladder.reach}
    points = sorted([(t, 1, number) for t, number in lines] + [(t, 0, -1) for t in edges])
    layout.lines = [0.0] * len(ladder.items)
    y, at, last_ns = HEAD + 6, 0, points[0][0]
    while at < len(points):
        begin_ns = points[at][0]
        group = [p for p in points[at:] if p[0] - begin_ns <= TOGETHER_NS]
        at += len(group)
        texts = [number for _, _, number in group if number >= 0]
        above, waited_ns = y, begin_ns - last_ns
        y += (ROW if texts else EDGE) + (WAIT + _stretch(waited_ns) if waited_ns > _WAIT_NS else 0)
        y = max([y, *_least(ladder, layout, begin_ns)])
        if waited_ns > _WAIT_NS:
            layout.waits.append(((above + y) / 2 + 4, waited_ns))
        last_ns = group[-1][0]
        layout.instants += [(t, y) for t, _, _ in group]
        below = _boxes(ladder, layout, begin_ns, last_ns, y)
        for number in texts:
            layout.lines[number] = y
            y += ROW
        y = max(y - (ROW if texts else 0), below)
    layout.height = y + 26


def _least(ladder: Ladder, layout: _Layout, t_ns: int) -> list[float]:
    """How far down phases that end now must reach, so that their names fit."""
    return [
        layout.boxes[number][0] + BOX
        for number, phase in enumerate(ladder.phases)
        if number in layout.boxes and 0 <= phase.end_ns - t_ns <= TOGETHER_NS
    ]


def _boxes(ladder: Ladder, layout: _Layout, begin_ns: int, end_ns: int, y: float) -> float:
    """Begin and end the boxes of phases; how far down those reach that do both at once."""
    for number, phase in enumerate(ladder.phases):
        if number in layout.boxes and begin_ns <= phase.end_ns <= end_ns:
            layout.boxes[number] = (layout.boxes[number][0], y)
    lowest: dict[int, float] = {}
    for number, phase in enumerate(ladder.phases):
        if number in layout.boxes or not begin_ns <= phase.start_ns <= end_ns:
            continue
        lane = layout.lanes[number]
        top = lowest.get(lane, y)
        if phase.end_ns <= end_ns:
            lowest[lane] = top + BOX
        layout.boxes[number] = (top, lowest.get(lane, top))
    return max(lowest.values(), default=y)


def _line_ns(item: Arrow | Remark) -> int:
    if isinstance(item, Remark):
        return item.t_ns
    return item.end_ns if item.both else item.start_ns


def _stretch(waited_ns: int) -> float:
    """Pixels more for a long wait."""
    return min(30.0, 3 * math.log2(waited_ns / _WAIT_NS))


def _wait(y: float, waited_ns: int) -> Markup:
    shown = f"{waited_ns / 1e9:.2f} s" if waited_ns >= 1e9 else f"{waited_ns / 1e6:.0f} ms"
    return el("text", None, f"⋮ {shown}", x=TIME, y=y, class_="wait")


def _head(column: str, scene: Scene, layout: _Layout) -> Markup:
    x, width = layout.x[column], layout.step - 8
    box = scene.boxes.get(column, "")
    full = f"{COLUMN_NAMES.get(column, column)}{f': {box}' if box else ''}"
    role = {"AAAV": "AAA", "AAAH": "home AAA"}.get(column, column)
    return el(
        "g",
        None,
        el("title", None, full),
        el("rect", x=x - width / 2, y=34, width=width, height=40, rx=5, class_="head"),
        el("text", None, _short(role, int(width / 8)), x=x, y=51, class_="role"),
        el("text", None, _short(box, int(width / 5.6)), x=x, y=66, class_="box"),
    )


def _candidate(ladder: Ladder, scene: Scene, layout: _Layout) -> Markup | None:
    """The frame round the candidate target network."""
    inside = [layout.x[column] for column in ladder.columns if column in CANDIDATE]
    if not scene.candidate or not inside:
        return None
    aside = layout.step / 2 - 1
    left, right = min(inside) - aside, max(inside) + aside
    wide = int((right - left) / _LETTER)
    name = f"Candidate target network {scene.candidate}"
    shown = name if len(name) <= wide else f"CTN {scene.candidate}"
    return el(
        "g",
        None,
        el("title", None, name),
        el("rect", x=left, y=12, width=right - left, height=66, rx=8, class_="ctn"),
        el("text", None, _short(shown, wide), x=(left + right) / 2, y=27, class_="ctn-name"),
    )


def _phase(phase: Phase, number: int, ladder: Ladder, layout: _Layout) -> Markup:
    style = PHASES.get(phase.name, PhaseStyle(phase.name, "slate"))
    step = f"({style.step}) " if ladder.prepared and style.step else ""
    took_ms = (phase.end_ns - phase.start_ns) / 1e6
    told = {"done": f"{took_ms:.1f} ms", "open": "no end"}.get(phase.outcome, phase.outcome)
    x = TIME + 10 + LANE * layout.lanes[number]
    y, bottom = layout.boxes[number]
    height = max(bottom - y, 3)
    bad = "" if phase.outcome == "done" else " bad"
    label = f"{step}{_short(style.label, 20)} {told}"
    return el(
        "g",
        None,
        el("title", None, f"{step}{style.label}: {took_ms:.3f} ms, {phase.outcome}"),
        el(
            "rect",
            x=x,
            y=y,
            width=LANE - 6,
            height=height,
            rx=3,
            class_=f"phase{bad}",
            style=f"--c:var(--{style.colour})",
        ),
        el("text", None, label, x=x + 7, y=y + min(height, 40) / 2 + 4, class_="phase-name"),
    )


def _dead(dead: Dead, layout: _Layout) -> Markup:
    """A blackout across all columns."""
    y = layout.y(dead.start_ns)
    left, right = min(layout.x.values()), max(layout.x.values())
    height = layout.y(dead.end_ns) - y
    return el("rect", x=left, y=y, width=right - left, height=height, class_="dead")


def _bar(dead: Dead, layout: _Layout) -> Markup:
    """A blackout at the receiver."""
    y, x = layout.y(dead.start_ns), layout.x[dead.column]
    way = "downlink" if dead.direction == "downlink" else "uplink"
    tip = f"blackout of the {way}: nothing arrived here, {dead.gap_ms:.3f} ms beyond the spacing"
    height = layout.y(dead.end_ns) - y
    rect = el("rect", None, el("title", None, tip), x=x - 4, y=y, width=8, height=height)
    return el("g", None, rect, class_="dead-bar")


def _reach(ladder: Ladder, layout: _Layout) -> list[Markup]:
    """The last column of RFC 6252's figures: addresses that the MN can use."""
    x = layout.width - REACH / 2
    parts = [
        el("text", None, "MN can use", x=x, y=51, class_="box"),
        el("text", None, "care-of address", x=x, y=66, class_="box"),
    ]
    for number, reach in enumerate(ladder.reach):
        last = number + 1 == len(ladder.reach)
        end = layout.height if last else layout.y(ladder.reach[number + 1].t_ns)
        y = layout.y(reach.t_ns)
        none = " none" if reach.text == "none" else ""
        parts.append(el("line", x1=x, y1=y, x2=x, y2=end, class_=f"reach{none}"))
        parts.append(el("line", x1=x - 5, y1=y, x2=x + 5, y2=y, class_=f"reach{none}"))
        if end - y >= 16:
            at = min((y + end) / 2 + 4, y + 40)
            parts.append(el("text", None, reach.text, x=x, y=at, class_="reach-name"))
    return parts


def _shaft(item: Arrow | Remark, y: float, layout: _Layout) -> Markup:
    if isinstance(item, Remark):
        return el("circle", cx=layout.x[item.column], cy=y, r=4, class_=f"dot {item.style}")
    x1, x2 = layout.x[item.source], layout.x[item.target]
    y2 = y if item.both else max(layout.y(item.end_ns), y)
    if item.both and x1 > x2:
        x1, x2 = x2, x1
    parts = [el("line", x1=x1, y1=y, x2=x2, y2=y2), _tip(x1, y, x2, y2)]
    if item.both:
        parts.append(_tip(x2, y2, x1, y))
    return el("g", None, parts, class_=f"arrow {item.style}")


def _tip(x1: float, y1: float, x2: float, y2: float) -> Markup:
    """An arrow's head at its second end."""
    length = math.hypot(x2 - x1, y2 - y1) or 1
    ux, uy = (x2 - x1) / length, (y2 - y1) / length
    back, aside = 8.0, 3.5
    points = (
        (x2, y2),
        (x2 - back * ux + aside * uy, y2 - back * uy - aside * ux),
        (x2 - back * ux - aside * uy, y2 - back * uy + aside * ux),
    )
    return el("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z")


def _label(item: Arrow | Remark, y: float, ladder: Ladder, layout: _Layout) -> Markup:
    """What an item says, and when: the text stays between the first and the last column."""
    begin_ns = _line_ns(item)
    left, right = min(layout.x.values()), max(layout.x.values())
    width = _LETTER * len(item.text)
    anchor, raised = "start", 5.0
    if isinstance(item, Remark):
        x, raised = layout.x[item.column] + 9, -4.0
    else:
        one, other = layout.x[item.source], layout.x[item.target]
        x = one + 8
        if other < one or item.both:
            x = min(one, other) + 8
            if not item.both and one - 8 - width > left:
                x, anchor = one - 8, "end"
    if anchor == "start" and x + width > right + MARGIN - 10:
        x, anchor = right - 8, "end"
    tip = f"{item.tip}, {_when(begin_ns - ladder.origin_ns)}" if item.tip else None
    text = el(
        "text",
        {"text-anchor": anchor},
        el("title", None, tip) if tip else None,
        item.text,
        x=x,
        y=y - raised,
        class_=f"label {item.style}",
    )
    when = el("text", None, _when(begin_ns - ladder.origin_ns), x=TIME, y=y + 4, class_="when")
    return Markup(text + when)


def _when(since_ns: int) -> str:
    """Time since the trigger, ms."""
    return f"{since_ns / 1e6:+,.1f}".replace(",", " ").replace("-", "−")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
