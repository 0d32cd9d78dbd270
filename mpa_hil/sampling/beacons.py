"""Whether the present access point's beacons still come, from a count that should rise. Sans-IO."""

from __future__ import annotations

TU_NS = 1_024_000
"""The unit of a beacon interval (IEEE 802.11)."""
USUAL_INTERVAL_TU = 100


class BeaconWatch:
    """Counts what did not come.

    Args:
        enough: beacons in a row that are worth telling.
    """

    def __init__(self, enough: int) -> None:
        self._enough = enough
        self._interval_ns = USUAL_INTERVAL_TU * TU_NS
        self._count: int | None = None
        self._rose_ns = 0
        self._told = False

    def begin(self, interval_tu: int | None = None) -> None:
        """On an access point from now on, whose count is not known yet."""
        self._interval_ns = (interval_tu or USUAL_INTERVAL_TU) * TU_NS
        self._count = None
        self._told = False

    def count(self, t_ns: int, received: int) -> int:
        """The driver has received so many; beacons missed in a row, 0: nothing to tell.

        Told once for each time that they stay away.
        """
        if self._count is None or received != self._count:
            self._count, self._rose_ns, self._told = received, t_ns, False
            return 0
        missed = (t_ns - self._rose_ns) // self._interval_ns
        if missed < self._enough or self._told:
            return 0
        self._told = True
        return int(missed)
