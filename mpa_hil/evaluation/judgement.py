"""The verdict on an experiment from the outcomes of its runs. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from mpa_hil.evaluation.runs import Outcome
from mpa_hil.report.verdict import Check, Missing, QuietRun, Verdict, judge
from mpa_hil.scenario import Scenario

HOLDING_SCHEME = "l2-floor"


def verdict(outcomes: Sequence[Outcome], scenario: Scenario) -> Verdict:
    """All checks. One that the lab file asks for and that could not be made fails."""
    agreements = [pair for outcome in outcomes for pair in outcome.agreements]
    uncompared = [reason for outcome in outcomes for reason in outcome.uncompared]
    made = judge(_null(outcomes, scenario), _control(outcomes, scenario), agreements, uncompared)
    return Verdict((*made.checks, _handovers(outcomes)))


def _handovers(outcomes: Sequence[Outcome]) -> Check:
    runs = [outcome.run for outcome in outcomes if outcome.run is not None]
    good = sum(run.ok for run in runs)
    return Check("handovers measured", good > 0, f"{good} of {len(runs)}")


def _null(outcomes: Sequence[Outcome], scenario: Scenario) -> list[QuietRun] | Missing | None:
    """The runs without a switch: there must be a good one on each lab that was used."""
    found = [outcome for outcome in outcomes if outcome.info.kind == "null"]
    if not scenario.measure.null_run and not found:
        return None
    labs = dict.fromkeys(o.info.lab for o in outcomes if o.info.kind != "null")
    for lab in labs:
        on_it = [outcome for outcome in found if outcome.info.lab == lab]
        if not on_it:
            return Missing(f"none was made on the {lab} lab")
    return _flows(found, "without a switch")


def _control(outcomes: Sequence[Outcome], scenario: Scenario) -> list[QuietRun] | Missing | None:
    """The runs of the switch without holding, where packets were held; the held way only.

    The access router holds the downlink. What the uplink loses is no proof that the probe would
    have seen the downlink lose.
    """
    options = scenario.schemes.l2_floor
    found = [outcome for outcome in outcomes if outcome.info.kind == "control"]
    held = any(
        outcome.info.scheme == HOLDING_SCHEME and outcome.info.kind == "handover"
        for outcome in outcomes
    )
    if not found:
        if not (held and options.hold and options.control):
            return None
        return Missing("none was made, though packets were held")
    flows = _flows(found, "without holding")
    if isinstance(flows, Missing):
        return flows
    return [flow for flow in flows if flow.direction == "downlink"] or flows


def _flows(outcomes: Sequence[Outcome], what: str) -> list[QuietRun] | Missing:
    """Flows of runs that must all have succeeded."""
    for outcome in outcomes:
        if outcome.failure:
            return Missing(f"run {outcome.number:03} {what} failed: {outcome.failure}")
    return [flow for outcome in outcomes for flow in outcome.quiet]
