"""PANA's decoders and machines against what nobody meant them to read, and against bad wires."""

from __future__ import annotations

import json

import fuzzing
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pana_pair import QUICK, Pair, endpoint, lossy, prompt

from mpa_hil.errors import DecodeError
from mpa_hil.pana.interface import Established, PanaSession
from mpa_hil.pana.message import Avp, decode, decode_avps, encode_avps
from mpa_hil.pana.numbers import TerminationCause
from mpa_hil.pana.paa import Paa
from mpa_hil.pana.relay import pac_information, parse_pac_information
from mpa_hil.pana.settings import PaaSettings, PacSettings

RELAY = endpoint("203.0.113.9")


def dialogue(relayed: bool = False, piggyback: bool = True) -> Pair:
    """A session with everything in it."""
    settings = PaaSettings(timing=QUICK, conceal=True, relays=frozenset({RELAY.address}))
    pair = Pair(
        PacSettings(timing=QUICK, conceal=True, piggyback=piggyback),
        settings,
        relay_at=RELAY if relayed else None,
    )
    pair.authenticate()
    pair.pac_does(pair.pac.reauthenticate(pair.now))
    pair.run(1)
    pair.pac_does(pair.pac.became_serving(pair.now))
    pair.run(1)
    pair.pac_does(pair.pac.terminate(pair.now))
    pair.run(1)
    return pair


def corpus() -> list[bytes]:
    pairs = (dialogue(), dialogue(relayed=True), dialogue(piggyback=False))
    return sorted({octets for pair in pairs for *_, octets in pair.wire})


def test_the_message_decoder() -> None:
    tally = fuzzing.fuzz("PANA message", decode, corpus(), encode=lambda message: message.encode())
    assert tally.accepted > 100


def test_the_avp_decoder() -> None:
    def refuse_nothing(octets: bytes) -> tuple[Avp, ...]:
        return tuple(decode_avps(octets))

    fuzzing.fuzz("PANA AVPs", refuse_nothing, [o[16:] for o in corpus()], encode=encode_avps)


def test_the_address_decoder() -> None:
    genuine = [pac_information(endpoint("192.0.2.1", 5)), pac_information(endpoint("2001:db8::1"))]
    fuzzing.fuzz("PaC-Information", parse_pac_information, genuine, encode=pac_information)


def test_what_was_preserved() -> None:
    pair = Pair()
    pair.authenticate()
    (session_id,) = pair.paa_sessions()
    written = json.dumps(pair.paa.preserve(session_id, pair.now)).encode()

    def restore(octets: bytes) -> PanaSession | None:
        try:
            values = json.loads(octets)
        except (ValueError, RecursionError):
            raise DecodeError("no JSON") from None
        if not isinstance(values, dict):
            raise DecodeError("no object")
        return Paa(pair.paa_settings, pair.dice.randbytes, pair.now).restore(values, pair.now)

    fuzzing.fuzz("PANA preserved session", restore, [written])


def test_neither_machine_minds_what_arrives() -> None:
    """Mutated messages of the dialogue itself, thrown into the middle of it."""
    genuine = corpus()
    noise = fuzzing.mutations("PANA machines", genuine, fuzzing.inputs())
    pair = Pair(rounds=3, seed="noise")
    pair.authenticate()
    assert pair.agree()
    session = pair.pac.session
    assert session is not None
    for octets in noise:
        pair.pac_does(pair.pac.receive(octets, pair.paa_at, pair.now))
        pair.paa_does(pair.paa.receive(octets, pair.pac_at, pair.now))
    pair.run(5)
    assert pair.agree()
    assert pair.pac.session == session
    assert pair.paa.session_count <= 2


class BadWire(RuleBasedStateMachine):
    """A client and an agent that both want things, and a wire that does what it likes."""

    def __init__(self) -> None:
        super().__init__()
        settings = PaaSettings(timing=QUICK)
        self.pair = Pair(PacSettings(timing=QUICK), settings, rounds=2, lifetime_s=600)

    @rule()
    def start(self) -> None:
        if not self.pair.pac.started:
            self.pair.pac_does(self.pair.pac.start(self.pair.now))

    @rule(seconds=st.sampled_from([0.001, 0.006, 0.02, 0.3, 3.0]))
    def wait(self, seconds: float) -> None:
        self.pair.run(seconds)

    @rule(loss=st.sampled_from([0, 0.3, 1.0]), flips=st.sampled_from([0, 0.1]))
    def weather(self, loss: float, flips: float) -> None:
        self.pair.fault = lossy(loss, 0.2, 20, flips)

    @rule(verb=st.sampled_from(["ping", "reauthenticate", "became_serving", "address_changed"]))
    def client_wants(self, verb: str) -> None:
        self.pair.pac_does(getattr(self.pair.pac, verb)(self.pair.now))

    @rule(port=st.integers(1024, 1030))
    def client_moves(self, port: int) -> None:
        self.pair.pac_at = endpoint("192.0.2.7", port)
        self.pair.pac_does(self.pair.pac.address_changed(self.pair.now))

    @rule(verb=st.sampled_from(["ping", "reauthenticate"]))
    def agent_wants(self, verb: str) -> None:
        for session_id in self.pair.paa_sessions():
            self.pair.paa_does(getattr(self.pair.paa, verb)(session_id, self.pair.now))

    @rule()
    def client_ends(self) -> None:
        self.pair.pac_does(self.pair.pac.terminate(self.pair.now))

    @rule()
    def agent_ends(self) -> None:
        for session_id in self.pair.paa_sessions():
            cause = TerminationCause.ADMINISTRATIVE
            self.pair.paa_does(self.pair.paa.terminate(session_id, cause, self.pair.now))

    @precondition(lambda self: self.pair.wire)
    @rule(back=st.integers(1, 40), reflected=st.booleans())
    def replay(self, back: int, reflected: bool) -> None:
        _, source, destination, octets = self.pair.wire[-min(back, len(self.pair.wire))]
        if reflected:
            source, destination = destination, source
        self.pair.inject(octets, source, destination)

    @precondition(lambda self: self.pair.paa_sessions())
    @rule()
    def agent_restarts(self) -> None:
        pair = self.pair
        kept = [pair.paa.preserve(session_id, pair.now) for session_id in pair.paa_sessions()]
        pair.paa = Paa(pair.paa_settings, pair.dice.randbytes, pair.now)
        for values in kept:
            if values is not None:
                pair.paa.restore(values, pair.now)

    @invariant()
    def nobody_believes_in_keys_that_the_other_never_had(self) -> None:
        """No false success: what the client holds, the agent made, and the other way round."""
        made = {
            said.session.sa.auth_key for said in self.pair.paa_said if isinstance(said, Established)
        }
        held = {
            said.session.sa.auth_key for said in self.pair.pac_said if isinstance(said, Established)
        }
        assert made <= held

    @invariant()
    def bounded(self) -> None:
        for session in self.pair.paa._store.sessions.values():
            assert len(session.conversation.waiting) < 50
        assert len(self.pair.pac.candidates) <= 4

    def teardown(self) -> None:
        """On a good wire all timers come to an end, and a new start leads to a session."""
        pair = self.pair
        pair.fault = prompt
        pair.run(1)
        pair.pac_does(pair.pac.terminate(pair.now))
        pair.run(300)
        if pair.pac.started:
            pair.pac_does(pair.pac.terminate(pair.now))
            pair.run(300)
        assert not pair.pac.started
        pair.authenticate(30)
        assert pair.agree()


BadWire.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, derandomize=True
)
TestBadWire = BadWire.TestCase
