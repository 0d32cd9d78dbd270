"""DHCPv4 messages (RFC 2131 s2, RFC 2132). Sans-IO."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Address

from mpa_hil import errors
from mpa_hil.configuration.dhcp4.numbers import Option

CLIENT_PORT, SERVER_PORT = 68, 67
BROADCAST_FLAG = 0x8000
"""The server is to answer by broadcast: the client cannot take unicasts yet (RFC 2131 s4.1)."""
_MAGIC = b"\x63\x82\x53\x63"
_HEAD = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s4s")
_ETHERNET = 1
_MINIMUM_OCTETS = 300
"""What BOOTP servers and relays expect at least (RFC 1542 s2.1)."""
_NONE = IPv4Address("0.0.0.0")
_IN_FILE, _IN_SNAME = 1, 2


class DecodeError(errors.DecodeError):
    """The octets are no DHCP message."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="DHCP")


class Kind(IntEnum):
    """RFC 2132 s9.6."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


class Operation(IntEnum):
    """Direction."""

    REQUEST = 1
    REPLY = 2


@dataclass(frozen=True, slots=True)
class Message:
    """One message; options by their number, their length aside."""

    operation: Operation
    xid: int
    mac: bytes
    """Client's hardware address, 6 octets."""
    kind: Kind
    options: dict[int, bytes] = field(default_factory=dict)
    """All but the message's kind and what only shapes the encoding."""
    flags: int = 0
    seconds: int = 0
    client: IPv4Address = _NONE
    """ciaddr: an address that the client has, and answers for."""
    yours: IPv4Address = _NONE
    """yiaddr: what the server gives."""
    relay: IPv4Address = _NONE

    def encode(self) -> bytes:
        """The UDP payload."""
        head = _HEAD.pack(
            self.operation,
            _ETHERNET,
            len(self.mac),
            0,
            self.xid,
            self.seconds,
            self.flags,
            self.client.packed,
            self.yours.packed,
            bytes(4),
            self.relay.packed,
            self.mac,
            b"",
            b"",
            _MAGIC,
        )
        parts = [head, bytes((Option.MESSAGE_TYPE, 1, self.kind))]
        for number, value in self.options.items():
            # Longer ones go into several of the same number (RFC 3396 s5).
            for at in range(0, max(len(value), 1), 255):
                piece = value[at : at + 255]
                parts.append(bytes((number, len(piece))) + piece)
        parts.append(bytes((Option.END,)))
        octets = b"".join(parts)
        return octets + bytes(max(_MINIMUM_OCTETS - len(octets), 0))

    def address(self, option: Option) -> IPv4Address | None:
        """The address in an option; None if there is none."""
        value = self.options.get(option, b"")
        return IPv4Address(value) if len(value) == 4 else None

    def addresses(self, option: Option) -> tuple[IPv4Address, ...]:
        """The addresses in an option."""
        value = self.options.get(option, b"")
        return tuple(IPv4Address(value[at : at + 4]) for at in range(0, len(value) - 3, 4))

    def seconds_in(self, option: Option) -> int | None:
        """A time in an option."""
        value = self.options.get(option, b"")
        return int.from_bytes(value, "big") if len(value) == 4 else None


def decode(octets: bytes) -> Message:
    """A UDP payload.

    Raises:
        DecodeError: it is no DHCP message, or no Ethernet one.
    """
    if len(octets) < _HEAD.size:
        raise DecodeError(f"{len(octets)} octets")
    fields = _HEAD.unpack_from(octets)
    operation, hardware, length, _, xid, seconds, flags = fields[:7]
    client, yours, _, relay, mac, sname, file, magic = fields[7:]
    if magic != _MAGIC or operation not in (1, 2) or (hardware, length) != (_ETHERNET, 6):
        raise DecodeError("no DHCP message for Ethernet")
    options: dict[int, bytes] = {}
    _read(octets[_HEAD.size :], options)
    overload = int.from_bytes(options.pop(Option.OVERLOAD, b""), "big")
    # RFC 2131 s4.1: the file field is read before the server name.
    for bit, where in ((_IN_FILE, file), (_IN_SNAME, sname)):
        if overload & bit:
            _read(where, options)
    options.pop(Option.OVERLOAD, None)
    kind = options.pop(Option.MESSAGE_TYPE, b"")
    if len(kind) != 1 or kind[0] not in Kind.__members__.values():
        raise DecodeError("it does not say what it is")
    return Message(
        Operation(operation),
        xid,
        mac[:6],
        Kind(kind[0]),
        options,
        flags,
        seconds,
        IPv4Address(client),
        IPv4Address(yours),
        IPv4Address(relay),
    )


def _read(field_: bytes, options: dict[int, bytes]) -> None:
    """The options in one field, those of one number joined (RFC 3396 s7)."""
    at = 0
    while at < len(field_):
        number = field_[at]
        if number == Option.END:
            return
        if number == Option.PAD:
            at += 1
            continue
        if at + 2 > len(field_) or at + 2 + field_[at + 1] > len(field_):
            raise DecodeError(f"option {number} is cut off")
        end = at + 2 + field_[at + 1]
        options[number] = options.get(number, b"") + field_[at + 2 : end]
        at = end
