"""How RADIUS hides keys and passwords from who does not know the shared secret, sans-IO.

One construction with a salt serves both MS-MPPE keys (RFC 2548 s2.4.2) and Tunnel-Password
(RFC 2868 s3.5). It is MD5 in a feedback mode: enough between neighbours on a guarded wire, which is
why RADIUS over TLS exists.
"""

from __future__ import annotations

from hashlib import md5

from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.radius.numbers import (
    MICROSOFT,
    MS_MPPE_RECV_KEY,
    MS_MPPE_SEND_KEY,
    VENDOR_SPECIFIC,
)
from mpa_hil.radius.packet import Packet

SALT_OCTETS = 2
_BLOCK = 16
_KEY_OCTETS = 32
"""Of each MPPE key: half of an MSK, which has 64 octets (RFC 3748 s7.10)."""
_MAX_HIDDEN_OCTETS = 239
"""Of a salted value in one attribute: 15 blocks, less the octet that says its length."""


def salt(random_octets: bytes) -> bytes:
    """A salt from two random octets: its first bit is one (RFC 2548 s2.4.2)."""
    return bytes((random_octets[0] | 0x80, random_octets[1]))


def hide(value: bytes, secret: bytes, request_authenticator: bytes, with_salt: bytes) -> bytes:
    """The salt and the hidden value.

    Raises:
        LocalError: the value is too long for one attribute.
    """
    if len(value) > _MAX_HIDDEN_OCTETS:
        raise LocalError(
            f"{len(value)} octets to hide in one RADIUS attribute",
            where="RADIUS packet",
            remedy=f"it holds {_MAX_HIDDEN_OCTETS}",
        )
    plain = bytes((len(value),)) + value
    plain += bytes(-len(plain) % _BLOCK)
    hidden = [with_salt]
    before = request_authenticator + with_salt
    for at in range(0, len(plain), _BLOCK):
        before = _xor(plain[at : at + _BLOCK], md5(secret + before).digest())
        hidden.append(before)
    return b"".join(hidden)


def reveal(hidden: bytes, secret: bytes, request_authenticator: bytes) -> bytes:
    """What `hide` hid.

    Raises:
        DecodeError: it has no whole blocks, a salt without the mark, or a length that its blocks
            do not hold; with a wrong secret mostly the last.
    """
    body = hidden[SALT_OCTETS:]
    if not body or len(body) % _BLOCK:
        raise _bad("a hidden value without whole blocks")
    if not hidden[0] & 0x80:
        raise _bad("a salt without its first bit set")
    plain = bytearray()
    before = request_authenticator + hidden[:SALT_OCTETS]
    for at in range(0, len(body), _BLOCK):
        block = body[at : at + _BLOCK]
        plain += _xor(block, md5(secret + before).digest())
        before = block
    size = plain[0]
    # More than one block of padding would be a length that was tampered with or garbled.
    if not len(plain) - _BLOCK <= size < len(plain):
        raise _bad("a hidden value whose length is wrong")
    return bytes(plain[1 : 1 + size])


def master_session_key(accept: Packet, secret: bytes, request_authenticator: bytes) -> bytes:
    """The EAP method's MSK out of an Access-Accept: Recv-Key, then Send-Key, as the NAS sees them.

    Raises:
        DecodeError: a key is missing, double, of the wrong size, or hidden as it must not be.
    """
    hidden: dict[int, bytes] = {}
    for kind, value in accept.attributes:
        if kind != VENDOR_SPECIFIC or int.from_bytes(value[:4], "big") != MICROSOFT:
            continue
        for number, inner in _vendor_attributes(value):
            if number in (MS_MPPE_RECV_KEY, MS_MPPE_SEND_KEY):
                if number in hidden:
                    raise _bad("an MS-MPPE key twice")
                hidden[number] = inner
    if len(hidden) != 2:
        raise _bad("no MS-MPPE keys" if not hidden else "one MS-MPPE key of two")
    received, sent = hidden[MS_MPPE_RECV_KEY], hidden[MS_MPPE_SEND_KEY]
    if received[:SALT_OCTETS] == sent[:SALT_OCTETS]:
        raise _bad("two MS-MPPE keys under one salt")
    halves = [reveal(half, secret, request_authenticator) for half in (received, sent)]
    if any(len(half) != _KEY_OCTETS for half in halves):
        raise _bad(f"an MS-MPPE key that has not {_KEY_OCTETS} octets")
    return b"".join(halves)


def _vendor_attributes(value: bytes) -> list[tuple[int, bytes]]:
    found = []
    at = 4
    while at < len(value):
        end = at + value[at + 1] if at + 1 < len(value) else 0
        if end < at + 2 or end > len(value):
            raise _bad("a Microsoft attribute that does not fit")
        found.append((value[at], value[at + 2 : end]))
        at = end
    return found


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(_BLOCK, "big")


def _bad(what: str) -> DecodeError:
    return DecodeError(what, where="RADIUS packet", remedy="look at the server's configuration")
