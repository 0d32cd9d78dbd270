"""The verdict on an experiment from the outcomes of its runs. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from mpa_hil.evaluation import faults, policies, resources
from mpa_hil.evaluation.runs import Outcome
from mpa_hil.experiment.plan import FLOOR, MPA
from mpa_hil.report.faults import FaultSummary
from mpa_hil.report.verdict import Check, Missing, QuietRun, Verdict, judge
from mpa_hil.scenario import Scenario


def verdict(outcomes: Sequence[Outcome], scenario: Scenario) -> Verdict:
    """All checks. One that the lab file asks for and that could not be made fails."""
    agreements = [pair for outcome in outcomes for pair in outcome.agreements]
    uncompared = [reason for outcome in outcomes for reason in outcome.uncompared]
    made = judge(_null(outcomes, scenario), _control(outcomes, scenario), agreements, uncompared)
    held = [outcome.held for outcome in outcomes if outcome.held is not None]
    piloted = [outcome.policy for outcome in outcomes if outcome.policy is not None]
    others = faults.check(with_faults(outcomes)), policies.check(piloted)
    checks = [*made.checks, _handovers(outcomes), resources.check(held), *others]
    return Verdict(tuple(each for each in checks if each is not None))


def with_faults(outcomes: Sequence[Outcome]) -> list[FaultSummary]:
    """The runs in which something went wrong, each with the bound on its gap."""
    found = [outcome.fault for outcome in outcomes if outcome.fault is not None]
    done = [(o.info.scheme, o.run) for o in outcomes if o.run is not None]
    return faults.bounded(found, done)


def _handovers(outcomes: Sequence[Outcome]) -> Check | None:
    runs = [outcome.run for outcome in outcomes if outcome.run is not None]
    if not runs and any(outcome.fault or outcome.policy for outcome in outcomes):
        return None
    good = sum(run.ok for run in runs)
    return Check("handovers measured", good > 0, f"{good} of {len(runs)}")


def _null(outcomes: Sequence[Outcome], scenario: Scenario) -> list[QuietRun] | Missing | None:
    """The runs without a switch: there must be a good one on each lab that was used."""
    found = [outcome for outcome in outcomes if outcome.info.kind == "null"]
    if not scenario.measure.null_run and not found:
        return None
    labs = dict.fromkeys(o.info.lab for o in outcomes if o.info.kind not in ("null", "fault"))
    for lab in labs:
        on_it = [outcome for outcome in found if outcome.info.lab == lab]
        if not on_it:
            return Missing(f"none was made on the {lab} lab")
    return _flows(found, "without a switch")


def _control(outcomes: Sequence[Outcome], scenario: Scenario) -> list[QuietRun] | Missing | None:
    """The runs of the switch without holding, where packets were held; the held way only.

    Each scheme that held needs its own. The router holds the downlink: what the uplink loses is no
    proof that the probe would have seen the downlink lose.
    """
    found = [outcome for outcome in outcomes if outcome.info.kind == "control"]
    held = {o.info.scheme for o in outcomes if o.info.kind == "handover"} & _holding(scenario)
    missing = held - {outcome.info.scheme for outcome in found}
    if missing:
        which = f" by {', '.join(sorted(missing))}" if found else ""
        return Missing(f"none was made, though packets were held{which}")
    if not found:
        return None
    flows = _flows(found, "without holding")
    if isinstance(flows, Missing):
        return flows
    for scheme in sorted({outcome.info.scheme for outcome in found}):
        own = [f for o in found if o.info.scheme == scheme for f in _downlink(o.quiet)]
        if not any(flow.lost for flow in own):
            return Missing(f"{scheme} lost nothing without holding: the probe does not see losses")
    return _downlink(flows)


def _downlink(flows: Sequence[QuietRun]) -> list[QuietRun]:
    """The flows towards the MN, or all where none goes there."""
    return [flow for flow in flows if flow.direction == "downlink"] or list(flows)


def _holding(scenario: Scenario) -> set[str]:
    """The schemes that hold packets and are to be run without that too."""
    floor, mpa = scenario.schemes.l2_floor, scenario.schemes.mpa
    wanted = {FLOOR: floor.hold and floor.control, MPA: mpa.hold != "off" and mpa.control}
    return {scheme for scheme, held in wanted.items() if held}


def _flows(outcomes: Sequence[Outcome], what: str) -> list[QuietRun] | Missing:
    """Flows of runs that must all have succeeded."""
    for outcome in outcomes:
        if outcome.failure:
            return Missing(f"run {outcome.number:03} {what} failed: {outcome.failure}")
    return [flow for outcome in outcomes for flow in outcome.quiet]
