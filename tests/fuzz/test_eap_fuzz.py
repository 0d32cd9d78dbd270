"""EAP fuzzed: every decoder, each method's run, and both machines under any order of events."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from eap_servers import (
    GPSK_KEY,
    PASSWORD,
    PEER_NAME,
    GpskServer,
    Server,
    TlsServer,
    TtlsServer,
    converse,
    identity_request,
    settings,
)
from fuzzing import fuzz, inputs, mutations
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mpa_hil.eap import codec, gpsk_messages, tls_frames, ttls_avps
from mpa_hil.eap.authenticator import PassThrough
from mpa_hil.eap.codec import Code, MethodType, Packet
from mpa_hil.eap.eap_gpsk import EapGpsk
from mpa_hil.eap.eap_tls import EapTls
from mpa_hil.eap.eap_ttls import EapTtls
from mpa_hil.eap.interface import AaaReply, Ignored, Refused, Succeeded, Success, ToAaa, ToPeer
from mpa_hil.eap.method import Method, Standing
from mpa_hil.eap.peer import EapPeer
from mpa_hil.eap.settings import GpskSettings, MsChapV2, Pap

TLS, TTLS, GPSK = (
    EapTls(settings(resumption=False)),
    EapTtls(settings(), MsChapV2(PEER_NAME, PASSWORD)),
    EapGpsk(GpskSettings(GPSK_KEY, PEER_NAME)),
)


def dialogue(method: Method, server: Server) -> list[bytes]:
    """The packets to the peer of a genuine authentication."""
    _, packets = converse(EapPeer((method,), PEER_NAME, os.urandom), server)
    return packets


def requests(method: Method, server: Server) -> list[bytes]:
    """Their Type-Data."""
    packets = [codec.decode(packet) for packet in dialogue(method, server)]
    return [packet.data for packet in packets if packet.code is Code.REQUEST]


def test_packets() -> None:
    corpus = dialogue(TLS, TlsServer()) + dialogue(GPSK, GpskServer()) + [identity_request()]
    fuzz("EAP packet", codec.decode, corpus, encode=codec.encode)


def test_identities() -> None:
    corpus = [b"mn@home.example", "müller@home.example".encode(), b"mn\0x=y"]
    fuzz("EAP identity", codec.decode_identity, corpus, encode=str.encode)


def test_frames() -> None:
    corpus = requests(TLS, TlsServer(packet_octets=200))
    fuzz("EAP-TLS frame", tls_frames.decode, corpus, encode=tls_frames.encode)


def test_attribute_value_pairs() -> None:
    pairs = (ttls_avps.Avp(1, b"mn"), ttls_avps.Avp(26, b"\x07S=" + b"A" * 40, 311))
    corpus = [ttls_avps.encode(pairs), ttls_avps.encode(pairs[:1]), b""]
    fuzz("EAP-TTLS pairs", ttls_avps.decode, corpus, encode=ttls_avps.encode)


def test_gpsk_messages() -> None:
    corpus = requests(GPSK, GpskServer())
    corpus += [bytes((5, 0, 0, 0, 1)), bytes((6, 0, 0, 0, 3)) + bytes(32)]
    fuzz("EAP-GPSK", gpsk_messages.decode, corpus, encode=gpsk_messages.encode)


RUNS: dict[str, tuple[Method, Callable[[], Server], int]] = {
    # A tenth of the inputs where each takes a TLS session of its own.
    "tls 1.2": (TLS, lambda: TlsServer("1.2"), 10),
    "tls 1.3": (TLS, lambda: TlsServer("1.3"), 10),
    "ttls 1.2": (TTLS, lambda: TtlsServer("1.2"), 10),
    "ttls 1.3": (TTLS, lambda: TtlsServer("1.3"), 10),
    "gpsk": (GPSK, GpskServer, 1),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_method_alone_with_hostile_requests(name: str) -> None:
    """Two mutated requests in a row, to a fresh run: nothing raised, nothing won."""
    method, server, share = RUNS[name]
    corpus = requests(method, server())
    dice = random.Random(name)
    for data in mutations(name, corpus, inputs() // share):
        run = method.begin(os.urandom)
        run.process(corpus[0])
        for request in (data, dice.choice(corpus)):
            step = run.process(request)
            assert step.standing not in (Standing.WON, Standing.MAY_END), data.hex()
            assert (step.failure is not None) == (step.standing is Standing.LOST)
            if step.failure is not None:
                assert step.failure.reason.isprintable()
                break
        run.fail()


@pytest.mark.parametrize("name", RUNS)
def test_the_pass_through_takes_anything_from_anybody(name: str) -> None:
    method, server, _ = RUNS[name]
    corpus = dialogue(method, server())
    dice = random.Random(name)
    relay = PassThrough(os.urandom)
    for packet in mutations(f"pass-through {name}", corpus, inputs()):
        if dice.random() < 0.2:
            relay.start()
        identity = codec.encode(
            Packet(Code.RESPONSE, codec.decode(relay.start()).identifier, 1, b"mn")
        )
        assert isinstance(relay.response(identity), ToAaa)
        assert not isinstance(relay.from_aaa(AaaReply.CHALLENGE, packet), Succeeded)
        assert isinstance(relay.response(packet), Ignored | ToAaa | Refused)
        answer = relay.from_aaa(dice.choice([*AaaReply]), packet, dice.randbytes(64))
        assert isinstance(answer, Ignored | Refused | ToPeer | Succeeded)


class PeerUnderAttack(RuleBasedStateMachine):
    """A genuine GPSK server, and somebody who sees, drops, repeats and invents packets."""

    def __init__(self) -> None:
        super().__init__()
        self.peer = EapPeer((GPSK, EapTtls(settings(), Pap("mn", "x"))), PEER_NAME, os.urandom)
        self.server = GpskServer()
        self.packets = [identity_request(self.server.identifier)]
        self.outcomes: list[object] = []

    def give(self, packet: bytes) -> bytes | None:
        output = self.peer.receive(packet)
        if output.outcome is not None:
            self.outcomes.append(output.outcome)
        assert not (output.discarded and (output.response or output.outcome))
        return output.response

    @rule()
    @precondition(lambda self: not self.server.ended)
    def go_on(self) -> None:
        """The last genuine packet arrives, and the server gets the answer."""
        response = self.give(self.packets[-1])
        if response is None:
            return
        kind = codec.decode(response).type
        if kind == MethodType.IDENTITY:
            self.packets.append(self.server.start())
        elif codec.decode(response).identifier == self.server.identifier:
            self.packets.append(self.server.answer(response))

    @rule(number=st.integers(0, 9))
    def replay(self, number: int) -> None:
        self.give(self.packets[number % len(self.packets)])

    @rule(code=st.sampled_from([Code.SUCCESS, Code.FAILURE]), identifier=st.integers(0, 255))
    def forge_end(self, code: Code, identifier: int) -> None:
        self.give(codec.encode(Packet(code, identifier)))

    @rule(success=st.booleans())
    def forge_end_of_the_last_request(self, success: bool) -> None:
        code = Code.SUCCESS if success else Code.FAILURE
        self.give(codec.encode(Packet(code, self.packets[-1][1])))

    @rule(
        identifier=st.integers(0, 255),
        kind=st.sampled_from([1, 2, 4, 13, 21, 51, 254]),
        data=st.binary(max_size=40),
    )
    def forge_request(self, identifier: int, kind: int, data: bytes) -> None:
        self.give(codec.encode(Packet(Code.REQUEST, identifier, kind, data)))

    @rule(at=st.integers(0, 400), bit=st.integers(0, 7))
    def flip(self, at: int, bit: int) -> None:
        octets = bytearray(self.packets[-1])
        octets[at % len(octets)] ^= 1 << bit
        self.give(bytes(octets))

    @invariant()
    def never_fooled(self) -> None:
        assert len(self.outcomes) <= 1
        for outcome in self.outcomes:
            if isinstance(outcome, Success):
                assert self.server.keys is not None
                assert outcome.msk == self.server.keys.msk


TestPeerUnderAttack = PeerUnderAttack.TestCase
TestPeerUnderAttack.settings = hypothesis_settings(max_examples=200, stateful_step_count=30)


class RelayInAnyOrder(RuleBasedStateMachine):
    """The pass-through authenticator between a peer and an AAA server that both misbehave."""

    def __init__(self) -> None:
        super().__init__()
        self.relay = PassThrough(random.Random(0).randbytes)
        self.asked = self.ended = False
        self.relay.start()
        self.identifier = 0

    @rule()
    def start(self) -> None:
        self.identifier = self.relay.start()[1]
        self.asked = self.ended = False

    @rule(right=st.booleans(), kind=st.sampled_from([1, 3, 13, 21]), data=st.binary(max_size=9))
    def response(self, right: bool, kind: int, data: bytes) -> None:
        identifier = self.identifier if right else (self.identifier + 1) % 256
        said = self.relay.response(codec.encode(Packet(Code.RESPONSE, identifier, kind, data)))
        if isinstance(said, ToAaa):
            assert right
            assert not self.asked
            assert not self.ended
            assert said.identity == self.relay.identity != ""
            self.asked = True
        self.ended = self.ended or isinstance(said, Refused)

    @rule(
        reply=st.sampled_from([*AaaReply]),
        code=st.sampled_from([*Code]),
        identifier=st.integers(0, 255),
        octets=st.sampled_from([0, 32, 64]),
    )
    def from_aaa(self, reply: AaaReply, code: Code, identifier: int, octets: int) -> None:
        packet = codec.encode(Packet(code, identifier, 13, b"x"))
        said = self.relay.from_aaa(reply, packet, bytes(octets) or None)
        if isinstance(said, Ignored):
            assert self.ended or not self.asked
            return
        assert self.asked
        assert not self.ended
        if isinstance(said, Succeeded):
            assert (reply, code, octets) == (AaaReply.ACCEPT, Code.SUCCESS, 64)
        if isinstance(said, ToPeer):
            assert (reply, code) == (AaaReply.CHALLENGE, Code.REQUEST)
            self.identifier, self.asked = identifier, False
        else:
            self.ended = True


TestRelayInAnyOrder = RelayInAnyOrder.TestCase
TestRelayInAnyOrder.settings = hypothesis_settings(max_examples=200, stateful_step_count=30)
