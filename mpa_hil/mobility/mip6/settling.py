"""When a care-of address counts as bound: home agent and correspondents know it, sans-IO."""

from __future__ import annotations

from ipaddress import IPv6Address


class Settling:
    """One change of care-of address at a time."""

    def __init__(self) -> None:
        self._care_of: IPv6Address | None = None
        self._at_home = False
        self.alone = False
        """It replaces one that is dead."""

    def begin(self, care_of: IPv6Address, *, alone: bool) -> None:
        """A care-of address is to be bound; one before that was not is forgotten."""
        self._care_of, self.alone, self._at_home = care_of, alone, False

    def registered(self, care_of: IPv6Address) -> bool:
        """The home agent knows it; whether that is news (a renewal is none)."""
        if care_of != self._care_of or self._at_home:
            return False
        self._at_home = True
        return True

    def bound(self, settled: bool) -> IPv6Address | None:
        """The care-of address, once, when it is bound.

        Args:
            settled: whether the correspondents that matter know it too (`Optimiser.settled`).
        """
        if not (self._at_home and settled):
            return None
        care_of = self._care_of
        self.end()
        return care_of

    def end(self) -> None:
        """Nothing is to be bound any more."""
        self._care_of, self._at_home = None, False
