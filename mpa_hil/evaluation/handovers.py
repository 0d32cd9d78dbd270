"""The handovers of a run: each with its instants, its figures, what its captures tell. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mpa_hil.evaluation import flows, signalling
from mpa_hil.evaluation.flows import Measured
from mpa_hil.evaluation.holding import held
from mpa_hil.evaluation.raw import RawRun
from mpa_hil.evaluation.signalling import Heard, Place
from mpa_hil.evaluation.timeline import Span, Timeline, read_timeline, read_timelines
from mpa_hil.events import AnyEvent
from mpa_hil.report.run_parts import SwitchSummary
from mpa_hil.report.summary import DIRECTIONS
from mpa_hil.scenario import Scenario, Switch
from mpa_hil.scenario.movement import switches
from mpa_hil.traffic.records import FlowLog

_NOTHING_HEARD = Heard({}, None, None, [])
_NEVER_NS = 1 << 63
_LET_GO_NS = 150_000_000
"""Time after the first packet in which those who held say so. A preparation for the next switch,
which holds while it scans, takes longer before it comes to that."""


@dataclass(frozen=True, slots=True)
class Handover:
    """One handover of a run; most runs have one."""

    switch: Switch | None
    """What the trace asked for; None: it asked for nothing."""
    timeline: Timeline
    first_ns: int | None
    """When the first packet came over the new PoA."""
    span: Span
    """From its trigger to the next one's."""
    measured: list[Measured]
    """Every flow, with this handover's window."""
    heard: Heard

    @property
    def holding(self) -> Span:
        """When those who held for this handover's sake say what they held."""
        if self.first_ns is None:
            return self.span
        end_ns = min(self.span.end_ns, self.first_ns + _LET_GO_NS)
        return Span(self.span.start_ns, end_ns)

    @property
    def l2_ms(self) -> float | None:
        """Last frame on the old PoA (or else the start of scan or authentication) to port open."""
        left_ns = self.heard.last_old_ns
        if left_ns is None:
            left_ns = self.timeline.leaving_ns
        if left_ns is None or self.timeline.port_open_ns is None:
            return None
        return (self.timeline.port_open_ns - left_ns) / 1e6

    @property
    def l3_ms(self) -> float | None:
        """Port open to the first packet with the new address; None when the address stays.

        Where that was prepared, the next access router's answer may be the first packet.
        """
        opened_ns, first_ns = self.timeline.port_open_ns, self.first_ns
        if first_ns is None or opened_ns is None:
            return None
        if not self.timeline.readdressed:
            if self.timeline.answered_ns is None:
                return None
            first_ns = min(first_ns, self.timeline.answered_ns)
        return (first_ns - opened_ns) / 1e6


def find(raw: RawRun, scenario: Scenario, logs: list[FlowLog]) -> list[Handover]:
    """The handovers of a run, in order; none when none was triggered."""
    wanted = switches(scenario)
    if len(wanted) > 1:
        timelines = read_timelines(raw.events)
    else:
        timelines = [only] if (only := read_timeline(raw.events)) is not None else []
    ends = [*(timeline.trigger_ns for timeline in timelines[1:]), _NEVER_NS]
    found = []
    for number, (timeline, end_ns) in enumerate(zip(timelines, ends, strict=False)):
        first_ns = flows.first_packet_ns(logs, timeline)
        if first_ns is not None and first_ns >= end_ns:
            first_ns = None
        move = wanted[min(number, len(wanted) - 1)] if wanted else None
        found.append(
            Handover(
                switch=move,
                timeline=timeline,
                first_ns=first_ns,
                span=Span(timeline.trigger_ns, end_ns - 1),
                measured=flows.measure(logs, scenario, (timeline.trigger_ns, first_ns)),
                heard=_hear(raw, scenario, timeline, first_ns, move),
            )
        )
    return found


def summaries(
    found: Sequence[Handover], scenario: Scenario, events: Iterable[AnyEvent], gap_flow: str
) -> list[SwitchSummary]:
    """Several handovers of one run, each for itself."""
    every = list(events)
    waiting_ns = round(scenario.measure.waiting_s * 1e9)
    return [
        SwitchSummary(
            old="" if one.switch is None else one.switch.old,
            new="" if one.switch is None else one.switch.new,
            l2_ms=one.l2_ms,
            l3_ms=one.l3_ms,
            gap_ms={
                flow.log.direction: flow.figures.gap_ms
                for flow in one.measured
                if flow.log.flow == gap_flow
            },
            lost={
                direction: sum(
                    flows.lost_between(flow.log, one.span, waiting_ns)
                    for flow in one.measured
                    if flow.log.direction == direction
                )
                for direction in DIRECTIONS
            },
            total_ms=None
            if one.first_ns is None
            else (one.first_ns - one.timeline.trigger_ns) / 1e6,
            hold=held(every, one.holding, None if scenario.placements else one.timeline),
        )
        for one in found
    ]


def _hear(
    raw: RawRun, scenario: Scenario, timeline: Timeline, first_ns: int | None, move: Switch | None
) -> Heard:
    """The captures' part; nothing where no clock places them."""
    record = raw.mn or raw.cn
    if record is None or move is None:
        return _NOTHING_HEARD
    new = next(
        (ap for ap in scenario.aps if mac_octets(ap.bssid) == mac_octets(timeline.bssid or "")),
        None,
    )
    new = new or scenario.ap(move.new)
    place = Place(
        mn=mac_octets(scenario.mn.mac),
        old=mac_octets(scenario.ap(move.old).bssid),
        new=mac_octets(new.bssid),
        visited_aaa=f"{scenario.domain_of(new.name).name}-aaa",
        home_aaa=scenario.home.aaa_address,
        ipv6=scenario.has_ipv6,
    )
    span = Span(timeline.trigger_ns, _NEVER_NS if first_ns is None else first_ns)
    return signalling.hear(raw.captures, place, span, timeline.port_open_ns, record.offset_ns)


def mac_octets(text: str) -> bytes:
    """A MAC address as a lab file or an event writes it."""
    return bytes.fromhex(text.replace(":", "").replace("-", ""))
