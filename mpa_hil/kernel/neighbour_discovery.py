"""Neighbour discovery packets, whole, as a packet socket takes them (RFC 4861, RFC 4862, RFC 4429).

Pure: octets in and out. The kernel speaks this protocol by itself where an address stands on a
link; these are for what it does not do: asking for an address before it is anybody's, advertising
into a tunnel, announcing an address at once.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network

ALL_NODES = IPv6Address("ff02::1")
UNSPECIFIED = IPv6Address("::")
_HOP_LIMIT = 255
"""Proof that no router has passed the packet on (RFC 4861 s3.1)."""
_ICMPV6 = 58
_IP = struct.Struct("!IHBB16s16s")
_IP_OCTETS = 40
_VERSION = 6 << 28
ROUTER_ADVERTISEMENT, SOLICITATION, ADVERTISEMENT = 134, 135, 136
_ROUTER, _SOLICITED, _OVERRIDE = 1 << 31, 1 << 30, 1 << 29
_SOURCE_LINK_LAYER, _TARGET_LINK_LAYER, _PREFIX, _MTU = 1, 2, 3, 5
_TARGET = struct.Struct("!I16s")
_RA = struct.Struct("!BBHII")
_PREFIX_BODY = struct.Struct("!BBIIxxxx16s")
_ON_LINK, _AUTONOMOUS = 0x80, 0x40
_MANAGED, _OTHER = 0x80, 0x40


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A neighbour solicitation or advertisement.

    Attributes:
        kind: SOLICITATION or ADVERTISEMENT.
        source: of the packet; unspecified when the sender checks whether `target` is free.
        target: the address it is about.
        link_layer: the option's, or nothing.
    """

    kind: int
    source: IPv6Address
    target: IPv6Address
    link_layer: bytes


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prefix information option (RFC 4861 s4.6.2)."""

    network: IPv6Network
    valid_s: int
    preferred_s: int
    on_link: bool = True
    autonomous: bool = True


@dataclass(frozen=True, slots=True)
class RouterAdvertisement:
    """RFC 4861 s4.2.

    Attributes:
        life_s: as default router; 0: it is none.
        managed: addresses by DHCPv6.
        other: other configuration by DHCPv6.
        mtu: of the link; 0: not said.
        link_layer: the router's; empty: not said.
    """

    life_s: int
    prefixes: tuple[Prefix, ...] = ()
    hop_limit: int = 64
    managed: bool = False
    other: bool = False
    reachable_ms: int = 0
    retransmit_ms: int = 0
    mtu: int = 0
    link_layer: bytes = b""

    def encode(self) -> bytes:
        """The ICMPv6 message, checksum zero."""
        flags = (_MANAGED if self.managed else 0) | (_OTHER if self.other else 0)
        fixed = (self.hop_limit, flags, self.life_s, self.reachable_ms, self.retransmit_ms)
        octets = struct.pack("!BBH", ROUTER_ADVERTISEMENT, 0, 0) + _RA.pack(*fixed)
        if self.link_layer:
            octets += bytes((_SOURCE_LINK_LAYER, 1)) + self.link_layer
        if self.mtu:
            octets += struct.pack("!BBHI", _MTU, 1, 0, self.mtu)
        for prefix in self.prefixes:
            flags = (_ON_LINK if prefix.on_link else 0) | (_AUTONOMOUS if prefix.autonomous else 0)
            network = prefix.network
            times = (prefix.valid_s, prefix.preferred_s, network.network_address.packed)
            octets += bytes((_PREFIX, 4))
            octets += _PREFIX_BODY.pack(network.prefixlen, flags, *times)
        return octets


def solicited_node(address: IPv6Address) -> IPv6Address:
    """The group that an address's owner listens to (RFC 4291 s2.7.1)."""
    return IPv6Address(b"\xff\x02" + bytes(9) + b"\x01\xff" + address.packed[13:])


def group_link_layer(group: IPv6Address) -> bytes:
    """The Ethernet address of a multicast group (RFC 2464 s7)."""
    return b"\x33\x33" + group.packed[12:]


def link_local(link_layer: bytes) -> IPv6Address:
    """fe80:: and the modified EUI-64 of an Ethernet address (RFC 4291 appendix A)."""
    first = bytes((link_layer[0] ^ 2,))
    halves = first + link_layer[1:3] + b"\xff\xfe" + link_layer[3:]
    return IPv6Address(b"\xfe\x80" + bytes(6) + halves)


def packet(source: IPv6Address, destination: IPv6Address, icmp: bytes) -> bytes:
    """The IPv6 packet round an ICMPv6 message, with its checksum."""
    pseudo = source.packed + destination.packed + struct.pack("!II", len(icmp), _ICMPV6)
    summed = struct.pack("!H", _checksum(pseudo + icmp[:2] + b"\0\0" + icmp[4:]))
    head = _IP.pack(_VERSION, len(icmp), _ICMPV6, _HOP_LIMIT, source.packed, destination.packed)
    return head + icmp[:2] + summed + icmp[4:]


