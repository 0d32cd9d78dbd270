"""Feeds decoders with what nobody meant them to read: genuine messages, mutated, and noise.

`make test` takes 20,000 inputs for each decoder, `make fuzz` a million; both from a seed that is
the decoder's name, so that a finding can be had again.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mpa_hil.errors import DecodeError

INPUTS = "MPA_HIL_FUZZ_INPUTS"
"""Environment variable: inputs for each decoder."""
_INTERESTING = (b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff", b"\x00\x00", b"\xff\xff", b"\xff" * 4)

T = TypeVar("T")


@dataclass(slots=True)
class Tally:
    """What became of the inputs."""

    accepted: int = 0
    refused: int = 0


def inputs() -> int:
    """How many inputs a decoder gets."""
    return int(os.environ.get(INPUTS, "20000"))


def mutations(name: str, corpus: Sequence[bytes], count: int) -> Iterator[bytes]:
    """Genuine messages first, then `count` made from them and from nothing."""
    dice = random.Random(f"mpa-hil fuzz {name}")
    yield from corpus
    for _ in range(count):
        if dice.random() < 0.05:
            yield dice.randbytes(dice.choice((0, 1, 4, 16, 20, 64, 300, 1500)))
            continue
        octets = bytearray(dice.choice(corpus))
        for _ in range(dice.choice((1, 1, 1, 2, 4))):
            _mutate(octets, corpus, dice)
        yield bytes(octets)


def _mutate(octets: bytearray, corpus: Sequence[bytes], dice: random.Random) -> None:
    at = dice.randrange(len(octets) + 1)
    kind = dice.randrange(7)
    if kind == 0 and at < len(octets):
        octets[at] ^= 1 << dice.randrange(8)
    elif kind == 1 and at < len(octets):
        octets[at] = dice.randrange(256)
    elif kind == 2:
        new = dice.choice(_INTERESTING)
        octets[at : at + len(new)] = new
    elif kind == 3:
        del octets[at:]
    elif kind == 4:
        del octets[at : at + dice.randrange(1, 9)]
    elif kind == 5:
        octets[at:at] = octets[at : at + dice.randrange(1, 65)]
    else:
        other = dice.choice(corpus)
        octets[at:] = other[dice.randrange(len(other) + 1) :]


def fuzz(
    name: str,
    decode: Callable[[bytes], T],
    corpus: Sequence[bytes],
    *,
    encode: Callable[[T], bytes] | None = None,
    refusal: type[Exception] = DecodeError,
    total: bool = False,
) -> Tally:
    """Decode mutated messages; only `refusal` may be raised.

    Args:
        name: of the decoder; seeds the mutations.
        corpus: genuine messages, all of which must be accepted.
        encode: where given, what was accepted must survive encoding and decoding unchanged.
        refusal: the error that the decoder documents.
        total: it documents none: it makes something of everything.

    Raises:
        AssertionError: with the input, in hexadecimal digits.
    """
    assert corpus, "a decoder that accepts nothing has not been tried"
    tally = Tally()
    for number, octets in enumerate(mutations(name, corpus, inputs())):
        try:
            value = decode(octets)
        except refusal:
            assert not total, f"{name} should take everything, not refuse {octets.hex()}"
            assert number >= len(corpus), f"{name} refuses a genuine message: {octets.hex()}"
            tally.refused += 1
            continue
        except Exception as error:
            raise AssertionError(f"{name} raised {error!r} for {octets.hex()}") from error
        tally.accepted += 1
        if encode is not None:
            again = decode(encode(value))
            assert again == value, f"{name} is not stable for {octets.hex()}"
    assert total or tally.refused, f"{name} refused nothing at all"
    return tally
