"""Classic pcap files in, one pcapng out: small, own, and fast enough for whole runs.

Reading: microsecond and nanosecond files of either byte order (draft-ietf-opsawg-pcap). A file that
its writer did not finish is read up to its last whole packet. Writing: one section with an
Interface Description Block per source, named ``host:interface``, nanosecond stamps, packets of all
sources in order of time (draft-ietf-opsawg-pcapng).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import BinaryIO, NamedTuple

from radios.errors import RemoteError

LINKTYPE_ETHERNET = 1
LINKTYPE_RAW = 101
LINKTYPE_LINUX_SLL = 113
LINKTYPE_IEEE802_11 = 105
LINKTYPE_IEEE802_11_RADIOTAP = 127
LINKTYPE_IPV4 = 228
LINKTYPE_IPV6 = 229
LINKTYPE_LINUX_SLL2 = 276

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_IPV6 = 0x86DD
ETHERTYPE_EAPOL = 0x888E

_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
_MAXIMUM_CAPTURED_BYTES = 262_144  # tcpdump's largest snapshot; anything above is a broken file


class Packet(NamedTuple):
    """One captured packet."""

    t_ns: int
    """Capture time, ns since 1970 (CLOCK_REALTIME of the capturing machine)."""
    data: bytes
    """The octets captured."""
    wire_bytes: int
    """Its length in the air or on the wire, octets."""


@dataclass(frozen=True, slots=True)
class Capture:
    """A pcap file in memory."""

    linktype: int
    snaplen: int
    packets: list[Packet]
    truncated: bool
    """The last packet was cut off: the capture was killed rather than stopped."""


def read_pcap(data: bytes, where: str = "capture") -> Capture:
    """Read a classic pcap file.

    Raises:
        RemoteError: not a pcap file, or a packet header that cannot be.
    """
    if len(data) < 24 or data[:4] not in _MAGIC:
        raise RemoteError(
            "not a classic pcap file", where=where, remedy="capture with tcpdump -w, without pcapng"
        )
    order, scale = _MAGIC[data[:4]]
    snaplen, linktype = struct.unpack_from(order + "II", data, 16)
    header = struct.Struct(order + "IIII")
    packets = []
    position = 24
    while position + 16 <= len(data):
        seconds, fraction, captured, wire_bytes = header.unpack_from(data, position)
        if captured > _MAXIMUM_CAPTURED_BYTES:
            raise RemoteError(f"packet of {captured} octets at offset {position}", where=where)
        end = position + 16 + captured
        if end > len(data):
            break
        t_ns = seconds * 1_000_000_000 + fraction * scale
        packets.append(Packet(t_ns, data[position + 16 : end], wire_bytes))
        position = end
    # The upper bits of the link type word carry FCS information.
    return Capture(linktype & 0xFFFF, snaplen, packets, truncated=position != len(data))


@dataclass(frozen=True, slots=True)
class Source:
    """One capture for the combined file."""

    host: str
    interface: str
    capture: Capture
    description: str = ""

    @property
    def name(self) -> str:
        """The interface's name in the combined file."""
        return f"{self.host}:{self.interface}"


def write_pcapng(out: BinaryIO, sources: Sequence[Source], application: str = "mpa-hil") -> int:
    """Combine captures into one pcapng file; returns the number of packets.

    Keys are never put in: a Decryption Secrets Block is not written.
    """
    out.write(_section_header(application))
    for source in sources:
        out.write(_interface_description(source))
    packets = [(p.t_ns, i, p) for i, s in enumerate(sources) for p in s.capture.packets]
    packets.sort(key=_time_and_interface)  # captures are nearly in order, but nothing promises it
    out.writelines(_enhanced_packet(index, packet) for _, index, packet in packets)
    return len(packets)


_time_and_interface = itemgetter(0, 1)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


_END_OF_OPTIONS = struct.pack("<HH", 0, 0)


def _section_header(application: str) -> bytes:
    """Section Header Block (s4.1): byte-order magic, version 1.0, length unknown."""
    body = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    return _block(0x0A0D0D0A, body + _option(4, application.encode()) + _END_OF_OPTIONS)


