"""What the MN hears of each access point over time: from a trace, or from a walk. Sans-IO."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mpa_hil.movement.path import Path
from mpa_hil.movement.propagation import Channel, Model, Transmitter

COARSEST_S, FINEST_S = 0.1, 0.05
"""Between two settings of a radio. A beacon comes every 0.1024 s, so a finer step would show in
data frames alone; what is read of them some times a second has a fade each, as it would have."""
_TRACE_STEP_S = 0.1
_SHADOWS = 10
"""Steps within the correlation distance of shadowing."""
_FADES = 4
"""Steps within a wavelength of fading."""
_ROUNDED = 2
"""Decimals of a signal: what a platform's cosine does in its last digit shows nowhere."""


class Course(Protocol):
    """Signals over time."""

    @property
    def aps(self) -> tuple[str, ...]:
        """Access points, in a fixed order."""

    @property
    def end_s(self) -> float:
        """From when on nothing changes any more."""

    @property
    def step_s(self) -> float:
        """How often to look."""

    def signal_dbm(self, ap: str, t_s: float) -> float:
        """What the MN receives of an access point; KeyError: there is none of that name."""

    def mean_dbm(self, ap: str, t_s: float) -> float:
        """The same without fast fading: what range goes by."""

    def heard(self, t_s: float) -> Sequence[tuple[float, float]]:
        """Signal and mean of each access point, in the order of `aps`."""

    def knots(self, ap: str) -> Sequence[tuple[float, float]]:
        """Times and means between which a straight line will do."""


class Trace:
    """Signals as they are given: straight lines between points, level before and after.

    Args:
        points: (t_s, signal_dbm) of each access point in the order of time; at least one each.
    """

    def __init__(self, points: Mapping[str, Sequence[tuple[float, float]]]) -> None:
        self._points = {ap: tuple(some) for ap, some in points.items()}
        self._times = {ap: [t_s for t_s, _ in some] for ap, some in self._points.items()}

    @property
    def aps(self) -> tuple[str, ...]:
        """See `Course`."""
        return tuple(self._points)

    @property
    def end_s(self) -> float:
        """See `Course`."""
        return max(times[-1] for times in self._times.values())

    @property
    def step_s(self) -> float:
        """See `Course`."""
        return _TRACE_STEP_S

    def signal_dbm(self, ap: str, t_s: float) -> float:
        """See `Course`."""
        points = self._points[ap]
        after = bisect.bisect_right(self._times[ap], t_s)
        if after == 0:
            return points[0][1]
        if after == len(points):
            return points[-1][1]
        (left_s, left_dbm), (right_s, right_dbm) = points[after - 1], points[after]
        return left_dbm + (t_s - left_s) / (right_s - left_s) * (right_dbm - left_dbm)

    def mean_dbm(self, ap: str, t_s: float) -> float:
        """See `Course`: a trace has no fading that could be told from the rest."""
        return self.signal_dbm(ap, t_s)

    def heard(self, t_s: float) -> Sequence[tuple[float, float]]:
        """See `Course`."""
        return [(dbm, dbm) for dbm in (self.signal_dbm(ap, t_s) for ap in self._points)]

    def knots(self, ap: str) -> Sequence[tuple[float, float]]:
        """See `Course`."""
        return self._points[ap]


