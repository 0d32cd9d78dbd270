"""How an access router's machine is configured. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from mpa_hil.mobility.interface import Address
from mpa_hil.tunnel.interface import Protect


@dataclass(frozen=True, slots=True)
class Limits:
    """What MNs may take up (A17). Every time is bounded, so nothing is kept for ever."""

    sessions: int = 1000
    """Of all MNs. At the limit the one that was not used for longest gives way, if it was not for
    `idle_s`; else the newcomer is refused."""
    sessions_per_node: int = 2
    """Of one identity, under all its keys."""
    idle_s: float = 60.0
    life_s: int = 600
    """Longest life that is granted at once."""
    hold_ms: int = 2000
    hold_octets: int = 1 << 20
    hold_packets: int = 2048
    """Most that is granted to one session."""
    all_hold_octets: int = 256 << 20
    """Most that is granted to all sessions together."""


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """One access router and its link."""

    outer: tuple[Address, ...]
    """Its own addresses at which tunnels end: one of each family at most."""
    networks: tuple[IPv4Network | IPv6Network, ...]
    """Prefixes of its link: inner addresses must be of them."""
    reserved: frozenset[Address]
    """Addresses of the link that no MN may have: the router's own, servers'."""
    mac: bytes
    """Of the router on its link."""
    protections: frozenset[Protect] = frozenset((Protect.PLAIN,))
    bicast: bool = False
    """Whether its kernel can."""
    limits: Limits = Limits()
    linger_s: float = 5.0
    """How long the tunnel stays, for stragglers on their way up, when the MN has come."""
    drain_s: float = 0.5
    """How long the end mark of the uplink is waited for when the MN has come."""
    orphan_s: float = 15.0
    """How long a session outlives the router's restart without its key being delivered again."""
    mtu: Callable[[Protect, int], int] = field(default=lambda protect, version: 1400, repr=False)
    """Longest packet inside a tunnel, by protection and family of the outer addresses."""
    wireguard_port: int = 51900
    """Of the first session; each has its own."""

    def router(self, version: int) -> Address | None:
        """The router's end of tunnels of this family."""
        return next((address for address in self.outer if address.version == version), None)
