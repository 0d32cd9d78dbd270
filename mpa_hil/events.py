"""The event log: what happened, when, where; the one source of phase times, tables and plots.

One JSON object a line. Agents write such lines without importing this module; whoever collects
them gives each to `decode`, which refuses what is not described here. `docs/events.md` is made
from these classes: a class is an event type, its description and its fields' are the reference.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

Phase = Literal[
    "decision",
    "scan",
    "authentication",
    "association",
    "eap",
    "four-way",
    "dhcp",
    "binding-update",
    "first-packet",
]
PHASES: tuple[str, ...] = get_args(Phase)
"""Phases of the reactive handover in their order."""
PhaseOutcome = Literal["done", "failed", "skipped"]


class Event(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Fields that every event has."""

    t_ns: Annotated[int, Meta(description="CLOCK_MONOTONIC of the host, nanoseconds", ge=0)]
    host: Annotated[str, Meta(description="box that it happened on", min_length=1)]
    agent: Annotated[str, Meta(description="program that noted it", min_length=1)]
    scheme: Annotated[str, Meta(description="scheme being run; empty outside runs")] = ""
    repeat: Annotated[int, Meta(description="which repeat of the scheme, from 0", ge=0)] = 0


class RunStarted(Event, frozen=True, kw_only=True, tag="run.started"):
    """A run of one scheme begins, on a fresh lab."""

    kind: Annotated[
        Literal["handover", "null", "control"],
        Meta(description="a handover, a run without a switch, or one without holding"),
    ] = "handover"
    seed: Annotated[int, Meta(description="start of this run's random choices")] = 0


class RunFinished(Event, frozen=True, kw_only=True, tag="run.finished"):
    """A run ended, well or not."""

    ok: Annotated[bool, Meta(description="the MN arrived and traffic flowed again")]
    reason: Annotated[str, Meta(description="why not, when not")] = ""


class PhaseStarted(Event, frozen=True, kw_only=True, tag="phase.started"):
    """A phase of the handover begins."""

    phase: Annotated[Phase, Meta(description="which phase")]
    cause: Annotated[str, Meta(description="what set it off")] = ""


class PhaseEnded(Event, frozen=True, kw_only=True, tag="phase.ended"):
    """A phase of the handover is over."""

    phase: Annotated[Phase, Meta(description="which phase")]
    outcome: Annotated[PhaseOutcome, Meta(description="how it went")] = "done"
    cause: Annotated[str, Meta(description="what ended it")] = ""


class LinkSignal(Event, frozen=True, kw_only=True, tag="link.signal"):
    """A signal sample at the MN."""

    bssid: Annotated[str, Meta(description="access point heard")]
    frequency_mhz: Annotated[int, Meta(description="channel's centre frequency, MHz", ge=0)]
    signal_dbm: Annotated[float, Meta(description="received power, dBm")]
    noise_dbm: Annotated[float | None, Meta(description="noise floor, dBm; absent: unknown")] = None
    snr_db: Annotated[float | None, Meta(description="signal over noise, dB; absent: unknown")] = (
        None
    )


class TriggerFired(Event, frozen=True, kw_only=True, tag="trigger.fired"):
    """A rule decided that the MN must move."""

    rule: Annotated[str, Meta(description="the rule's name")]
    inputs: Annotated[
        dict[str, float | str | bool | None], Meta(description="what the rule looked at")
    ] = {}


class WpaEvent(Event, frozen=True, kw_only=True, tag="wpa.event"):
    """An unsolicited message of wpa_supplicant or hostapd."""

    name: Annotated[str, Meta(description="its name, such as CTRL-EVENT-CONNECTED")]
    text: Annotated[str, Meta(description="the rest of the message, as it came")] = ""


class EapMessage(Event, frozen=True, kw_only=True, tag="eap.message"):
    """An EAP message between MN and access point."""

    direction: Annotated[
        Literal["request", "response", "success", "failure"], Meta(description="EAP code")
    ]
    count: Annotated[int, Meta(description="which one of this authentication, from 1", ge=1)]
    method: Annotated[str, Meta(description="EAP method, when known")] = ""


class AaaExchange(Event, frozen=True, kw_only=True, tag="aaa.exchange"):
    """One round trip between AAA servers or access point and AAA."""

    peer: Annotated[str, Meta(description="box that answered")]
    code: Annotated[str, Meta(description="RADIUS code of the answer")]
    round_trip_ms: Annotated[float, Meta(description="request to answer, ms", ge=0)]
    count: Annotated[int, Meta(description="which one of this authentication, from 1", ge=1)]


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


