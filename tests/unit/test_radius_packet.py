"""The RADIUS codec and what hides keys: against the RFC's rules, and against pyrad."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyrad.packet import AuthPacket
from radius_peers import EAP_SUCCESS, MSK, SECRET, Octets, keys, microsoft, pyrad_dictionary

from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.radius import hiding, numbers, packet
from mpa_hil.radius.numbers import Code

AUTHENTICATOR = bytes(range(100, 116))
ONE = packet.signed_request(
    Code.ACCESS_REQUEST, 7, AUTHENTICATOR, packet.attribute(numbers.USER_NAME, b"mn"), SECRET
)


def test_a_request_is_read_back_and_its_signature_comes_first() -> None:
    read = packet.decode(ONE)
    assert (read.code, read.identifier, read.authenticator) == (1, 7, AUTHENTICATOR)
    assert [kind for kind, _ in read.attributes] == [80, 1]
    assert packet.encode(read) == ONE
    assert packet.fault_of_request(read, SECRET) is None
    assert packet.fault_of_request(read, b"another") == "wrong Message-Authenticator"


def test_padding_after_the_length_is_ignored() -> None:
    """RFC 2865 s3: also when the signature is checked."""
    read = packet.decode(ONE + b"padding")
    assert read == packet.decode(ONE)
    assert packet.fault_of_request(read, SECRET) is None


def header(length: int) -> bytes:
    return bytes((1, 7)) + length.to_bytes(2, "big") + AUTHENTICATOR


@pytest.mark.parametrize(
    ("octets", "what"),
    [
        (b"", "shorter"),
        (header(20)[:19], "shorter"),
        (header(19), "length field says 19"),
        (header(4097) + bytes(4077), "length field says 4097"),
        (header(21), "cut off"),
        (header(21) + b"\x01", "does not fit"),
        (header(22) + b"\x01\x01", "does not fit"),
        (header(22) + b"\x01\x00", "does not fit"),
        (header(24) + b"\x01\x05ab", "does not fit"),
        (header(37) + b"\x50\x11" + bytes(15), "Message-Authenticator"),
        (header(56) + (b"\x50\x12" + bytes(16)) * 2, "Message-Authenticator"),
    ],
)
def test_what_is_no_packet_is_refused(octets: bytes, what: str) -> None:
    with pytest.raises(DecodeError, match=what):
        packet.decode(octets)


def test_an_attribute_and_a_packet_have_limits() -> None:
    packet.attribute(1, bytes(253))
    with pytest.raises(LocalError, match="254 octets do not fit"):
        packet.attribute(1, bytes(254))
    body = packet.eap_attributes(bytes(4000))
    packet.signed_request(1, 1, AUTHENTICATOR, body, SECRET)
    with pytest.raises(LocalError, match="packet of 41"):
        packet.signed_request(1, 1, AUTHENTICATOR, body + body[:100], SECRET)


@given(st.binary(max_size=3900))
def test_eap_is_split_and_joined(eap: bytes) -> None:
    """RFC 3579 s3.1."""
    octets = packet.signed_request(1, 1, AUTHENTICATOR, packet.eap_attributes(eap), SECRET)
    values = packet.decode(octets).all(numbers.EAP_MESSAGE)
    assert b"".join(values) == eap
    assert all(len(value) == 253 for value in values[:-1])


ANSWER = packet.signed_answer(
    Code.ACCESS_ACCEPT,
    packet.decode(ONE),
    packet.eap_attributes(EAP_SUCCESS) + keys(AUTHENTICATOR),
    SECRET,
)


def test_an_answer_belongs_to_one_request_and_one_secret() -> None:
    read = packet.decode(ANSWER)
    assert read.attributes[0][0] == numbers.MESSAGE_AUTHENTICATOR
    assert packet.fault_of_answer(read, AUTHENTICATOR, SECRET) is None
    assert packet.fault_of_answer(read, bytes(16), SECRET) == "wrong Response Authenticator"
    assert packet.fault_of_answer(read, AUTHENTICATOR, b"x") == "wrong Response Authenticator"


@given(st.integers(0, len(ANSWER) - 1), st.integers(1, 255))
def test_no_octet_of_an_answer_can_be_changed(position: int, change: int) -> None:
    octets = bytearray(ANSWER)
    octets[position] ^= change
    try:
        read = packet.decode(bytes(octets))
    except DecodeError:
        return
    assert packet.fault_of_answer(read, AUTHENTICATOR, SECRET)


def test_the_signature_alone_is_checked_too() -> None:
    """An attacker who got the Response Authenticator right (CVE-2024-3596) is caught by it."""
    from hashlib import md5

    octets = bytearray(ANSWER)
    octets[-1] ^= 1
    sealed = md5(octets[:4] + AUTHENTICATOR + octets[20:] + SECRET).digest()
    read = packet.decode(bytes(octets[:4] + sealed + octets[20:]))
    assert packet.fault_of_answer(read, AUTHENTICATOR, SECRET) == "wrong Message-Authenticator"


# Hidden keys


@given(st.binary(max_size=239), st.binary(min_size=2, max_size=2), st.binary(min_size=1))
def test_what_is_hidden_is_revealed(value: bytes, salt: bytes, secret: bytes) -> None:
    hidden = hiding.hide(value, secret, AUTHENTICATOR, hiding.salt(salt))
    assert len(hidden) % 16 == 2
    assert hidden[0] & 0x80
    assert hiding.reveal(hidden, secret, AUTHENTICATOR) == value


@pytest.mark.parametrize("size", [0, 15, 16, 31, 48, 255])
def test_a_length_that_the_blocks_do_not_hold(size: int) -> None:
    """32 octets take three blocks, and three blocks hold 32 to 47."""
    hidden = bytearray(hiding.hide(bytes(32), SECRET, AUTHENTICATOR, b"\x80\x01"))
    hidden[2] ^= 32 ^ size
    with pytest.raises(DecodeError, match="length is wrong"):
        hiding.reveal(bytes(hidden), SECRET, AUTHENTICATOR)


def test_too_much_to_hide() -> None:
    with pytest.raises(LocalError, match="240 octets to hide"):
        hiding.hide(bytes(240), SECRET, AUTHENTICATOR, b"\x80\x00")


def accept(body: bytes) -> packet.Packet:
    return packet.decode(packet.signed_answer(Code.ACCESS_ACCEPT, packet.decode(ONE), body, SECRET))


def msk(body: bytes) -> bytes:
    return hiding.master_session_key(accept(body), SECRET, AUTHENTICATOR)


def test_the_keys_make_the_msk() -> None:
    assert msk(keys(AUTHENTICATOR)) == MSK
    both = keys(AUTHENTICATOR)
    first, second = both[6 : len(both) // 2], both[len(both) // 2 + 6 :]
    together = packet.attribute(26, (311).to_bytes(4, "big") + second + first)
    assert msk(together) == MSK, "two in one Vendor-Specific, and the other way round"


HALF = len(keys(AUTHENTICATOR)) // 2


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "no MS-MPPE keys"),
        (keys(AUTHENTICATOR)[:HALF], "one MS-MPPE key of two"),
        (keys(AUTHENTICATOR)[HALF:], "one MS-MPPE key of two"),
        (keys(AUTHENTICATOR) + keys(AUTHENTICATOR)[:HALF], "twice"),
        (keys(AUTHENTICATOR, salts=(b"\x80\x01",) * 2), "under one salt"),
        (keys(AUTHENTICATOR, salts=(b"\x00\x01", b"\x80\x02")), "first bit"),
        (keys(AUTHENTICATOR, send=bytes(16)), "has not 32 octets"),
        (keys(AUTHENTICATOR, send=bytes(33)), "has not 32 octets"),
        (microsoft(17, b"\x80\x01") + microsoft(16, b"\x80\x02" + bytes(16)), "whole blocks"),
        (microsoft(17, b"\x80\x01" + bytes(17)) + microsoft(16, b"\x80\x02"), "whole blocks"),
        (packet.attribute(26, b"\x00\x00\x01\x37\x11\x09abc"), "does not fit"),
        (packet.attribute(26, b"\x00\x00\x01\x37\x11"), "does not fit"),
        (packet.attribute(26, b"\x00\x00\x01\x38" + bytes(9)), "no MS-MPPE keys"),
        (packet.attribute(26, b"\x01\x37"), "no MS-MPPE keys"),
    ],
)
def test_bad_keys_are_refused(body: bytes, what: str) -> None:
    with pytest.raises(DecodeError, match=what):
        msk(body)


def test_a_wrong_secret_reveals_no_msk() -> None:
    """Mostly the length in the first block gives it away; it never gives the key."""
    read = accept(keys(AUTHENTICATOR))
    dice = random.Random(5)
    for _ in range(200):
        try:
            wrong = hiding.master_session_key(read, dice.randbytes(16), AUTHENTICATOR)
        except DecodeError:
            continue
        assert wrong != MSK


# Against pyrad, which shares no code with us

DICTIONARY = pyrad_dictionary()


def test_pyrad_reads_our_request() -> None:
    body = packet.attribute(1, b"mn@h") + packet.eap_attributes(bytes(600))
    octets = packet.signed_request(1, 9, AUTHENTICATOR, body, SECRET)
    read = AuthPacket(secret=SECRET, dict=DICTIONARY, packet=octets)
    assert read["User-Name"] == ["mn@h"]
    assert b"".join(read[79]) == bytes(600)
    assert read.verify_message_authenticator()


@settings(max_examples=50)
@given(st.binary(min_size=4, max_size=1500), st.binary(min_size=1, max_size=253))
def test_pyrads_answer_is_ours(eap: bytes, state: bytes) -> None:
    request = AuthPacket(secret=SECRET, dict=DICTIONARY, packet=ONE)
    reply = request.CreateReply()
    reply.code = int(Code.ACCESS_ACCEPT)
    reply[79] = [eap[i : i + 253] for i in range(0, len(eap), 253)]
    reply[24] = [state]
    reply["MS-MPPE-Recv-Key"] = MSK[:32]
    reply["MS-MPPE-Send-Key"] = MSK[32:]
    read = packet.decode(reply.ReplyPacket())
    assert packet.fault_of_answer(read, AUTHENTICATOR, SECRET) is None
    assert b"".join(read.all(79)) == eap
    assert read.first(24) == state
    if reply[(311, 17)][0][:2] != reply[(311, 16)][0][:2]:  # pyrad draws both salts at random
        assert hiding.master_session_key(read, SECRET, AUTHENTICATOR) == MSK


def test_pyrad_takes_our_answer() -> None:
    request = AuthPacket(secret=SECRET, dict=DICTIONARY, packet=ONE)
    reply = AuthPacket(secret=SECRET, dict=DICTIONARY, packet=ANSWER)
    assert request.VerifyReply(reply, ANSWER, enforce_ma=True)
    reply.request_authenticator = AUTHENTICATOR
    assert reply.SaltDecrypt(reply[(311, 17)][0]) == MSK[:32]


def test_random_octets_of_tests_repeat() -> None:
    assert Octets(3)(16) == Octets(3)(16) != Octets(4)(16)
