"""Router advertisements through a tunnel's device, at both ends (RFC 6252 s7.4, s7.5).

A packet socket, since the device has no address of its own for a router to speak from: what is
advertised is the link at the far end, in the name of the router's link-local address there.
"""

from __future__ import annotations

import socket
from ipaddress import IPv6Address

from mpa_hil.kernel.neighbour_discovery import (
    ALL_NODES,
    RouterAdvertisement,
    packet,
    parse_router_advertisement,
)
from radios.errors import MachineError

_ETH_IPV6 = 0x86DD
_RECEIVE_OCTETS = 2048


class AdvertisementSocket:
    """Sends and receives router advertisements on one device; does not block.

    Raises:
        MachineError: no such device, or no CAP_NET_RAW.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        try:
            kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            self._socket = socket.socket(socket.AF_PACKET, kind, 0)
            self._socket.bind((device, _ETH_IPV6))
        except OSError as error:
            raise MachineError(
                f"no packet socket: {error.strerror}",
                where=f"interface {device}",
                remedy="run it as root, and check the name with: ip link show",
            ) from error

    def fileno(self) -> int:
        """Readable when `receive` has something to read."""
        return self._socket.fileno()

    def send(self, source: IPv6Address, advertisement: RouterAdvertisement | bytes) -> None:
        """Advertise to the node at the other end.

        Args:
            source: the router's link-local address on the link that is advertised.
            advertisement: or its ICMPv6 message as it was heard on that link.

        Raises:
            MachineError: the device did not take it.
        """
        icmp = advertisement if isinstance(advertisement, bytes) else advertisement.encode()
        # Without a destination: it would have to be as long as the device's address, 16 octets in
        # an IPv6 tunnel, for which Python has no room.
        try:
            self._socket.send(packet(source, ALL_NODES, icmp))
        except OSError as error:
            where = f"interface {self._device}"
            raise MachineError(f"no advertisement: {error.strerror}", where=where) from error

    def receive(self) -> tuple[RouterAdvertisement, bytes] | None:
        """The next advertisement and its packet, or None when nothing waits.

        Whatever else comes by is passed over. The device's ingress filter is before this, so it
        came from the tunnel's other end.
        """
        while True:
            try:
                octets, (_, _, direction, *_) = self._socket.recvfrom(_RECEIVE_OCTETS)
            except BlockingIOError:
                return None
            found = parse_router_advertisement(octets)
            if direction != socket.PACKET_OUTGOING and found is not None:
                return found, octets

    def close(self) -> None:
        """Close the socket; safe to repeat."""
        self._socket.close()
