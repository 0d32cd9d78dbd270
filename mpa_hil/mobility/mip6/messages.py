"""The Mobility Header and its messages as octets (RFC 6275 s6.1).

The codec knows layout only: a header is encoded with the checksum zero, and `with_checksum` fills
it in once the packet's addresses are known.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import ClassVar, TypeVar

from mpa_hil.light import light
from mpa_hil.mobility.mip6.numbers import (
    MOBILITY_HEADER,
    NO_NEXT_HEADER,
    MhType,
    UpdateFlag,
)
from mpa_hil.mobility.mip6.options import (
    DecodeError,
    Option,
    decode_options,
    encode_options,
)

MAX_HEADER = 1024
"""Octets; the longest genuine message is under 200, so longer ones are refused unread."""
COOKIE_OCTETS = 8
TOKEN_OCTETS = 8

_HEAD = struct.Struct("!BBBBH")
_CHECKSUM_AT = 4
_PSEUDO = struct.Struct("!16s16sIxxxB")

T = TypeVar("T")


class UnknownType(DecodeError):
    """The type is none that this node knows: to be answered with a Binding Error (s9.2)."""


@light
class Packet:
    """A Mobility Header on its way: what of the packet around it matters.

    On the wire the source of a packet with `home` is the care-of address, with `home` in the Home
    Address option; the destination of one with `via` is `via`, with the destination in the type 2
    routing header.
    """

    header: bytes
    source: IPv6Address
    destination: IPv6Address
    home: IPv6Address | None = None
    """In the Home Address destination option (s6.3)."""
    via: IPv6Address | None = None
    """The care-of address that the type 2 routing header goes by (s6.4)."""

    @property
    def care_of(self) -> IPv6Address:
        """The source on the wire; `home` is who speaks, where there is one."""
        return self.source


@dataclass(frozen=True, slots=True)
class BindingRefreshRequest:
    """Update your binding, it is about to end (s6.1.2)."""

    options: tuple[Option, ...] = ()
    type: ClassVar[MhType] = MhType.BINDING_REFRESH_REQUEST

    def encode(self) -> bytes:
        return _header(self.type, bytes(2), self.options)


@dataclass(frozen=True, slots=True)
class HomeTestInit:
    """Show me what arrives at my home address (s6.1.3)."""

    cookie: bytes
    options: tuple[Option, ...] = ()
    type: ClassVar[MhType] = MhType.HOME_TEST_INIT

    def encode(self) -> bytes:
        return _header(self.type, bytes(2) + self.cookie, self.options)


@dataclass(frozen=True, slots=True)
class CareOfTestInit:
    """Show me what arrives at my care-of address (s6.1.4)."""

    cookie: bytes
    options: tuple[Option, ...] = ()
    type: ClassVar[MhType] = MhType.CARE_OF_TEST_INIT

    def encode(self) -> bytes:
        return _header(self.type, bytes(2) + self.cookie, self.options)


@dataclass(frozen=True, slots=True)
class HomeTest:
    """What only one who receives at the home address knows (s6.1.5)."""

    nonce_index: int
    cookie: bytes
    token: bytes
    options: tuple[Option, ...] = ()
    type: ClassVar[MhType] = MhType.HOME_TEST

    def encode(self) -> bytes:
        fixed = struct.pack("!H", self.nonce_index) + self.cookie + self.token
        return _header(self.type, fixed, self.options)


@dataclass(frozen=True, slots=True)
class CareOfTest:
    """What only one who receives at the care-of address knows (s6.1.6)."""

    nonce_index: int
    cookie: bytes
    token: bytes
    options: tuple[Option, ...] = ()
    type: ClassVar[MhType] = MhType.CARE_OF_TEST

    def encode(self) -> bytes:
        fixed = struct.pack("!H", self.nonce_index) + self.cookie + self.token
        return _header(self.type, fixed, self.options)


@dataclass(frozen=True, slots=True)
class BindingUpdate:
    """The home address is at a care-of address (s6.1.7)."""

    sequence: int
    flags: UpdateFlag
    lifetime_units: int
    options: tuple[Option, ...] = ()
    type: ClassVar[MhType] = MhType.BINDING_UPDATE

    def encode(self) -> bytes:
        fixed = struct.pack("!HHH", self.sequence, self.flags, self.lifetime_units)
        return _header(self.type, fixed, self.options)


@dataclass(frozen=True, slots=True)
class BindingAcknowledgement:
    """What became of an update (s6.1.8); `status` stays a number: peers may send others."""

    status: int
    sequence: int
    lifetime_units: int
    key_management: bool = False
    options: tuple[Option, ...] = ()
    type: ClassVar[MhType] = MhType.BINDING_ACKNOWLEDGEMENT

    def encode(self) -> bytes:
        flags = self.key_management << 7
        fixed = struct.pack("!BBHH", self.status, flags, self.sequence, self.lifetime_units)
        return _header(self.type, fixed, self.options)


@dataclass(frozen=True, slots=True)
class BindingError:
    """Something about mobility was wrong with a packet (s6.1.9)."""

    status: int
    home_address: IPv6Address
    options: tuple[Option, ...] = ()
    type: ClassVar[MhType] = MhType.BINDING_ERROR

    def encode(self) -> bytes:
        fixed = struct.pack("!Bx16s", self.status, self.home_address.packed)
        return _header(self.type, fixed, self.options)


Message = (
    BindingRefreshRequest
    | HomeTestInit
    | CareOfTestInit
    | HomeTest
    | CareOfTest
    | BindingUpdate
    | BindingAcknowledgement
    | BindingError
)


def find(options: tuple[Option, ...], kind: type[T]) -> T | None:
    """The first option of a kind."""
    return next((option for option in options if isinstance(option, kind)), None)


def decode(header: bytes) -> Message:
    """Decode a Mobility Header, whose checksum is not looked at.

    Raises:
        UnknownType: of a type that is none of ours.
        DecodeError: anything else that is wrong with it.
    """
    if len(header) > MAX_HEADER or len(header) < _HEAD.size + 2:
        raise DecodeError(f"{len(header)} octets cannot be a Mobility Header")
    following, length, kind, _, _ = _HEAD.unpack_from(header)
    if following != NO_NEXT_HEADER:
        raise DecodeError(f"header {following} follows, where none may")
    if 8 * (length + 1) != len(header):
        raise DecodeError(f"its length field says {8 * (length + 1)} octets of {len(header)}")
    layout = _LAYOUTS.get(kind)
    if layout is None:
        raise UnknownType(f"type {kind} is not known")
    fixed, make = layout
    if len(header) < _HEAD.size + fixed.size:
        raise DecodeError(f"{len(header)} octets are too few for type {kind}")
    start = _HEAD.size + fixed.size
    return make(fixed.unpack_from(header, _HEAD.size), decode_options(header, start))


_LAYOUTS: dict[int, tuple[struct.Struct, Callable[..., Message]]] = {
    MhType.BINDING_REFRESH_REQUEST: (
        struct.Struct("!xx"),
        lambda fields, options: BindingRefreshRequest(options),
    ),
    MhType.HOME_TEST_INIT: (
        struct.Struct("!xx8s"),
        lambda fields, options: HomeTestInit(fields[0], options),
    ),
    MhType.CARE_OF_TEST_INIT: (
        struct.Struct("!xx8s"),
        lambda fields, options: CareOfTestInit(fields[0], options),
    ),
    MhType.HOME_TEST: (
        struct.Struct("!H8s8s"),
        lambda fields, options: HomeTest(fields[0], fields[1], fields[2], options),
    ),
    MhType.CARE_OF_TEST: (
        struct.Struct("!H8s8s"),
        lambda fields, options: CareOfTest(fields[0], fields[1], fields[2], options),
    ),
    MhType.BINDING_UPDATE: (
        struct.Struct("!HHH"),
        lambda fields, options: BindingUpdate(fields[0], UpdateFlag(fields[1]), fields[2], options),
    ),
    MhType.BINDING_ACKNOWLEDGEMENT: (
        struct.Struct("!BBHH"),
        lambda fields, options: BindingAcknowledgement(
            fields[0], fields[2], fields[3], bool(fields[1] & 0x80), options
        ),
    ),
    MhType.BINDING_ERROR: (
        struct.Struct("!Bx16s"),
        lambda fields, options: BindingError(fields[0], IPv6Address(fields[1]), options),
    ),
}


def with_checksum(header: bytes, source: IPv6Address, destination: IPv6Address) -> bytes:
    """The header with its checksum for a packet between these (s6.1.1).

    Args:
        source: the home address, where the packet has it in a Home Address option.
        destination: the final one, where the packet goes by a routing header.
    """
    plain = without_checksum(header)
    value = checksum(plain, source, destination)
    return plain[:_CHECKSUM_AT] + struct.pack("!H", value) + plain[_CHECKSUM_AT + 2 :]


def checksum_holds(header: bytes, source: IPv6Address, destination: IPv6Address) -> bool:
    """Whether a received header's checksum is right."""
    return with_checksum(header, source, destination) == header


def without_checksum(header: bytes) -> bytes:
    """The header as it is signed: with the checksum zero."""
    return header[:_CHECKSUM_AT] + bytes(2) + header[_CHECKSUM_AT + 2 :]


def checksum(header: bytes, source: IPv6Address, destination: IPv6Address) -> int:
    """The one's complement of the one's complement sum over pseudo-header and header."""
    octets = _PSEUDO.pack(source.packed, destination.packed, len(header), MOBILITY_HEADER) + header
    octets += bytes(len(octets) % 2)
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _header(kind: MhType, fixed: bytes, options: tuple[Option, ...]) -> bytes:
    octets = encode_options(_HEAD.pack(NO_NEXT_HEADER, 0, kind, 0, 0) + fixed, options)
    return octets[:1] + bytes((len(octets) // 8 - 1,)) + octets[2:]
