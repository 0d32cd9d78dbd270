"""EAP's octets: packets, fragments, attribute-value pairs, and arithmetic against RFC vectors."""

from __future__ import annotations

import pytest

from mpa_hil.eap import codec, gpsk_keys, gpsk_messages, mschapv2, tls_frames, ttls_avps
from mpa_hil.eap.certificates import within
from mpa_hil.eap.codec import Code, Packet
from mpa_hil.eap.md4 import md4
from mpa_hil.eap.tls_frames import Cutter, Flags, Frame, Joiner, TooMuch
from mpa_hil.errors import DecodeError


@pytest.mark.parametrize(
    ("octets", "packet"),
    [
        ("0107000501", Packet(Code.REQUEST, 7, 1)),
        ("0207000a016d6e406578", Packet(Code.RESPONSE, 7, 1, b"mn@ex")),
        ("03070004", Packet(Code.SUCCESS, 7)),
        ("04ff0004", Packet(Code.FAILURE, 255)),
        ("0301000499", Packet(Code.SUCCESS, 1)),  # padding
    ],
)
def test_packets(octets: str, packet: Packet) -> None:
    assert codec.decode(bytes.fromhex(octets)) == packet
    assert codec.decode(codec.encode(packet)) == packet


@pytest.mark.parametrize(
    "octets",
    ["", "010700", "01070003", "01070004", "0107000601", "0507000501", "0007000501", "0307000500"],
)
def test_what_is_no_packet(octets: str) -> None:
    with pytest.raises(DecodeError):
        codec.decode(bytes.fromhex(octets))


def test_a_packet_has_a_longest() -> None:
    with pytest.raises(ValueError, match="65541"):
        codec.encode(Packet(Code.REQUEST, 1, 13, bytes(65536)))


@pytest.mark.parametrize("data", [b"", b"\0mn", b"m\nn", b"\xff", b"m" * 254, b"m\x7f"])
def test_identities_that_no_user_name_may_be(data: bytes) -> None:
    with pytest.raises(DecodeError):
        codec.decode_identity(data)


def test_identities() -> None:
    assert codec.decode_identity("müller@exämple".encode()) == "müller@exämple"
    assert codec.decode_identity(b"mn@home.example\0networkid=x") == "mn@home.example"
    assert codec.printable(b"be\x1b[2Jware\xff") == "be?[2Jware?"
    assert len(codec.printable(bytes(9999))) == 256


def test_names_within_domains() -> None:
    assert within(["a.b.example"], ["b.example"])
    assert not within(["ab.example"], ["b.example"])
    assert not within(["example"], ["b.example"])
    assert not within([], ["b.example"])
    assert not within([""], ["b.example"])
    assert within(["other", "x.B.example"], ["c", "b.Example"])


@pytest.mark.parametrize("size", [0, 1, 93, 94, 95, 96, 1000, 65536])
@pytest.mark.parametrize("packet_octets", [100, 1020])
def test_cut_and_joined_again(size: int, packet_octets: int) -> None:
    message = bytes(range(256)) * 256
    message = message[:size]
    cutter, joiner = Cutter(0, packet_octets), Joiner()
    data = cutter.first(message)
    while True:
        assert len(data) + 5 <= packet_octets
        frame = tls_frames.decode(data)
        assert tls_frames.decode(tls_frames.encode(frame)) == frame
        whole = joiner.add(frame)
        assert (whole is None) == cutter.inside == joiner.inside
        if whole is not None:
            assert whole == message
            break
        data = cutter.next()


def join(*frames: Frame) -> bytes | None:
    joiner = Joiner()
    result = None
    for frame in frames:
        result = joiner.add(frame)
    return result


M, L = Flags.MORE, Flags.LENGTH


@pytest.mark.parametrize(
    "frames",
    [
        (Frame(M),),
        (Frame(L | M, b"abc", 3),),
        (Frame(L, b"abc", 2),),
        (Frame(L, b"abc", 4),),
        (Frame(L | M, b"ab", 5), Frame(0, b"cdef")),
        (Frame(L | M, b"ab", 5), Frame(0, b"cd")),
        (Frame(L | M, b"ab", 5), Frame(L, b"cde", 6)),
        (Frame(M, b"ab"), Frame(L, b"cde", 5)),
    ],
)
def test_fragments_that_do_not_fit(frames: tuple[Frame, ...]) -> None:
    with pytest.raises(DecodeError):
        join(*frames)


def test_fragments_that_fit() -> None:
    assert join(Frame(L | M, b"ab", 5), Frame(L, b"cde", 5)) == b"abcde"
    assert join(Frame(M, b"ab"), Frame(0, b"cde")) == b"abcde"


