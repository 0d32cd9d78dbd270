"""Link-layer frames of the configuration agent: Ethernet, ARP, IPv4 with UDP. Sans-IO.

The agent speaks for nodes that are not on the link, so it cannot use the kernel's addresses and
sockets. Its frames carry its own link-layer address: with the mobile node's, every bridge would
send there what is for the node.

Checksums of received frames are not verified: on virtual links they are left for hardware to fill
in, and everything in them is checked against what was asked.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from mpa_hil import errors
from mpa_hil.light import light

BROADCAST = b"\xff" * 6
ETHER_IPV4, ETHER_ARP, ETHER_IPV6 = 0x0800, 0x0806, 0x86DD
UDP = 17
_ETHERNET = struct.Struct("!6s6sH")
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ARP_ETHERNET_IPV4 = (1, ETHER_IPV4, 6, 4)
_REQUEST, _REPLY = 1, 2
_ANYWHERE, _EVERYWHERE = IPv4Address("0.0.0.0"), IPv4Address("255.255.255.255")


class DecodeError(errors.DecodeError):
    """The frame is none of those."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="frame")


@light
class Udp4:
    """A UDP datagram over IPv4."""

    source_mac: bytes
    source: IPv4Address
    source_port: int
    port: int
    payload: bytes


@light
class ArpReply:
    """Somebody answers for an address."""

    address: IPv4Address
    mac: bytes


def ethernet(destination: bytes, source: bytes, kind: int, payload: bytes) -> bytes:
    """A frame."""
    return _ETHERNET.pack(destination, source, kind) + payload


def decode4(frame: bytes) -> Udp4 | ArpReply:
    """What an IPv4 or ARP frame says.

    Raises:
        DecodeError: it is no ARP reply and no whole UDP datagram.
    """
    if len(frame) < _ETHERNET.size:
        raise DecodeError(f"{len(frame)} octets")
    _, source_mac, kind = _ETHERNET.unpack_from(frame)
    packet = frame[_ETHERNET.size :]
    if kind == ETHER_ARP:
        return _arp_reply(packet)
    if kind != ETHER_IPV4 or len(packet) < _IPV4.size:
        raise DecodeError(f"type {kind:#06x}, {len(packet)} octets")
    first, _, total, _, fragment, _, protocol, _, source, _ = _IPV4.unpack_from(packet)
    header = (first & 15) * 4
    if first >> 4 != 4 or not _IPV4.size <= header <= total <= len(packet):
        raise DecodeError("its IPv4 header does not fit")
    if protocol != UDP or fragment & 0x3FFF:
        raise DecodeError("no UDP, or a fragment")
    segment = packet[header:total]
    source_port, port, payload = udp_payload(segment)
    return Udp4(source_mac, IPv4Address(source), source_port, port, payload)


def udp_payload(segment: bytes) -> tuple[int, int, bytes]:
    """Source port, destination port, octets. Raises DecodeError."""
    if len(segment) < _UDP.size:
        raise DecodeError("its UDP header is cut off")
    source_port, port, length, _ = _UDP.unpack_from(segment)
    if not _UDP.size <= length <= len(segment):
        raise DecodeError("its UDP length does not fit")
    return source_port, port, segment[_UDP.size : length]


def broadcast_udp(source_mac: bytes, source_port: int, port: int, payload: bytes) -> bytes:
    """From an interface without an address to all on the link (RFC 2131 s4.1)."""
    source, destination = _ANYWHERE.packed, _EVERYWHERE.packed
    segment = udp_segment(source_port, port, payload, source + destination)
    length = _IPV4.size + len(segment)
    header = _IPV4.pack(0x45, 0xC0, length, 0, 0, 64, UDP, 0, source, destination)
    header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
    return ethernet(BROADCAST, source_mac, ETHER_IPV4, header + segment)


def udp_segment(source_port: int, port: int, payload: bytes, addresses: bytes) -> bytes:
    """A UDP header with its checksum, and the payload.

    Args:
        addresses: source and destination, both families (RFC 768, RFC 8200 s8.1).
    """
    length = _UDP.size + len(payload)
    segment = _UDP.pack(source_port, port, length, 0) + payload
    pseudo = addresses + struct.pack("!II", length, UDP)  # the IPv4 one has the same sum
    total = checksum(pseudo + segment) or 0xFFFF
    return segment[:6] + total.to_bytes(2, "big") + segment[8:]


def arp_probe(source_mac: bytes, address: IPv4Address) -> bytes:
    """Who has this address? Asked by nobody in particular (RFC 5227 s2.1.1), so that no cache on
    the link learns anything from it."""
    arp = _ARP.pack(
        *_ARP_ETHERNET_IPV4, _REQUEST, source_mac, _ANYWHERE.packed, bytes(6), address.packed
    )
    return ethernet(BROADCAST, source_mac, ETHER_ARP, arp)


def _arp_reply(packet: bytes) -> ArpReply:
    if len(packet) < _ARP.size:
        raise DecodeError("ARP is cut off")
    *kind, operation, mac, address, _, _ = _ARP.unpack_from(packet)
    if tuple(kind) != _ARP_ETHERNET_IPV4 or operation != _REPLY:
        raise DecodeError("no ARP reply of IPv4 over Ethernet")
    return ArpReply(IPv4Address(address), mac)


def checksum(octets: bytes) -> int:
    """Of the Internet (RFC 1071)."""
    if len(octets) % 2:
        octets += b"\0"
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
