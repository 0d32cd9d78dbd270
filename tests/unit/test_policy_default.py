"""The default policy, rule by rule, on signals made for each."""

from __future__ import annotations

from itertools import pairwise

import pytest
from policy_stage import S, Stage, rules

from mpa_hil.handover.options import Level
from mpa_hil.policy import interface as say
from mpa_hil.policy.interface import (
    BeaconLoss,
    Bind,
    Candidate,
    CandidateGone,
    CandidateSeen,
    Flow,
    LetGo,
    Measured,
    Prepare,
    Probe,
    Return,
    Speed,
    Stay,
    Switch,
)


@pytest.fixture
def stage() -> Stage:
    return on_a1()


def on_a1(**options: object) -> Stage:
    made = Stage(**{"alternatives": 0, **options})  # type: ignore[arg-type]
    made.attached("a1")
    assert not made.hear(2, a1=40, b1=15)
    return made


def ready(stage: Stage, ap: str = "b1") -> None:
    """Prepared so far that only the binding is left."""
    stage.holding(ap, 2, tunnel=True)


# --- the way there


def test_each_step_in_its_time(stage: Stage) -> None:
    decided = stage.slide(30, a1=12, b1=34)
    assert rules(decided)[0].startswith("prepare b1 prepare-")
    assert decided[0].level == Level.AUTHENTICATED  # type: ignore[union-attr]
    assert rules(decided)[1].startswith("prepare b1 configure-")
    assert decided[1].level == Level.BOUND  # type: ignore[union-attr]
    when = {type(each): t_s for t_s, each in stage.decided}
    assert Bind not in when, "there is no tunnel yet"


def test_the_whole_way() -> None:
    stage = on_a1()
    seen = []
    for _ in range(300):
        for each in stage.slide(0.1, a1=stage.levels["a1"] - 0.1, b1=stage.levels["b1"] + 0.08):
            seen.append(type(each).__name__)
            if isinstance(each, Prepare):
                stage.holding("b1", int(min(each.level, 2)), tunnel=each.level == Level.BOUND)
            elif isinstance(each, Bind):
                stage.holding("b1", 3, tunnel=True)
        if "Switch" in seen:
            break
    assert [name for name in seen if name != "Stay"] == ["Prepare", "Prepare", "Bind", "Switch"]
    stage.t_s += 0.1
    assert rules(stage.attached("b1")) == ["keepcontext a1 keep-context"]


def test_preparation_starts_as_early_as_measured_lead_times_ask() -> None:
    """C.6: the same walk, homes at different distances."""
    begins = {}
    for home_s in (0.05, 2.0):
        stage = on_a1(path_exponent=0.0)
        for _ in range(9):
            stage.feed(Measured(stage.now_ns, "round_trip", int(home_s * S)))
        stage.slide(26, a1=14)
        begins[home_s] = next(t for t, each in stage.decided if isinstance(each, Prepare))
    assert begins[2.0] < begins[0.05] - 2


def test_a_level_that_cannot_be_reached_is_not_asked_for() -> None:
    stage = on_a1()
    for _ in range(9):
        stage.feed(Measured(stage.now_ns, "configuration", 900 * S))
    decided = [each for each in stage.slide(10, a1=14, b1=25) if isinstance(each, Prepare)]
    assert [each.level for each in decided] == [Level.AUTHENTICATED]
    stage = on_a1()
    for _ in range(9):
        stage.feed(Measured(stage.now_ns, "authentication", 300 * S))
    decided = stage.slide(10, a1=14, b1=25)
    assert "stay b1 c6-too-late" in rules(decided)
    assert not any(isinstance(each, Prepare) for each in decided)
    late = next(each for each in decided if each.rule == "c6-too-late")
    assert late.inputs["authentication_s"] > 300  # type: ignore[operator]


def test_speed_and_coverage_are_c6s_time_left() -> None:
    stage = on_a1()
    stage.feed(
        CandidateSeen(stage.now_ns, Candidate("a1", coverage_m=100.0)),
        Speed(stage.now_ns, 10.0),
    )
    assert not stage.hear(1)
    decided = stage.hear(4)  # 10 s in this cell, of which 7 are over
    assert "prepare b1 prepare-time-left" in rules(decided)


def test_no_more_than_a_candidate_has(stage: Stage) -> None:
    stage.feed(CandidateSeen(stage.now_ns, Candidate("b1", highest=1)))
    decided = stage.slide(10, a1=18, b1=25)
    assert [each.level for each in decided if isinstance(each, Prepare)] == [1]


