"""Neighbour discovery packets, against genuine ones gone wrong; with their checksum made good
again, for else nothing would reach the decoders behind it."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network
from typing import TypeVar

import fuzzing

from mpa_hil.errors import DecodeError
from mpa_hil.kernel.neighbour_discovery import (
    Prefix,
    RouterAdvertisement,
    duplicate_check,
    icmp_message,
    packet,
    parse_neighbour,
    parse_router_advertisement,
    unsolicited_advertisement,
)

T = TypeVar("T")
ADDRESS, ROUTER = IPv6Address("2001:db8::7"), IPv6Address("fe80::1")
NODES, MAC = IPv6Address("ff02::1"), bytes.fromhex("02aabbccddee")
PREFIX = Prefix(IPv6Network("2001:db8::/64"), 86400, 14400)
ADVERTISED = RouterAdvertisement(1800, (PREFIX,), managed=True, mtu=1460, link_layer=MAC)
CORPUS = (
    packet(ROUTER, NODES, ADVERTISED.encode()),
    packet(ROUTER, NODES, RouterAdvertisement(0).encode()),
    duplicate_check(ADDRESS),
    unsolicited_advertisement(ADDRESS, MAC, override=True),
)


def said(value: T | None) -> T:
    """In the fuzzer's terms: refused is an error."""
    if value is None:
        raise DecodeError("no such packet")
    return value


def mended(parse: Callable[[bytes], T | None]) -> Callable[[bytes], T]:
    """The decoder, given what came with a right checksum."""

    def decode(octets: bytes) -> T:
        if len(octets) < 48:
            return said(parse(octets))
        source, destination = IPv6Address(octets[8:24]), IPv6Address(octets[24:40])
        return said(parse(packet(source, destination, octets[40:])))

    return decode


def test_router_advertisements() -> None:
    tally = fuzzing.fuzz("router advertisement", mended(parse_router_advertisement), CORPUS[:2])
    assert tally.accepted > fuzzing.inputs() // 20


def test_neighbours() -> None:
    tally = fuzzing.fuzz("neighbour discovery", mended(parse_neighbour), CORPUS[2:])
    assert tally.accepted > fuzzing.inputs() // 20


def test_damaged_packets() -> None:
    """As they come; the checksum is good for something."""

    def decode(octets: bytes) -> object:
        return said(icmp_message(octets))

    tally = fuzzing.fuzz("neighbour discovery, damaged", decode, CORPUS)
    assert tally.accepted < fuzzing.inputs() // 5
