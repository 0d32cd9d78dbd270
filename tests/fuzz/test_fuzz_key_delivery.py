"""Key delivery's decoder, and both machines behind it, against octets nobody meant them to read."""

from __future__ import annotations

import contextlib

import fuzzing
from hypothesis import given, settings
from hypothesis import strategies as st

from mpa_hil.key_delivery import distributor, holder
from mpa_hil.key_delivery.messages import (
    Acknowledge,
    DecodeError,
    Held,
    Hello,
    Install,
    Inventory,
    Message,
    Presence,
    Withdraw,
    decode,
    encode,
)
from mpa_hil.keys import Usage
from mpa_hil.mobility.interface import Instant

NAME = bytes(range(20))
PEER = b"\0\6\2\0\0\0\x0b\1"
INSTALL = Install(
    NAME, Usage.PMK, 1, 2, 9000, "ep.b.example", "mn@h.example", PEER, b"\2\0\0\0\0\1", b"k" * 32
)
CORPUS = [
    encode(number, message)
    for number, message in enumerate(
        (
            Hello("aa@b.example", "ep.b.example"),
            INSTALL,
            Withdraw(NAME),
            Acknowledge(False, "no room"),
            Inventory(),
            Held((NAME, NAME), True),
            Presence(NAME, False),
        ),
        1,
    )
]


def encode_again(value: tuple[int, Message]) -> bytes:
    return encode(*value)


def test_decoder() -> None:
    fuzzing.fuzz("key delivery", decode, CORPUS, encode=encode_again)


def test_both_ends_survive_streams_of_anything() -> None:
    """Whatever comes, a machine answers, ignores, or gives the connection up; and holds no key that
    it was not told to hold in a well-formed message."""
    terms = holder.Terms(
        "ep.b.example", "aa@b.example", frozenset((Usage.PMK,)), frozenset((PEER,))
    )
    for number, octets in enumerate(fuzzing.mutations("streams", CORPUS, fuzzing.inputs() // 4)):
        now = Instant(number, number)
        recipient = holder.Holder(terms)
        recipient.connected(now)
        authority = distributor.Distributor("aa@b.example", "ep.b.example")
        authority.connected(now)
        for machine in (recipient, authority):
            machine.receive(CORPUS[0], now)
            machine.receive(octets, now)
            machine.expire(now)
        assert len(recipient.keys) == 0, "nothing was applied, so nothing is held"


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_decoder_raises_one_error(octets: bytes) -> None:
    with contextlib.suppress(DecodeError):
        decode(octets)
