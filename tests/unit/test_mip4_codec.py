"""Octets of Mobile IPv4: layout, extensions, authentication, identification."""

from __future__ import annotations

import hashlib
import hmac
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpa_hil.mobility.mip4 import identification as ids
from mpa_hil.mobility.mip4.authentication import (
    SecurityAssociation,
    mobile_home_extensions,
    sign,
    verify,
)
from mpa_hil.mobility.mip4.codes import Code, is_accepted, meaning
from mpa_hil.mobility.mip4.messages import (
    MAX_DATAGRAM,
    DecodeError,
    Extension,
    Flag,
    Message,
    RegistrationReply,
    RegistrationRequest,
    decode,
)
from mpa_hil.mobility.mip4.tuning import Tuning
from radios.errors import LocalError

SA = SecurityAssociation(256, bytes(range(16)))
addresses = st.integers(0, 0xFFFFFFFF).map(IPv4Address)
extensions = st.lists(
    st.builds(
        Extension,
        st.sampled_from([32, 33, 34, 128, 200, 255]),
        st.binary(max_size=40),
    )
    | st.just(Extension(0, b"")),
    max_size=5,
).map(tuple)
requests = st.builds(
    RegistrationRequest,
    st.integers(0, 255).map(Flag),
    st.integers(0, 0xFFFF),
    addresses,
    addresses,
    addresses,
    st.integers(0, (1 << 64) - 1),
    extensions,
)
replies = st.builds(
    RegistrationReply,
    st.integers(0, 255),
    st.integers(0, 0xFFFF),
    addresses,
    addresses,
    st.integers(0, (1 << 64) - 1),
    extensions,
)


def example_c2() -> RegistrationRequest:
    """RFC 5944 Appendix C.2: all encapsulations, broadcasts wanted, 1800 s."""
    return RegistrationRequest(
        Flag.BROADCAST | Flag.DECAPSULATION_BY_MOBILE | Flag.MINIMAL | Flag.GRE,
        1800,
        IPv4Address("10.0.0.100"),
        IPv4Address("10.0.0.1"),
        IPv4Address("192.0.2.7"),
        0x0123456789ABCDEF,
    )


def test_request_layout_is_the_rfcs() -> None:
    """Figure of s3.3 with Appendix C.2's values, octet by octet, and G.2's extension."""
    datagram = sign(example_c2(), SA)
    assert datagram[:24].hex(" ", 4) == "01780708 0a000064 0a000001 c0000207 01234567 89abcdef"
    assert datagram[24:30].hex() == "201400000100"
    assert len(datagram) == 24 + 6 + 16


def test_reply_layout_is_the_rfcs() -> None:
    """Figure of s3.4."""
    home, agent = IPv4Address("10.0.0.100"), IPv4Address("10.0.0.1")
    reply = RegistrationReply(133, 0xFFFF, home, agent, 0x0123456789ABCDEF)
    assert reply.encode().hex(" ", 4) == "0385ffff 0a000064 0a000001 01234567 89abcdef"


def test_authenticator_is_plain_hmac_md5_over_what_s3_5_1_lists() -> None:
    datagram = sign(example_c2(), SA)
    assert datagram[30:] == hmac.new(SA.key, datagram[:30], hashlib.md5).digest()


def test_rfc2202_vector() -> None:
    """HMAC-MD5 itself, against RFC 2202 s2 test case 1."""
    association = SecurityAssociation(256, b"\x0b" * 16)
    assert association.authenticator(b"Hi There").hex() == "9294727a3638bb1c13f48ef8158bfc9d"


@given(requests | replies)
def test_round_trip(message: Message) -> None:
    assert decode(message.encode()) == message


@given(requests | replies, st.sampled_from(["hmac-md5", "hmac-sha256"]))
def test_a_signed_message_verifies(message: Message, algorithm: str) -> None:
    association = SecurityAssociation(4096, b"k" * 16, algorithm)
    datagram = sign(message, association)
    signature = mobile_home_extensions(decode(datagram))[-1]
    find = {4096: association}.get
    assert verify(datagram, signature, find) is association
    assert verify(datagram + b"\0\0", signature, find) is association, "behind it is not covered"


