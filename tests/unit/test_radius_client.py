"""The RADIUS client's machine: conversations, verdicts, what it drops."""

from __future__ import annotations

import itertools
from ipaddress import ip_address
from typing import Any

import pytest
from pyrad.packet import AuthPacket
from radius_peers import (
    EAP_FAILURE,
    EAP_REQUEST,
    EAP_RESPONSE,
    EAP_SUCCESS,
    MSK,
    SECRET,
    TLS,
    Octets,
    Responder,
    at,
    challenge,
    client_settings,
    keys,
    pyrad_dictionary,
    reject,
    server,
)

from mpa_hil.errors import LocalError
from mpa_hil.mobility.interface import Endpoint
from mpa_hil.radius import numbers
from mpa_hil.radius.client import RadiusClient
from mpa_hil.radius.interface import (
    Accepted,
    Ask,
    Challenged,
    ClientSettings,
    Continuation,
    Decider,
    Discarded,
    Lane,
    Output,
    Refused,
    Server,
    Termination,
    Transmit,
    Unreachable,
)
from mpa_hil.radius.numbers import Code
from mpa_hil.radius.packet import attribute, decode, eap_attributes, integer, signed_answer

ASK = Ask(EAP_RESPONSE, b"mn@home.example")
LANE = Lane(0, 0)


def client(**tuning: Any) -> RadiusClient:
    return RadiusClient(client_settings(**tuning), Octets())


def sent(outputs: tuple[Output, ...]) -> Transmit:
    (transmit,) = (o for o in outputs if isinstance(o, Transmit))
    return transmit


def ask(machine: RadiusClient, responder: Responder, question: Ask = ASK) -> Output:
    """One request and its answer."""
    transmit = sent(machine.request("mn", question, at(1)))
    (output,) = machine.receive(responder.answer(transmit.packet), transmit.lane, at(1.025))
    return output


# A conversation


def test_what_a_request_says() -> None:
    settings = ClientSettings(
        (server(),), "aa-b", (ip_address("198.51.100.7"), ip_address("2001:db8::7"))
    )
    question = Ask(
        bytes((2, 1, 2, 88)) + bytes(596),
        b"mn@home.example",
        Continuation(0, b"where we were"),
        "02-00-00-00-0B-01:b",
        "02-00-00-00-00-01",
    )
    packet = sent(RadiusClient(settings, Octets()).request(1, question, at(0))).packet
    read = AuthPacket(secret=SECRET, dict=pyrad_dictionary(), packet=packet)
    assert read.verify_message_authenticator()
    assert next(iter(read)) == numbers.MESSAGE_AUTHENTICATOR
    assert read["User-Name"] == ["mn@home.example"]
    assert read["NAS-Identifier"] == ["aa-b"]
    assert read["NAS-IP-Address"] == ["198.51.100.7"]
    assert read[95] == [ip_address("2001:db8::7").packed]
    assert read["Called-Station-Id"] == ["02-00-00-00-0B-01:b"]
    assert read["Calling-Station-Id"] == ["02-00-00-00-00-01"]
    assert read["State"] == [b"where we were"]
    assert read[12] == [(1400).to_bytes(4, "big")]
    assert b"".join(read[79]) == question.eap
    assert [len(v) for v in read[79]] == [253, 253, 94]


def test_a_challenge_then_an_acceptance() -> None:
    machine = client()
    extra = integer(numbers.SESSION_TIMEOUT, 20) + attribute(numbers.REPLY_MESSAGE, b"go on")
    first = challenge(b"s1")
    first.extra += extra
    output = ask(machine, first)
    assert output == Challenged(
        "mn", EAP_REQUEST, Continuation(0, b"s1"), 20, "go on", "one", 25_000_000, 1
    )
    extra = (
        integer(numbers.SESSION_TIMEOUT, 3600)
        + integer(numbers.TERMINATION_ACTION, 1)
        + integer(numbers.SERVICE_TYPE, 2)
        + attribute(numbers.CLASS, b"gold")
        + attribute(numbers.CLASS, b"x")
        + attribute(numbers.USER_NAME, b"real name")
    )
    last = Responder(extra=extra)
    output = ask(machine, last, Ask(EAP_RESPONSE, ASK.identity, output.continuation))
    assert decode(last.seen[0]).first(numbers.STATE) == b"s1"
    assert output == Accepted(
        token="mn",
        eap=EAP_SUCCESS,
        msk=MSK,
        session_timeout_s=3600,
        termination=Termination.RADIUS_REQUEST,
        classes=(b"gold", b"x"),
        user_name=b"real name",
        reply_message="",
        server="one",
        round_trip_ns=25_000_000,
        attempts=1,
    )
    assert MSK.hex() not in repr(output)
    assert str(MSK[:8])[2:-1] not in repr(output)
    assert machine.outstanding == 0
    assert machine.next_deadline() is None


def test_a_plain_acceptance_limits_nothing() -> None:
    output = ask(client(), Responder())
    assert isinstance(output, Accepted)
    assert output.session_timeout_s is None
    assert output.termination is Termination.DEFAULT
    assert output.user_name is None


