"""Where in a run's streams its blackouts lie, and how a run divides in time. Pure.

How long a blackout was is the summary's word; here is only looked up which hole it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mpa_hil.events.run import PREPARATION
from mpa_hil.report.html.data import Happening, Packet, Stream, Trace
from mpa_hil.report.run_parts import SwitchSummary
from mpa_hil.report.summary import FlowSummary

FIRST_PACKET = "first-packet"
RECOVERY_NS = 100_000_000
"""As in `mpa_hil.evaluation.flows`: a hole so soon after the first packet still belongs to it."""
AFTER_NS = 2_000_000_000
"""What comes later after a switch, another one following, is no part of it."""
_SLACK_NS = 2_000
"""Between the summary's figure and the same from packets.csv: both are whole nanoseconds."""
_LEAST_MARGIN_NS = 60_000_000
"""Shown before and after a switch at least: three packets of a call."""
_MARGIN = 0.25
"""Of the switch's own length, shown before and after it."""


@dataclass(frozen=True, slots=True)
class Hole:
    """The largest hole of a stream."""

    start_ns: int
    end_ns: int
    before: Packet
    after: Packet | None
    """None: nothing came after it."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase as the event log has it."""

    name: str
    start_ns: int
    end_ns: int
    outcome: str


def triggers(events: Sequence[Happening]) -> list[int]:
    """When each switch of a run began: a trigger counts once the one before it is over."""
    found: list[int] = []
    waiting = False
    for event in events:
        if event.type == "trigger.fired" and (waiting or not found):
            found.append(event.t_ns)
            waiting = False
        elif event.type == "phase.started" and event.text("phase") == FIRST_PACKET:
            waiting = bool(found)
    return found


def switch(trace: Trace) -> SwitchSummary | None:
    """Of a run with several switches the one that is drawn; None: it has but one."""
    return trace.run.switches[trace.switch] if trace.run.switches else None


def trigger_ns(trace: Trace) -> int | None:
    """When the switch that is drawn began."""
    found = triggers(trace.events)
    return found[trace.switch] if trace.switch < len(found) else None


def first_packet_ns(trace: Trace) -> int | None:
    """When it was over: the trigger and the summary's total."""
    chosen, begun_ns = switch(trace), trigger_ns(trace)
    total_ms = trace.run.phases_ms.get("total") if chosen is None else chosen.total_ms
    return None if begun_ns is None or total_ms is None else begun_ns + round(total_ms * 1e6)


def own_events(trace: Trace) -> Sequence[Happening]:
    """The events of the switch that is drawn: from the end of the one before it to the next one.

    What prepares the next one belongs to that; what comes late may do so, too.
    """
    found = triggers(trace.events)
    over_ns = first_packet_ns(trace)
    since_ns, until_ns = 0, None
    if 0 < trace.switch < len(found):
        since_ns = max(
            event.t_ns
            for event in trace.events
            if event.t_ns < found[trace.switch] and event.text("phase") == FIRST_PACKET
        )
    if trace.switch + 1 < len(found) and over_ns is not None:
        ahead = (
            event.t_ns
            for event in trace.events
            if event.type == "phase.started" and event.text("phase") in PREPARATION
        )
        until_ns = min((t for t in ahead if t > over_ns), default=found[trace.switch + 1])
        until_ns = min(until_ns, over_ns + AFTER_NS)
    return [
        event
        for event in trace.events
        if event.t_ns > since_ns and (until_ns is None or event.t_ns < until_ns)
    ]


def phases(events: Sequence[Happening]) -> list[Phase]:
    """All phases that the mobile node told of, in order of their beginning.

    One that was skipped is left out; one without an end lasts until the last event.
    """
    open_: dict[str, int] = {}
    found: list[Phase] = []
    for event in events:
        name = event.text("phase")
        if event.type == "phase.started":
            open_.setdefault(name, event.t_ns)
        elif event.type == "phase.ended" and name in open_:
            outcome = event.text("outcome") or "done"
            start_ns = open_.pop(name)
            if outcome != "skipped":
                found.append(Phase(name, start_ns, event.t_ns, outcome))
    last_ns = events[-1].t_ns if events else 0
    found += [Phase(name, start_ns, last_ns, "open") for name, start_ns in open_.items()]
    return sorted(found, key=lambda phase: (phase.start_ns, -phase.end_ns))


