"""Whether an interface that a node has just come to works already.

The kernel does some of what follows an association, or a new address, in work queues, which wait
for their turn: on a machine that has other things to do, some milliseconds. What is sent, or comes,
before that is thrown away.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv6Address

from mpa_hil.kernel.netlink import DUMP, RouteSocket, attributes, interface_index, message, u32
from mpa_hil.kernel.objects import LINK_HEAD

_GET_LINK, _GET_ROUTE = 18, 26
_OPERATIONAL_STATE, _EXTENT = 16, 29
_NO_STATISTICS = 8
_WORKING = frozenset({0, 5, 6})
"""RFC 2863 states unknown, dormant and up (linux/if.h). They are set together with the queue."""
_ROUTE = struct.Struct("=BBBBBBBBI")
_DESTINATION, _OUTGOING, _LOCAL = 1, 4, 2


def queue_works(route: RouteSocket, interface: str) -> bool:
    """Whether what is sent on an interface leaves it (net/core/link_watch.c).

    Raises:
        MachineError: no such interface.
    """
    head = LINK_HEAD.pack(0, 0, interface_index(interface), 0, 0)
    request = message(_GET_LINK, 0, head + u32(_EXTENT, _NO_STATISTICS))
    entry = route.get(request, f"interface {interface}")
    if entry is None:
        return True
    return attributes(entry[LINK_HEAD.size :]).get(_OPERATIONAL_STATE, b"\0")[0] in _WORKING


def receives(route: RouteSocket, interface: str, addresses: Iterable[IPv6Address]) -> bool:
    """Whether packets for all these addresses of an interface are taken: those for a new one are
    not before its check for duplicates has begun, however optimistic it is (net/ipv6/addrconf.c).

    Raises:
        MachineError: no such interface.
    """
    wanted = {address.packed for address in addresses}
    if not wanted:
        return True
    index = struct.pack("=I", interface_index(interface))
    request = message(_GET_ROUTE, DUMP, _ROUTE.pack(socket.AF_INET6, 0, 0, 0, 0, 0, 0, 0, 0))
    for entry in route.dump(request, "routes"):
        kind = _ROUTE.unpack_from(entry)[7]
        found = attributes(entry[_ROUTE.size :])
        if kind == _LOCAL and found.get(_OUTGOING) == index:
            wanted.discard(found.get(_DESTINATION, b""))
    return not wanted
