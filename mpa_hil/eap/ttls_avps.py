"""The attribute-value pairs inside EAP-TTLS's tunnel (RFC 5281 s10), sans-IO."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from mpa_hil.errors import DecodeError

MICROSOFT = 311
"""SMI enterprise number, as RFC 2548 uses it."""
_HEAD_OCTETS = 8
_VENDOR_OCTETS = 4
_HAS_VENDOR = 0x80
_MANDATORY = 0x40


class AvpCode(IntEnum):
    """RADIUS attributes in their Diameter form."""

    USER_NAME = 1
    USER_PASSWORD = 2
    REPLY_MESSAGE = 18


class MicrosoftCode(IntEnum):
    """Of vendor `MICROSOFT` (RFC 2548 s2.3)."""

    CHAP_ERROR = 2
    CHAP_CHALLENGE = 11
    CHAP2_RESPONSE = 25
    CHAP2_SUCCESS = 26


@dataclass(frozen=True, slots=True)
class Avp:
    """One attribute-value pair."""

    code: int
    value: bytes = field(repr=False)
    vendor: int = 0
    mandatory: bool = True
    """Whether a receiver that does not know it must fail."""


def encode(avps: Iterable[Avp]) -> bytes:
    """Pairs as octets, each padded to a multiple of four."""
    result = b""
    for avp in avps:
        flags = (_HAS_VENDOR if avp.vendor else 0) | (_MANDATORY if avp.mandatory else 0)
        vendor = avp.vendor.to_bytes(_VENDOR_OCTETS, "big") if avp.vendor else b""
        length = _HEAD_OCTETS + len(vendor) + len(avp.value)
        head = avp.code.to_bytes(4, "big") + bytes((flags,)) + length.to_bytes(3, "big")
        result += head + vendor + avp.value + bytes(-length % 4)
    return result


def decode(octets: bytes) -> tuple[Avp, ...]:
    """Read pairs; padding after the last one may be missing.

    Raises:
        DecodeError: a length that cannot be.
    """
    avps: list[Avp] = []
    at = 0
    while at < len(octets):
        head = octets[at : at + _HEAD_OCTETS]
        if len(head) < _HEAD_OCTETS:
            raise _error(f"{len(head)} octets are no attribute-value pair")
        flags, length = head[4], int.from_bytes(head[5:8], "big")
        skipped = _HEAD_OCTETS + (_VENDOR_OCTETS if flags & _HAS_VENDOR else 0)
        if not skipped <= length <= len(octets) - at:
            raise _error(f"length {length} of a pair where {len(octets) - at} octets are left")
        avps.append(
            Avp(
                code=int.from_bytes(head[:4], "big"),
                value=octets[at + skipped : at + length],
                vendor=int.from_bytes(octets[at + _HEAD_OCTETS : at + skipped], "big"),
                mandatory=bool(flags & _MANDATORY),
            )
        )
        at += length + -length % 4
    return tuple(avps)


def _error(what: str) -> DecodeError:
    return DecodeError(what, where="EAP-TTLS attribute-value pairs")
