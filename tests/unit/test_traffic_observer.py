"""The capture as second observer, where packets come wrapped: IPv6, Mobile IPv6, encrypted."""

from __future__ import annotations

import struct
from ipaddress import IPv6Address

import pytest

from mpa_hil.traffic.endpoint import HEADER
from mpa_hil.traffic.figures import Window
from mpa_hil.traffic.observer import Sighting, sealed_lengths, sealed_times, sightings
from mpa_hil.traffic.pcap import LINKTYPE_ETHERNET, Capture, Packet, datagram, sealed_octets

MS = 1_000_000
CN, HOME, CARE_OF, AGENT = (
    IPv6Address(text).packed
    for text in ("2001:db8:9::2", "2001:db8::10", "2001:db8:2::99", "2001:db8::1")
)
MN = bytes.fromhex("020000000010")
PORT, SSRC = 40_001, 7
IP_6, UDP, ESP, ROUTING, OPTIONS, FRAGMENT = 41, 17, 50, 43, 60, 44


def ip6(source: bytes, destination: bytes, protocol: int, body: bytes) -> bytes:
    head = struct.pack("!IHBB", 6 << 28, len(body), protocol, 64)
    return head + source + destination + body


def ip4(protocol: int, body: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0)
    return head + bytes(8) + body


def udp(payload: bytes, port: int = PORT) -> bytes:
    return struct.pack("!HHHH", 5000, port, 8 + len(payload), 0) + payload


def rtp(sequence: int, octets: int = 24) -> bytes:
    head = HEADER.pack(0x80, 0, sequence, 0, SSRC, sequence * MS, sequence)
    return head + bytes(octets - len(head))


def type_2(body: bytes) -> bytes:
    """A type 2 routing header with the home address (RFC 6275 s6.4.1)."""
    return bytes([UDP, 2, 2, 1]) + bytes(4) + HOME + body


def home_address(body: bytes, protocol: int = UDP) -> bytes:
    """A home address option in destination options, padded (RFC 6275 s6.3)."""
    return bytes([protocol, 2, 1, 2, 0, 0, 0xC9, 16]) + HOME + body


def fragment(offset: int, body: bytes) -> bytes:
    return struct.pack("!BBHI", UDP, 0, offset << 3, 99) + body


PLAIN = udp(rtp(3))
WRAPPED = {
    "plain": ip6(CN, HOME, UDP, PLAIN),
    "tunnelled": ip6(AGENT, CARE_OF, IP_6, ip6(CN, HOME, UDP, PLAIN)),
    "in two tunnels": ip4(IP_6, ip6(AGENT, CARE_OF, IP_6, ip6(CN, HOME, UDP, PLAIN))),
    "to the care-of address": ip6(CN, CARE_OF, ROUTING, type_2(PLAIN)),
    "from the care-of address": ip6(CARE_OF, CN, OPTIONS, home_address(PLAIN)),
    "both": ip6(CARE_OF, CN, OPTIONS, home_address(type_2(PLAIN), ROUTING)),
    "first fragment": ip6(CN, HOME, FRAGMENT, fragment(0, PLAIN)),
}
OTHER = {
    "later fragment": ip6(CN, HOME, FRAGMENT, fragment(100, PLAIN)),
    "mobility header": ip6(CN, HOME, 135, bytes(16)),
    "endless options": ip6(CN, HOME, OPTIONS, bytes([OPTIONS, 255]) + bytes(14)),
    "cut header": ip6(CN, HOME, ROUTING, bytes(4)),
    "encrypted": ip6(CN, HOME, ESP, bytes(80)),
}


@pytest.mark.parametrize("how", WRAPPED)
def test_a_flow_is_seen_however_it_is_wrapped(how: str) -> None:
    frame = MN + bytes(6) + (b"\x08\x00" if how == "in two tunnels" else b"\x86\xdd") + WRAPPED[how]
    taken = Capture(LINKTYPE_ETHERNET, 262144, [Packet(500, frame, len(frame))], truncated=False)
    (seen,) = sightings(taken, {PORT}, 100).values()
    assert seen.ssrc == SSRC
    assert [(each.sequence, each.received_ns) for each in seen.arrivals] == [(3, 400)]


@pytest.mark.parametrize("how", OTHER)
def test_other_packets_are_none(how: str) -> None:
    assert datagram(OTHER[how]) is None


def esp(udp_payload: int, headers: int) -> bytes:
    """An ESP packet of AES-GCM round a datagram (RFC 4303 s2, RFC 4106 s3)."""
    inner = headers + 8 + udp_payload
    pad = -(inner + 2) % 4
    return bytes(8 + 8 + inner + pad + 2 + 16)


def wireguard(udp_payload: int, headers: int) -> bytes:
    inner = headers + 8 + udp_payload
    return udp(b"\x04\0\0\0" + bytes(12 + inner + -inner % 16 + 16), port=51820)


def sealed(kind: str, octets: int, headers: int, *, six: bool = False) -> bytes:
    protocol, body = (
        (ESP, esp(octets, headers)) if kind == "esp" else (UDP, wireguard(octets, headers))
    )
    return ip6(CN, CARE_OF, protocol, body) if six else ip4(protocol, body)


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize("kind", ["esp", "wireguard"])
@pytest.mark.parametrize("headers", [20, 40, 60, 64, 80])
def test_an_encrypted_packet_is_known_by_its_length(kind: str, headers: int, six: bool) -> None:
    octets = sealed_octets(sealed(kind, 24, headers, six=six))
    assert octets in sealed_lengths(24)
    voice = sealed_octets(sealed(kind, 172, headers, six=six))
    assert voice not in sealed_lengths(24)


def test_what_is_not_encrypted_has_no_such_length() -> None:
    for packet in (*WRAPPED.values(), ip4(UDP, PLAIN), b"", bytes(60)):
        assert sealed_octets(packet) is None


def test_only_what_came_to_the_receiver_counts() -> None:
    def frame(to: bytes, packet: bytes) -> bytes:
        return to + bytes(6) + b"\x08\x00" + packet

    packets = [
        Packet(100, frame(MN, sealed("esp", 24, 40)), 0),
        Packet(200, frame(bytes(6), sealed("esp", 24, 40)), 0),
        Packet(300, frame(MN, sealed("esp", 172, 40)), 0),
        Packet(400, frame(MN, ip4(UDP, PLAIN)), 0),
        Packet(500, frame(MN, sealed("wireguard", 24, 40)), 0),
    ]
    taken = Capture(LINKTYPE_ETHERNET, 262144, packets, truncated=False)
    assert sealed_times(taken, sealed_lengths(24), MN, 50) == (50, 450)
    assert sealed_times(Capture(127, 9, packets, truncated=False), sealed_lengths(24), MN) == ()


def test_a_gap_lies_between_encrypted_and_plain_packets() -> None:
    plain = Capture(
        LINKTYPE_ETHERNET,
        262144,
        [
            Packet(at * MS, MN + bytes(6) + b"\x86\xdd" + ip6(CN, HOME, UDP, udp(rtp(at))), 0)
            for at in range(30, 40)
        ],
        truncated=False,
    )
    (seen,) = sightings(plain, {PORT}).values()
    both = Sighting(SSRC, seen.arrivals, tuple(at * MS for at in range(20)))
    window = Window(0, 40 * MS)
    assert seen.gap_ms(window, MS) == 29
    assert both.gap_ms(window, MS) == 10
