"""Which packets the filters before a hold device's queue fit, reckoned as the kernel's u32 does."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import ntohs

import pytest

from mpa_hil.kernel.flow_filters import FlowFilter, Way, flush, install
from mpa_hil.kernel.netlink import attributes

TUNNEL, LINK, DEVICE = 7, 8, 9
UDP, TCP = 17, 6
HOME, CN, AGENT, CARE_OF = (ip_address(f"10.{n}.0.10") for n in (0, 9, 8, 2))
HOME6, CN6, AGENT6, CARE_OF6 = (ip_address(f"2001:db8:{n}::10") for n in (0, 9, 8, 2))
Address = IPv4Address | IPv6Address


def transport(source_port: int, port: int) -> bytes:
    return struct.pack("!HHHH", source_port, port, 8, 0)


def ip(source: Address, to: Address, protocol: int, body: bytes, offset: int = 0) -> bytes:
    if to.version == 6:
        head = struct.pack("!IHBB", 6 << 28, len(body), protocol, 64)
    else:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, offset, 64, protocol, 0)
    return head + source.packed + to.packed + body


def routed(source: Address, port: int, kind: int = 2) -> bytes:
    """With the home address in a routing header."""
    header = bytes((UDP, 2, kind, 1)) + bytes(4) + HOME6.packed
    return ip(source, CARE_OF6, 43, header + transport(9, port))


def messages(octets: bytes) -> Iterator[bytes]:
    while octets:
        (length,) = struct.unpack_from("=I", octets)
        yield octets[16:length]
        octets = octets[length + 3 & ~3 :]


def way(wanted: tuple[FlowFilter, ...], packet: bytes) -> Way | None:
    """Where a packet goes; None: no filter fits, and it waits."""
    octets, count = install(DEVICE, wanted, TUNNEL, LINK)
    found = list(messages(octets))
    assert len(found) == count
    found.sort(key=lambda body: struct.unpack_from("=BxxxiIII", body)[4] >> 16)
    kinds = {4: 0x0800, 6: 0x86DD}
    for body in found:
        _, index, _, parent, info = struct.unpack_from("=BxxxiIII", body)
        assert (index, parent) == (DEVICE, 0xFFFFFFF3)
        if ntohs(info & 0xFFFF) not in (3, kinds[packet[0] >> 4]):
            continue
        options = attributes(attributes(body[20:])[2])
        selector = options[5]
        keys = [struct.unpack_from("=4s4sii", selector, 16 + 16 * n) for n in range(selector[2])]
        if all(fits(packet, *key[:3]) for key in keys):
            return meaning(options[7])
    return None


def fits(packet: bytes, mask: bytes, value: bytes, at: int) -> bool:
    assert at % 4 == 0
    word = packet[at : at + 4]
    return len(word) == 4 and bytes(a & b for a, b in zip(word, mask, strict=True)) == value


def meaning(actions: bytes) -> Way:
    found = [attributes(each) for _, each in sorted(attributes(actions).items())]
    names = [each[1].rstrip(b"\0").decode() for each in found]
    options = [attributes(each[2])[2] for each in found]
    if names == ["gact"]:
        return {0: Way.WAIT, 2: Way.NOWHERE}[struct.unpack_from("=IIi", options[0])[2]]
    devices = [struct.unpack_from("=IIiiiiI", each)[6] for each in options]
    return {(TUNNEL,): Way.TUNNEL, (LINK,): Way.LINK, (TUNNEL, LINK): Way.BOTH}[tuple(devices)]


CALL = (FlowFilter(Way.TUNNEL, UDP, HOME, 5004),)
CALL6 = (FlowFilter(Way.BOTH, UDP, HOME6, 5004, CN6),)
DOWNLOAD = (FlowFilter(Way.NOWHERE, TCP, peer=CN, peer_port=80), FlowFilter(Way.LINK))


@pytest.mark.parametrize(
    ("wanted", "packet", "goes"),
    [
        (CALL, ip(AGENT, CARE_OF, 4, ip(CN, HOME, UDP, transport(9, 5004))), Way.TUNNEL),
        (CALL, ip(AGENT, CARE_OF, 4, ip(CN, HOME, UDP, transport(9, 5005))), None),
        (CALL, ip(AGENT, CARE_OF, 4, ip(CN, HOME, TCP, transport(9, 5004))), None),
        (CALL, ip(AGENT, CARE_OF, 4, ip(CN, AGENT, UDP, transport(9, 5004))), None),
        (CALL, ip(AGENT, CARE_OF, 4, ip(CN, HOME, UDP, transport(9, 5004), 185)), None),
        (CALL, ip(CN, CARE_OF, UDP, transport(9, 5004)), Way.TUNNEL),
        (CALL, ip(AGENT6, CARE_OF6, 4, ip(CN, HOME, UDP, transport(9, 5004))), Way.TUNNEL),
        (CALL, ip(CN6, CARE_OF6, UDP, transport(9, 5004)), None),
        (CALL6, ip(AGENT6, CARE_OF6, 41, ip(CN6, HOME6, UDP, transport(9, 5004))), Way.BOTH),
        (CALL6, ip(AGENT, CARE_OF, 41, ip(CN6, HOME6, UDP, transport(9, 5004))), Way.BOTH),
        (CALL6, ip(AGENT6, CARE_OF6, 41, ip(AGENT6, HOME6, UDP, transport(9, 5004))), None),
        (CALL6, routed(CN6, 5004), Way.BOTH),
        (CALL6, routed(CN6, 5005), None),
        (CALL6, routed(AGENT6, 5004), None),
        (CALL6, routed(CN6, 5004, 0), None),
        (DOWNLOAD, ip(AGENT, CARE_OF, 4, ip(CN, HOME, TCP, transport(80, 40000))), Way.NOWHERE),
        (DOWNLOAD, ip(CN, CARE_OF, TCP, transport(80, 40000)), Way.NOWHERE),
        (DOWNLOAD, ip(CN, CARE_OF, TCP, transport(40000, 80)), Way.LINK),
        (DOWNLOAD, ip(CN6, CARE_OF6, TCP, transport(80, 40000)), Way.LINK),
        ((FlowFilter(Way.WAIT, UDP), FlowFilter(Way.NOWHERE)), routed(CN6, 1), Way.WAIT),
        ((FlowFilter(Way.WAIT, UDP), FlowFilter(Way.NOWHERE)), ip(CN, HOME, 1, b""), Way.NOWHERE),
    ],
)
def test_where_a_packet_goes(
    wanted: tuple[FlowFilter, ...], packet: bytes, goes: Way | None
) -> None:
    assert way(wanted, packet) is goes


def test_one_message_takes_all_away() -> None:
    (body,) = messages(flush(DEVICE))
    assert struct.unpack_from("=BxxxiIII", body) == (0, DEVICE, 0, 0xFFFFFFF3, 0)
