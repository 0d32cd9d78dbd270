"""The pass-through authenticator: order, identifiers, and whose word counts."""

from __future__ import annotations

import pytest

from mpa_hil.eap.authenticator import MAX_ROUND_TRIPS, PassThrough
from mpa_hil.eap.codec import Code, MethodType, Packet, decode, encode
from mpa_hil.eap.interface import AaaReply, Ignored, Refused, Succeeded, ToAaa, ToPeer

MSK = bytes(range(64))


def fixed(count: int) -> bytes:
    return bytes((9,)) * count


def response(identifier: int, kind: int = MethodType.TLS, data: bytes = b"x") -> bytes:
    return encode(Packet(Code.RESPONSE, identifier, kind, data))


def challenge(identifier: int, kind: int = MethodType.TLS) -> bytes:
    return encode(Packet(Code.REQUEST, identifier, kind, b"y"))


def end(code: Code, identifier: int = 9) -> bytes:
    return encode(Packet(code, identifier))


def at_aaa() -> PassThrough:
    relay = PassThrough(fixed)
    assert relay.start() == encode(Packet(Code.REQUEST, 9, MethodType.IDENTITY))
    said = relay.response(response(9, MethodType.IDENTITY, b"mn@home.example"))
    assert said == ToAaa(response(9, MethodType.IDENTITY, b"mn@home.example"), "mn@home.example")
    return relay


def test_an_authentication_that_succeeds() -> None:
    relay = at_aaa()
    assert relay.identity == "mn@home.example"
    assert relay.from_aaa(AaaReply.CHALLENGE, challenge(10)) == ToPeer(challenge(10))
    assert relay.response(response(10)) == ToAaa(response(10), "mn@home.example")
    assert relay.from_aaa(AaaReply.CHALLENGE, challenge(11)) == ToPeer(challenge(11))
    assert isinstance(relay.response(response(11, MethodType.NAK, b"\x15")), ToAaa)
    done = relay.from_aaa(AaaReply.ACCEPT, end(Code.SUCCESS, 11), MSK)
    assert done == Succeeded(end(Code.SUCCESS, 11), MSK)
    assert MSK.hex() not in repr(done)
    assert "msk" not in repr(done)
    assert isinstance(relay.response(response(11)), Ignored)
    assert isinstance(relay.from_aaa(AaaReply.ACCEPT, end(Code.SUCCESS, 11), MSK), Ignored)


def test_a_rejection_passes_the_servers_failure_on() -> None:
    done = at_aaa().from_aaa(AaaReply.REJECT, end(Code.FAILURE))
    assert isinstance(done, Refused)
    assert done.packet == end(Code.FAILURE)


@pytest.mark.parametrize(
    ("reply", "packet", "msk"),
    [
        (AaaReply.REJECT, None, None),
        (AaaReply.REJECT, end(Code.SUCCESS), MSK),
        (AaaReply.REJECT, challenge(10), None),
        (AaaReply.ACCEPT, end(Code.FAILURE), MSK),
        (AaaReply.ACCEPT, None, MSK),
        (AaaReply.ACCEPT, challenge(10), MSK),
        (AaaReply.ACCEPT, end(Code.SUCCESS), None),
        (AaaReply.ACCEPT, end(Code.SUCCESS), MSK[:32]),
        (AaaReply.ACCEPT, b"junk", MSK),
        (AaaReply.CHALLENGE, None, None),
        (AaaReply.CHALLENGE, end(Code.SUCCESS), MSK),
        (AaaReply.CHALLENGE, end(Code.FAILURE), None),
        (AaaReply.CHALLENGE, response(10), None),
        (AaaReply.CHALLENGE, challenge(9), None),
    ],
)
def test_a_server_that_contradicts_itself_gives_no_access(
    reply: AaaReply, packet: bytes | None, msk: bytes | None
) -> None:
    """RFC 3579 s2.6.3; never an EAP-Success to the peer, never a session without keys."""
    done = at_aaa().from_aaa(reply, packet, msk)
    assert isinstance(done, Refused)
    assert decode(done.packet).code is Code.FAILURE


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x02\x09\0\x04",
        response(8, MethodType.IDENTITY),
        response(9, MethodType.TLS),
        response(9, MethodType.NAK, b"\x0d"),
        challenge(9, MethodType.IDENTITY),
        end(Code.SUCCESS),
        end(Code.FAILURE),
    ],
)
def test_what_does_not_answer_the_identity_request_is_dropped(packet: bytes) -> None:
    relay = PassThrough(fixed)
    assert isinstance(relay.response(response(9, MethodType.IDENTITY)), Ignored)
    relay.start()
    assert isinstance(relay.response(packet), Ignored)
    assert isinstance(relay.response(response(9, MethodType.IDENTITY)), ToAaa)


def test_a_response_counts_once_and_only_for_the_last_request() -> None:
    relay = at_aaa()
    assert isinstance(relay.response(response(9, MethodType.IDENTITY, b"mallory@x")), Ignored)
    relay.from_aaa(AaaReply.CHALLENGE, challenge(10))
    assert isinstance(relay.from_aaa(AaaReply.CHALLENGE, challenge(11)), Ignored)
    assert isinstance(relay.response(response(9)), Ignored)
    assert isinstance(relay.response(response(10, MethodType.TTLS)), Ignored)
    assert isinstance(relay.response(response(10) + b"padding"), ToAaa)
    assert isinstance(relay.response(response(10)), Ignored)
    assert relay.identity == "mn@home.example"


@pytest.mark.parametrize("identity", [b"", b"a\nb", b"\xff", b"m" * 254])
def test_an_identity_that_radius_cannot_carry_is_refused(identity: bytes) -> None:
    relay = PassThrough(fixed)
    relay.start()
    assert isinstance(relay.response(response(9, MethodType.IDENTITY, identity)), Refused)
    assert isinstance(relay.response(response(9, MethodType.IDENTITY, b"mn")), Ignored)


def test_it_ends_when_nobody_else_does() -> None:
    relay = at_aaa()
    assert relay.unreachable().packet == end(Code.FAILURE)
    relay = at_aaa()
    for number in range(MAX_ROUND_TRIPS):
        identifier = 10 + number % 2
        assert isinstance(relay.from_aaa(AaaReply.CHALLENGE, challenge(identifier)), ToPeer)
        assert isinstance(relay.response(response(identifier)), ToAaa)
    assert isinstance(relay.from_aaa(AaaReply.CHALLENGE, challenge(12)), Refused)


def test_it_can_begin_anew() -> None:
    relay = at_aaa()
    relay.start()
    assert not relay.identity
    assert isinstance(relay.response(response(9, MethodType.IDENTITY, b"mn")), ToAaa)
