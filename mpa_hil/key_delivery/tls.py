"""TLS 1.3 with certificates on both sides, for key delivery.

A certificate's subjectAltName is the name under which key delivery knows its box: a DNS name for a
recipient (`ep.b1.b.example`), a mailbox for the authentication agent (`aa@b.example`). Both chain
up to the network's own authority, and to nothing else.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from mpa_hil.errors import LocalError

DELIVERY_PORT = 7161
"""TCP, at a recipient."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files on this box."""

    ca: str
    """The network's authority; with its revocation list behind it if `revocation`."""
    certificate: str
    key: str
    revocation: bool = False


def recipient_context(files: TlsFiles) -> ssl.SSLContext:
    """For the box that keys are sent to, which listens.

    Raises:
        LocalError: a file is missing or is not what it should be.
    """
    return _context(ssl.PROTOCOL_TLS_SERVER, files)


def authority_context(files: TlsFiles) -> ssl.SSLContext:
    """For the authentication agent, which connects; raises as `recipient_context`."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, files)


def _context(protocol: ssl._SSLMethod, files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # boxes are known by name, not by where they were found
    context.verify_mode = ssl.CERT_REQUIRED
    if protocol is ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # a resumed session would skip the check for revocation
    if files.revocation:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    for what, path in (("authority", files.ca), ("certificate and key", files.certificate)):
        try:
            if path == files.ca:
                context.load_verify_locations(path)
            else:
                context.load_cert_chain(path, files.key)
        except (OSError, ssl.SSLError) as error:
            raise LocalError(f"the {what} cannot be used: {error}", where=path) from error
    return context


def peer_names(tls: ssl.SSLObject | None) -> frozenset[str]:
    """The names that the peer proved to have; none without a verified certificate."""
    certificate = tls.getpeercert() if tls is not None else None
    found: set[str] = set()
    for entry in (certificate or {}).get("subjectAltName", ()):
        if isinstance(entry, tuple) and len(entry) == 2 and entry[0] in ("DNS", "email"):
            found.add(str(entry[1]))
    return frozenset(found)
