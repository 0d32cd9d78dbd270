"""Hold requests: layout, authenticity, and that each is acted on once."""

from __future__ import annotations

import time
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpa_hil.agents.hold_protocol import (
    LENGTH,
    DecodeError,
    Gate,
    HoldClient,
    HoldMessage,
    Kind,
    address_of,
    decode,
)

KEY = b"0123456789abcdef"
MN = IPv4Address("192.0.2.7")
messages = st.builds(
    HoldMessage,
    st.sampled_from(Kind),
    st.integers(0, 0xFFFFFFFF).map(IPv4Address),
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 0xFFFF),
    st.booleans(),
    st.integers(0, 255),
    st.integers(0, 0xFFFFFFFF),
)


def act(gate: Gate, datagram: bytes) -> bytes:
    request = gate.receive(datagram)
    assert isinstance(request, HoldMessage)
    return gate.answer(request, 100, 0, 1 << 20)


@given(messages)
def test_round_trip(message: HoldMessage) -> None:
    datagram = message.encode(KEY)
    assert decode(datagram, KEY) == message
    assert address_of(datagram) == message.address
    assert len(datagram) == LENGTH == 56


@given(messages, st.integers(0, LENGTH - 1), st.integers(1, 255))
def test_any_changed_octet_is_noticed(message: HoldMessage, at: int, change: int) -> None:
    datagram = bytearray(message.encode(KEY))
    datagram[at] ^= change
    with pytest.raises(DecodeError):
        decode(bytes(datagram), KEY)


@given(st.binary(max_size=80) | st.binary(min_size=LENGTH, max_size=LENGTH))
def test_garbage(octets: bytes) -> None:
    gate = Gate(KEY, MN)
    for datagram in (octets, b"MPAH" + octets[4:]):
        address_of(datagram)
        with pytest.raises(DecodeError):
            decode(datagram, KEY)
        if datagram:
            with pytest.raises(DecodeError):
                gate.receive(datagram)


def test_the_same_request_is_answered_again_but_acted_on_once() -> None:
    gate, client = Gate(KEY, MN), HoldClient(MN, KEY, 1000)
    prepared = client.prepare(150)
    answer = act(gate, prepared.hold)
    assert gate.receive(prepared.hold) == answer
    acknowledgement = client.acknowledgement(answer, prepared.hold)
    assert acknowledgement is not None
    assert (acknowledgement.kind, acknowledgement.hold_ms) == (Kind.HOLD, 100)
    assert client.acknowledgement(answer, prepared.release) is None
    assert client.acknowledgement(prepared.hold, prepared.hold) is None, "a request is no answer"


def test_replays_and_reordering_are_refused() -> None:
    gate, client = Gate(KEY, MN), HoldClient(MN, KEY, 1000)
    first, second = client.prepare(), client.prepare()
    act(gate, first.hold)
    act(gate, first.release)
    with pytest.raises(DecodeError, match="replayed"):
        gate.receive(first.hold)
    act(gate, second.release)
    with pytest.raises(DecodeError, match="replayed"):
        gate.receive(second.hold)


def test_other_keys_addresses_and_answers_are_refused() -> None:
    gate = Gate(KEY, MN)
    request = HoldMessage(Kind.HOLD, MN, 5)
    for datagram in (
        request.encode(b"x" * 16),
        replace(request, address=IPv4Address("192.0.2.8")).encode(KEY),
        replace(request, acknowledges=True).encode(KEY),
        b"",
    ):
        with pytest.raises(DecodeError):
            gate.receive(datagram) if datagram else decode(datagram, KEY)
    assert gate.last_sequence == 0
    act(gate, request.encode(KEY))


def test_a_fresh_gate_has_answered_nothing() -> None:
    """An empty datagram equals the empty memory of a fresh gate, and yet repeats nothing."""
    with pytest.raises(DecodeError):
        Gate(KEY, MN).receive(b"")


def test_secrets_are_not_printed() -> None:
    assert "0123456789abcdef" not in repr(Gate(KEY, MN))


def test_checking_is_cheap() -> None:
    """What stands between a request and the kernel: well under 0.1 ms here."""
    client = HoldClient(MN, KEY, 1)
    prepared = [client.prepare().hold for _ in range(500)]
    gate = Gate(KEY, MN)
    started = time.perf_counter()
    for datagram in prepared:
        act(gate, datagram)
    assert (time.perf_counter() - started) / len(prepared) < 1e-3
