"""How EAP-TLS and EAP-TTLS cut TLS octets into packets and join them again, sans-IO.

RFC 5216 s3.1 and RFC 5281 s9.1: flags, perhaps the length of the whole message, octets. Hostile
input is bounded here: by `MAX_OCTETS` for all that a server sends in one session, and by refusing
fragments that bring nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

from mpa_hil.errors import DecodeError

MAX_OCTETS = 64 * 1024
"""Of TLS taken from a server in one session (RFC 5216 s2.1.5 suggests 64 KB for one message; a
whole handshake with three certificates takes 5). More ends the session."""
_OVERHEAD_OCTETS = 4 + 1 + 1
"""Of a packet: EAP header, type, flags."""
_LENGTH_OCTETS = 4


class Flags(IntFlag):
    """The first octet; its low three bits are EAP-TTLS's version, and zero in EAP-TLS."""

    LENGTH = 0x80
    """The message's whole length follows."""
    MORE = 0x40
    """Another fragment comes."""
    START = 0x20


_RESERVED = 0x18
VERSION_BITS = 0x07


@dataclass(frozen=True, slots=True)
class Frame:
    """The Type-Data of one packet."""

    flags: int
    octets: bytes = b""
    length: int | None = None
    """Of the whole message; there exactly when the flag is."""

    @property
    def more(self) -> bool:
        """Whether another fragment follows."""
        return bool(self.flags & Flags.MORE)

    @property
    def start(self) -> bool:
        """Whether it begins the method."""
        return bool(self.flags & Flags.START)

    @property
    def acknowledges(self) -> bool:
        """Whether it is empty: an acknowledgement of a fragment (RFC 5216 s2.1.5)."""
        return not self.octets and not self.flags & (Flags.MORE | Flags.START)


def decode(data: bytes) -> Frame:
    """Read the Type-Data of a request. The reserved bits are ignored, as RFC 5216 s3.1 has it.

    Raises:
        DecodeError: no flags, or no length although they announce one.
    """
    if not data:
        raise _error("no flags")
    flags = data[0] & ~_RESERVED
    if not flags & Flags.LENGTH:
        return Frame(flags, data[1:])
    if len(data) < 1 + _LENGTH_OCTETS:
        raise _error("no length although the flags announce it")
    return Frame(flags, data[1 + _LENGTH_OCTETS :], int.from_bytes(data[1 : 1 + _LENGTH_OCTETS]))


def encode(frame: Frame) -> bytes:
    """The frame as Type-Data."""
    head = bytes((frame.flags,))
    if frame.length is not None:
        head += frame.length.to_bytes(_LENGTH_OCTETS)
    return head + frame.octets


class TooMuch(Exception):
    """A server sent more than is taken from it; the text says what."""


class Joiner:
    """Joins the fragments of one session's messages."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._held = 0
        self._announced: int | None = None
        self._taken = 0

    @property
    def inside(self) -> bool:
        """Whether a message is not complete yet."""
        return self._held > 0

    def add(self, frame: Frame) -> bytes | None:
        """Take a frame; the whole message with its last fragment, None before.

        Raises:
            TooMuch: beyond `MAX_OCTETS`.
            DecodeError: a fragment that does not fit its message.
        """
        announced = frame.length if not self._parts else self._announced
        if frame.length is not None and frame.length != announced:
            raise _error("the length changed from one fragment to the next")
        if announced is not None and announced > MAX_OCTETS:
            raise TooMuch(f"a TLS message of {announced} octets was announced")
        if frame.more and not frame.octets:
            raise _error("a fragment without octets")
        held = self._held + len(frame.octets)
        if announced is not None and (held > announced or (frame.more and held == announced)):
            raise _error("more octets than announced")
        if announced is not None and not frame.more and held < announced:
            raise _error("fewer octets than announced")
        if self._taken + len(frame.octets) > MAX_OCTETS:
            raise TooMuch(f"more than {MAX_OCTETS} octets of TLS")
        self._taken += len(frame.octets)
        if frame.more:
            self._parts.append(frame.octets)
            self._held, self._announced = held, announced
            return None
        message = b"".join((*self._parts, frame.octets))
        self._parts.clear()
        self._held, self._announced = 0, None
        return message


class Cutter:
    """Cuts one session's outgoing messages.

    Args:
        version: EAP-TTLS's, in every packet's flags.
        packet_octets: the largest EAP packet to make.
    """

    def __init__(self, version: int, packet_octets: int) -> None:
        self._version = version
        self._room = packet_octets - _OVERHEAD_OCTETS
        self._rest = b""

    @property
    def inside(self) -> bool:
        """Whether fragments are left to send."""
        return bool(self._rest)

    def first(self, message: bytes) -> bytes:
        """Type-Data of the first packet; an empty message is an acknowledgement."""
        if len(message) <= self._room:
            return encode(Frame(self._version, message))
        room = self._room - _LENGTH_OCTETS
        self._rest = message[room:]
        flags = self._version | Flags.LENGTH | Flags.MORE
        return encode(Frame(flags, message[:room], len(message)))

    def next(self) -> bytes:
        """Type-Data of the next fragment."""
        part, self._rest = self._rest[: self._room], self._rest[self._room :]
        more = Flags.MORE if self._rest else 0
        return encode(Frame(self._version | more, part))


def _error(what: str) -> DecodeError:
    return DecodeError(what, where="EAP-TLS frame")
