"""The parts of the policies: readings, filters, triggers, lead times, ranking, budget, guard."""

from __future__ import annotations

import random
from math import inf, isinf, log10

import pytest
from hypothesis import given
from hypothesis import settings as tuned
from hypothesis import strategies as st
from policy_stage import Stage

from mpa_hil.handover.options import Level
from mpa_hil.policy import filters
from mpa_hil.policy import interface as say
from mpa_hil.policy.budget import Budget, Limits
from mpa_hil.policy.interface import (
    Attached,
    Candidate,
    CandidateGone,
    CandidateSeen,
    Holding,
    LinkLost,
    Measured,
    Sample,
    SwitchFailed,
)
from mpa_hil.policy.leadtimes import LeadTimes
from mpa_hil.policy.ranking import Ranking, Weights
from mpa_hil.policy.readings import ASSUMED_NOISE_DBM, Noise
from mpa_hil.policy.returns import Guard
from mpa_hil.policy.situation import CANDIDATES_KEPT, Situation
from mpa_hil.policy.triggers import Trigger, time_left_s

S = 1_000_000_000
WEIGHTS = Weights(40.0, 0.0, 10.0, 3.0, 1.0, 1.0, 5.0, 10.0)


# --- readings


@pytest.mark.parametrize(
    ("sample", "snr_db"),
    [
        (Sample(0, "a", -60, -95), 35.0),
        (Sample(0, "a", -60, 9999), -60 - ASSUMED_NOISE_DBM),
        (Sample(0, "a", -60, 0), -60 - ASSUMED_NOISE_DBM),
        (Sample(0, "a", -60, -256), -60 - ASSUMED_NOISE_DBM),
        (Sample(0, "a", -60, -20), -60 - ASSUMED_NOISE_DBM),  # a constant of the driver
        (Sample(0, "a", -60, None), -60 - ASSUMED_NOISE_DBM),
        (Sample(0, "a", 0, -95), None),
        (Sample(0, "a", 9999, -95), None),
        (Sample(0, "a", None, -95), None),
        (Sample(0, "a", -9999, -95), None),
        (Sample(0, "a", -130, -95), None),
        (Sample(0, "a", 20, -95), None),
        (Sample(0, "a", None, None, 17.0), 17.0),
        (Sample(0, "a", None, None, 900.0), None),
        (Sample(0, "a", -60, None, 30.0), 30.0),
        (Sample(0, "a", -3, -95), 75.0),  # saturated: counts as -20 dBm
    ],
)
def test_what_a_reading_says(sample: Sample, snr_db: float | None) -> None:
    assert Noise().snr_db(sample) == snr_db


def test_the_last_noise_serves_where_there_is_none() -> None:
    noise = Noise()
    assert noise.snr_db(Sample(0, "a", -60, -98)) == 38
    assert noise.snr_db(Sample(0, "b", -60, 9999)) == 38


def test_an_old_sample_and_a_silent_one_say_nothing() -> None:
    here = Situation()
    here.note(Sample(5 * S, "a", -60))
    assert here.reading is not None
    here.note(Sample(4 * S, "a", -80))
    assert here.reading is None
    here.note(Sample(6 * S, "a", None))
    assert here.reading is None
    assert here.now_ns == 6 * S


# --- filters


