"""What neither machine lets happen: replay, reflection, wrong places, and EAP's own discards."""

from __future__ import annotations

import json
import random

import pytest
from pana_pair import MS, QUICK, Fault, Pair, S, at, eap, endpoint, msk_of, prompt

from mpa_hil.errors import DecodeError
from mpa_hil.mobility.interface import Send
from mpa_hil.pana.interface import (
    Answered,
    Discarded,
    EapPacket,
    EndCause,
    Ended,
    Established,
    Lost,
    PanaOutput,
    Rejected,
)
from mpa_hil.pana.message import Avp, Message, decode, unsigned
from mpa_hil.pana.numbers import AvpCode, Flag, MessageType, TerminationCause
from mpa_hil.pana.paa import Paa
from mpa_hil.pana.pac import Pac
from mpa_hil.pana.pac_table import PacState
from mpa_hil.pana.relay import Relay, relayed
from mpa_hil.pana.settings import PaaSettings, PacSettings, Retransmission, Timing

ELSEWHERE = endpoint("203.0.113.66", 6666)
E = int(Flag.PREAUTHENTICATION)
R = int(Flag.REQUEST)


def open_pair() -> tuple[Pair, int]:
    pair = Pair()
    pair.authenticate()
    (session_id,) = pair.paa_sessions()
    return pair, session_id


def sent(outputs: tuple[PanaOutput, ...] | list[PanaOutput]) -> list[Send]:
    return [output for output in outputs if isinstance(output, Send)]


def reasons(outputs: tuple[PanaOutput, ...] | list[PanaOutput]) -> list[str]:
    return [output.reason for output in outputs if isinstance(output, Discarded)]


def changed(name: str, edit: object, times: int = 1) -> Fault:
    """A wire that changes the first messages of a name."""
    left = [times]

    def fault(datagram: bytes, to_paa: bool, dice: random.Random) -> list[tuple[int, bytes]]:
        message = decode(datagram)
        if message.name == name and left[0]:
            left[0] -= 1
            datagram = edit(message).encode()  # type: ignore[operator]
        return [(5 * MS, datagram)]

    return fault


def test_an_old_request_is_neither_answered_nor_does_it_move_the_session() -> None:
    """Authentic, but said before: RFC 5191 s5.2."""
    pair, session_id = open_pair()
    for _ in range(2):
        pair.pac_does(pair.pac.ping(pair.now))
        pair.run(2)
    old, _, new, _ = [octets for *_, octets in pair.wire[-4:]]
    outputs = pair.paa.receive(old, ELSEWHERE, pair.now)
    assert reasons(outputs) == ["out of sequence"]
    assert not sent(outputs)
    (again,) = sent(pair.paa.receive(new, ELSEWHERE, pair.now))
    assert again.destination == ELSEWHERE, "a client that moved on has not had its answer"
    session = pair.paa.session(session_id)
    assert session is not None
    assert session.pac == pair.pac_at


def test_a_request_thrown_back_at_its_sender_is_not_taken_for_the_peers() -> None:
    """Before the client has ever asked anything, the agent does not know its numbers yet."""
    pair, session_id = open_pair()
    (ping,) = sent(pair.paa.ping(session_id, pair.now))
    outputs = pair.paa.receive(ping.datagram, pair.pac_at, pair.now)
    assert reasons(outputs) == ["reflected"]
    (mine,) = sent(pair.pac.ping(pair.now))
    assert reasons(pair.pac.receive(mine.datagram, pair.paa_at, pair.now)) == ["out of sequence"]
    (pong,) = sent(pair.pac.receive(ping.datagram, pair.paa_at, pair.now))
    assert reasons(pair.pac.receive(pong.datagram, pair.paa_at, pair.now))
    pair.paa_does(pair.paa.receive(pong.datagram, pair.pac_at, pair.now))
    assert pair.of(pair.paa_said, Answered)


def test_the_e_bit_must_be_there_until_the_agent_serves() -> None:
    """RFC 5873 s3; a single message without it is as if it had been lost."""

    def without_e(message: Message) -> Message:
        flags = message.flags & ~E
        return Message(message.type, flags, message.session_id, message.sequence, message.avps)

    for name in ("PAR[E]", "PAN[E]"):
        pair = Pair(fault=changed(name, without_e))
        pair.authenticate()
        assert pair.complaints()[0].reason in (
            "wrong E bit",
            "answers another question",
        )
        assert pair.agree()


def test_before_there_are_keys_a_session_stays_where_it_began() -> None:
    pair = Pair()
    pair.pac_does(pair.pac.start(pair.now))
    pair.run_until(lambda: pair.peer.done == 1)
    while not (pair._arriving and decode(pair._arriving[0][4]).name == "PAN[E]"):
        pair.step(pair.now_ns + S)
    octets = pair._arriving[0][4]
    outputs = pair.paa.receive(octets, ELSEWHERE, pair.now)
    assert reasons(outputs) == ["from elsewhere, without AUTH"]
    pair.run(1)
    assert pair.agree()