def test_an_idle_flow_needs_no_binding(stage: Stage) -> None:
    stage.feed(Flow(stage.now_ns, False))
    decided = stage.slide(10, a1=18, b1=25)
    assert max(each.level for each in decided if isinstance(each, Prepare)) == Level.CONFIGURED


def test_a_fall_around_a_corner_is_soon_believed(stage: Stage) -> None:
    stage.hear(1, b1=30)
    decided = stage.slide(1.2, a1=20) + stage.hear(0.5)
    asked = [each for each in decided if isinstance(each, Prepare)]
    assert asked
    left_s = asked[-1].inputs["to_lost_s"]
    assert isinstance(left_s, float)
    assert left_s < 8


# --- against going too soon


def test_no_switch_to_what_is_hardly_better(stage: Stage) -> None:
    decided = stage.slide(20, a1=14, b1=16)
    assert "stay b1 hysteresis" in rules(decided)
    assert not any(isinstance(each, Switch) for each in stage.hear(30))


def test_a_preparation_under_way_is_waited_for(stage: Stage) -> None:
    decided = stage.slide(10, a1=16.5, b1=26)
    assert any(isinstance(each, Prepare) for each in decided)
    stage.holding("b1", 1, under_way=True)
    decided = stage.hear(0.5)
    assert not any(isinstance(each, Switch) for each in decided)
    assert "stay b1 not-ready" in rules([each for _, each in stage.decided])
    ready(stage)
    assert any(isinstance(each, Switch) for _, each in stage.decided[-3:])


def test_but_not_for_ever(stage: Stage) -> None:
    stage.slide(10, a1=16.5, b1=26)
    stage.holding("b1", 1, under_way=True)
    assert any(isinstance(each, Switch) for each in stage.hear(15))


def test_dwell_holds_back_and_is_told_once(stage: Stage) -> None:
    stage.slide(10, a1=15, b1=28)
    ready(stage)
    assert isinstance(stage.decided[-1][1], Switch)
    stage.attached("b1")
    decided = stage.hear(2, a1=30, b1=14)
    assert rules(decided).count("stay a1 dwell") == 1
    assert not any(isinstance(each, Switch | Return) for each in decided)


def test_what_recovers_is_let_go(stage: Stage) -> None:
    stage.slide(10, a1=20, b1=22)
    ready(stage)
    decided = stage.slide(5, a1=36) + stage.hear(9)
    assert rules(decided)[-1:] == ["letgo b1 recovered"]
    assert rules(decided).count("letgo b1 recovered") == 1


# --- returning


def moved_to_b1(**options: object) -> Stage:
    stage = on_a1(**options)
    stage.slide(10, a1=15, b1=28)
    ready(stage)
    stage.hear(1)
    stage.attached("b1")
    stage.holding("a1", 2, context=True)
    return stage


def test_a_return_within_the_contexts_life(stage: Stage) -> None:
    stage = moved_to_b1()
    stage.hear(6, a1=30, b1=20)
    decided = stage.slide(10, b1=13)
    moves = [each for each in decided if isinstance(each, Switch | Return)]
    assert [type(each) for each in moves] == [Return]
    assert moves[0].rule.startswith("return-switch-")


def test_a_context_is_let_go_in_its_time() -> None:
    stage = moved_to_b1(context_s=20.0)
    stage.hear(5, a1=5, b1=40)
    assert rules(stage.tick()) == ["letgo a1 context-over"]
    assert stage.t_s == pytest.approx(20 + 14, abs=2)


def test_the_oldest_context_makes_room() -> None:
    stage = moved_to_b1(contexts=1)
    stage.hear(1, c1=30)
    assert rules(stage.attached("c1")) == [
        "letgo a1 too-many-contexts",
        "keepcontext b1 keep-context",
    ]


def test_after_returns_more_is_asked_of_the_other() -> None:
    margins = []
    stage = on_a1(dwell_s=0.0)
    stage.hear(1, a1=30, b1=10)
    for number in range(4):
        here, there = ("a1", "b1") if number % 2 == 0 else ("b1", "a1")
        decided = stage.slide(8, **{here: 12.0, there: 30.0})
        ready(stage, there)
        decided += stage.hear(4)
        move = next(each for each in decided if isinstance(each, Switch | Return))
        margins.append(move.inputs["margin_db"])
        stage.attached(there)
    assert margins == [4, 4, 6, 8]


