"""Coordinates of a ladder diagram. Pure.

Down the page goes time, but not to scale: each message has a line of its own, as in the figures of
RFC 6252. Long waits are stretched a little and told in the margin.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mpa_hil.report.html.holes import Phase
from mpa_hil.report.html.ladder_rows import Arrow, Ladder, Remark
from mpa_hil.report.html.ladder_tables import PHASES

ROW, EDGE, BOX, WAIT = 25.0, 10.0, 20.0, 15.0
"""Height of a line with text, of one without, the least of a phase's box, and of a told wait."""
TIME, LANE, MARGIN = 84.0, 200.0, 58.0
"""Width of the margin with the times, of a lane of phases, and round the columns."""
NARROW, WIDE = 100.0, 150.0
"""Least and most distance of two columns."""
WANTED = 1250.0
"""Width that a diagram takes if its columns allow it."""
REACH = 96.0
HEAD = 84.0
TOGETHER_NS = 40_000
"""What happens within that is drawn as one instant: a program's turn takes about so long."""
_WAIT_NS = 50_000_000
"""A wait longer than that is told."""


@dataclass(slots=True)
class Layout:
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
    steps: frozenset[int] = frozenset()
    """Numbers of the phases that stand for a step of RFC 6252."""
    height: float = 0.0

    def y(self, t_ns: int) -> float:
        """The height of a time that has one, or of the last before it."""
        found = self.instants[0][1]
        for instant_ns, y in self.instants:
            if instant_ns > t_ns:
                break
            found = y
        return found


def lay_out(ladder: Ladder) -> Layout:
    """Give everything its place."""
    lanes = _lanes(ladder.phases)
    left = TIME + 10 + LANE * (max(lanes.values(), default=0) + 1) + MARGIN
    gaps = max(len(ladder.columns) - 1, 1)
    step = (WANTED - left - MARGIN - REACH) / gaps
    step = min(max(step, NARROW), WIDE)
    x = {column: left + step * number for number, column in enumerate(ladder.columns)}
    layout = Layout(x, step, left + step * gaps + MARGIN + REACH, lanes)
    layout.steps = frozenset(_steps(ladder))
    _instants(ladder, layout)
    return layout


def _steps(ladder: Ladder) -> Iterator[int]:
    """Phases of a prepared handover that come in the order of the steps.

    A binding update after the switch, say, is no third step.
    """
    reached = 0
    for number, phase in enumerate(ladder.phases):
        step = PHASES[phase.name].step if phase.name in PHASES else 0
        if ladder.prepared and step >= reached and step:
            reached = step
            yield number


def _lanes(phases: Sequence[Phase]) -> dict[int, int]:
    """Phases that overlap stand side by side."""
    free: list[int] = []
    found = {}
    for number, phase in enumerate(phases):
        lane = next((n for n, end in enumerate(free) if end <= phase.start_ns), len(free))
        free[lane : lane + 1] = [phase.end_ns]
        found[number] = lane
    return found


def _instants(ladder: Ladder, layout: Layout) -> None:
    """Give every item a line and every edge a height, from the top down."""
    lines = [(line_ns(item), number) for number, item in enumerate(ladder.items)]
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


def _least(ladder: Ladder, layout: Layout, t_ns: int) -> list[float]:
    """How far down phases that end now must reach, so that their names fit."""
    return [
        layout.boxes[number][0] + BOX
        for number, phase in enumerate(ladder.phases)
        if number in layout.boxes and 0 <= phase.end_ns - t_ns <= TOGETHER_NS
    ]


def _boxes(ladder: Ladder, layout: Layout, begin_ns: int, end_ns: int, y: float) -> float:
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


def line_ns(item: Arrow | Remark) -> int:
    """The time whose line an item stands on: of an exchange the end."""
    if isinstance(item, Remark):
        return item.t_ns
    return item.end_ns if item.both else item.start_ns


def _stretch(waited_ns: int) -> float:
    """Pixels more for a long wait."""
    return min(30.0, 3 * math.log2(waited_ns / _WAIT_NS))
