"""The MMP `none`: nobody is told, so sessions bound to the old address end with it."""

from __future__ import annotations

from mpa_hil.mobility.interface import Address, Endpoint, Instant, MobileOutput


class NoMobility:
    """A `MobilityProtocol` that does nothing: the baseline, and the choice on one subnet."""

    name = "none"

    def register(self, care_of: Address, now: Instant) -> tuple[MobileOutput, ...]:
        """Nothing to tell anybody."""
        return ()

    def deregister(self, now: Instant) -> tuple[MobileOutput, ...]:
        """Nothing to take back."""
        return ()

    def receive(self, datagram: bytes, source: Endpoint, now: Instant) -> tuple[MobileOutput, ...]:
        """Nobody writes to it."""
        return ()

    def expire(self, now: Instant) -> tuple[MobileOutput, ...]:
        """Nothing is ever due."""
        return ()

    def next_deadline(self) -> int | None:
        """Never."""
        return None
