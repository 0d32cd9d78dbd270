"""When a step begins: threshold with hysteresis and dwell, rate of fall, time left. Sans-IO."""

from __future__ import annotations

from math import exp, inf, log
from typing import Literal

_LN_10 = log(10)
Reason = Literal["threshold", "rate-of-fall", "time-left"]


def time_left_s(
    level_db: float,
    slope_db_s: float,
    floor_db: float,
    least_db_s: float,
    exponent: float = 0.0,
) -> float:
    """How long until a falling signal is at the floor; infinite where it does not fall.

    Args:
        least_db_s: a slope that is flatter counts as none: it is noise.
        exponent: of the path loss. A node that walks away from an access point at an even speed
            sees its signal fall ever more slowly: with the loss 10 n lg(d / m), a slope of -s now
            is gone down by x dB after 10 n / (s ln 10) (10^(x / 10 n) - 1). 0: straight on.
    """
    if slope_db_s >= -least_db_s:
        return inf
    if level_db <= floor_db:
        return 0.0
    fall_db = level_db - floor_db
    if exponent <= 0:
        return fall_db / -slope_db_s
    decade_db = 10 * exponent
    return decade_db / (-slope_db_s * _LN_10) * (exp(fall_db / decade_db * _LN_10) - 1)


class Trigger:
    """One step's. It is on or off; each change must have been asked for during `confirm_ns`.

    Args:
        level_db: below it the step is wanted.
        hysteresis_db: so much above it, and slowly enough, it is wanted no more.
        fall_db_s: falling faster the step is wanted whatever the level.
        rise_db_s: rising faster the level does not matter: it gets better by itself.
        confirm_ns: to go on.
        release_ns: to go off.
    """

    __slots__ = (
        "_confirm_ns",
        "_fall_db_s",
        "_level_db",
        "_off_db",
        "_release_ns",
        "_rise_db_s",
        "_since_ns",
        "reason",
    )

    def __init__(
        self,
        level_db: float,
        hysteresis_db: float,
        fall_db_s: float,
        rise_db_s: float,
        confirm_ns: int,
        release_ns: int,
    ) -> None:
        self._level_db = level_db
        self._off_db = level_db + hysteresis_db
        self._fall_db_s = fall_db_s
        self._rise_db_s = rise_db_s
        self._confirm_ns = confirm_ns
        self._release_ns = release_ns
        self.clear()

    def clear(self) -> None:
        """Off, as at the start: another access point is looked at."""
        self.reason: Reason | None = None
        self._since_ns = -1

    def update(
        self, level_db: float, slope_db_s: float, left_s: float, needed_s: float, now_ns: int
    ) -> Reason | None:
        """Why the step is wanted now; None: it is not.

        Args:
            left_s: until the step must be done.
            needed_s: for doing it.
        """
        wish: Reason | None
        if level_db < self._level_db and slope_db_s < self._rise_db_s:
            wish = "threshold"
        elif left_s <= needed_s:
            wish = "time-left"
        elif slope_db_s < -self._fall_db_s:
            wish = "rate-of-fall"
        else:
            wish = None
        if self.reason is None:
            changing, after_ns = wish is not None, self._confirm_ns
        else:
            changing, after_ns = wish is None and level_db >= self._off_db, self._release_ns
        if not changing:
            self._since_ns = -1
        elif self._since_ns < 0 and after_ns > 0:
            self._since_ns = now_ns
        elif now_ns - self._since_ns >= after_ns or after_ns <= 0:
            self.reason, self._since_ns = wish, -1
        return self.reason


__all__ = ["Reason", "Trigger", "time_left_s"]
