"""What a run with a fault must come to, whatever the fault (docs/faults.md). Pure.

The MN is on a network, bound there and nowhere else, packets flow both ways, and nothing is left in
any kernel. How long they did not flow is bounded by what a handover without preparation costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from statistics import median

import msgspec

from mpa_hil.evaluation import flows
from mpa_hil.evaluation.flows import Measured
from mpa_hil.evaluation.raw import RawRun
from mpa_hil.events import FaultOutcome
from mpa_hil.report.faults import FaultSummary
from mpa_hil.report.summary import Run
from mpa_hil.report.verdict import Check
from mpa_hil.scenario import Fault, Scenario
from mpa_hil.scenario.movement import switch
from mpa_hil.traffic.figures import first_copies
from mpa_hil.traffic.records import FlowLog

WORSE_AT_MOST = 1.10
"""Times the reactive gap of the same experiment."""
REACTIVE = "reactive"
_AT_THE_END_NS = 1_000_000_000


def judge_run(raw: RawRun, scenario: Scenario, measured: Sequence[Measured]) -> FaultSummary:
    """Everything that one run with a fault says, its gap's limit aside."""
    fault = next((each for each in scenario.faults if each.name == raw.info.fault), None)
    told = [event for event in raw.events if isinstance(event, FaultOutcome)]
    run = FaultSummary(fault=raw.info.fault, scheme=raw.info.scheme, number=raw.number)
    if fault is None or not told:
        why = raw.info.error or "nobody said where it ended"
        return msgspec.structs.replace(run, problems=(why,))
    seen = told[-1]
    gap_flow = flows.headline_flows(measured)[1] if measured else ""
    problems = [*_of_the_end(seen, scenario, fault), *_of_the_flows(raw, measured)]
    if seen.left:
        more = f" and {len(seen.left) - 1} more" if len(seen.left) > 1 else ""
        problems.append(f"left behind: {seen.left[0]}{more}")
    return msgspec.structs.replace(
        run,
        what=fault.what,
        at=fault.at,
        target=fault.target,
        end=fault.end,
        ended=_ended(seen, scenario),
        injected=seen.injected,
        outcome=seen.outcome,
        cause=seen.cause,
        network=seen.network,
        care_of=seen.care_of,
        gap_ms={
            one.log.direction: one.figures.gap_ms for one in measured if one.log.flow == gap_flow
        },
        lost=_sums(measured, "lost"),
        duplicated=_sums(measured, "duplicated"),
        reordered=_sums(measured, "reordered"),
        left=seen.left,
        clean_s=seen.clean_s,
        problems=tuple(problems),
    )


def bounded(
    found: Sequence[FaultSummary], handovers: Sequence[tuple[str, Run]]
) -> list[FaultSummary]:
    """The runs with their gap's limit, from the reactive handovers of the same experiment.

    Args:
        handovers: of all schemes, each with its scheme's name.
    """
    gaps = [
        max(filter(None, (run.gap_ms.downlink, run.gap_ms.uplink)), default=0.0)
        for scheme, run in handovers
        if scheme == REACTIVE and run.ok
    ]
    if not gaps:
        return list(found)
    limit_ms = WORSE_AT_MOST * median(gaps)
    return [_within(run, limit_ms) for run in found]


def check(found: Sequence[FaultSummary]) -> Check | None:
    """The condition of the verdict; None without faults."""
    if not found:
        return None
    bad = [run for run in found if run.problems]
    detail = f"{len(found) - len(bad)} of {len(found)}"
    if bad:
        detail += "; " + "; ".join(f"{run.fault}: {run.problems[0]}" for run in bad[:3])
    return Check("faults end as they must", not bad, detail)


def _within(run: FaultSummary, limit_ms: float) -> FaultSummary:
    worst_ms = max(run.gap_ms.values(), default=0.0)
    problems = run.problems
    if worst_ms > limit_ms:
        problems += (f"a gap of {worst_ms:.0f} ms, and {limit_ms:.0f} would do without MPA",)
    return msgspec.structs.replace(run, limit_ms=limit_ms, problems=problems)


def _of_the_end(seen: FaultOutcome, scenario: Scenario, fault: Fault) -> Iterator[str]:
    if not seen.injected:
        yield "the fault never happened"
    if not seen.network:
        yield "the node is on no network"
    if not seen.care_of:
        yield "the node is bound nowhere"
    elif seen.network and ip_address(seen.care_of) not in scenario.domain_of(seen.network).subnet:
        yield f"the node is on {seen.network} and bound at {seen.care_of}"
    elif seen.care_of not in seen.addresses:
        yield f"the node is bound at {seen.care_of} and does not have that address"
    ended = _ended(seen, scenario)
    if fault.end not in ("any", ended):
        yield f"the node should have {fault.end}, and has {ended or 'not'}"


def _ended(seen: FaultOutcome, scenario: Scenario) -> str:
    wanted = switch(scenario)
    if wanted is None or seen.network not in (wanted.old, wanted.new):
        return ""
    return "stayed" if seen.network == wanted.old else "moved"


def _of_the_flows(raw: RawRun, measured: Sequence[Measured]) -> Iterator[str]:
    if not raw.info.ok:
        yield raw.info.error or "the run failed"
    if not measured:
        yield "there are no records of the flows"
    for one in measured:
        missing = missing_at_the_end(one.log)
        if missing:
            yield f"{one.label}: {missing} packets of the last second are missing"


def missing_at_the_end(log: FlowLog) -> int:
    """Packets sent in the last second that never came."""
    last_ns = max(log.sent_ns, default=0)
    got = {arrival.sequence for arrival in first_copies(log, 1 << 62)}
    return sum(
        1
        for number, sent_ns in enumerate(log.sent_ns)
        if sent_ns > last_ns - _AT_THE_END_NS and number not in got
    )


def _sums(measured: Sequence[Measured], what: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in measured:
        count: int = getattr(one.figures, what)
        found[one.log.direction] = found.get(one.log.direction, 0) + count
    return found
