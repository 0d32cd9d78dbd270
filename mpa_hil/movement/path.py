"""Where the MN is: straight legs between waypoints, pauses at them. Sans-IO."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

TOP_SPEED_MPS = 100.0
"""Faster than any train; a leg beyond it is a slip of the pen."""


@dataclass(frozen=True, slots=True)
class Leg:
    """A straight way at an even speed, or a stay.

    Attributes:
        begin_s: when it begins.
        end_s: when it ends, later than that.
        origin, target: positions in m; the same for a stay.
    """

    begin_s: float
    end_s: float
    origin: tuple[float, float]
    target: tuple[float, float]

    @property
    def length_m(self) -> float:
        """From one end to the other."""
        return math.dist(self.origin, self.target)

    @property
    def speed_mps(self) -> float:
        """Along it."""
        return self.length_m / (self.end_s - self.begin_s)


@dataclass(frozen=True, slots=True)
class Waypoint:
    """A place on the way.

    Attributes:
        x_m, y_m: where.
        t_s: when the MN comes here, or
        speed_mps: how fast it comes here from the place before; of the first place neither.
        pause_s: how long it stays.
    """

    x_m: float
    y_m: float
    t_s: float | None = None
    speed_mps: float | None = None
    pause_s: float = 0.0

    @property
    def position(self) -> tuple[float, float]:
        """In m."""
        return self.x_m, self.y_m


class BadWaypoint(ValueError):
    """A waypoint that cannot be come to.

    Attributes:
        index: which one, from 0.
        key: what of it is wrong.
        remedy: what to write instead.
    """

    def __init__(self, index: int, key: str, what: str, remedy: str) -> None:
        super().__init__(what)
        self.index, self.key, self.remedy = index, key, remedy


class Path:
    """The way through some waypoints, in order.

    Raises:
        BadWaypoint: one that cannot be come to as it says.
    """

    def __init__(self, waypoints: Sequence[Waypoint]) -> None:
        first = waypoints[0]
        if first.speed_mps is not None or first.t_s not in (None, 0.0):
            key = "speed_mps" if first.speed_mps is not None else "t_s"
            raise BadWaypoint(0, key, "the MN begins here, at 0 s", f"leave out `{key}`")
        self._start = first.position
        legs: list[Leg] = []
        now_s = _stay(legs, first, 0.0)
        for index, waypoint in enumerate(waypoints[1:], 1):
            end_s = _arrival_s(index, waypoints[index - 1], waypoint, now_s)
            legs.append(Leg(now_s, end_s, waypoints[index - 1].position, waypoint.position))
            if legs[-1].speed_mps > TOP_SPEED_MPS:
                raise BadWaypoint(
                    index,
                    "t_s",
                    f"{legs[-1].length_m:g} m in {end_s - now_s:g} s are "
                    f"{legs[-1].speed_mps:.0f} m/s",
                    f"allow more time: {TOP_SPEED_MPS:g} m/s are the most",
                )
            now_s = _stay(legs, waypoint, end_s)
        self.legs = tuple(legs)
        self._begins = [leg.begin_s for leg in legs]
        self.end_s = now_s

    @property
    def top_speed_mps(self) -> float:
        """The fastest leg's; 0: the MN stands still."""
        return max((leg.speed_mps for leg in self.legs), default=0.0)

    def position(self, t_s: float) -> tuple[float, float]:
        """Where the MN is, in m; before the beginning and after the end, at those."""
        at = bisect.bisect_right(self._begins, t_s) - 1
        if at < 0:
            return self._start
        leg = self.legs[at]
        share = min((t_s - leg.begin_s) / (leg.end_s - leg.begin_s), 1.0)
        (x, y), (to_x, to_y) = leg.origin, leg.target
        return x + share * (to_x - x), y + share * (to_y - y)


def _stay(legs: list[Leg], waypoint: Waypoint, now_s: float) -> float:
    if not waypoint.pause_s:
        return now_s
    end_s = now_s + waypoint.pause_s
    legs.append(Leg(now_s, end_s, waypoint.position, waypoint.position))
    return end_s


def _arrival_s(index: int, before: Waypoint, waypoint: Waypoint, now_s: float) -> float:
    if (waypoint.t_s is None) == (waypoint.speed_mps is None):
        what = "neither when nor how fast" if waypoint.t_s is None else "both when and how fast"
        raise BadWaypoint(
            index, "speed_mps", f"it says {what} the MN comes here", "give t_s or speed_mps"
        )
    if waypoint.position == before.position:
        raise BadWaypoint(
            index, "x_m", "it is the same place as the waypoint before", "give that one `pause_s`"
        )
    if waypoint.speed_mps is not None:
        return now_s + math.dist(before.position, waypoint.position) / waypoint.speed_mps
    assert waypoint.t_s is not None
    if waypoint.t_s <= now_s:
        raise BadWaypoint(
            index,
            "t_s",
            f"{waypoint.t_s:g} s, but the MN leaves the waypoint before at {now_s:g} s",
            "list waypoints in the order of time, pauses included",
        )
    return waypoint.t_s