class HoldStarted(Event, frozen=True, kw_only=True, tag="hold.started"):
    """Packets for the MN are held from now on."""

    limit_packets: Annotated[int, Meta(description="most that are held", ge=0)] = 0


class HoldReleased(Event, frozen=True, kw_only=True, tag="hold.released"):
    """Held packets are on their way, in order."""

    held_packets: Annotated[int, Meta(description="how many were held", ge=0)]
    dropped_packets: Annotated[int, Meta(description="how many were too many", ge=0)] = 0


class DaemonStarted(Event, frozen=True, kw_only=True, tag="daemon.started"):
    """A daemon runs."""

    name: Annotated[str, Meta(description="the daemon")]
    pid: Annotated[int, Meta(description="its process id on the box", ge=0)]


class DaemonDied(Event, frozen=True, kw_only=True, tag="daemon.died"):
    """A daemon ended that nobody had stopped: the run fails."""

    name: Annotated[str, Meta(description="the daemon")]
    status: Annotated[int, Meta(description="exit status; negative: the signal that ended it")]
    last: Annotated[str, Meta(description="last lines of its log")] = ""


class FlowReady(Event, frozen=True, kw_only=True, tag="flow.ready"):
    """A traffic endpoint has all its sockets and waits for its start."""

    pid: Annotated[int, Meta(description="its process id on the box", ge=0)] = 0
    no_timer_slack: Annotated[
        bool, Meta(description="its sleeps end on time; else up to 50 us late")
    ] = True
    send: Annotated[dict[str, int], Meta(description="local port of each flow it sends")] = {}
    receive: Annotated[tuple[int, ...], Meta(description="ports that it receives on")] = ()


class FlowQuiet(Event, frozen=True, kw_only=True, tag="flow.quiet"):
    """A traffic endpoint has nothing left to send; it still receives."""


class FlowDone(Event, frozen=True, kw_only=True, tag="flow.done"):
    """A traffic endpoint wrote its records and ended."""

    output: Annotated[str, Meta(description="record file on the box")] = ""
    sent: Annotated[dict[str, int], Meta(description="packets offered, by flow")] = {}
    refused: Annotated[
        dict[str, int], Meta(description="of those, refused by the kernel (no route), by flow")
    ] = {}
    skipped: Annotated[
        dict[str, int], Meta(description="slots that the sender itself missed, by flow")
    ] = {}
    received: Annotated[dict[str, int], Meta(description="packets received, by port")] = {}
    dropped: Annotated[
        dict[str, int], Meta(description="lost in the socket's buffer, by port")
    ] = {}


class FlowFailed(Event, frozen=True, kw_only=True, tag="flow.failed"):
    """A traffic endpoint could not go on."""

    error: Annotated[str, Meta(description="what went wrong")]


class FlowUnknownCommand(Event, frozen=True, kw_only=True, tag="flow.unknown_command"):
    """A traffic endpoint was told something that it does not know."""

    command: Annotated[str, Meta(description="the line it was sent")]


class HostCreated(Event, frozen=True, kw_only=True, tag="host.created"):
    """A box of the lab exists."""

    kind: Annotated[str, Meta(description="namespace or machine")] = "namespace"


class HostRemoved(Event, frozen=True, kw_only=True, tag="host.removed"):
    """A box of the lab is gone, and all that ran on it."""


class Verdict(Event, frozen=True, kw_only=True, tag="verdict"):
    """What the figures may be trusted for."""

    sound: Annotated[bool, Meta(description="null run clean, control lost, observers agree")]
    reasons: Annotated[tuple[str, ...], Meta(description="why not, when not")] = ()


AnyEvent = (
    RunStarted
    | RunFinished
    | PhaseStarted
    | PhaseEnded
    | LinkSignal
    | TriggerFired
    | WpaEvent
    | EapMessage
    | AaaExchange
    | DhcpSent
    | DhcpReceived
    | DhcpBound
    | Mip4Request
    | Mip4Reply
    | HoldStarted
    | HoldReleased
    | DaemonStarted
    | DaemonDied
    | FlowReady
    | FlowQuiet
    | FlowDone
    | FlowFailed
    | FlowUnknownCommand
    | HostCreated
    | HostRemoved
    | Verdict
)
"""Every event type, in the order of the reference."""
TYPES: tuple[type[Event], ...] = get_args(AnyEvent)


def tag(kind: type[Event]) -> str:
    """The ``type`` that a class has in the log."""
    return str(kind.__struct_config__.tag)
