"""Frames of the configuration agent over IPv6: UDP, router and neighbour discovery. Sans-IO.

The agent speaks from a link-local address made from its interface's MAC address, which no kernel
has: it answers neighbour solicitations for it itself. See `frames` about checksums.
"""

from __future__ import annotations

import struct
from ipaddress import IPv6Address, IPv6Network

from mpa_hil.configuration import advertisement
from mpa_hil.configuration.advertisement import Advertisement, eui64
from mpa_hil.configuration.frames import (
    ETHER_IPV6,
    UDP,
    DecodeError,
    checksum,
    ethernet,
    udp_payload,
    udp_segment,
)
from mpa_hil.light import light

_IPV6 = struct.Struct("!IHBB16s16s")
_ETHERNET_OCTETS = 14
_ICMPV6 = 58
_HOPS = 255
"""Of neighbour discovery: what comes from beyond the link has fewer (RFC 4861 s11.2)."""
_SOLICIT_ROUTER, _SOLICIT, _ADVERTISE = 133, 135, 136
_SOURCE_LINK_LAYER, _TARGET_LINK_LAYER = 1, 2
_SOLICITED, _OVERRIDE = 0x40000000, 0x20000000
_NEIGHBOUR = struct.Struct("!BBHI16s")
_LINK_LOCAL = IPv6Network("fe80::/64")
_ALL_ROUTERS = IPv6Address("ff02::2")
_SOLICITED_NODE = IPv6Address("ff02::1:ff00:0").packed[:13]


@light
class Udp6:
    """A UDP datagram over IPv6."""

    source_mac: bytes
    source: IPv6Address
    source_port: int
    port: int
    payload: bytes


@light
class RouterAdvertised:
    """A router tells of its link."""

    router: IPv6Address
    router_mac: bytes
    advertisement: Advertisement


@light
class NeighbourSolicited:
    """Somebody wants to know who has an address."""

    mac: bytes
    source: IPv6Address
    """Unspecified: it checks whether anybody has it."""
    target: IPv6Address


@light
class NeighbourAdvertised:
    """Somebody answers for an address."""

    address: IPv6Address
    mac: bytes


Heard6 = Udp6 | RouterAdvertised | NeighbourSolicited | NeighbourAdvertised


def link_local(mac: bytes) -> IPv6Address:
    """The address that the agent speaks from."""
    return eui64(_LINK_LOCAL, mac).ip


def decode6(frame: bytes) -> Heard6:
    """What a frame says.

    Raises:
        DecodeError: nothing of these.
        mpa_hil.errors.DecodeError: a router advertisement that is none.
    """
    packet = frame[_ETHERNET_OCTETS:]
    if len(packet) < _IPV6.size or frame[12:14] != ETHER_IPV6.to_bytes(2, "big"):
        raise DecodeError("no IPv6")
    first, length, following, hops, source, _ = _IPV6.unpack_from(packet)
    payload = packet[_IPV6.size : _IPV6.size + length]
    if first >> 28 != 6 or len(payload) < length:
        raise DecodeError("its IPv6 header does not fit")
    mac = frame[6:12]
    if following == UDP:
        source_port, port, octets = udp_payload(payload)
        return Udp6(mac, IPv6Address(source), source_port, port, octets)
    if following != _ICMPV6 or hops != _HOPS:
        raise DecodeError(f"next header {following}, {hops} hops left")
    return _icmpv6(mac, IPv6Address(source), payload)


def _icmpv6(mac: bytes, source: IPv6Address, octets: bytes) -> Heard6:
    kind = octets[0] if octets else 0
    if kind == advertisement.ROUTER_ADVERTISEMENT:
        if not source.is_link_local:
            raise DecodeError("a router advertises from elsewhere")
        said = advertisement.decode(octets)
        return RouterAdvertised(source, said.router_mac or mac, said)
    if kind not in (_SOLICIT, _ADVERTISE) or len(octets) < _NEIGHBOUR.size:
        raise DecodeError(f"ICMPv6 type {kind}")
    target = IPv6Address(octets[8:24])
    option = _TARGET_LINK_LAYER if kind == _ADVERTISE else _SOURCE_LINK_LAYER
    found = _link_layer(octets[_NEIGHBOUR.size :], option) or mac
    if kind == _SOLICIT:
        return NeighbourSolicited(found, source, target)
    return NeighbourAdvertised(target, found)


def _link_layer(options: bytes, wanted: int) -> bytes:
    at = 0
    while at + 8 <= len(options) and options[at + 1]:
        if options[at] == wanted and options[at + 1] == 1:
            return options[at + 2 : at + 8]
        at += options[at + 1] * 8
    return b""


def multicast_udp(
    mac: bytes, destination: IPv6Address, ports: tuple[int, int], said: bytes
) -> bytes:
    """A datagram to a group on the link.

    Args:
        ports: source, destination.
    """
    source = link_local(mac).packed
    segment = udp_segment(*ports, said, source + destination.packed)
    return _frame(mac, _group_mac(destination), destination, UDP, 1, segment)


def router_solicitation(mac: bytes) -> bytes:
    """Asks for an advertisement (RFC 4861 s4.1)."""
    octets = struct.pack("!BBHI", _SOLICIT_ROUTER, 0, 0, 0) + _option(_SOURCE_LINK_LAYER, mac)
    return _icmpv6_frame(mac, _group_mac(_ALL_ROUTERS), _ALL_ROUTERS, octets)


def neighbour_solicitation(mac: bytes, target: IPv6Address) -> bytes:
    """Asks who has an address (RFC 4861 s4.3)."""
    group = IPv6Address(_SOLICITED_NODE + target.packed[13:])
    octets = _NEIGHBOUR.pack(_SOLICIT, 0, 0, 0, target.packed) + _option(_SOURCE_LINK_LAYER, mac)
    return _icmpv6_frame(mac, _group_mac(group), group, octets)


def neighbour_advertisement(mac: bytes, to: NeighbourSolicited) -> bytes:
    """Answers for the agent's own address (RFC 4861 s4.4)."""
    flags = _SOLICITED | _OVERRIDE
    octets = _NEIGHBOUR.pack(_ADVERTISE, 0, 0, flags, to.target.packed)
    return _icmpv6_frame(mac, to.mac, to.source, octets + _option(_TARGET_LINK_LAYER, mac))


def _option(kind: int, mac: bytes) -> bytes:
    return bytes((kind, 1)) + mac


def _group_mac(group: IPv6Address) -> bytes:
    """RFC 2464 s7."""
    return b"\x33\x33" + group.packed[12:]


def _icmpv6_frame(mac: bytes, to: bytes, destination: IPv6Address, octets: bytes) -> bytes:
    pseudo = link_local(mac).packed + destination.packed
    pseudo += struct.pack("!II", len(octets), _ICMPV6)
    total = checksum(pseudo + octets)
    octets = octets[:2] + total.to_bytes(2, "big") + octets[4:]
    return _frame(mac, to, destination, _ICMPV6, _HOPS, octets)


def _frame(
    mac: bytes, to: bytes, destination: IPv6Address, kind: int, hops: int, payload: bytes
) -> bytes:
    source = link_local(mac).packed
    header = _IPV6.pack(6 << 28, len(payload), kind, hops, source, destination.packed)
    return ethernet(to, mac, ETHER_IPV6, header + payload)
