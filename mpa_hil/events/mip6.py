"""Events of Mobile IPv6: mobile node, home agent, correspondent (RFC 6275)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from .base import Event


class Mip6Update(Event, frozen=True, kw_only=True, tag="mip6.update"):
    """A Binding Update was sent to the home agent (s6.1.7)."""

    home_address: Annotated[str, Meta(description="the MN's home address")]
    care_of: Annotated[str, Meta(description="its care-of address; the home one deregisters")]
    attempt: Annotated[int, Meta(description="1 for the first sending", ge=1)] = 1


class Mip6Acknowledgement(Event, frozen=True, kw_only=True, tag="mip6.acknowledgement"):
    """The home agent's Binding Acknowledgement came (s6.1.8)."""

    status: Annotated[int, Meta(description="below 128: accepted", ge=0, le=255)]
    lifetime_s: Annotated[int, Meta(description="granted, s", ge=0)] = 0
    text: Annotated[str, Meta(description="what the status means")] = ""


class Mip6Route(Event, frozen=True, kw_only=True, tag="mip6.route"):
    """How the MN speaks to a correspondent has changed (s11.3.1)."""

    correspondent: Annotated[str, Meta(description="its address")]
    direct: Annotated[bool, Meta(description="directly, not through the home agent")]
    care_of: Annotated[str, Meta(description="from this care-of address, when directly")] = ""
    reason: Annotated[str, Meta(description="why no longer directly")] = ""


class Mip6Ready(Event, frozen=True, kw_only=True, tag="mip6.ready"):
    """A home agent or correspondent of Mobile IPv6 listens."""

    address: Annotated[str, Meta(description="its own address")]


class Mip6Binding(Event, frozen=True, kw_only=True, tag="mip6.binding"):
    """The binding of a mobile node changed, in the kernel too."""

    change: Annotated[
        Literal["added", "changed", "refreshed", "removed"], Meta(description="how it changed")
    ]
    home_address: Annotated[str, Meta(description="the MN's home address")]
    care_of: Annotated[str, Meta(description="where it is, or was")]
    lifetime_s: Annotated[int, Meta(description="granted, s", ge=0)]
    others: Annotated[
        tuple[str, ...], Meta(description="its other care-of addresses (RFC 5648)")
    ] = ()
    previous: Annotated[str, Meta(description="care-of address before, when it changed")] = ""
    reason: Annotated[str, Meta(description="why one was removed")] = ""
    kernel_ns: Annotated[int, Meta(description="time the kernel took, ns", ge=0)] = 0


class Mip6Bindings(Event, frozen=True, kw_only=True, tag="mip6.bindings"):
    """All bindings, as asked for."""

    bindings: Annotated[
        dict[str, tuple[str, ...]], Meta(description="care-of addresses by home address")
    ] = field(default_factory=dict)


class Mip6Refused(Event, frozen=True, kw_only=True, tag="mip6.refused"):
    """An authentic Binding Update was refused."""

    home_address: Annotated[str, Meta(description="the MN's home address")]
    care_of: Annotated[str, Meta(description="care-of address asked for")]
    status: Annotated[int, Meta(description="of the answer", ge=128, le=255)]
    why: Annotated[str, Meta(description="what was wrong")] = ""


class Mip6Discarded(Event, frozen=True, kw_only=True, tag="mip6.discarded"):
    """A Mobility Header that was no good, or one that could not be sent."""

    reason: Annotated[str, Meta(description="what was wrong")]
    source: Annotated[str, Meta(description="the other end's address")] = ""
    security: Annotated[bool, Meta(description="it may have been an attack")] = False


class Mip6KernelFailed(Event, frozen=True, kw_only=True, tag="mip6.kernel_failed"):
    """The kernel refused what a binding needs."""

    error: Annotated[str, Meta(description="what it said")]
