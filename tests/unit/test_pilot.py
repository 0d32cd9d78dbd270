"""The pilot: every decision carried out, every failure told back, and all of it replayable."""

from __future__ import annotations

import json

import pytest
from pilot_world import World, prepare

from mpa_hil.agents.wishes import Told
from mpa_hil.handover import interface as do
from mpa_hil.policy import interface as say
from mpa_hil.policy import lines, loading, settings
from mpa_hil.policy.engine import Engine
from mpa_hil.policy.interface import (
    Bind,
    KeepContext,
    LetGo,
    Probe,
    Return,
    Stay,
    Switch,
)

S = 1_000_000_000


def test_it_begins_by_telling_where_the_node_is() -> None:
    world = World()
    kinds = [type(event).__name__ for event in world.script.heard]
    assert kinds == ["CandidateSeen"] * 3 + ["Flow", "Attached"]
    assert world.served == "a1"
    assert world.events[0][0] == "policy.opened"


@pytest.mark.parametrize(("level", "tunnel"), [(1, False), (2, False), (3, True)])
def test_a_preparation_goes_as_far_as_wanted(level: int, tunnel: bool) -> None:
    world = World()
    world.decide(prepare("b1", level))
    assert world.wanted == ["b.example"]
    assert world.held("b1") == (min(level, 2), tunnel, False)
    assert bool(world.did("Configure")) is (level >= 2)
    assert bool(world.did("CreateTunnel")) is tunnel
    assert not world.did("Bind")


def test_binding_waits_for_its_decision() -> None:
    world = World()
    world.decide(prepare("b1", 3))
    assert not world.did("Bind")
    world.decide(Bind("b1", rule="r"))
    assert world.did("Bind") == ["b1 Bind"]
    assert world.held("b1") == (3, True, False)
    assert world.quiet_ns > world.t_ns, "a switch may be near: no looks of the sampler's own"


def test_a_doubtful_binding_stands_beside_the_old_one_for_a_while() -> None:
    """R35, R109."""
    world = World()
    world.decide(prepare("b1", 3))
    world.decide(Bind("b1", doubtful=True, rule="r"))
    assert world.doubting
    (begun,) = (number for number, doubtful in world.doubts if doubtful)
    assert ("b1", "Bind") in world.carried[begun:], "it is told before"
    world.run(2.9)
    assert world.doubting
    world.run(3.0)  # from when it was decided
    assert not world.doubting, "a bounded time"
    world.decide(Bind("b1", doubtful=True, rule="r"), Bind("b1", rule="r"))
    assert not world.doubting, "the policy is sure"


def test_who_has_moved_in_doubt_is_still_in_doubt() -> None:
    world = World()
    world.decide(prepare("b1", 3), Bind("b1", doubtful=True, rule="r"))
    world.t_ns += 2 * S
    world.decide(Switch("b1", rule="r"))
    assert world.pilot.here == "b1"
    world.run(2.9)
    assert world.doubting
    world.run(3.1)
    assert not world.doubting


def test_who_is_back_is_not() -> None:
    world = World()
    world.decide(prepare("b1", 3), Bind("b1", doubtful=True, rule="r"))
    world.decide(LetGo("b1", rule="r"))
    assert not world.doubting
    assert "b1 Rebind" in world.did("Rebind")
    world.decide(prepare("b1", 3), Bind("b1", doubtful=True, rule="r"))
    world.there["b1"] = False
    world.decide(Switch("b1", rule="r"))
    assert (world.pilot.here, world.doubting) == ("a1", False), "the old binding is restored"


@pytest.mark.parametrize("end", ["land", "end"])
def test_a_doubt_does_not_outlive_the_pilot(end: str) -> None:
    world = World()
    world.decide(prepare("b1", 3), Bind("b1", doubtful=True, rule="r"))
    assert world.doubting
    if end == "land":
        world.pilot.let_go()
    else:
        world.pilot.end()
    assert not world.doubting


def test_a_prepared_switch_holds_moves_and_is_told() -> None:
    world = World()
    world.decide(prepare("b1", 3), Bind("b1", rule="r"), Switch("b1", rule="r"))
    steps = ("StartHold", "TurnUplink", "Leave", "SelectNetwork", "Arrive", "ReleaseUplink")
    assert world.did(*steps) == [f"b1 {step}" for step in steps]
    assert world.pilot.here == world.served == "b1"
    attached = world.script.last(say.Attached)
    assert (attached.ap, attached.full_authentication) == ("b1", False)
    assert world.script.last(say.Measured).part == "switch"
    counts = world.pilot.tally.counts
    assert (counts["switches"], counts["full_authentications"], counts["failed"]) == (1, 0, 0)


def test_a_switch_without_preparation_is_reactive() -> None:
    world = World()
    world.eap = True
    world.decide(Switch("b1", rule="r"))
    assert world.did("StartHold", "SelectNetwork", "Acquire", "Bind") == [
        "b1 SelectNetwork",
        "b1 Acquire",
        "b1 Bind",
    ]
    assert world.script.last(say.Attached).full_authentication
    assert world.pilot.tally.counts["full_authentications"] == 1


