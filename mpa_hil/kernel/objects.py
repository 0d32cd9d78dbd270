"""The kernel objects of a mobility agent: tunnels, addresses, routes, rules, proxied neighbours.

Each is a frozen description that encodes its own rtnetlink messages; `state.KernelState` applies
and removes them. Equal keys mean the same place in the kernel, so an object with a key that is
already applied replaces what is there.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from socket import AF_INET
from typing import Protocol

from mpa_hil.kernel.netlink import (
    CREATE,
    EXCLUSIVE,
    REPLACE,
    attribute,
    interface_index,
    message,
    nested,
    text,
    u8,
    u32,
)

PREFIX = "mpa"
"""Every interface that this project makes in a kernel starts with it."""
IP_IN_IP_OVERHEAD = 20
"""Octets of the outer header (RFC 2003 s3.1)."""
_ROUTE_PROTOCOL = 109
"""Marks our routes and rules (`ip route show proto 109`); unassigned in iproute2's rt_protos."""

_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")
_NEW_LINK, _DEL_LINK = 16, 17
_NEW_ADDRESS, _DEL_ADDRESS = 20, 21
_NEW_ROUTE, _DEL_ROUTE = 24, 25
_NEW_NEIGHBOUR, _DEL_NEIGHBOUR, _GET_NEIGHBOUR = 28, 29, 30
_NEW_RULE, _DEL_RULE = 32, 33
_UP = 1
_SCOPE_UNIVERSE, _SCOPE_LINK = 0, 253
_UNICAST = 1
_TO_TABLE = 1
_PROXY = 0x08
_PERMANENT = 0x80
_INHERIT = 1
_NAME_OCTETS = 15


