"""The attack rows that EAP itself must survive: A13, and EAP's part of A4 and A5.

Whatever is injected, a peer succeeds only with the keys that its server has, and an attack costs
at most the authentication that it hits.
"""

from __future__ import annotations

import gc
import os
import random
import tracemalloc
from collections.abc import Callable

import pytest
from campaign import dice, runs
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
    server_context,
    server_credentials,
    settings,
)
from OpenSSL import SSL

from mpa_hil.eap import codec
from mpa_hil.eap.codec import Code, MethodType, Packet
from mpa_hil.eap.eap_gpsk import EapGpsk
from mpa_hil.eap.eap_tls import EapTls
from mpa_hil.eap.eap_ttls import EapTtls
from mpa_hil.eap.interface import Cause, EapOutput, Failure, Success
from mpa_hil.eap.method import Method
from mpa_hil.eap.peer import MAX_REQUESTS, EapPeer
from mpa_hil.eap.settings import GpskSettings, MsChapV2, Pap
from mpa_hil.eap.tls_frames import MAX_OCTETS, Flags, Frame
from mpa_hil.eap.tls_frames import encode as encode_frame

TLS = EapTls(settings(resumption=False))
PAIRS: dict[str, tuple[Method, Callable[[], Server]]] = {
    "tls 1.2": (TLS, lambda: TlsServer("1.2")),
    "tls 1.3": (TLS, lambda: TlsServer("1.3")),
    "ttls pap": (EapTtls(settings(), Pap(PEER_NAME, PASSWORD)), lambda: TtlsServer("1.2")),
    "ttls mschapv2": (EapTtls(settings(), MsChapV2(PEER_NAME, PASSWORD)), TtlsServer),
    "gpsk": (EapGpsk(GpskSettings(GPSK_KEY, PEER_NAME)), GpskServer),
}


def peer_of(method: Method) -> EapPeer:
    return EapPeer((method,), PEER_NAME, os.urandom)


def judge(output: EapOutput, server: Server) -> None:
    """Never authorised without the server, or with other keys than it has."""
    if isinstance(output.outcome, Success):
        assert server.msk is None or output.outcome.msk == server.msk
        assert server.established if isinstance(server, TlsServer) else True


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("code", [Code.SUCCESS, Code.FAILURE])
def test_a4_an_end_forged_at_every_step(name: str, code: Code) -> None:
    """200 at each step: before the server's own packet comes a Success or Failure that is not."""
    method, server_of = PAIRS[name]
    steps = len(converse(peer_of(method), server_of())[1])
    luck = dice(f"A4 {name} {code}")
    succeeded = 0
    for step in range(steps):
        for _ in range(runs(200)):
            server, peer, seen = server_of(), peer_of(method), 0
            outcomes: list[Success | Failure] = []

            def inject(
                packet: bytes,
                step: int = step,
                peer: EapPeer = peer,
                server: Server = server,
                outcomes: list[Success | Failure] = outcomes,
            ) -> bytes:
                nonlocal seen
                if seen == step:
                    right = packet[1] if packet[0] > 2 else (packet[1] - 1) % 256
                    identifier = right if luck.random() < 0.5 else luck.randrange(256)
                    output = peer.receive(codec.encode(Packet(code, identifier)))
                    assert output.response is None
                    if output.outcome is not None:
                        outcomes.append(output.outcome)
                        # Success is believed only where the method has proved the server.
                        if isinstance(output.outcome, Success):
                            assert isinstance(server, GpskServer) or server.established  # type: ignore[attr-defined]
                seen += 1
                return packet

            output, _ = converse(peer, server, inject)
            if output.outcome is not None:
                outcomes.append(output.outcome)
            assert len(outcomes) <= 1
            for outcome in outcomes:
                judge(EapOutput(outcome=outcome), server)
                succeeded += isinstance(outcome, Success)
    assert succeeded, "an attack that always wins says nothing about retrying"


