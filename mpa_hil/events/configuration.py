"""Events of a network's configuration agent (`mpa_hil.agents.configuration_agent`)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from .base import Event

MobileNode = Annotated[str, Meta(description="mobile node, as its home network vouched for it")]


class CaReady(Event, frozen=True, kw_only=True, tag="ca.ready"):
    """The agent acquires addresses for mobile nodes."""

    interface: Annotated[str, Meta(description="on which link")]
    port: Annotated[int, Meta(description="UDP port that it is asked at", ge=1, le=65535)]
    restored: Annotated[int, Meta(description="addresses that it held before a restart", ge=0)] = 0


class CaGranted(Event, frozen=True, kw_only=True, tag="ca.granted"):
    """A mobile node has an address in this network, or has it for longer."""

    mobile_node: MobileNode
    method: Annotated[
        Literal["dhcpv4", "dhcpv6", "stateless", "ipv6"], Meta(description="how it was had")
    ]
    renewal: Annotated[bool, Meta(description="it had the address before")]
    duration_ns: Annotated[
        int, Meta(description="request to answer, ns; 0: the agent renewed it by itself", ge=0)
    ]
    address: Annotated[str, Meta(description="the address, with its prefix length")]
    router: Annotated[str, Meta(description="default router")]
    router_mac: Annotated[str, Meta(description="its link-layer address")]
    server: Annotated[str, Meta(description="DHCP server; empty: stateless")]
    lease_s: Annotated[float | None, Meta(description="left of the lease, s; null: no end")]
    keep_s: Annotated[float, Meta(description="without another word of the MN, s", ge=0)]


class CaRefused(Event, frozen=True, kw_only=True, tag="ca.refused"):
    """A mobile node does not get what it asked for, and is told so."""

    mobile_node: MobileNode
    code: Annotated[str, Meta(description="why: `interface.Code` of `mpa_hil.configuration`")]
    reason: Annotated[str, Meta(description="why, for people")]


class CaGone(Event, frozen=True, kw_only=True, tag="ca.gone"):
    """The agent does not hold an address any longer."""

    mobile_node: MobileNode
    address: Annotated[str, Meta(description="the address")]
    cause: Annotated[
        Literal[
            "released",
            "taken over",
            "declined",
            "replaced",
            "withdrawn",
            "unheard",
            "in use",
            "expired",
            "lost",
        ],
        Meta(description="why; all but taken over, in use, expired and lost gave it back"),
    ]


class CaDiscarded(Event, frozen=True, kw_only=True, tag="ca.discarded"):
    """Datagrams that were dropped without an answer; at most one event a second and reason."""

    reason: Annotated[str, Meta(description="why")]
    source: Annotated[str, Meta(description="where the first of them came from")]
    count: Annotated[int, Meta(description="how many since the last event", ge=1)] = 1
    security: Annotated[bool, Meta(description="forged or tampered with")] = False


class LeaseEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One address, as `ca.leases` lists it."""

    mobile_node: str
    method: str
    mac: str
    key: str
    address: str
    router: str
    router_mac: str
    server: str
    lease_s: float | None
    keep_s: float


class CaLeases(Event, frozen=True, kw_only=True, tag="ca.leases"):
    """Answer to the command `leases`."""

    leases: Annotated[tuple[LeaseEntry, ...], Meta(description="what is held, as in `ca.granted`")]
