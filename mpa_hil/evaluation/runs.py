"""One run, from what was recorded to its figures, checks and further events. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from mpa_hil.evaluation import faults, flows, handovers, observers, policies
from mpa_hil.evaluation.flows import Measured
from mpa_hil.evaluation.handovers import Handover, mac_octets
from mpa_hil.evaluation.holding import held, with_ahead
from mpa_hil.evaluation.observers import Compared
from mpa_hil.evaluation.raw import RawRun, RunInfo
from mpa_hil.evaluation.resources import Held
from mpa_hil.evaluation.timeline import FIRST_PACKET, MOBILE_NODE, Span, Timeline
from mpa_hil.events import AnyEvent, PhaseEnded
from mpa_hil.report.faults import FaultSummary
from mpa_hil.report.policies import PolicySummary
from mpa_hil.report.run_parts import HoldSummary
from mpa_hil.report.summary import Run, failed_run, make_run
from mpa_hil.report.verdict import QuietRun
from mpa_hil.scenario import Scenario, floor_scenario
from mpa_hil.scenario.movement import switches
from mpa_hil.traffic.observer import Agreement
from mpa_hil.traffic.records import FlowLog

AGENT = "evaluation"
_NEVER_NS = 1 << 63


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is kept of a run once its records are let go."""

    number: int
    info: RunInfo
    run: Run | None = None
    """Of a handover; null and control runs are no rows of the summary."""
    quiet: tuple[QuietRun, ...] = ()
    """Of a null or control run; empty when it failed."""
    failure: str = ""
    """Why there are no figures of a null or control run."""
    agreements: tuple[tuple[str, Agreement], ...] = ()
    uncompared: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    events: tuple[AnyEvent, ...] = ()
    """Found by the evaluation, with scheme and repeat."""
    fault: FaultSummary | None = None
    """Of a run with a fault."""
    policy: PolicySummary | None = None
    """Of a run in which a policy decided."""
    held: Held | None = None
    """What agents and kernels held after a run with several switches."""
    logs: tuple[FlowLog, ...] = field(default=(), repr=False)
    """For packets.csv."""


def evaluate_run(raw: RawRun, scenario: Scenario) -> Outcome:
    """Everything that one run says. `scenario` is the lab file's, also for runs on the floor.

    Raises:
        LocalError: the run claims to be on the floor of a lab that has none.
    """
    if raw.info.lab == "floor":
        scenario = floor_scenario(scenario)
    logs = flows.joined(raw, scenario)
    if raw.info.kind == "null":
        return _quiet(raw, logs, flows.measure(logs, scenario, None))
    if raw.info.kind == "fault":
        judged = faults.judge_run(raw, scenario, flows.measure(logs, scenario, None))
        return Outcome(raw.number, raw.info, fault=judged, logs=tuple(logs))
    if raw.info.kind == "policy":
        return Outcome(
            raw.number,
            raw.info,
            policy=policies.judge_run(raw, scenario, logs),
            logs=tuple(logs),
        )
    found = handovers.find(raw, scenario, logs)
    if found:
        measured = flows.worst([one.measured for one in found])
    else:
        measured = flows.measure(logs, scenario, None)
    if raw.info.kind == "control":
        return _quiet(raw, logs, measured)
    return _handover(raw, scenario, measured, found)


def _quiet(raw: RawRun, logs: list[FlowLog], measured: list[Measured]) -> Outcome:
    """A null or control run: what it lost, or why that is not known."""
    failure = _failure(raw, measured)
    quiet = () if failure else tuple(_quiet_flow(one, raw.number) for one in measured)
    return Outcome(raw.number, raw.info, quiet=quiet, failure=failure, logs=tuple(logs))


def _quiet_flow(one: Measured, number: int) -> QuietRun:
    found = one.figures
    return QuietRun(
        flow=f"run {number:03} {one.log.flow}",
        direction=one.log.direction,
        sent=found.sent,
        lost=found.lost,
        duplicated=found.duplicated,
        gap_ms=found.gap_ms,
        spacing_ms=one.log.spacing_ns / 1e6,
        sender_hole_ms=found.sender_hole_ms,
    )


