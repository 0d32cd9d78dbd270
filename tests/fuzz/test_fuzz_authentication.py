"""The agent service's decoders and the records of MPA-SAs, against genuine octets gone wrong."""

from __future__ import annotations

import json
import random

import fuzzing

from mpa_hil.authentication.record import Record
from mpa_hil.authentication.service import (
    Asked,
    Describe,
    KeyState,
    KeyStates,
    Prepare,
    Seal,
    header,
)
from mpa_hil.authentication.states import State
from mpa_hil.errors import DecodeError
from mpa_hil.pana.association import SecurityAssociation, Suite
from mpa_hil.pana.numbers import Integrity, Prf

SA = SecurityAssociation(
    Suite(Prf.HMAC_SHA2_256, Integrity.HMAC_SHA2_256_128), 1, 2, bytes(64), bytes(32)
)
POINTS = ("02:00:00:00:0b:01", "02:00:00:00:0b:02")


class Transparent:
    """In the cipher's place: lets mutations through to the decoder behind it."""

    def encrypt(self, nonce: bytes, plain: bytes, head: bytes) -> bytes:
        return plain + bytes(16)

    def decrypt(self, nonce: bytes, sealed: bytes, head: bytes) -> bytes:
        return sealed[:-16]


def seal(*, transparent: bool) -> Seal:
    made = Seal(SA, "b.example", random.Random("nonces").randbytes)
    if transparent:
        made._ciphers = {0: Transparent(), 1: Transparent()}  # type: ignore[dict-item]
    return made


QUESTIONS = (
    Describe(b""),
    Describe(b"what is near?"),
    Prepare(POINTS[0]),
    Prepare(*POINTS[:1], POINTS),
)


def test_sealed_questions() -> None:
    """Nothing but the genuine datagrams is authentic."""
    mine = seal(transparent=False)
    corpus = [mine.question(number, question) for number, question in enumerate(QUESTIONS)]
    tally = fuzzing.fuzz("agent service, sealed", mine.open_question, corpus)
    assert tally.accepted < fuzzing.inputs() / 5, "only what the dice left as it was"
    fuzzing.fuzz("agent service, header", header, corpus)


def test_questions_behind_the_seal() -> None:
    mine = seal(transparent=True)

    def again(asked: Asked) -> bytes:
        return mine.question(asked.number, asked.question)

    corpus = [mine.question(number, question) for number, question in enumerate(QUESTIONS)]
    fuzzing.fuzz("agent service, questions", mine.open_question, corpus, encode=again)


def test_answers_behind_the_seal() -> None:
    mine = seal(transparent=True)

    def again(answer: tuple[int, bytes | KeyStates]) -> bytes:
        number, said = answer
        return mine.description(number, said) if isinstance(said, bytes) else mine.states(*answer)  # type: ignore[arg-type]

    corpus = [
        mine.description(1, b"networks"),
        mine.states(2, ()),
        mine.states(3, ((POINTS[0], KeyState.INSTALLED), (POINTS[1], KeyState.UNKNOWN))),
    ]
    fuzzing.fuzz("agent service, answers", mine.open_answer, corpus, encode=again)


def test_records() -> None:
    record = Record({"format": 1}, "mn@home.example", State.HELD, POINTS[0], POINTS, 1)

    def read(octets: bytes) -> Record:
        try:
            values = json.loads(octets)
        except ValueError as error:
            raise DecodeError(str(error)) from None
        if not isinstance(values, dict):
            raise DecodeError("no object")
        return Record.read(values)

    def write(record: Record) -> bytes:
        return json.dumps(record.values()).encode()

    fuzzing.fuzz("records of MPA-SAs", read, [write(record)], encode=write)
