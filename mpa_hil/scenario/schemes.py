"""What a lab file may say about each handover scheme, and what holds when it says nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

SCHEMES = (
    "reactive",
    "reactive-tuned",
    "rsn-preauth",
    "mpa-level1",
    "mpa-level2",
    "mpa",
    "policy",
    "l2-floor",
)
"""Every scheme that can be run, in the order of the table."""
USUAL = ("reactive", "reactive-tuned", "mpa-level1", "mpa", "l2-floor")
"""What a lab file that names none gets: `rsn-preauth` is no way into another domain."""


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


class RsnPreauth(ReactiveTuned, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """802.11i pre-authentication (IEEE 802.11 s12.6.10.2): EAPOL through the present AP and the
    distribution system to the next one; only between APs of one network."""

    fresh_scan: Annotated[
        bool,
        Meta(description="scan the next AP's channel before leaving, so that the switch need not"),
    ] = True


class MpaLevel1(ReactiveTuned, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """RFC 6252 C.4, level 1: authenticated ahead of the switch; address and binding after it."""

    fresh_scan: Annotated[
        bool,
        Meta(description="scan the next AP's channel before leaving, so that the switch need not"),
    ] = True
    deadline_s: Annotated[
        float, Meta(description="longest that a pre-authentication may take", gt=0, le=600)
    ] = 30.0
    discovery: Annotated[
        Literal["lab-file", "air", "service"],
        Meta(
            description="how the MN learns of the next network: told beforehand, by its present AP"
            " (802.11k, ANQP), or by the authentication agent where it is"
        ),
    ] = "lab-file"

    @property
    def discovers(self) -> bool:
        """Whether the MN knows nothing of the next network before it asks."""
        return self.discovery != "lab-file"


class MpaLevel2(MpaLevel1, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """RFC 6252 C.4, level 2: authenticated and configured ahead; binding after the switch."""

    hold: Annotated[
        Literal["old", "off"],
        Meta(
            description="have the router that is left hold what comes for the old address, and"
            " forward it to the new one; it takes an MPA-SA with that network too"
        ),
    ] = "off"
    hold_limit_octets: Annotated[
        int,
        Meta(description="most octets held; what is more is dropped", ge=2000, le=1 << 30),
    ] = 1 << 20
    hold_limit_packets: Annotated[
        int,
        Meta(description="most packets held; what is more is dropped", ge=1, le=1 << 20),
    ] = 2048
    hold_limit_ms: Annotated[
        int, Meta(description="nothing is held for longer", ge=10, le=60_000)
    ] = 2000


class Mpa(MpaLevel2, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """RFC 6252 s6.3, all six steps (C.4, level 3): bound ahead too, over a tunnel to the next
    router; nothing is left for after the switch."""

    protection: Annotated[
        Literal["esp", "plain", "wireguard"],
        Meta(description="of the tunnel to the next router, with keys from the MN-AR key"),
    ] = "esp"
    hold: Annotated[
        Literal["next", "old", "both", "off"],
        Meta(
            description="where packets wait while the link switches: at the next router; at the"
            " one that is left, which forwards them; what is bound for the new address at the"
            " next and all else at the old; or nowhere"
        ),
    ] = "next"  # type: ignore[assignment]  # more places, since there is a tunnel
    bicast: Annotated[
        bool,
        Meta(
            description="instead of holding, the next router sends to both places: into the tunnel"
            " and onto its link; what comes twice is counted as duplicated"
        ),
    ] = False
    route_optimisation: Annotated[
        bool,
        Meta(
            description="with Mobile IPv6: the CN is told the new address too, and packets take the"
            " straight way (RFC 6275 s11.7.2)"
        ),
    ] = False
    control: Annotated[
        bool,
        Meta(description="also run once without holding: packets must then be lost"),
    ] = True


class Piloted(Mpa, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of RFC 6252 at the hands of a policy (`[policy]`), which decides when what is done; the
    table's other times and thresholds mean nothing to it."""

    hold: Annotated[
        Literal["next", "off"],
        Meta(
            description="where packets wait while the link switches: at the next router, or nowhere"
        ),
    ] = "next"

    control: Annotated[
        bool,
        Meta(description="there is no run without holding: what it would lose, `mpa` tells"),
    ] = False

    doubt_limit_ms: Annotated[
        int,
        Meta(
            description="with Mobile IPv4: where the policy binds in doubt (R35, R109), the home"
            " agent keeps the former binding beside the new one for so long at most, and the MN"
            " takes each packet once; 0: it does not",
            ge=0,
            le=60_000,
        ),
    ] = 3000


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
    rename={
        "reactive_tuned": "reactive-tuned",
        "rsn_preauth": "rsn-preauth",
        "mpa_level1": "mpa-level1",
        "mpa_level2": "mpa-level2",
        "l2_floor": "l2-floor",
    },
):
    """Options of each scheme."""

    reactive: Annotated[Reactive, Meta(description="options of `reactive`")] = Reactive()
    reactive_tuned: Annotated[ReactiveTuned, Meta(description="options of `reactive-tuned`")] = (
        ReactiveTuned()
    )
    rsn_preauth: Annotated[RsnPreauth, Meta(description="options of `rsn-preauth`")] = RsnPreauth()
    mpa_level1: Annotated[MpaLevel1, Meta(description="options of `mpa-level1`")] = MpaLevel1()
    mpa_level2: Annotated[MpaLevel2, Meta(description="options of `mpa-level2`")] = MpaLevel2()
    mpa: Annotated[Mpa, Meta(description="options of `mpa`")] = Mpa()
    policy: Annotated[Piloted, Meta(description="options of `policy`")] = Piloted()
    l2_floor: Annotated[L2Floor, Meta(description="options of `l2-floor`")] = L2Floor()
