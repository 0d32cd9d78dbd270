"""The datagram of protected signalling, both ways. Sans-IO.

    octets 0-3    "MPA" and version 2
    octet  4      protocol: 1 configuration, 2 tunnel management
    octet  5      kind of request, or of answer
    octet  6      flags: 1 answer, 2 STALE, 4 WORKING
    octet  7      0
    octets 8-15   the first octets of the key's name
    octets 16-23  epoch of the agent; 0 in a request: not known yet
    octets 24-31  sequence number of the request; an answer repeats it
    octets 32-35  answer: microseconds that the agent took; request: 0
    then          values: type (1), length (2), that many octets
    last 16       MAC: HMAC-SHA256, its first half

The MAC of a request is under the key for requests, that of an answer under the key for answers and
also covers the MAC of the request, so an answer fits no other request. Both keys come from the
MN-CA or MN-AR key and are for one protocol.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import field
from enum import IntEnum, IntFlag
from typing import NamedTuple, NoReturn

from mpa_hil import errors
from mpa_hil.light import light
from mpa_hil.signalling.values import Values

MAXIMUM_OCTETS = 1232
"""Of a datagram: what the smallest IPv6 MTU (1280, RFC 8200 s5) leaves, so none is fragmented."""
MAC_OCTETS = 16
"""Half of SHA-256, the least that RFC 2104 s5 advises."""
NAME_OCTETS = 8
"""Of a key's name, in the header: enough to find the key, the MAC decides."""
EPOCH_OCTETS = 8
MAXIMUM_SEQUENCE = (1 << 64) - 1
UNKNOWN_EPOCH = 0

_MAGIC = b"MPA\2"
_HEAD = struct.Struct("!4sBBBx8sQQI")
_MIN_OCTETS = _HEAD.size + MAC_OCTETS
_MAXIMUM_HELD_US = (1 << 32) - 1


class Protocol(IntEnum):
    """What is spoken; keys of one are of no use in the other."""

    CONFIGURATION = 1
    TUNNEL = 2


class Flags(IntFlag):
    """Of a datagram."""

    ANSWER = 1
    """From the agent."""
    STALE = 2
    """Not acted on: epoch or sequence number are of the past. The header's epoch and the value
    NEXT_SEQUENCE are what a new request needs."""
    WORKING = 4
    """The answer is being worked on: no need to repeat so often."""


class DecodeError(errors.DecodeError):
    """The datagram is none of this signalling, or what it says is none of the protocol's."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="signalling")


class DirectionKeys(NamedTuple):
    """The two keys of one protocol under one MN-CA or MN-AR key."""

    request: bytes
    answer: bytes


def direction_keys(secret: bytes, name: bytes, protocol: Protocol) -> DirectionKeys:
    """HMAC-SHA256(secret, label | protocol | name), a label for each direction.

    Args:
        secret: the MN-CA or MN-AR key.
        name: its full name, which tells session, key identifier, realm and peer.
    """
    context = bytes((protocol,)) + name
    return DirectionKeys(
        hmac.digest(secret, b"MPA signalling from MN" + context, "sha256"),
        hmac.digest(secret, b"MPA signalling to MN" + context, "sha256"),
    )


@light
class Message:
    """One datagram, its MAC aside."""

    protocol: int
    kind: int
    flags: Flags
    name: bytes
    """First octets of the key's name."""
    epoch: int
    sequence: int
    held_us: int
    """Of an answer: microseconds from the request to it; what the round trip was not."""
    body: bytes = field(repr=False)
    """The values, not yet looked into."""

    def seal(self, key: bytes, binding: bytes = b"") -> bytes:
        """The datagram with its MAC.

        Args:
            key: for this direction.
            binding: MAC of the request that this answers.

        Raises:
            errors.LocalError: it does not fit into one datagram.
        """
        check_size(self.body)
        said = self.encode()
        return said + hmac.digest(key, said + binding, "sha256")[:MAC_OCTETS]

    def encode(self) -> bytes:
        """Without a MAC."""
        head = _HEAD.pack(
            _MAGIC,
            self.protocol,
            self.kind,
            self.flags,
            self.name,
            self.epoch,
            self.sequence,
            min(self.held_us, _MAXIMUM_HELD_US),
        )
        return head + self.body

    def values(self) -> Values:
        """What it says.

        Raises:
            DecodeError: the values are not well formed.
        """
        return Values.decode(self.body)


def decode(datagram: bytes) -> Message:
    """What a datagram claims to be; nothing is authentic yet, see `authentic`.

    Raises:
        DecodeError: it is none of this signalling.
    """
    if not _MIN_OCTETS <= len(datagram) <= MAXIMUM_OCTETS:
        _refuse(f"{len(datagram)} octets")
    magic, protocol, kind, flags, name, epoch, sequence, held_us = _HEAD.unpack_from(datagram)
    if magic != _MAGIC or datagram[7]:
        _refuse("no message of this version")
    if flags & ~7 or (flags > 1 and not flags & 1) or (held_us and not flags & 1):
        _refuse(f"flags {flags:#x} cannot be")
    body = datagram[_HEAD.size : -MAC_OCTETS]
    return Message(protocol, kind, Flags(flags), name, epoch, sequence, held_us, body)


def check_size(body: bytes) -> None:
    """Raises errors.LocalError for values that do not fit into one datagram."""
    if _MIN_OCTETS + len(body) > MAXIMUM_OCTETS:
        raise errors.LocalError(f"{len(body)} octets of values are too many", where="signalling")


def authentic(datagram: bytes, key: bytes, binding: bytes = b"") -> bool:
    """Whether its MAC is right, compared in constant time."""
    right = hmac.digest(key, datagram[:-MAC_OCTETS] + binding, "sha256")[:MAC_OCTETS]
    return hmac.compare_digest(right, datagram[-MAC_OCTETS:])


def mac_of(datagram: bytes) -> bytes:
    """The MAC at its end."""
    return datagram[-MAC_OCTETS:]


def sequence_of(datagram: bytes) -> int:
    """The sequence number in one of our own datagrams: how a prepared request is recognised."""
    return int.from_bytes(datagram[24:32], "big")


def _refuse(what: str) -> NoReturn:
    raise DecodeError(what)
