"""When to say a thing again (RFC 5191 s9), and how long a round trip takes (RFC 6298), sans-IO."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mpa_hil.mobility.interface import NS_PER_S

from .settings import Retransmission, Timing

_SPREAD: Final = 0.1
"""RAND is uniform in -0.1 .. +0.1 (RFC 5191 s9)."""


class RoundTrip:
    """Smoothed round-trip time and its variation (RFC 6298 s2)."""

    __slots__ = ("_smoothed_s", "_variation_s")

    def __init__(self) -> None:
        self._smoothed_s: float | None = None
        self._variation_s = 0.0

    def measured(self, seconds: float) -> None:
        """One exchange that needed no repetition (Karn's rule is the caller's)."""
        if self._smoothed_s is None:
            self._smoothed_s, self._variation_s = seconds, seconds / 2
            return
        self._variation_s += (abs(self._smoothed_s - seconds) - self._variation_s) / 4
        self._smoothed_s += (seconds - self._smoothed_s) / 8

    def first_wait_s(self, row: Retransmission, timing: Timing) -> float:
        """IRT: the deployment's, or what the measurements advise if that is less."""
        if not timing.adaptive or self._smoothed_s is None:
            return row.initial_s
        advised = self._smoothed_s + 4 * self._variation_s
        return min(row.initial_s, max(timing.floor_s, advised))


class Timer:
    """The retransmission timer of one message."""

    __slots__ = ("_random", "_row", "_wait_s", "attempts", "due_ns", "started_ns")

    def __init__(
        self, row: Retransmission, initial_s: float, random: Callable[[int], bytes], now_ns: int
    ) -> None:
        self._row = row
        self._random = random
        self._wait_s = wait_s = initial_s + self._rand() * initial_s
        self.started_ns = now_ns
        self.attempts = 1
        """Transmissions so far."""
        self.due_ns = now_ns + max(1, round(wait_s * NS_PER_S))

    def _rand(self) -> float:
        return _SPREAD * (int.from_bytes(self._random(2), "big") / 32767.5 - 1)

    def again(self, now_ns: int) -> bool:
        """At `due_ns`: whether to transmit once more; False when the exchange has failed."""
        row = self._row
        if row.attempts and self.attempts >= row.attempts:
            return False
        if row.duration_s and now_ns - self.started_ns >= row.duration_s * NS_PER_S:
            return False
        self._wait_s = 2 * self._wait_s + self._rand() * self._wait_s
        if row.maximum_s and self._wait_s > row.maximum_s:
            self._wait_s = row.maximum_s + self._rand() * row.maximum_s
        self.attempts += 1
        self.due_ns = now_ns + max(1, round(self._wait_s * NS_PER_S))
        return True