def test_the_client_hears_nobody_but_its_agent() -> None:
    pair = Pair()
    pair.pac_does(pair.pac.start(pair.now))
    pair.run(0.006)
    assert reasons(pair.pac.receive(pair.wire[1][3], ELSEWHERE, pair.now)) == ["not from the PAA"]
    wrong_port = endpoint(str(pair.paa_at.address), 717)
    assert reasons(pair.pac.receive(pair.wire[1][3], wrong_port, pair.now))


@pytest.mark.parametrize("name", ["PAR[E]", "PAN[E]"])
def test_nonces_come_first_and_once(name: str) -> None:
    """RFC 5191 s4.1: what lacks one, or brings a second, is not heard."""

    def without(message: Message) -> Message:
        kept = tuple(avp for avp in message.avps if avp.code != AvpCode.NONCE)
        return Message(message.type, message.flags, message.session_id, message.sequence, kept)

    def with_another(message: Message) -> Message:
        kept = (*without(message).avps, Avp(AvpCode.NONCE, bytes(20)))
        return Message(message.type, message.flags, message.session_id, message.sequence, kept)

    pair = Pair(fault=changed(name, without))
    pair.authenticate()
    assert pair.agree()
    done = Pair()
    done.pac_does(done.pac.start(done.now))
    done.run_until(lambda: done.peer.done == 1)
    done.run(0.006)
    done.fault = changed(name, with_another)
    done.run(2)
    assert done.agree()


def test_a_first_answer_with_another_e_bit_makes_no_session() -> None:
    pair = Pair()
    pair.pac_does(pair.pac.start(pair.now))
    pair.run_until(lambda: len(pair.wire) == 3)
    pan = decode(pair.wire[2][3])
    flipped = Message(pan.type, pan.flags ^ E, pan.session_id, pan.sequence, pan.avps).encode()
    outputs = pair.paa.receive(flipped, pair.pac_at, pair.now)
    assert reasons(outputs) == ["does not agree on the E bit"]
    assert pair.paa.session_count == 0


def test_candidates_are_few() -> None:
    pac = Pac(
        endpoint("198.51.100.1"), PacSettings(timing=QUICK), random.Random(1).randbytes, at(0)
    )
    pac.start(at(0))
    flags = R | int(Flag.START) | E
    avps = (unsigned(AvpCode.PRF_ALGORITHM, 2), unsigned(AvpCode.INTEGRITY_ALGORITHM, 7))
    for number in range(50):
        par = Message(MessageType.AUTH, flags, 1 + number, 5, avps).encode()
        assert len(sent(pac.receive(par, pac.paa, at(1)))) == 1
        assert sent(pac.receive(par, pac.paa, at(1)))[0].datagram
    assert len(pac.candidates) == 4


# --- EAP has the last word on what it was given


def test_what_eap_discards_was_never_received() -> None:
    """A forged request and a forged answer with the right numbers, right before the genuine."""
    pair = Pair()
    pair.pac_does(pair.pac.start(pair.now))
    pair.run_until(lambda: pair.peer.done == 1)
    pair.run(0.006)
    first = decode(pair.wire[3][3])
    payload = (Avp(AvpCode.EAP_PAYLOAD, eap(1, 9, b"nonsense")[:-1] + b"x"),)
    forged = Message(MessageType.AUTH, R | E, first.session_id, first.sequence + 1, payload)
    pair.pac_does(pair.pac.receive(forged.encode(), pair.paa_at, pair.now))
    assert "ignored by EAP" in reasons(pair.pac_said)
    forged = Message(MessageType.AUTH, E, first.session_id, first.sequence + 1, payload)
    pair.run(0.003)
    pair.paa_does(pair.paa.receive(forged.encode(), pair.pac_at, pair.now))
    pair.run(3)
    assert pair.agree()


def test_a_forged_beginning_of_eap_does_not_stop_a_client() -> None:
    pair = Pair()
    pair.pac_does(pair.pac.start(pair.now))
    pair.run_until(lambda: len(pair.wire) == 3)
    first = decode(pair.wire[1][3])
    avps = (Avp(AvpCode.NONCE, bytes(20)), Avp(AvpCode.EAP_PAYLOAD, b"\1\0\0\4"))
    forged = Message(MessageType.AUTH, R | E, first.session_id, first.sequence + 1, avps)
    pair.pac_does(pair.pac.receive(forged.encode(), pair.paa_at, pair.now))
    pair.run(2)
    assert pair.agree()


