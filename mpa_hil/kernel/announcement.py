"""A node that has arrived tells its new link where it is (RFC 6252 appendix B, RFC 5944 s4.6,
RFC 4861 s7.2.6)."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address, IPv6Address

from mpa_hil.kernel.arp import ArpSocket
from mpa_hil.kernel.neighbour_discovery import (
    ALL_NODES,
    group_link_layer,
    unsolicited_advertisement,
)
from mpa_hil.kernel.netlink import DUMP, RouteSocket, attributes, interface_index, message
from mpa_hil.kernel.objects import IpAddress

_ETH_IPV6 = 0x86DD
_GET_ADDRESS = 22
_ADDRESS = struct.Struct("=BBBBI")
_OPTIMISTIC, _TENTATIVE = 0x04, 0x40


class Announcer:
    """Gratuitous ARP and unsolicited neighbour advertisements on one link.

    Args:
        route: to ask the kernel whether an address is still being checked.
        interface: the link.
        addresses: what to announce.

    Raises:
        MachineError: no such link, or no CAP_NET_RAW.
    """

    def __init__(
        self, route: RouteSocket, interface: str, addresses: tuple[IpAddress, ...]
    ) -> None:
        self._route = route
        self._index = interface_index(interface)
        self._addresses = addresses
        self._link = ArpSocket(interface)

    def announce(self) -> None:
        """Each address once."""
        for address in self._addresses:
            if isinstance(address, IPv4Address):
                self._link.announce(address)
                continue
            mac = self._link.link_layer
            octets = unsolicited_advertisement(address, mac, override=not self._unsure(address))
            head = group_link_layer(ALL_NODES) + mac + struct.pack("!H", _ETH_IPV6)
            self._link.send(head + octets)

    def _unsure(self, address: IPv6Address) -> bool:
        """Whether the kernel still checks the address; one that is not there counts as unsure."""
        request = message(_GET_ADDRESS, DUMP, _ADDRESS.pack(socket.AF_INET6, 0, 0, 0, 0))
        for entry in self._route.dump(request, "addresses"):
            _, _, flags, _, index = _ADDRESS.unpack_from(entry)
            found = attributes(entry[_ADDRESS.size :])
            if index == self._index and found.get(1) == address.packed:
                (flags,) = struct.unpack("=I", found.get(8, struct.pack("=I", flags)))
                return bool(flags & (_OPTIMISTIC | _TENTATIVE))
        return True

    def close(self) -> None:
        """Close the socket; safe to repeat."""
        self._link.close()
