"""MD4 (RFC 1320), which OpenSSL 3 offers no more. MS-CHAP-V2 needs it; it protects nothing."""

from __future__ import annotations

from struct import pack, unpack

_MASK = 0xFFFFFFFF
_START = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
_BLOCK = 64
# Each round: its constant, the order in which it takes the words, its rotations (RFC 1320 s3.4).
_ROUNDS = (
    (0, tuple(range(16)), (3, 7, 11, 19)),
    (0x5A827999, tuple(4 * (i % 4) + i // 4 for i in range(16)), (3, 5, 9, 13)),
    (0x6ED9EBA1, (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15), (3, 9, 11, 15)),
)


def md4(message: bytes) -> bytes:
    """The 16-octet digest."""
    padding = b"\x80" + bytes((55 - len(message)) % _BLOCK)
    padded = message + padding + pack("<Q", 8 * len(message))
    state = _START
    for at in range(0, len(padded), _BLOCK):
        state = _compress(state, unpack("<16I", padded[at : at + _BLOCK]))
    return pack("<4I", *state)


def _compress(
    state: tuple[int, int, int, int], words: tuple[int, ...]
) -> tuple[int, int, int, int]:
    a, b, c, d = state
    for number, (constant, order, rotations) in enumerate(_ROUNDS):
        for step, word in enumerate(order):
            if number == 0:
                mixed = (b & c) | (~b & d)
            elif number == 1:
                mixed = (b & c) | (b & d) | (c & d)
            else:
                mixed = b ^ c ^ d
            total = (a + mixed + words[word] + constant) & _MASK
            by = rotations[step % 4]
            a, b, c, d = d, (total << by | total >> (32 - by)) & _MASK, b, c
    return (
        (state[0] + a) & _MASK,
        (state[1] + b) & _MASK,
        (state[2] + c) & _MASK,
        (state[3] + d) & _MASK,
    )