def _interface_description(source: Source) -> bytes:
    """Interface Description Block (s4.2) with if_name, if_description and if_tsresol 10^-9."""
    body = struct.pack("<HHI", source.capture.linktype, 0, source.capture.snaplen)
    body += _option(2, source.name.encode())
    if source.description:
        body += _option(3, source.description.encode())
    body += _option(9, b"\x09") + _END_OF_OPTIONS
    return _block(1, body)


_PACKET_HEAD = struct.Struct("<IIIIIII")
_BLOCK_END = struct.Struct("<I")
_PADDING = tuple(bytes(count) for count in range(4))


def _enhanced_packet(interface: int, packet: Packet) -> bytes:
    """Enhanced Packet Block (s4.3). Runs for each packet of a run, so it is kept short."""
    t_ns, data, wire_bytes = packet
    captured = len(data)
    padding = -captured % 4
    length = 32 + captured + padding
    high, low = t_ns >> 32, t_ns & 0xFFFFFFFF
    head = _PACKET_HEAD.pack(6, length, interface, high, low, captured, wire_bytes)
    return head + data + _PADDING[padding] + _BLOCK_END.pack(length)


def ip_packet(linktype: int, frame: bytes) -> bytes | None:
    """The IP packet inside a link-layer frame; None for anything else, encrypted frames included.

    Raises:
        RemoteError: a link type that this reader does not know.
    """
    if linktype in (LINKTYPE_RAW, LINKTYPE_IPV4, LINKTYPE_IPV6):
        return frame
    kind, body = link_payload(linktype, frame)
    return body if kind in (ETHERTYPE_IPV4, ETHERTYPE_IPV6) else None


def link_payload(linktype: int, frame: bytes) -> tuple[int, bytes]:
    """Ethertype of a frame (VLAN tags skipped) and what it carries; 0 and nothing where unknown.

    Raises:
        RemoteError: a link type that this reader does not know, or one without Ethertypes.
    """
    if linktype == LINKTYPE_ETHERNET:
        return _ethertype(frame, 12)
    if linktype == LINKTYPE_LINUX_SLL:
        return _ethertype(frame, 14)
    if linktype == LINKTYPE_LINUX_SLL2:
        return int.from_bytes(frame[:2], "big"), frame[20:]
    if linktype in (LINKTYPE_IEEE802_11, LINKTYPE_IEEE802_11_RADIOTAP):
        return _wifi(frame[radiotap_length(linktype, frame) :])
    raise RemoteError(f"link type {linktype} cannot be read", remedy="capture Ethernet or 802.11")


def radiotap_length(linktype: int, frame: bytes) -> int:
    """Octets that the capture put before the 802.11 frame itself (radiotap.org)."""
    if linktype != LINKTYPE_IEEE802_11_RADIOTAP:
        return 0
    return int.from_bytes(frame[2:4], "little") if len(frame) >= 4 else len(frame)


def _ethertype(frame: bytes, position: int) -> tuple[int, bytes]:
    """The Ethertype at `position`, VLAN tags skipped, and what follows it."""
    kind = frame[position : position + 2]
    while kind in (b"\x81\x00", b"\x88\xa8"):
        position += 4
        kind = frame[position : position + 2]
    return int.from_bytes(kind, "big"), frame[position + 2 :]


def _wifi(frame: bytes) -> tuple[int, bytes]:
    """What an unencrypted 802.11 data frame carries (IEEE 802.11 s9.2.3, s9.3.2)."""
    nothing = (0, b"")
    if len(frame) < 24 or frame[0] & 0x0C != 0x08 or frame[0] & 0x40:
        return nothing  # no data frame, or one without a body
    flags = frame[1]
    if flags & 0x40:
        return nothing  # protected: the octets are ciphertext
    length = 24
    if flags & 0x03 == 0x03:
        length += 6  # fourth address
    if frame[0] & 0x80:
        if len(frame) > length and frame[length] & 0x80:
            return nothing  # A-MSDU: several packets in one frame, not taken apart here
        length += 2
        if flags & 0x80:
            length += 4  # HT control
    if frame[length : length + 6] != b"\xaa\xaa\x03\x00\x00\x00":
        return nothing
    return _ethertype(frame, length + 6)


