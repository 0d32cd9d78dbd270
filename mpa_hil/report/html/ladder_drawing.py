"""A ladder diagram as SVG. Pure."""

from __future__ import annotations

import math

from mpa_hil.report.html.holes import Phase
from mpa_hil.report.html.ladder_layout import (
    HEAD,
    LANE,
    MARGIN,
    REACH,
    TIME,
    Layout,
    lay_out,
    line_ns,
)
from mpa_hil.report.html.ladder_rows import Arrow, Dead, Ladder, Remark
from mpa_hil.report.html.ladder_tables import CANDIDATE, COLUMN_NAMES, PHASES, PhaseStyle
from mpa_hil.report.html.markup import Markup, el
from mpa_hil.report.html.scene import Scene

_LETTER = 6.1
"""Width of a letter of the diagram's text, pixels; an estimate that keeps labels in the picture."""


def draw(ladder: Ladder, scene: Scene, title: str) -> Markup:
    """The diagram; `title` is for those who cannot see it."""
    layout = lay_out(ladder)
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


def _wait(y: float, waited_ns: int) -> Markup:
    shown = f"{waited_ns / 1e9:.2f} s" if waited_ns >= 1e9 else f"{waited_ns / 1e6:.0f} ms"
    return el("text", None, f"⋮ {shown}", x=TIME, y=y, class_="wait")


def _head(column: str, scene: Scene, layout: Layout) -> Markup:
    x, width = layout.x[column], min(layout.step - 8, 2 * MARGIN - 8)
    box = scene.boxes.get(column, "")
    full = f"{COLUMN_NAMES.get(column, column)}{f': {box}' if box else ''}"
    role = {"AAAV": "AAA", "AAAH": "home AAA"}.get(column, column)
    return el(
        "g",
        None,
        el("title", None, full),
        el("rect", x=x - width / 2, y=34, width=width, height=40, rx=5, class_="head"),
        el("text", None, _short(role, int(width / 8)), x=x, y=51, class_="role"),
        el("text", None, _short(box, int(width / 6.4)), x=x, y=66, class_="box"),
    )


def _candidate(ladder: Ladder, scene: Scene, layout: Layout) -> Markup | None:
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


def _phase(phase: Phase, number: int, ladder: Ladder, layout: Layout) -> Markup:
    style = PHASES.get(phase.name, PhaseStyle(phase.name, "slate"))
    step = f"({style.step}) " if number in layout.steps else ""
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


def _dead(dead: Dead, layout: Layout) -> Markup:
    """A blackout across all columns."""
    y = layout.y(dead.start_ns)
    left, right = min(layout.x.values()), max(layout.x.values())
    height = layout.y(dead.end_ns) - y
    return el("rect", x=left, y=y, width=right - left, height=height, class_="dead")


def _bar(dead: Dead, layout: Layout) -> Markup:
    """A blackout at the receiver."""
    y, x = layout.y(dead.start_ns), layout.x[dead.column]
    way = "downlink" if dead.direction == "downlink" else "uplink"
    tip = f"blackout of the {way}: nothing arrived here, {dead.gap_ms:.3f} ms beyond the spacing"
    height = layout.y(dead.end_ns) - y
    rect = el("rect", None, el("title", None, tip), x=x - 4, y=y, width=8, height=height)
    return el("g", None, rect, class_="dead-bar")


def _reach(ladder: Ladder, layout: Layout) -> list[Markup]:
    """The last column of RFC 6252's figures: addresses that the MN can use."""
    x = layout.width - REACH / 2
    parts = [
        el("text", None, "MN can use", x=x, y=51, class_="box"),
        el("text", None, "care-of address", x=x, y=66, class_="box"),
    ]
    for number, reach in enumerate(ladder.reach):
        last = number + 1 == len(ladder.reach)
        end = layout.height if last else layout.y(ladder.reach[number + 1].t_ns)
        y = layout.y(reach.t_ns) if number else HEAD
        none = " none" if reach.text == "none" else ""
        parts.append(el("line", x1=x, y1=y, x2=x, y2=end, class_=f"reach{none}"))
        parts.append(el("line", x1=x - 5, y1=y, x2=x + 5, y2=y, class_=f"reach{none}"))
        if end - y >= 16:
            at = min((y + end) / 2 + 4, y + 40)
            parts.append(el("text", None, reach.text, x=x, y=at, class_="reach-name"))
    return parts


def _shaft(item: Arrow | Remark, y: float, layout: Layout) -> Markup:
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


def _label(item: Arrow | Remark, y: float, ladder: Ladder, layout: Layout) -> Markup:
    """What an item says, and when: the text stays between the first and the last column."""
    begin_ns = line_ns(item)
    left, right = min(layout.x.values()), max(layout.x.values())
    width = _LETTER * len(item.text)
    anchor, raised = "start", 5.0
    if isinstance(item, Remark):
        x, raised = layout.x[item.column] + 9, -3.0
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