@given(st.integers(0, 45), st.integers(1, 255))
def test_any_changed_octet_breaks_it(at: int, change: int) -> None:
    datagram = bytearray(sign(example_c2(), SA))
    datagram[at] ^= change
    try:
        message = decode(bytes(datagram))
    except DecodeError:
        return
    for signature in mobile_home_extensions(message):
        assert verify(bytes(datagram), signature, {256: SA}.get) is None


@given(st.binary(max_size=200))
def test_decoder_raises_nothing_else(octets: bytes) -> None:
    for head in (b"", b"\1", b"\3"):
        try:
            message = decode(head + octets)
        except DecodeError:
            continue
        assert message.encode() == head + octets


@pytest.mark.parametrize("kind", [1, 31, 35, 127])
def test_unknown_extension_below_128_condemns_the_message(kind: int) -> None:
    with pytest.raises(DecodeError, match=f"extension {kind}"):
        decode(example_c2().encode() + bytes((kind, 0)))


@pytest.mark.parametrize("kind", [128, 255])
def test_unknown_extension_from_128_is_stepped_over(kind: int) -> None:
    message = decode(example_c2().encode() + bytes((kind, 2, 7, 7)) + b"\0")
    assert [extension.type for extension in message.extensions] == [kind, 0]


def test_limits() -> None:
    for bad in (b"", b"\2" + bytes(40), b"\1" + bytes(22), b"\3" + bytes(18)):
        with pytest.raises(DecodeError):
            decode(bad)
    with pytest.raises(DecodeError, match="more than any"):
        decode(b"\1" + bytes(MAX_DATAGRAM))
    with pytest.raises(DecodeError, match="runs past the end"):
        decode(example_c2().encode() + b"\x20\x14")
    with pytest.raises(ValueError, match="cannot be encoded"):
        Extension(32, bytes(256)).encode()


@pytest.mark.parametrize(
    ("spi", "key", "algorithm"),
    [(255, b"k" * 16, "hmac-md5"), (256, b"k" * 15, "hmac-md5"), (256, b"k" * 16, "md5")],
)
def test_associations_that_are_refused(spi: int, key: bytes, algorithm: str) -> None:
    with pytest.raises(LocalError):
        SecurityAssociation(spi, key, algorithm)


def test_keys_are_not_printed() -> None:
    assert "6b6b" not in repr(SecurityAssociation(256, b"k" * 16))
    assert "kkkk" not in repr(SecurityAssociation(256, b"k" * 16))


def test_identification_is_ntp() -> None:
    assert ids.from_unix_ns(0) == 2_208_988_800 << 32
    assert ids.from_unix_ns(500_000_000) & ids.LOW_MASK == 1 << 31
    wrapped = ids.from_unix_ns(2_085_978_496 * 10**9)  # 2036-02-07T06:28:16Z
    assert wrapped == 0
    assert ids.is_after(wrapped, ids.from_unix_ns(2_085_978_495 * 10**9))


@given(st.integers(0, 2**62), st.integers(-(10**18), 10**18))
def test_correction_brings_the_clocks_within_a_second(ours: int, skew_ns: int) -> None:
    sent = ids.from_unix_ns(ours + skew_ns)
    reply = ids.mismatch(sent, ours)
    assert (reply ^ sent) & ids.LOW_MASK == 0
    corrected = ours + skew_ns + ids.clock_correction_ns(reply, sent)
    assert abs(corrected - ours) <= 10**9


def test_codes_have_words() -> None:
    assert all(meaning(code) for code in Code)
    assert meaning(250) == "unregistered code 250"
    assert [code for code in range(256) if is_accepted(code)] == [0, 1]


def test_tuning_refuses_what_the_rfc_forbids() -> None:
    with pytest.raises(LocalError, match="under one second"):
        Tuning(minimum_interval_s=0.5)
    with pytest.raises(LocalError):
        Tuning(renew_fraction=1.0)
    with pytest.raises(LocalError):
        Tuning(lifetime_s=65536)
