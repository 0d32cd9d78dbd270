"""The default policy behind a corner, where what was heard before it is no more."""

from __future__ import annotations

from policy_stage import Stage, rules

from mpa_hil.policy import interface as say


def behind_a_corner() -> Stage:
    """Bound to b1, which was heard before the corner; c1 is hardly worse."""
    stage = Stage()
    for ap, mhz in (("a1", 2412), ("b1", 2437), ("c1", 2462)):
        stage.feed(say.CandidateSeen(stage.now_ns, say.Candidate(ap, f"{ap[0]}.example", mhz)))
    stage.feed(say.Attached(stage.now_ns, "a1"))
    stage.hear(1, a1=30, b1=18, c1=14)
    del stage.levels["b1"], stage.levels["c1"]
    stage.slide(8, a1=19)
    stage.holding("b1", 3, tunnel=True)
    return stage


def test_two_that_may_be_the_better_one_are_looked_at_first() -> None:
    """At once one after the other, before the node goes to either."""
    stage = behind_a_corner()
    stage.slide(1, a1=13)
    found = stage.hear(2)
    looks = [each for each in found if isinstance(each, say.Probe)]
    assert {look.frequency_mhz for look in looks[:2]} == {2437, 2462}
    assert "stay b1 look-first" in rules(found)
    assert not [each for each in found if isinstance(each, say.Switch)]
    stage.hear(0.1, b1=9, c1=18)
    assert stage.decided[-1][1].target == "c1", rules(found)


def test_who_has_no_rival_needs_no_second_look() -> None:
    stage = behind_a_corner()
    stage.hear(0.1, c1=2)
    stage.slide(1, a1=13)
    assert "switch b1 switch-threshold" in rules(stage.hear(2))


def test_whoever_will_not_do_makes_room_for_who_is_better() -> None:
    """The switch waits, for the target is no better than what the node has: its tunnel goes, for
    a node has one. Two dB are enough for that."""
    stage = behind_a_corner()
    stage.hear(0.1, b1=15)
    stage.slide(1, a1=13)
    stage.hear(1)
    assert "stay b1 hysteresis" in rules([each for _, each in stage.decided])
    found = rules(stage.hear(0.5, c1=17.5))
    assert found[0] == "letgo b1 outranked"
    assert found[1].split()[1] == "c1"


def test_the_former_targets_tunnel_goes_before_anothers_is_asked_for() -> None:
    stage = behind_a_corner()
    found = rules(stage.hear(0.1, b1=9))
    assert found == ["letgo b1 outranked", "prepare c1 configure-threshold"]
