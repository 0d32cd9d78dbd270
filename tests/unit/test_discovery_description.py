"""Candidate networks: what can be described, as octets, and from the lab file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from discovery_samples import A1, B1, A, B, at, networks
from hypothesis import given, settings
from hypothesis import strategies as st

from mpa_hil.discovery import wire
from mpa_hil.discovery.description import (
    MAX_LIFETIME_S,
    MAX_POINTS,
    Akm,
    CandidateNetwork,
    Learnt,
    Pmf,
    Source,
    Trust,
)
from mpa_hil.discovery.lab_file import from_scenario, learnt_from_scenario
from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.scenario import load

LAB = Path(__file__).parents[2] / "lab_configs" / "two_domains.toml"


def test_a_lab_file_describes_every_domain() -> None:
    """R26, R89: points with BSSID and channel; AA, CA and AR on the domain's access router."""
    a, b = from_scenario(load(LAB))
    assert [point.bssid for point in b.points] == ["02:00:00:00:0b:01"]
    (point,) = b.points
    assert (point.ssid, point.frequency_mhz, point.name) == (b"operator-b", 2437, "b1")
    assert point.akms == (Akm.EAP, Akm.EAP_SHA256)
    assert (b.realm, b.name) == ("b.example", "B")
    assert b.aa == (at("10.2.0.1", 716),)
    assert b.ca == b.ar == (at("10.2.0.1", 0),)
    assert b.preparable
    assert a.aa != b.aa
    (first, _) = learnt_from_scenario(load(LAB), 5)
    assert (first.source.trust, first.learnt_ns) == (Trust.CONFIGURED, 5)


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("point", {"name": ""}),
        ("point", {"name": "a b"}),
        ("point", {"name": "a\n"}),
        ("point", {"name": "-a"}),
        ("point", {"name": "$(id)"}),
        ("point", {"name": "x" * 64}),
        ("point", {"ssid": b""}),
        ("point", {"ssid": bytes(33)}),
        ("point", {"bssid": "02:00:00:00:0B:01"}),
        ("point", {"bssid": "02:00:00:00:0b:01\n"}),
        ("point", {"bssid": "03:00:00:00:0b:01"}),
        ("point", {"bssid": "00:00:00:00:00:00"}),
        ("point", {"bssid": "ff:ff:ff:ff:ff:ff"}),
        ("point", {"frequency_mhz": 0}),
        ("point", {"akms": (Akm.PSK, Akm.EAP)}),
        ("point", {"akms": (Akm.EAP, Akm.EAP)}),
        ("network", {"realm": ""}),
        ("network", {"realm": "b.example."}),
        ("network", {"realm": "B.example"}),
        ("network", {"realm": "b example"}),
        ("network", {"realm": "b.example\n"}),
        ("network", {"realm": "-b.example"}),
        ("network", {"realm": "b." * 127 + "b.b"}),
        ("network", {"name": "b;reboot"}),
        ("network", {"aa_identity": "*.example"}),
        ("network", {"aa": (at("0.0.0.0"),)}),
        ("network", {"aa": (at("127.0.0.1"),)}),
        ("network", {"aa": (at("224.0.0.1"),)}),
        ("network", {"aa": (at("255.255.255.255"),)}),
        ("network", {"aa": (at("fe80::1"),)}),
        ("network", {"aa": (at("ff02::1"),)}),
        ("network", {"aa": (at("10.2.0.1", 0),)}),
        ("network", {"ar": (at("10.2.0.1", 65536),)}),
        ("network", {"aa": (at("10.2.0.1"), at("10.2.0.1"))}),
        ("network", {"aa": tuple(at(f"10.2.0.{n}") for n in range(1, 6))}),
        ("network", {"points": (B1, B1)}),
        ("network", {"lifetime_s": 0}),
        ("network", {"lifetime_s": MAX_LIFETIME_S + 1}),
    ],
)
def test_what_cannot_be_is_not_described(part: str, changes: dict[str, Any]) -> None:
    """A18: what came from the air is plain words or octets before anything else sees it."""
    with pytest.raises(LocalError):
        replace(B1 if part == "point" else B, **changes)


def test_too_many_points_are_refused() -> None:
    many = [replace(B1, bssid=f"02:00:00:00:0c:{n:02x}") for n in range(MAX_POINTS + 1)]
    replace(B, points=tuple(many[1:]))
    with pytest.raises(LocalError, match="number of PoAs"):
        replace(B, points=tuple(many))


def test_an_agent_proves_its_name() -> None:
    assert B.server_identity == "aa.b.example"
    assert A.server_identity == A.label.lower() + ".example" == "a.example"


