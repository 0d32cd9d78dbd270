"""What a run of EAP-TLS and one of EAP-TTLS have in common: frames around TLS (sans-IO)."""

from __future__ import annotations

from abc import ABC, abstractmethod

from mpa_hil.eap.codec import MethodType
from mpa_hil.eap.interface import MSK_OCTETS, Cause, Success
from mpa_hil.eap.method import Standing, Step, ignore, lose
from mpa_hil.eap.tls_client import TlsClient, TlsFailure, TlsIdentity
from mpa_hil.eap.tls_frames import VERSION_BITS, Cutter, Joiner, TooMuch, decode
from mpa_hil.errors import DecodeError

VERSION = 0
"""EAP-TTLS's, the only one published; EAP-TLS has zeroes there."""
_KEY_LABEL_1_3 = b"EXPORTER_EAP_TLS_Key_Material"
_ID_LABEL_1_3 = b"EXPORTER_EAP_TLS_Method-Id"
_METHOD_ID_OCTETS = 64


class TlsRun(ABC):
    """Joins what comes, feeds it to TLS, cuts what TLS says; a method decides what that means."""

    def __init__(self, identity: TlsIdentity, kind: MethodType, *, resume: bool) -> None:
        self.identity = identity
        self.client = TlsClient(identity, resume=resume)
        self._kind = kind
        self._joiner = Joiner()
        self._cutter = Cutter(VERSION, identity.settings.fragment_octets)
        self._started = False
        self._standing = Standing.CONTINUES
        self._after_sending = Standing.CONTINUES

    def process(self, data: bytes) -> Step:
        """See `method.MethodRun.process`."""
        try:
            frame = decode(data)
        except DecodeError as error:
            return ignore(self._standing, error.what)
        if frame.start:
            if self._started:
                return ignore(self._standing, "a start in the middle")
            self._started = True
            # The version offered is the highest that the server has; 0 is always below it.
            return self._take(b"")
        if not self._started:
            return ignore(self._standing, "the method has not been started")
        if frame.flags & VERSION_BITS != VERSION:
            return ignore(self._standing, "another version")
        if self._cutter.inside:
            if not frame.acknowledges:
                return ignore(self._standing, "octets instead of an acknowledgement")
            return self._next_fragment()
        try:
            message = self._joiner.add(frame)
        except TooMuch as error:
            return lose(Cause.LIMIT, str(error))
        except DecodeError as error:
            return lose(Cause.PROTOCOL, error.what)
        if message is None:
            return Step(self._standing, self._cutter.first(b""))
        return self._take(message)

    def _take(self, message: bytes) -> Step:
        try:
            outgoing, plaintext = self.client.feed(message)
            step = self._inside(outgoing, plaintext)
        except TlsFailure as failure:
            # Even the largest alert fits into one packet, and nothing is owed after it.
            return lose(failure.cause, failure.reason, self._cutter.first(failure.octets))
        if step.failure is not None and not step.data:
            return lose(step.failure.cause, step.failure.reason, self._cutter.first(b""))
        return step

    @abstractmethod
    def _inside(self, outgoing: bytes, plaintext: bytes) -> Step:
        """Decide what a whole message of the server's led to.

        Args:
            outgoing: what TLS wants sent.
            plaintext: what the server said inside TLS.

        Raises:
            TlsFailure: it is over.
        """

    def _shake_hands(self, octets: bytes) -> Step:
        """Go on with a handshake that is not complete.

        Once the server is verified, `octets` have the peer's credentials, and it may be refused.
        By RFC 5216 s2.1.3 that takes an alert; FreeRADIUS 3.2.1 sends EAP-Failure at once.
        """
        return self._send(octets, Standing.MAY_FAIL if self.client.verified else Standing.CONTINUES)

    def _send(self, octets: bytes, standing: Standing) -> Step:
        """A step that sends `octets`; the standing is reached with their last fragment."""
        data = self._cutter.first(octets)
        self._after_sending = standing
        return self._sent(data)

    def _next_fragment(self) -> Step:
        return self._sent(self._cutter.next())

    def _sent(self, data: bytes) -> Step:
        self._standing = Standing.CONTINUES if self._cutter.inside else self._after_sending
        return Step(self._standing, data)

    def _success(self, method: str, peer_id: str, label_1_2: bytes) -> Success:
        client = self.client
        kind = bytes((self._kind,))
        if client.version == "TLSv1.3":
            # RFC 9190 s2.3, and RFC 9427 s2.1 for EAP-TTLS: the same labels, the type as context.
            material = client.export(_KEY_LABEL_1_3, 2 * MSK_OCTETS, kind)
            name = client.export(_ID_LABEL_1_3, _METHOD_ID_OCTETS, kind)
        else:
            material = client.export(label_1_2, 2 * MSK_OCTETS)
            name = client.randoms()
        return Success(
            method=method,
            msk=material[:MSK_OCTETS],
            emsk=material[MSK_OCTETS:],
            session_id=kind + name,
            peer_id=peer_id,
            server_id=client.server_id,
            detail=f"{client.version} {client.cipher}" + (" resumed" if client.resumed else ""),
            resumed=client.resumed,
        )
