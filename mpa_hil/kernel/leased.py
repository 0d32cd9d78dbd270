"""What a DHCP client, or a listener to router advertisements, has put into the kernel: found and
removed by others than itself, when it cannot be asked to."""

from __future__ import annotations

import socket
import struct
from collections.abc import Collection
from ipaddress import ip_network

from mpa_hil.kernel.netlink import (
    ABSENT,
    DUMP,
    NetlinkError,
    RouteSocket,
    attribute,
    attributes,
    interface_index,
    message,
)
from mpa_hil.kernel.objects import ROUTE_PROTOCOL, IpAddress, family

_DEL_ADDRESS, _GET_ADDRESS = 21, 22
_DEL_ROUTE, _GET_ROUTE = 25, 26
_ADDRESS_HEAD = struct.Struct("=BBBBI")
_ROUTE_HEAD = struct.Struct("=BBBBBBBBI")
_PEER, _LOCAL = 1, 2
_DESTINATION, _OUTGOING, _GATEWAY, _PRIORITY, _TABLE = 1, 4, 5, 6, 15
_KERNEL = 2
"""Protocol of the routes that the kernel makes and removes together with an address."""


def remove_lease(
    route: RouteSocket, interface: str, address: IpAddress, routers: Collection[IpAddress]
) -> None:
    """Remove an address from an interface, and the routes that came with it. None there is fine.

    IPv4's go with the address that they prefer as a source; IPv6's are those to its prefix and
    those by its routers.

    Raises:
        MachineError: no such interface, or the kernel refused.
    """
    index = interface_index(interface)
    version = family(address)
    request = message(_GET_ADDRESS, DUMP, _ADDRESS_HEAD.pack(version, 0, 0, 0, 0))
    for entry in route.dump(request, "addresses"):
        head = _ADDRESS_HEAD.unpack_from(entry)
        found = attributes(entry[_ADDRESS_HEAD.size :])
        local = found.get(_LOCAL, found.get(_PEER, b""))
        if (head[0], head[4], local) == (version, index, address.packed):
            octets = _ADDRESS_HEAD.pack(*head[:2], 0, 0, index) + attribute(_LOCAL, local)
            _remove(route, message(_DEL_ADDRESS, 0, octets), f"address {address}")
    if version == socket.AF_INET6:
        _remove_routes(route, index, address, {each.packed for each in routers})


def _remove_routes(
    route: RouteSocket, index: int, address: IpAddress, routers: Collection[bytes]
) -> None:
    request = message(_GET_ROUTE, DUMP, _ROUTE_HEAD.pack(socket.AF_INET6, *(0,) * 8))
    for entry in route.dump(request, "routes"):
        head = _ROUTE_HEAD.unpack_from(entry)
        found = attributes(entry[_ROUTE_HEAD.size :])
        length, protocol = head[1], head[5]
        if found.get(_OUTGOING) != struct.pack("=I", index) or protocol in (
            _KERNEL,
            ROUTE_PROTOCOL,
        ):
            continue
        prefix = ip_network((found.get(_DESTINATION, bytes(16)), length), strict=False)
        gateway = found.get(_GATEWAY)
        if gateway in routers if gateway is not None else length and address in prefix:
            kept = (_DESTINATION, _OUTGOING, _GATEWAY, _PRIORITY, _TABLE)
            octets = entry[: _ROUTE_HEAD.size]
            octets += b"".join(attribute(kind, found[kind]) for kind in kept if kind in found)
            _remove(route, message(_DEL_ROUTE, 0, octets), f"route to {prefix}")


def _remove(route: RouteSocket, request: bytes, what: str) -> None:
    try:
        route.request(request, what)
    except NetlinkError as error:
        if error.errno not in ABSENT:
            raise
