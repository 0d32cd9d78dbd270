"""DHCPv6 messages between client and server (RFC 8415 s8, s21). Sans-IO."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address

from mpa_hil import errors

CLIENT_PORT, SERVER_PORT = 546, 547
ALL_SERVERS = IPv6Address("ff02::1:2")
"""All_DHCP_Relay_Agents_and_Servers (RFC 8415 s7.1)."""
MAXIMUM_DUID = 130
"""Octets (RFC 8415 s11.1)."""
_IA_NA = struct.Struct("!III")
_IA_ADDRESS = struct.Struct("!16sII")


class DecodeError(errors.DecodeError):
    """The octets are no DHCPv6 message."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="DHCPv6")


class Kind(IntEnum):
    """RFC 8415 s7.3, those between client and server."""

    SOLICIT = 1
    ADVERTISE = 2
    REQUEST = 3
    CONFIRM = 4
    RENEW = 5
    REBIND = 6
    REPLY = 7
    RELEASE = 8
    DECLINE = 9
    RECONFIGURE = 10
    INFORMATION_REQUEST = 11


class Option(IntEnum):
    """RFC 8415 s21; DNS: RFC 3646."""

    CLIENT_ID = 1
    SERVER_ID = 2
    IA_NA = 3
    IA_ADDRESS = 5
    ORDER = 6
    """Options that the client would like."""
    PREFERENCE = 7
    ELAPSED = 8
    STATUS = 13
    DNS = 23


class Status(IntEnum):
    """RFC 8415 s21.13."""

    SUCCESS = 0
    UNSPECIFIED = 1
    NO_ADDRESSES = 2
    NO_BINDING = 3
    NOT_ON_LINK = 4
    USE_MULTICAST = 5


Options = tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One message; options in their order, as an option may be there several times."""

    kind: Kind
    xid: int
    """24 bits."""
    options: Options = ()

    def encode(self) -> bytes:
        """The UDP payload."""
        return bytes((self.kind,)) + self.xid.to_bytes(3, "big") + encode_options(self.options)

    def option(self, option: Option) -> bytes:
        """The first of this number, empty if there is none."""
        return next((value for number, value in self.options if number == option), b"")

    def addresses(self, option: Option) -> tuple[IPv6Address, ...]:
        """The addresses in an option."""
        value = self.option(option)
        return tuple(IPv6Address(value[at : at + 16]) for at in range(0, len(value) - 15, 16))

    def association(self, iaid: int) -> Association | None:
        """The IA_NA with this identifier."""
        for number, value in self.options:
            if number == Option.IA_NA and len(value) >= _IA_NA.size:
                found, renew_s, rebind_s = _IA_NA.unpack_from(value)
                if found == iaid:
                    inner = decode_options(value[_IA_NA.size :])
                    return Association(iaid, renew_s, rebind_s, inner)
        return None


@dataclass(frozen=True, slots=True)
class Association:
    """What an IA_NA holds (RFC 8415 s21.4)."""

    iaid: int
    renew_s: int = 0
    """T1; 0: as the client likes."""
    rebind_s: int = 0
    options: Options = ()

    def encode(self) -> tuple[int, bytes]:
        """As an option."""
        head = _IA_NA.pack(self.iaid, self.renew_s, self.rebind_s)
        return Option.IA_NA, head + encode_options(self.options)

    def addresses(self) -> tuple[tuple[IPv6Address, int, int], ...]:
        """Address, preferred and valid lifetime in seconds; those that are valid."""
        found = []
        for number, value in self.options:
            if number == Option.IA_ADDRESS and len(value) >= _IA_ADDRESS.size:
                address, preferred_s, valid_s = _IA_ADDRESS.unpack_from(value)
                if valid_s:
                    found.append((IPv6Address(address), preferred_s, valid_s))
        return tuple(found)


def address_option(address: IPv6Address) -> tuple[int, bytes]:
    """An address, its lifetimes left to the server."""
    return Option.IA_ADDRESS, _IA_ADDRESS.pack(address.packed, 0, 0)


def status_in(options: Options) -> tuple[int, str]:
    """Status code and text; success if there is none (RFC 8415 s21.13)."""
    for number, value in options:
        if number == Option.STATUS and len(value) >= 2:
            return int.from_bytes(value[:2], "big"), value[2:].decode(errors="replace")
    return Status.SUCCESS, ""


def encode_options(options: Options) -> bytes:
    """Their octets."""
    return b"".join(struct.pack("!HH", number, len(value)) + value for number, value in options)


def decode_options(octets: bytes) -> Options:
    """Raises DecodeError for what is no list of options."""
    found = []
    at = 0
    while at < len(octets):
        if at + 4 > len(octets):
            raise DecodeError("an option is cut off")
        number, length = struct.unpack_from("!HH", octets, at)
        at += 4
        if at + length > len(octets):
            raise DecodeError(f"option {number} is cut off")
        found.append((number, octets[at : at + length]))
        at += length
    return tuple(found)


def decode(octets: bytes) -> Message:
    """A UDP payload.

    Raises:
        DecodeError: no message of a client or server.
    """
    if len(octets) < 4 or octets[0] not in Kind.__members__.values():
        raise DecodeError(f"{len(octets)} octets, or an unknown kind")
    message = Message(
        Kind(octets[0]), int.from_bytes(octets[1:4], "big"), decode_options(octets[4:])
    )
    for number, value in message.options:
        if number == Option.IA_NA:
            decode_options(value[_IA_NA.size :])
    return message