def test_keys_alone_spare_the_eap_run() -> None:
    world = World()
    world.decide(prepare("b1", 1), Switch("b1", rule="r"))
    assert world.did("SelectNetwork", "Acquire") == ["b1 SelectNetwork", "b1 Acquire"]
    assert not world.script.last(say.Attached).full_authentication


def test_it_lands_elsewhere_than_planned() -> None:
    """B bound over its tunnel, C with keys alone: C it is, without EAP, and B is given back."""
    world = World()
    world.decide(prepare("b1", 3), prepare("c1", 1), Bind("b1", rule="r"))
    world.there["b1"] = False
    world.decide(Switch("c1", rule="r"))
    assert world.pilot.here == "c1"
    assert world.pilot.linked
    assert not world.script.last(say.Attached).full_authentication
    assert "b1 DeleteTunnel" in world.did("DeleteTunnel")
    assert "b1 ReleaseAddress" in world.did("ReleaseAddress")
    assert world.did("Bind")[-1] == "c1 Bind"
    assert not world.pilot.machines
    world.pilot.end()
    counts = world.pilot.tally.counts
    assert (counts["wasted_tunnels"], counts["wasted_addresses"]) == (1, 1)
    assert counts["wasted_authentications"] == 1


@pytest.mark.parametrize("how", ["refused", "vanished", "silent"])
def test_a_switch_that_fails_ends_on_the_old_access_point(how: str) -> None:
    world = World()
    world.decide(prepare("b1", 3), Bind("b1", rule="r"))
    if how == "refused":
        world.refuses.add("b1")
    elif how == "vanished":
        world.there["b1"] = False
    else:
        world.answers.pop(do.Arrive)
        world.answers.pop(do.Bind)
    world.decide(Switch("b1", rule="r"))
    world.run()
    assert world.pilot.here == "a1"
    assert world.pilot.linked
    assert world.script.last(say.SwitchFailed).ap == "b1"
    assert world.script.last(say.Attached).ap == "a1"
    assert world.did("Rebind")[-1] == "b1 Rebind"
    assert world.served == "a1"
    assert not world.pilot.machines


@pytest.mark.parametrize("reached", ["nothing", "keys", "address", "bound"])
def test_the_link_dies_and_what_is_ready_is_used(reached: str) -> None:
    world = World()
    world.script.on[say.LinkLost] = lambda _: (Switch("b1", rule="lost"),)
    if reached != "nothing":
        world.decide(prepare("b1", {"keys": 1, "address": 2, "bound": 3}[reached]))
    if reached == "bound":
        world.decide(Bind("b1", rule="r"))
    world.lose()
    world.run()
    assert world.pilot.here == "b1"
    assert world.pilot.linked
    assert not world.did("StartHold"), "there is nobody to hold for"
    assert bool(world.did("Acquire")) is (reached in ("nothing", "keys"))


def test_a_lost_link_without_a_decision_goes_where_most_is_prepared() -> None:
    world = World()
    world.decide(prepare("b1", 1), prepare("c1", 2))
    world.lose()
    world.run()
    assert world.pilot.here == "c1"


def test_a_link_that_comes_back_is_told() -> None:
    world = World()
    world.lose()
    assert world.script.last(say.LinkLost).ap == "a1"
    world.pilot.port_open("a1")
    assert world.script.last(say.Attached).ap == "a1"
    assert world.pilot.linked


def test_nobody_is_there_and_somebody_appears() -> None:
    world = World()
    world.decide(prepare("b1", 1))
    world.there.update(a1=False, b1=False, c1=False)
    world.decide(Switch("b1", rule="r"))
    world.run()
    assert world.script.last(say.LinkLost).ap == "a1"
    assert not world.pilot.linked
    world.there["c1"] = True
    world.decide(Switch("c1", rule="r"))
    world.run()
    assert world.pilot.here == "c1"
    assert world.pilot.linked


def test_a_signal_that_recovers_lets_everything_go() -> None:
    world = World()
    world.decide(prepare("b1", 3), Bind("b1", rule="r"), LetGo("b1", rule="recovered"))
    assert world.did("Rebind", "DeleteTunnel", "ReleaseAddress") == [
        "b1 Rebind",
        "b1 DeleteTunnel",
        "b1 ReleaseAddress",
    ]
    assert world.held("b1")[:2] == (1, False), "keys are left to their own time limit"
    world.pilot.end()
    assert world.pilot.tally.counts["wasted_tunnels"] == 1


def test_keys_go_too_when_they_are_not_to_be_kept() -> None:
    world = World()
    world.decide(prepare("b1", 1), LetGo("b1", False, rule="r"))
    assert world.did("ForgetKeys") == ["b1 ForgetKeys"]
    world.decide(prepare("b1", 1))
    assert world.wanted == ["b.example", "b.example"]


