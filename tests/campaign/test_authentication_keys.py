"""A10: keys of one network tried at another, and in another's place: none fits."""

from __future__ import annotations

from ipaddress import ip_address

import campaign

from mpa_hil.key_delivery.holder import Apply, Holder, Refused, Terms, Transmit
from mpa_hil.key_delivery.messages import Acknowledge, Hello, Install, decode, encode
from mpa_hil.keys import Key, MasterKey, Usage, address_identifier, bssid_identifier
from mpa_hil.mobility.interface import Instant
from mpa_hil.pana.association import SecurityAssociation, Suite
from mpa_hil.pana.numbers import Integrity, Prf

SUITE = Suite(Prf.HMAC_SHA2_256, Integrity.HMAC_SHA2_256_128)
NOW = Instant(10**9, 10**18)
CA, AR = ip_address("10.2.0.2"), ip_address("10.2.0.1")
POINTS = [f"02:00:00:00:0b:{number:02x}" for number in range(8)]


def test_derivations_are_pairwise_distinct() -> None:
    """One MN at ever new networks: MN-CA, MN-AR and eight PMKs each."""
    dice = campaign.dice("A10")
    due = campaign.runs(100_000)
    secrets: set[bytes] = set()
    names: set[bytes] = set()
    made = 0
    while made < due:
        sa = SecurityAssociation(
            SUITE, dice.getrandbits(32), dice.getrandbits(32), dice.randbytes(64), b""
        )
        root = MasterKey(sa, f"n{made}.example")
        for key in (root.mn_ca(CA), root.mn_ar(AR), *map(root.pmk, POINTS)):
            secrets.add(key.secret[:32])
            names.add(key.name)
            made += 1
    assert len(secrets) == len(names) == made


def offered(terms: Terms, key: Key, *, recipient: str, usage: Usage | None = None) -> bool:
    """Whether a recipient takes a key that its own authentication agent sends it."""
    holder = Holder(terms)
    holder.connected(NOW)
    holder.receive(encode(1, Hello(terms.authority, terms.name)), NOW)
    station = b"\2\0\0\0\0\1" if (usage or key.usage) is Usage.PMK else b""
    install = Install(
        key.name,
        usage or key.usage,
        key.session_id,
        key.key_id,
        60_000,
        recipient,
        "mn@home.example",
        key.peer,
        station,
        key.secret,
    )
    outputs = holder.receive(encode(2, install), NOW)
    if any(isinstance(output, Apply) for output in outputs):
        return True
    assert isinstance(outputs[0], Refused)
    assert isinstance(outputs[1], Transmit)
    answer = decode(outputs[1].octets)[1]
    assert isinstance(answer, Acknowledge)
    assert not answer.done
    assert not holder.keys
    return False


def test_a_key_opens_one_door_only() -> None:
    """Every key at every recipient of two networks, under its own and every other use."""
    roots = [
        MasterKey(SecurityAssociation(SUITE, 1, 1, bytes([number]) * 64, b""), f"{number}.example")
        for number in (1, 2)
    ]
    doors: list[tuple[Terms, Key]] = []
    for number, root in enumerate(roots, 1):
        ca, ar = ip_address(f"10.{number}.0.2"), ip_address(f"10.{number}.0.1")
        points = [f"02:00:00:00:0{number}:0{point}" for point in (1, 2)]
        peers = [
            ("ca", root.mn_ca(ca), address_identifier(ca)),
            ("ar", root.mn_ar(ar), address_identifier(ar)),
            *((f"ep{p[-1]}", root.pmk(p), bssid_identifier(p)) for p in points),
        ]
        for name, key, peer in peers:
            terms = Terms(
                f"{name}.{number}.example",
                f"aa@{number}.example",
                frozenset((key.usage,)),
                frozenset((peer,)),
            )
            doors.append((terms, key))
    for terms, own in doors:
        for other, key in doors:
            for usage in Usage:
                fits = key is own and usage is own.usage
                assert offered(terms, key, recipient=terms.name, usage=usage) == fits
            assert not (terms is not other and offered(terms, key, recipient=other.name)), (
                "addressed to another"
            )
