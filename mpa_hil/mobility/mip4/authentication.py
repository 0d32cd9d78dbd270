"""The Mobile-Home Authentication Extension: who signed a registration (RFC 5944 s3.5, s5.1)."""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from mpa_hil.mobility.mip4.messages import Extension, ExtensionType, Message
from radios.errors import LocalError

KEY_OCTETS = 16
"""Keys of the default algorithm have 128 bits (s5.1)."""
_SPI = struct.Struct("!I")
_FIRST_SPI = 256
"""SPI values 0 to 255 are reserved (s1.6)."""


@dataclass(frozen=True, slots=True)
class SecurityAssociation:
    """One mobility security association between a mobile node and its home agent (s1.6).

    HMAC-MD5 is the RFC's mandatory default; another algorithm is agreed by naming it at both ends.

    Raises:
        LocalError: a reserved SPI, a key that is too short, or an algorithm that is not offered.
    """

    spi: int
    key: bytes = field(repr=False)
    algorithm: str = "hmac-md5"

    def __post_init__(self) -> None:
        where = f"security association, SPI {self.spi}"
        if not _FIRST_SPI <= self.spi <= 0xFFFFFFFF:
            raise LocalError(
                "the SPI is out of range",
                where=where,
                remedy="take a number from 256 to 4294967295 (RFC 5944 s1.6 reserves the others)",
            )
        if len(self.key) < KEY_OCTETS:
            raise LocalError(
                f"the key has {len(self.key)} octets, fewer than {KEY_OCTETS}",
                where=where,
                remedy="make one of 16 random octets (RFC 5944 s5.1)",
            )
        if self.algorithm not in _DIGESTS:
            raise LocalError(
                f"algorithm {self.algorithm!r} is not offered",
                where=where,
                remedy=f"choose one of {', '.join(sorted(_DIGESTS))}",
            )

    def authenticator(self, covered: bytes) -> bytes:
        """The authenticator over the covered octets: 16 with HMAC-MD5, 32 with HMAC-SHA256."""
        return hmac.digest(self.key, covered, _DIGESTS[self.algorithm])


_DIGESTS = {"hmac-md5": "md5", "hmac-sha256": "sha256"}


def sign(message: Message, association: SecurityAssociation) -> bytes:
    """Encode `message` with its extensions, and the authentication extension after them."""
    length = _SPI.size + len(association.authenticator(b""))
    head = bytes((ExtensionType.MOBILE_HOME_AUTHENTICATION, length)) + _SPI.pack(association.spi)
    covered = message.encode() + head
    return covered + association.authenticator(covered)


def mobile_home_extensions(message: Message) -> tuple[Extension, ...]:
    """The message's Mobile-Home Authentication Extensions, in order."""
    kind = ExtensionType.MOBILE_HOME_AUTHENTICATION
    return tuple(extension for extension in message.extensions if extension.type == kind)


def verify(
    datagram: bytes,
    extension: Extension,
    find: Callable[[int], SecurityAssociation | None],
) -> SecurityAssociation | None:
    """The association under which the extension's authenticator is right, or None.

    Args:
        datagram: the very octets that the extension was decoded from; all before the authenticator
            are covered, those behind the extension are not.
        extension: a Mobile-Home Authentication Extension.
        find: the association for an SPI, or None.
    """
    if len(extension.data) < _SPI.size:
        return None
    (spi,) = _SPI.unpack_from(extension.data)
    association = find(spi)
    if association is None:
        return None
    covered = datagram[: extension.offset + 2 + _SPI.size]
    given = extension.data[_SPI.size :]
    return association if hmac.compare_digest(association.authenticator(covered), given) else None
