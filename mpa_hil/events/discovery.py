"""Events of discovery at the mobile node (`mpa_hil.agents.discovery`)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .base import Event

Bssid = Annotated[str, Meta(description="where the MN is; empty: nowhere")]


class DiscoveryReady(Event, frozen=True, kw_only=True, tag="discovery.ready"):
    """The discovery agent waits for commands."""

    remembered: Annotated[int, Meta(description="descriptions from before a restart", ge=0)]


class DiscoveryOpened(Event, frozen=True, kw_only=True, tag="discovery.opened"):
    """It speaks to a supplicant."""

    bssid: Bssid = ""


class DiscoveryLearnt(Event, frozen=True, kw_only=True, tag="discovery.learnt"):
    """A question was answered, or the controller told something."""

    source: Annotated[str, Meta(description="lab-file, own-aa, neighbor-report, anqp, dhcp, ...")]
    count: Annotated[int, Meta(description="networks, access points or addresses told", ge=0)]
    duration_ns: Annotated[int, Meta(description="from question to answer, ns", ge=0)] = 0


class DiscoveryUnanswered(Event, frozen=True, kw_only=True, tag="discovery.unanswered"):
    """A question had no answer; the rest goes on without it."""

    source: Annotated[str, Meta(description="neighbor-report, anqp or dns")]
    reason: Annotated[str, Meta(description="what went wrong")]


class DiscoveryHere(Event, frozen=True, kw_only=True, tag="discovery.here"):
    """The network that the MN is in, as far as it is known."""

    bssid: Bssid = ""
    realm: Annotated[str, Meta(description="of the network; empty: not known")] = ""
    trust: Annotated[str, Meta(description="of its agent, by name")] = ""
    networks: Annotated[str, Meta(description="its description, in hex")] = ""


class DiscoveryCandidates(Event, frozen=True, kw_only=True, tag="discovery.candidates"):
    """The networks to prepare for from here, the best first."""

    bssid: Bssid = ""
    realms: Annotated[list[str], Meta(description="of the networks")]
    trust: Annotated[list[str], Meta(description="of each network's agent, by name")]
    networks: Annotated[str, Meta(description="their descriptions (docs/discovery.md), in hex")]


class DiscoveryClosed(Event, frozen=True, kw_only=True, tag="discovery.closed"):
    """It let the supplicant go."""
