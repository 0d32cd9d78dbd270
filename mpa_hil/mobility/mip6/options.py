"""Mobility options, one class each, on a table by type (RFC 6275 s6.2, RFC 4285, RFC 5648)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from mpa_hil import errors


class DecodeError(errors.DecodeError):
    """The octets are no Mobility Header that this node may act on; drop it silently."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="Mobility Header")


@dataclass(frozen=True, slots=True)
class RefreshAdvice:
    """Renew the home registration after this time (s6.2.4)."""

    interval_units: int
    type = 2
    alignment = (2, 0)

    def data(self) -> bytes:
        return struct.pack("!H", self.interval_units)

    @classmethod
    def parse(cls, data: bytes, offset: int) -> RefreshAdvice:
        return cls(*_unpack("!H", data))


@dataclass(frozen=True, slots=True)
class AlternateCareOf:
    """The care-of address, in place of the packet's source (s6.2.5)."""

    address: IPv6Address
    type = 3
    alignment = (8, 6)

    def data(self) -> bytes:
        return self.address.packed

    @classmethod
    def parse(cls, data: bytes, offset: int) -> AlternateCareOf:
        return cls(IPv6Address(*_unpack("!16s", data)))


@dataclass(frozen=True, slots=True)
class NonceIndices:
    """Of which nonces the tokens behind an update were made (s6.2.6)."""

    home: int
    care_of: int
    type = 4
    alignment = (2, 0)

    def data(self) -> bytes:
        return struct.pack("!HH", self.home, self.care_of)

    @classmethod
    def parse(cls, data: bytes, offset: int) -> NonceIndices:
        return cls(*_unpack("!HH", data))


AUTHENTICATOR_OCTETS = 12
"""First (96, HMAC_SHA1 (...)): s6.2.7 and RFC 4285 s5.1."""


@dataclass(frozen=True, slots=True)
class BindingAuthorization:
    """Who could read both tests signed this; always the last option (s6.2.7)."""

    authenticator: bytes
    offset: int = field(default=-1, compare=False)
    """Where it starts in the header it was decoded from."""
    type = 5
    alignment = (8, 2)

    def data(self) -> bytes:
        return self.authenticator

    @classmethod
    def parse(cls, data: bytes, offset: int) -> BindingAuthorization:
        return cls(data, offset)


@dataclass(frozen=True, slots=True)
class MessageAuthentication:
    """Who has the key of this SPI signed this (RFC 4285 s5); subtype 1: node and home agent."""

    spi: int
    authenticator: bytes
    subtype: int = 1
    offset: int = field(default=-1, compare=False)
    type = 9
    alignment = (8, 5)
    """RFC 4285 asks for 4n + 1; with 12 octets of authenticator this needs no padding behind."""

    def data(self) -> bytes:
        return struct.pack("!BI", self.subtype, self.spi) + self.authenticator

    @classmethod
    def parse(cls, data: bytes, offset: int) -> MessageAuthentication:
        if len(data) < 5:
            raise DecodeError("an authentication option without an SPI")
        subtype, spi = struct.unpack_from("!BI", data)
        return cls(spi, data[5:], subtype, offset)


@dataclass(frozen=True, slots=True)
class ReplayProtection:
    """A time stamp in the format of NTP (RFC 4285 s6)."""

    timestamp: int
    type = 10
    alignment = (8, 2)

    def data(self) -> bytes:
        return struct.pack("!Q", self.timestamp)

    @classmethod
    def parse(cls, data: bytes, offset: int) -> ReplayProtection:
        return cls(*_unpack("!Q", data))


@dataclass(frozen=True, slots=True)
class BindingId:
    """One of several bindings of a home address (RFC 5648 s4.3)."""

    bid: int
    status: int = 0
    at_home: bool = False
    care_of: IPv6Address | IPv4Address | None = None
    type = 35

    @property
    def alignment(self) -> tuple[int, int]:
        return (2, 0) if self.care_of is None else (8, 2)

    def data(self) -> bytes:
        care_of = b"" if self.care_of is None else self.care_of.packed
        return struct.pack("!HBB", self.bid, self.status, self.at_home << 7) + care_of

    @classmethod
    def parse(cls, data: bytes, offset: int) -> BindingId | Unknown:
        if len(data) not in (4, 8, 20):
            return Unknown(cls.type, data)  # the home agent answers MALFORMED_BID
        bid, status, flags = struct.unpack_from("!HBB", data)
        care_of: IPv6Address | IPv4Address | None = None
        if len(data) == 20:
            care_of = IPv6Address(data[4:])
        elif len(data) == 8:
            care_of = IPv4Address(data[4:])
        return cls(bid, status, bool(flags & 0x80), care_of)


@dataclass(frozen=True, slots=True)
class Unknown:
    """An option that is passed over (s6.2.1)."""

    type: int
    octets: bytes

    @property
    def alignment(self) -> tuple[int, int]:
        return 1, 0

    def data(self) -> bytes:
        return self.octets


Option = (
    RefreshAdvice
    | AlternateCareOf
    | NonceIndices
    | BindingAuthorization
    | MessageAuthentication
    | ReplayProtection
    | BindingId
    | Unknown
)
_PARSERS: dict[int, Callable[[bytes, int], Option]] = {
    RefreshAdvice.type: RefreshAdvice.parse,
    AlternateCareOf.type: AlternateCareOf.parse,
    NonceIndices.type: NonceIndices.parse,
    BindingAuthorization.type: BindingAuthorization.parse,
    MessageAuthentication.type: MessageAuthentication.parse,
    ReplayProtection.type: ReplayProtection.parse,
    BindingId.type: BindingId.parse,
}
_PAD1, _PADN = 0, 1


def encode_options(fixed: bytes, options: Iterable[Option]) -> bytes:
    """A message: its fixed part, its options, each where its alignment wants it, and padding.

    Raises:
        ValueError: an option of more than 255 octets, or of a padding's type.
    """
    octets = fixed
    for option in options:
        data = option.data()
        if len(data) > 255 or not _PADN < option.type < 256:
            raise ValueError(f"option {option.type} of {len(data)} octets cannot be encoded")
        modulus, rest = option.alignment
        octets += _padding((rest - len(octets)) % modulus)
        octets += bytes((option.type, len(data))) + data
    return octets + _padding(-len(octets) % 8)


def decode_options(header: bytes, start: int) -> tuple[Option, ...]:
    """The options from an offset to the end, without padding.

    Raises:
        DecodeError: an option runs past the end, or is one of ours with a wrong length.
    """
    options: list[Option] = []
    at = start
    while at < len(header):
        kind = header[at]
        if kind == _PAD1:
            at += 1
            continue
        if at + 2 > len(header) or at + 2 + header[at + 1] > len(header):
            raise DecodeError(f"option {kind} at octet {at} runs past the end")
        end = at + 2 + header[at + 1]
        if kind != _PADN:
            parse = _PARSERS.get(kind)
            data = header[at + 2 : end]
            options.append(Unknown(kind, data) if parse is None else parse(data, at))
        at = end
    return tuple(options)


def _padding(count: int) -> bytes:
    if count < 2:
        return bytes(count)
    return bytes((_PADN, count - 2)) + bytes(count - 2)


def _unpack(layout: str, data: bytes) -> tuple[int, ...]:
    if len(data) != struct.calcsize(layout):
        raise DecodeError(f"an option of {len(data)} octets, not {struct.calcsize(layout)}")
    return struct.unpack(layout, data)
