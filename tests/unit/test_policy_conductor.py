"""The conductor: several handover machines, one radio, one binding."""

from __future__ import annotations

import pytest
from policy_world import S, World

from mpa_hil.handover import interface as act
from mpa_hil.handover.interface import Event
from mpa_hil.handover.states import State
from mpa_hil.policy import interface as say
from mpa_hil.policy.conductor import Carry
from mpa_hil.policy.interface import Decision, Level


class Quiet(World):
    """Where the policy has nothing to say: everybody is heard well."""

    def __init__(self, *dead: str) -> None:
        self.told: list[say.Input] = []
        super().__init__(lambda t_s: dict.fromkeys(("a1", "b1", "c1"), 40.0), "fixed")
        self.dead |= set(dead)

    def tell(self, event: say.Input) -> None:
        if not isinstance(event, say.Sample):
            self.told.append(event)
        super().tell(event)

    def want(self, *decisions: Decision) -> None:
        for decision in decisions:
            self.obey(self.conductor.obey(decision, self.now_ns))

    def state(self, ap: str) -> State:
        return self.conductor.machines[ap].state

    def actions(self, *kinds: type[act.Action]) -> list[tuple[str, str]]:
        """What was carried out, in order."""
        return [
            (each.target, type(each.action).__name__)
            for each in self.carried
            if not kinds or isinstance(each.action, kinds)
        ]


def prepare(ap: str, level: int = 3) -> Decision:
    return say.Prepare(ap, Level(level), rule="test")


def bind(ap: str) -> Decision:
    return say.Bind(ap, rule="test")


def switch(ap: str) -> Decision:
    return say.Switch(ap, rule="test")


@pytest.fixture
def world() -> Quiet:
    return Quiet()


def test_what_is_prepared_is_told(world: Quiet) -> None:
    world.want(prepare("b1"))
    world.run(4)
    told = [each for each in world.told if isinstance(each, say.Holding)]
    assert [(each.level, each.under_way, each.tunnel) for each in told] == [
        (0, True, False),
        (1, True, False),
        (2, True, False),
        (2, True, True),
        (2, False, True),
    ]
    assert not world.actions(act.Bind), "that is a decision of its own"


@pytest.mark.parametrize(("after_s", "state"), [(1.605, State.STAGING), (4.0, State.PREPARED)])
def test_more_is_prepared_on_top_of_what_there_is(after_s: float, state: State) -> None:
    """Nothing is given back and got again for it."""
    world = Quiet()
    world.want(prepare("b1", 1))
    world.run(1)
    assert world.state("b1") is State.PREPARED
    world.want(prepare("b1", 2))
    world.rest(after_s - 0.6)
    assert world.state("b1") is state
    world.want(prepare("b1", 3))
    world.run(4)
    assert world.state("b1") is State.PREPARED
    assert world.conductor.machines["b1"].level is Level.CONFIGURED
    assert world.actions() == [
        ("b1", "Authenticate"),
        ("b1", "PrepareSwitch"),
        ("b1", "Ready"),
        ("b1", "Configure"),
        ("b1", "PrepareSwitch"),
        *([("b1", "Ready")] if state is State.PREPARED else []),
        ("b1", "CreateTunnel"),
        ("b1", "PrepareSwitch"),
        ("b1", "Ready"),
    ]


def test_what_was_refused_is_asked_for_again_when_it_is_wanted_again(world: Quiet) -> None:
    world.want(prepare("b1"))
    world.run(1)
    assert world.state("b1") is State.CONFIGURING
    world.run(1)
    assert world.state("b1") is State.TUNNELLING
    world.obey(world.conductor.feed("b1", Event.TUNNEL_REFUSED, world.now_ns))
    world.run(1)
    assert world.state("b1") is State.PREPARED
    world.want(prepare("b1", 2))
    assert world.state("b1") is State.PREPARED, "not beyond what is wanted"
    world.want(prepare("b1"))
    world.run(2)
    assert world.actions(act.CreateTunnel) == [("b1", "CreateTunnel")] * 2
    assert world.actions(act.Configure) == [("b1", "Configure")]


def test_a_second_binding_waits_until_the_first_is_undone(world: Quiet) -> None:
    world.want(prepare("b1"), prepare("c1"))
    world.run(4)
    world.want(bind("b1"))
    world.run(1)
    assert world.home == "b1"
    world.want(bind("c1"))
    assert world.actions(act.Bind, act.Rebind) == [("b1", "Bind"), ("b1", "Rebind")]
    world.run(1)
    assert world.actions(act.Bind, act.Rebind)[2:] == [("c1", "Bind")]
    assert world.home == "c1"


def test_a_second_switch_waits_for_the_first(world: Quiet) -> None:
    world.want(prepare("b1", 1), prepare("c1", 1))
    world.run(2)
    world.want(switch("b1"), switch("c1"), switch("b1"))
    assert world.actions(act.SelectNetwork) == [("b1", "SelectNetwork")]
    world.run(6)
    assert world.arrivals == ["a1", "b1", "c1"]
    world.is_whole()