def _failure(raw: RawRun, measured: list[Measured]) -> str:
    """Why a run is not ok as far as its collector and its records go; empty when it is."""
    if not raw.info.ok:
        return raw.info.error or "it failed, and no reason was recorded"
    if raw.mn is None or raw.cn is None:
        missing = "mn.flows" if raw.mn is None else "cn.flows"
        return f"{missing} is missing or broken: no figures"
    if not measured:
        return "the records hold none of the lab's flows"
    return ""


def _handover(
    raw: RawRun, scenario: Scenario, measured: list[Measured], found: list[Handover]
) -> Outcome:
    error = _failure(raw, measured)
    if not measured:
        return Outcome(raw.number, raw.info, run=failed_run(error, raw.number))
    voice, gap = flows.headline_flows(measured)
    error = error or _incomplete(scenario, found, gap)
    first = found[0] if found else None
    phases: dict[str, float] = {}
    events: list[AnyEvent] = []
    for one in found:
        events += one.heard.events
        if one.first_ns is not None:
            events += _first_packet_event(one.timeline, one.first_ns)
    if first is not None and first.first_ns is not None:
        phases = first.timeline.phases_ms(first.first_ns)
    compared = Compared()
    mn = mac_octets(scenario.mn.mac)
    for one in found if not error else ():
        compared.add(observers.compare(raw, one.measured, gap, mn))
    trigger_ns = None if first is None else first.timeline.trigger_ns
    run = make_run(
        flows.by_name(measured),
        voice_flow=voice,
        gap_flow=gap,
        ok=not error,
        l2_ms=None if first is None else first.l2_ms,
        l3_ms=None if first is None else first.l3_ms,
        phases_ms=phases,
        preparation_ms=None if first is None else first.timeline.preparation_ms,
        signalling=None if first is None else first.heard.signalling,
        eap=None if first is None else first.heard.eap,
        transfers=flows.downloads(raw, scenario, trigger_ns),
        hold=_held(raw, scenario, found),
        switches=handovers.summaries(found, scenario, raw.events, gap) if len(found) > 1 else (),
        error=error or None,
        number=raw.number,
    )
    return Outcome(
        number=raw.number,
        info=raw.info,
        run=run,
        agreements=tuple(compared.made),
        uncompared=tuple(compared.left_out) if scenario.capture.enabled else (),
        notes=tuple(compared.notes),
        events=tuple(_of_run(event, raw.info) for event in events),
        logs=tuple(one.log for one in measured),
    )


def _held(raw: RawRun, scenario: Scenario, found: list[Handover]) -> dict[str, HoldSummary]:
    """What was held for the first handover's sake. Who held may say so late, if it is the only."""
    if not found:
        return {}
    first, timeline = found[0], found[0].timeline
    span = first.holding if len(found) > 1 else Span(timeline.trigger_ns, _NEVER_NS)
    switched = held(raw.events, span, None if scenario.placements else timeline)
    return with_ahead(switched, raw.events, timeline.trigger_ns)


def _incomplete(scenario: Scenario, found: list[Handover], gap_flow: str) -> str:
    """What is missing from a handover that its collector took for good; empty when nothing is."""
    if not found:
        return "the trigger never fired"
    wanted = len(switches(scenario))
    for number, one in enumerate(found, 1):
        which = f"switch {number}: " if wanted > 1 else ""
        if one.timeline.arrived_ns is None:
            return f"{which}the mobile node never got as far as waiting for its first packet"
        if one.first_ns is None:
            return f"{which}no packet came over the new PoA"
        for flow in one.measured:
            if flow.log.flow == gap_flow and not flow.figures.recovered:
                return f"{which}{flow.label} never came back"
    if len(found) < wanted:
        return f"{len(found)} of {wanted} switches took place"
    return ""


def _first_packet_event(timeline: Timeline, first_ns: int) -> list[AnyEvent]:
    """The end of the wait for the first packet, which only the records show."""
    if timeline.arrived_ns is None:
        return []
    # The program may notice late that it is done; then the packet was there before.
    early = first_ns < timeline.arrived_ns
    return [
        PhaseEnded(
            t_ns=max(first_ns, timeline.arrived_ns),
            host=MOBILE_NODE,
            agent=AGENT,
            phase=FIRST_PACKET,
            cause=f"received at {first_ns} ns already" if early else "received",
        )
    ]


def _of_run(event: AnyEvent, info: RunInfo) -> AnyEvent:
    return msgspec.structs.replace(event, scheme=info.scheme, repeat=info.repeat)
