"""Duplicate address detection for mobile nodes that are elsewhere, on a link of paper."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from mpa_hil.agents import address_checks
from mpa_hil.agents.address_checks import AddressChecks
from mpa_hil.kernel.neighbour_discovery import (
    duplicate_check,
    parse_neighbour,
    unsolicited_advertisement,
)

OWN, THEIRS, NODE = b"\2\0\0\0\0\1", b"\2\0\0\0\0\x08", b"\2\0\0\0\0\7"
V4, V6 = ip_address("10.2.0.7"), ip_address("2001:db8::7")


class Link:
    """What is said on it; `said` is what the router says."""

    standing: Link | None = None

    def __init__(
        self, interface: str, on_frame: Callable[[bytes], None], done: Callable[[], None]
    ) -> None:
        assert Link.standing is None, "one ear is enough"
        Link.standing = self
        self.mac = OWN
        self.hear = on_frame
        self.said: list[bytes] = []

    def send(self, frame: bytes) -> None:
        self.said.append(frame)

    def close(self) -> None:
        Link.standing = None


@pytest.fixture(autouse=True)
def _paper(monkeypatch: pytest.MonkeyPatch) -> None:
    Link.standing = None
    monkeypatch.setattr(address_checks, "LinkFrames", Link)


def arp(kind: int, mac: bytes, sender: IPv4Address, target: IPv4Address) -> bytes:
    head = b"\xff" * 6 + mac + b"\x08\x06" + b"\0\1\x08\0\6\4" + kind.to_bytes(2, "big")
    return head + mac + sender.packed + bytes(6) + target.packed


def nd(mac: bytes, octets: bytes) -> bytes:
    return b"\x33\x33\0\0\0\1" + mac + b"\x86\xdd" + octets


def check(
    *frames: bytes, addresses: tuple[IPv4Address | IPv6Address, ...] = (V4, V6)
) -> tuple[list[bool], list[bytes]]:
    """What comes of a check during which these frames are heard; and what was asked."""

    async def run() -> tuple[list[bool], list[bytes]]:
        checks, results = AddressChecks("lan", 30), []
        checks.start(addresses, NODE, results.append)
        link = Link.standing
        assert link is not None
        for frame in frames:
            if not results:
                link.hear(frame)
        await asyncio.sleep(0.1)
        assert Link.standing is None, "nothing is heard that is not asked for"
        return results, link.said

    return asyncio.run(run())


def test_nobody_has_them() -> None:
    """Three probes for each address, in nobody's name."""
    results, said = check()
    assert results == [True]
    asked = [frame for frame in said if frame[12:14] == b"\x08\x06"]
    assert asked == [arp(1, OWN, IPv4Address(0), IPv4Address("10.2.0.7"))] * 3
    solicited = [parse_neighbour(frame[14:]) for frame in said if frame[12:14] == b"\x86\xdd"]
    assert len(solicited) == 3
    assert {str(each.source) for each in solicited if each is not None} == {"::"}
    assert {each.target for each in solicited if each is not None} == {V6}


@pytest.mark.parametrize(
    "frame",
    [
        arp(2, THEIRS, IPv4Address("10.2.0.7"), IPv4Address(0)),
        arp(1, THEIRS, IPv4Address(0), IPv4Address("10.2.0.7")),
        nd(THEIRS, unsolicited_advertisement(IPv6Address("2001:db8::7"), THEIRS, override=True)),
        nd(THEIRS, duplicate_check(IPv6Address("2001:db8::7"))),
    ],
    ids=["has it, IPv4", "wants it, IPv4", "has it, IPv6", "wants it, IPv6"],
)
def test_somebody_has_or_wants_one(frame: bytes) -> None:
    results, said = check(frame)
    assert results == [False]
    assert len(said) == 2, "no more is asked"


@pytest.mark.parametrize(
    "frame",
    [
        arp(2, NODE, IPv4Address("10.2.0.7"), IPv4Address(0)),
        arp(2, THEIRS, IPv4Address("10.2.0.9"), IPv4Address("10.2.0.7")),
        nd(THEIRS, unsolicited_advertisement(IPv6Address("2001:db8::9"), THEIRS, override=True)),
        nd(THEIRS, b"\0" * 60),
        b"\0" * 20,
    ],
    ids=["the MN itself", "another IPv4 address", "another IPv6 address", "noise", "less"],
)
def test_what_says_nothing_against_it(frame: bytes) -> None:
    assert check(frame)[0] == [True]


def test_several_at_once_and_given_up() -> None:
    async def run() -> None:
        checks, first, second = AddressChecks("lan", 30), [], []
        checks.start((V4,), NODE, first.append)
        checks.start((V6,), NODE, second.append)
        assert Link.standing is not None
        Link.standing.hear(arp(2, THEIRS, IPv4Address("10.2.0.7"), IPv4Address(0)))
        assert (first, second) == ([False], [])
        checks.close()
        await asyncio.sleep(0.1)
        assert second == []
        assert Link.standing is None

    asyncio.run(run())
