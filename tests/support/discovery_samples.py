"""Candidate networks for tests: two of a lab, and any that can be (hypothesis)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import strategies as st

from mpa_hil.discovery.description import (
    MAX_LIFETIME_S,
    Akm,
    CandidateNetwork,
    Learnt,
    Pmf,
    PointOfAttachment,
    Source,
)
from mpa_hil.mobility.interface import Endpoint

A1 = PointOfAttachment("a1", b"operator-a", "02:00:00:00:0a:01", 2412)
B1 = PointOfAttachment("b1", b"operator-b", "02:00:00:00:0b:01", 2437, (Akm.EAP, Akm.EAP_SHA256))
B2 = PointOfAttachment("b2", b'op "b"\n', "02:00:00:00:0b:02", 5180, (Akm.EAP,), Pmf.REQUIRED)


def at(address: str, port: int = 716) -> Endpoint:
    """An endpoint."""
    return Endpoint(ip_address(address), port)


A = CandidateNetwork("a.example", (A1,), (at("10.1.0.1"),), name="A")
B = CandidateNetwork(
    realm="b.example",
    points=(B1, B2),
    aa=(at("2001:db8:b::1"), at("10.2.0.1")),
    ca=(at("10.2.0.1", 0),),
    ar=(at("10.2.0.1", 0),),
    aa_identity="aa.b.example",
    name="B",
    lifetime_s=300,
)


def learnt(network: CandidateNetwork, source: Source = Source.OWN_AA, at_s: float = 0) -> Learnt:
    """A description with its source, learnt at that second."""
    return Learnt(network, source, round(at_s * 1e9))


names = st.text("aZ09._-", max_size=62).map(lambda text: f"n{text}")
realms = st.sampled_from(["a.example", "b.example", "c.example", "x" * 63 + ".example", "0", "a-b"])
bssids = st.integers(1, 255).map(lambda number: f"02:00:00:00:00:{number:02x}")
ssids = st.binary(min_size=1, max_size=32)
points = st.builds(
    PointOfAttachment,
    names,
    ssids,
    bssids,
    st.integers(2412, 7125),
    st.sets(st.sampled_from(Akm)).map(lambda akms: tuple(sorted(akms))),
    st.sampled_from(Pmf),
)
addresses = st.integers(1, 2**28).map(lambda n: IPv4Address(0x0A000000 + n % 2**24)) | st.integers(
    1, 2**64
).map(lambda n: IPv6Address((0x20010DB8 << 96) + n))


def endpoints(lowest_port: int) -> st.SearchStrategy[tuple[Endpoint, ...]]:
    """Up to two different endpoints."""
    one = st.builds(Endpoint, addresses, st.integers(lowest_port, 65535))
    return st.lists(one, max_size=2, unique=True).map(tuple)


networks = st.builds(
    CandidateNetwork,
    realm=realms,
    points=st.lists(points, max_size=3, unique_by=lambda point: point.bssid).map(tuple),
    aa=endpoints(1),
    ca=endpoints(0),
    ar=endpoints(0),
    aa_identity=st.just("") | realms,
    name=st.just("") | names,
    lifetime_s=st.integers(1, MAX_LIFETIME_S),
)