def test_preparing_takes_an_agent_and_a_point() -> None:
    assert not replace(B, aa=()).preparable
    assert not replace(B, points=()).preparable
    psk = replace(B1, akms=(Akm.PSK, Akm.PSK_SHA256))
    assert not replace(B, points=(psk,)).preparable
    assert replace(B, points=(psk, replace(A1, akms=()))).preparable


def test_nobody_vouches_for_long() -> None:
    day = replace(B, lifetime_s=MAX_LIFETIME_S)
    assert Learnt(day, Source.LAB_FILE, 0).expires_ns == 86_400 * 10**9
    assert Learnt(day, Source.ANQP, 0).expires_ns == 600 * 10**9
    assert Learnt(B, Source.ANQP, 7).expires_ns == 300 * 10**9 + 7


@settings(max_examples=50)
@given(st.lists(networks, max_size=3))
def test_descriptions_survive_the_wire(some: list[CandidateNetwork]) -> None:
    assert wire.decode(wire.encode(some)) == tuple(some)


def test_an_ordinary_description_is_small() -> None:
    assert len(wire.encode((B,))) == 126


def test_later_fields_are_skipped() -> None:
    assert wire.decode(with_fields(A, b"\x63\x02hi")) == (A,)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x02",
        wire.encode((B,))[:-1],
        wire.encode((B,)) + b"\0",
        b"\x01\x00\x03\x00\x00\x00\x01",
        b"\x01\x00\x04\x00\x00\x00\x01",  # without a realm
        wire.encode((B,)).replace(b"aa.b.example", b"aa.b.ex\0mple"),
        wire.encode((B,)).replace(b"\x0b\x01", b"\x0b\xe9", 1).replace(b"b1", b"b\xe9"),
        wire.encode((A,)) * 1200,
        b"\x01" + wire.encode((A,))[1:] * 17,
    ],
)
def test_broken_descriptions_are_refused(octets: bytes) -> None:
    with pytest.raises(DecodeError):
        wire.decode(octets)


def with_fields(network: CandidateNetwork, fields: bytes) -> bytes:
    """A message of one network, with more fields at its end."""
    octets = bytearray(wire.encode((network,)) + fields)
    octets[1:3] = (len(octets) - 3).to_bytes(2, "big")
    return bytes(octets)


def test_a_message_has_an_end() -> None:
    """However much of it would be skipped."""
    padding = b"\x63\xff" + bytes(255)
    assert wire.decode(with_fields(A, padding * 31)) == (A,)
    with pytest.raises(DecodeError, match="at most 8192"):
        wire.decode(with_fields(A, padding * 32))


def test_unknown_security_is_refused() -> None:
    """A suite that this version does not know must not look like none."""
    genuine = wire.encode((A,))
    akms_at = genuine.index(b"\x09\x6c") + 2
    assert genuine[akms_at] == 1 << Akm.EAP
    for value in (1, 1 << 7, 1 << 3 | 1 << 1):
        with pytest.raises(DecodeError, match="AKM"):
            wire.decode(genuine[:akms_at] + bytes((value,)) + genuine[akms_at + 1 :])


def test_more_than_a_message_holds_is_not_sent() -> None:
    with pytest.raises(LocalError):
        wire.encode((A,) * 17)
    long = replace(B, points=tuple(_many(MAX_POINTS)))
    with pytest.raises(LocalError):
        wire.encode((long,) * 7)


def _many(count: int) -> list[Any]:
    return [replace(A1, bssid=f"02:00:00:00:0c:{n:02x}", ssid=bytes(32)) for n in range(count)]


@settings(max_examples=50)
@given(st.lists(networks, max_size=4), st.integers(1, 1500))
def test_what_fits_is_what_fits(some: list[CandidateNetwork], room: int) -> None:
    kept = wire.fitting(some, room)
    assert len(wire.encode(kept)) <= room
    if len(kept) > 1:
        assert kept == tuple(some[: len(kept)])
    if len(wire.encode(some)) <= room:
        assert kept == tuple(some)


def test_the_first_network_is_cut_to_fit() -> None:
    long = replace(A, points=tuple(_many(MAX_POINTS)))
    (kept,) = wire.fitting((long, B), 500)
    assert 8 <= len(kept.points) < MAX_POINTS
    assert kept.points == long.points[: len(kept.points)]
    assert wire.fitting((long,), 20) == ()


def test_pmf_is_kept() -> None:
    (again,) = wire.decode(wire.encode((B,)))
    assert [point.pmf for point in again.points] == [Pmf.OPTIONAL, Pmf.REQUIRED]
