"""What is known of a candidate target network (CTN, RFC 6252 s4.1), and how well. Sans-IO.

Whatever these types hold has been checked: names and realms are plain words, addresses are ones
that can be spoken to. An SSID is 1 to 32 octets of anything (IEEE 802.11 s9.4.2.2) and therefore
stays `bytes` until it is written in hexadecimal digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, IntEnum

from mpa_hil.errors import LocalError
from mpa_hil.mobility.interface import NS_PER_S, Endpoint

PANA_PORT = 716
"""UDP port of the AA (RFC 5191 s10.1)."""
PROTOCOL_PORT = 0
"""The port of an agent that listens where its protocol says (CA: DHCP or IKEv2; AR: IKEv2)."""
DEFAULT_LIFETIME_S = 600
"""For how long a description is good that does not say; access points move seldom."""
MAX_LIFETIME_S = 86_400
"""A day: what nobody repeats for longer is no longer believed, whoever said it."""
UNVOUCHED_LIFETIME_S = 600
"""For how long a description is good at most for which nobody vouches: a liar's goes soon."""
MAX_POINTS = 32
"""Of one CTN. wpa_supplicant keeps 32 PMKs; the MN could not hold keys for more."""
MAX_ENDPOINTS = 4
"""Of one kind of agent: two machines, each with IPv4 and IPv6."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_REALM = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_BSSID = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_FREQUENCIES_MHZ = range(2412, 7126)
"""From channel 1 of 2.4 GHz to channel 233 of 6 GHz."""


class Akm(IntEnum):
    """Authentication and key management suites 00-0F-AC:n (IEEE 802.11 table 9-151)."""

    EAP = 1
    PSK = 2
    EAP_SHA256 = 5
    PSK_SHA256 = 6


class Pmf(IntEnum):
    """Protected management frames, numbered as hostapd's `ieee80211w`."""

    OFF = 0
    OPTIONAL = 1
    REQUIRED = 2


@dataclass(frozen=True, slots=True)
class PointOfAttachment:
    """One access point (PoA).

    Raises:
        LocalError: a value that no access point has.
    """

    name: str
    """For people and logs: 1 to 63 letters, digits, `.`, `_`, `-`."""
    ssid: bytes
    bssid: str
    """Lower case with colons; unicast."""
    frequency_mhz: int
    """Centre of its primary 20 MHz channel."""
    akms: tuple[Akm, ...] = (Akm.EAP,)
    """Ascending; empty when not known."""
    pmf: Pmf = Pmf.OPTIONAL

    def __post_init__(self) -> None:
        _require(_NAME.fullmatch(self.name), "name", self.name)
        _require(1 <= len(self.ssid) <= 32, "SSID", self.ssid)
        _require(is_bssid(self.bssid), "BSSID", self.bssid)
        _require(self.frequency_mhz in _FREQUENCIES_MHZ, "frequency", self.frequency_mhz)
        ascending = tuple(sorted(set(self.akms))) == self.akms
        _require(ascending and all(isinstance(akm, Akm) for akm in self.akms), "AKMs", self.akms)
        _require(isinstance(self.pmf, Pmf), "PMF", self.pmf)

    @property
    def takes_eap(self) -> bool:
        """A key from EAP opens it, as far as is known."""
        return not self.akms or Akm.EAP in self.akms or Akm.EAP_SHA256 in self.akms


