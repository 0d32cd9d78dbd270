"""Events of the network layer: DHCP, Mobile IPv4, holding packets."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from .base import Event


class DhcpSent(Event, frozen=True, kw_only=True, tag="dhcp.sent"):
    """The DHCP client sent a message."""

    message: Annotated[str, Meta(description="DISCOVER, REQUEST, ...")]
    transaction: Annotated[int, Meta(description="transaction id (RFC 2131 s2)", ge=0)] = 0


class DhcpReceived(Event, frozen=True, kw_only=True, tag="dhcp.received"):
    """The DHCP client received a message."""

    message: Annotated[str, Meta(description="OFFER, ACK, NAK")]
    transaction: Annotated[int, Meta(description="transaction id (RFC 2131 s2)", ge=0)] = 0
    address: Annotated[str, Meta(description="address offered or leased")] = ""


class DhcpBound(Event, frozen=True, kw_only=True, tag="dhcp.bound"):
    """The MN has a leased care-of address on its interface."""

    address: Annotated[str, Meta(description="the address")]
    router: Annotated[str, Meta(description="default router")] = ""
    lease_s: Annotated[int, Meta(description="lease time, s", ge=0)] = 0
    dns: Annotated[tuple[str, ...], Meta(description="DNS servers")] = ()
    paa: Annotated[
        tuple[str, ...], Meta(description="authentication agents (RFC 5192 option 136)")
    ] = ()


class Mip4Request(Event, frozen=True, kw_only=True, tag="mip4.request"):
    """A Mobile IPv4 registration request was sent (RFC 5944 s3.3)."""

    home_address: Annotated[str, Meta(description="the MN's home address")]
    care_of: Annotated[str, Meta(description="its care-of address")]
    lifetime_s: Annotated[int, Meta(description="asked for, s; 0 deregisters", ge=0)]
    attempt: Annotated[int, Meta(description="1 for the first sending", ge=1)] = 1


class Mip4Reply(Event, frozen=True, kw_only=True, tag="mip4.reply"):
    """A Mobile IPv4 registration reply came (RFC 5944 s3.4)."""

    code: Annotated[int, Meta(description="0 and 1 accept, others refuse", ge=0, le=255)]
    lifetime_s: Annotated[int, Meta(description="granted, s", ge=0)] = 0
    text: Annotated[str, Meta(description="what the code means")] = ""


class Mip4Ready(Event, frozen=True, kw_only=True, tag="mip4.ready"):
    """A Mobile IPv4 agent listens."""

    address: Annotated[str, Meta(description="its own address")]
    port: Annotated[int, Meta(description="UDP port", ge=0, le=65535)] = 434


class Mip4Binding(Event, frozen=True, kw_only=True, tag="mip4.binding"):
    """The home agent's binding of a mobile node changed, in the kernel too."""

    change: Annotated[
        Literal["added", "changed", "refreshed", "removed"], Meta(description="how it changed")
    ]
    home_address: Annotated[str, Meta(description="the MN's home address")]
    care_of: Annotated[str, Meta(description="where it is")]
    lifetime_s: Annotated[int, Meta(description="granted, s", ge=0)]
    previous: Annotated[str, Meta(description="care-of address before, when it changed")] = ""
    reason: Annotated[str, Meta(description="why it was removed")] = ""
    kernel_ns: Annotated[int, Meta(description="time the kernel took, ns", ge=0)] = 0


class Mip4Copies(Event, frozen=True, kw_only=True, tag="mip4.copies"):
    """What goes to a mobile node goes to other care-of addresses too, or not any more."""

    home_address: Annotated[str, Meta(description="the MN's home address")]
    care_of: Annotated[str, Meta(description="its latest")]
    others: Annotated[
        str,
        Meta(description="those that get copies, the latest last (RFC 5944, S bit); empty: none"),
    ] = ""
    kernel_ns: Annotated[int, Meta(description="time the kernel took, ns", ge=0)] = 0


