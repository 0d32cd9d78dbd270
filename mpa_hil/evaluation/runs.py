"""One run, from what was recorded to its figures, checks and further events. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from mpa_hil.evaluation import flows, observers, signalling
from mpa_hil.evaluation.flows import Measured
from mpa_hil.evaluation.observers import Compared
from mpa_hil.evaluation.raw import RawRun, RunInfo
from mpa_hil.evaluation.signalling import Heard, Place
from mpa_hil.evaluation.timeline import (
    FIRST_PACKET,
    MOBILE_NODE,
    Span,
    Timeline,
    read_timeline,
)
from mpa_hil.events import AnyEvent, PhaseEnded
from mpa_hil.report.summary import Run, failed_run, make_run
from mpa_hil.report.verdict import QuietRun
from mpa_hil.scenario import Scenario, floor_scenario, switch
from mpa_hil.traffic.observer import Agreement
from mpa_hil.traffic.records import FlowLog

AGENT = "evaluation"
_NOTHING_HEARD = Heard({}, None, None, [])
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
    timeline = read_timeline(raw.events)
    first_ns = None if timeline is None else flows.first_packet_ns(logs, timeline)
    span = None if timeline is None else (timeline.trigger_ns, first_ns)
    measured = flows.measure(logs, scenario, span)
    if raw.info.kind == "control":
        return _quiet(raw, logs, measured)
    return _handover(raw, scenario, measured, timeline, first_ns)


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
    raw: RawRun,
    scenario: Scenario,
    measured: list[Measured],
    timeline: Timeline | None,
    first_ns: int | None,
) -> Outcome:
    error = _failure(raw, measured)
    if not measured:
        return Outcome(raw.number, raw.info, run=failed_run(error, raw.number))
    voice, gap = flows.headline_flows(measured)
    error = error or _incomplete(measured, timeline, first_ns, gap)
    heard = _NOTHING_HEARD
    phases: dict[str, float] = {}
    events: list[AnyEvent] = []
    if timeline is not None:
        heard = _hear(raw, scenario, timeline, first_ns)
        events += heard.events
        if first_ns is not None:
            phases = timeline.phases_ms(first_ns)
            events += _first_packet_event(timeline, first_ns)
    compared = Compared() if error else observers.compare(raw, measured, gap)
    run = make_run(
        flows.by_name(measured),
        voice_flow=voice,
        gap_flow=gap,
        ok=not error,
        l2_ms=None if timeline is None else l2_ms(timeline, heard.last_old_ns),
        l3_ms=None if timeline is None else l3_ms(timeline, first_ns),
        phases_ms=phases,
        preparation_ms=None if timeline is None else timeline.preparation_ms,
        signalling=heard.signalling,
        eap=heard.eap,
        transfers=flows.downloads(raw, scenario, None if timeline is None else timeline.trigger_ns),
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


def _incomplete(
    measured: list[Measured], timeline: Timeline | None, first_ns: int | None, gap_flow: str
) -> str:
    """What is missing from a handover that its collector took for good; empty when nothing is."""
    if timeline is None:
        return "the trigger never fired"
    if timeline.arrived_ns is None:
        return "the mobile node never got as far as waiting for its first packet"
    if first_ns is None:
        return "no packet came over the new PoA"
    for one in measured:
        if one.log.flow == gap_flow and not one.figures.recovered:
            return f"{one.label} never came back"
    return ""


def l2_ms(timeline: Timeline, last_old_ns: int | None) -> float | None:
    """Last frame on the old PoA (or else the start of scan or authentication) to port open."""
    left_ns = last_old_ns if last_old_ns is not None else timeline.leaving_ns
    if left_ns is None or timeline.port_open_ns is None:
        return None
    return (timeline.port_open_ns - left_ns) / 1e6


def l3_ms(timeline: Timeline, first_ns: int | None) -> float | None:
    """Port open to the first packet with the new care-of address; None when the address stays."""
    if first_ns is None or timeline.port_open_ns is None or not timeline.readdressed:
        return None
    return (first_ns - timeline.port_open_ns) / 1e6


def _hear(raw: RawRun, scenario: Scenario, timeline: Timeline, first_ns: int | None) -> Heard:
    """The captures' part; nothing where no clock places them."""
    record = raw.mn or raw.cn
    move = switch(scenario.movement)
    if record is None or move is None:
        return _NOTHING_HEARD
    new = next((ap for ap in scenario.aps if _mac(ap.bssid) == _mac(timeline.bssid or "")), None)
    new = new or scenario.ap(move.new)
    place = Place(
        mn=_mac(scenario.mn.mac),
        old=_mac(scenario.ap(move.old).bssid),
        new=_mac(new.bssid),
        visited_aaa=f"{scenario.domain_of(new.name).name}-aaa",
        home_aaa=scenario.home.aaa_address,
    )
    span = Span(timeline.trigger_ns, _NEVER_NS if first_ns is None else first_ns)
    return signalling.hear(raw.captures, place, span, timeline.port_open_ns, record.offset_ns)


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", "").replace("-", ""))


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
