"""Who signed a binding message: the home agent's key (RFC 4285), or both tests (RFC 6275 s5.2)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address
from typing import TypeVar

from mpa_hil.mobility.mip6.messages import (
    BindingAcknowledgement,
    BindingUpdate,
    find,
    without_checksum,
)
from mpa_hil.mobility.mip6.options import (
    AUTHENTICATOR_OCTETS,
    BindingAuthorization,
    MessageAuthentication,
)
from radios.errors import LocalError

KEY_OCTETS = 16
"""Ours: RFC 4285 leaves the length of a key open."""
_FIRST_SPI = 256
"""SPI values 0 to 255 are reserved (RFC 4285 s5)."""
_NOT_YET = bytes(AUTHENTICATOR_OCTETS)
_SPI_END = 7
"""Octets of an authentication option up to its SPI: type, length, subtype, SPI."""

Signed = TypeVar("Signed", BindingUpdate, BindingAcknowledgement)


@dataclass(frozen=True, slots=True)
class SecurityAssociation:
    """What a mobile node and its home agent share (RFC 4285 s5.1): HMAC-SHA1, 96 bits of it.

    Raises:
        LocalError: a reserved SPI, or a key that is too short.
    """

    spi: int
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        where = f"Mobile IPv6 security association, SPI {self.spi}"
        if not _FIRST_SPI <= self.spi <= 0xFFFFFFFF:
            raise LocalError(
                "the SPI is out of range", where=where, remedy="take a number from 256 on"
            )
        if len(self.key) < KEY_OCTETS:
            raise LocalError(
                f"the key has {len(self.key)} octets, fewer than {KEY_OCTETS}", where=where
            )


def sign(
    message: Signed, association: SecurityAssociation, care_of: IPv6Address, home: IPv6Address
) -> bytes:
    """Encode with the MN-HA authentication option as the last (RFC 4285 s5.1)."""
    option = MessageAuthentication(association.spi, _NOT_YET)
    header = replace(message, options=(*message.options, option)).encode()
    covered = header[:-AUTHENTICATOR_OCTETS]
    return covered + _mac(association.key, care_of, home, covered)


def verify(
    header: bytes,
    message: BindingUpdate | BindingAcknowledgement,
    find_association: Callable[[int], SecurityAssociation | None],
    care_of: IPv6Address,
    home: IPv6Address,
) -> SecurityAssociation | None:
    """The association under which the message's one MN-HA option is right, or None.

    Args:
        header: the very octets that the message was decoded from.
        find_association: by SPI.
        care_of: what the update binds, or bound.
    """
    options = [o for o in message.options if isinstance(o, MessageAuthentication)]
    if len(options) != 1 or options[0].subtype != 1:
        return None
    option = options[0]
    association = find_association(option.spi)
    if association is None or option.offset + 2 + len(option.data()) != len(header):
        return None  # something would follow that is not covered
    covered = without_checksum(header)[: option.offset + _SPI_END]
    expected = _mac(association.key, care_of, home, covered)
    return association if hmac.compare_digest(expected, option.authenticator) else None


def binding_key(home_token: bytes, care_of_token: bytes = b"") -> bytes:
    """Kbm; without a care-of token that of a deletion (s5.2.5)."""
    return hashlib.sha1(home_token + care_of_token, usedforsecurity=False).digest()


def authorize(
    message: Signed, key: bytes, care_of: IPv6Address, correspondent: IPv6Address
) -> bytes:
    """Encode with the Binding Authorization Data option as the last (s6.2.7).

    Args:
        key: Kbm.
        care_of: to be registered, or the home address where a binding is deleted.
    """
    option = BindingAuthorization(_NOT_YET)
    header = replace(message, options=(*message.options, option)).encode()
    covered = header[:-AUTHENTICATOR_OCTETS]
    return covered + _mac(key, care_of, correspondent, covered)


def is_authorized(
    header: bytes,
    message: BindingUpdate | BindingAcknowledgement,
    key: bytes,
    care_of: IPv6Address,
    correspondent: IPv6Address,
) -> bool:
    """Whether the message ends with the authenticator of this key, and nothing behind it."""
    option = find(message.options, BindingAuthorization)
    if option is None or len(option.authenticator) != AUTHENTICATOR_OCTETS:
        return False
    if option.offset + 2 + AUTHENTICATOR_OCTETS != len(header):
        return False
    covered = without_checksum(header)[:-AUTHENTICATOR_OCTETS]
    return hmac.compare_digest(_mac(key, care_of, correspondent, covered), option.authenticator)


def _mac(key: bytes, first: IPv6Address, second: IPv6Address, covered: bytes) -> bytes:
    text = first.packed + second.packed + covered
    return hmac.digest(key, text, "sha1")[:AUTHENTICATOR_OCTETS]
