"""Events of the policy that decides about handovers: all that it is told, all that it decides."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .base import Event


class PolicyOpened(Event, frozen=True, kw_only=True, tag="policy.opened"):
    """A policy decides for the MN from now on."""

    policy: Annotated[str, Meta(description="its name", min_length=1)]
    settings: Annotated[dict[str, object], Meta(description="its options, all of them")]


class PolicyInput(Event, frozen=True, kw_only=True, tag="policy.input"):
    """The policy was told something: from these lines `mpa-hil replay` has it decide again."""

    input: Annotated[dict[str, object], Meta(description="as in a trace (docs/policy.md)")]


class PolicyDecided(Event, frozen=True, kw_only=True, tag="policy.decided"):
    """The policy decided something on the last `policy.input`."""

    decision: Annotated[
        str,
        Meta(
            description="prepare, bind, switch, return, let-go, keep-context, probe; stay: it"
            " decided against a move"
        ),
    ]
    target: Annotated[str, Meta(description="access point that it is about")] = ""
    rule: Annotated[str, Meta(description="name of the rule that fired (docs/policy.md)")]
    inputs: Annotated[
        dict[str, int | float | str | bool | None],
        Meta(description="every value that the rule looked at"),
    ]
    level: Annotated[
        Annotated[int, Meta(ge=0, le=3)] | None,
        Meta(description="prepare: up to which level of RFC 6252 C.4"),
    ] = None
    doubtful: Annotated[bool, Meta(description="bind: the target may change, bicast is wished")] = (
        False
    )
    keep_keys: Annotated[bool, Meta(description="let-go: all but the keys")] = True
    for_ns: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="keep-context: for so long, ns")
    ] = None
    how: Annotated[str | None, Meta(description="probe: scan or reachability")] = None
    frequency_mhz: Annotated[
        int, Meta(description="probe: the channel, MHz; 0: all that are known", ge=0)
    ] = 0


class PilotBegan(Event, frozen=True, kw_only=True, tag="pilot.began"):
    """The MN's policy has the MN from now on."""

    policy: Annotated[str, Meta(description="its name")]
    network: Annotated[str, Meta(description="access point that the MN is on")]


class PilotLanded(Event, frozen=True, kw_only=True, tag="pilot.landed"):
    """The MN's policy decides no more, and what it had prepared is given back."""

    network: Annotated[str, Meta(description="access point that the MN is on")]
    linked: Annotated[bool, Meta(description="it is on it, and no switch is under way")]
    counts: Annotated[
        dict[str, int],
        Meta(
            description="switches, ping_pongs, returns, failed, full_authentications (EAP runs"
            " after a switch), decisions, probes, authentications, addresses, tunnels, octets"
            " (signalling, as counted), and of the last four what was wasted_...; 0 is left out"
        ),
    ]
    holes_ms: Annotated[
        float, Meta(description="how long the radio was off its channel for scans, ms", ge=0)
    ] = 0.0


PolicyEvent = PolicyOpened | PolicyInput | PolicyDecided | PilotBegan | PilotLanded
"""All of them, in the order of the reference."""
