"""The PANA security association (RFC 5191 s5.3) and every key that comes out of it, sans-IO.

In RFC 6252's words this is the MPA-SA: one per mobile node and candidate network.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import field

from mpa_hil.light import light

from .crypto import AUTH_OCTETS, ENCRYPTION_KEY_OCTETS, KEY_OCTETS, authenticator, keyed, prf_plus
from .numbers import Encryption, Integrity, Prf

PEMK_OCTETS = 64
IEEE_802_FAMILY = 6
"""The address family of a BSSID in an EPID (IANA address family numbers)."""


@light
class Suite:
    """Algorithms agreed in the first exchange (RFC 5191 s4.1, RFC 6786 s2)."""

    prf: Prf
    integrity: Integrity
    encryption: Encryption | None = None


@light
class Transcript:
    """What went before the keys and is bound into them, so that changing it breaks the keys."""

    first_request: bytes
    """I_PAR: the PANA-Auth-Request with the S bit, whole."""
    first_answer: bytes
    """I_PAN: its answer, whole."""
    pac_nonce: bytes
    paa_nonce: bytes

    def seed(self, label: bytes, key_id: int) -> bytes:
        """Label, messages, nonces and key id, as prf+ takes them."""
        return b"".join(
            (
                label,
                self.first_request,
                self.first_answer,
                self.pac_nonce,
                self.paa_nonce,
                key_id.to_bytes(4, "big"),
            )
        )


@light
class SecurityAssociation:
    """Keys shared by one PaC and one PAA. No key shows in its representation."""

    suite: Suite
    session_id: int
    key_id: int
    msk: bytes = field(repr=False)
    auth_key: bytes = field(repr=False)
    """PANA_AUTH_KEY."""
    pac_encryption_key: bytes = field(repr=False, default=b"")
    """PANA_PAC_ENCR_KEY, empty where no encryption was agreed."""
    paa_encryption_key: bytes = field(repr=False, default=b"")
    """PANA_PAA_ENCR_KEY, empty where no encryption was agreed."""

    @classmethod
    def establish(
        cls, suite: Suite, session_id: int, key_id: int, msk: bytes, transcript: Transcript
    ) -> SecurityAssociation:
        """Derive the keys (RFC 5191 s5.3, RFC 6786 s3)."""

        root = keyed(suite.prf, msk)

        def key(label: bytes, length: int) -> bytes:
            return prf_plus(suite.prf, root, transcript.seed(label, key_id), length)

        auth_key = key(b"IETF PANA", KEY_OCTETS[suite.integrity])
        if suite.encryption is None:
            return cls(suite, session_id, key_id, msk, auth_key)
        return cls(
            suite,
            session_id,
            key_id,
            msk,
            auth_key,
            key(b"IETF PANA PaC Encr", ENCRYPTION_KEY_OCTETS),
            key(b"IETF PANA PAA Encr", ENCRYPTION_KEY_OCTETS),
        )

    @property
    def auth_octets(self) -> int:
        """Length of an AUTH value under this association."""
        return AUTH_OCTETS[self.suite.integrity]

    def authenticator(self, message: bytes) -> bytes:
        """The AUTH value of a message whose AUTH value is still zero."""
        return authenticator(self.suite.integrity, self.auth_key, message)

    def authentic(self, message: bytes) -> bool:
        """Whether the message ends in a right AUTH AVP; its place is fixed (RFC 5191 s7)."""
        size = self.auth_octets
        if len(message) <= size:
            return False
        expected = self.authenticator(message[:-size] + bytes(size))
        return hmac.compare_digest(expected, message[-size:])

    def derive(self, label: bytes, context: bytes, length: int) -> bytes:
        """A key for another use: prf+(MSK, label | session id | key id | context).

        The same shape as RFC 5807's, so a label of its own is all that separates one use from
        another; labels must not be prefixes of each other.
        """
        return prf_plus(self.suite.prf, self.msk, label + self._name() + context, length)

    def pemk(self, epid: bytes) -> bytes:
        """The PaC-EP master key of one enforcement point, 64 octets (RFC 5807 s3)."""
        return self.derive(b"IETF PEMK", epid, PEMK_OCTETS)

    def pemk_name(self, epid: bytes) -> bytes:
        """What a PEMK may be called in public (RFC 5807 s3.1)."""
        return hashlib.sha1(epid + self._name()).digest()

    def _name(self) -> bytes:
        return self.session_id.to_bytes(4, "big") + self.key_id.to_bytes(4, "big")


def bssid_epid(bssid: bytes) -> bytes:
    """The EPID of an access point: address family 802, then its BSSID (RFC 5807 s3).

    Raises:
        ValueError: not six octets.
    """
    if len(bssid) != 6:
        raise ValueError(f"a BSSID has 6 octets, not {len(bssid)}")
    return IEEE_802_FAMILY.to_bytes(2, "big") + bssid