def test_a_rejection() -> None:
    extra = attribute(numbers.REPLY_MESSAGE, b"no\nway \xff") + integer(numbers.ERROR_CAUSE, 502)
    output = ask(client(), reject(extra))
    assert output == Refused(
        token="mn",
        eap=EAP_FAILURE,
        reason="rejected by the server: noway \N{REPLACEMENT CHARACTER}; "
        "request not routable (proxy)",
        decider=Decider.SERVER,
        reply_message="noway \N{REPLACEMENT CHARACTER}",
        error_cause=502,
        server="one",
        moved=False,
    )


@pytest.mark.parametrize("eap", [b"", EAP_SUCCESS, EAP_REQUEST, EAP_FAILURE + b"x"])
def test_a_rejection_that_says_otherwise_in_eap_is_one(eap: bytes) -> None:
    """RFC 3579 s2.6.3: the packet's code decides, and the peer must not see a success."""
    output = ask(client(), reject(eap=eap))
    assert isinstance(output, Refused)
    assert output.eap is None


@pytest.mark.parametrize(
    ("responder", "reason"),
    [
        (Responder(with_keys=False), "acceptance with no MS-MPPE keys"),
        (Responder(eap=b""), "acceptance with no EAP-Success"),
        (Responder(eap=EAP_FAILURE), "acceptance with EAP-Failure in it"),
        (Responder(eap=EAP_REQUEST), "acceptance with an EAP message that is no EAP-Success"),
        (Responder(eap=EAP_SUCCESS + b"x"), "no EAP-Success"),
        (Responder(eap=bytes((3, 8, 0, 5))), "no EAP-Success"),
        (Responder(extra=integer(numbers.SERVICE_TYPE, 6)), "service type 6"),
        (Responder(extra=integer(numbers.SESSION_TIMEOUT, 0)), "a session of 0 seconds"),
        (Responder(extra=integer(numbers.SESSION_TIMEOUT, 9) * 2), "attribute 27 2 times"),
        (Responder(extra=attribute(numbers.SESSION_TIMEOUT, b"9")), "27, a number, in 1 octets"),
        (Responder(Code.ACCESS_CHALLENGE, b""), "challenge with no EAP message"),
        (challenge(eap=EAP_SUCCESS), "challenge with an EAP message that is no request"),
        (challenge(eap=EAP_REQUEST + b"x"), "challenge with an EAP message that is no request"),
        (challenge(eap=b"\x01"), "challenge with an EAP message that is no request"),
    ],
)
def test_authentic_nonsense_lets_nobody_in(responder: Responder, reason: str) -> None:
    output = ask(client(), responder)
    assert isinstance(output, Refused)
    assert output.decider is Decider.CLIENT
    assert reason in output.reason


def test_two_states_are_none() -> None:
    responder = challenge()
    responder.extra *= 2
    output = ask(client(), responder)
    assert isinstance(output, Refused)
    assert "attribute 24 2 times" in output.reason


# What is dropped: the genuine answer that comes after it still counts


def unsigned(request: bytes) -> bytes:
    """An answer with its Response Authenticator only, as servers sent before Blast-RADIUS."""
    from hashlib import md5

    asked = decode(request)
    body = eap_attributes(EAP_SUCCESS) + keys(asked.authenticator)
    head = bytes((2, asked.identifier)) + (20 + len(body)).to_bytes(2, "big")
    return head + md5(head + asked.authenticator + body + SECRET).digest() + body


def flipped(request: bytes) -> bytes:
    octets = bytearray(Responder().answer(request))
    octets[-3] ^= 4
    return bytes(octets)


def with_proxy_state(request: bytes) -> bytes:
    return Responder(extra=attribute(numbers.PROXY_STATE, b"9")).answer(request)


def another_identifier(request: bytes) -> bytes:
    return Responder().answer(request[:1] + bytes((request[1] + 1,)) + request[2:])


def to_another_request(request: bytes) -> bytes:
    return Responder().answer(request[:4] + bytes(16) + request[20:])


@pytest.mark.parametrize(
    ("forge", "reason", "security"),
    [
        (unsigned, "no Message-Authenticator", True),
        (flipped, "wrong Response Authenticator", True),
        (with_proxy_state, "a Proxy-State that is not ours", True),
        (another_identifier, "nobody waits for", False),
        (to_another_request, "wrong Response Authenticator", True),
        (lambda q: Responder(secret=b"guess").answer(q), "wrong Response Authenticator", True),
        (lambda q: Responder(Code.STATUS_SERVER).answer(q), "code 12 is no answer", True),
        (lambda q: b"", "shorter than a header", True),
        (lambda q: q, "wrong Response Authenticator", True),
    ],
)
def test_a_forgery_is_dropped(forge: Any, reason: str, security: bool) -> None:
    machine = client()
    transmit = sent(machine.request("mn", ASK, at(0)))
    deadline = machine.next_deadline()
    (output,) = machine.receive(forge(transmit.packet), LANE, at(0.1))
    assert isinstance(output, Discarded)
    assert reason in output.reason
    assert output.security is security
    assert output.source == server().endpoint
    assert machine.next_deadline() == deadline
    (output,) = machine.receive(Responder().answer(transmit.packet), LANE, at(0.2))
    assert isinstance(output, Accepted)


