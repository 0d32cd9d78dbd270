"""What a run with a policy came to. Pure.

It ends connected, and packets flow both ways then; everything else is figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mpa_hil.evaluation import flows
from mpa_hil.evaluation.faults import missing_at_the_end
from mpa_hil.evaluation.flows import Measured
from mpa_hil.evaluation.raw import RawRun
from mpa_hil.evaluation.timeline import Timeline, read_timelines
from mpa_hil.events import HandoverFinished
from mpa_hil.events.policy import PilotLanded, PolicyDecided, PolicyInput, PolicyOpened
from mpa_hil.movement.course import falls_to
from mpa_hil.report.policies import PolicyMove, PolicySummary
from mpa_hil.report.statistics import median
from mpa_hil.report.verdict import Check
from mpa_hil.scenario import Scenario, course
from mpa_hil.traffic.records import FlowLog

_COUNTS = (
    "switches",
    "ping_pongs",
    "returns",
    "failed",
    "full_authentications",
    "authentications",
    "addresses",
    "tunnels",
    "wasted_authentications",
    "wasted_addresses",
    "wasted_tunnels",
    "wasted_octets",
)
_MOVES = ("switch", "return")


def judge_run(raw: RawRun, scenario: Scenario, logs: Sequence[FlowLog]) -> PolicySummary:
    """Everything that one run with a policy says."""
    measured = flows.measure(logs, scenario, None)
    gap_flow = flows.headline_flows(measured)[1] if measured else ""
    opened = next((e for e in raw.events if isinstance(e, PolicyOpened)), None)
    landed = next((e for e in raw.events if isinstance(e, PilotLanded)), None)
    counts = {} if landed is None else landed.counts
    return PolicySummary(
        scheme=raw.info.scheme,
        number=raw.number,
        policy="" if opened is None else opened.policy,
        network="" if landed is None else landed.network,
        linked=landed is not None and landed.linked,
        holes_ms=0.0 if landed is None else landed.holes_ms,
        gap_ms={
            one.log.direction: one.figures.gap_ms for one in measured if one.log.flow == gap_flow
        },
        lost=_sums(measured, "lost"),
        duplicated=_sums(measured, "duplicated"),
        reordered=_sums(measured, "reordered"),
        available_s=_available_s(scenario),
        begun_s=_begun_s(raw, opened),
        lead_s=_lead_s(raw),
        moves=tuple(_moves(raw, scenario, logs, gap_flow)),
        problems=tuple(_problems(raw, landed, logs)),
        **{name: counts.get(name, 0) for name in _COUNTS},
    )


def _available_s(scenario: Scenario) -> float | None:
    movement = scenario.movement
    found = falls_to(course(scenario), movement.start, movement.lost_dbm)
    return None if found is None else round(found, 3)


def _begun_s(raw: RawRun, opened: PolicyOpened | None) -> float | None:
    for event in raw.events:
        if isinstance(event, PolicyDecided) and event.decision == "prepare" and opened is not None:
            return round((event.t_ns - opened.t_ns) / 1e9, 3)
    return None


def _lead_s(raw: RawRun) -> dict[str, float]:
    """The median of what the policy was told of each part."""
    took_ns: dict[str, list[float]] = {}
    for event in raw.events:
        if isinstance(event, PolicyInput) and event.input.get("kind") == "measured":
            part, length = event.input.get("part"), event.input.get("took_ns")
            if isinstance(part, str) and isinstance(length, int):
                took_ns.setdefault(part, []).append(length)
    return {part: round(median(some) / 1e9, 6) for part, some in sorted(took_ns.items())}


def check(found: Sequence[PolicySummary]) -> Check | None:
    """The condition of the verdict; None where no policy decided."""
    if not found:
        return None
    bad = [run for run in found if run.problems]
    detail = f"{len(found) - len(bad)} of {len(found)}"
    if bad:
        detail += "; " + "; ".join(f"run {run.number:03}: {run.problems[0]}" for run in bad[:3])
    return Check("a policy's runs end connected", not bad, detail)


def _problems(raw: RawRun, landed: PilotLanded | None, logs: Sequence[FlowLog]) -> Iterator[str]:
    if not raw.info.ok:
        yield raw.info.error or "the run failed"
    if landed is None:
        yield "nobody said where it ended"
    elif not landed.linked:
        yield "the node is on no network"
    if not logs:
        yield "there are no records of the flows"
    for log in logs:
        missing = missing_at_the_end(log)
        if missing:
            yield f"{log.flow} {log.direction}: {missing} packets of the last second are missing"


def _moves(
    raw: RawRun, scenario: Scenario, logs: Sequence[FlowLog], gap_flow: str
) -> Iterator[PolicyMove]:
    """The switches that came as far as packets passing."""
    opened_ns = next((e.t_ns for e in raw.events if isinstance(e, PolicyOpened)), 0)
    for timeline in read_timelines(raw.events):
        if timeline.arrived_ns is None:
            continue
        first_ns = flows.first_packet_ns(logs, timeline)
        measured = flows.measure(logs, scenario, (timeline.trigger_ns, first_ns))
        decided = _decided(raw, timeline)
        ended = _ended(raw, timeline)
        yield PolicyMove(
            old=_before(raw, timeline),
            new="" if decided is None else decided.target,
            t_s=round((timeline.trigger_ns - opened_ns) / 1e9, 3),
            rule="" if decided is None else decided.rule,
            level=None if ended is None else ended.level,
            gap_ms={
                one.log.direction: one.figures.gap_ms
                for one in measured
                if one.log.flow == gap_flow
            },
        )


def _decided(raw: RawRun, timeline: Timeline) -> PolicyDecided | None:
    """The decision behind a switch: the last one before it. It is written down after it."""
    until_ns = timeline.arrived_ns or timeline.trigger_ns
    found = [
        event
        for event in raw.events
        if isinstance(event, PolicyDecided) and event.decision in _MOVES and event.t_ns <= until_ns
    ]
    return found[-1] if found else None


def _ended(raw: RawRun, timeline: Timeline) -> HandoverFinished | None:
    return next(
        (
            event
            for event in raw.events
            if isinstance(event, HandoverFinished)
            and event.outcome == "moved"
            and event.t_ns >= timeline.trigger_ns
        ),
        None,
    )


def _before(raw: RawRun, timeline: Timeline) -> str:
    """Where the MN was: the last place that its policy was told of."""
    place = ""
    for event in raw.events:
        if event.t_ns > timeline.trigger_ns:
            break
        if isinstance(event, PolicyInput) and event.input.get("kind") == "attached":
            place = str(event.input.get("ap", ""))
    return place


def _sums(measured: Sequence[Measured], what: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in measured:
        count: int = getattr(one.figures, what)
        found[one.log.direction] = found.get(one.log.direction, 0) + count
    return found
