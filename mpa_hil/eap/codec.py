"""EAP packets as octets (RFC 3748 s4 and s5), sans-IO."""

from __future__ import annotations

from enum import IntEnum

from mpa_hil.errors import DecodeError
from mpa_hil.light import light

HEADER_OCTETS = 4
"""Code, Identifier, Length: all of a Success or Failure."""
MAX_PACKET_OCTETS = 65535
"""What the Length field can say."""
MAX_IDENTITY_OCTETS = 253
"""The longest User-Name that RADIUS can carry on (RFC 2865 s5)."""
_NOTIFICATION_CHARACTERS = 256
"""Kept of a notification: it goes to a log, and anybody may send one."""


class Code(IntEnum):
    """RFC 3748 s4."""

    REQUEST = 1
    RESPONSE = 2
    SUCCESS = 3
    FAILURE = 4


_CODES = {int(code): code for code in Code}


class MethodType(IntEnum):
    """EAP types that have a name here; a packet may have any other from 0 to 255."""

    IDENTITY = 1
    NOTIFICATION = 2
    NAK = 3
    TLS = 13
    TTLS = 21
    GPSK = 51
    EXPANDED = 254


@light
class Packet:
    """One EAP packet. Success and Failure have type 0 and no data."""

    code: Code
    identifier: int
    type: int = 0
    data: bytes = b""
    """Type-Data, without the type octet."""


def decode(octets: bytes) -> Packet:
    """Read a packet; octets beyond its Length are lower-layer padding (RFC 3748 s4.1).

    Raises:
        DecodeError: too short, unknown code, no type, or data in a Success or Failure.
    """
    if len(octets) < HEADER_OCTETS:
        raise _error(f"{len(octets)} octets are no packet")
    length = octets[2] << 8 | octets[3]
    if not HEADER_OCTETS <= length <= len(octets):
        raise _error(f"length {length} of {len(octets)} octets")
    code = _CODES.get(octets[0])
    if code is None:
        raise _error(f"code {octets[0]}")
    if code is Code.REQUEST or code is Code.RESPONSE:
        if length == HEADER_OCTETS:
            raise _error("request or response without a type")
        return Packet(code, octets[1], octets[4], octets[5:length])
    if length != HEADER_OCTETS:
        raise _error("success or failure with data")
    return Packet(code, octets[1])


def encode(packet: Packet) -> bytes:
    """The packet as octets.

    Raises:
        ValueError: longer than the Length field can say.
    """
    if packet.code in (Code.SUCCESS, Code.FAILURE):
        return bytes((packet.code, packet.identifier, 0, HEADER_OCTETS))
    length = HEADER_OCTETS + 1 + len(packet.data)
    if length > MAX_PACKET_OCTETS:
        raise ValueError(f"an EAP packet of {length} octets")
    head = bytes((packet.code, packet.identifier)) + length.to_bytes(2, "big")
    return head + bytes((packet.type,)) + packet.data


def decode_identity(data: bytes) -> str:
    """The identity of an EAP-Response/Identity (RFC 3748 s5.1), up to a NUL, fit for User-Name.

    Raises:
        DecodeError: empty, too long for RADIUS, not UTF-8, or not printable.
    """
    octets = data.partition(b"\0")[0]
    try:
        identity = octets.decode()
    except UnicodeDecodeError:
        raise _error("the identity is not UTF-8") from None
    if not 0 < len(octets) <= MAX_IDENTITY_OCTETS:
        raise _error(f"an identity of {len(octets)} octets")
    if not identity.isprintable():
        raise _error("the identity has control characters")
    return identity


def printable(data: bytes) -> str:
    """A displayable message reduced to what may stand in a log: printable ASCII, not much of it."""
    text = data[:_NOTIFICATION_CHARACTERS].decode("ascii", errors="replace")
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def _error(what: str) -> DecodeError:
    return DecodeError(what, where="EAP packet")
