"""Key delivery's codec: round trips, bounds, refusals. tests/fuzz has the same decoder fuzzed."""

from __future__ import annotations

import dataclasses

import pytest

from mpa_hil.errors import LocalError
from mpa_hil.key_delivery.messages import (
    MAX_OCTETS,
    NAMES_PER_MESSAGE,
    Acknowledge,
    DecodeError,
    Held,
    Hello,
    Install,
    Inventory,
    Message,
    Presence,
    Splitter,
    Withdraw,
    decode,
    encode,
)
from mpa_hil.keys import Usage

NAME = bytes(range(20))
INSTALL = Install(
    NAME,
    Usage.PMK,
    1,
    2,
    60_000,
    "ep.b1.b.example",
    "mn@home.example",
    b"\0\6\2\0\0\0\x0b\1",
    b"\2\0\0\0\0\1",
    b"k" * 32,
)
MESSAGES: tuple[Message, ...] = (
    Hello("aa@b.example", "ep.b1.b.example"),
    INSTALL,
    dataclasses.replace(INSTALL, usage=Usage.MN_CA, station=b"", secret=b"k" * 64),
    Withdraw(NAME),
    Acknowledge(True),
    Acknowledge(False, "900 keys are held already"),
    Inventory(),
    Held((), True),
    Held((NAME, NAME[::-1]), False),
    Held((NAME,) * NAMES_PER_MESSAGE, True),
    Presence(NAME, True),
)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_round_trip(message: Message) -> None:
    octets = encode(77, message)
    assert decode(octets) == (77, message)
    assert len(octets) <= MAX_OCTETS
    for end in range(len(octets)):
        with pytest.raises(DecodeError):
            decode(octets[:end])
    with pytest.raises(DecodeError):
        decode(octets + b"\0")


def test_a_stream_is_cut_where_messages_end() -> None:
    octets = b"".join(encode(number, message) for number, message in enumerate(MESSAGES))
    for step in (1, 7, 1000, len(octets)):
        splitter = Splitter()
        found = [
            entry
            for at in range(0, len(octets), step)
            for entry in splitter.feed(octets[at : at + step])
        ]
        assert found == list(enumerate(MESSAGES))


def test_a_stream_cannot_make_us_hold_much() -> None:
    for length in (0, 7, MAX_OCTETS + 1, 0xFFFF):
        with pytest.raises(DecodeError):
            Splitter().feed(length.to_bytes(2, "big"))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": b"short"},
        {"recipient": "x" * 256},
        {"peer": bytes(256)},
        {
            "recipient": "x" * 255,
            "mobile_node": "y" * 255,
            "secret": bytes(255),
            "peer": bytes(255),
        },
    ],
)
def test_what_does_not_fit_is_not_sent(changes: dict[str, object]) -> None:
    with pytest.raises(LocalError):
        encode(1, dataclasses.replace(INSTALL, **changes))  # type: ignore[arg-type]
    with pytest.raises(LocalError):
        encode(1, Held((NAME,) * (NAMES_PER_MESSAGE + 1), True))


def test_no_message_shows_a_key() -> None:
    assert "kkk" not in repr(INSTALL)