class Walk:
    """Signals along a path, by a model of propagation.

    Args:
        seed: of every random number.
    """

    def __init__(
        self, path: Path, transmitters: Sequence[Transmitter], model: Model, seed: int
    ) -> None:
        self.path = path
        self._channels = {each.name: Channel(model, seed, each) for each in transmitters}
        self._step_s = _walk_step_s(path, transmitters, model)

    @property
    def aps(self) -> tuple[str, ...]:
        """See `Course`."""
        return tuple(self._channels)

    @property
    def end_s(self) -> float:
        """See `Course`: arrival at the last waypoint, and the stay there."""
        return self.path.end_s

    @property
    def step_s(self) -> float:
        """See `Course`: fine enough for the speed."""
        return self._step_s

    def signal_dbm(self, ap: str, t_s: float) -> float:
        """See `Course`."""
        return self._hear(self._channels[ap], *self._place(t_s))[0]

    def mean_dbm(self, ap: str, t_s: float) -> float:
        """See `Course`."""
        return self._hear(self._channels[ap], *self._place(t_s))[1]

    def heard(self, t_s: float) -> Sequence[tuple[float, float]]:
        """See `Course`."""
        place = self._place(t_s)
        return [self._hear(channel, *place) for channel in self._channels.values()]

    def knots(self, ap: str) -> Sequence[tuple[float, float]]:
        """See `Course`."""
        return [(t_s, self.mean_dbm(ap, t_s)) for t_s in steps(self)]

    def _place(self, t_s: float) -> tuple[float, float, float]:
        t_s = min(max(t_s, 0.0), self.path.end_s)
        return *self.path.position(t_s), t_s

    def _hear(self, channel: Channel, x_m: float, y_m: float, t_s: float) -> tuple[float, float]:
        mean_dbm = channel.mean_dbm(x_m, y_m)
        signal_dbm = mean_dbm + channel.fade_db(x_m, y_m, t_s)
        return round(signal_dbm, _ROUNDED), round(mean_dbm, _ROUNDED)


def steps(course: Course) -> Iterator[float]:
    """Times to look at a course, from 0 to its end."""
    count = math.ceil(round(course.end_s / course.step_s, 6))
    yield from (number * course.step_s for number in range(count))
    yield course.end_s


def _walk_step_s(path: Path, transmitters: Sequence[Transmitter], model: Model) -> float:
    """Whole milliseconds, so that a step's time is the same number on each machine."""
    wanted_s = COARSEST_S
    if path.top_speed_mps and model.shadowing_db:
        wanted_s = min(wanted_s, model.correlation_m / _SHADOWS / path.top_speed_mps)
    if model.fading != "none":
        wavelength_m = min(each.wavelength_m for each in transmitters)
        fastest_mps = max(path.top_speed_mps, model.surroundings_mps)
        if fastest_mps:
            wanted_s = min(wanted_s, wavelength_m / _FADES / fastest_mps)
    return max(math.floor(wanted_s * 1000), round(FINEST_S * 1000)) / 1000


@dataclass(frozen=True, slots=True)
class Switch:
    """A handover that a course asks for.

    Attributes:
        leave_s: when the signal of `old` falls below the leave threshold.
        lost_s: when `old` is no longer heard; None when it never goes so far.
        old: access point left.
        new: access point that is strongest at `leave_s` among the others.
    """

    leave_s: float
    lost_s: float | None
    old: str
    new: str


def falls_to(course: Course, ap: str, level_dbm: float, since_s: float = 0.0) -> float | None:
    """When the AP's mean signal reaches the level from above, first since then; None: never."""
    return _fall(course.knots(ap), level_dbm, since_s)


def switches(course: Course, start: str, leave_dbm: float, lost_dbm: float) -> tuple[Switch, ...]:
    """Every switch that a course asks for, in order, of one who leaves below `leave_dbm`."""
    knots = {ap: course.knots(ap) for ap in course.aps}
    found: list[Switch] = []
    here, since_s = start, 0.0
    while True:
        leave_s = _fall(knots[here], leave_dbm, since_s)
        others = sorted(set(knots) - {here})
        if leave_s is None or not others:
            return tuple(found)
        at_s = leave_s
        new = max(others, key=lambda ap: course.mean_dbm(ap, at_s))
        found.append(Switch(leave_s, _fall(knots[here], lost_dbm, leave_s), here, new))
        if course.mean_dbm(new, leave_s) <= leave_dbm:
            return tuple(found)  # nowhere to go on from
        here, since_s = new, leave_s


def _fall(knots: Sequence[tuple[float, float]], level_dbm: float, since_s: float) -> float | None:
    for (left_s, left_dbm), (right_s, right_dbm) in itertools.pairwise(knots):
        if left_dbm > level_dbm >= right_dbm:
            share = (left_dbm - level_dbm) / (left_dbm - right_dbm)
            t_s = left_s + share * (right_s - left_s)
            if t_s >= since_s:
                return t_s
    return None
