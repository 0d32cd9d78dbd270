"""Events of pre-authentication at the mobile node (`mpa_hil.agents.preauthentication`).

Keys appear by PMKID, never by value.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from .base import Event

Realm = Annotated[str, Meta(description="candidate network by its realm")]
Bssid = Annotated[str, Meta(description="BSSID of the point of attachment")]
Nanoseconds = Annotated[int, Meta(description="ns", ge=0)]


class PreauthReady(Event, frozen=True, kw_only=True, tag="preauth.ready"):
    """The pre-authentication agent has its credentials loaded and waits for commands."""

    method: Annotated[str, Meta(description="EAP method")]


class PreauthOpened(Event, frozen=True, kw_only=True, tag="preauth.opened"):
    """It speaks to a supplicant."""

    networks: Annotated[int, Meta(description="network blocks there", ge=0)]
    bssid: Annotated[str, Meta(description="where the MN is; empty: nowhere")] = ""


class PreauthClosed(Event, frozen=True, kw_only=True, tag="preauth.closed"):
    """Every preparation is given up, and the supplicant let go."""


class PreauthStarted(Event, frozen=True, kw_only=True, tag="preauth.started"):
    """An authentication with the agent of a candidate network begins."""

    realm: Realm
    aa: Annotated[str, Meta(description="address of the authentication agent")]
    attempt: Annotated[int, Meta(description="from 1", ge=1)]


class PreauthAuthenticated(Event, frozen=True, kw_only=True, tag="preauth.authenticated"):
    """The MPA-SA stands: T_auth of RFC 6252 figure 10 is over."""

    realm: Realm
    method: Annotated[str, Meta(description="EAP method")]
    detail: Annotated[str, Meta(description="what the method says of the run")] = ""
    server: Annotated[str, Meta(description="home server's name, as authenticated")] = ""
    resumed: Annotated[bool, Meta(description="an earlier TLS session went on")] = False
    renewal: Annotated[bool, Meta(description="the keys of a standing MPA-SA are renewed")] = False
    messages_sent: Annotated[int, Meta(description="PANA messages to the AA", ge=0)]
    octets_sent: Annotated[int, Meta(description="their UDP payload", ge=0)]
    messages_received: Annotated[int, Meta(description="PANA messages from the AA", ge=0)]
    octets_received: Annotated[int, Meta(description="their UDP payload", ge=0)]
    round_trips: Annotated[int, Meta(description="between MN and AA", ge=0)]
    duration_ns: Annotated[
        Nanoseconds, Meta(description="T_auth: from the first PANA message, of any attempt, ns")
    ]
    lifetime_s: Annotated[int, Meta(description="of the MPA-SA, s", ge=0)]


class PreauthKeys(Event, frozen=True, kw_only=True, tag="preauth.keys"):
    """What became of the key for one point of attachment, at both ends."""

    realm: Realm
    point: Annotated[str, Meta(description="point of attachment by its name")]
    bssid: Bssid
    pmkid: Annotated[str, Meta(description="name of the key, 32 hexadecimal digits")]
    access_point: Annotated[
        Literal["installed", "pending", "declined", "unknown"],
        Meta(description="what the AA says of it"),
    ]
    supplicant: Annotated[bool, Meta(description="the MN's supplicant holds it")]
    reason: Annotated[str, Meta(description="why it does not")] = ""


class PreauthPrepared(Event, frozen=True, kw_only=True, tag="preauth.prepared"):
    """The keys are where they belong: T_conf of RFC 6252 figure 10 is over."""

    realm: Realm
    ready: Annotated[int, Meta(description="points with the key at both ends", ge=0)]
    wanted: Annotated[int, Meta(description="points in all", ge=0)]
    duration_ns: Annotated[
        Nanoseconds, Meta(description="T_conf: since `preauth.authenticated`, ns")
    ]
    total_ns: Annotated[Nanoseconds, Meta(description="T_auth and T_conf together, ns")]
    renewal: Annotated[bool, Meta(description="of the keys of a standing MPA-SA")] = False


class PreauthFailed(Event, frozen=True, kw_only=True, tag="preauth.failed"):
    """There will be no keys for this network; nothing of it is left."""

    realm: Realm
    stage: Annotated[
        Literal["authenticating", "installing keys"],
        Meta(description="how far it got"),
    ]
    reason: Annotated[str, Meta(description="why")]
    attempts: Annotated[int, Meta(description="authentications begun", ge=0)] = 0


class PreauthArrived(Event, frozen=True, kw_only=True, tag="preauth.arrived"):
    """The MN is connected to a prepared network, and tells its agent."""

    realm: Realm
    bssid: Bssid


class PreauthServing(Event, frozen=True, kw_only=True, tag="preauth.serving"):
    """The agent knows that the MN has arrived (RFC 5873 s3)."""

    realm: Realm
    bssid: Bssid
    duration_ns: Annotated[Nanoseconds, Meta(description="since `preauth.arrived`, ns")]


class PreauthLeft(Event, frozen=True, kw_only=True, tag="preauth.left"):
    """The MN left a prepared network, whose association is kept for a return."""

    realm: Realm
    hold_s: Annotated[float, Meta(description="for so long from now, s", ge=0)]


class PreauthMissed(Event, frozen=True, kw_only=True, tag="preauth.missed"):
    """At a prepared point of attachment full EAP ran after all: the key was stale or gone."""

    realm: Realm
    bssid: Bssid


class PreauthDropped(Event, frozen=True, kw_only=True, tag="preauth.dropped"):
    """Points of attachment left out, so that the supplicant's key cache does not overflow."""

    realm: Realm
    count: Annotated[int, Meta(description="how many", ge=1)]
    bssids: Annotated[tuple[str, ...], Meta(description="their BSSIDs")]


class PreauthDescribed(Event, frozen=True, kw_only=True, tag="preauth.described"):
    """The agent of a prepared network told, under the MPA-SA, what networks it knows (R29)."""

    realm: Realm
    own: Annotated[str, Meta(description="of its own network (docs/discovery.md), in hex")] = ""
    others: Annotated[str, Meta(description="of other networks, in hex")] = ""
    count: Annotated[int, Meta(description="networks", ge=0)]
    duration_ns: Nanoseconds = 0


class PreauthExpired(Event, frozen=True, kw_only=True, tag="preauth.expired"):
    """The lifetime of an MPA-SA is over, and it was not renewed; its keys are removed."""

    realm: Realm


class PreauthEnded(Event, frozen=True, kw_only=True, tag="preauth.ended"):
    """A preparation is over for another reason; its keys are removed."""

    realm: Realm
    cause: Annotated[
        Literal[
            "released",
            "hold over",
            "no room",
            "ended by the agent",
            "agent silent",
            "renewal refused",
        ],
        Meta(description="why"),
    ]
    reason: Annotated[str, Meta(description="more about it")] = ""


class PreauthDiscarded(Event, frozen=True, kw_only=True, tag="preauth.discarded"):
    """Datagrams dropped without an answer; at most one event a second, reason and network."""

    realm: Realm
    reason: Annotated[str, Meta(description="why")]
    source: Annotated[str, Meta(description="where the first of them came from")]
    count: Annotated[int, Meta(description="how many since the last event", ge=1)] = 1
    security: Annotated[bool, Meta(description="forged, replayed or tampered with")] = False


class PreauthAddress(Event, frozen=True, kw_only=True, tag="preauth.address"):
    """The agent of a held MPA-SA is told this MN's new address (R116)."""

    realm: Realm
    address: Annotated[str, Meta(description="the new one")]
