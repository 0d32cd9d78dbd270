"""Random numbers by name. Sans-IO: the same seed and name give the same numbers on any machine.

There is no stream to be read in the right order: an access point more, a finer step, or a question
asked twice changes nobody else's numbers.
"""

from __future__ import annotations

import hashlib

_OCTETS = 8
_BITS = 53
"""Of a float's significand."""


def uniforms(seed: int, *names: str, count: int) -> tuple[float, ...]:
    """Numbers above 0 and below 1, evenly spread.

    Args:
        seed: of the whole experiment.
        names: what the numbers are for.
    """
    label = "\0".join((str(seed), *names)).encode()
    octets = hashlib.shake_128(label).digest(_OCTETS * count)
    words = (octets[at : at + _OCTETS] for at in range(0, len(octets), _OCTETS))
    # Half a step off the grid: neither 0 nor 1 is drawn, so a logarithm is always finite.
    return tuple(((int.from_bytes(w) >> (64 - _BITS)) + 0.5) / (1 << _BITS) for w in words)


def stratified(seed: int, *names: str, count: int) -> tuple[float, ...]:
    """As `uniforms`, one number in each of `count` equal parts of the line, in rising order."""
    drawn = uniforms(seed, *names, count=count)
    return tuple((number + share) / count for number, share in enumerate(drawn))
