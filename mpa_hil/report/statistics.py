"""Spread of a figure over repeated runs, each term defined exactly.

Pure Python: a report of a few dozen runs does not need a numerical library.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
RESAMPLES = 2000
"""Bootstrap resamples: the interval's ends are then good to about a percent of its width."""
FEWEST_FOR_INTERVAL = 6
"""Below six runs even the whole range holds the true median with less than 95 % (1 - 2 / 2^n)."""


def percentile(values: Sequence[float], percent: float) -> float:
    """Percentile by linear interpolation between order statistics (Hyndman and Fan, type 7).

    With the n values sorted and h = (n - 1) * percent / 100, it lies between the values number
    floor(h) and floor(h) + 1, counted from 0, in proportion. Percent 0 is the minimum, 100 the
    maximum, 50 the median. It is what spreadsheets and numpy compute by default.

    Raises:
        ValueError: no values, a value that is no number, or percent outside 0..100.
    """
    if not values or not 0 <= percent <= 100 or any(math.isnan(v) for v in values):
        raise ValueError(f"no percentile {percent} of {len(values)} values")
    ordered = sorted(values)
    position = (len(ordered) - 1) * percent / 100
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    low, high = ordered[below], ordered[above]
    between = low + (high - low) * (position - below)
    return min(max(between, low), high)  # rounding must not leave the two


def median(values: Sequence[float]) -> float:
    """The 50th percentile: the middle value, or the mean of the middle two."""
    return percentile(values, 50)


def median_interval(values: Sequence[float], seed: int = 1) -> tuple[float, float] | None:
    """95 % bootstrap confidence interval of the median (percentile method).

    The medians of 2000 resamples with replacement are taken; the interval is their 2.5th to 97.5th
    percentile. The same values and seed give the same interval on every machine.

    Returns:
        The two ends, or None for fewer than six values.
    """
    count = len(values)
    if count < FEWEST_FOR_INTERVAL:
        return None
    draw = random.Random(seed)
    ordered = sorted(values)
    medians = [median(draw.choices(ordered, k=count)) for _ in range(RESAMPLES)]
    tail = 50 * (1 - CONFIDENCE)
    return percentile(medians, tail), percentile(medians, 100 - tail)


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over the runs that have it."""

    count: int
    minimum: float
    median: float
    p95: float
    maximum: float
    interval: tuple[float, float] | None
    """95 % confidence interval of the median; None for fewer than six runs."""


def spread(values: Sequence[float | None], seed: int = 1) -> Spread | None:
    """The spread of those values that are numbers; None when none is."""
    known = [float(v) for v in values if v is not None]
    if not known:
        return None
    return Spread(
        count=len(known),
        minimum=min(known),
        median=median(known),
        p95=percentile(known, 95),
        maximum=max(known),
        interval=median_interval(known, seed),
    )
