"""Keys and protection: registry numbers, prf+, AUTH, encryption, keys for enforcement points."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from mpa_hil.pana import crypto
from mpa_hil.pana.association import SecurityAssociation, Suite, Transcript, bssid_epid
from mpa_hil.pana.message import Avp, Message, decode, encode_avps, revealed, unsigned
from mpa_hil.pana.numbers import AvpCode, Encryption, Flag, Integrity, MessageType, Prf
from mpa_hil.pana.settings import MANDATORY, STRONG

MSK = bytes(range(64))
TRANSCRIPT = Transcript(b"PAR", b"PAN", b"p" * 20, b"a" * 20)
SUITES = (STRONG, MANDATORY, Suite(STRONG.prf, STRONG.integrity, Encryption.AES128_CTR))


def association(suite: Suite = STRONG, key_id: int = 1) -> SecurityAssociation:
    return SecurityAssociation.establish(suite, 0xAABBCCDD, key_id, MSK, TRANSCRIPT)


def test_algorithms_have_the_numbers_of_the_ikev2_registry() -> None:
    assert (Prf.HMAC_SHA1, Prf.HMAC_SHA2_256) == (2, 5)
    assert (Integrity.HMAC_SHA1_160, Integrity.HMAC_SHA2_256_128) == (7, 12)
    assert {MANDATORY.prf: 2, MANDATORY.integrity: 7} == {Prf(2): 2, Integrity(7): 7}


def test_message_authentication_gives_the_rfcs_examples() -> None:
    """RFC 2202 s3 test case 2; RFC 4868 s2.7.2.1 test case AUTH256-2 is not keyed so: RFC 4231."""
    assert crypto.authenticator(
        Integrity.HMAC_SHA1_160, b"Jefe", b"what do ya want for nothing?"
    ) == bytes.fromhex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
    assert crypto.authenticator(
        Integrity.HMAC_SHA2_256_128, b"Jefe", b"what do ya want for nothing?"
    ) == bytes.fromhex("5bdcc146bf60754e6a042426089575c7")


@pytest.mark.parametrize(
    ("prf", "digest"), [(Prf.HMAC_SHA1, "sha1"), (Prf.HMAC_SHA2_256, "sha256")]
)
def test_prf_plus_chains_its_blocks(prf: Prf, digest: str) -> None:
    """RFC 7296 s2.13, written out."""
    one = hmac.new(b"K", b"S\x01", digest).digest()
    two = hmac.new(b"K", one + b"S\x02", digest).digest()
    three = hmac.new(b"K", two + b"S\x03", digest).digest()
    whole = one + two + three
    for length in (1, len(one), len(one) + 1, len(whole)):
        assert crypto.prf_plus(prf, b"K", b"S", length) == whole[:length]


def test_prf_plus_stops_where_its_counter_does() -> None:
    assert len(crypto.prf_plus(Prf.HMAC_SHA1, b"K", b"S", 255 * 20)) == 5100
    with pytest.raises(ValueError, match="at most 5100"):
        crypto.prf_plus(Prf.HMAC_SHA1, b"K", b"S", 255 * 20 + 1)


def test_the_auth_key_is_made_as_the_rfc_says() -> None:
    """RFC 5191 s5.3: prf+(MSK, "IETF PANA" | I_PAR | I_PAN | PaC_nonce | PAA_nonce | Key_ID)."""
    seed = b"IETF PANA" + b"PAR" + b"PAN" + b"p" * 20 + b"a" * 20 + b"\0\0\0\1"
    assert association().auth_key == crypto.prf_plus(Prf.HMAC_SHA2_256, MSK, seed, 32)
    assert len(association(MANDATORY).auth_key) == 20


def test_whatever_goes_into_the_keys_changes_them() -> None:
    others = [
        Transcript(b"PAr", b"PAN", b"p" * 20, b"a" * 20),
        Transcript(b"PAR", b"PAn", b"p" * 20, b"a" * 20),
        Transcript(b"PAR", b"PAN", b"q" * 20, b"a" * 20),
        Transcript(b"PAR", b"PAN", b"p" * 20, b"b" * 20),
    ]
    suite = SUITES[2]
    keys = {association(suite).auth_key, association(suite, 2).auth_key}
    keys |= {association(suite).pac_encryption_key, association(suite).paa_encryption_key}
    for other in others:
        sa = SecurityAssociation.establish(suite, 0xAABBCCDD, 1, MSK, other)
        keys |= {sa.auth_key, sa.pac_encryption_key, sa.paa_encryption_key}
    assert len(keys) == 4 + 3 * len(others)


def test_no_key_shows_in_what_is_printed() -> None:
    sa = association(SUITES[2])
    text = repr(sa)
    for key in (sa.msk, sa.auth_key, sa.pac_encryption_key, sa.paa_encryption_key):
        assert key.hex() not in text
        assert repr(key) not in text


@pytest.mark.parametrize("suite", SUITES)
def test_any_changed_bit_breaks_auth(suite: Suite) -> None:
    sa = association(suite)
    message = Message(MessageType.NOTIFICATION, int(Flag.REQUEST | Flag.PING), 0xAABBCCDD, 5)
    sealed = message.sealed(sa)
    assert sa.authentic(sealed)
    assert decode(sealed).value(AvpCode.AUTH) == sealed[-sa.auth_octets :]
    for bit in range(len(sealed) * 8):
        broken = bytearray(sealed)
        broken[bit // 8] ^= 1 << bit % 8
        assert not sa.authentic(bytes(broken))
    assert not association(suite, 2).authentic(sealed)
    assert not sa.authentic(b"short")


def test_the_counter_block_is_the_rfcs_example() -> None:
    """RFC 6786 s4.1, its own figures; the text drops no octet: flags, nonce, counter of three."""
    block = crypto.counter_block(0x55667788, 0xAABBCCDD, 0x11223344)
    assert block == bytes.fromhex("0255667788aabbccdd11223344000001")
    assert len(block) == 16


def test_encryption_is_aes_in_counter_mode() -> None:
    """NIST SP 800-38A F.5.1, the first two blocks."""
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    counter = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    plain = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
    veiled = bytes.fromhex("874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff")
    assert crypto.aes_ctr(key, counter, plain) == veiled
    assert crypto.aes_ctr(key, counter, veiled) == plain


def test_only_what_may_be_concealed_comes_out_of_concealment() -> None:
    """RFC 6786 s6.1: N means discard."""
    veil = Avp(AvpCode.ENCRYPTION_ENCAP, bytes(12))
    auth = Avp(AvpCode.AUTH, bytes(16))
    par = Message(MessageType.AUTH, int(Flag.REQUEST), 1, 1, (veil, auth))
    eap = Avp(AvpCode.EAP_PAYLOAD, b"\1\0\0\4")
    assert revealed(par, encode_avps([eap])).avps == (eap, auth)
    for code in (AvpCode.NONCE, AvpCode.KEY_ID, AvpCode.RESULT_CODE, AvpCode.AUTH, 99):
        with pytest.raises(Exception, match="must not be encrypted"):
            revealed(par, encode_avps([Avp(code, bytes(8))]))
    with pytest.raises(Exception, match="more than once"):
        revealed(par, encode_avps([eap, eap]))
    ptr = Message(MessageType.TERMINATION, int(Flag.REQUEST), 1, 1, (veil, auth))
    with pytest.raises(Exception, match="without AVP 9"):
        revealed(ptr, b"")
    assert revealed(ptr, encode_avps([unsigned(AvpCode.TERMINATION_CAUSE, 1)])).avps[-1] == auth


def test_an_enforcement_points_key_is_made_as_the_rfc_says() -> None:
    """RFC 5807 s3, s3.1."""
    sa = association(key_id=3)
    epid = bssid_epid(bytes.fromhex("020000000001"))
    assert epid == bytes.fromhex("0006020000000001")
    name = bytes.fromhex("aabbccdd00000003")
    key = sa.pemk(epid)
    assert key == crypto.prf_plus(Prf.HMAC_SHA2_256, MSK, b"IETF PEMK" + name + epid, 64)
    assert sa.pemk_name(epid) == hashlib.sha1(epid + name).digest()
    other = bssid_epid(bytes.fromhex("020000000002"))
    assert len({key, sa.pemk(other), association(key_id=4).pemk(epid)}) == 3
    assert sa.pemk_name(epid) != sa.pemk_name(other)


def test_a_bssid_has_six_octets() -> None:
    with pytest.raises(ValueError, match="6 octets"):
        bssid_epid(bytes(5))
