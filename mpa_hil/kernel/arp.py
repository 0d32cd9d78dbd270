"""Gratuitous ARP: tell a link who answers for an address now (RFC 5944 s4.6, RFC 826)."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address

from mpa_hil.kernel.netlink import RouteSocket, attributes
from mpa_hil.kernel.objects import NEIGHBOUR_HEAD, NEIGHBOUR_LINK_LAYER, neighbour_request
from radios.errors import MachineError

_ETH_ARP = 0x0806
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_BROADCAST = b"\xff" * 6


def gratuitous(address: IPv4Address, link_layer: bytes) -> bytes:
    """The Ethernet frame: an ARP request, broadcast, sender and target protocol address equal."""
    arp = _ARP.pack(1, 0x0800, 6, 4, 1, link_layer, address.packed, bytes(6), address.packed)
    return _BROADCAST + link_layer + struct.pack("!H", _ETH_ARP) + arp


class ArpSocket:
    """A packet socket on one link.

    Raises:
        MachineError: no such link, or no CAP_NET_RAW.
    """

    def __init__(self, interface: str) -> None:
        try:
            kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
            self._socket = socket.socket(socket.AF_PACKET, kind, 0)  # 0: it receives nothing
            self._socket.bind((interface, 0))
        except OSError as error:
            raise MachineError(
                f"no packet socket: {error.strerror}",
                where=f"interface {interface}",
                remedy="run it as root, and check the name with: ip link show",
            ) from error
        self.interface = interface
        self.link_layer: bytes = self._socket.getsockname()[4]
        """The link's own address."""

    def announce(self, address: IPv4Address, link_layer: bytes | None = None) -> None:
        """Broadcast that `address` is at `link_layer` (default: here)."""
        self._socket.send(gratuitous(address, link_layer or self.link_layer))

    def send(self, frame: bytes) -> None:
        """Send any Ethernet frame."""
        self._socket.send(frame)

    def close(self) -> None:
        """Close the socket; safe to repeat."""
        self._socket.close()


def link_layer_of(route: RouteSocket, interface: str, address: IPv4Address) -> bytes | None:
    """The link-layer address that the kernel's ARP cache has for `address`, or None."""
    entry = route.get(neighbour_request(interface, address), f"ARP entry of {address}")
    if entry is None:
        return None
    return attributes(entry[NEIGHBOUR_HEAD:]).get(NEIGHBOUR_LINK_LAYER)