@pytest.mark.parametrize("name", PAIRS)
def test_a4_bits_flipped_anywhere_both_ways(name: str) -> None:
    method, server_of = PAIRS[name]
    luck = dice(f"A4 flips {name}")
    succeeded = failed = 0
    for _ in range(runs(2000)):
        server = server_of()
        at = luck.randrange(8)
        seen = 0

        def flip(packet: bytes, at: int = at) -> bytes:
            nonlocal seen
            seen += 1
            if seen - 1 != at:
                return packet
            octets = bytearray(packet)
            octets[luck.randrange(len(octets))] ^= 1 << luck.randrange(8)
            return bytes(octets)

        output, _ = converse(peer_of(method), server, flip, flip)
        judge(output, server)
        if isinstance(output.outcome, Success):
            assert output.outcome.msk == server.msk
            succeeded += 1
        else:
            failed += 1
    assert succeeded
    assert failed


@pytest.mark.parametrize("name", PAIRS)
def test_a4_a_recorded_dialogue_fools_nobody(name: str) -> None:
    """Replayed in order, out of order, and mixed with a genuine one."""
    method, server_of = PAIRS[name]
    luck = dice(f"A4 replay {name}")
    recorded = converse(peer_of(method), server_of())[1]
    for _ in range(runs(1000)):
        peer = peer_of(method)
        peer.receive(identity_request())
        packets = list(recorded)
        if luck.random() < 0.5:
            luck.shuffle(packets)
        for packet in packets:
            assert not isinstance(peer.receive(packet).outcome, Success)