# --- several candidates


def test_another_is_prepared_a_little() -> None:
    stage = on_a1(alternatives=1)
    stage.hear(1, c1=12)
    decided = stage.slide(10, a1=20, b1=26, c1=20)
    asked: dict[str, int] = {}
    for each in decided:
        if isinstance(each, Prepare):
            asked[each.target] = max(asked.get(each.target, 0), each.level)
    assert asked == {"b1": 3, "c1": 1}


def test_a_known_neighbour_that_is_not_heard_gets_keys() -> None:
    stage = on_a1(alternatives=1)
    stage.feed(
        CandidateSeen(stage.now_ns, Candidate("c1", "c.example")),
        CandidateSeen(stage.now_ns, Candidate("d1", "d.example", preference=-1.0)),
        CandidateSeen(stage.now_ns, Candidate("e1")),
    )
    decided = stage.slide(10, a1=20, b1=26)
    unheard = [each for each in decided if each.rule == "alternative-unheard"]
    assert [(each.target, each.level) for each in unheard] == [("c1", 1)]  # type: ignore[union-attr]


def test_a_close_second_gets_an_address_too() -> None:
    stage = on_a1(alternatives=1)
    stage.hear(1, c1=14)
    decided = stage.slide(10, a1=20, b1=26, c1=26)
    levels = {(each.target, each.level) for each in decided if isinstance(each, Prepare)}
    assert ("c1", 2) in levels
    ready(stage)
    decided = stage.slide(3, a1=18)
    bind = next(each for _, each in stage.decided if isinstance(each, Bind))
    assert bind.doubtful


def test_one_clear_target_is_bound_without_doubt(stage: Stage) -> None:
    stage.hear(1, c1=5)
    stage.slide(10, a1=19, b1=28)
    ready(stage)
    stage.hear(1)
    bind = next(each for _, each in stage.decided if isinstance(each, Bind))
    assert not bind.doubtful


def test_the_target_changes_only_for_a_clearly_better_one(stage: Stage) -> None:
    stage.hear(1, b1=20, c1=18)
    stage.slide(8, a1=22)
    stage.hear(1, c1=22)
    assert {each.target for _, each in stage.decided if isinstance(each, Prepare)} == {"b1"}
    stage.hear(2, c1=30)
    assert {each.target for _, each in stage.decided if isinstance(each, Prepare)} == {"b1", "c1"}


# --- when it goes wrong


def test_landing_elsewhere() -> None:
    stage = on_a1(alternatives=1)
    stage.hear(1, c1=14)
    stage.slide(10, a1=15, b1=28, c1=25)
    ready(stage)
    stage.hear(1)
    decided = stage.attached("c1")
    assert rules(decided)[:2] == ["stay c1 landed-elsewhere", "letgo b1 landed-elsewhere"]
    assert decided[0].inputs["planned"] == "b1"
    assert "keepcontext a1 keep-context" in rules(decided)


def test_the_link_dies_before_anything_is_prepared(stage: Stage) -> None:
    assert rules(stage.lost("a1")) == ["switch b1 link-lost"]


def test_the_link_dies_and_a_prepared_one_is_taken_before_one_as_good(stage: Stage) -> None:
    stage.hear(1, b1=20, c1=21)
    stage.holding("b1", 2, tunnel=True)
    assert rules(stage.lost("a1")) == ["switch b1 link-lost"]


def test_nobody_is_known_when_the_link_dies() -> None:
    stage = Stage()
    stage.attached("a1")
    stage.lost("a1")
    assert rules([each for _, each in stage.decided]) == ["probe nothing-known"]
    assert rules(stage.tick()) == ["probe nothing-known"]
    assert rules(stage.hear(0.1, z1=20)) == ["switch z1 link-lost"]


def test_after_a_refusal_the_next_one(stage: Stage) -> None:
    stage.hear(1, b1=20, c1=18)
    assert rules(stage.lost("a1")) == ["switch b1 link-lost"]
    stage.t_s += 1
    assert rules(stage.failed("b1")) == ["stay b1 switch-failed", "switch c1 link-lost"]
    stage.t_s += 1
    assert rules(stage.failed("c1"))[-1].endswith("link-lost-anywhere")


def test_back_at_the_old_one_the_refused_one_is_left_alone(stage: Stage) -> None:
    stage.slide(10, a1=15, b1=28)
    ready(stage)
    stage.hear(1)
    stage.failed("b1")
    decided = stage.attached("a1") + stage.hear(4)
    assert not any(isinstance(each, Switch) for each in decided)
    assert any(isinstance(each, Switch) for each in stage.hear(4))


