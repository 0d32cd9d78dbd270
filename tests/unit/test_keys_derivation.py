"""Keys of an MPA-SA: formulas, names, separation (R14-R17, R19, R85, RFC 5807)."""

from __future__ import annotations

import hashlib
import hmac
from ipaddress import ip_address

import pytest

from mpa_hil.errors import LocalError
from mpa_hil.keys import (
    Key,
    MasterKey,
    Usage,
    address_identifier,
    bssid_identifier,
    bssid_of,
    pmkid,
)
from mpa_hil.pana.association import SecurityAssociation, Suite
from mpa_hil.pana.numbers import Integrity, Prf

STRONG = Suite(Prf.HMAC_SHA2_256, Integrity.HMAC_SHA2_256_128)
MANDATORY = Suite(Prf.HMAC_SHA1, Integrity.HMAC_SHA1_160)
MSK = bytes(range(64))
POINTS = ("02:00:00:00:0b:01", "02:00:00:00:0b:02", "02:00:00:00:0c:01")
AGENTS = tuple(map(ip_address, ("10.2.0.1", "10.2.0.2", "2001:db8:2::1")))


def master(
    msk: bytes = MSK,
    session_id: int = 0x01020304,
    key_id: int = 7,
    realm: str = "b.example",
    suite: Suite = STRONG,
) -> MasterKey:
    return MasterKey(SecurityAssociation(suite, session_id, key_id, msk, bytes(32)), realm)


def all_keys(root: MasterKey) -> list[Key]:
    agents = [derive(agent) for agent in AGENTS for derive in (root.mn_ca, root.mn_ar)]
    return agents + [root.pmk(bssid) for bssid in POINTS]


def prf_plus(digest: str, key: bytes, seed: bytes, octets: int) -> bytes:
    """RFC 7296 s2.13, written again from the RFC."""
    out, block, number = b"", b"", 1
    while len(out) < octets:
        block = hmac.new(key, block + seed + bytes([number]), digest).digest()
        out, number = out + block, number + 1
    return out[:octets]


@pytest.mark.parametrize(("suite", "digest"), [(STRONG, "sha256"), (MANDATORY, "sha1")])
def test_the_pmk_is_the_first_half_of_the_pemk_of_rfc_5807(suite: Suite, digest: str) -> None:
    key = master(suite=suite).pmk("02:00:00:00:0B:01")
    epid = bytes.fromhex("0006" + "020000000b01")
    context = bytes.fromhex("01020304" + "00000007")
    pemk = prf_plus(digest, MSK, b"IETF PEMK" + context + epid, 64)
    assert key.secret == pemk[:32]
    assert key.name == hashlib.sha1(epid + context).digest()
    assert (key.usage, key.peer, key.session_id, key.key_id) == (Usage.PMK, epid, 0x01020304, 7)


def test_agent_keys_are_what_docs_keys_md_says() -> None:
    context = bytes.fromhex("01020304" + "00000007") + b"\x09b.example"
    for derive, label in ((master().mn_ca, b"MPA MN-CA key"), (master().mn_ar, b"MPA MN-AR key")):
        key = derive(AGENTS[0])
        bound = context + bytes.fromhex("0001" + "0a020001")
        assert key.secret == prf_plus("sha256", MSK, label + bound, 64)
        assert key.name == hashlib.sha1(label + bound).digest()


def test_two_networks_and_several_points_share_no_key() -> None:
    """Must show 6: no two equal, whichever one ingredient differs, and no key is part of another;
    even one MSK in two sessions, as a broken AAA server might give out, yields different keys."""
    roots = [
        master(),
        master(msk=bytes(64)),
        master(session_id=0x01020305),
        master(key_id=8),
        master(suite=MANDATORY),
    ]
    keys = [key for root in roots for key in all_keys(root)]
    elsewhere = master(realm="c.example")
    keys += [derive(agent) for agent in AGENTS for derive in (elsewhere.mn_ca, elsewhere.mn_ar)]
    secrets = [key.secret for key in keys]
    assert len(set(secrets)) == len(keys)
    assert len({secret[at : at + 16] for secret in secrets for at in range(0, 32, 16)}) == 2 * len(
        keys
    )
    assert all(MSK[at : at + 16] not in secret for secret in secrets for at in range(0, 64, 16))


def test_names_differ_wherever_keys_do_within_an_agent() -> None:
    """Names are looked up per AA, where session and key identifiers do not repeat."""
    roots = (master(), master(session_id=1), master(key_id=8))
    keys = [key for root in roots for key in all_keys(root)]
    assert len({key.name for key in keys}) == len(keys)
    assert all(len(key.name) == 20 and key.name not in key.secret for key in keys)


def test_a_pmkid_is_for_one_pair() -> None:
    """IEEE 802.11 s12.7.1.3, computed again from its text."""
    pmk = master().pmk(POINTS[0]).secret
    message = b"PMK Name" + bytes.fromhex("020000000b01" + "020000000001")
    expected = hmac.new(pmk, message, "sha1").digest()[:16]
    assert pmkid(pmk, POINTS[0], "02:00:00:00:00:01") == expected
    assert pmkid(pmk, POINTS[0], "02:00:00:00:00:02") != expected
    assert pmkid(pmk, POINTS[1], "02:00:00:00:00:01") != expected


def test_no_key_shows_itself() -> None:
    """A19."""
    root = master()
    said = repr([root, *all_keys(root)])
    for secret in (MSK, *(key.secret for key in all_keys(root))):
        assert secret.hex() not in said
        assert repr(secret)[2:20] not in said


def test_identifiers() -> None:
    assert bssid_of(bssid_identifier("02:00:00:00:0b:01")) == "02:00:00:00:0b:01"
    assert address_identifier(AGENTS[2])[:2] == b"\0\2"
    for wrong in (b"", address_identifier(AGENTS[0]), address_identifier(AGENTS[2])):
        with pytest.raises(LocalError):
            bssid_of(wrong)
    for text in ("", "02:00:00:00:00", "02:00:00:00:00:0g", "02:00:00:00:00:01:", "2:0:0:0:0:1"):
        with pytest.raises(LocalError):
            bssid_identifier(text)
    for realm in ("", "x" * 256):
        with pytest.raises(LocalError):
            master(realm=realm)