def test_no_more_than_64_kilobytes_are_taken() -> None:
    """A13."""
    with pytest.raises(TooMuch, match="announced"):
        join(Frame(L | M, b"a", 65537))
    with pytest.raises(TooMuch, match="announced"):
        join(Frame(L | M, b"a", 0xFFFFFFFF))
    with pytest.raises(TooMuch, match="65536"):
        join(*(Frame(M, bytes(1000)) for _ in range(66)))
    with pytest.raises(TooMuch):  # also by whole messages
        join(*(Frame(0, bytes(1000)) for _ in range(66)))


@pytest.mark.parametrize("octets", [b"", b"\x80", b"\x80\0\0\0", b"\xc0abc"])
def test_what_is_no_frame(octets: bytes) -> None:
    with pytest.raises(DecodeError):
        tls_frames.decode(octets)


def test_attribute_value_pairs() -> None:
    avps = (ttls_avps.Avp(1, b"mn"), ttls_avps.Avp(25, b"12345", 311), ttls_avps.Avp(18, b"", 0))
    octets = ttls_avps.encode(avps)
    assert octets[:12] == bytes.fromhex("000000014000000a6d6e0000")
    assert len(octets) % 4 == 0
    assert ttls_avps.decode(octets) == avps
    assert ttls_avps.decode(octets.rstrip(b"\0")[: 12 + 17] + b"") == avps[:2]
    for wrong in (b"\0", bytes(8), bytes.fromhex("0000000140000009"), octets[:-1]):
        with pytest.raises(DecodeError):
            ttls_avps.decode(wrong)


@pytest.mark.parametrize(
    ("text", "digest"),  # RFC 1320 appendix A.5
    [
        ("", "31d6cfe0d16ae931b73c59d7e0c089c0"),
        ("abc", "a448017aaf21d8525fc10ae87aa6729d"),
        ("abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9"),
        ("1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536"),
    ],
)
def test_md4(text: str, digest: str) -> None:
    assert md4(text.encode()).hex() == digest


def test_ms_chap_v2() -> None:
    """RFC 2759 s9.2."""
    challenge = bytes.fromhex("5B5D7C7D7B3F2F3E3C2C602132262628")
    own = bytes.fromhex("21402324255E262A28295F2B3A337C7E")
    hashed = mschapv2.password_hash("clientPass")
    assert hashed.hex() == "44ebba8d5312b8d611474411f56989ae"
    response = mschapv2.nt_response(challenge, own, "DOMAIN\\User", hashed)
    assert response.hex() == "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df"
    proof = mschapv2.authenticator_response(challenge, own, "User", hashed, response)
    assert proof == "S=407A5589115FD0D6209F510FE9C04566932CDA56"
    assert mschapv2.same(proof, proof.lower().encode() + b" M=welcome")
    assert not mschapv2.same(proof, proof[:-1].encode())


def test_gpsk_derivation_is_that_of_the_rfc() -> None:
    """RFC 5433 s4 and s7, written out once more."""
    import hmac

    psk, text = bytes(range(40)), b"inputString"
    suite = gpsk_keys.CIPHERSUITES[2]

    def gkdf(key: bytes, seed: bytes, octets: int) -> bytes:
        blocks = [hmac.digest(key, bytes((0, i)) + seed, "sha256") for i in range(1, 9)]
        return b"".join(blocks)[:octets]

    number = bytes((0, 0, 0, 0, 0, 2))
    master = gkdf(psk[:32], b"\0\x28" + psk + number + text, 32)
    material = gkdf(master, text, 192)
    keys = gpsk_keys.derive(suite, psk, text)
    assert (keys.msk, keys.emsk, keys.sk) == (material[:64], material[64:128], material[128:160])
    assert keys.method_id == gkdf(psk[:32], b"Method ID\x33" + number + text, 16)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\x02abc",
        b"\x01\0\x01a" + bytes(32) + b"\0\0",
        b"\x01\0\x01a" + bytes(32) + b"\0\x05" + bytes(5),
        b"\x01\0\x01a" + bytes(32) + b"\0\x06" + bytes(7),
        b"\x01\x01\0" + bytes(256 + 32) + b"\0\x06" + bytes(6),
        b"\x03" + bytes(64) + b"\0\x01a" + bytes(6) + b"\0\0",
        b"\x05\0\0\0",
        b"\x05\0\0\0\x01x",
        b"\x06\0\0\0\x01",
    ],
)
def test_what_is_no_gpsk_message(data: bytes) -> None:
    with pytest.raises(DecodeError):
        gpsk_messages.decode(data)
