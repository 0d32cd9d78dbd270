"""A run's flows: joined from both endpoints' records, each with its window and its figures. Pure.

A window is on the receiver's clock and differs from flow to flow. What the MN does at time t shows
in a downlink stream at t, for the MN is its receiver, and in an uplink stream one path's delay
later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mpa_hil.evaluation.raw import RawRun
from mpa_hil.evaluation.timeline import Span, Timeline
from mpa_hil.report.summary import DIRECTIONS
from mpa_hil.scenario import Scenario
from mpa_hil.traffic import transfers
from mpa_hil.traffic.figures import (
    FlowFigures,
    Window,
    clock_difference_ns,
    figures,
    first_copies,
    shortest_transit_ns,
)
from mpa_hil.traffic.plan import PlannedFlow, planned_flows, planned_transfers
from mpa_hil.traffic.records import FlowLog, join
from mpa_hil.traffic.transfers import TransferFigures

_NEVER_NS = 1 << 62
RECOVERY_NS = 100_000_000
"""Time after the first packet in which a further hole still belongs to the handover: five packets
of a call, so that one packet that slipped through does not end the blackout. That nothing else
makes holes is what the null run is for."""


def joined(run: RawRun, scenario: Scenario) -> list[FlowLog]:
    """Every flow of the run in each direction, in the lab file's order; none without both records.

    A flow that was not planned is left out.
    """
    if run.mn is None or run.cn is None:
        return []
    apart = any(place.name in ("mn", "cn") for place in scenario.placements)
    logs = {
        (log.flow, log.direction): log
        for log in (
            *join(run.cn, run.mn, "downlink", shared_clock=not apart),
            *join(run.mn, run.cn, "uplink", shared_clock=not apart),
        )
    }
    planned = [(flow.name, flow.direction) for flow in planned_flows(scenario)]
    return [logs[key] for key in planned if key in logs]


def sending_window(log: FlowLog) -> Window:
    """From when the first packet sent was due at the receiver to when the last was."""
    if not log.sent_ns:
        return Window(0, 0)
    transit_ns = shortest_transit_ns(log)
    return Window(min(log.sent_ns) + transit_ns, max(log.sent_ns) + transit_ns)


def quiet_window(log: FlowLog) -> Window:
    """Of a run without a switch: from the first arrival to when the last packet was due.

    The first packets of a path wait for its neighbours' addresses: that is no hole in a stream.
    """
    sending = sending_window(log)
    start_ns = min((arrival.received_ns for arrival in log.arrivals), default=sending.start_ns)
    return Window(start_ns, max(start_ns, sending.end_ns))


def handover_window(log: FlowLog, trigger_ns: int, first_packet_ns: int | None) -> Window:
    """From the trigger to the first packet and `RECOVERY_NS` more, while the flow was being sent.

    Args:
        trigger_ns: on the MN's clock, as is
        first_packet_ns: None: it never came, and the window ends with the flow.
    """
    sending = sending_window(log)
    shift_ns = shortest_transit_ns(log) if log.direction == "uplink" else 0
    start_ns = max(trigger_ns + shift_ns, sending.start_ns)
    end_ns = sending.end_ns
    if first_packet_ns is not None:
        end_ns = min(end_ns, first_packet_ns + shift_ns + RECOVERY_NS)
    return Window(start_ns, max(start_ns, end_ns))


def first_packet_ns(logs: Iterable[FlowLog], timeline: Timeline) -> int | None:
    """When the first downlink packet reached the MN's kernel over the new PoA; None: none did.

    It counts from when the port opened, not from when the mobile node's program noticed that it
    was done. A lab without downlink flows has the first uplink packet that was sent then and
    reached the CN, by its arrival there (by its sending where the ends share no clock).
    """
    since_ns = timeline.port_open_ns
    if since_ns is None:
        since_ns = timeline.arrived_ns
    if since_ns is None:
        return None
    every = list(logs)
    downlink = [log for log in every if log.direction == "downlink"]
    if downlink:
        times = [a.received_ns for log in downlink for a in log.arrivals]
        return min((t for t in times if t >= since_ns), default=None)
    return min(
        (
            arrival.received_ns - clock_difference_ns(log)
            for log in every
            for arrival in log.arrivals
            if arrival.sent_ns >= since_ns
        ),
        default=None,
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """One flow in one direction, with the window that its gap was looked for in."""

    log: FlowLog
    plan: PlannedFlow
    window: Window
    figures: FlowFigures

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.log.flow} {self.log.direction}"


def measure(
    logs: Iterable[FlowLog], scenario: Scenario, span: tuple[int, int | None] | None
) -> list[Measured]:
    """The figures of each flow.

    Args:
        span: trigger and first packet (None: it never came) on the MN's clock. None: there was no
            handover, see `quiet_window`.
    """
    plans: dict[tuple[str, str], PlannedFlow] = {
        (flow.name, flow.direction): flow for flow in planned_flows(scenario)
    }
    waiting_ns = round(scenario.measure.waiting_s * 1e9)
    found = []
    for log in logs:
        plan = plans[log.flow, log.direction]
        window = quiet_window(log) if span is None else handover_window(log, *span)
        found.append(Measured(log, plan, window, figures(log, window, plan.codec, waiting_ns)))
    return found


def worst(each: Sequence[Sequence[Measured]]) -> list[Measured]:
    """Of several handovers' figures of the same flows, those with the largest gap, flow by flow."""
    return [max(same, key=lambda one: one.figures.gap_ms) for same in zip(*each, strict=True)]


