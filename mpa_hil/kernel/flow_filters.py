"""Filters before a hold device's queue: what single flows' packets do instead of waiting there.

    route -> hold device -+- no filter, or one that holds -> plug (waits)
                          '- a filter's: on by another device, by two, or nowhere

They are u32 filters at the device's exit (clsact, egress), made when the device is, and taken away
by one message when nothing is held any more; so they add nothing to the switch. Each compares a
packet as it is, and one level of IP in IP deeper (the home agent's tunnel), or behind a routing
header of type 2 (RFC 6275 s6.4). IPv4 options and other extension headers fit no filter.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from mpa_hil.kernel import filters
from mpa_hil.kernel.netlink import message
from mpa_hil.kernel.objects import IpAddress

_TC = struct.Struct("=BxxxiIII")
_DEL_FILTER = 45
_LAST = 1000
"""Priority of what fits everything."""
_IPV6_OCTETS, _ROUTING_OCTETS, _IPV4_OCTETS = 40, 24, 20
_ROUTING, _TYPE_2 = 43, 2
_PROTOCOL_OF = {4: 4, 6: 41}
"""An IP packet inside another."""
_FRAGMENT = 0x1FFF

Key = tuple[int, int, int]
"""Value and mask of 32 bits, and the offset of those from the IP header on."""


class Way(Enum):
    """Where a flow's packets go."""

    WAIT = "wait"
    TUNNEL = "tunnel"
    LINK = "link"
    BOTH = "both"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class FlowFilter:
    """Which packets, and where they go; 0 or None fits everything.

    Attributes:
        protocol: with ports, 6 or 17.
        own: inner destination, of packets that come by IP in IP.
        peer: inner source.
    """

    way: Way
    protocol: int = 0
    own: IpAddress | None = None
    own_port: int = 0
    peer: IpAddress | None = None
    peer_port: int = 0

    @property
    def versions(self) -> tuple[int, ...]:
        """Families that it can fit."""
        known = self.own or self.peer
        return (known.version,) if known is not None else (4, 6)

    @property
    def fits_everything(self) -> bool:
        """Whether it compares nothing."""
        return not self.protocol and self.own is None and self.peer is None


def install(
    index: int, wanted: tuple[FlowFilter, ...], tunnel: int, link: int
) -> tuple[bytes, int]:
    """The messages that make them on a device which has clsact, and how many; the first that fits
    holds. What fits everything must be the last.

    Args:
        tunnel: index of the device that `Way.TUNNEL` and `Way.BOTH` mean; `link` likewise.
    """
    ways = {
        Way.WAIT: [filters.gact(passes=True)],
        Way.TUNNEL: [filters.redirect(tunnel)],
        Way.LINK: [filters.redirect(link)],
        Way.BOTH: [filters.mirror(tunnel), filters.redirect(link)],
        Way.NOWHERE: [filters.gact(passes=False)],
    }
    made: list[bytes] = []
    for each in wanted:
        if each.fits_everything:
            made.append(filters.egress(index, _LAST, 0, [], ways[each.way]))
            continue
        for outer, keys in _patterns(each):
            made.append(filters.egress(index, len(made) + 1, outer, keys, ways[each.way]))
    return b"".join(made), len(made)


def flush(index: int) -> bytes:
    """The one message that takes all of them away."""
    return message(_DEL_FILTER, 0, _TC.pack(0, index, 0, filters.EGRESS, 0))


def _patterns(wanted: FlowFilter) -> Iterator[tuple[int, list[Key]]]:
    """Family of the outermost header and what to compare, for each way to come."""
    for version in wanted.versions:
        yield version, _packet(wanted, version, 0, direct=True)
        if version == 6:
            yield 6, _routed(wanted)
        inside = _PROTOCOL_OF[version]
        yield 4, [_octet(0, 0x45), _octet(9, inside), *_packet(wanted, version, _IPV4_OCTETS)]
        yield 6, [_octet(6, inside), *_packet(wanted, version, _IPV6_OCTETS)]


def _packet(wanted: FlowFilter, version: int, at: int, *, direct: bool = False) -> list[Key]:
    """A packet whose IP header is at `at`. One that comes directly has the care-of address as its
    destination, which the route has looked at."""
    protocol_at, source_at, own_at, ports_at = (
        (9, 12, 16, _IPV4_OCTETS) if version == 4 else (6, 8, 24, _IPV6_OCTETS)
    )
    keys = [_octet(at, 0x45)] if version == 4 else []
    if version == 4 and (wanted.own_port or wanted.peer_port):
        keys.append(_half(at + 6, 0, _FRAGMENT))  # later fragments have no ports
    if wanted.protocol:
        keys.append(_octet(at + protocol_at, wanted.protocol))
    if wanted.peer is not None:
        keys += _address(at + source_at, wanted.peer)
    if wanted.own is not None and not direct:
        keys += _address(at + own_at, wanted.own)
    return keys + _ports(wanted, at + ports_at)


def _routed(wanted: FlowFilter) -> list[Key]:
    """Straight from a correspondent, with the home address in a routing header."""
    keys = [_octet(6, _ROUTING), _octet(_IPV6_OCTETS + 2, _TYPE_2)]
    if wanted.protocol:
        keys.append(_octet(_IPV6_OCTETS, wanted.protocol))
    if wanted.peer is not None:
        keys += _address(8, wanted.peer)
    if wanted.own is not None:
        keys += _address(_IPV6_OCTETS + 8, wanted.own)
    return keys + _ports(wanted, _IPV6_OCTETS + _ROUTING_OCTETS)


def _ports(wanted: FlowFilter, at: int) -> list[Key]:
    found = ((at, wanted.peer_port), (at + 2, wanted.own_port))
    return [_half(where, port, 0xFFFF) for where, port in found if port]


def _octet(at: int, value: int) -> Key:
    shift = 8 * (3 - at % 4)
    return value << shift, 0xFF << shift, at - at % 4


def _half(at: int, value: int, mask: int) -> Key:
    shift = 8 * (2 - at % 4)
    return value << shift, mask << shift, at - at % 4


def _address(at: int, address: IpAddress) -> list[Key]:
    octets = address.packed
    words = (int.from_bytes(octets[word : word + 4], "big") for word in range(0, len(octets), 4))
    return [(word, 0xFFFFFFFF, at + 4 * number) for number, word in enumerate(words)]
