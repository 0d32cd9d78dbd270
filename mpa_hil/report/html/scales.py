"""Axes: from values to coordinates, and the round values that they are marked with. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten apart) from `low` to `high`, `most` of them."""
    if not high > low:
        return [low]
    least = (high - low) / max(most, 1)
    power = 10.0 ** math.floor(math.log10(least))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= least * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def label(value: float) -> str:
    """A tick's text: spaces between thousands, a true minus."""
    text = f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.3g}"
    return text.replace(",", " ").replace("-", "−")


@dataclass(frozen=True, slots=True)
class Linear:
    """An axis of equal steps."""

    low: float
    high: float
    start: float
    """Coordinate of `low`."""
    end: float
    """Coordinate of `high`."""

    def __call__(self, value: float) -> float:
        """The coordinate of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Where the axis is marked."""
        return ticks(self.low, self.high, most)


@dataclass(frozen=True, slots=True)
class Wide:
    """An axis from 0 for values of very different size.

    Logarithmic above `knee`, linear below it (inverse hyperbolic sine), so that 0 has a place.
    """

    high: float
    start: float
    end: float
    knee: float = 1.0

    def __call__(self, value: float) -> float:
        """The coordinate of a value; one below 0 stands at 0."""
        part = math.asinh(max(value, 0.0) / self.knee) / math.asinh(self.high / self.knee)
        return self.start + part * (self.end - self.start)

    def ticks(self) -> Sequence[float]:
        """0 and the powers of ten."""
        found = [0.0]
        power = self.knee
        while power <= self.high * 1.001:
            found.append(power)
            power *= 10
        return found
