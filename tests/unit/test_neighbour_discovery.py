"""Neighbour discovery packets: as scapy reads them, and as the RFCs have them."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network

import pytest
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptMTU,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)

from mpa_hil.kernel.neighbour_discovery import (
    ADVERTISEMENT,
    SOLICITATION,
    Prefix,
    RouterAdvertisement,
    duplicate_check,
    group_link_layer,
    link_local,
    packet,
    parse_neighbour,
    parse_router_advertisement,
    solicited_node,
    unsolicited_advertisement,
)

ADDRESS = IPv6Address("2001:db8::1234:5678")
ROUTER = IPv6Address("fe80::1")
NODES = IPv6Address("ff02::1")
MAC = bytes.fromhex("02aabbccddee")
ADVERTISED = RouterAdvertisement(
    1800,
    (
        Prefix(IPv6Network("2001:db8::/64"), 86400, 14400),
        Prefix(IPv6Network("2001:db8:1::/48"), 10, 5, on_link=False, autonomous=False),
    ),
    managed=True,
    mtu=1460,
    link_layer=MAC,
)


def test_duplicate_check() -> None:
    """RFC 4862 s5.4.2: from nobody, to the solicited-node group, without an option."""
    octets = duplicate_check(ADDRESS)
    read = IPv6(octets)
    assert (read.src, read.dst, read.hlim) == ("::", "ff02::1:ff34:5678", 255)
    assert read[ICMPv6ND_NS].tgt == str(ADDRESS)
    assert len(octets) == 64
    assert IPv6(bytes(_unsummed(read))).cksum == read[ICMPv6ND_NS].cksum
    assert group_link_layer(solicited_node(ADDRESS)).hex() == "3333ff345678"
    told = parse_neighbour(octets)
    assert told is not None
    assert (told.kind, told.target, told.link_layer) == (SOLICITATION, ADDRESS, b"")
    assert told.source.is_unspecified


@pytest.mark.parametrize("override", [True, False])
def test_announcement(override: bool) -> None:
    """RFC 4429 s3.3: without Override as long as the address is optimistic."""
    octets = unsolicited_advertisement(ADDRESS, MAC, override=override)
    read = IPv6(octets)
    assert (read.src, read.dst, read.hlim) == (str(ADDRESS), "ff02::1", 255)
    told = read[ICMPv6ND_NA]
    assert (told.R, told.S, told.O, told.tgt) == (0, 0, int(override), str(ADDRESS))
    assert read[ICMPv6NDOptDstLLAddr].lladdr == "02:aa:bb:cc:dd:ee"
    assert IPv6(bytes(_unsummed(read))).cksum == told.cksum
    found = parse_neighbour(octets)
    assert found is not None
    assert (found.kind, found.target, found.link_layer) == (ADVERTISEMENT, ADDRESS, MAC)


def test_router_advertisement() -> None:
    octets = packet(ROUTER, NODES, ADVERTISED.encode())
    read = IPv6(octets)
    told = read[ICMPv6ND_RA]
    assert (told.routerlifetime, told.chlim, told.M, told.O) == (1800, 64, 1, 0)
    assert read[ICMPv6NDOptSrcLLAddr].lladdr == "02:aa:bb:cc:dd:ee"
    assert read[ICMPv6NDOptMTU].mtu == 1460
    prefix = read[ICMPv6NDOptPrefixInfo]
    assert (prefix.prefix, prefix.prefixlen, prefix.L, prefix.A) == ("2001:db8::", 64, 1, 1)
    assert (prefix.validlifetime, prefix.preferredlifetime) == (86400, 14400)
    assert parse_router_advertisement(octets) == ADVERTISED


def test_what_is_not_believed() -> None:
    """RFC 4861 s6.1.2, s7.1: forwarded, from afar, damaged, cut short, an option of length 0."""
    good = packet(ROUTER, NODES, ADVERTISED.encode())
    assert parse_router_advertisement(good) is not None
    forwarded = good[:7] + b"\xfe" + good[8:]
    damaged = good[:60] + bytes((good[60] ^ 1,)) + good[61:]
    afar = packet(ADDRESS, NODES, ADVERTISED.encode())
    endless = packet(ROUTER, NODES, ADVERTISED.encode() + bytes(8))
    for octets in (forwarded, damaged, afar, endless, good[:-1], good[:47], b""):
        assert parse_router_advertisement(octets) is None
    assert parse_neighbour(good) is None


def test_link_local_address() -> None:
    """RFC 4291 appendix A's example."""
    mac = bytes.fromhex("343434343434")
    assert link_local(mac) == IPv6Address("fe80::3634:34ff:fe34:3434")


def _unsummed(read: IPv6) -> IPv6:
    """The same packet, for scapy to make the checksum."""
    again = read.copy()
    del again.payload.cksum
    return again
