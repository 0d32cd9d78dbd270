"""Faults that a lab file asks for: what fails, when, and where the mobile node must end then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta

from .network import Table

What = Literal[
    "kill",
    "stop",
    "lose",
    "duplicate",
    "delay",
    "corrupt",
    "refuse",
    "pool-empty",
    "duplicate-address",
    "tunnel-refused",
]
End = Literal["any", "moved", "stayed"]

PROCESSES: Final = ("kill", "stop")
"""What is done to an agent or a daemon."""
MESSAGES: Final = ("lose", "duplicate", "delay", "corrupt")
"""What is done to a message itself."""
BEGINNING, PREPARED = "beginning", "prepared"
MOMENTS: Final[Mapping[str, str]] = {
    BEGINNING: "before the MN prepares anything",
    PREPARED: "once it is prepared and armed, before its signal fades",
}
SIGNALS: Final[Mapping[str, tuple[str, ...]]] = {
    "1 pre-authentication": (
        "pana-initiation",
        "pana-request",
        "pana-answer",
        "radius-request",
        "radius-answer",
        "keys-to-ca",
        "keys-to-ar",
        "keys-to-ap",
    ),
    "2 pre-configuration": (
        "configure",
        "configure-answer",
        "dhcp-discover",
        "dhcp-offer",
        "dhcp-request",
        "dhcp-ack",
        "create",
        "create-answer",
    ),
    "3 binding": ("registration", "registration-answer"),
    "4 pre-switching": ("disable", "disable-answer"),
    "5 switching": ("leave",),
    "6 post-switching": (
        "arrived",
        "arrived-answer",
        "delete",
        "delete-answer",
        "take-over",
        "take-over-answer",
        "pana-notification",
        "pana-notification-answer",
    ),
}
"""Messages that a fault can be tied to, by the step of RFC 6252 s6.3 that they belong to."""
SWITCH_STEPS: Final = ("4 pre-switching", "5 switching", "6 post-switching")
STEP_OF: Final = {message: step for step, messages in SIGNALS.items() for message in messages}


class Fault(Table, frozen=True, kw_only=True):
    """One run that something goes wrong in, and where it must end."""

    name: Annotated[str, Meta(description="letters, digits, - and _; names the run")]
    schemes: Annotated[
        tuple[str, ...], Meta(description="schemes that it is tried on, of those that are run")
    ] = ("mpa",)
    what: Annotated[
        What,
        Meta(
            description="`kill` (SIGKILL) or `stop` (SIGSTOP) a process; `lose`, `duplicate`,"
            " `delay` or `corrupt` the message itself; `refuse`: an AP takes the MN no more;"
            " `pool-empty`: the next domain has no address to lease; `duplicate-address`: somebody"
            " on the next domain's link takes the address that the MN is just being leased;"
            " `tunnel-refused`: the next access router cannot make the tunnel"
        ),
    ]
    at: Annotated[
        str,
        Meta(
            description="the moment: `beginning` (before the MN prepares), `prepared` (before the"
            " signal fades), or a message's passing the box that serves the MN: docs/faults.md"
            " lists them"
        ),
    ] = BEGINNING
    target: Annotated[
        str | None,
        Meta(
            description="for kill and stop: `B-aa`, `B-ca`, `B-ar`, `B-dhcp`, `B-aaa`,"
            " `home-agent`, `home-aaa`, `b1-ep`, `b1-hostapd`, `mn-supplicant`; for refuse: an AP"
        ),
    ] = None
    restart_ms: Annotated[
        Annotated[float, Meta(ge=0, le=600_000)] | None,
        Meta(description="what was killed is started again so long after; left out: after the run"),
    ] = None
    for_ms: Annotated[
        float,
        Meta(description="how long a message is delayed or a process stopped", gt=0, le=600_000),
    ] = 2000.0
    skip: Annotated[
        int, Meta(description="so many messages of that kind pass before", ge=0, le=1000)
    ] = 0
    times: Annotated[int, Meta(description="to so many messages in turn", ge=1, le=1000)] = 1
    end: Annotated[
        End,
        Meta(
            description="where the MN must be at the end: `moved`, on the next network with the new"
            " binding; `stayed`, on its own with the old one; `any`: one of the two"
        ),
    ] = "any"


def targets(domains: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """What `kill` and `stop` can be aimed at, in a lab with these domains and their APs."""
    found = ["home-agent", "home-aaa", "mn-supplicant"]
    for domain, aps in domains.items():
        found += [f"{domain}-{agent}" for agent in ("aa", "ca", "ar", "dhcp", "aaa")]
        found += [f"{ap}-{part}" for ap in aps for part in ("ep", "hostapd")]
    return tuple(found)
