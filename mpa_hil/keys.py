"""The keys that come out of one pre-authentication: MN-CA, MN-AR, and a PMK for each PoA. Sans-IO.

Both the mobile node and the authentication agent derive them, from the MSK and from nothing that
is secret beside it. Every key is bound to its use, to the session and key identifiers of PANA, to
the one peer that it is for, and (where no RFC fixes the formula) to the network's realm; none of
them outlives its MSK. `docs/keys.md` has the formulas and says what each ingredient prevents.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import field
from enum import IntEnum
from functools import lru_cache

from mpa_hil.errors import LocalError
from mpa_hil.light import light
from mpa_hil.mobility.interface import Address
from mpa_hil.pana.association import SecurityAssociation

KEY_OCTETS = 64
"""Of an MN-CA key, an MN-AR key and a PaC-EP master key (RFC 5807 s3)."""
PMK_OCTETS = 32
"""Of the pairwise master key of IEEE 802.11 s12.7.1.3: the first octets of the PEMK."""
PMKID_OCTETS = 16
NAME_OCTETS = 20

_FAMILY_OF_VERSION = {4: 1, 6: 2}
_FAMILY_802 = 6
"""Address family numbers (IANA): IPv4, IPv6, and all 802 media."""
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")


class Usage(IntEnum):
    """What a key is for; the number stands in key delivery messages."""

    MN_CA = 1
    """Configuration signalling between MN and configuration agent (RFC 6252 s6.2)."""
    MN_AR = 2
    """Tunnel signalling and the tunnel between MN and access router (RFC 6252 s6.2)."""
    PMK = 3
    """802.11 between MN and one point of attachment (RFC 6252 s7.7.1, RFC 5807)."""


_LABELS = {Usage.MN_CA: b"MPA MN-CA key", Usage.MN_AR: b"MPA MN-AR key"}


@light
class Key:
    """One derived key with all that it is bound to."""

    usage: Usage
    name: bytes
    """20 octets that identify the key and tell nothing about it; what logs and messages show."""
    secret: bytes = field(repr=False)
    """64 octets, or 32 of a PMK."""
    session_id: int
    """PANA session that it was derived in."""
    key_id: int
    """Of the MSK within that session (RFC 5191 s8.4)."""
    peer: bytes
    """Identifier of the one peer: address family (2 octets), then its address."""


@light
class MasterKey:
    """What the MN and one AA share after EAP: the root of every key here.

    Raises:
        LocalError: the realm is no realm.
    """

    sa: SecurityAssociation
    """The MPA-SA: MSK, session and key identifiers, and the PRF that was agreed."""
    realm: str
    """Of the candidate network, as the MN discovered it and as the AA is configured."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.realm.encode()) <= 255:
            raise LocalError("a realm is 1 to 255 octets")

    def mn_ca(self, ca: Address) -> Key:
        """The key between the MN and the configuration agent at that address (R14, R16)."""
        return self.mn_ca_of(address_identifier(ca))

    def mn_ar(self, ar: Address) -> Key:
        """The key between the MN and the access router at that address (R14, R17)."""
        return self.mn_ar_of(address_identifier(ar))

    def mn_ca_of(self, peer: bytes) -> Key:
        """As `mn_ca`, of `address_identifier(ca)`."""
        return self._agent_key(Usage.MN_CA, peer)

    def mn_ar_of(self, peer: bytes) -> Key:
        """As `mn_ar`, of `address_identifier(ar)`."""
        return self._agent_key(Usage.MN_AR, peer)

    def pmk(self, bssid: str) -> Key:
        """The PMK for one point of attachment: RFC 5807 s3 with the BSSID as EPID (R85, R89)."""
        sa, peer = self.sa, bssid_identifier(bssid)
        secret = sa.pemk(peer)[:PMK_OCTETS]
        return Key(Usage.PMK, sa.pemk_name(peer), secret, sa.session_id, sa.key_id, peer)

    def _agent_key(self, usage: Usage, peer: bytes) -> Key:
        sa, label, realm = self.sa, _LABELS[usage], self.realm.encode()
        context = bytes((len(realm),)) + realm + peer
        secret = sa.derive(label, context, KEY_OCTETS)
        identifiers = sa.session_id.to_bytes(4, "big") + sa.key_id.to_bytes(4, "big")
        name = hashlib.sha1(label + identifiers + context, usedforsecurity=False).digest()
        return Key(usage, name, secret, sa.session_id, sa.key_id, peer)


def pmkid(pmk: bytes, bssid: str, station: str) -> bytes:
    """The name by which station and access point agree on a PMK (IEEE 802.11 s12.7.1.3):
    HMAC-SHA1-128(PMK, "PMK Name" | AA | SPA).

    Args:
        bssid: the access point's address.
        station: the mobile node's.
    """
    message = b"PMK Name" + mac_octets(bssid) + mac_octets(station)
    return hmac.digest(pmk, message, "sha1")[:PMKID_OCTETS]


@lru_cache(maxsize=4096)
def bssid_identifier(bssid: str) -> bytes:
    """A point of attachment as EPID (RFC 5807 s3)."""
    return _FAMILY_802.to_bytes(2, "big") + mac_octets(bssid)


def address_identifier(address: Address) -> bytes:
    """An agent as the peer of a key."""
    return _FAMILY_OF_VERSION[address.version].to_bytes(2, "big") + address.packed


def bssid_of(peer: bytes) -> str:
    """The BSSID in an EPID.

    Raises:
        LocalError: the identifier is of something else.
    """
    if len(peer) != 8 or peer[:2] != _FAMILY_802.to_bytes(2, "big"):
        raise LocalError(f"{peer.hex()} identifies no point of attachment")
    return peer[2:].hex(":")


def mac_octets(text: str) -> bytes:
    """A MAC address's six octets.

    Raises:
        LocalError: it is not written as six hexadecimal octets with colons.
    """
    if not _MAC.fullmatch(text):
        raise LocalError(f"{text!r} is not a MAC address")
    return bytes.fromhex(text.replace(":", ""))