def span(trace: Trace) -> tuple[int, int] | None:
    """What the plots show: the switch with a margin. None where the log has no switch."""
    begun_ns = trigger_ns(trace)
    if begun_ns is None:
        return None
    ended_ns = first_packet_ns(trace)
    if ended_ns is None:
        ended_ns = own_events(trace)[-1].t_ns
    found = [
        (hole.start_ns - shift_ns(stream), hole.end_ns - shift_ns(stream))
        for stream in gap_streams(trace)
        if (hole := blackout(trace, stream)) is not None
    ]
    start_ns = min([begun_ns, *(start_ns for start_ns, _ in found)])
    end_ns = max([ended_ns, *(end_ns for _, end_ns in found)])
    margin_ns = max(_LEAST_MARGIN_NS, round(_MARGIN * (end_ns - start_ns)))
    return start_ns - margin_ns, end_ns + margin_ns


def gap_streams(trace: Trace) -> list[Stream]:
    """Both directions of the flow that the blackout is measured with."""
    return [stream for stream in trace.streams if stream.flow == trace.run.gap_flow]


def figures(trace: Trace, stream: Stream) -> FlowSummary | None:
    """What the summary says of a stream; None: nothing."""
    flow = trace.run.flows.get(stream.flow)
    if flow is None:
        return None
    return flow.downlink if stream.direction == "downlink" else flow.uplink


def gap_ms(trace: Trace, stream: Stream) -> float | None:
    """The summary's figure of a stream, for the switch that is drawn; None: it has none."""
    chosen = switch(trace)
    if chosen is not None:
        return chosen.gap_ms.get(stream.direction) if stream.flow == trace.run.gap_flow else None
    one = figures(trace, stream)
    return None if one is None else one.gap_ms


def one_clock(trace: Trace, stream: Stream) -> bool:
    """Whether sender and receiver read one clock: where they do the summary has a delay."""
    one = figures(trace, stream)
    return one is None or not one.received or one.delay_ms.p50 is not None


def transit_ns(stream: Stream) -> int:
    """The shortest time that a packet took, clocks' difference included; 0 without arrivals."""
    times = (p.received_ns - p.sent_ns for p in stream.packets if p.received_ns is not None)
    return min(times, default=0)


def shift_ns(stream: Stream) -> int:
    """What arrivals are later than on the MN's clock what made them: an uplink's transit."""
    return transit_ns(stream) if stream.direction == "uplink" else 0


def blackout(trace: Trace, stream: Stream) -> Hole | None:
    """The hole that a stream's `gap_ms` is the length of, on its receiver's clock.

    None: it cannot be told.
    """
    begun_ns, ended_ns, gap = trigger_ns(trace), first_packet_ns(trace), gap_ms(trace, stream)
    if begun_ns is None or gap is None:
        return None
    arrived = sorted((p.received_ns, p) for p in stream.packets if p.received_ns is not None)
    if not arrived:
        return None
    later_ns = shift_ns(stream)
    last_ns = begun_ns if ended_ns is None else ended_ns
    since_ns, until_ns = begun_ns + later_ns, last_ns + later_ns + RECOVERY_NS
    best: Hole | None = None
    for (one_ns, one), (next_ns, following) in pairwise(arrived):
        if next_ns < since_ns or (ended_ns is not None and one_ns > until_ns):
            continue
        if best is None or next_ns - one_ns > best.end_ns - best.start_ns:
            best = Hole(one_ns, next_ns, one, following)
    end_ns, packet = arrived[-1]
    missing_ns = round(gap * 1e6)
    if best is None or best.end_ns - best.start_ns < missing_ns - _SLACK_NS:
        return Hole(end_ns, end_ns + missing_ns, packet, None)
    return best