def test_coming_back_is_a_failure_even_if_nobody_says_so(stage: Stage) -> None:
    stage.slide(10, a1=15, b1=28)
    ready(stage)
    stage.hear(1)
    assert "stay b1 switch-failed" in rules(stage.attached("a1"))


def test_a_switch_of_which_nothing_is_heard_has_failed(stage: Stage) -> None:
    stage.lost("a1")
    assert rules(stage.tick())[0] == "stay b1 switch-failed"
    assert stage.t_s > 30


def test_a_target_that_vanishes_is_let_go(stage: Stage) -> None:
    stage.slide(10, a1=20, b1=26)
    decided = stage.feed(CandidateGone(stage.now_ns, "b1"))
    assert rules(decided)[:2] == ["letgo b1 target-gone", "stay no-candidate"]


def test_missed_beacons(stage: Stage) -> None:
    stage.hear(1, b1=25)
    assert not stage.feed(BeaconLoss(stage.now_ns, "a1", 2))
    assert not stage.feed(BeaconLoss(stage.now_ns, "b1", 20))
    assert rules(stage.feed(BeaconLoss(stage.now_ns, "a1", 6))) == ["switch b1 beacon-loss"]
    assert not stage.feed(BeaconLoss(stage.now_ns, "a1", 7)), "it is on its way"


def test_a_failed_preparation_is_tried_again_ever_more_slowly(stage: Stage) -> None:
    stage.slide(10, a1=22, b1=24)
    times = []
    for _ in range(4):
        stage.holding("b1", 0, cause="refused")
        before = len(stage.decided)
        while not any(isinstance(each, Prepare) for _, each in stage.decided[before:]):
            stage.hear(0.1)
            assert stage.t_s < 200
        times.append(stage.t_s)
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps[0] < gaps[1] < gaps[2]


# --- looking around


def test_a_scan_only_where_it_helps_and_does_not_hurt() -> None:
    stage = on_a1()
    stage.feed(CandidateSeen(stage.now_ns, Candidate("b1", frequency_mhz=2437)))
    stage.slide(2, a1=25)
    del stage.levels["b1"]
    decided = stage.hear(30)
    probes = [each for each in decided if isinstance(each, Probe)]
    assert {(each.rule, each.frequency_mhz) for each in probes} == {
        ("scan-stale", 2437),
        ("scan-none", 2437),
    }
    assert len(probes) <= 4
    stage.holding("b1", 3)
    assert not any(isinstance(each, Probe) for each in stage.hear(20))


def test_no_scan_within_the_guard_time_of_a_switch() -> None:
    for guard_s, scans in ((0.0, True), (30.0, False)):
        stage = on_a1(scan_guard_s=guard_s)
        stage.slide(5, a1=30)
        del stage.levels["b1"]
        decided = stage.slide(10, a1=18)
        assert any(isinstance(each, Probe) for each in decided) is scans


def test_a_reachability_test_before_the_switch() -> None:
    stage = on_a1(reachability_test=True)
    stage.slide(10, a1=15, b1=28)
    ready(stage)
    decided = [each for _, each in stage.decided if isinstance(each, Probe | Switch)]
    tests = [each for each in decided if each.rule != "scan-blocked"]
    assert [(each.rule, each.target) for each in tests] == [("test", "b1")]
    decided = stage.feed(say.Probed(stage.now_ns, "b1", True))
    assert [type(each) for each in decided] == [Switch]


def test_who_does_not_answer_the_test_is_no_target() -> None:
    stage = on_a1(reachability_test=True)
    stage.slide(10, a1=15, b1=28)
    ready(stage)
    decided = stage.feed(say.Probed(stage.now_ns, "b1", False))
    assert rules(decided)[0] == "letgo b1 unreachable"
    assert not any(isinstance(each, Switch) for each in stage.hear(2))


# --- time


@pytest.mark.parametrize("jump_s", [-3600, 3600, 365 * 86400])
def test_a_clock_that_jumps(jump_s: int) -> None:
    stage = moved_to_b1()
    stage.hear(3, b1=30)
    stage.t_s = max(0, stage.t_s + jump_s)
    decided = stage.hear(1)
    assert all(isinstance(each, LetGo | Stay) for each in decided)
    assert stage.engine.situation.now_ns >= stage.now_ns - S
