"""How much may be prepared at once, and be said for it (RFC 6252 s7.2, C.4). Sans-IO."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from mpa_hil.handover.options import Level

from .situation import Situation

_NS_PER_MINUTE = 60_000_000_000
AUTHENTICATIONS_MOST = 32
"""PMKs that hostapd and wpa_supplicant keep at most, oldest out (wpa_supplicant's pmksa cache)."""
STEP_OCTETS = {Level.AUTHENTICATED: 12_000, Level.CONFIGURED: 1_500, Level.BOUND: 1_500}
"""Signalling that a step costs over the air, about: EAP-TLS in PANA with certificates of 2 kB;
an address; a tunnel and a binding update."""


class Limits(NamedTuple):
    """The owner's."""

    authentications: int
    addresses: int
    tunnels: int
    octets_per_minute: int
    """Signalling; 0: without limit."""


class Budget:
    """What preparations may still cost."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._spent: deque[tuple[int, int]] = deque()
        self._octets = 0

    def allowed(self, situation: Situation, target: str, wanted: Level) -> Level:
        """The highest level up to `wanted` that the target can still have.

        What the target holds itself is not counted twice.
        """
        held = [each for ap, each in situation.holdings.items() if ap != target]
        mine = situation.level(target)
        octets = self.octets_left(situation.now_ns)
        level = Level.REACTIVE
        for step, count, most in (
            (Level.AUTHENTICATED, len(held), self.limits.authentications),
            (Level.CONFIGURED, sum(each.level >= 2 for each in held), self.limits.addresses),
            (Level.BOUND, sum(each.tunnel for each in held), self.limits.tunnels),
        ):
            if step > wanted:
                break
            if mine < step:
                octets -= STEP_OCTETS[step]
                if count >= most or octets < 0:
                    break
            level = step
        return level

    def spend(self, now_ns: int, reached: int, level: Level) -> None:
        """A preparation from `reached` to `level` is begun."""
        octets = sum(cost for step, cost in STEP_OCTETS.items() if reached < step <= level)
        self._spent.append((now_ns, octets))
        self._octets += octets

    def octets_left(self, now_ns: int) -> int:
        """For the minute that ends now."""
        while self._spent and self._spent[0][0] <= now_ns - _NS_PER_MINUTE:
            self._octets -= self._spent.popleft()[1]
        return (self.limits.octets_per_minute or 1 << 60) - self._octets