class Datagram(NamedTuple):
    """A UDP datagram and the addresses of the IP packet round it."""

    source: bytes
    destination: bytes
    source_port: int
    destination_port: int
    payload: bytes


class _Carried(NamedTuple):
    """What an IP packet carries."""

    source: bytes
    destination: bytes
    protocol: int
    body: bytes
    """Without what the link added behind; cut short where the capture was."""
    octets: int
    """Its length, also where the capture cut it short."""


_SKIPPED = (0, 43, 60)
"""IPv6 hop-by-hop options, routing header, destination options (RFC 8200 s4.1): Mobile IPv6 has its
type 2 routing header and its home address option in the latter two (RFC 6275 s6.3, s6.4)."""
_FRAGMENT, _UDP, _ESP = 44, 17, 50
_IP_IN_IP = (4, 41)
"""IPv4 or IPv6 inside (RFC 2003, RFC 2473)."""


def _carried(packet: bytes) -> _Carried | None:
    """What is behind an IP header and what belongs to it; None for a fragment after the first."""
    if len(packet) < 20:
        return None
    version = packet[0] >> 4
    if version == 4:
        if int.from_bytes(packet[6:8], "big") & 0x1FFF:
            return None
        header, end = 4 * (packet[0] & 0x0F), int.from_bytes(packet[2:4], "big")
        body = packet[header : max(end, header)]
        return _Carried(packet[12:16], packet[16:20], packet[9], body, max(end - header, 0))
    if version != 6 or len(packet) < 40:
        return None
    protocol, octets = packet[6], int.from_bytes(packet[4:6], "big")
    body = packet[40 : 40 + octets]
    while protocol in (*_SKIPPED, _FRAGMENT) and len(body) >= 8:
        length = 8 if protocol == _FRAGMENT else 8 * (body[1] + 1)
        if protocol == _FRAGMENT and int.from_bytes(body[2:4], "big") & 0xFFF8:
            return None
        protocol, body, octets = body[0], body[length:], max(octets - length, 0)
    return _Carried(packet[8:24], packet[24:40], protocol, body, octets)


def datagram(packet: bytes, depth: int = 3) -> Datagram | None:
    """The UDP datagram in an IP packet, through IP-in-IP and IPv6 extension headers; else None.

    Fragments after the first hold no UDP header. `depth` is how many IP headers may stand before
    it: 1 looks into no tunnel.
    """
    while depth:
        depth -= 1
        found = _carried(packet)
        if found is None:
            return None
        body = found.body
        if found.protocol == _UDP and len(body) >= 8:
            source_port = int.from_bytes(body[:2], "big")
            port = int.from_bytes(body[2:4], "big")
            return Datagram(found.source, found.destination, source_port, port, body[8:])
        if found.protocol not in _IP_IN_IP:
            return None
        packet = body
    return None


def carried(packet: bytes) -> tuple[int, bytes] | None:
    """Protocol number of what an IP packet carries behind its extension headers, and its octets.

    None for a fragment after the first and for what is no IP packet.
    """
    found = _carried(packet)
    return None if found is None else (found.protocol, found.body)


def sealed_octets(packet: bytes) -> int | None:
    """Length of an encrypted packet, in the IP packet that carries it; None for any other.

    ESP (RFC 4303) from its SPI on; of WireGuard the data message, which begins with its type.
    """
    found = _carried(packet)
    if found is None:
        return None
    if found.protocol == _ESP:
        return found.octets
    if found.protocol == _UDP and found.body[8:12] == b"\x04\0\0\0":
        return found.octets - 8
    return None


def udp_datagram(packet: bytes, depth: int = 3) -> tuple[int, bytes]:
    """Destination port and payload of a `datagram`; port 0 and nothing where there is none."""
    found = datagram(packet, depth)
    return (found.destination_port, found.payload) if found else (0, b"")
