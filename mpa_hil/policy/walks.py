"""The signals of a lab's movement as a trace, to rehearse policies on in milliseconds.

Nothing is run: what the radio would have heard comes from the lab file's model of propagation, one
reading of every access point each `every_s`.
"""

from __future__ import annotations

from collections.abc import Iterator

from mpa_hil.errors import LocalError
from mpa_hil.scenario.model import Scenario
from mpa_hil.scenario.movement import course

from .interface import Candidate, CandidateSeen, Flow, Input, Sample
from .readings import ASSUMED_NOISE_DBM
from .rehearsal import Terms
from .trace import Header, Step, Trace

_NS_PER_S = 1_000_000_000
EVERY_S = 0.1
"""A beacon interval, near enough."""


def trace_of(scenario: Scenario, every_s: float = EVERY_S) -> Trace:
    """What a lab's mobile node would hear on its way.

    Raises:
        LocalError: it does not move.
    """
    steps = tuple(Step(event) for event in _events(scenario, every_s))
    if not steps:
        raise LocalError("the MN does not move", where=scenario.lab.name, remedy="docs/movement.md")
    return Trace(Header(note=f"{scenario.lab.name}, seed {scenario.lab.seed}"), steps)


def terms_of(scenario: Scenario) -> Terms:
    """At which quality the lab's radios lose each other."""
    return Terms(lost_snr_db=scenario.movement.lost_dbm - noise_dbm(scenario))


def noise_dbm(scenario: Scenario) -> float:
    """What the lab's radios report."""
    told = scenario.movement.propagation
    return ASSUMED_NOISE_DBM if told is None else told.noise_dbm


def _events(scenario: Scenario, every_s: float) -> Iterator[Input]:
    way, noise = course(scenario), noise_dbm(scenario)
    now_ns = _NS_PER_S
    for ap in scenario.aps:
        realm = scenario.domain_of(ap.name).realm
        yield CandidateSeen(now_ns, Candidate(ap.name, realm, ap.frequency_mhz))
    yield Flow(now_ns, True)
    for number in range(int(way.end_s / every_s) + 1):
        t_s = number * every_s
        now_ns = _NS_PER_S + int(t_s * _NS_PER_S)
        for name in way.aps:
            yield Sample(now_ns, name, round(way.signal_dbm(name, t_s)), noise, source="model")
