"""What a lab file may say about each handover scheme, and what holds when it says nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

SCHEMES = ("reactive", "reactive-tuned", "l2-floor")
"""Every scheme that can be run, in the order of the table."""


class Reactive(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Break before make, as clients come out of the box."""

    scan: Annotated[
        Literal["all", "known"],
        Meta(description="channels scanned after the loss: all, or only those of the lab's APs"),
    ] = "all"
    pmksa_caching: Annotated[
        bool,
        Meta(description="keep and use PMKs of earlier full authentications, opportunistically"),
    ] = False
    dhcp_rapid_commit: Annotated[
        bool | None,
        Meta(description="two-message DHCP (RFC 4039); left out: as the domain says"),
    ] = None
    dhcp_conflict_check: Annotated[
        bool | None,
        Meta(description="the server probes an address first; left out: as the domain says"),
    ] = None


class ReactiveTuned(Reactive, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Break before make with what a careful administrator switches on today."""

    scan: Annotated[
        Literal["all", "known"],
        Meta(description="channels scanned after the loss: all, or only those of the lab's APs"),
    ] = "known"
    pmksa_caching: Annotated[
        bool,
        Meta(description="keep and use PMKs of earlier full authentications, opportunistically"),
    ] = True
    dhcp_rapid_commit: Annotated[
        bool | None,
        Meta(description="two-message DHCP (RFC 4039); left out: as the domain says"),
    ] = True
    dhcp_conflict_check: Annotated[
        bool | None,
        Meta(description="the server probes an address first; left out: as the domain says"),
    ] = False


class L2Floor(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The bare link-layer switch: two APs on one subnet, pre-shared keys, nothing above."""

    hold: Annotated[
        bool,
        Meta(description="hold the downlink at the access router while the link switches"),
    ] = True
    hold_limit_octets: Annotated[
        int,
        Meta(description="most octets held; what is more is dropped", ge=2000, le=1 << 30),
    ] = 1 << 20
    control: Annotated[
        bool,
        Meta(description="also run once without holding: packets must then be lost"),
    ] = True


class Schemes(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    rename={"reactive_tuned": "reactive-tuned", "l2_floor": "l2-floor"},
):
    """Options of each scheme."""

    reactive: Annotated[Reactive, Meta(description="options of `reactive`")] = Reactive()
    reactive_tuned: Annotated[ReactiveTuned, Meta(description="options of `reactive-tuned`")] = (
        ReactiveTuned()
    )
    l2_floor: Annotated[L2Floor, Meta(description="options of `l2-floor`")] = L2Floor()
