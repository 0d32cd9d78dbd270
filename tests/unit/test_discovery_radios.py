"""Neighbour reports, operating classes, ANQP elements: as octets, and as the daemons tell them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radios import anqp, neighbor_report, operating_class
from radios.anqp import AnqpError, NaiRealm
from radios.errors import LocalError
from radios.neighbor_report import NeighborReport, ReportError
from radios.wpa_events import parse_event
from rigs.services.interworking import Interworking

REPORT = NeighborReport("02:00:00:00:0b:01", 0x18FF, 81, 6, 7)
EVENT = (
    b"<3>RRM-NEIGHBOR-REP-RECEIVED bssid=02:00:00:00:0b:01 "
    b"info=0x18ff op_class=81 chan=6 phy_type=7"
)


@pytest.mark.parametrize(
    ("class_", "channel", "mhz"),
    [
        (81, 1, 2412),
        (81, 13, 2472),
        (82, 14, 2484),
        (115, 36, 5180),
        (118, 64, 5320),
        (121, 144, 5720),
        (125, 165, 5825),
        (125, 177, 5885),
        (128, 36, 5180),
        (131, 1, 5955),
        (131, 233, 7115),
        (136, 2, 5935),
        (81, 14, None),
        (128, 42, None),
        (115, 52, None),
        (12, 6, None),
        (0, 0, None),
        (255, 255, None),
    ],
)
def test_class_and_channel_are_a_frequency(class_: int, channel: int, mhz: int | None) -> None:
    """IEEE 802.11 table E-4."""
    assert operating_class.frequency_mhz(class_, channel) == mhz


def test_every_frequency_is_in_a_class() -> None:
    """And what is written for a frequency is read as that frequency."""
    plain = [2407 + 5 * n for n in range(1, 14)] + [2484, 5180, 5320, 5500, 5720, 5745, 5825, 5955]
    for mhz in plain:
        found = operating_class.of_frequency(mhz)
        assert found is not None
        assert operating_class.frequency_mhz(*found) == mhz
    assert operating_class.of_frequency(2413) is None
    assert operating_class.of_frequency(0) is None


def test_what_hostapd_takes_and_what_wpa_supplicant_tells() -> None:
    """Octets and event as hostapd and wpa_supplicant 2.10 exchange them."""
    assert REPORT.encode().hex() == "020000000b01ff180000510607"
    assert neighbor_report.decode(REPORT.encode()) == REPORT
    told = neighbor_report.from_event(parse_event(EVENT, 0), b"operator-b")
    assert told == replace(REPORT, ssid=b"operator-b")
    assert (told.frequency_mhz, told.reachable) == (2437, True)


def test_reachability_has_four_values() -> None:
    values = [replace(REPORT, information=bits).reachable for bits in range(4)]
    assert values == [None, False, None, True]


reports = st.builds(
    NeighborReport,
    st.binary(min_size=6, max_size=6).map(lambda octets: octets.hex(":")),
    st.integers(0, 2**32 - 1),
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 255),
    st.none() | st.binary(min_size=1, max_size=32),
    st.none() | st.integers(0, 255),
)


@settings(max_examples=50)
@given(st.lists(reports, max_size=5).map(tuple))
def test_reports_survive_their_elements(some: tuple[NeighborReport, ...]) -> None:
    octets = neighbor_report.encode_elements(some)
    # Other elements among them are passed over.
    assert neighbor_report.decode_elements(b"\x01\x02hi" + octets) == some


@pytest.mark.parametrize(
    "octets", [b"", bytes(12), bytes(13) + b"\x00", bytes(13) + b"\x00\x05abcd"]
)
def test_broken_reports_are_refused(octets: bytes) -> None:
    with pytest.raises(ReportError):
        neighbor_report.decode(octets)
    with pytest.raises(ReportError):
        neighbor_report.decode_elements(bytes((52, len(octets))) + octets)


def test_an_ssid_that_is_none_is_left_out() -> None:
    assert neighbor_report.decode(REPORT.encode() + b"\0\0").ssid is None
    assert neighbor_report.decode(REPORT.encode() + b"\0\x21" + bytes(33)).ssid is None


@pytest.mark.parametrize(
    "changes",
    [{"bssid": "x"}, {"information": 2**32}, {"channel": 256}, {"ssid": bytes(33)}]
    + [{"preference": value} for value in (-1, 256)],
)
def test_reports_that_cannot_be(changes: dict[str, Any]) -> None:
    with pytest.raises(LocalError):
        replace(REPORT, **changes).encode()


@pytest.mark.parametrize(
    "octets",
    [
        b"<3>CTRL-EVENT-CONNECTED bssid=02:00:00:00:0b:01 info=0x1 op_class=81 chan=6 phy_type=7",
        EVENT.replace(b"02:", b"zz:"),
        EVENT.replace(b"op_class=81", b"op_class=256"),
        EVENT.replace(b"op_class=81", b"op_class=-1"),
        EVENT.replace(b"chan=6", b"chan=6;reboot"),
        EVENT.replace(b"chan=6", b""),
        EVENT.replace(b"info=0x18ff", b"info=0x18ff18ff18ff"),
        EVENT.replace(b"info=0x18ff", "info=٣".encode()),
    ],
)
def test_garbled_events_tell_nothing(octets: bytes) -> None:
    assert neighbor_report.from_event(parse_event(octets, 0)) is None


BSS = """\
bssid=02:00:00:00:0f:00
anqp_roaming_consortium=
anqp_nai_realm=01001500000c686f6d652e6578616d706c6501050d01050106
anqp_domain_name=09612e6578616d706c65
anqp[277]=1301687474703a2f2f782e6578616d706c652f31
protected-anqp-info[277]=1
anqp[65280]=4d5041
anqp[99999999]=00
anqp[272]=zz
"""


def test_what_wpa_supplicant_says_of_elements() -> None:
    """As version 2.10 printed it of a hostapd 2.10."""
    found = anqp.parse_bss(BSS)
    assert set(found) == {263, 268, 277, 65280}
    assert anqp.domain_names(found[268]) == ("a.example",)
    assert anqp.nai_realms(found[263]) == (NaiRealm(("home.example",), (13,)),)
    assert anqp.venue_urls(found[277]) == ("http://x.example/1",)


@pytest.mark.parametrize(
    ("decode", "octets"),
    [
        (anqp.domain_names, b"\x05abcd"),
        (anqp.nai_realms, b"\x01"),
        (anqp.nai_realms, b"\x01\x00"),
        (anqp.nai_realms, b"\x01\x00\x09\x00\x00"),
        (anqp.nai_realms, b"\x01\x00\x01\x00\x00"),
        (anqp.nai_realms, b"\x01\x00\x03\x00\x00\x09a"),
        (anqp.nai_realms, b"\x01\x00\x04\x00\x00\x01a\x01"),
        (anqp.nai_realms, b"\x01\x00\x06\x00\x00\x01a\x01\x00\x0d"),
        (anqp.venue_urls, b"\x00"),
        (anqp.venue_urls, b"\x05\x01abc"),
    ],
)
def test_broken_elements_are_refused(decode: Callable[[bytes], object], octets: bytes) -> None:
    with pytest.raises(AnqpError):
        decode(octets)


def test_names_that_are_none_are_left_out() -> None:
    assert anqp.domain_names(b"\x00\x01\xff\x01A") == ("a",)
    assert anqp.nai_realms(b"\x01\x00\x03\x00\x00\x01\xff") == (NaiRealm(()),)
    assert anqp.venue_urls(b"\x03\x01a\n") == ()


@pytest.mark.parametrize(("info_id", "octets"), [(256, b"x"), (65536, b"x"), (300, b"")])
def test_elements_that_cannot_be_configured(info_id: int, octets: bytes) -> None:
    with pytest.raises(LocalError):
        anqp.configured(info_id, octets)
    with pytest.raises(LocalError):
        anqp.configured(300, bytes(anqp.MAX_ELEMENT_OCTETS + 1))


def test_what_hostapd_is_told_of_interworking() -> None:
    spoken = Interworking(
        domain_names=("a.example", "b.example"),
        realms=("home.example", "c.example"),
        eap_methods=(13, 21),
        venue_url="http://a.example/",
        elements=((65280, b"MPA"),),
    )
    assert spoken.lines() == [
        "interworking=1",
        "access_network_type=0",
        "internet=1",
        "domain_name=a.example,b.example",
        "nai_realm=0,home.example;c.example,13,21",
        "venue_url=1:http://a.example/",
        "anqp_elem=65280:4d5041",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"domain_names": ("a\nctrl_interface=/x",)},
        {"realms": ("a;b",)},
        {"realms": ("",)},
        {"venue_url": "http://a b"},
        {"venue_url": "file:///x"},
        {"access_network_type": 16},
        {"eap_methods": (3,)},
    ],
)
def test_what_hostapd_is_not_told(changes: dict[str, Any]) -> None:
    with pytest.raises(LocalError):
        replace(Interworking(), **changes).lines()
