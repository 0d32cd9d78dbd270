"""Asking an access router to hold a node's packets: datagrams and who may send them, sans-IO.

Every message has one length and one layout, and ends in an HMAC-SHA256 under the key that the node
and the router share:

    0        4      5      6          8          12        16          24
    "MPAH" | kind | code | hold in ms | address | octets | sequence | HMAC-SHA256 (32)

A node numbers its requests upwards; the router acts on a number once. The same request again (its
acknowledgement was lost) is acknowledged again and not acted on. The key belongs to one session
and router process: a router that restarts has a new key, so nothing recorded can be played to it.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Address

from mpa_hil import errors

KEY_OCTETS = 16
MAXIMUM_HOLD_MS = 0xFFFF
_MAGIC = b"MPAH"
_BODY = struct.Struct("!4sBBH4sIQ")
_MAC_OCTETS = 32
LENGTH = _BODY.size + _MAC_OCTETS
_ACKNOWLEDGES = 0x80


class DecodeError(errors.DecodeError):
    """The datagram is no genuine hold message; drop it silently."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="hold message")


class Kind(IntEnum):
    """What is asked for; an acknowledgement has the same kind with the top bit set."""

    HOLD = 1
    RELEASE = 2


class Outcome(IntEnum):
    """The code of an acknowledgement."""

    DONE = 0
    KERNEL_REFUSED = 1


@dataclass(frozen=True, slots=True)
class HoldMessage:
    """A request, or its acknowledgement."""

    kind: Kind
    address: IPv4Address
    """Whose packets."""
    sequence: int
    hold_ms: int = 0
    """Request: release at the latest after this, 0 for the router's own limit. Acknowledgement:
    the time that applies."""
    acknowledges: bool = False
    code: int = Outcome.DONE
    octets: int = 0
    """Acknowledgement of a hold: how much fits."""

    def encode(self, key: bytes) -> bytes:
        """The datagram."""
        body = _BODY.pack(
            _MAGIC,
            self.kind | _ACKNOWLEDGES * self.acknowledges,
            self.code,
            self.hold_ms,
            self.address.packed,
            min(self.octets, 0xFFFFFFFF),
            self.sequence,
        )
        return body + hmac.digest(key, body, "sha256")


def address_of(datagram: bytes) -> IPv4Address | None:
    """Whose packets an unchecked datagram is about, to find the key; None when it is no message."""
    if len(datagram) != LENGTH or not datagram.startswith(_MAGIC):
        return None
    return IPv4Address(datagram[8:12])


def decode(datagram: bytes, key: bytes) -> HoldMessage:
    """Check and decode a datagram.

    Raises:
        DecodeError: wrong length, layout or authenticator.
    """
    if len(datagram) != LENGTH:
        raise DecodeError(f"{len(datagram)} octets instead of {LENGTH}")
    body = datagram[: _BODY.size]
    if not hmac.compare_digest(hmac.digest(key, body, "sha256"), datagram[_BODY.size :]):
        raise DecodeError("wrong authenticator")
    magic, kind, code, hold_ms, address, octets, sequence = _BODY.unpack(body)
    if magic != _MAGIC or kind & ~_ACKNOWLEDGES not in Kind._value2member_map_:
        raise DecodeError("unknown kind of message")
    return HoldMessage(
        Kind(kind & ~_ACKNOWLEDGES),
        IPv4Address(address),
        sequence,
        hold_ms,
        bool(kind & _ACKNOWLEDGES),
        code,
        octets,
    )


@dataclass(slots=True)
class Gate:
    """The router's end for one node: lets each genuine request through once."""

    key: bytes = field(repr=False)
    address: IPv4Address
    last_sequence: int = 0
    last_request: bytes = b""
    last_answer: bytes = b""

    def receive(self, datagram: bytes) -> HoldMessage | bytes:
        """A request to act on, or the answer to one that was acted on already.

        Raises:
            DecodeError: not genuine, an acknowledgement, or older than what was acted on.
        """
        if datagram and datagram == self.last_request:
            return self.last_answer
        request = decode(datagram, self.key)
        if request.acknowledges or request.address != self.address:
            raise DecodeError("not a request of this node")
        if request.sequence <= self.last_sequence:
            raise DecodeError(f"replayed: sequence {request.sequence}")
        self.last_sequence = request.sequence
        self.last_request = datagram
        self.last_answer = b""
        return request

    def answer(self, request: HoldMessage, hold_ms: int, code: int, octets: int) -> bytes:
        """The acknowledgement, which is also kept for a repeated request."""
        reply = HoldMessage(
            request.kind, request.address, request.sequence, hold_ms, True, code, octets
        )
        self.last_answer = reply.encode(self.key)
        return self.last_answer


@dataclass(frozen=True, slots=True)
class Prepared:
    """The datagrams of one switch, made before it."""

    hold: bytes
    release: bytes


class HoldClient:
    """The mobile node's end: makes the datagrams beforehand and recognises their answers.

    A datagram is sent as it is, and sent again until it is acknowledged; nothing is computed at
    the switch.

    Args:
        address: of the node, whose packets are held.
        key: shared with the router.
        first_sequence: more than any used with this key before; the time in nanoseconds will do.
    """

    def __init__(self, address: IPv4Address, key: bytes, first_sequence: int) -> None:
        self._address = address
        self._key = key
        self._sequence = first_sequence

    def prepare(self, hold_ms: int = 0) -> Prepared:
        """The next hold and the release that belongs to it.

        Args:
            hold_ms: release at the latest after this; 0: the router's own limit.
        """
        hold = HoldMessage(Kind.HOLD, self._address, self._sequence + 1, hold_ms)
        release = HoldMessage(Kind.RELEASE, self._address, self._sequence + 2)
        self._sequence += 2
        return Prepared(hold.encode(self._key), release.encode(self._key))

    def acknowledgement(self, datagram: bytes, sent: bytes) -> HoldMessage | None:
        """The acknowledgement of the request `sent`, or None when `datagram` is anything else."""
        try:
            reply, request = decode(datagram, self._key), decode(sent, self._key)
        except DecodeError:
            return None
        mine = (request.kind, request.address, request.sequence)
        fits = (reply.kind, reply.address, reply.sequence) == mine
        return reply if reply.acknowledges and fits else None
