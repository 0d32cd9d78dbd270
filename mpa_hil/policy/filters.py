"""A steady signal level and its slope out of readings that jump. Sans-IO.

Readings may come at any times; each filter weighs them by these. After a silence of `GAP_S` a
filter begins anew: what the signal did meanwhile is not known.
"""

from __future__ import annotations

from collections import deque
from math import exp, sqrt
from typing import Literal, Protocol

GAP_S = 5.0
_NS_PER_S = 1_000_000_000
_SLOPE_VARIANCE = 4.0
"""(dB/s)^2, before anything is known of a slope."""
_CORNER_VARIANCE = 25.0
"""The same around a corner."""
_SURPRISE_GAIN, _CORNER = 0.3, 2.5
"""Mean of the latest surprises, in standard deviations, and when it is too much: mere noise
hardly ever comes to it, deep fades do now and then."""
FilterName = Literal["window", "ewma", "kalman", "regression"]


class Filter(Protocol):
    """One signal."""

    level_db: float
    """The best estimate at the last reading."""
    slope_db_s: float
    """How fast it changes; 0 until two readings are known."""

    def add(self, t_ns: int, value_db: float) -> None:
        """Take a reading in; `t_ns` must not be earlier than the last."""
        ...


class Raw:
    """None: the last reading."""

    def __init__(self) -> None:
        self.level_db = self.slope_db_s = 0.0

    def add(self, t_ns: int, value_db: float) -> None:
        """See `Filter`."""
        self.level_db = value_db


class Ewma:
    """Exponentially weighted moving average; its slope is averaged likewise, over twice the time.

    Args:
        time_s: time constant: a step has come through to 63 % after it.
    """

    def __init__(self, time_s: float) -> None:
        self.level_db = self.slope_db_s = 0.0
        self._time_s = time_s
        self._last_ns = -1

    def add(self, t_ns: int, value_db: float) -> None:
        """See `Filter`."""
        step_s = (t_ns - self._last_ns) / _NS_PER_S
        if self._last_ns < 0 or step_s > GAP_S:
            self.level_db, self.slope_db_s = value_db, 0.0
        elif step_s > 0:
            before_db = self.level_db
            self.level_db += (1 - exp(-step_s / self._time_s)) * (value_db - before_db)
            risen_db_s = (self.level_db - before_db) / step_s
            share = 1 - exp(-step_s / (2 * self._time_s))
            self.slope_db_s += share * (risen_db_s - self.slope_db_s)
        self._last_ns = t_ns


class Kalman:
    """Kalman filter for a level that changes at a rate which itself wanders.

    State (level, slope), white noise on the slope's change, readings with white noise. Where
    readings stay away from what was expected, all to one side, the node has turned a corner: the
    filter then believes them, as at its start.

    Args:
        time_s: how long it takes, about, to believe a change, at ten readings a second.
        reading_db: standard deviation of one reading (shadowing and fading that the radio does
            not average away).
    """

    def __init__(self, time_s: float, reading_db: float = 4.0) -> None:
        self.level_db = self.slope_db_s = 0.0
        self._variance = reading_db * reading_db
        # In steady state the filter's time constant is (variance * interval / noise) ** (1 / 4).
        self._noise = self._variance * 0.1 / time_s**4
        self._last_ns = -1
        self._ll = self._ls = self._ss = 0.0
        self._surprise = 0.0

    def add(self, t_ns: int, value_db: float) -> None:
        """See `Filter`."""
        step_s = (t_ns - self._last_ns) / _NS_PER_S
        if self._last_ns < 0 or step_s > GAP_S:
            self.level_db, self.slope_db_s = value_db, 0.0
            self._begin(_SLOPE_VARIANCE)
        else:
            ls, ss, noise = self._ls, self._ss, self._noise
            self.level_db += step_s * self.slope_db_s
            self._ll += step_s * (2 * ls + step_s * ss) + noise * step_s**3 / 3
            self._ls = ls + step_s * ss + noise * step_s * step_s / 2
            self._ss = ss + noise * step_s
            off_db = value_db - self.level_db
            total = self._ll + self._variance
            self._surprise += _SURPRISE_GAIN * (off_db / sqrt(total) - self._surprise)
            if abs(self._surprise) > _CORNER:
                self._begin(_CORNER_VARIANCE)
                total = self._ll + self._variance
            gain, gain_s = self._ll / total, self._ls / total
            self.level_db += gain * off_db
            self.slope_db_s += gain_s * off_db
            self._ss -= gain_s * self._ls
            self._ls *= 1 - gain
            self._ll *= 1 - gain
        self._last_ns = t_ns

    def _begin(self, slope_variance: float) -> None:
        """Hardly anything is known."""
        self._ll, self._ls, self._ss = self._variance, 0.0, slope_variance
        self._surprise = 0.0


class Window:
    """Mean and least-squares slope of the readings of the last `time_s`."""

    def __init__(self, time_s: float) -> None:
        self.level_db = self.slope_db_s = 0.0
        self._length_ns = int(time_s * _NS_PER_S)
        self._readings: deque[tuple[int, float]] = deque()
        self._origin_ns = 0
        self._sums = (0.0, 0.0, 0.0, 0.0)
        self._since_exact = 0

    def add(self, t_ns: int, value_db: float) -> None:
        """See `Filter`."""
        readings = self._readings
        if readings and t_ns - readings[-1][0] > GAP_S * _NS_PER_S:
            readings.clear()
        if not readings or self._since_exact >= 256:
            self._restart(t_ns)
        readings.append((t_ns, value_db))
        t, y, tt, ty = self._sums
        x = (t_ns - self._origin_ns) / _NS_PER_S
        t, y, tt, ty = t + x, y + value_db, tt + x * x, ty + x * value_db
        while readings[0][0] <= t_ns - self._length_ns:
            gone_ns, gone_db = readings.popleft()
            x = (gone_ns - self._origin_ns) / _NS_PER_S
            t, y, tt, ty = t - x, y - gone_db, tt - x * x, ty - x * gone_db
        self._sums = (t, y, tt, ty)
        self._since_exact += 1
        count = len(readings)
        self.level_db = y / count
        spread = tt - t * t / count
        self.slope_db_s = (ty - t * y / count) / spread if spread > 1e-6 else 0.0

    def _restart(self, t_ns: int) -> None:
        """Sums afresh from a near origin: what is added and taken away again leaves crumbs."""
        self._origin_ns, self._since_exact = t_ns, 0
        t = y = tt = ty = 0.0
        for then_ns, value_db in self._readings:
            x = (then_ns - t_ns) / _NS_PER_S
            t, y, tt, ty = t + x, y + value_db, tt + x * x, ty + x * value_db
        self._sums = (t, y, tt, ty)


class Regression(Window):
    """As `Window`, but the level is where the fitted line is at the last reading: no lag on a
    steady slope, at twice the noise."""

    def add(self, t_ns: int, value_db: float) -> None:
        """See `Filter`."""
        super().add(t_ns, value_db)
        mean_s = self._sums[0] / len(self._readings)
        self.level_db += self.slope_db_s * ((t_ns - self._origin_ns) / _NS_PER_S - mean_s)


KINDS: dict[FilterName, type[Window] | type[Ewma] | type[Kalman]] = {
    "window": Window,
    "ewma": Ewma,
    "kalman": Kalman,
    "regression": Regression,
}


def make(name: FilterName, time_s: float) -> Filter:
    """A filter by its name."""
    return KINDS[name](time_s)
