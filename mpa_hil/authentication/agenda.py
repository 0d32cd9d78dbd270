"""Moments at which an association wants to be looked at again. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from heapq import heappop, heappush

from mpa_hil.mobility.interface import Instant


class Matter(IntEnum):
    """What to look at."""

    PRESENCE = 1
    """Is it still seen by no access point?"""
    RENEWAL = 2
    """Is it time to authenticate it anew?"""


class Agenda:
    """Entries in order of time. None is ever taken out early: whoever is called looks again."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, Matter, int]] = []

    def put(self, at_ns: int, matter: Matter, session_id: int) -> None:
        """Look at this then (monotonic nanoseconds)."""
        heappush(self._entries, (at_ns, matter, session_id))

    def due(self, now: Instant) -> Iterator[tuple[int, Matter, int]]:
        """What is due, with its time, each once."""
        while self._entries and self._entries[0][0] <= now.monotonic_ns:
            yield heappop(self._entries)

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next entry, or None."""
        return self._entries[0][0] if self._entries else None