def test_a_success_that_is_not_authentic_is_waited_out() -> None:
    """EAP is content and has given its key; the message that carried its success was damaged."""

    def other_lifetime(message: Message) -> Message:
        avps = tuple(
            unsigned(AvpCode.SESSION_LIFETIME, 2**32 - 1)
            if avp.code == AvpCode.SESSION_LIFETIME
            else avp
            for avp in message.avps
        )
        return Message(message.type, message.flags, message.session_id, message.sequence, avps)

    pair = Pair(fault=changed("PAR[CE]", other_lifetime))
    pair.authenticate()
    assert [word.reason for word in pair.complaints()] == ["wrong AUTH"]
    assert pair.agree()
    session = pair.pac.session
    assert session is not None
    assert session.lifetime_s == 3600


def test_an_eap_peer_that_fails_ends_the_session() -> None:
    pair = Pair()
    pair.pac_does(pair.pac.start(pair.now))
    pair.run_until(lambda: pair.peer.done == 1)
    pair.run(0.004)
    pair.pac_does(pair.pac.eap_failed(pair.now))
    pair.run(0.1)
    assert pair.of(pair.pac_said, Ended) == [
        Ended(pair.pac_said[0].session_id, EndCause.EAP_FAILED, None, False)  # type: ignore[union-attr]
    ]
    assert not pair.of(pair.paa_said, Established)


def test_a_success_that_the_eap_peer_does_not_share_is_none() -> None:
    pair = Pair()
    pac = pair.pac
    pair.pac_does(pac.start(pair.now))
    pair.run_until(lambda: decode(pair.wire[-1][3]).name == "PAR[CE]")
    par = pair._arriving.pop()[4]
    (word,) = pac.receive(par, pair.paa_at, pair.now)
    assert isinstance(word, EapPacket)
    outputs = pac.eap_failed(pair.now)
    assert [decode(send.datagram).name for send in sent(outputs)] == ["PAN[CE]"]
    assert pac.state is PacState.CLOSED
    assert not sent(pair.paa.receive(sent(outputs)[0].datagram, pair.pac_at, pair.now))
    assert not pair.paa_sessions()


def test_a_key_that_eap_gives_early_is_used() -> None:
    """RFC 5609 s7.1.4: EAP may be done before the last request comes."""
    pair = Pair()
    pair.pac_does(pair.pac.start(pair.now))
    pair.run_until(lambda: pair.peer.done == 3)
    pair.pac_does(pair.pac.eap_succeeded(msk_of(pair.peer.run), pair.now))
    pair.run(1)
    assert pair.agree()


def test_an_optimised_first_request_is_answered_at_once() -> None:
    """Another agent may put EAP in the PAR[S] (RFC 5609 s8.2); ours never does."""
    pac = Pac(
        endpoint("198.51.100.1"), PacSettings(timing=QUICK), random.Random(1).randbytes, at(0)
    )
    pac.start(at(0))
    avps = (
        Avp(AvpCode.EAP_PAYLOAD, b"\1\0\0\5\1"),
        unsigned(AvpCode.PRF_ALGORITHM, 2),
        unsigned(AvpCode.INTEGRITY_ALGORITHM, 7),
    )
    par = Message(MessageType.AUTH, R | E | int(Flag.START), 77, 5, avps).encode()
    answer, word = pac.receive(par, pac.paa, at(1))
    assert isinstance(answer, Send)
    assert decode(answer.datagram).name == "PAN[SE]"
    assert isinstance(word, EapPacket)
    assert word.first
    (request,) = sent(pac.eap_response(b"\2\0\0\5\1", at(2)))
    assert decode(request.datagram).name == "PAR[E]"
    assert sent(pac.receive(par, pac.paa, at(3))) == [answer]


# --- ends


def test_a_client_that_is_never_answered_gives_up_as_told() -> None:
    few = Timing(pci=Retransmission(0.1, 1, 3, 0), request=QUICK.request)
    pair = Pair(PacSettings(timing=few), fault=lambda datagram, to_paa, dice: [])
    pair.authenticate(10)
    assert len(pair.wire) == 3
    assert pair.of(pair.pac_said, Lost) == [Lost(0, 3, was_established=False)]


def test_an_agent_that_vanished_is_lost() -> None:
    pair, session_id = open_pair()
    pair.fault = lambda datagram, to_paa, dice: []
    pair.pac_does(pair.pac.ping(pair.now))
    pair.run(60)
    assert pair.of(pair.pac_said, Lost) == [Lost(session_id, 10)]
    assert pair.pac.session is None


def test_verbs_for_no_session_do_nothing() -> None:
    paa = Paa(PaaSettings(), bytes, at(0))
    assert paa.eap_request(5, b"\1\0\0\4", at(0)) == ()
    assert paa.ping(5, at(0)) == paa.reauthenticate(5, at(0)) == paa.eap_discarded(5, at(0)) == ()
    assert paa.preserve(5, at(0)) is None
    paa.drop(5)
    pac = Pac(endpoint("198.51.100.1"), PacSettings(), bytes, at(0))
    for verb in (pac.ping, pac.reauthenticate, pac.terminate, pac.became_serving, pac.expire):
        assert verb(at(0)) == ()
    assert pac.eap_response(b"\2\0\0\4", at(0)) == pac.eap_succeeded(bytes(64), at(0)) == ()


