"""What an EAP peer is given: roots of trust, names, credentials, limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

TlsVersion = Literal["1.2", "1.3"]


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The TLS side of EAP-TLS and EAP-TTLS, the same for all sessions of one network."""

    ca: bytes
    """PEM: the only authorities that server certificates are accepted from."""
    domains: tuple[str, ...]
    """The server's subjectAltName must hold a dNSName equal to, or below, one of these."""
    certificate: bytes = b""
    """PEM: the peer's own certificate, then intermediate ones. EAP-TTLS does without."""
    key: bytes = field(default=b"", repr=False)
    """PEM: its private key, not encrypted."""
    crl: bytes = b""
    """PEM: the authorities' revocation lists; empty does not check the server for revocation."""
    min_version: TlsVersion = "1.2"
    max_version: TlsVersion = "1.3"
    fragment_octets: int = 1300
    """Largest EAP packet sent. The default leaves 200 octets of 1500 for what carries it and takes
    a P-256 certificate whole; each fragment more is a round trip to the home domain more. The
    least that every lower layer must offer is 1020 (RFC 3748 s3.1)."""
    resumption: bool = True
    """Whether EAP-TLS offers to go on with the last session (RFC 5216 s2.1.2, RFC 9190 s2.1.3)."""


@dataclass(frozen=True, slots=True)
class Pap:
    """A password, sent as it is through the TLS tunnel (RFC 5281 s11.2.5)."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class MsChapV2:
    """A password, proved through the TLS tunnel by both sides (RFC 5281 s11.2.4)."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class GpskSettings:
    """EAP-GPSK's long-term secret (RFC 5433)."""

    psk: bytes = field(repr=False)
    """16 octets at least, 32 for the second ciphersuite to be usable (RFC 5433 s3)."""
    peer_id: str
    server_id: str = ""
    """The only server that the key is for; empty takes whoever proves to have the key."""
    ciphersuites: tuple[int, ...] = (2, 1)
    """Those to use, best first: 1 is AES-128, 2 is HMAC-SHA256 (RFC 5433 s6)."""
