"""When a look around is worth the hole that it makes in the stream. Sans-IO.

A scan of one channel takes the radio off its own for 64 to 78 ms.
"""

from __future__ import annotations

from math import isinf

from .interface import Probe, Value
from .ranking import Track
from .situation import Situation

_NS_PER_S = 1_000_000_000
_RESCAN_NS = 1_500_000_000
"""Between scans of one channel while the switch waits for a candidate that is good enough."""
_NEXT_NS = 250_000_000
"""And of one channel and the next: behind a corner all that was heard before it is old."""
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
        self._last_ns = -self._every_ns
        self._test_until_ns = 0
        self._looked: dict[int, int] = {}
        """By channel (MHz): when it was last scanned, ns."""

    def probe(
        self,
        here: Situation,
        best: Track | None,
        left_s: float,
        target: str,
        *,
        short: bool,
        blocked: bool,
        urgent: bool,
    ) -> Probe | None:
        """A scan, if one is due, while the serving access point will not do for long.

        Args:
            best: candidate.
            left_s: until the switch, as predicted.
            target: who is being prepared.
            short: of alternatives: others may be there on channels that were not looked at.
            blocked: the switch is wanted now, and no candidate is good enough as far as is known:
                then waiting without looking costs more than a hole.
            urgent: and the link will be lost soon.
        """
        now_ns = here.now_ns
        fresh_ns, every_ns = self._fresh_ns, self._every_ns
        pause_ns = every_ns
        if blocked and urgent:
            fresh_ns, every_ns = min(fresh_ns, _RESCAN_NS), min(every_ns, _RESCAN_NS)
            pause_ns = min(every_ns, _NEXT_NS)
        if now_ns < self._last_ns + pause_ns:
            return None
        stale = best is None or now_ns - best.heard_ns > fresh_ns
        if not (stale or blocked or short):
            return None
        bound = any(held.level >= 3 and not held.context for held in here.holdings.values())
        if not blocked and (left_s <= self._guard_s or bound):
            return None
        whom = best.ap if best is not None else target
        frequency_mhz = self._channel(here, whom, now_ns - every_ns, stale)
        if frequency_mhz is None:
            return None
        self._last_ns = now_ns
        inputs: dict[str, Value] = {
            "best": whom,
            "heard_s": None if best is None else (now_ns - best.heard_ns) / _NS_PER_S,
            "to_switch_s": None if isinf(left_s) else round(left_s, 3),
            "guard_s": self._guard_s,
            "bound": bound,
        }
        rule = "scan-none" if best is None else "scan-blocked" if blocked else "scan-stale"
        if rule == "scan-stale" and not stale:
            rule = "scan-others"
        return Probe("scan", whom, frequency_mhz, rule=rule, inputs=inputs)

    def _channel(self, here: Situation, whom: str, before_ns: int, stale: bool) -> int | None:
        """The one that was longest not looked at; of two, that of `whom` if stale.

        None: all were looked at since `before_ns`; 0: the channel is not known.
        """
        wanted = here.candidate(whom).frequency_mhz if stale else 0
        known = {
            about.frequency_mhz
            for ap, about in here.candidates.items()
            if ap != here.serving and about.frequency_mhz
        }
        if not known:
            return 0 if stale else None
        never_ns = min(before_ns, 0)
        chosen = min(
            known, key=lambda each: (self._looked.get(each, never_ns), each != wanted, each)
        )
        if self._looked.get(chosen, never_ns) > before_ns:
            return None
        self._looked[chosen] = here.now_ns
        return chosen

    def left(self, frequency_mhz: int, now_ns: int) -> None:
        """The node was on that channel until now: it needs no look."""
        self._looked[frequency_mhz] = now_ns

    def done(self, now_ns: int) -> None:
        """A probe was answered."""
        self._test_until_ns = 0

    def testing(self, now_ns: int) -> bool:
        """Whether a reachability test is under way."""
        return now_ns < self._test_until_ns

    def test(self, now_ns: int) -> None:
        """One begins."""
        self._test_until_ns = now_ns + _TEST_NS
