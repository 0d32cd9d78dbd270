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


class MobileNodeDetached(Event, frozen=True, kw_only=True, tag="mobile_node.detached"):
    """The MN has given back binding and address, and let go of its supplicant."""