@pytest.mark.parametrize("name", filters.KINDS)
def test_a_steady_slope_is_seen(name: filters.FilterName) -> None:
    filter_ = filters.make(name, 1.0)
    for number in range(100):
        filter_.add(number * S // 10, -50 - 0.2 * number)
    assert filter_.slope_db_s == pytest.approx(-2.0, abs=0.15)
    lag_db = {"window": 1.2, "ewma": 2.2, "kalman": 0.3, "regression": 0.01}[name]
    assert filter_.level_db == pytest.approx(-50 - 0.2 * 99, abs=lag_db)


@pytest.mark.parametrize("name", filters.KINDS)
def test_noise_is_made_less(name: filters.FilterName) -> None:
    dice = random.Random(1)
    filter_ = filters.make(name, 2.0)
    off = []
    for number in range(600):
        filter_.add(number * S // 10, 20 + dice.gauss(0, 3))
        off.append(abs(filter_.level_db - 20))
    assert sum(off[100:]) / 500 < 1.5  # of 2.4 unfiltered


@pytest.mark.parametrize("name", filters.KINDS)
def test_after_a_silence_a_filter_begins_anew(name: filters.FilterName) -> None:
    filter_ = filters.make(name, 1.0)
    for number in range(50):
        filter_.add(number * S // 10, -50 - number)
    filter_.add(60 * S, -40)
    assert (filter_.level_db, filter_.slope_db_s) == (-40, 0)


@given(
    st.sampled_from(sorted(filters.KINDS)),
    st.lists(st.tuples(st.integers(0, 10 * S), st.floats(-20, 100)), min_size=1, max_size=300),
)
@tuned(max_examples=60, deadline=None)
def test_a_filter_stays_within_what_it_heard(
    name: filters.FilterName, readings: list[tuple[int, float]]
) -> None:
    filter_ = filters.make(name, 1.0)
    now_ns = 0
    for step_ns, value in readings:
        now_ns += step_ns
        filter_.add(now_ns, value)
        assert abs(filter_.level_db) < 1000
        assert abs(filter_.slope_db_s) < 1e9
    if name in ("window", "ewma"):
        values = [value for _, value in readings]
        assert min(values) - 0.01 <= filter_.level_db <= max(values) + 0.01


# --- triggers


def test_time_left() -> None:
    assert time_left_s(20, -2, 10, 0.3) == 5
    assert isinf(time_left_s(20, -0.2, 10, 0.3))
    assert isinf(time_left_s(20, 2, 10, 0.3))
    assert isinf(time_left_s(5, 0, 10, 0.3))
    assert time_left_s(5, -1, 10, 0.3) == 0


def test_time_left_of_one_who_walks_away() -> None:
    """The signal falls ever more slowly; the formula says how much so."""
    speed_m_s, exponent = 1.4, 3.0

    def level_db(t_s: float) -> float:
        return 60 - 10 * exponent * log10(5 + speed_m_s * t_s)

    slope = (level_db(0.001) - level_db(0)) / 0.001
    left_s = time_left_s(level_db(0), slope, level_db(20), 0.3, exponent)
    assert left_s == pytest.approx(20, rel=0.01)
    assert time_left_s(level_db(0), slope, level_db(20), 0.3) < 8


def test_a_trigger_has_hysteresis_and_wants_to_be_sure() -> None:
    trigger = Trigger(20, 3, 100, 100, S // 2, S)

    def at(t_s: float, level_db: float) -> str | None:
        return trigger.update(level_db, 0, inf, 0, int(t_s * S))

    assert at(0, 19) is None
    assert at(0.4, 21) is None
    assert at(0.6, 19) is None  # it has to be sure again
    assert at(1.1, 19) == "threshold"
    assert at(2, 22) == "threshold"
    assert at(3, 24) == "threshold"
    assert at(3.9, 24) == "threshold"
    assert at(4.0, 24) is None


def test_each_reason_of_a_trigger() -> None:
    def reason(level_db: float, slope: float, left_s: float) -> str | None:
        return Trigger(20, 3, 8, 0.5, 0, 0).update(level_db, slope, left_s, 2, S)

    assert reason(30, -9, inf) == "rate-of-fall"
    assert reason(30, -1, 1.5) == "time-left"
    assert reason(19, 0, inf) == "threshold"
    assert reason(19, 0.6, inf) is None  # it gets better by itself
    assert reason(30, -1, 3) is None


# --- lead times


def test_c6_with_the_rfcs_own_numbers() -> None:
    """RFC 6252 C.6: RTT 100 ms, Tpsk 10 ms: 210 ms."""
    lead = LeadTimes()
    for _ in range(40):
        lead.add("round_trip", S // 10)
        lead.add("keys", S // 100)
    assert lead.needed_s(Level.AUTHENTICATED) == pytest.approx(0.21, rel=0.01)
    assert lead.possible(0.22) == Level.AUTHENTICATED
    assert lead.possible(0.20) == Level.REACTIVE
    for _ in range(40):
        lead.add("configuration", S // 10)
    assert lead.possible(0.32) == Level.CONFIGURED
    assert lead.possible(0.30) == Level.AUTHENTICATED


def test_what_was_measured_counts_where_it_was_measured() -> None:
    lead = LeadTimes()
    lead.add("authentication", 5 * S, "far.example")
    assert lead.authentication_s("far.example") > 5
    assert lead.authentication_s("near.example") > 5, "better than a guess"
    lead.add("authentication", S, "near.example")
    assert lead.authentication_s("near.example") < 2
    assert lead.authentication_s("far.example") > 5


def test_only_what_is_missing_is_needed() -> None:
    lead = LeadTimes()
    whole = lead.needed_s(Level.BOUND)
    assert lead.needed_s(Level.BOUND, "", 1) == pytest.approx(whole - lead.authentication_s())
    assert lead.needed_s(Level.BOUND, "", 3) == 0


@given(st.integers(-(2**62), 2**62))
def test_a_clock_that_jumps_measures_nothing(took_ns: int) -> None:
    lead = LeadTimes()
    lead.add("keys", took_ns)
    assert 0 <= lead.part_s("keys") <= 3600 * 1.5


# --- ranking


def heard(here: Situation, ranking: Ranking, t_s: float, ap: str, signal_dbm: float) -> None:
    here.note(Sample(int(t_s * S), ap, signal_dbm, -92))
    ranking.heard(here)


def names(ranking: Ranking, here: Situation, count: int = 9) -> list[str]:
    return [track.ap for track in ranking.best(here, count)]


def test_the_best_candidates_in_order() -> None:
    here, ranking = Situation(), Ranking(WEIGHTS, filters.Raw)
    here.note(Attached(S, "a"))
    for number, ap in enumerate("abcd"):
        heard(here, ranking, 1, ap, -60 - number)
    assert names(ranking, here) == ["b", "c", "d"]
    assert names(ranking, here, 1) == ["b"]
    heard(here, ranking, 2, "b", -80)
    heard(here, ranking, 2, "d", -55)
    assert names(ranking, here) == ["d", "c", "b"]
    here.note(CandidateGone(2 * S, "d"))
    ranking.forget("d")
    assert names(ranking, here) == ["c", "b"]


def test_what_counts_besides_the_signal() -> None:
    here, ranking = Situation(), Ranking(WEIGHTS, filters.Raw)
    here.note(Attached(S, "a"))

    def know(candidate: Candidate) -> None:
        here.note(CandidateSeen(S, candidate))
        ranking.changed(candidate.ap, here)

    heard(here, ranking, 1, "b", -60)
    heard(here, ranking, 1, "c", -61)
    assert names(ranking, here) == ["b", "c"]
    know(Candidate("b", load=0.5))
    assert names(ranking, here) == ["c", "b"]
    know(Candidate("b"))
    know(Candidate("c", preference=2))
    assert names(ranking, here) == ["c", "b"]
    know(Candidate("c", preference=2, cost=1))
    assert names(ranking, here) == ["b", "c"]
    here.note(Holding(S, "c", 3))
    ranking.changed("c", here)
    assert names(ranking, here) == ["c", "b"]


def test_a_way_that_went_well_is_taken_again() -> None:
    here, ranking = Situation(), Ranking(WEIGHTS, filters.Raw)
    for t_s, ap in enumerate("acaca", 1):
        here.note(Attached(t_s * S, ap))
    heard(here, ranking, 6, "b", -60)
    heard(here, ranking, 6, "c", -61)
    assert here.successes[("a", "c")] == 2
    assert names(ranking, here) == ["c", "b"]


def test_who_is_not_heard_or_refused_is_left_out_for_a_time() -> None:
    here, ranking = Situation(), Ranking(WEIGHTS, filters.Raw)
    here.note(Attached(S, "a"))
    for t_s in range(1, 9):
        heard(here, ranking, t_s, "b", -50)
        heard(here, ranking, t_s, "c", -60)
    here.note(SwitchFailed(8 * S, "b", "refused"))
    ranking.bar("b", here)
    assert names(ranking, here) == ["c"]
    heard(here, ranking, 12, "b", -50)
    assert names(ranking, here) == ["c"]
    heard(here, ranking, 13, "b", -50)
    assert names(ranking, here) == ["b", "c"], "and once each"
    heard(here, ranking, 20, "b", -50)
    assert names(ranking, here) == ["b"], "c was heard 12 s ago"
    assert [track.ap for track in ranking.best(here, 9, hopeless=True)] == ["b", "c"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("bcdefg"),
            st.integers(-90, -40),
            st.integers(0, 4 * S),
            st.sampled_from(("hear", "hear", "hear", "forget", "bar", "look")),
        ),
        max_size=80,
    )
)
@tuned(max_examples=100, deadline=None)
def test_the_heap_says_what_sorting_would(steps: list[tuple[str, int, int, str]]) -> None:
    here, ranking = Situation(), Ranking(WEIGHTS, filters.Raw)
    here.note(Attached(S, "a"))
    now_ns = S
    plain: dict[str, tuple[float, int, int]] = {}
    for ap, signal_dbm, step_ns, what in steps:
        now_ns += step_ns
        if what == "forget":
            ranking.forget(ap)
            plain.pop(ap, None)
        elif what == "bar":
            ranking.bar(ap, here)
            if ap in plain:
                level, heard_ns, _ = plain[ap]
                plain[ap] = (level, heard_ns, here.now_ns + 5 * S)
        elif what == "look":
            ranking.best(here, 2)
        else:
            here.note(Sample(now_ns, ap, signal_dbm, -92))
            ranking.heard(here)
            plain[ap] = (min(signal_dbm + 92.0, 40.0), now_ns, plain.get(ap, (0, 0, 0))[2])
        good = {
            name: level
            for name, (level, heard_ns, barred_ns) in plain.items()
            if here.now_ns - heard_ns <= 10 * S and barred_ns <= here.now_ns
        }
        assert names(ranking, here) == sorted(good, key=lambda name: (-good[name], name))


# --- budget and guard


def test_a_budget_is_kept() -> None:
    here = Situation()
    budget = Budget(Limits(3, 2, 1, 0))
    here.note(Holding(S, "b", 2, tunnel=True))
    assert budget.allowed(here, "c", Level.BOUND) == Level.CONFIGURED, "one tunnel"
    here.note(Holding(S, "c", 2))
    assert budget.allowed(here, "d", Level.BOUND) == Level.AUTHENTICATED, "two addresses"
    here.note(Holding(S, "d", 1))
    assert budget.allowed(here, "e", Level.BOUND) == Level.REACTIVE, "three associations"
    assert budget.allowed(here, "b", Level.BOUND) == Level.BOUND, "its own do not count"


def test_signalling_has_a_budget_a_minute() -> None:
    here = Situation()
    budget = Budget(Limits(32, 32, 32, 13_000))
    assert budget.allowed(here, "b", Level.BOUND) == Level.AUTHENTICATED
    budget.spend(S, 0, Level.AUTHENTICATED)
    here.now_ns = 60 * S
    assert budget.allowed(here, "c", Level.BOUND) == Level.REACTIVE
    here.now_ns = 62 * S
    assert budget.allowed(here, "c", Level.BOUND) == Level.AUTHENTICATED


def test_returns_make_the_next_move_dearer() -> None:
    guard = Guard(5, 4, 2, 12, 60)
    here = Situation()
    for t_s, ap in ((0, "a"), (10, "b"), (20, "a"), (30, "b"), (40, "c")):
        here.note(Attached(t_s * S, ap))
    assert guard.recent_returns(here) == 2
    assert guard.margin_db(2) == 8
    assert guard.margin_db(9) == 12
    assert guard.until_ns(here, 2) == 55 * S
    here.now_ns = 85 * S
    assert guard.recent_returns(here) == 1
    here.now_ns = 100 * S
    assert guard.recent_returns(here) == 0


# --- situation


def test_a_situation_says_what_was_told() -> None:
    here = Situation()
    here.note(Attached(S, "a"))
    here.note(Holding(2 * S, "b", 2, until_ns=10 * S))
    assert here.level("b") == 2
    here.note(Measured(10 * S, "keys", S))
    assert here.level("b") == 0, "its time is over"
    here.note(LinkLost(11 * S, "b"))
    assert here.linked
    here.note(LinkLost(11 * S, "a"))
    assert not here.linked
    here.note(CandidateGone(12 * S, "a"))
    assert "a" in here.candidates
    here.note(Attached(3 * S, "b"))
    assert (here.serving, here.linked, here.since_ns) == ("b", True, 12 * S)
    assert here.moves[-1].old == "a"


def test_no_more_candidates_than_can_be_meant() -> None:
    here = Situation()
    for number in range(CANDIDATES_KEPT + 10):
        here.note(Sample(S, f"x{number}", -60))
        here.note(CandidateSeen(S, Candidate(f"y{number}")))
    assert len(here.candidates) == CANDIDATES_KEPT


def test_what_was_left_just_now_is_not_looked_for_first() -> None:
    """The planned network is no good: the one that may be needs a look, the one left needs none."""
    stage = Stage()
    for ap, mhz in (("a1", 2412), ("b1", 2437), ("c1", 2462)):
        stage.feed(say.CandidateSeen(stage.now_ns, say.Candidate(ap, f"{ap[0]}.example", mhz)))
    stage.feed(say.Attached(stage.now_ns, "a1"))
    stage.hear(3, a1=12, b1=20)
    stage.feed(say.Attached(stage.now_ns, "b1"))
    stage.levels.clear()
    stage.hear(2, b1=9)
    looks = [each for t_s, each in stage.decided if isinstance(each, say.Probe) and t_s >= 4]
    assert looks[0].frequency_mhz == 2462, looks
