"""The peer's state machine: what it believes when, and what it answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from eap_servers import GPSK_KEY, PEER_NAME, GpskServer, identity_request

from mpa_hil.eap import peer_states
from mpa_hil.eap.codec import Code, MethodType, Packet, decode, encode
from mpa_hil.eap.eap_gpsk import EapGpsk
from mpa_hil.eap.interface import Cause, Failure, Random, Success
from mpa_hil.eap.method import MethodRun, Standing, Step, ignore, lose
from mpa_hil.eap.peer import MAX_REQUESTS, EapPeer
from mpa_hil.eap.peer_states import Action, Event, Phase
from mpa_hil.eap.settings import GpskSettings

SUCCESS = Success("stub", b"m" * 64, b"e" * 64, b"id", "peer", "server")


LETTERS = {
    b"c": Standing.CONTINUES,
    b"f": Standing.MAY_FAIL,
    b"e": Standing.MAY_END,
    b"w": Standing.WON,
}


class Stub:
    """A method that stands as the server's one letter says."""

    type = 200

    def __init__(self) -> None:
        self.failed = 0

    def begin(self, random: Random) -> MethodRun:
        return self

    def process(self, data: bytes) -> Step:
        if data == b"n":
            return Step(Standing.CONTINUES, ignored="not on these terms", nak=True)
        if data == b"l":
            return lose(Cause.PROTOCOL, "lost", b"bye")
        if data not in LETTERS:
            return ignore(Standing.CONTINUES, "nonsense")
        return Step(LETTERS[data], b"re-" + data)

    def succeed(self) -> Success:
        return SUCCESS

    def fail(self) -> None:
        self.failed += 1


def request(identifier: int, data: bytes = b"c", kind: int = 200) -> bytes:
    return encode(Packet(Code.REQUEST, identifier, kind, data))


def end(code: Code, identifier: int) -> bytes:
    return encode(Packet(code, identifier))


def peer_at(letter: str) -> tuple[EapPeer, Stub]:
    """A peer whose last request had identifier 2, and whose method stands so."""
    stub = Stub()
    peer = EapPeer((stub,), "mn@home.example", os.urandom)
    assert peer.receive(identity_request(1)).response is not None
    assert peer.receive(request(2, letter.encode())).response is not None
    return peer, stub


def test_identity_then_the_method_then_success() -> None:
    peer, stub = peer_at("e")
    first = EapPeer((stub,), "mn@home.example", os.urandom).receive(identity_request(1)).response
    assert first is not None
    assert decode(first) == Packet(Code.RESPONSE, 1, MethodType.IDENTITY, b"mn@home.example")
    output = peer.receive(end(Code.SUCCESS, 2))
    assert output.outcome is SUCCESS
    assert output.response is None
    assert peer.receive(end(Code.SUCCESS, 2)).outcome is None
    assert peer.receive(end(Code.FAILURE, 2)).outcome is None


@pytest.mark.parametrize("phase", [*Phase])
def test_a_repeated_request_gets_the_same_response(phase: Phase) -> None:
    assert peer_states.TRANSITIONS[phase, Event.REPEATED] is Action.RETRANSMIT
    peer, _ = peer_at("c")
    first = peer.receive(request(3, b"c")).response
    assert first == peer.receive(request(3, b"c")).response == peer.receive(request(3)).response
    # Whatever a packet with that identifier says (RFC 3748 s4.1): it is not processed twice.
    assert first == peer.receive(request(3, b"l")).response
    assert peer.phase is Phase.CONTINUES


@pytest.mark.parametrize("letter", ["c", "f"])
def test_a_success_before_the_method_finished_is_nobodys(letter: str) -> None:
    peer, _ = peer_at(letter)
    output = peer.receive(end(Code.SUCCESS, 2))
    assert output.outcome is None
    assert output.discarded
    assert peer.lower_layer_accepted().outcome is None


def test_a_canned_success_or_failure_is_dropped() -> None:
    for code in (Code.SUCCESS, Code.FAILURE):
        peer = EapPeer((Stub(),), "mn", os.urandom)
        assert peer.receive(end(code, 0)).discarded
        assert peer.receive(identity_request(1)).response
        assert peer.receive(end(Code.SUCCESS, 1)).discarded


def test_a_failure_counts_where_the_method_can_end_and_nowhere_else() -> None:
    for letter, counts in (("c", False), ("f", True), ("e", True), ("w", False)):
        peer, stub = peer_at(letter)
        output = peer.receive(end(Code.FAILURE, 2))
        assert isinstance(output.outcome, Failure) == counts, letter
        assert stub.failed == counts
    unknown = EapPeer((Stub(),), "mn@nowhere.example", os.urandom)
    unknown.receive(identity_request(1))
    outcome = unknown.receive(end(Code.FAILURE, 1)).outcome
    assert isinstance(outcome, Failure)
    assert outcome.cause is Cause.REJECTED