def duplicate_check(address: IPv6Address) -> bytes:
    """The solicitation that asks whether anybody has `address` (RFC 4862 s5.4.2)."""
    body = struct.pack("!BBH", SOLICITATION, 0, 0) + _TARGET.pack(0, address.packed)
    return packet(UNSPECIFIED, solicited_node(address), body)


def unsolicited_advertisement(address: IPv6Address, link_layer: bytes, *, override: bool) -> bytes:
    """Tell all nodes where `address` is (RFC 4861 s7.2.6).

    Args:
        override: take the place of what they know: not while the address is optimistic (RFC 4429
            s3.3).
    """
    flags = _OVERRIDE if override else 0
    body = struct.pack("!BBH", ADVERTISEMENT, 0, 0) + _TARGET.pack(flags, address.packed)
    return packet(address, ALL_NODES, body + bytes((_TARGET_LINK_LAYER, 1)) + link_layer)


def icmp_message(octets: bytes) -> tuple[IPv6Address, IPv6Address, bytes] | None:
    """Source, destination and ICMPv6 message of a discovery packet.

    Returns:
        None when it is no such packet, was forwarded, or its checksum is wrong.
    """
    if len(octets) < _IP_OCTETS + 8:
        return None
    first, length, following, hops, source, destination = _IP.unpack_from(octets)
    icmp = octets[_IP_OCTETS : _IP_OCTETS + length]
    if first >> 28 != 6 or following != _ICMPV6 or hops != _HOP_LIMIT or len(icmp) != length:
        return None
    pseudo = source + destination + struct.pack("!II", length, _ICMPV6)
    if length < 8 or icmp[1] or _checksum(pseudo + icmp):
        return None
    return IPv6Address(source), IPv6Address(destination), icmp


def parse_neighbour(octets: bytes) -> Neighbour | None:
    """A neighbour solicitation or advertisement, or None for anything else."""
    found = icmp_message(octets)
    if found is None:
        return None
    source, _, icmp = found
    if icmp[0] not in (SOLICITATION, ADVERTISEMENT) or len(icmp) < 24:
        return None
    options = _options(icmp[24:])
    if options is None:
        return None
    wanted = _SOURCE_LINK_LAYER if icmp[0] == SOLICITATION else _TARGET_LINK_LAYER
    link_layer = next((body[:6] for kind, body in options if kind == wanted), b"")
    return Neighbour(icmp[0], source, IPv6Address(icmp[8:24]), link_layer)


def parse_router_advertisement(octets: bytes) -> RouterAdvertisement | None:
    """A router advertisement out of a whole packet, or None for anything else."""
    found = icmp_message(octets)
    if found is None or not found[0].is_link_local:
        return None
    return decode_router_advertisement(found[2])


def decode_router_advertisement(icmp: bytes) -> RouterAdvertisement | None:
    """A router advertisement out of its ICMPv6 message, or None when it is malformed."""
    if len(icmp) < 16 or icmp[0] != ROUTER_ADVERTISEMENT:
        return None
    options = _options(icmp[16:])
    if options is None:
        return None
    hop_limit, flags, life_s, reachable_ms, retransmit_ms = _RA.unpack_from(icmp, 4)
    prefixes, mtu, link_layer = [], 0, b""
    for kind, body in options:
        if kind == _PREFIX and len(body) == 30 and body[0] <= 128:
            length, how, valid_s, preferred_s, address = _PREFIX_BODY.unpack(body)
            network = IPv6Network((address, length), strict=False)
            on_link, autonomous = bool(how & _ON_LINK), bool(how & _AUTONOMOUS)
            prefixes.append(Prefix(network, valid_s, preferred_s, on_link, autonomous))
        elif kind == _MTU and len(body) == 6:
            (mtu,) = struct.unpack("!xxI", body)
        elif kind == _SOURCE_LINK_LAYER and len(body) == 6:
            link_layer = body
    return RouterAdvertisement(
        life_s,
        tuple(prefixes),
        hop_limit,
        bool(flags & _MANAGED),
        bool(flags & _OTHER),
        reachable_ms,
        retransmit_ms,
        mtu,
        link_layer,
    )


def _options(octets: bytes) -> list[tuple[int, bytes]] | None:
    found = []
    at = 0
    while at < len(octets):
        length = octets[at + 1] * 8 if at + 2 <= len(octets) else 0
        if length == 0 or at + length > len(octets):
            return None  # RFC 4861 s4.6: silently discard
        found.append((octets[at], octets[at + 2 : at + length]))
        at += length
    return found


def _checksum(octets: bytes) -> int:
    octets += b"\0" * (len(octets) % 2)
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
