"""What access points, DHCP and DNS tell of networks, laid beside what is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from discovery_samples import A1, B1, B2, A, B, at

from mpa_hil.discovery import dhcp, names, nearby
from mpa_hil.discovery.cache import Cache, Place
from mpa_hil.discovery.description import CandidateNetwork, Learnt, PointOfAttachment, Source
from mpa_hil.discovery.dhcp import MobilityService
from mpa_hil.errors import DecodeError, LocalError
from radios.anqp import MAX_ELEMENT_OCTETS, InfoId
from radios.neighbor_report import NeighborReport

NEW = NeighborReport("02:00:00:00:0b:07", 0, 115, 36, 9, b"operator-b")


def of(point: PointOfAttachment) -> NeighborReport:
    report = nearby.report_of(point)
    assert report is not None
    return report


def test_a_point_becomes_a_report_and_comes_back() -> None:
    report = of(B1)
    assert nearby.reported_point(report, B1.akms, B1.pmf) == replace(B1, name="020000000b01")
    assert report.reachable is False  # for RSN pre-authentication, which stays within a network
    assert nearby.report_of(replace(B1, frequency_mhz=5000)) is None


def test_reports_name_points_of_known_networks() -> None:
    """R30: what is reported narrows what is known to what is near."""
    matched = nearby.matched(
        [of(B2), NEW, replace(NEW, bssid="02:00:00:00:0f:01", ssid=b"x")], [A, B]
    )
    (found,) = matched.networks
    assert found.realm == "b.example"
    assert found.points[0] == B2
    new = found.points[1]
    assert (new.bssid, new.frequency_mhz, new.ssid) == (NEW.bssid, 5180, b"operator-b")
    assert (new.akms, new.pmf) == (B1.akms, B1.pmf)
    assert (found.aa, found.ca, found.ar) == ((), (), ())
    assert [each.bssid for each in matched.strangers] == ["02:00:00:00:0f:01"]


def test_a_report_of_a_known_point_changes_nothing_of_it() -> None:
    """A8: neither its SSID nor its channel."""
    lie = NeighborReport(B1.bssid, 0, 115, 36, 9, b"operator-a")
    (found,) = nearby.matched([lie], [A, B]).networks
    assert found.points == (B1,)
    assert found.realm == "b.example"


@pytest.mark.parametrize(
    "report",
    [
        replace(NEW, bssid="ff:ff:ff:ff:ff:ff"),
        replace(NEW, bssid="00:00:00:00:00:00"),
        replace(NEW, operating_class=12),
    ],
)
def test_reports_of_what_no_access_point_is_add_nothing(report: NeighborReport) -> None:
    assert nearby.matched([report], [A, B]) == nearby.Matched((), ())


def test_many_reports_are_cut() -> None:
    crowd = [replace(NEW, bssid=f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}") for n in range(1, 1000)]
    (found,) = nearby.matched(crowd, [B]).networks
    assert len(found.points) == 32


def test_reports_make_known_networks_near() -> None:
    """The way to use them: match, learn at this place, and ask the cache."""
    here = Place(A1.bssid, A1.ssid)
    other = replace(B, realm="a0.example", points=(replace(B2, bssid="02:00:00:00:0c:01"),))
    cache = Cache()
    cache.learn([Learnt(each, Source.LAB_FILE, 0) for each in (A, other, B)])
    first = [each.network.realm for each in cache.candidates(1, here)]
    assert first == ["a0.example", "b.example"]
    known = [each.network for each in cache.networks(1)]
    reported = nearby.matched([of(B1), NEW], known).networks
    cache.learn([Learnt(each, Source.NEIGHBOR_REPORT, 1) for each in reported], here)
    (best, _) = cache.candidates(2, here)
    assert best.network.realm == "b.example"
    assert best.network.aa == B.aa
    assert {point.bssid for point in best.network.points} == {B1.bssid, B2.bssid, NEW.bssid}
    assert NEW.bssid not in best.vouched_points


def test_a_description_is_an_element() -> None:
    octets = nearby.encode_element((A, B))
    assert nearby.decode_element(octets) == (A, B)
    crowd = tuple(replace(B, realm=f"n{n}.example") for n in range(16))
    assert len(nearby.encode_element(crowd)) <= MAX_ELEMENT_OCTETS
    for broken in (octets[3:], octets[:-1], b"", b"MPA" + bytes(MAX_ELEMENT_OCTETS)):
        with pytest.raises(DecodeError):
            nearby.decode_element(broken)


def test_broken_elements_are_left_out() -> None:
    told = nearby.told(
        {
            nearby.DESCRIPTION: b"MPA\x01\xff",
            InfoId.NEIGHBOR_REPORT: b"\x34\x05abc",
            InfoId.DOMAIN_NAME: b"\x09a.example\x06$(id);",
            InfoId.NAI_REALM: b"\x01",
        }
    )
    assert told == nearby.Told(domain_names=("a.example",))
    assert nearby.told({InfoId.DOMAIN_NAME: b"\x05x"}) == nearby.Told()


# --- DHCP ----------------------------------------------------------------------------------------

FOUR = (IPv4Address("10.2.0.1"), IPv4Address("10.2.0.9"), IPv4Address("10.2.0.2"))
SIX = (IPv6Address("2001:db8::9"), IPv6Address("2001:db8::1"))


def test_agents_keep_their_order() -> None:
    """RFC 5192 s4, s5: tried in the order listed."""
    assert dhcp.decode_agents(dhcp.encode_agents(FOUR)) == FOUR
    assert dhcp.decode_agents_6(dhcp.encode_agents(SIX)) == SIX
    network = dhcp.described("b.example", (*FOUR[1:], FOUR[1], *SIX, *FOUR))
    assert network is not None
    assert network.aa == tuple(at(str(each)) for each in (*FOUR[1:], *SIX))
    assert network.points == ()


def test_addresses_of_nobody_are_left_out() -> None:
    nobody = [ip_address(each) for each in ("0.0.0.0", "127.0.0.1", "255.255.255.255", "ff02::1")]
    assert dhcp.described("b.example", nobody) is None
    network = dhcp.described("b.example", (*nobody, FOUR[0]), lifetime_s=60)
    assert network == CandidateNetwork("b.example", aa=(at("10.2.0.1"),), lifetime_s=60)


def test_the_option_negotiates_nothing() -> None:
    """RFC 5192 s7: that it is absent says nothing; what is known otherwise stays known."""
    here = Place(A1.bssid, A1.ssid)
    cache = Cache()
    cache.learn([Learnt(B, Source.OTHER_AA, 0)])
    before = cache.candidates(1, here)
    assert dhcp.described("b.example", ()) is None
    other = dhcp.described("b.example", FOUR[1:])
    assert other is not None
    cache.learn([Learnt(other, Source.DHCP, 0)], here)
    assert cache.candidates(1, here)[0].network == before[0].network


@pytest.mark.parametrize(
    ("decode", "octets"),
    [
        (dhcp.decode_agents, b""),
        (dhcp.decode_agents, bytes(5)),
        (dhcp.decode_agents_6, b""),
        (dhcp.decode_agents_6, bytes(24)),
        (dhcp.decode_mobility_servers, b"\x01"),
        (dhcp.decode_mobility_servers, b"\x01\x04abc"),
        (dhcp.decode_mobility_servers, b"\x01\x03abc"),
        (dhcp.decode_mobility_servers_6, b"\x00\x01\x00"),
        (dhcp.decode_mobility_servers_6, b"\x00\x01\x00\x0f" + bytes(15)),
        (dhcp.decode_mobility_names, b"\x01\x03\x01a."),
        (dhcp.decode_mobility_names, b"\x01\x02\x01a"),
        (dhcp.decode_mobility_names, b"\x01\x01\x00"),
        (dhcp.decode_mobility_names, b"\x01\x03\x01;\x00"),
        (dhcp.decode_mobility_names, b"\x01\x02\xc0\x0c"),
    ],
)
def test_broken_options_are_refused(decode: Callable[[bytes], object], octets: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(octets)


def test_mobility_servers() -> None:
    """RFC 5678 s2-s5, with its example of two names."""
    octets = b"\x01\x08" + dhcp.encode_agents(FOUR[:2]) + b"\x02\x00\x09\x01x"
    assert dhcp.decode_mobility_servers(octets) == {
        MobilityService.INFORMATION: FOUR[:2],
        MobilityService.COMMAND: (),
    }
    octets = b"\x00\x01\x00\x10" + SIX[0].packed
    assert dhcp.decode_mobility_servers_6(octets) == {MobilityService.INFORMATION: SIX[:1]}
    two = b"\x07example\x03com\x00\x07example\x03net\x00"
    expected = {MobilityService.INFORMATION: ("example.com", "example.net")}
    assert dhcp.decode_mobility_names(b"\x01\x1a" + two) == expected
    assert dhcp.decode_mobility_names(b"\x00\x01\x00\x1a" + two, version=6) == expected


# --- DNS -----------------------------------------------------------------------------------------


def test_what_getent_prints() -> None:
    """Each address once, in the resolver's order, however often and of whatever socket type."""
    printed = b"""\
2001:db8::1     STREAM aa.b.example
2001:db8::1     DGRAM
10.2.0.1        STREAM
10.2.0.1        RAW
nonsense
"""
    assert names.parse(printed) == (ip_address("2001:db8::1"), ip_address("10.2.0.1"))
    assert names.parse(b"\xff\xfe\n\n") == ()
    crowd = "\n".join(f"10.0.0.{n} STREAM" for n in range(99)).encode()
    assert len(names.parse(crowd)) == 16


@pytest.mark.parametrize("name", ["", "a b", "$(id)", "a;b", "a\nb", "-x", "a..b", "--help"])
def test_what_is_no_name_is_not_asked_for(name: str) -> None:
    """A18."""
    with pytest.raises(LocalError):
        asyncio.run(names.resolve(name))
