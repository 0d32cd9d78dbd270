"""EAP-TTLSv0 (RFC 5281; with TLS 1.3, RFC 9427): PAP or MS-CHAP-V2 in a tunnel (sans-IO).

No session is resumed: the password is proved each time, so no authorisation outlives it.
"""

from __future__ import annotations

from mpa_hil.eap import mschapv2, tls_run, ttls_avps
from mpa_hil.eap.codec import MethodType, printable
from mpa_hil.eap.interface import Cause, Random, Success
from mpa_hil.eap.method import Standing, Step, lose
from mpa_hil.eap.settings import MsChapV2, Pap, TlsSettings
from mpa_hil.eap.tls_client import TlsIdentity
from mpa_hil.eap.ttls_avps import MICROSOFT, Avp, AvpCode, MicrosoftCode
from mpa_hil.errors import DecodeError

_CHALLENGE_LABEL = b"ttls challenge"
"""RFC 5281 s11.1; the same label, without a context, with TLS 1.3 (RFC 9427 s2.3)."""
_PASSWORD_BLOCK = 16
"""A password is padded to a multiple of this, which hides its length (RFC 5281 s11.2.5)."""


class EapTtls:
    """EAP-TTLS for one user of one network.

    Raises:
        LocalError: settings that cannot be.
    """

    type = int(MethodType.TTLS)

    def __init__(self, settings: TlsSettings, inner: Pap | MsChapV2) -> None:
        self._identity = TlsIdentity(settings)
        self._inner = inner

    def begin(self, random: Random) -> EapTtlsRun:
        """Start a run."""
        return EapTtlsRun(self._identity, self._inner, random)


class EapTtlsRun(tls_run.TlsRun):
    """One run."""

    def __init__(self, identity: TlsIdentity, inner: Pap | MsChapV2, random: Random) -> None:
        super().__init__(identity, MethodType.TTLS, resume=False)
        self._inner = inner
        self._random = random
        self._asked = False
        self._expected = ""
        """What the server must say to prove that it knows the password, and with what."""
        self._chap_identifier = 0

    def _inside(self, outgoing: bytes, plaintext: bytes) -> Step:
        if not self.client.established:
            return self._shake_hands(outgoing)
        if not self._asked:
            self._asked = True
            avps = self._pap() if isinstance(self._inner, Pap) else self._mschapv2(self._inner)
            # With TLS 1.3 this shares a packet with the peer's Finished: no round trip more.
            octets = outgoing + self.client.write(ttls_avps.encode(avps))
            proved = isinstance(self._inner, Pap)
            return self._send(octets, Standing.MAY_END if proved else Standing.MAY_FAIL)
        if not plaintext:
            return self._send(outgoing, self._standing)
        try:
            received = ttls_avps.decode(plaintext)
        except DecodeError as error:
            return lose(Cause.PROTOCOL, error.what)
        for avp in received:
            if (step := self._digest(avp)) is not None:
                return step
        return self._send(outgoing, Standing.MAY_FAIL if self._expected else Standing.MAY_END)

    def _digest(self, avp: Avp) -> Step | None:
        known = (avp.vendor, avp.code)
        if known == (MICROSOFT, MicrosoftCode.CHAP_ERROR):
            return lose(Cause.REJECTED, f"MS-CHAP error: {printable(avp.value[1:])}")
        if known == (MICROSOFT, MicrosoftCode.CHAP2_SUCCESS) and self._expected:
            whose, proof = avp.value[:1], avp.value[1:]
            if whose != bytes((self._chap_identifier,)) or not mschapv2.same(self._expected, proof):
                return lose(Cause.SERVER_UNTRUSTED, "the server does not know the password")
            self._expected = ""
            return None
        if avp.mandatory and known != (0, AvpCode.REPLY_MESSAGE):
            # RFC 5281 s10.1
            return lose(Cause.PROTOCOL, f"attribute {avp.code} of vendor {avp.vendor} is mandatory")
        return None

    def _pap(self) -> tuple[Avp, ...]:
        password = self._inner.password.encode()
        padded = password + bytes(-len(password) % _PASSWORD_BLOCK)
        return self._user(), Avp(AvpCode.USER_PASSWORD, padded)

    def _mschapv2(self, inner: MsChapV2) -> tuple[Avp, ...]:
        # RFC 5281 s11.2.4: nobody chooses the challenge, so nobody can have prepared for it.
        octets = self.client.export(_CHALLENGE_LABEL, mschapv2.CHALLENGE_OCTETS + 1)
        challenge, identifier = octets[:-1], octets[-1]
        own = self._random(mschapv2.CHALLENGE_OCTETS)
        hashed = mschapv2.password_hash(inner.password)
        proof = mschapv2.nt_response(challenge, own, inner.user, hashed)
        self._chap_identifier = identifier
        self._expected = mschapv2.authenticator_response(challenge, own, inner.user, hashed, proof)
        response = bytes((identifier, 0)) + own + bytes(8) + proof
        return (
            self._user(),
            Avp(MicrosoftCode.CHAP_CHALLENGE, challenge, MICROSOFT),
            Avp(MicrosoftCode.CHAP2_RESPONSE, response, MICROSOFT),
        )

    def _user(self) -> Avp:
        return Avp(AvpCode.USER_NAME, self._inner.user.encode())

    def succeed(self) -> Success:
        """See `method.MethodRun.succeed`."""
        return self._success("EAP-TTLS", self._inner.user, b"ttls keying material")

    def fail(self) -> None:
        """See `method.MethodRun.fail`."""