@pytest.mark.parametrize("kind", [4, 5, 6, 25, 26, 43, 254])
def test_a5_no_weaker_method_is_ever_spoken(kind: int) -> None:
    """MD5, one-time password, token card, PEAP, MSCHAPv2, FAST: refused, and the next one taken."""
    for method, server_of in PAIRS.values():
        for _ in range(runs(200) // 10):
            peer, server = peer_of(method), server_of()
            peer.receive(identity_request(1))
            asked = codec.encode(Packet(Code.REQUEST, 2, kind, os.urandom(17)))
            response = peer.receive(asked).response
            assert response == codec.encode(
                Packet(Code.RESPONSE, 2, MethodType.NAK, bytes((method.type,)))
            )
            assert peer.receive(server.start()).response
            assert peer.receive(asked.replace(b"\x01\x02", b"\x01\x63", 1)).discarded


def test_a5_tls_1_3_cannot_be_talked_down() -> None:
    """Somebody strikes TLS 1.3 from the ClientHello; the server's random says that it was there."""
    context = server_context(server_credentials(), "1.3")
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    offered = bytes.fromhex("002b0005040304" + "0303")
    for _ in range(runs(200)):
        server = TlsServer(context=context)

        def strike(packet: bytes) -> bytes:
            return packet.replace(offered, offered[:5] + b"\x03\x03" + offered[7:])

        output, _ = converse(peer_of(TLS), server, None, strike)
        assert isinstance(output.outcome, Failure)
        assert server.msk is None
    assert isinstance(converse(peer_of(TLS), TlsServer(context=context))[0].outcome, Success)


def test_a5_versions_outside_the_bounds_are_refused() -> None:
    only = EapTls(settings(min_version="1.3"))
    output, _ = converse(peer_of(only), TlsServer("1.2"))
    assert isinstance(output.outcome, Failure)
    only = EapTls(settings(max_version="1.2"))
    output, _ = converse(peer_of(only), TlsServer("1.3"))
    assert isinstance(output.outcome, Failure)


def test_a5_gpsk_ciphersuites_cannot_be_struck_out() -> None:
    """GPSK-2 repeats the list, so the server sees that it was shortened (RFC 5433 s10)."""
    method, _ = PAIRS["gpsk"]
    both = bytes(5) + b"\1" + bytes(5) + b"\2"
    for _ in range(runs(200)):
        server = GpskServer()

        def shorten(packet: bytes) -> bytes:
            return packet.replace(both, bytes(5) + b"\1" + bytes(5) + b"\1")

        output, _ = converse(peer_of(method), server, shorten)
        assert isinstance(output.outcome, Failure)
        assert server.msk is None


def hostile_frames(luck: random.Random) -> list[bytes]:
    """Type-Data of a server that never means well."""
    kind = luck.randrange(7)
    size = luck.choice((1, 10, 1000, 4000, 60000))
    more, length = Flags.MORE, Flags.LENGTH
    if kind == 0:  # huge length
        announced = luck.choice((MAX_OCTETS + 1, 1 << 20, 0x7FFFFFFF, 0xFFFFFFFF))
        return [encode_frame(Frame(length | more, bytes(size), announced))]
    if kind == 1:  # endless fragments
        return [encode_frame(Frame(more, luck.randbytes(size)))] * (MAX_REQUESTS + 10)
    if kind == 2:  # endless fragments of nothing
        return [encode_frame(Frame(more))] * 3
    if kind == 3:  # more, or fewer, than announced
        announced = luck.randrange(2 * size)
        return [encode_frame(Frame(length | more, bytes(size), announced))] * 3
    if kind == 4:  # whole messages without end
        record = b"\x16\x03\x03" + min(size, 16000).to_bytes(2, "big") + bytes(min(size, 16000))
        return [encode_frame(Frame(0, record))] * (MAX_REQUESTS + 10)
    if kind == 5:  # starts and acknowledgements without end
        return [luck.choice((b"\x20", b"\0", b"\0"))] * (MAX_REQUESTS + 10)
    flags = (luck.randrange(256) for _ in range(20))
    return [bytes((flag,)) + luck.randbytes(luck.randrange(60)) for flag in flags]


def attack(method: Method, frames: list[bytes], genuine: list[bytes] | None = None) -> EapOutput:
    """A session in which these come after the start; the output that ended it, or the last one."""
    peer = peer_of(method)
    peer.receive(identity_request(0))
    output = EapOutput()
    for number, data in enumerate((b"\x20", *frames)):
        output = peer.receive(
            codec.encode(Packet(Code.REQUEST, (1 + number) % 256, method.type, data))
        )
        if output.outcome is not None:
            break
    return output


@pytest.mark.parametrize("name", ["tls 1.2", "ttls pap"])
def test_a13_hostile_fragments_end_cleanly(name: str) -> None:
    method, _ = PAIRS[name]
    luck = dice(f"A13 {name}")
    ended = 0
    for _ in range(runs(5000)):
        output = attack(method, hostile_frames(luck))
        assert not isinstance(output.outcome, Success)
        ended += isinstance(output.outcome, Failure)
    assert ended > runs(5000) // 2


@pytest.mark.parametrize("name", ["tls 1.2", "tls 1.3", "ttls pap"])
def test_a13_genuine_fragments_out_of_order(name: str) -> None:
    method, _ = PAIRS[name]
    luck = dice(f"A13 order {name}")
    for _ in range(runs(1000)):
        kind = TtlsServer("1.2") if name.startswith("ttls") else TlsServer(name[-3:])
        kind.cutter._room = 200
        held: list[bytes] = []

        def swap(packet: bytes, held: list[bytes] = held) -> bytes:
            """Sometimes the last fragment once more, under the identifier of the next."""
            held.append(packet)
            if len(held) > 1 and luck.random() < 0.3:
                other = luck.choice(held[:-1])
                return bytes((packet[0], packet[1])) + other[2:]
            return packet

        output, _ = converse(peer_of(method), kind, swap)
        judge(output, kind)
        if isinstance(output.outcome, Success):
            assert output.outcome.msk == kind.msk


def test_a13_memory_is_bounded() -> None:
    """64 KB of TLS a session, and nothing left of a thousand sessions that were attacked."""
    frame = encode_frame(Frame(Flags.MORE, bytes(1000)))
    attack(TLS, [frame] * 70)
    gc.collect()
    tracemalloc.start()
    try:
        output = attack(TLS, [frame[:1] + os.urandom(1000) for _ in range(70)])
        assert isinstance(output.outcome, Failure)
        assert output.outcome.cause is Cause.LIMIT
        _, peak = tracemalloc.get_traced_memory()
        # The frames themselves are 70 KB, and are there twice while the packet is read.
        assert peak < MAX_OCTETS + 200_000
    finally:
        tracemalloc.stop()
    before = resident()
    for _ in range(runs(10_000)):
        attack(TLS, [frame] * 10)
    assert resident() - before < 8_000_000


def resident() -> int:
    """Octets of memory that the process holds, what OpenSSL has taken included."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
