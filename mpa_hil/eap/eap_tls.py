"""EAP-TLS: TLS 1.2 (RFC 5216) and TLS 1.3 (RFC 9190), the peer's side (sans-IO)."""

from __future__ import annotations

from mpa_hil.eap import tls_run
from mpa_hil.eap.codec import MethodType
from mpa_hil.eap.interface import Cause, Random, Success
from mpa_hil.eap.method import Standing, Step, lose
from mpa_hil.eap.settings import TlsSettings
from mpa_hil.eap.tls_client import TlsIdentity
from mpa_hil.errors import LocalError

COMMITMENT = b"\0"
"""TLS 1.3: the server's protected word that it is satisfied (RFC 9190 s2.5)."""


class EapTls:
    """EAP-TLS with one certificate; keep it, for it holds the session to go on with.

    Raises:
        LocalError: settings that cannot be.
    """

    type = int(MethodType.TLS)

    def __init__(self, settings: TlsSettings) -> None:
        if not settings.certificate:
            raise LocalError(
                "no certificate of the peer's own",
                where="EAP-TLS settings",
                remedy="give one and its key, or use EAP-TTLS with a password",
            )
        self._identity = TlsIdentity(settings)

    def begin(self, random: Random) -> EapTlsRun:
        """Start a run; OpenSSL has its own random numbers."""
        return EapTlsRun(self._identity)


class EapTlsRun(tls_run.TlsRun):
    """One run."""

    def __init__(self, identity: TlsIdentity) -> None:
        super().__init__(identity, MethodType.TLS, resume=True)

    def _inside(self, outgoing: bytes, plaintext: bytes) -> Step:
        if not self.client.established:
            return self._shake_hands(outgoing)
        if self.client.version != "TLSv1.3":
            if plaintext:
                return lose(Cause.PROTOCOL, "data inside EAP-TLS, which carries none")
            # The server's Finished is verified, and with a session resumed this sends the peer's.
            return self._send(outgoing, Standing.MAY_END)
        if not plaintext:
            # Tickets may come first. Now the server has the peer's certificate, or soon will.
            return self._send(outgoing, Standing.MAY_FAIL)
        if plaintext != COMMITMENT:
            return lose(Cause.PROTOCOL, "data inside EAP-TLS, which carries none")
        return self._send(outgoing, Standing.WON)

    def succeed(self) -> Success:
        """See `method.MethodRun.succeed`."""
        self.client.keep_session()
        return self._success("EAP-TLS", self.identity.peer_id, b"client EAP encryption")

    def fail(self) -> None:
        """See `method.MethodRun.fail`."""
        self.client.forget_session()
