"""Binding Errors, not too many of them (RFC 6275 s9.3.3)."""

from __future__ import annotations

from ipaddress import IPv6Address

from mpa_hil.mobility.interface import NS_PER_S, Instant
from mpa_hil.mobility.mip6.bindings import SendPacket
from mpa_hil.mobility.mip6.messages import BindingError, Packet
from mpa_hil.mobility.mip6.numbers import ErrorStatus

_REMEMBERED = 256
"""Addresses; a flood from more gets one error to each at most once more."""
_NOBODY = IPv6Address(0)


class ErrorSender:
    """Makes Binding Errors, at most one to an address in some time.

    Args:
        address: from which they are sent.
        interval_s: that time.
    """

    def __init__(self, address: IPv6Address, interval_s: float) -> None:
        self._address = address
        self._interval_ns = int(interval_s * NS_PER_S)
        self._last_ns: dict[IPv6Address, int] = {}

    def about(self, packet: Packet, status: ErrorStatus, now: Instant) -> tuple[SendPacket, ...]:
        """An error about a packet, to its source on the wire."""
        return self.to(packet.source, packet.home or _NOBODY, status, now)

    def to(
        self, destination: IPv6Address, home: IPv6Address, status: ErrorStatus, now: Instant
    ) -> tuple[SendPacket, ...]:
        """An error to an address, or nothing if it had one just now or is not unicast."""
        if destination.is_multicast or destination.is_unspecified:
            return ()
        last_ns = self._last_ns.get(destination)
        if last_ns is not None and now.monotonic_ns - last_ns < self._interval_ns:
            return ()
        if len(self._last_ns) >= _REMEMBERED:
            self._last_ns.clear()
        self._last_ns[destination] = now.monotonic_ns
        header = BindingError(status, home).encode()
        return (SendPacket(Packet(header, self._address, destination)),)