def test_an_answer_counts_once_and_on_its_lane() -> None:
    machine = client()
    transmit = sent(machine.request("mn", ASK, at(0)))
    answer = Responder().answer(transmit.packet)
    for lane in (Lane(0, 1), Lane(0, 77)):
        (output,) = machine.receive(answer, lane, at(0.1))
        assert isinstance(output, Discarded)
    assert isinstance(machine.receive(answer, LANE, at(0.1))[0], Accepted)
    assert isinstance(machine.receive(answer, LANE, at(0.1))[0], Discarded)


# Room


def test_more_requests_than_identifiers() -> None:
    """RFC 2865 s2.5: 256 on one source port; each request its own lane and identifier."""
    machine = client(max_outstanding=3000)
    transmits = [sent(machine.request(n, ASK, at(0))) for n in range(3000)]
    assert len({(t.lane, t.packet[1]) for t in transmits}) == 3000
    assert len({t.lane for t in transmits}) == 12
    assert len({t.packet[4:20] for t in transmits}) == 3000
    assert machine.request(3001, ASK, at(0)) == (Unreachable(3001, "3000 requests wait already"),)
    for number, transmit in enumerate(transmits):
        answer = Responder().answer(transmit.packet)
        (output,) = machine.receive(answer, transmit.lane, at(0.1))
        assert isinstance(output, Accepted)
        assert output.token == number
    assert machine.outstanding == 0


def test_an_identifier_rests_as_long_as_can_be() -> None:
    machine = client()
    used = []
    for number in range(600):
        transmit = sent(machine.request(number, ASK, at(number)))
        used.append(transmit.packet[1])
        machine.receive(Responder().answer(transmit.packet), transmit.lane, at(number))
    assert all(used[i] != used[j] for i in range(300) for j in range(i + 1, i + 256))


def test_a_second_request_replaces_the_first() -> None:
    machine = client()
    first = sent(machine.request("mn", ASK, at(0)))
    second = sent(machine.request("mn", ASK, at(0)))
    assert machine.outstanding == 1
    answer = Responder().answer(first.packet)
    assert isinstance(machine.receive(answer, first.lane, at(0))[0], Discarded)
    answer = Responder().answer(second.packet)
    assert isinstance(machine.receive(answer, second.lane, at(0))[0], Accepted)


def test_a_forgotten_request_leaves_nothing() -> None:
    machine = client()
    machine.request("mn", ASK, at(0))
    machine.forget("mn")
    machine.forget("mn")
    assert machine.outstanding == 0
    assert machine.next_deadline() is None
    assert machine.expire(at(100)) == ()


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (Ask(EAP_RESPONSE, b""), "an identity of 0 octets"),
        (Ask(EAP_RESPONSE, bytes(254)), "an identity of 254 octets"),
        (Ask(bytes(4050), b"mn"), "an EAP packet of 4050 octets"),
    ],
)
def test_a_peer_cannot_ask_what_does_not_fit(question: Ask, reason: str) -> None:
    machine = client()
    (output,) = machine.request("mn", question, at(0))
    assert isinstance(output, Refused)
    assert output.decider is Decider.CLIENT
    assert reason in output.reason
    assert machine.outstanding == 0


def test_everything_that_a_packet_holds_can_be_asked() -> None:
    for size in itertools.count(3900):
        (output,) = client().request("mn", Ask(bytes(size), b"mn"), at(0))
        if isinstance(output, Refused):
            break
        assert len(output.packet) <= 4096
    assert size > 3950


def test_bad_settings_are_refused() -> None:
    with pytest.raises(LocalError, match="no RADIUS server"):
        RadiusClient(ClientSettings((), "aa"), Octets())
    with pytest.raises(LocalError, match="no NAS identifier"):
        RadiusClient(ClientSettings((server(),), ""), Octets())
    endpoint = Endpoint(ip_address("192.0.2.1"), 1812)
    with pytest.raises(LocalError, match="empty shared secret"):
        RadiusClient(ClientSettings((Server("x", endpoint, b""),), "aa"), Octets())
    with pytest.raises(LocalError, match="two NAS addresses"):
        RadiusClient(
            ClientSettings((server(),), "aa", (ip_address("1.1.1.1"), ip_address("1.1.1.2"))),
            Octets(),
        )
    with pytest.raises(LocalError, match="no RADIUS server 7"):
        client().request("mn", Ask(EAP_RESPONSE, b"mn", Continuation(7, b"")), at(0))
    with pytest.raises(LocalError, match="no EAP packet"):
        client().request("mn", Ask(b"", b"mn"), at(0))


def test_no_secret_is_shown() -> None:
    assert "shared secret" not in repr(client_settings(server(transport=TLS)))


def test_a_signed_answer_has_a_limit() -> None:
    asked = decode(sent(client().request("mn", ASK, at(0))).packet)
    with pytest.raises(LocalError, match="RADIUS packet of"):
        signed_answer(2, asked, bytes(4090), SECRET)