def lost_between(log: FlowLog, span: Span, waiting_ns: int) -> int:
    """Packets that were lost of those that the MN was to receive, or sent, in a stretch of time."""
    got = {arrival.sequence for arrival in first_copies(log, waiting_ns)}
    shift_ns = shortest_transit_ns(log) if log.direction == "downlink" else 0
    return sum(
        1
        for sequence, sent_ns in enumerate(log.sent_ns)
        if sequence not in got and sent_ns + shift_ns in span
    )


def by_name(measured: Iterable[Measured]) -> dict[str, dict[str, FlowFigures]]:
    """Figures by flow, then by direction."""
    flows: dict[str, dict[str, FlowFigures]] = {}
    for one in measured:
        flows.setdefault(one.log.flow, {})[one.log.direction] = one.figures
    return flows


def downloads(
    run: RawRun, scenario: Scenario, trigger_ns: int | None
) -> dict[str, TransferFigures]:
    """The figures of each download that the MN recorded, in the lab file's order.

    A stall belongs to the handover from the trigger on, to the end of the download: TCP waits for
    its own timers after an outage. With no trigger (None) the longest of all counts.
    """
    window = None if trigger_ns is None else Window(trigger_ns, _NEVER_NS)
    got = {end.flow: end for end in run.mn_transfers}
    gave = {end.flow: end for end in run.cn_transfers}
    return {
        planned.name: transfers.figures(got[planned.name], gave.get(planned.name), window)
        for planned in planned_transfers(scenario)
        if planned.name in got
    }


def headline_flows(measured: Sequence[Measured]) -> tuple[str, str]:
    """The voice flow and the gap flow, of those that go both ways, or else of all.

    Voice: the first whose codec has a MOS, or else the first. Gap: the finest spacing, of several
    the first.
    """
    ways: dict[str, set[str]] = {}
    for one in measured:
        ways.setdefault(one.log.flow, set()).add(one.log.direction)
    both = [one for one in measured if ways[one.log.flow] == set(DIRECTIONS)] or list(measured)
    rated = [
        one for one in both if one.plan.codec.ie is not None and one.plan.codec.bpl is not None
    ]
    voice = (rated or both)[0].log.flow
    gap = min(both, key=lambda one: one.plan.codec.spacing_ns).log.flow
    return voice, gap