@pytest.mark.parametrize("why", ["no way", "refused by the home domain"])
def test_keys_that_cannot_be_had_are_told(why: str) -> None:
    world = World()
    world.keys_fail = why
    world.decide(prepare("b1", 3))
    assert world.held("b1") == (0, False, False)
    assert not world.did("Configure")
    assert not world.pilot.machines


def test_keys_that_end_take_the_preparation_with_them() -> None:
    world = World()
    world.decide(prepare("b1", 3))
    world.pilot.told(Told("b.example", "ended", "lifetime over"))
    world.run()
    assert world.held("b1")[0] == 0
    world.decide(prepare("b1", 1))
    assert world.wanted == ["b.example", "b.example"]


def test_a_return_needs_no_keys_and_no_eap() -> None:
    world = World()
    world.decide(prepare("b1", 3), Switch("b1", rule="r"), KeepContext("a1", 60 * S, rule="r"))
    assert world.held("a1") == (1, False, True)
    world.decide(Return("a1", rule="r"))
    assert world.pilot.here == "a1"
    assert world.wanted == ["b.example"]
    counts = world.pilot.tally.counts
    assert (counts["switches"], counts["ping_pongs"], counts["returns"]) == (2, 1, 1)


def test_a_switch_waits_for_the_end_of_a_scan() -> None:
    world = World()
    world.decide(prepare("b1", 1))
    world.looking = True
    world.decide(Switch("b1", rule="r"), run=False)
    world.run(0.1)
    assert not world.did("SelectNetwork")
    world.looking = False
    world.run(0.1)
    assert world.pilot.here == "b1"


def test_a_scan_that_never_ends_holds_nobody_up() -> None:
    world = World()
    world.looking = True
    world.decide(Switch("b1", rule="r"), run=False)
    world.run(1.0)
    assert world.did("SelectNetwork") == ["b1 SelectNetwork"]


def test_probes_go_to_the_radio_and_tests_are_answered_with_their_target() -> None:
    world = World()
    world.decide(Probe("scan", "b1", 2417, rule="r"), Probe("reachability", "b1", 2417, rule="r"))
    assert world.looks == [(2417, "b1", False), (2417, "b1", True)]
    world.pilot.tell(say.Probed(world.t_ns, "b1", True, 70, "anqp"))
    assert world.script.last(say.Probed) == say.Probed(world.t_ns, "b1", True, 70, "anqp")


def test_what_is_heard_during_a_switch_is_told_after_it() -> None:
    world = World()
    world.decide(prepare("b1", 3), Bind("b1", rule="r"))
    world.decide(Switch("b1", rule="r"), run=False)
    assert world.resting
    before = len(world.script.heard)
    world.pilot.tell(say.Sample(world.t_ns, "a1", -90.0))
    world.pilot.tell(say.Measured(world.t_ns, "keys", 5, "c.example"))
    assert len(world.script.heard) == before
    world.run()
    told = world.script.heard[before:]
    assert any(isinstance(each, say.Measured) and each.part == "keys" for each in told)
    assert not any(isinstance(each, say.Sample) for each in told)


def test_landing_gives_back_what_is_prepared() -> None:
    world = World()
    world.decide(prepare("b1", 3), Bind("b1", rule="r"))
    world.pilot.let_go()
    world.run()
    assert not world.pilot.machines
    assert world.did("Rebind", "DeleteTunnel", "ReleaseAddress") != []
    heard = len(world.script.heard)
    world.pilot.tell(say.Sample(world.t_ns, "a1", -90.0))
    assert len(world.script.heard) == heard


def test_stay_does_nothing() -> None:
    world = World()
    world.decide(Stay("b1", rule="hysteresis"))
    assert world.carried == []
    assert [kind for kind, _ in world.events][-1] == "policy.decided"


def test_the_log_decides_the_same_again() -> None:
    """A walk from a1 to b1 with the default policy, and all of it again from what was written."""
    chosen = loading.choose("default", {})
    world = World(chosen.make())
    for step in range(400):
        world.t_ns += S // 10
        gone_db = step / 10
        world.pilot.tell(say.Sample(world.t_ns, "a1", -52.0 - gone_db, -92.0))
        world.pilot.tell(say.Sample(world.t_ns, "b1", -90.0 + gone_db, -92.0))
        world.run(0.05)
    assert world.pilot.here == "b1"
    engine = Engine(loading.choose("default", settings.told(chosen.settings)).make())
    kinds, again = [], []
    for kind, fields in world.events:
        if kind == "policy.input":
            event = lines.hear(fields["input"])
            decided = [lines.tell_decision(each) for each in engine.feed(event)]
            again += [json.loads(json.dumps(each)) for each in decided]
        elif kind == "policy.decided":
            kinds.append(fields)
    assert kinds == again
    assert {each["decision"] for each in kinds} >= {"prepare", "bind", "switch", "keep-context"}
