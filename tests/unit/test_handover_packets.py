"""What a handover costs the user: his packets, both ways, through everybody's machines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from handover_peers import MS, OLD
from handover_traffic import Stream
from handover_world import Fault, World, prompt
from test_handover_world import DEFAULT, ENDS, READY, at, is_on_a, is_on_b

from mpa_hil.handover import interface as act
from mpa_hil.handover.interface import Event
from mpa_hil.handover.machine import Handover
from mpa_hil.handover.options import Hold, Options
from mpa_hil.handover.states import State

WHOLE = {"down": (0, 0, 0), "up": (0, 0, 0)}
"""Lost, duplicated, out of order."""


def streamed(
    arrange: Callable[[World], None] = lambda world: None,
    options: Options = DEFAULT,
    fault: Fault = prompt,
) -> tuple[World, dict[str, tuple[int, int, int]]]:
    """Prepare and switch under a stream of 200 packets a second each way."""
    world = World(options, fault=fault)
    arrange(world)
    stream = Stream(world)
    world.node.feed(Event.PREPARE)
    world.run_until(*READY, *ENDS)
    if world.node.handover.state in READY:
        world.run(0.3)
        world.node.feed(Event.SWITCH_WANTED)
    world.run_until(*ENDS)
    world.run(0.5)
    stream.stop()
    world.run(8)
    return world, stream.faults()


def test_not_one_packet_is_lost_doubled_or_overtaken() -> None:
    world, faults = streamed()
    is_on_b(world)
    assert faults == WHOLE


def test_without_holding_some_are_lost() -> None:
    world, faults = streamed(options=replace(DEFAULT, hold=Hold.OFF))
    is_on_b(world)
    assert 2 <= faults["down"][0] <= 8


@pytest.mark.parametrize("state", [State.BOUND, State.HOLDING, State.SWITCHING])
@pytest.mark.parametrize("way", ["refused", "vanished"])
def test_a_switch_that_fails_loses_none_either(way: str, state: State) -> None:
    """What was held at both ends comes by the tunnel, then the old binding is back."""

    def trouble(world: World) -> None:
        if way == "refused":
            world.node.refusing["B"] = True
        else:
            world.node.there["B"] = False

    world, faults = streamed(at(state, trouble))
    is_on_a(world)
    assert faults == WHOLE


@pytest.mark.parametrize("state", [State.HOLDING, State.SWITCHING])
def test_nor_does_one_that_is_cancelled(state: State) -> None:
    world, faults = streamed(at(state, lambda world: world.node.feed(Event.CANCEL)))
    is_on_a(world)
    assert faults == WHOLE


@pytest.mark.parametrize("state", [State.BOUND, State.HOLDING])
def test_f5_without_the_old_access_point_only_what_was_on_its_way(state: State) -> None:
    """The uplink waits for no mark that could not be sent."""
    world, faults = streamed(at(state, lambda world: world.node.vanish("A")))
    is_on_b(world)
    assert faults["down"][0] <= 8
    assert faults["up"] == (0, 0, 0)
    assert act.Arrive(world.node.handover._held, marked=False) in world.node.said


def test_both_are_tried_in_turn_until_one_takes_the_node() -> None:
    """A gone and B not willing: B first, then A, until A is there again."""

    def trouble(world: World) -> None:
        world.node.refusing["B"] = True
        world.node.vanish("A")
        world.later(60 * MS, lambda: world.node.there.update(A=True))

    world, _ = streamed(at(State.BOUND, trouble))
    is_on_a(world)
    tried = [
        each for each in world.node.said if type(each).__name__ in ("SelectNetwork", "ReturnToOld")
    ]
    assert tried[:3] == [act.SelectNetwork(), act.SelectNetwork(), act.ReturnToOld()]


def test_a_is_gone_when_b_sends_the_node_back_so_b_is_tried_again() -> None:
    def trouble(world: World) -> None:
        world.node.refusing["B"] = True
        world.node.there["A"] = False
        world.later(60 * MS, lambda: world.node.refusing.update(B=False))

    world, _ = streamed(at(State.SWITCHING, trouble))
    is_on_b(world)


def driven(*events: Event) -> Handover:
    machine = Handover(DEFAULT)
    for number, event in enumerate(events):
        machine.feed(event, number)
    return machine


BOUND = (
    Event.PREPARE,
    Event.AUTHENTICATED,
    Event.CONFIGURED,
    Event.TUNNELLED,
    Event.STAGED,
    Event.BOUND,
)


def test_answers_to_the_binding_update_before_the_last_prove_nothing() -> None:
    machine = driven(*BOUND, Event.CANCEL)
    assert machine.state is State.RESTORING
    assert not machine.feed(Event.BOUND, 10)
    assert machine.feed(Event.LINK_LOST, 11)[-1] == act.SelectNetwork()
    machine.feed(Event.PORT_OPEN, 12)
    asked = machine.feed(Event.ARRIVED, 13)
    assert act.Bind(through_tunnel=False) in asked
    assert not machine.feed(Event.REBOUND, 14)
    machine.feed(Event.BINDING_FAILED, 15)
    back = machine.feed(Event.OLD_PORT_OPEN, 16) or machine.feed(Event.OLD_PORT_OPEN, 17)
    assert machine.state is State.RESTORING
    assert any(isinstance(each, act.Rebind) for each in back)


def test_once_back_on_a_nothing_of_b_is_waited_for() -> None:
    """B's agent would take 3 s to be given up."""

    world = World()
    at(State.SETTLING, lambda world: world.node.vanish("B"))(world)
    world.node.feed(Event.PREPARE)
    world.run_until(*READY)
    world.aa.kill()
    world.node.feed(Event.SWITCH_WANTED)
    assert world.run_until(*ENDS) < 1.5
    is_on_a(world)


def test_a_tunnel_that_comes_late_is_taken_away_and_one_made_anew_is_staged_for() -> None:
    machine = driven(*BOUND[:3], Event.CANCEL, Event.TUNNEL_DELETED, Event.ADDRESS_RELEASED)
    assert machine.state is State.AT_OLD
    assert machine.feed(Event.TUNNELLED, 10) == (act.DeleteTunnel(),)
    machine = driven(*BOUND)
    assert machine.feed(Event.TUNNELLED, 10) == (act.PrepareSwitch(Hold.NEXT, bicast=False),)
    assert machine.state is State.BOUND


def test_a_network_that_came_back_is_returned_to_first() -> None:
    machine = driven(*BOUND, Event.LINK_LOST, Event.OLD_PORT_OPEN)
    assert machine.state is State.RESTORING
    machine.feed(Event.SWITCH_WANTED, 10)
    assert machine.feed(Event.TARGET_VANISHED, 11) == (act.ReturnToOld(),)
    assert machine.state is State.RETURNING


def test_between_decision_and_first_packet_there_is_nothing_to_wait_for() -> None:
    machine = driven(*BOUND)
    assert machine.feed(Event.SWITCH_WANTED, 10) == (act.StartHold(Hold.NEXT, bicast=False),)
    assert machine.feed(Event.HELD, 11) == (act.TurnUplink(), act.Leave(), act.SelectNetwork())
    assert machine.feed(Event.PORT_OPEN, 12) == (act.Arrive(Hold.NEXT),)
    assert machine.feed(Event.ARRIVED, 13)[0] == act.ReleaseUplink()


def test_the_old_address_is_only_dropped_at_the_end() -> None:
    world, _ = streamed()
    names = [type(each).__name__ for each in world.node.said]
    assert names.index("DropOld") == len(names) - 2
    assert world.ha.care_of != OLD
