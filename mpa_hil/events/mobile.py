"""Events of the mobile node's agent (`mpa_hil.agents.mobile_node`)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .base import Event


class MobileNodeReady(Event, frozen=True, kw_only=True, tag="mobile_node.ready"):
    """The MN's agent waits for commands."""


class MobileNodeOpened(Event, frozen=True, kw_only=True, tag="mobile_node.opened"):
    """The MN's agent speaks to a supplicant, which knows all networks that the MN knows."""

    networks: Annotated[int, Meta(description="networks that it was given", ge=0)] = 0


class MobileNodeLearnt(Event, frozen=True, kw_only=True, tag="mobile_node.learnt"):
    """The supplicant knows one more access point."""

    network: Annotated[str, Meta(description="the access point; its BSSID if it has no name")]


class MobileNodeVisited(Event, frozen=True, kw_only=True, tag="mobile_node.visited"):
    """The MN has joined an access point and left it again, before anything is measured."""

    network: Annotated[str, Meta(description="the access point")]


class MobileNodeAttached(Event, frozen=True, kw_only=True, tag="mobile_node.attached"):
    """The MN is on a network, with an address, and bound where it has a home agent."""

    network: Annotated[str, Meta(description="access point by its name in the lab file")]
    address: Annotated[str, Meta(description="care-of address, or the only one")]
    bound: Annotated[bool, Meta(description="the home agent knows it")] = False


class MobileNodePreauthenticated(
    Event, frozen=True, kw_only=True, tag="mobile_node.preauthenticated"
):
    """802.11i pre-authentication is done: the supplicant holds a PMK for that access point."""

    network: Annotated[str, Meta(description="the access point")]


class MobileNodeArmed(Event, frozen=True, kw_only=True, tag="mobile_node.armed"):
    """From now on the MN moves as soon as its rule says so."""

    network: Annotated[str, Meta(description="where it will go")]
    leave_dbm: Annotated[int, Meta(description="signal below which it leaves, dBm")]


class HandoverReady(Event, frozen=True, kw_only=True, tag="handover.ready"):
    """A handover by RFC 6252 s6.3 is prepared as far as it goes."""

    network: Annotated[str, Meta(description="where it will go")]
    level: Annotated[
        int,
        Meta(
            description="of RFC 6252 C.4: 0 nothing, 1 authenticated, 2 configured, 3 bound",
            ge=0,
            le=3,
        ),
    ]
    cause: Annotated[str, Meta(description="why no more, when less than asked for")] = ""


class HandoverFinished(Event, frozen=True, kw_only=True, tag="handover.finished"):
    """A handover is over: nothing more is under way, nothing held for the other network."""

    network: Annotated[str, Meta(description="where it was to go")]
    outcome: Annotated[
        str, Meta(description="moved (new binding), stayed (old binding), lost (no network)")
    ]
    level: Annotated[int, Meta(description="what was prepared when the node left", ge=0, le=3)] = 0
    cause: Annotated[str, Meta(description="what went wrong first")] = ""
    confirmed: Annotated[bool, Meta(description="the home agent confirmed the binding")] = True
    unanswered: Annotated[
        tuple[str, ...], Meta(description="what peers did not confirm in time")
    ] = ()


class MobileNodeDetached(Event, frozen=True, kw_only=True, tag="mobile_node.detached"):
    """The MN has given back binding and address, and let go of its supplicant."""
