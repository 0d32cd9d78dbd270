"""A home agent on its home link: is an address free, and who has it (RFC 6275 s10.3.1, s10.4.1)."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv6Address

from mpa_hil.kernel.arp import ArpSocket
from mpa_hil.kernel.neighbour_discovery import (
    ADVERTISEMENT,
    ALL_NODES,
    SOLICITATION,
    duplicate_check,
    group_link_layer,
    packet,
    solicited_node,
)
from mpa_hil.kernel.netlink import interface_index
from radios.errors import MachineError

_ETH_IPV6 = struct.pack("!H", 0x86DD)
_OVERRIDE = 1 << 29
_TARGET_LINK_LAYER = bytes((2, 1))
_NEIGHBOUR = struct.Struct("!BBHI16s")
_ICMP6_FILTER = 1
_HOP_LIMIT = 255
_RECEIVE_OCTETS = 2048


class HomeLink:
    """Asks for addresses and announces them.

    Args:
        address: the home agent's, from which it announces.

    Raises:
        MachineError: no such link, or no CAP_NET_RAW.
    """

    def __init__(self, interface: str, address: IPv6Address) -> None:
        self._address = address
        self._index = interface_index(interface)
        self._link = ArpSocket(interface)
        self._answers = _answer_socket(interface)

    def fileno(self) -> int:
        """Readable when `claimed` has something to say."""
        return self._answers.fileno()

    def ask(self, address: IPv6Address) -> None:
        """Ask whether anybody has `address`; `claimed` says so if it is the case."""
        group = solicited_node(address)
        request = group.packed + struct.pack("=i", self._index)
        with contextlib.suppress(OSError):  # a member already
            self._answers.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
        self._send(group, duplicate_check(address))

    def settle(self, address: IPv6Address) -> None:
        """Listen no more for what `ask` was about."""
        request = solicited_node(address).packed + struct.pack("=i", self._index)
        with contextlib.suppress(OSError):
            self._answers.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_LEAVE_GROUP, request)

    def claimed(self) -> Iterator[IPv6Address]:
        """Addresses that somebody has, or is just about to take too."""
        while True:
            try:
                octets, ancillary, _, (source, *_) = self._answers.recvmsg(_RECEIVE_OCTETS, 64)
            except BlockingIOError:
                return
            hops = [value for level, kind, value in ancillary if kind == socket.IPV6_HOPLIMIT]
            if hops != [struct.pack("=i", _HOP_LIMIT)] or len(octets) < _NEIGHBOUR.size:
                continue
            kind, _, _, _, target = _NEIGHBOUR.unpack_from(octets)
            if kind == ADVERTISEMENT or IPv6Address(source.partition("%")[0]).is_unspecified:
                yield IPv6Address(target)

    def announce(self, address: IPv6Address) -> None:
        """Tell all nodes on the link that `address` is here (s10.4.1)."""
        body = _NEIGHBOUR.pack(ADVERTISEMENT, 0, 0, _OVERRIDE, address.packed)
        octets = packet(self._address, ALL_NODES, body + _TARGET_LINK_LAYER + self._link.link_layer)
        self._send(ALL_NODES, octets)

    def close(self) -> None:
        """Close the sockets; safe to repeat."""
        self._link.close()
        self._answers.close()

    def _send(self, group: IPv6Address, octets: bytes) -> None:
        self._link.send(group_link_layer(group) + self._link.link_layer + _ETH_IPV6 + octets)


def _answer_socket(interface: str) -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    try:
        opened = socket.socket(socket.AF_INET6, kind, socket.IPPROTO_ICMPV6)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        blocked = bytearray(b"\xff" * 32)
        for passed in (SOLICITATION, ADVERTISEMENT):
            blocked[passed // 8] &= ~(1 << passed % 8)
        opened.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, bytes(blocked))
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    except OSError as error:
        raise MachineError(
            f"no socket for neighbour discovery: {error.strerror}",
            where=f"interface {interface}",
            remedy="run it as root, and check the name with: ip link show",
        ) from error
    return opened
