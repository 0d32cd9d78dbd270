"""Registration Request and Reply with their extensions, as octets (RFC 5944 s1.9, s3.3-3.5).

The codec knows layout only. Who signed a message is `authentication`'s business, and for that a
decoded extension remembers at which octet of its datagram it started.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from ipaddress import IPv4Address

from mpa_hil import errors

MOBILE_IP_PORT = 434
INFINITE_LIFETIME = 0xFFFF
"""A registration that never expires (s3.3)."""
MAX_DATAGRAM = 1024
"""Octets; the longest genuine message is under 100, so longer ones are refused unread."""

_REQUEST = struct.Struct("!BBH4s4s4sQ")
_REPLY = struct.Struct("!BBH4s4sQ")
_REQUEST_TYPE = 1
_REPLY_TYPE = 3
_FIRST_SKIPPABLE = 128


class DecodeError(errors.DecodeError):
    """The datagram is no Mobile IPv4 message that this node may act on; drop it silently."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="Mobile IPv4 message")


class Flag(IntFlag):
    """The flag octet of a Registration Request (s3.3)."""

    SIMULTANEOUS = 0x80
    BROADCAST = 0x40
    DECAPSULATION_BY_MOBILE = 0x20
    MINIMAL = 0x10
    GRE = 0x08
    RESERVED_R = 0x04
    REVERSE_TUNNEL = 0x02
    RESERVED_X = 0x01


class ExtensionType(IntEnum):
    """Extensions of control messages that RFC 5944 defines (s1.8)."""

    PADDING = 0
    MOBILE_HOME_AUTHENTICATION = 32
    MOBILE_FOREIGN_AUTHENTICATION = 33
    FOREIGN_HOME_AUTHENTICATION = 34


_KNOWN = frozenset(ExtensionType)


@dataclass(frozen=True, slots=True)
class Extension:
    """One type-length-value extension (s1.9)."""

    type: int
    data: bytes
    offset: int = field(default=-1, compare=False)
    """Where it starts in the datagram it was decoded from."""

    def encode(self) -> bytes:
        """Its octets; one-byte padding has neither length nor data.

        Raises:
            ValueError: the data exceeds 255 octets, or the type 255.
        """
        if self.type == ExtensionType.PADDING:
            return b"\0"
        if len(self.data) > 255 or not 0 < self.type < 256:
            raise ValueError(f"extension {self.type} of {len(self.data)} octets cannot be encoded")
        return bytes((self.type, len(self.data))) + self.data


@dataclass(frozen=True, slots=True)
class RegistrationRequest:
    """A mobile node asks its home agent for a binding (s3.3)."""

    flags: Flag
    lifetime_s: int
    home_address: IPv4Address
    home_agent: IPv4Address
    care_of: IPv4Address
    identification: int
    extensions: tuple[Extension, ...] = ()

    def encode(self) -> bytes:
        """The UDP payload."""
        fixed = _REQUEST.pack(
            _REQUEST_TYPE,
            self.flags,
            self.lifetime_s,
            self.home_address.packed,
            self.home_agent.packed,
            self.care_of.packed,
            self.identification,
        )
        return fixed + b"".join(extension.encode() for extension in self.extensions)


@dataclass(frozen=True, slots=True)
class RegistrationReply:
    """The home agent's answer (s3.4). `code` stays a number: peers may send unregistered ones."""

    code: int
    lifetime_s: int
    home_address: IPv4Address
    home_agent: IPv4Address
    identification: int
    extensions: tuple[Extension, ...] = ()

    def encode(self) -> bytes:
        """The UDP payload."""
        fixed = _REPLY.pack(
            _REPLY_TYPE,
            self.code,
            self.lifetime_s,
            self.home_address.packed,
            self.home_agent.packed,
            self.identification,
        )
        return fixed + b"".join(extension.encode() for extension in self.extensions)


Message = RegistrationRequest | RegistrationReply


def decode(datagram: bytes) -> Message:
    """Decode one UDP payload.

    Raises:
        DecodeError: unknown message type, wrong length, broken extension, or an extension that is
            neither known nor skippable (s1.8: types 0-127 must be understood).
    """
    if len(datagram) > MAX_DATAGRAM:
        raise DecodeError(f"{len(datagram)} octets are more than any registration message has")
    kind = datagram[0] if datagram else None
    if kind == _REQUEST_TYPE:
        if len(datagram) < _REQUEST.size:
            raise DecodeError(f"request of {len(datagram)} octets, at least {_REQUEST.size} needed")
        _, flags, lifetime, home, agent, care_of, identification = _REQUEST.unpack_from(datagram)
        return RegistrationRequest(
            Flag(flags),
            lifetime,
            IPv4Address(home),
            IPv4Address(agent),
            IPv4Address(care_of),
            identification,
            _decode_extensions(datagram, _REQUEST.size),
        )
    if kind == _REPLY_TYPE:
        if len(datagram) < _REPLY.size:
            raise DecodeError(f"reply of {len(datagram)} octets, at least {_REPLY.size} needed")
        _, code, lifetime, home, agent, identification = _REPLY.unpack_from(datagram)
        return RegistrationReply(
            code,
            lifetime,
            IPv4Address(home),
            IPv4Address(agent),
            identification,
            _decode_extensions(datagram, _REPLY.size),
        )
    raise DecodeError(f"message type {kind} is not a registration")


def _decode_extensions(datagram: bytes, start: int) -> tuple[Extension, ...]:
    extensions: list[Extension] = []
    at = start
    while at < len(datagram):
        kind = datagram[at]
        if kind == ExtensionType.PADDING:
            extensions.append(Extension(kind, b"", at))
            at += 1
            continue
        if kind < _FIRST_SKIPPABLE and kind not in _KNOWN:
            raise DecodeError(f"extension {kind} is unknown and must not be skipped")
        if at + 2 > len(datagram) or at + 2 + datagram[at + 1] > len(datagram):
            raise DecodeError(f"extension {kind} at octet {at} runs past the end")
        end = at + 2 + datagram[at + 1]
        extensions.append(Extension(kind, datagram[at + 2 : end], at))
        at = end
    return tuple(extensions)
