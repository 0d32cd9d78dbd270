"""What one authentication agent is set up with. Sans-IO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from mpa_hil.authentication.admission import AdmissionSettings
from mpa_hil.discovery.description import CandidateNetwork
from mpa_hil.key_delivery import distributor
from mpa_hil.keys import Usage
from mpa_hil.pana.settings import PaaSettings


@dataclass(frozen=True, slots=True)
class Recipient:
    """One box that keys are delivered to."""

    name: str
    """In its certificate."""
    usage: Usage
    peers: tuple[bytes, ...]
    """What its keys are bound to: the addresses, or the BSSIDs, under which the MN knows it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an MN may use, and for how long (RFC 5836 s6, RFC 6252 C.2)."""

    early_lifetime_s: int = 3600
    """Longest life of an MPA-SA made by pre-authentication: access that nobody uses yet should not
    be open for long. Session-Timeout may make it shorter, never longer."""
    lifetime_s: int = 43_200
    """... and of one made within this network; hostapd's own default for a PMK."""
    sessions_per_identity: int = 4
    """MPA-SAs of one identity; the oldest ends when another is made (second login limit)."""
    associations: int = 20_000
    """MPA-SAs in all; an MN too many is refused with AUTHORIZATION_REJECTED."""
    prepare_s: float = 1.0
    """How long an MN waits at most for the access points to confirm its keys."""
    leave_grace_s: float = 2.0
    """An MN that no access point sees any more has left after this long: between two of them it is
    nowhere for a moment."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """One AA."""

    name: str
    """In its certificate, such as `aa@b.example`."""
    realm: str
    """Of the network that it serves; bound into keys."""
    recipients: tuple[Recipient, ...] = ()
    asking_points: frozenset[str] = frozenset()
    """BSSIDs of points of attachment that nothing is delivered to: they ask for a station's key
    when it comes (`mpa_hil.radius.device_keys`)."""
    networks: tuple[CandidateNetwork, ...] = ()
    """What `Describe` is answered with: its own network, and neighbours that it vouches for."""
    neighbours: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Realms near each BSSID, nearest first."""
    own_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Addresses of MNs that are here; one that moves elsewhere has left. Empty: not told so."""
    called_station_id: str = ""
    """For the AAA server; empty: the realm (RFC 3580 s3.20)."""
    admission: AdmissionSettings = field(default_factory=AdmissionSettings)
    limits: Limits = field(default_factory=Limits)
    pana: PaaSettings = field(default_factory=PaaSettings)
    delivery: distributor.Tuning = field(default_factory=distributor.Tuning)