class KernelObject(Protocol):
    """Something that can be put into the kernel and taken out of it."""

    @property
    def key(self) -> Hashable:
        """Its place in the kernel."""

    @property
    def replaces(self) -> bool:
        """Whether it takes over what an earlier owner left in its place, or leaves that alone."""

    def create(self) -> bytes:
        """The message that makes it where nothing is."""

    def replace(self) -> bytes:
        """The message that makes what is there like this; empty when nothing can differ."""

    def remove(self) -> bytes:
        """The message that removes it."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """An IP-in-IP device (RFC 2003); a changed remote or local end is one message."""

    name: str
    local: IPv4Address
    remote: IPv4Address
    mtu: int = 1500 - IP_IN_IP_OVERHEAD
    ttl: int = 64

    def __post_init__(self) -> None:
        if not self.name.startswith(PREFIX) or len(self.name) > _NAME_OCTETS:
            raise ValueError(f"tunnel name {self.name!r}: {PREFIX}... of at most 15 characters")

    @property
    def key(self) -> Hashable:
        return "link", self.name

    @property
    def replaces(self) -> bool:
        return True

    def create(self) -> bytes:
        return self._set(CREATE | EXCLUSIVE)

    def replace(self) -> bytes:
        return self._set(0)

    def remove(self) -> bytes:
        return message(_DEL_LINK, 0, _LINK.pack(0, 0, 0, 0, 0) + text(3, self.name))

    def _set(self, flags: int) -> bytes:
        data = nested(
            2,
            attribute(2, self.local.packed),
            attribute(3, self.remote.packed),
            u8(4, self.ttl),
            u8(5, _INHERIT),  # type of service from the inner header (RFC 2003 s3.1)
            u8(10, 1),  # path MTU discovery: sets Don't Fragment outside (s5.1)
        )
        body = _LINK.pack(0, 0, 0, _UP, _UP) + text(3, self.name) + u32(4, self.mtu)
        return message(_NEW_LINK, flags, body + nested(18, text(1, "ipip"), data))


@dataclass(frozen=True, slots=True)
class Address:
    """An address on an interface; one that is there already stays there afterwards."""

    interface: str
    address: IPv4Address
    prefix_length: int = 32

    @property
    def key(self) -> Hashable:
        return "address", self.interface, self.address, self.prefix_length

    @property
    def replaces(self) -> bool:
        return False

    def create(self) -> bytes:
        return self._message(_NEW_ADDRESS, CREATE | EXCLUSIVE)

    def replace(self) -> bytes:
        return b""

    def remove(self) -> bytes:
        return self._message(_DEL_ADDRESS, 0)

    def _message(self, kind: int, flags: int) -> bytes:
        index = interface_index(self.interface)
        head = _ADDRESS.pack(AF_INET, self.prefix_length, 0, _SCOPE_UNIVERSE, index)
        both = attribute(2, self.address.packed) + attribute(1, self.address.packed)
        return message(kind, flags, head + both)


@dataclass(frozen=True, slots=True)
class Route:
    """A unicast route; table 254 is `main`."""

    destination: IPv4Network
    interface: str
    gateway: IPv4Address | None = None
    source: IPv4Address | None = None
    table: int = 254
    metric: int = 0

    @property
    def key(self) -> Hashable:
        return "route", self.table, self.destination, self.metric

    @property
    def replaces(self) -> bool:
        return True

    def create(self) -> bytes:
        return self._message(_NEW_ROUTE, CREATE | EXCLUSIVE)

    def replace(self) -> bytes:
        return self._message(_NEW_ROUTE, CREATE | REPLACE)

    def remove(self) -> bytes:
        return self._message(_DEL_ROUTE, 0)

    def _message(self, kind: int, flags: int) -> bytes:
        scope = _SCOPE_LINK if self.gateway is None else _SCOPE_UNIVERSE
        table = self.table if self.table < 256 else 0
        length = self.destination.prefixlen
        head = (AF_INET, length, 0, 0, table, _ROUTE_PROTOCOL, scope, _UNICAST, 0)
        body = _ROUTE.pack(*head) + u32(15, self.table) + u32(4, interface_index(self.interface))
        if length:
            body += attribute(1, self.destination.network_address.packed)
        if self.gateway is not None:
            body += attribute(5, self.gateway.packed)
        if self.source is not None:
            body += attribute(7, self.source.packed)
        if self.metric:
            body += u32(6, self.metric)
        return message(kind, flags, body)


@dataclass(frozen=True, slots=True)
class SourceRule:
    """Packets from `source` are routed by `table`."""

    source: IPv4Address
    table: int
    priority: int

    @property
    def key(self) -> Hashable:
        return "rule", self.source, self.table, self.priority

    @property
    def replaces(self) -> bool:
        return True

    def create(self) -> bytes:
        return self._message(_NEW_RULE, CREATE | EXCLUSIVE)

    def replace(self) -> bytes:
        return b""

    def remove(self) -> bytes:
        return self._message(_DEL_RULE, 0)

    def _message(self, kind: int, flags: int) -> bytes:
        table = self.table if self.table < 256 else 0
        body = _ROUTE.pack(AF_INET, 0, 32, 0, table, 0, 0, _TO_TABLE, 0)
        body += attribute(2, self.source.packed) + u32(6, self.priority)
        body += u32(15, self.table) + u8(21, _ROUTE_PROTOCOL)
        return message(kind, flags, body)


@dataclass(frozen=True, slots=True)
class ProxyNeighbour:
    """The kernel answers ARP requests for `address` on `interface` (RFC 5944 s4.6).

    It does so only while it forwards there and its route to the address leaves elsewhere.
    """

    interface: str
    address: IPv4Address

    @property
    def key(self) -> Hashable:
        return "proxy", self.interface, self.address

    @property
    def replaces(self) -> bool:
        return True

    def create(self) -> bytes:
        return self._message(_NEW_NEIGHBOUR, CREATE | REPLACE)

    def replace(self) -> bytes:
        return b""

    def remove(self) -> bytes:
        return self._message(_DEL_NEIGHBOUR, 0)

    def _message(self, kind: int, flags: int) -> bytes:
        index = interface_index(self.interface)
        body = _NEIGHBOUR.pack(AF_INET, index, 0, _PROXY, 0) + attribute(1, self.address.packed)
        return message(kind, flags, body)


@dataclass(frozen=True, slots=True)
class StaticNeighbour:
    """A permanent ARP entry: the one kind that outlives a link that goes down."""

    interface: str
    address: IPv4Address
    link_layer: bytes

    @property
    def key(self) -> Hashable:
        return "neighbour", self.interface, self.address

    @property
    def replaces(self) -> bool:
        return True

    def create(self) -> bytes:
        return self._message(_NEW_NEIGHBOUR, CREATE | REPLACE, attribute(2, self.link_layer))

    def replace(self) -> bytes:
        return self.create()

    def remove(self) -> bytes:
        return self._message(_DEL_NEIGHBOUR, 0, b"")

    def _message(self, kind: int, flags: int, more: bytes) -> bytes:
        index = interface_index(self.interface)
        head = _NEIGHBOUR.pack(AF_INET, index, _PERMANENT, 0, 0)
        return message(kind, flags, head + attribute(1, self.address.packed) + more)


def neighbour_request(interface: str, address: IPv4Address) -> bytes:
    """The request for one entry of the ARP cache; its link-layer address is attribute 2."""
    head = _NEIGHBOUR.pack(AF_INET, interface_index(interface), 0, 0, 0)
    return message(_GET_NEIGHBOUR, 0, head + attribute(1, address.packed))


NEIGHBOUR_HEAD = _NEIGHBOUR.size
"""Octets before the attributes of a neighbour entry."""
NEIGHBOUR_LINK_LAYER = 2