def test_after_a_move_the_others_give_back_what_they_hold(world: Quiet) -> None:
    world.want(prepare("b1"), prepare("c1"))
    world.run(4)
    world.want(bind("c1"))
    world.run(1)
    before = len(world.carried)
    world.want(switch("b1"))
    world.run(8)
    assert world.arrivals == ["a1", "b1"]
    after = [
        (each.target, type(each.action)) for each in world.carried[before:] if each.target == "c1"
    ]
    assert {act.DeleteTunnel, act.ReleaseAddress} <= {kind for _, kind in after}
    assert not {act.Rebind, act.ReturnToOld, act.SelectNetwork} & {kind for _, kind in after}
    assert world.home == "b1"
    world.is_whole()


def test_landing_where_something_else_is_prepared(world: Quiet) -> None:
    world.want(prepare("b1"), prepare("c1", 2))
    world.run(4)
    world.dead.add("b1")
    world.on_carry = lambda carry: None
    world.want(switch("b1"))
    world.radio = "c1"
    world.obey(world.conductor.port_open("c1", world.now_ns))
    assert world.conductor.owner == "c1"
    before = len(world.carried)
    world.run(6)
    assert world.arrivals == ["a1", "c1"]
    last = [each for each in world.told if isinstance(each, say.Attached)][-1]
    assert not last.full_authentication
    assert ("c1", "Acquire") not in world.actions()
    moving = (act.ReturnToOld, act.SelectNetwork, act.TurnBack, act.SeekAny)
    assert not [each for each in world.carried[before:] if isinstance(each.action, moving)]
    world.is_whole()


def test_landing_where_nothing_is_prepared(world: Quiet) -> None:
    world.radio = "c1"
    world.obey(world.conductor.port_open("c1", world.now_ns))
    world.run(6)
    assert world.arrivals == ["a1", "c1"]
    assert ("c1", "Acquire") in world.actions()
    world.is_whole()


def test_time_limits_of_others_wait_while_one_moves(world: Quiet) -> None:
    world.want(prepare("b1"), prepare("c1", 1))
    world.run(4)
    world.want(bind("b1"))
    world.run(1)
    limit_ns = world.conductor.machines["b1"].next_deadline()
    assert limit_ns is not None
    world.now_ns = limit_ns - S // 100
    world.refusing.clear()
    world.want(switch("c1"))
    world.obey(world.conductor.expire(limit_ns + 1))
    assert world.state("b1") is State.BOUND
    assert ("b1", "Rebind") not in world.actions()
    world.run(8)
    world.is_whole()
    assert world.radio == "c1"


def test_a_refused_switch_ends_at_the_old_one(world: Quiet) -> None:
    world.want(prepare("b1"))
    world.run(4)
    world.refusing.add("b1")
    world.want(switch("b1"))
    world.run(3)
    ends = [each for each in world.told if isinstance(each, say.SwitchFailed | say.Attached)]
    assert [type(each).__name__ for each in ends[1:]] == ["SwitchFailed", "Attached"]
    assert world.arrivals[-1] == "a1"
    world.run(12)
    world.is_whole()
    assert world.home == "a1"


def test_more_can_be_asked_for_at_any_time(world: Quiet) -> None:
    world.want(prepare("b1", 1))
    world.run(0.2)
    world.want(prepare("b1", 2))
    world.run(3)
    assert world.engine.situation.level("b1") == 2
    assert ("b1", "CreateTunnel") not in world.actions()
    world.want(prepare("b1", 3))
    world.run(6)
    assert world.engine.situation.holdings["b1"].tunnel
    world.want(prepare("b1", 1))
    world.run(1)
    assert world.engine.situation.holdings["b1"].tunnel, "less is not asked for so"


def test_keys_are_left_or_forgotten(world: Quiet) -> None:
    world.want(prepare("b1", 1))
    world.run(2)
    world.want(say.LetGo("b1", rule="test"))
    world.run(1)
    assert world.engine.situation.level("b1") == 1
    assert not world.actions(act.ForgetKeys)
    world.want(say.LetGo("b1", keep_keys=False, rule="test"))
    assert world.actions(act.ForgetKeys) == [("b1", "ForgetKeys")]
    assert world.engine.situation.level("b1") == 0


def test_the_old_one_is_tried_again_for_a_bounded_time(world: Quiet) -> None:
    world.dead |= {"a1"}
    world.radio = ""
    world.obey(world.conductor.link_lost("a1", world.now_ns))
    world.want(switch("a1"))
    assert world.conductor.next_deadline() is not None
    world.run(4)
    failed = [each for each in world.told if isinstance(each, say.SwitchFailed)]
    assert failed
    assert failed[0].ap in ("a1", "b1", "c1")


def test_a_policy_that_says_nothing_leaves_nobody_stranded() -> None:
    world = Quiet("b1", "c1")
    conductor = world.conductor
    world.want(prepare("b1", 1))
    world.run(2)
    outputs = [*conductor.link_lost("a1", world.now_ns), *conductor.stranded(world.now_ns)]
    carried = [each for each in outputs if isinstance(each, Carry)]
    assert ("b1", act.SelectNetwork()) in [(each.target, each.action) for each in carried]


def test_nowhere_to_go_is_anywhere() -> None:
    world = Quiet()
    conductor = world.conductor
    conductor.link_lost("a1", world.now_ns)
    assert conductor.stranded(world.now_ns) == (Carry("", act.SeekAny()),)
    assert conductor.port_open("a1", world.now_ns) == (say.Attached(world.now_ns, "a1"),)
