"""The plug's octets, against pyroute2 and against structures written out by hand."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any

import pytest
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from mpa_hil.kernel import hold, netlink
from mpa_hil.kernel.hold import Match
from mpa_hil.kernel.size_table import at_least

MN = IPv4Address("192.0.2.7")
INDEX = 5


def split(octets: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(octets):
        (length,) = struct.unpack_from("=I", octets, at)
        yield octets[at : at + length]
        at += length


def parse(octets: bytes) -> Any:
    kind: Any = tcmsg
    parsed = kind(octets)
    parsed.decode()
    assert parsed["index"] == INDEX
    return parsed


def encode(kind: int, flags: int, fields: dict[str, int], attributes: list[Any]) -> bytes:
    """A message by pyroute2, its sequence and port numbers zero as in ours."""
    factory: Any = tcmsg
    theirs = factory()
    for name, value in fields.items():
        theirs[name] = value
    theirs["attrs"] = attributes
    theirs["header"]["type"], theirs["header"]["flags"] = kind, flags
    theirs.encode()
    octets = bytes(theirs.data)
    return octets[:8] + bytes(8) + octets[16:]


def test_prio_root() -> None:
    install, remove = hold.prio_messages(INDEX)
    parsed = parse(install)
    assert (parsed["header"]["type"], parsed["header"]["flags"]) == (36, 0x605)
    assert (parsed["handle"], parsed["parent"]) == (0x4D000000, 0xFFFFFFFF)
    assert parsed.get("TCA_KIND") == "prio"
    options = install[16 + 20 + 12 :]
    assert options == struct.pack("=HHi16s", 24, 2, 16, bytes(16)), "all priorities to band one"
    assert parse(remove)["header"]["type"] == 37


def test_band_is_plug_then_release_then_filter() -> None:
    messages = hold.band_messages(INDEX, 2, MN, 65536, Match.DESTINATION)
    plug, release, feed = split(messages.install)
    assert messages.install_count == 3
    for octets, action, flags in ((plug, 3, 0x605), (release, 2, 0x005), (messages.hold, 0, 0x005)):
        parsed = parse(octets)
        assert (parsed["header"]["type"], parsed["header"]["flags"]) == (36, flags)
        assert (parsed["parent"], parsed["handle"]) == (0x4D000002, 0x4D020000)
        assert parsed.get("TCA_KIND") == "plug"
        assert octets[-12:] == struct.pack("=HHiI", 12, 2, action, 65536)
    assert release == messages.release
    parsed = parse(feed)
    assert (parsed["header"]["type"], parsed["parent"]) == (44, 0x4D000000)
    assert parsed["info"] == 2 << 16 | socket.htons(0x0800)
    assert parsed.get(("TCA_OPTIONS", "TCA_U32_CLASSID")) == 0x4D000002
    starve, remove = split(messages.remove)
    assert (parse(starve)["header"]["type"], parse(remove)["header"]["type"]) == (45, 37)


def test_selector_by_hand() -> None:
    """struct tc_u32_sel and tc_u32_key, octet by octet."""
    messages = hold.band_messages(INDEX, 3, MN, 1, Match.SOURCE)
    *_, feed = split(messages.install)
    by_hand = bytes((1, 0, 1, 0)) + bytes(12) + b"\xff" * 4 + MN.packed
    by_hand += struct.pack("=ii", 12, 0)
    assert feed.endswith(by_hand)


def test_root_plug() -> None:
    messages = hold.root_messages(INDEX, 1000)
    plug, release = split(messages.install)
    assert parse(plug)["parent"] == parse(release)["parent"] == 0xFFFFFFFF
    assert messages.install_count == 2


def test_pyroute2_makes_the_same_plug() -> None:
    theirs = encode(
        36,
        0x005,
        {"index": INDEX, "handle": 0x4D000000, "parent": 0xFFFFFFFF},
        [("TCA_KIND", "plug"), ("TCA_OPTIONS", {"action": 0, "limit": 1000})],
    )
    assert theirs == hold.root_messages(INDEX, 1000).hold


def test_pyroute2_makes_the_same_filter() -> None:
    selector = {"keys": ["0xc0000207/0xffffffff+16"]}
    theirs = encode(
        44,
        0x605,
        {"index": INDEX, "parent": 0x4D000000, "info": 2 << 16 | socket.htons(0x0800)},
        [
            ("TCA_KIND", "u32"),
            (
                "TCA_OPTIONS",
                {"attrs": [("TCA_U32_CLASSID", 0x4D000002), ("TCA_U32_SEL", selector)]},
            ),
        ],
    )
    *_, ours = split(hold.band_messages(INDEX, 2, MN, 65536, Match.DESTINATION).install)
    assert theirs == ours


def test_statistics() -> None:
    basic = netlink.attribute(1, struct.pack("=QI", 9000, 9))
    queue = netlink.attribute(3, struct.pack("=IIIII", 3, 3000, 1, 0, 0))
    entry = bytes(20) + netlink.text(1, "plug") + netlink.nested(7, basic, queue)
    assert hold.parse_backlog(entry) == hold.Backlog(3, 3000, 1, 9, 9000)
    assert hold.parse_backlog(bytes(20)) == hold.Backlog(0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("octets", "packets", "lengths"),
    [
        (100_000, 40, [114] * 60),
        (20_000, 40, [1014] * 60),
        (1 << 20, 2048, [214, 1514, 60, 1400, 66] * 900),
        (5000, 6000, [60] * 200),
        (1 << 30, 3, [1514] * 5),
    ],
)
def test_a_size_table_keeps_both_limits(octets: int, packets: int, lengths: list[int]) -> None:
    """As the kernel reckons: __qdisc_calculate_pkt_len and plug_enqueue."""
    limit, table = at_least(octets, packets)
    base, data = (table[8:32], table[36:])
    cell_log, size_log, align, _, _, _, _, slots = struct.unpack("=BBhiIIII", base)
    sizes = struct.unpack(f"={slots}H", data)
    counted = taken = kept = 0
    for length in lengths:
        if counted + length <= limit:
            counted += sizes[length + align >> cell_log] << size_log
            taken, kept = taken + length, kept + 1
    assert kept <= packets
    assert taken <= octets
    assert kept == len(lengths) or kept == packets or taken > 0.9 * octets or counted > 0.9 * octets
    assert at_least(octets, 0) == (octets, b"")


def test_whatever_holds_brings_the_size_table_along() -> None:
    """A change without it takes it away (qdisc_change), and with it the limit in packets."""
    _, table = at_least(100_000, 40)
    messages = hold.root_messages(INDEX, 100_000, limit_packets=40, blocked=True)
    assert table in messages.install
    assert table in messages.hold
    assert table not in messages.release
