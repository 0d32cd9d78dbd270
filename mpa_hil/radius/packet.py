"""The RADIUS codec (RFC 2865 s3 and s5, RFC 3579 s3.2), sans-IO.

Lean because an authentication takes a dozen packets through it; strict because an answer opens a
network: an attribute that overruns its packet, two Message-Authenticators or one of a wrong size
are refused here, before anybody asks what they mean.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from functools import lru_cache
from hashlib import md5
from typing import NamedTuple

from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.mac import Mac
from mpa_hil.radius.numbers import (
    AUTHENTICATOR_OCTETS,
    EAP_MESSAGE,
    HEADER_OCTETS,
    MAX_PACKET_OCTETS,
    MAX_VALUE_OCTETS,
    MESSAGE_AUTHENTICATOR,
)

_ZERO = bytes(AUTHENTICATOR_OCTETS)
_MESSAGE_AUTHENTICATOR_HEAD = bytes((MESSAGE_AUTHENTICATOR, 2 + AUTHENTICATOR_OCTETS))
_ZERO_ATTRIBUTE = _MESSAGE_AUTHENTICATOR_HEAD + _ZERO


class Packet(NamedTuple):
    """A decoded packet. Its octets stay with it, because both authenticators are over them."""

    code: int
    identifier: int
    authenticator: bytes
    attributes: tuple[tuple[int, bytes], ...]
    """Type and value, in the order sent."""
    octets: bytes
    """As received, less the padding after its length."""
    signed_at: int | None
    """Where in `octets` the value of the Message-Authenticator starts; None: there is none."""

    def first(self, kind: int) -> bytes | None:
        """The value of the first attribute of a type."""
        for number, value in self.attributes:
            if number == kind:
                return value
        return None

    def all(self, kind: int) -> tuple[bytes, ...]:
        """The values of all attributes of a type."""
        return tuple(value for number, value in self.attributes if number == kind)


def decode(octets: bytes) -> Packet:
    """Read one packet; octets after its length are padding and ignored (RFC 2865 s3).

    Raises:
        DecodeError: it is no RADIUS packet.
    """
    if len(octets) < HEADER_OCTETS:
        raise _bad("shorter than a header")
    length = octets[2] << 8 | octets[3]
    if not HEADER_OCTETS <= length <= MAX_PACKET_OCTETS:
        raise _bad(f"its length field says {length}")
    if length > len(octets):
        raise _bad(f"cut off: {len(octets)} of {length} octets")
    octets = octets[:length]
    attributes: list[tuple[int, bytes]] = []
    signed_at: int | None = None
    at = HEADER_OCTETS
    while at < length:
        end = at + octets[at + 1] if at + 1 < length else 0
        if end < at + 2 or end > length:
            raise _bad(f"an attribute at octet {at} does not fit")
        kind = octets[at]
        if kind == MESSAGE_AUTHENTICATOR:
            if signed_at is not None or end - at != len(_ZERO_ATTRIBUTE):
                raise _bad("two Message-Authenticators, or one of a wrong size")
            signed_at = at + 2
        attributes.append((kind, octets[at + 2 : end]))
        at = end
    return Packet(octets[0], octets[1], octets[4:20], tuple(attributes), octets, signed_at)


def encode(packet: Packet) -> bytes:
    """The octets of a packet from its fields, authenticators as they are: `decode` reversed."""
    body = b"".join(attribute(kind, value) for kind, value in packet.attributes)
    return _header(packet.code, packet.identifier, body) + packet.authenticator + body


def attribute(kind: int, value: bytes) -> bytes:
    """One encoded attribute.

    Raises:
        LocalError: the value is longer than 253 octets.
    """
    size = len(value)
    if size > MAX_VALUE_OCTETS:
        raise LocalError(
            f"{size} octets do not fit into RADIUS attribute {kind}",
            where="RADIUS packet",
            remedy=f"an attribute holds {MAX_VALUE_OCTETS}",
        )
    return bytes((kind, size + 2)) + value


def integer(kind: int, value: int) -> bytes:
    """An encoded attribute that is a 32-bit number."""
    return bytes((kind, 6)) + value.to_bytes(4, "big")


def eap_attributes(eap: bytes) -> bytes:
    """An EAP packet as EAP-Message attributes, in order (RFC 3579 s3.1)."""
    if len(eap) <= MAX_VALUE_OCTETS:
        return attribute(EAP_MESSAGE, eap)
    return b"".join(
        [
            attribute(EAP_MESSAGE, eap[at : at + MAX_VALUE_OCTETS])
            for at in range(0, len(eap), MAX_VALUE_OCTETS)
        ]
    )


def signed_request(
    code: int, identifier: int, authenticator: bytes, body: bytes, secret: bytes
) -> bytes:
    """A request with its Message-Authenticator, which comes first.

    Args:
        authenticator: the Request Authenticator: 16 octets that nobody can foresee.
        body: every other attribute, encoded.

    Raises:
        LocalError: it would be longer than a packet may be.
    """
    head = _header(code, identifier, _ZERO_ATTRIBUTE + body) + authenticator
    digest = _mac(secret).digest(b"".join((head, _ZERO_ATTRIBUTE, body)))
    return b"".join((head, _MESSAGE_AUTHENTICATOR_HEAD, digest, body))


def signed_answer(code: int, request: Packet, body: bytes, secret: bytes) -> bytes:
    """An answer to `request` with both authenticators; Message-Authenticator comes first, so that
    nothing an attacker chooses precedes what he does not know (the advice against Blast-RADIUS).

    Raises:
        LocalError: it would be longer than a packet may be.
    """
    head = _header(code, request.identifier, _ZERO_ATTRIBUTE + body)
    signature = _mac(secret).digest(b"".join((head, request.authenticator, _ZERO_ATTRIBUTE, body)))
    body = _MESSAGE_AUTHENTICATOR_HEAD + signature + body
    return head + md5(b"".join((head, request.authenticator, body, secret))).digest() + body


def fault_of_request(request: Packet, secret: bytes) -> str | None:
    """Why a request is not from somebody who knows the secret; None: it is."""
    if request.signed_at is None:
        return "no Message-Authenticator"
    if not _signature_holds(request, request.authenticator, secret):
        return "wrong Message-Authenticator"
    return None


def fault_of_answer(
    answer: Packet, request_authenticator: bytes, secret: bytes, *, must_be_signed: bool = True
) -> str | None:
    """Why an answer is not the server's to this request; None: it is.

    The Message-Authenticator is demanded of every answer that decides anything: the Response
    Authenticator alone can be forged by who sits in between and can find MD5 collisions
    (CVE-2024-3596).
    """
    if answer.signed_at is None and must_be_signed:
        return "no Message-Authenticator"
    octets = answer.octets
    expected = md5(
        b"".join((octets[:4], request_authenticator, octets[HEADER_OCTETS:], secret))
    ).digest()
    if not hmac.compare_digest(expected, answer.authenticator):
        return "wrong Response Authenticator"
    if answer.signed_at is not None and not _signature_holds(answer, request_authenticator, secret):
        return "wrong Message-Authenticator"
    return None


def joined(values: Iterable[bytes]) -> bytes | None:
    """What several attributes of a type hold together; None: there were none."""
    whole = b"".join(values)
    return whole or None


@lru_cache(maxsize=64)
def _mac(secret: bytes) -> Mac:
    """Shared secrets are few, and live as long as the process."""
    return Mac(secret, "md5")


def _signature_holds(packet: Packet, authenticator: bytes, secret: bytes) -> bool:
    at = packet.signed_at
    assert at is not None
    octets = packet.octets
    end = at + AUTHENTICATOR_OCTETS
    covered = b"".join((octets[:4], authenticator, octets[HEADER_OCTETS:at], _ZERO, octets[end:]))
    return hmac.compare_digest(_mac(secret).digest(covered), octets[at:end])


def _header(code: int, identifier: int, body: bytes) -> bytes:
    length = HEADER_OCTETS + len(body)
    if length > MAX_PACKET_OCTETS:
        raise LocalError(
            f"a RADIUS packet of {length} octets",
            where="RADIUS packet",
            remedy=f"it may have {MAX_PACKET_OCTETS}; let the EAP method send smaller fragments",
        )
    return bytes((code, identifier)) + length.to_bytes(2, "big")


def _bad(what: str) -> DecodeError:
    return DecodeError(what, where="RADIUS packet", remedy="see who sent it: it is no RADIUS")
