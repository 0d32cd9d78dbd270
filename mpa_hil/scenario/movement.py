"""What the signal trace means: the signal at any time, and the switches that it asks for."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from .model import Movement


@dataclass(frozen=True, slots=True)
class Switch:
    """A handover that a trace asks for.

    Attributes:
        leave_s: when the signal of `old` falls below the leave threshold.
        lost_s: when `old` is no longer heard; None when the trace never goes so far.
        old: access point left.
        new: access point that is strongest at `leave_s` among the others.
    """

    leave_s: float
    lost_s: float | None
    old: str
    new: str


def signal_dbm(movement: Movement, ap: str, t_s: float) -> float:
    """The signal of an AP at the MN: straight lines between points, level outside them.

    Raises:
        KeyError: the trace has no point for this AP.
    """
    points = [point for point in movement.points if point.ap == ap]
    if not points:
        raise KeyError(ap)
    after = bisect.bisect_right([point.t_s for point in points], t_s)
    if after == 0:
        return points[0].signal_dbm
    if after == len(points):
        return points[-1].signal_dbm
    left, right = points[after - 1], points[after]
    share = (t_s - left.t_s) / (right.t_s - left.t_s)
    return left.signal_dbm + share * (right.signal_dbm - left.signal_dbm)


def falls_to(movement: Movement, ap: str, level_dbm: float, since_s: float = 0.0) -> float | None:
    """When the AP's signal reaches the level from above, first since then; None: it never does."""
    points = [point for point in movement.points if point.ap == ap]
    for left, right in itertools.pairwise(points):
        if left.signal_dbm > level_dbm >= right.signal_dbm:
            share = (left.signal_dbm - level_dbm) / (left.signal_dbm - right.signal_dbm)
            t_s = left.t_s + share * (right.t_s - left.t_s)
            if t_s >= since_s:
                return t_s
    return None


def end_s(movement: Movement) -> float:
    """When the last point of the trace is."""
    return max(point.t_s for point in movement.points)


def switch(movement: Movement) -> Switch | None:
    """The first switch that the trace asks for; None when the MN never has to leave an AP."""
    return next(_switches(movement), None)


def switches(movement: Movement) -> tuple[Switch, ...]:
    """Every switch that the trace asks for, in order: there, back again, and on."""
    return tuple(_switches(movement))


def _switches(movement: Movement) -> Iterator[Switch]:
    here, since_s = movement.start, 0.0
    names = {point.ap for point in movement.points}
    while True:
        leave_s = falls_to(movement, here, movement.leave_dbm, since_s)
        others = names - {here}
        if leave_s is None or not others:
            return
        new = max(sorted(others), key=lambda ap: signal_dbm(movement, ap, leave_s))
        yield Switch(leave_s, falls_to(movement, here, movement.lost_dbm, leave_s), here, new)
        if signal_dbm(movement, new, leave_s) <= movement.leave_dbm:
            return  # nowhere to go on from
        here, since_s = new, leave_s
