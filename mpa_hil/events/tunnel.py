"""Events of an access router's tunnels (RFC 6252 s7.4)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .base import Event

Session = Annotated[int, Meta(description="number of the session at this router", ge=0)]
MobileNode = Annotated[str, Meta(description="identity that the home network vouched for")]


class TunnelReady(Event, frozen=True, kw_only=True, tag="tunnel.ready"):
    """The access router listens for tunnel requests."""

    interface: Annotated[str, Meta(description="its link")]
    port: Annotated[int, Meta(description="UDP port", ge=0, le=65535)]
    restored: Annotated[int, Meta(description="sessions taken up after a restart", ge=0)] = 0
    dropped: Annotated[int, Meta(description="sessions that could not be", ge=0)] = 0
    swept: Annotated[int, Meta(description="devices that a killed agent had left", ge=0)] = 0


class TunnelChanged(Event, frozen=True, kw_only=True, tag="tunnel.changed"):
    """Packets for a session's inner addresses go another way."""

    session: Session
    mobile_node: MobileNode
    before: Annotated[str, Meta(description="state it was in")]
    state: Annotated[str, Meta(description="state it is in; gone: nothing of it is left")]
    cause: Annotated[str, Meta(description="what changed it")]
    inner: Annotated[list[str], Meta(description="inner addresses")]
    outer: Annotated[str, Meta(description="where the MN is")]
    protection: Annotated[str, Meta(description="plain, esp or wireguard")] = "plain"
    detained: Annotated[bool, Meta(description="at the old router (R73)")] = False
    held_ns: Annotated[int, Meta(description="how long packets were held, ns", ge=0)] = 0
    held_packets: Annotated[
        int, Meta(description="how many were held, or followed at once", ge=0)
    ] = 0
    dropped_packets: Annotated[int, Meta(description="how many were too many", ge=0)] = 0
    answer_ns: Annotated[int, Meta(description="request to answer, ns", ge=0)] = 0
    act_ns: Annotated[
        int,
        Meta(
            description="how long the kernel took for it, ns, just before; what was held leaves"
            " from its beginning on, which is also when it is held no more",
            ge=0,
        ),
    ] = 0


class TunnelChecked(Event, frozen=True, kw_only=True, tag="tunnel.checked"):
    """Duplicate address detection on the link came to an end (R96)."""

    session: Session
    inner: Annotated[list[str], Meta(description="addresses that were asked for")]
    free: Annotated[bool, Meta(description="nobody has them")]
    reason: Annotated[str, Meta(description="why they cannot be had")] = ""
    took_ms: Annotated[float, Meta(description="how long it took, ms", ge=0)] = 0


class TunnelRefused(Event, frozen=True, kw_only=True, tag="tunnel.refused"):
    """A request was refused."""

    mobile_node: MobileNode
    request: Annotated[str, Meta(description="what was asked for")]
    code: Annotated[str, Meta(description="why, as the MN is told")]
    reason: Annotated[str, Meta(description="why, in words")]
    source: Annotated[str, Meta(description="where the request came from")]


class TunnelFailed(Event, frozen=True, kw_only=True, tag="tunnel.failed"):
    """The kernel would not do what a session needs."""

    session: Session
    order: Annotated[str, Meta(description="what it should have done")]
    error: Annotated[str, Meta(description="what it said")]


class TunnelDiscarded(Event, frozen=True, kw_only=True, tag="tunnel.discarded"):
    """Datagrams that got no answer."""

    reason: Annotated[str, Meta(description="what was wrong")]
    source: Annotated[str, Meta(description="where the first came from")]
    security: Annotated[bool, Meta(description="it may have been an attack")] = False
    count: Annotated[int, Meta(description="how many within a second", ge=1)] = 1


class TunnelStore(Event, frozen=True, kw_only=True, tag="tunnel.store"):
    """The file of sessions was no good; the router begins without."""

    reason: Annotated[str, Meta(description="what was wrong")]


class TunnelSessions(Event, frozen=True, kw_only=True, tag="tunnel.sessions"):
    """All sessions, as asked for."""

    sessions: Annotated[
        list[dict[str, object]],
        Meta(description="session, mobile_node, state, inner, outer, key, left_s"),
    ]


TunnelEvent = (
    TunnelReady
    | TunnelChecked
    | TunnelChanged
    | TunnelRefused
    | TunnelFailed
    | TunnelDiscarded
    | TunnelStore
    | TunnelSessions
)
"""All of them, in the order of the reference."""
