"""A TLS client over octets: what EAP-TLS and EAP-TTLS share (sans-IO).

pyOpenSSL over memory BIOs, because it is what offers the keying-material exporter. One
`TlsIdentity` holds the context and is used for all sessions; a `TlsClient` is one session.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpa_hil.eap.certificates import VERIFICATION_ERRORS, dns_names, load_crls, subject, within
from mpa_hil.eap.interface import Cause
from mpa_hil.eap.settings import TlsSettings
from mpa_hil.errors import LocalError

if TYPE_CHECKING:
    from OpenSSL import SSL, crypto

CIPHERS_1_2 = b"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"
"""Forward secrecy and authenticated encryption only, for TLS 1.2; 1.3 has no other."""
_READ_OCTETS = 65536


class TlsFailure(Exception):
    """The session is over; `octets` may hold an alert for the server."""

    def __init__(self, cause: Cause, reason: str, octets: bytes = b"") -> None:
        super().__init__(reason)
        self.cause = cause
        self.reason = reason
        self.octets = octets


@dataclass(slots=True)
class ServerCheck:
    """What became of the server's certificate in one handshake.

    It hangs on the connection, so it must not lead back to it: OpenSSL's memory would then wait
    for Python's cycle collector, which does not see how much it is.
    """

    domains: tuple[str, ...]
    server_id: str = ""
    verified: bool = False
    """Whether the certificate was verified in this very handshake."""
    refusal: str = ""
    """Why this side refused it."""


@dataclass(frozen=True, slots=True)
class Resumable:
    """A TLS session to go on with, and whom it was with."""

    session: SSL.Session
    certificate: crypto.X509
    chain: tuple[crypto.X509, ...]
    server_id: str


class TlsIdentity:
    """Roots of trust and credentials, ready for use, with the last session.

    Raises:
        LocalError: settings that cannot be: no authority, no domain, or PEM that cannot be read.
    """

    def __init__(self, settings: TlsSettings) -> None:
        # The guest needs seconds for these imports, so only who speaks TLS pays for them.
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from OpenSSL import SSL, crypto

        if not settings.domains or not all(settings.domains):
            raise _unusable("no domain for the server's name", "name the AAA server's domain")
        versions = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(versions[settings.min_version])
        context.set_max_proto_version(versions[settings.max_version])
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
        context.set_cipher_list(CIPHERS_1_2)
        # OpenSSL's own choice offers a post-quantum share: a ClientHello of 1.5 KB instead of
        # 0.3, and a HelloRetryRequest from a server with one curve. That is two more round trips
        # to the home domain. P-256 is the one curve that every TLS 1.3 server must have.
        context.set_tmp_ecdh(ec.SECP256R1())
        context.set_verify(SSL.VERIFY_PEER, _verify)
        store = context.get_cert_store()
        assert store is not None, "a fresh context has a certificate store"
        try:
            for authority in x509.load_pem_x509_certificates(settings.ca):
                store.add_cert(crypto.X509.from_cryptography(authority))
            for crl in load_crls(settings.crl):
                store.add_crl(crl)
            pem = settings.certificate
            own = x509.load_pem_x509_certificates(pem) if pem else []
        except ValueError as error:
            raise _unusable(f"unreadable PEM ({_brief(error)})", "give PEM files") from None
        if settings.crl:
            store.set_flags(crypto.X509StoreFlags.CRL_CHECK | crypto.X509StoreFlags.CRL_CHECK_ALL)
        if own:
            try:
                key = load_pem_private_key(settings.key, password=None)
                context.use_certificate(own[0])
                for intermediate in own[1:]:
                    context.add_extra_chain_cert(intermediate)
                context.use_privatekey(key)  # type: ignore[arg-type]
                context.check_privatekey()
            except (ValueError, TypeError, SSL.Error) as error:
                raise _unusable(
                    f"the private key does not go with the certificate ({_brief(error)})",
                    "give the key that the certificate was issued for, not encrypted",
                ) from None
        self.settings = settings
        self.peer_id = subject(own[0]) if own else ""
        self.context = context
        self._store = store
        self._resumable: Resumable | None = None

    def resumable(self) -> Resumable | None:
        """The last session, if its server would still be accepted (RFC 9190 s2.1.3, s5.7)."""
        from OpenSSL import crypto

        kept = self._resumable
        if kept is None:
            return None
        try:
            crypto.X509StoreContext(self._store, kept.certificate, kept.chain).verify_certificate()
        except crypto.X509StoreContextError:
            self._resumable = None
        return self._resumable

    def keep(self, resumable: Resumable | None) -> None:
        """Remember the session that has just succeeded, or forget one that failed."""
        self._resumable = resumable if self.settings.resumption else None


class TlsClient:
    """One session."""

    def __init__(self, identity: TlsIdentity, *, resume: bool) -> None:
        from OpenSSL import SSL

        self._ssl = SSL
        self._identity = identity
        self._connection = SSL.Connection(identity.context, None)
        self._connection.set_connect_state()
        self._check = ServerCheck(identity.settings.domains)
        self._connection.set_app_data(self._check)
        self._resumed_from = identity.resumable() if resume else None
        if self._resumed_from is not None:
            self._connection.set_session(self._resumed_from.session)
        self.established = False

    @property
    def resumed(self) -> bool:
        """Whether the server took the session offered; a full handshake always verifies anew."""
        return self.established and not self._check.verified

    @property
    def verified(self) -> bool:
        """Whether the server's certificate was accepted in this handshake."""
        return self._check.verified

    @property
    def server_id(self) -> str:
        """The server's name in its certificate, once established."""
        return self._check.server_id

    @property
    def version(self) -> str:
        """``TLSv1.2`` or ``TLSv1.3``, once established."""
        return self._connection.get_protocol_version_name()

    @property
    def cipher(self) -> str:
        """The ciphersuite's name, once established."""
        return self._connection.get_cipher_name() or ""

    def feed(self, octets: bytes) -> tuple[bytes, bytes]:
        """Take TLS records from the server.

        Returns:
            records for it, and what it said inside.

        Raises:
            TlsFailure: either side refused the other, or the records are broken.
        """
        plaintext = b""
        try:
            if octets:
                self._connection.bio_write(octets)
            if not self.established:
                self._connection.do_handshake()
                self._check_established()
            while part := self._connection.recv(_READ_OCTETS):
                plaintext += part
        except (self._ssl.WantReadError, self._ssl.ZeroReturnError):
            pass  # All is read, or the server has said that it will write no more.
        except self._ssl.Error as error:
            raise self._failure(error) from None
        return self._outgoing(), plaintext

    def write(self, plaintext: bytes) -> bytes:
        """Records that carry `plaintext` to the server."""
        self._connection.sendall(plaintext)
        return self._outgoing()

    def export(self, label: bytes, octets: int, context: bytes | None = None) -> bytes:
        """Keying material (RFC 5705, RFC 8446 s7.5)."""
        return self._connection.export_keying_material(label, octets, context)

    def randoms(self) -> bytes:
        """The client's and the server's random: TLS 1.2's name of a session."""
        client, server = self._connection.client_random(), self._connection.server_random()
        assert client is not None
        assert server is not None
        return client + server

    def keep_session(self) -> None:
        """Remember it for the next time; to be called when the authentication has succeeded."""
        # To OpenSSL a connection that ends without close_notify is suspect, and its session not to
        # be resumed; EAP has its own word for the end, so nobody sends one.
        self._connection.set_shutdown(self._ssl.SENT_SHUTDOWN | self._ssl.RECEIVED_SHUTDOWN)
        session = self._connection.get_session()
        certificate = self._connection.get_peer_certificate()
        if session is None or certificate is None:
            return
        chain = tuple(self._connection.get_peer_cert_chain() or ())
        if not chain and self._resumed_from is not None:
            chain = self._resumed_from.chain
        self._identity.keep(Resumable(session, certificate, chain, self.server_id))

    def forget_session(self) -> None:
        """Offer none the next time."""
        self._identity.keep(None)

    def _check_established(self) -> None:
        if not self._check.verified:
            # No certificate was verified, so this must be the session that was offered.
            if self._resumed_from is None:
                raise TlsFailure(Cause.SERVER_UNTRUSTED, "the server showed no certificate")
            self._check.server_id = self._resumed_from.server_id
        self.established = True

    def _outgoing(self) -> bytes:
        octets = b""
        try:
            while part := self._connection.bio_read(_READ_OCTETS):
                octets += part
        except self._ssl.WantReadError:
            return octets
        return octets

    def _failure(self, error: Exception) -> TlsFailure:
        octets = self._outgoing()
        if self._check.refusal:
            return TlsFailure(Cause.SERVER_UNTRUSTED, self._check.refusal, octets)
        reason = _brief(error)
        if " alert " in reason:
            said = reason.rpartition(" alert ")[2]
            return TlsFailure(Cause.REJECTED, f"the server sent a TLS alert: {said}", octets)
        return TlsFailure(Cause.PROTOCOL, f"TLS: {reason}", octets)


def _verify(
    connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int
) -> bool:
    """OpenSSL asks this of each certificate of a chain, the server's own (depth 0) last."""
    check = connection.get_app_data()
    assert isinstance(check, ServerCheck)
    if not ok:
        what = VERIFICATION_ERRORS.get(error, f"verification error {error}")
        which = "the server's certificate" if depth == 0 else "a certificate above the server's"
        check.refusal = check.refusal or f"{which} is refused: {what}"
        return False
    if depth == 0:
        names = dns_names(certificate.to_cryptography())
        if not within(names, check.domains):
            have = ", ".join(repr(name)[:80] for name in names[:4]) or "no DNS name"
            check.refusal = f"the server's certificate is for {have}"
            return False
        check.server_id = names[0]
        check.verified = True
    return True


def _brief(error: Exception) -> str:
    """The reason from OpenSSL's error queue, or the text of any other error."""
    queue = error.args[0] if error.args else None
    if isinstance(queue, list) and queue and isinstance(queue[0], tuple):
        return str(queue[0][-1])[:120]
    return str(error).partition("\n")[0][:120] or type(error).__name__


def _unusable(what: str, remedy: str) -> LocalError:
    return LocalError(what, where="EAP-TLS settings", remedy=remedy)
