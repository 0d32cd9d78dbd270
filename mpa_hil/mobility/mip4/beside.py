"""Care-of addresses that a home agent keeps beside a node's latest one (RFC 5944 s3.3, S bit).

A node that is in doubt where it will be asks for it; who is not, asks without, and all others are
forgotten. So that no node has its packets sent to two places for ever, each is kept for a bounded
time, whatever lifetime it had been granted.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from mpa_hil.mobility.interface import NS_PER_S
from mpa_hil.mobility.mip4.bindings import Binding

MOST = 2
"""Of one node; a further one takes the place of the oldest."""


class Beside:
    """Of all nodes.

    Args:
        limit_s: for how long; 0: not at all.
    """

    def __init__(self, limit_s: int) -> None:
        self._limit_ns = limit_s * NS_PER_S
        self._until_ns: dict[IPv4Address, dict[IPv4Address, int]] = {}
        """By home and care-of address, the latest last."""

    def of(self, home: IPv4Address) -> tuple[IPv4Address, ...]:
        """A node's, the latest last."""
        return tuple(self._until_ns.get(home, ()))

    def keep(self, old: Binding | None, care_of: IPv4Address, now_ns: int) -> None:
        """Another care-of address is the node's from now on, and the one before stays beside it."""
        if old is None or not self._limit_ns:
            return
        kept = self._until_ns.setdefault(old.home_address, {})
        if old.care_of != care_of:
            until_ns = now_ns + self._limit_ns
            kept[old.care_of] = min(until_ns, old.expires_ns or until_ns)
        kept.pop(care_of, None)
        while len(kept) > MOST:
            del kept[next(iter(kept))]
        self._tidy(old.home_address)

    def drop(self, home: IPv4Address, care_of: IPv4Address) -> None:
        """One of them is given up; none there is fine."""
        self._until_ns.get(home, {}).pop(care_of, None)
        self._tidy(home)

    def clear(self, home: IPv4Address) -> None:
        """All of a node's are."""
        self._until_ns.pop(home, None)

    def expire(self, now_ns: int) -> tuple[IPv4Address, ...]:
        """Forget those whose time is over; whose they were."""
        changed = []
        for home, kept in tuple(self._until_ns.items()):
            over = [care_of for care_of, until_ns in kept.items() if until_ns <= now_ns]
            for care_of in over:
                del kept[care_of]
            if over:
                changed.append(home)
            self._tidy(home)
        return tuple(changed)

    def next_deadline(self) -> int | None:
        """CLOCK_MONOTONIC ns of the next end; None: none is kept."""
        return min((t for kept in self._until_ns.values() for t in kept.values()), default=None)

    def _tidy(self, home: IPv4Address) -> None:
        if not self._until_ns.get(home, True):
            del self._until_ns[home]
