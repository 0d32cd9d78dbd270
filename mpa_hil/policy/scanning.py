"""When a look around is worth the hole that it makes in the stream. Sans-IO.

A scan of one channel takes the radio off its own for 64 to 78 ms.
"""

from __future__ import annotations

from math import isinf

from .interface import Probe, Value
from .ranking import Track
from .situation import Situation

_NS_PER_S = 1_000_000_000
_TEST_NS = 2 * _NS_PER_S
"""A reachability test that takes longer is not waited for."""


class Scanning:
    """Spends holes.

    Args:
        every_s: least time between scans.
        fresh_s: a best candidate that was heard later needs none.
        guard_s: none when a switch is predicted within.
    """

    def __init__(self, every_s: float, fresh_s: float, guard_s: float) -> None:
        self._every_ns = int(every_s * _NS_PER_S)
        self._fresh_ns = int(fresh_s * _NS_PER_S)
        self._guard_s = guard_s
        self._next_ns = 0
        self._test_until_ns = 0

    def probe(
        self, here: Situation, best: Track | None, left_s: float, wanted: bool, target: str
    ) -> Probe | None:
        """A scan, if one is due.

        Args:
            best: candidate.
            left_s: until the switch, as predicted.
            wanted: the serving access point will not do for long.
            target: who is being prepared.
        """
        if not wanted or here.now_ns < self._next_ns:
            return None
        if best is not None and here.now_ns - best.heard_ns <= self._fresh_ns:
            return None
        bound = any(held.level >= 3 and not held.context for held in here.holdings.values())
        if left_s <= self._guard_s or bound:
            return None
        self._next_ns = here.now_ns + self._every_ns
        whom = best.ap if best is not None else target
        inputs: dict[str, Value] = {
            "best": whom,
            "heard_s": None if best is None else (here.now_ns - best.heard_ns) / _NS_PER_S,
            "to_switch_s": None if isinf(left_s) else round(left_s, 3),
            "guard_s": self._guard_s,
        }
        rule = "scan-none" if best is None else "scan-stale"
        frequency = here.candidate(whom).frequency_mhz
        return Probe("scan", whom, frequency, rule=rule, inputs=inputs)

    def done(self, now_ns: int) -> None:
        """A probe was answered."""
        self._test_until_ns = 0

    def testing(self, now_ns: int) -> bool:
        """Whether a reachability test is under way."""
        return now_ns < self._test_until_ns

    def test(self, now_ns: int) -> None:
        """One begins."""
        self._test_until_ns = now_ns + _TEST_NS
