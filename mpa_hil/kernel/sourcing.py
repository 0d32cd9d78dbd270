"""Where from the kernel sends by itself to one peer."""

from __future__ import annotations

import struct
from ipaddress import IPv6Address, IPv6Network

from mpa_hil.kernel.netlink import RouteSocket, attribute, attributes, interface_index, message, u32
from mpa_hil.kernel.objects import Route, family
from radios.errors import MachineError

_GET_ROUTE = 26
_HEAD = struct.Struct("=BBBBBBBBI")
_DESTINATION, _OUTGOING, _GATEWAY = 1, 4, 5


def sourced(
    route: RouteSocket, interface: str, destination: IPv6Address, source: IPv6Address
) -> Route:
    """The present way to a destination, as a route of its own with a source to be preferred.

    WireGuard's datagrams have the source that the kernel chooses, and of a node of Mobile IPv6 that
    is the home address, wherever they leave (RFC 6724 s5, rule 4).

    Raises:
        MachineError: there is no way by that interface.
    """
    octets = destination.packed
    head = _HEAD.pack(family(destination), 8 * len(octets), 0, 0, 0, 0, 0, 0, 0)
    wanted = attribute(_DESTINATION, octets) + u32(_OUTGOING, interface_index(interface))
    found = route.get(message(_GET_ROUTE, 0, head + wanted), f"route to {destination}")
    if found is None:
        raise MachineError(f"there is no way to {destination}", where=interface)
    gateway = attributes(found[_HEAD.size :]).get(_GATEWAY)
    return Route(
        IPv6Network(destination),
        interface,
        None if gateway is None else IPv6Address(gateway),
        source,
    )