@pytest.mark.parametrize("code", [Code.SUCCESS, Code.FAILURE])
def test_an_end_with_another_identifier_is_dropped(code: Code) -> None:
    peer, _ = peer_at("e")
    for identifier in (0, 1, 3, 255):
        assert peer.receive(end(code, identifier)).discarded
    assert peer.phase is Phase.MAY_END


def test_the_lower_layer_may_know_better() -> None:
    for letter in "ew":
        peer, _ = peer_at(letter)
        assert peer.lower_layer_accepted().outcome is SUCCESS
        assert peer.lower_layer_rejected("late").outcome is None
    for letter in "cfew":
        peer, stub = peer_at(letter)
        assert peer.lower_layer_rejected("gone").outcome == Failure(Cause.LOWER_LAYER, "gone")
        assert stub.failed == 1


def test_a_method_that_loses_still_answers() -> None:
    peer, stub = peer_at("c")
    output = peer.receive(request(3, b"l"))
    assert output.outcome == Failure(Cause.PROTOCOL, "lost")
    assert output.response is not None
    assert decode(output.response).data == b"bye"
    assert peer.receive(request(3, b"l")).response == output.response
    assert peer.receive(request(4, b"c")).discarded
    assert stub.failed == 1


def test_other_methods_are_answered_with_nak_and_only_before_one_runs() -> None:
    peer = EapPeer((Stub(), EapGpsk(GpskSettings(GPSK_KEY, "mn"))), "mn", os.urandom)
    peer.receive(identity_request(1))
    response = peer.receive(request(2, b"x", MethodType.TTLS)).response
    assert response == encode(Packet(Code.RESPONSE, 2, MethodType.NAK, bytes((200, 51))))
    assert peer.receive(request(3, b"n")).response == encode(
        Packet(Code.RESPONSE, 3, MethodType.NAK, bytes((51,)))
    )
    assert peer.receive(request(4)).response
    for kind in (MethodType.TTLS, MethodType.GPSK, MethodType.IDENTITY):
        assert peer.receive(request(5, b"x", kind)).discarded
    alone = EapPeer((Stub(),), "mn", os.urandom)
    alone.receive(identity_request(1))
    assert alone.receive(request(2, b"n")).response == encode(
        Packet(Code.RESPONSE, 2, MethodType.NAK, b"\0")
    )
    assert alone.receive(end(Code.FAILURE, 2)).outcome == Failure(
        Cause.NO_METHOD, "not on these terms"
    )


def test_notifications_are_acknowledged_and_shown_harmless() -> None:
    peer, _ = peer_at("c")
    output = peer.receive(request(3, b"pay\x1b[31m now\n", MethodType.NOTIFICATION))
    assert output.notification == "pay?[31m now?"
    assert output.response == encode(Packet(Code.RESPONSE, 3, MethodType.NOTIFICATION))
    assert peer.receive(request(4)).response


def test_an_endless_server_ends() -> None:
    peer, _ = peer_at("c")
    outputs = [peer.receive(request(3 + i % 2)) for i in range(MAX_REQUESTS)]
    outcome = outputs[-2].outcome or outputs[-1].outcome
    assert isinstance(outcome, Failure)
    assert outcome.cause is Cause.LIMIT


def test_nonsense_changes_nothing() -> None:
    peer, _ = peer_at("c")
    for octets in (b"", b"\x01\x03\0\x04", bytes(40), request(3, b"?"), b"\x02\x02\0\x05\x01"):
        output = peer.receive(octets)
        assert output.discarded
        assert output.response is None
    assert peer.receive(request(3)).response


def test_gpsk_drops_what_does_not_fit_and_goes_on() -> None:
    """RFC 5433 s10."""
    peer = EapPeer((EapGpsk(GpskSettings(GPSK_KEY, PEER_NAME)),), PEER_NAME, os.urandom)
    server = GpskServer()
    peer.receive(identity_request(server.identifier))
    second = peer.receive(server.start()).response
    assert second is not None
    third = server.answer(second)
    for at in range(6, len(third)):
        broken = bytearray(third)
        broken[at] ^= 1
        assert peer.receive(bytes(broken)).discarded
    assert peer.receive(request(99, bytes((6, 0, 0, 0, 3)) + bytes(32), 51)).discarded
    assert peer.receive(request(98, server.first(), 51)).discarded
    fourth = peer.receive(third).response
    assert fourth is not None
    assert isinstance(peer.receive(server.answer(fourth)).outcome, Success)


def test_the_table_is_complete_and_the_documentation_shows_it() -> None:
    assert set(peer_states.TRANSITIONS) == {(p, e) for p in Phase for e in Event}
    page = Path(__file__).parents[2] / "docs" / "eap.md"
    assert peer_states.markdown() in page.read_text(encoding="utf-8")


def test_success_is_reached_only_from_where_keys_are() -> None:
    leads = {p for (p, _), action in peer_states.TRANSITIONS.items() if action is Action.SUCCEED}
    assert leads == {Phase.MAY_END, Phase.WON}