class Mip4Bindings(Event, frozen=True, kw_only=True, tag="mip4.bindings"):
    """All bindings of the home agent, as asked for."""

    bindings: Annotated[dict[str, str], Meta(description="care-of address by home address")] = (
        field(default_factory=dict)
    )


class Mip4Refused(Event, frozen=True, kw_only=True, tag="mip4.refused"):
    """The home agent denied a registration."""

    home_address: Annotated[str, Meta(description="the MN's home address")]
    care_of: Annotated[str, Meta(description="care-of address asked for")]
    code: Annotated[int, Meta(description="code of the reply", ge=0, le=255)]
    text: Annotated[str, Meta(description="what the code means")] = ""
    why: Annotated[str, Meta(description="what was wrong, in particular")] = ""
    source: Annotated[str, Meta(description="address that it came from")] = ""


class Mip4Discarded(Event, frozen=True, kw_only=True, tag="mip4.discarded"):
    """A datagram that was no good, or one that could not be sent."""

    reason: Annotated[str, Meta(description="what was wrong")]
    source: Annotated[str, Meta(description="the other end's address")] = ""
    security: Annotated[bool, Meta(description="it may have been an attack")] = False


class Mip4KernelFailed(Event, frozen=True, kw_only=True, tag="mip4.kernel_failed"):
    """The kernel refused what a binding needs."""

    error: Annotated[str, Meta(description="what it said")]


class HoldReady(Event, frozen=True, kw_only=True, tag="hold.ready"):
    """An access router can hold packets."""

    interface: Annotated[str, Meta(description="interface that they would leave through")]
    port: Annotated[int, Meta(description="UDP port for requests", ge=0, le=65535)] = 0


class HoldStarted(Event, frozen=True, kw_only=True, tag="hold.started"):
    """A node's packets are held from now on."""

    address: Annotated[str, Meta(description="whose packets")]
    limit_octets: Annotated[int, Meta(description="most octets that are held", ge=0)] = 0
    cause: Annotated[str, Meta(description="request or command")] = ""
    answer_ns: Annotated[int, Meta(description="request to acknowledgement, ns", ge=0)] = 0


class HoldReleased(Event, frozen=True, kw_only=True, tag="hold.released"):
    """Held packets are on their way, in order."""

    address: Annotated[str, Meta(description="whose packets")]
    cause: Annotated[str, Meta(description="request, limit, command, removal or stop")] = ""
    attempts: Annotated[int, Meta(description="requests until it was acknowledged", ge=0)] = 0
    held_packets: Annotated[int, Meta(description="how many were held", ge=0)] = 0
    dropped_packets: Annotated[int, Meta(description="how many were too many", ge=0)] = 0
    held_ns: Annotated[int, Meta(description="how long, ns", ge=0)] = 0
    answer_ns: Annotated[int, Meta(description="request to acknowledgement, ns", ge=0)] = 0


class HoldFailed(Event, frozen=True, kw_only=True, tag="hold.failed"):
    """The kernel refused to hold or to release."""

    address: Annotated[str, Meta(description="whose packets")]
    error: Annotated[str, Meta(description="what it said")]


class HoldDiscarded(Event, frozen=True, kw_only=True, tag="hold.discarded"):
    """A request that was no good, or an acknowledgement that could not be sent."""

    reason: Annotated[str, Meta(description="what was wrong")]
    source: Annotated[str, Meta(description="the other end's address")] = ""


class HoldBacklog(Event, frozen=True, kw_only=True, tag="hold.backlog"):
    """What is held now, as asked for."""

    address: Annotated[str, Meta(description="whose packets")]
    packets: Annotated[int, Meta(description="packets held", ge=0)]
    octets: Annotated[int, Meta(description="octets held", ge=0)]
    dropped: Annotated[int, Meta(description="packets that were too many", ge=0)] = 0
