"""EAP-GPSK's ciphersuites and key derivation (RFC 5433 s4, s6 and s7), sans-IO."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from mpa_hil.eap.codec import MethodType
from mpa_hil.eap.interface import MSK_OCTETS

_KIND = bytes((MethodType.GPSK,))
_METHOD_ID_OCTETS = 16
SUITE_OCTETS = 6
"""A ciphersuite's number as it is sent: vendor and specifier."""


@dataclass(frozen=True, slots=True)
class Ciphersuite:
    """One of RFC 5433's two."""

    specifier: int
    key_octets: int
    mac_octets: int
    mac: Callable[[bytes, bytes], bytes]
    """Of key and message."""

    @property
    def octets(self) -> bytes:
        """Its number as sent; the vendor is the IETF."""
        return self.specifier.to_bytes(SUITE_OCTETS, "big")

    def derive(self, key: bytes, text: bytes, octets: int) -> bytes:
        """GKDF (RFC 5433 s7): so many octets from a key and a text."""
        blocks = -(-octets // self.mac_octets)
        material = (self.mac(key, i.to_bytes(2, "big") + text) for i in range(1, blocks + 1))
        return b"".join(material)[:octets]


def _cmac(key: bytes, message: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.cmac import CMAC

    mac = CMAC(AES(key))
    mac.update(message)
    return mac.finalize()


def _hmac_sha256(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


CIPHERSUITES = {
    1: Ciphersuite(1, key_octets=16, mac_octets=16, mac=_cmac),
    2: Ciphersuite(2, key_octets=32, mac_octets=32, mac=_hmac_sha256),
}


@dataclass(frozen=True, slots=True)
class Keys:
    """What one run derives."""

    msk: bytes = field(repr=False)
    emsk: bytes = field(repr=False)
    sk: bytes = field(repr=False)
    """Authenticates the run's own messages."""
    method_id: bytes


def derive(suite: Ciphersuite, psk: bytes, text: bytes) -> Keys:
    """The keys of one run (RFC 5433 s4).

    Args:
        text: RAND_Peer, ID_Peer, RAND_Server, ID_Server.
    """
    short = psk[: suite.key_octets]
    seed = len(psk).to_bytes(2, "big") + psk + suite.octets + text
    master = suite.derive(short, seed, suite.key_octets)
    material = suite.derive(master, text, 2 * MSK_OCTETS + suite.key_octets)
    name = b"Method ID" + _KIND + suite.octets + text
    return Keys(
        msk=material[:MSK_OCTETS],
        emsk=material[MSK_OCTETS : 2 * MSK_OCTETS],
        sk=material[2 * MSK_OCTETS :],
        method_id=suite.derive(short, name, _METHOD_ID_OCTETS),
    )
