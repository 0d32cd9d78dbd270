"""The kernel objects of a mobility agent: tunnels, addresses, routes, rules, proxied neighbours.

Each is a frozen description that encodes its own rtnetlink messages; `state.KernelState` applies
and removes them. Equal keys mean the same place in the kernel, so an object with a key that is
already applied replaces what is there.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from socket import AF_INET, AF_INET6
from typing import Protocol, TypeAlias

from mpa_hil.kernel.netlink import (
    CREATE,
    DUMP,
    EXCLUSIVE,
    REPLACE,
    RouteSocket,
    attribute,
    attributes,
    interface_index,
    message,
    nested,
    text,
    u8,
    u32,
)

IpAddress: TypeAlias = IPv4Address | IPv6Address
IpNetwork: TypeAlias = IPv4Network | IPv6Network

PREFIX = "mpa"
"""Every interface that this project makes in a kernel starts with it."""
IP_IN_IP_OVERHEAD = 20
"""Octets of the outer header (RFC 2003 s3.1)."""
ROUTE_PROTOCOL = 109
"""Marks our routes, rules and proxies (`ip route show proto 109`); unassigned in iproute2's
rt_protos."""

LINK_HEAD = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")
_LIFETIMES = struct.Struct("=IIII")
_NEW_LINK, _DEL_LINK, _GET_LINK = 16, 17, 18
_NEW_ADDRESS, _DEL_ADDRESS = 20, 21
_NEW_ROUTE, _DEL_ROUTE = 24, 25
_NEW_NEIGHBOUR, _DEL_NEIGHBOUR, _GET_NEIGHBOUR = 28, 29, 30
_UP = 1
_SCOPE_UNIVERSE, _SCOPE_LINK = 0, 253
_UNICAST = 1
_PROXY = 0x08
_PERMANENT = 0x80
_STALE = 0x04
_USABLE = 0x02 | _STALE | 0x08 | 0x10
"""Reachable, stale, delayed or being verified: with a link-layer address that may still be good."""
_INHERIT = 1
_NAME_OCTETS = 15
_ONLINK = 4
NO_DAD = 0x02
"""Address flag: no duplicate address detection (IPv6)."""
OPTIMISTIC = 0x04
"""Address flag: usable while it is being checked (RFC 4429)."""
_FOREVER = 0xFFFFFFFF


def family(address: IpAddress | IpNetwork) -> int:
    """AF_INET or AF_INET6."""
    return AF_INET if address.version == 4 else AF_INET6


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
        return message(_DEL_LINK, 0, LINK_HEAD.pack(0, 0, 0, 0, 0) + text(3, self.name))

    def _set(self, flags: int) -> bytes:
        data = nested(
            2,
            attribute(2, self.local.packed),
            attribute(3, self.remote.packed),
            u8(4, self.ttl),
            u8(5, _INHERIT),  # type of service from the inner header (RFC 2003 s3.1)
            u8(10, 1),  # path MTU discovery: sets Don't Fragment outside (s5.1)
        )
        body = LINK_HEAD.pack(0, 0, 0, _UP, _UP) + text(3, self.name) + u32(4, self.mtu)
        return message(_NEW_LINK, flags, body + nested(18, text(1, "ipip"), data))


@dataclass(frozen=True, slots=True)
class Address:
    """An address on an interface; one that is there already stays there afterwards."""

    interface: str
    address: IpAddress
    prefix_length: int = 0
    """0: a host's, 32 or 128."""
    flags: int = 0
    """IPv6 only."""
    deprecated: bool = False
    """IPv6 only: not chosen as a source by itself."""

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
        length = self.prefix_length or self.address.max_prefixlen
        head = _ADDRESS.pack(family(self.address), length, 0, _SCOPE_UNIVERSE, index)
        body = attribute(2, self.address.packed) + attribute(1, self.address.packed)
        if self.flags:
            body += u32(8, self.flags)
        if self.deprecated:
            body += attribute(6, _LIFETIMES.pack(0, _FOREVER, 0, 0))
        return message(kind, flags, head + body)


@dataclass(frozen=True, slots=True)
class Route:
    """A unicast route; table 254 is `main`."""

    destination: IpNetwork
    interface: str
    gateway: IpAddress | None = None
    source: IpAddress | None = None
    table: int = 254
    metric: int = 0
    on_link: bool = False
    """The gateway is on the link whatever the interface's addresses say."""

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
        version4 = self.destination.version == 4
        scope = _SCOPE_LINK if version4 and self.gateway is None else _SCOPE_UNIVERSE
        table = self.table if self.table < 256 else 0
        length = self.destination.prefixlen
        more = _ONLINK if self.on_link else 0
        kin = family(self.destination)
        head = (kin, length, 0, 0, table, ROUTE_PROTOCOL, scope, _UNICAST, more)
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
class ProxyNeighbour:
    """The kernel answers ARP requests or neighbour solicitations for `address` on `interface`
    (RFC 5944 s4.6, RFC 4861 s7.2.8).

    It does so only while it forwards there and, IPv4, its route to the address leaves elsewhere,
    or, IPv6, `proxy_ndp` is set there.
    """

    interface: str
    address: IpAddress

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
        head = _NEIGHBOUR.pack(family(self.address), index, 0, _PROXY, 0)
        body = head + attribute(1, self.address.packed)
        if kind == _NEW_NEIGHBOUR:
            body += u8(12, ROUTE_PROTOCOL)
        return message(kind, flags, body)


@dataclass(frozen=True, slots=True)
class StaticNeighbour:
    """A permanent entry in the ARP or neighbour cache: the one kind that outlives a link that goes
    down. With `permanent` off it is one like any other, and stale: used at once, soon verified."""

    interface: str
    address: IpAddress
    link_layer: bytes
    permanent: bool = True

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
        state = _PERMANENT if self.permanent else _STALE
        head = _NEIGHBOUR.pack(family(self.address), index, state, 0, 0)
        return message(kind, flags, head + attribute(1, self.address.packed) + more)


def neighbour_request(interface: str, address: IpAddress) -> bytes:
    """The request for one entry of the neighbour cache; its link-layer address is attribute 2."""
    head = _NEIGHBOUR.pack(family(address), interface_index(interface), 0, 0, 0)
    return message(_GET_NEIGHBOUR, 0, head + attribute(1, address.packed))


def known_neighbours(route: RouteSocket, interface: str) -> list[tuple[IpAddress, bytes]]:
    """Address and link-layer address of all that learnt or stale entries of the cache name."""
    index = interface_index(interface)
    found: list[tuple[IpAddress, bytes]] = []
    asked = message(_GET_NEIGHBOUR, DUMP, _NEIGHBOUR.pack(0, 0, 0, 0, 0))
    for entry in route.dump(asked, "neighbours"):
        _, at, state, flags, _ = _NEIGHBOUR.unpack_from(entry)
        told = attributes(entry[_NEIGHBOUR.size :])
        if at == index and state & _USABLE and not flags & _PROXY and {1, 2} <= told.keys():
            found.append((ip_address(told[1]), told[2]))
    return found


NEIGHBOUR_HEAD = _NEIGHBOUR.size
"""Octets before the attributes of a neighbour entry."""
NEIGHBOUR_LINK_LAYER = 2


def link_layer_address(route: RouteSocket, interface: str) -> bytes:
    """The interface's own link-layer address.

    Raises:
        MachineError: no such interface.
    """
    head = LINK_HEAD.pack(0, 0, interface_index(interface), 0, 0)
    entry = route.get(message(_GET_LINK, 0, head), f"interface {interface}") or bytes(head)
    return attributes(entry[LINK_HEAD.size :]).get(1, b"")