def test_graves_are_levelled_in_time() -> None:
    pair, session_id = open_pair()
    pair.pac_does(pair.pac.terminate(pair.now))
    pair.run(1)
    store = pair.paa._store
    assert list(store._tombstones) == [session_id]
    ptr = next(octets for *_, octets in pair.wire if decode(octets).name == "PTR[E]")
    assert sent(pair.paa.receive(ptr, ELSEWHERE, pair.now))[0].destination == pair.pac_at
    pair.run(40)
    assert not sent(pair.paa.receive(ptr, pair.pac_at, pair.now))
    pair.authenticate()
    pair.pac_does(pair.pac.terminate(pair.now))
    pair.run(1)
    assert len(store._tombstones) == len(store._burials) == 1


def test_the_agent_renews_by_itself_when_told_when() -> None:
    timing = Timing(pci=QUICK.pci, request=QUICK.request, reauthenticate_at=0.5)
    pair = Pair(paa_settings=PaaSettings(timing=timing), lifetime_s=100)
    pair.authenticate()
    pair.run(60)
    assert pair.agree()
    assert len(pair.of(pair.paa_said, Established)) == 2
    with pytest.raises(ValueError, match="between 0 and 1"):
        Timing(reauthenticate_at=1.0)


def test_an_unprotected_refusal_says_so() -> None:
    pair = Pair(verdict="refuse")
    pair.authenticate()
    (word,) = pair.of(pair.pac_said, Rejected)
    assert isinstance(word, Rejected)
    assert not word.authenticated


# --- relay


def test_the_relay_passes_only_what_it_is_for() -> None:
    paa, pac = endpoint("198.51.100.1"), endpoint("192.0.2.7", 5000)
    relay = Relay(paa)
    pci = Message(MessageType.CLIENT_INITIATION, 0, 0, 0).encode()
    there = relay.receive(pci, pac)
    assert there == Send(relayed(pci, pac), paa)
    assert isinstance(there, Send)
    assert relay.receive(there.datagram, paa) == Send(pci, pac)
    for datagram, source in (
        (there.datagram, pac),
        (pci, paa),
        (b"nothing", pac),
        (relayed(there.datagram, pac), paa),
        (relayed(bytes(16), pac), paa),
        (Message(MessageType.AUTH, R, 1, 1, (Avp(2, bytes(8160)),)).encode(), pac),
    ):
        assert isinstance(relay.receive(datagram, source), Discarded), datagram[:20]


def test_the_agent_does_not_unwrap_twice() -> None:
    where = endpoint("203.0.113.9")
    paa = Paa(PaaSettings(relays=frozenset({where.address})), bytes, at(0))
    pci = Message(MessageType.CLIENT_INITIATION, 0, 0, 0).encode()
    once = relayed(pci, ELSEWHERE)
    (back,) = sent(paa.receive(once, where, at(0)))
    assert back.destination == where
    assert len(back.datagram) <= 3 * len(once)
    assert reasons(paa.receive(relayed(once, ELSEWHERE), where, at(0))) == [
        "a relayed message relays another"
    ]


# --- preserved sessions


def test_what_is_preserved_is_plain_and_whole() -> None:
    pair, session_id = open_pair()
    written = pair.paa.preserve(session_id, pair.now)
    assert written is not None
    assert json.loads(json.dumps(written)) == written
    other = Paa(pair.paa_settings, bytes, pair.now)
    session = other.restore(written, pair.now)
    assert session == pair.paa.session(session_id)
    assert other.half_open_count == 0
    for name in written.keys() - {"relay_port"}:
        broken = {**written, name: [1]}
        with pytest.raises(DecodeError):
            Paa(pair.paa_settings, bytes, pair.now).restore(broken, pair.now)
    for name, value in (
        ("format", 2),
        ("prf", 99),
        ("msk", "zz"),
        ("pac", "nowhere"),
        ("pac", None),
    ):
        with pytest.raises(DecodeError):
            Paa(pair.paa_settings, bytes, pair.now).restore({**written, name: value}, pair.now)


def test_a_session_under_termination_is_not_preserved() -> None:
    pair, session_id = open_pair()
    pair.fault = lambda datagram, to_paa, dice: []
    pair.pac_does(pair.pac.terminate(pair.now))
    pair.paa_does(pair.paa.terminate(session_id, TerminationCause.ADMINISTRATIVE, pair.now))
    assert pair.paa.preserve(session_id, pair.now) is None
    pair.fault = prompt
