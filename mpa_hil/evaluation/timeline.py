"""A handover's instants and phases, read off its events. Pure.

The events that count are those of the mobile node; all times are its CLOCK_MONOTONIC, ns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mpa_hil.events import (
    AnyEvent,
    PhaseEnded,
    PhaseStarted,
    PreauthAuthenticated,
    PreauthPrepared,
    TriggerFired,
    WpaEvent,
)
from mpa_hil.events.run import PREPARATION, Phase
from mpa_hil.report import summary as report
from mpa_hil.report.summary import complete_phases
from radios import wpa_events
from radios.wpa_text import find_mac

MOBILE_NODE = "mn"
FIRST_PACKET: Phase = "first-packet"
AUTHENTICATED, INSTALLED, *_ = PREPARATION
BOUND: Phase = "binding-update"
"""Ahead of the switch at level 3 of RFC 6252 C.4, else after it."""
_ADDRESS_PHASES = ("dhcp", "binding-update")
_DRAINING: Phase = "pre-switching"
_ARRIVAL: Phase = "arrival"
_NEVER_NS = 1 << 63
_LEAVING_PHASES = ("scan", "authentication")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time; an event at either end belongs to it."""

    start_ns: int
    end_ns: int

    def __contains__(self, t_ns: int) -> bool:
        return self.start_ns <= t_ns <= self.end_ns


@dataclass(frozen=True, slots=True)
class Timeline:
    """What the mobile node told of one handover."""

    trigger_ns: int
    """The rule fired: the handover begins."""
    port_open_ns: int | None = None
    """CTRL-EVENT-CONNECTED of the new PoA: data may pass."""
    bssid: str | None = None
    """The new PoA, as that event names it."""
    leaving_ns: int | None = None
    """Scan or authentication began: the old PoA had been left by then."""
    arrived_ns: int | None = None
    """The mobile node is done and waits for the first packet."""
    phases: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    """Spans by the event log's name; a phase may be gone through several times."""
    prepared: Mapping[str, Span] = field(default_factory=dict)
    """What was done well before the trigger, by the event log's name; the last of each."""

    @property
    def preparation_ms(self) -> dict[str, float]:
        """How long each part of the preparation took, by the summary's name."""
        named = zip((*PREPARATION, BOUND), report.PREPARATION, strict=True)
        return {
            key: (self.prepared[name].end_ns - self.prepared[name].start_ns) / 1e6
            for name, key in named
            if name in self.prepared
        }

    @property
    def readdressed(self) -> bool:
        """Whether the MN has got another care-of address."""
        return any(name in self.phases for name in _ADDRESS_PHASES)

    @property
    def drained_ns(self) -> int | None:
        """The MN had everything that was sent to it before its packets were held."""
        spans = self.phases.get(_DRAINING, ())
        return spans[-1].end_ns if spans else None

    @property
    def answered_ns(self) -> int | None:
        """The next access router's word reached the MN at its new address."""
        spans = self.phases.get(_ARRIVAL, ())
        return spans[0].end_ns if spans else None

    def phases_ms(self, first_packet_ns: int) -> dict[str, float]:
        """Time by phase from the trigger to the first packet, with remainder and total.

        What of a phase lies outside does not count. The wait for the first packet begins when the
        mobile node says so, and no other phase counts during it; a packet that came before it
        could say so makes it 0 long.
        """
        end_ns = min(first_packet_ns, self.arrived_ns or first_packet_ns)
        whole = Span(self.trigger_ns, end_ns)
        times = {
            name: sum(_overlap_ns(span, whole) for span in spans) / 1e6
            for name, spans in self.phases.items()
        }
        if self.arrived_ns is not None:
            times[FIRST_PACKET] = max(0, first_packet_ns - self.arrived_ns) / 1e6
        return complete_phases(times, (first_packet_ns - self.trigger_ns) / 1e6)


def read_timelines(events: Iterable[AnyEvent]) -> list[Timeline]:
    """Every handover that the events tell of, in order of time.

    One begins with a trigger after the one before it came as far as waiting for its first packet;
    what lies between belongs to it, for it was prepared then.
    """
    own = [event for event in events if event.host == MOBILE_NODE]
    begins: list[int] = []
    waiting = False
    for event in own:
        if isinstance(event, TriggerFired) and (waiting or not begins):
            begins.append(event.t_ns)
            waiting = False
        elif isinstance(event, PhaseStarted) and event.phase == FIRST_PACKET:
            waiting = bool(begins)
    found: list[Timeline] = []
    since_ns = 0
    for begin_ns, end_ns in zip(begins, [*begins[1:], _NEVER_NS], strict=False):
        part = [event for event in own if since_ns <= event.t_ns < end_ns]
        timeline = read_timeline(part)
        if timeline is not None:
            found.append(timeline)
            since_ns = 1 + (begin_ns if timeline.arrived_ns is None else timeline.arrived_ns)
    return found


def read_timeline(events: Iterable[AnyEvent]) -> Timeline | None:
    """The handover that the events tell of, in order of time; None when none was triggered."""
    own = [event for event in events if event.host == MOBILE_NODE]
    trigger_ns = next((e.t_ns for e in own if isinstance(e, TriggerFired)), None)
    if trigger_ns is None:
        return None
    begun: dict[str, int] = {}
    spans: dict[str, list[Span]] = {}
    prepared: dict[str, Span] = {}
    connections: list[WpaEvent] = []
    leaving_ns = arrived_ns = None
    for event in own:
        match event:
            case PhaseStarted(phase=name, t_ns=t_ns):
                begun[name] = t_ns
                if t_ns < trigger_ns:
                    continue
                if name in _LEAVING_PHASES and leaving_ns is None:
                    leaving_ns = t_ns
                if name == FIRST_PACKET and arrived_ns is None:
                    arrived_ns = t_ns
            case PhaseEnded(phase=name, outcome=outcome, t_ns=t_ns) if name in begun:
                start_ns = begun.pop(name)
                if name in PREPARATION or (name == BOUND and t_ns < trigger_ns):
                    if outcome == "done" and t_ns < trigger_ns:
                        prepared[name] = Span(start_ns, t_ns)
                    continue
                if outcome != "skipped" and t_ns >= trigger_ns and name != FIRST_PACKET:
                    spans.setdefault(name, []).append(Span(start_ns, t_ns))
            case PreauthAuthenticated(t_ns=t_ns, duration_ns=took_ns) if t_ns < trigger_ns:
                prepared[AUTHENTICATED] = Span(t_ns - took_ns, t_ns)
            case PreauthPrepared(t_ns=t_ns, duration_ns=took_ns) if t_ns < trigger_ns:
                prepared[INSTALLED] = Span(t_ns - took_ns, t_ns)
            case WpaEvent(name=wpa_events.CONNECTED, t_ns=t_ns) if t_ns >= trigger_ns:
                connections.append(event)
    opened = [e for e in connections if arrived_ns is None or e.t_ns <= arrived_ns]
    return Timeline(
        trigger_ns=trigger_ns,
        port_open_ns=opened[-1].t_ns if opened else None,
        bssid=find_mac(opened[-1].text) if opened else None,
        leaving_ns=leaving_ns,
        arrived_ns=arrived_ns,
        phases={name: tuple(found) for name, found in spans.items()},
        prepared=prepared,
    )


def _overlap_ns(one: Span, other: Span) -> int:
    return max(0, min(one.end_ns, other.end_ns) - max(one.start_ns, other.start_ns))