@dataclass(frozen=True, slots=True)
class CandidateNetwork:
    """One CTN: its points of attachment and its three agents, each on one or more endpoints (R10).

    Endpoints are in order of preference (RFC 5192 s4); a tuple is empty while nothing is known.

    Raises:
        LocalError: a value that cannot be.
    """

    realm: str
    """The operator's own realm in lower case, such as `b.example`: names the network (R3)."""
    points: tuple[PointOfAttachment, ...] = ()
    aa: tuple[Endpoint, ...] = ()
    """Authentication agents."""
    ca: tuple[Endpoint, ...] = ()
    """Configuration agents; port PROTOCOL_PORT leaves it to the protocol."""
    ar: tuple[Endpoint, ...] = ()
    """Access routers; port PROTOCOL_PORT leaves it to the protocol."""
    aa_identity: str = ""
    """DNS name that the AA proves where it has to (TLS); empty: the realm itself."""
    name: str = ""
    """For people and logs, as a point's; empty: the realm."""
    lifetime_s: int = DEFAULT_LIFETIME_S
    """For how long the describer vouches for this, from when it was asked."""

    def __post_init__(self) -> None:
        _require(_REALM.fullmatch(self.realm), "realm", self.realm)
        identity = self.aa_identity
        _require(not identity or _REALM.fullmatch(identity), "AA identity", identity)
        _require(not self.name or _NAME.fullmatch(self.name), "name", self.name)
        _require(len(self.points) <= MAX_POINTS, "number of PoAs", len(self.points))
        known = {point.bssid for point in self.points}
        _require(len(known) == len(self.points), "PoAs, one twice", sorted(known))
        for what, endpoints in (("AA", self.aa), ("CA", self.ca), ("AR", self.ar)):
            _require(len(endpoints) <= MAX_ENDPOINTS, f"number of {what}s", len(endpoints))
            _require(len(set(endpoints)) == len(endpoints), f"{what}s, one twice", endpoints)
            for endpoint in endpoints:
                _require(is_reachable(endpoint), f"{what} endpoint", endpoint)
                _require(endpoint.port or what != "AA", f"{what} port", endpoint.port)
        _require(1 <= self.lifetime_s <= MAX_LIFETIME_S, "lifetime", self.lifetime_s)

    @property
    def server_identity(self) -> str:
        """The DNS name that the AA must prove."""
        return self.aa_identity or self.realm

    @property
    def label(self) -> str:
        """What to call it."""
        return self.name or self.realm

    def point(self, bssid: str) -> PointOfAttachment | None:
        """The point of attachment with that BSSID."""
        return next((point for point in self.points if point.bssid == bssid), None)

    @property
    def preparable(self) -> bool:
        """Pre-authentication can start: an AA to talk to, and a PoA that takes its keys."""
        return bool(self.aa) and any(point.takes_eap for point in self.points)


class Trust(IntEnum):
    """How far a source is believed; a lower one never changes what a higher one said."""

    UNAUTHENTICATED = 1
    """Anybody in range or on the path could have said it."""
    VOUCHED = 2
    """Said under authentication by somebody else's agent (the AA of the network we are in)."""
    OWN = 3
    """Said under authentication by that network's own AA."""
    CONFIGURED = 4
    """Written down by whoever set up this mobile node."""


class Source(Enum):
    """Where a description comes from; the value names it in logs and files."""

    LAB_FILE = "lab-file"
    OWN_AA = "own-aa"
    """That network's own AA, over the MPA-SA with it, or TLS with its identity."""
    OTHER_AA = "other-aa"
    """The AA of another network, over the MPA-SA with that one, or TLS with its identity."""
    NEIGHBOR_REPORT = "neighbor-report"
    ANQP = "anqp"
    DHCP = "dhcp"
    DNS = "dns"

    @property
    def trust(self) -> Trust:
        """How far it is believed."""
        return _TRUST.get(self, Trust.UNAUTHENTICATED)


_TRUST = {
    Source.LAB_FILE: Trust.CONFIGURED,
    Source.OWN_AA: Trust.OWN,
    Source.OTHER_AA: Trust.VOUCHED,
}


@dataclass(frozen=True, slots=True)
class Learnt:
    """A description, where it was learnt, and when."""

    network: CandidateNetwork
    source: Source
    learnt_ns: int
    """CLOCK_MONOTONIC of the question that it answers: age counts from there."""

    @property
    def expires_ns(self) -> int:
        """CLOCK_MONOTONIC from when on it is not to be used."""
        lifetime_s = self.network.lifetime_s
        if self.source.trust is Trust.UNAUTHENTICATED:
            lifetime_s = min(lifetime_s, UNVOUCHED_LIFETIME_S)
        return self.learnt_ns + lifetime_s * NS_PER_S


def is_bssid(text: str) -> bool:
    """Whether a text is the address of one station, in lower case with colons."""
    if not _BSSID.fullmatch(text) or text == "00:00:00:00:00:00":
        return False
    return not int(text[1], 16) & 1


def is_realm(text: str) -> bool:
    """Whether a text is a realm or a DNS name: labels of letters, digits and `-`, lower case."""
    return _REALM.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether a text may name a network or a point of attachment."""
    return _NAME.fullmatch(text) is not None


def is_reachable(endpoint: Endpoint) -> bool:
    """Whether an endpoint is one machine's, from everywhere: neither multicast nor link-local."""
    address = endpoint.address
    barred = (
        address.is_unspecified
        or address.is_multicast
        or address.is_loopback
        or address.is_link_local
        or str(address) == "255.255.255.255"
    )
    return not barred and 0 <= endpoint.port <= 0xFFFF


def _require(holds: object, what: str, value: object) -> None:
    if not holds:
        raise LocalError(f"{value!r} cannot be the {what} of a candidate network"[:200])
