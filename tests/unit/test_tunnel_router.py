"""The access router's machine and the mobile node's, against each other."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from tunnel_world import AR, MS, SETTINGS, World, made, way

from mpa_hil.tunnel.interface import (
    Ack,
    Code,
    Created,
    Deleted,
    Done,
    GaveUp,
    Kind,
    Protect,
    Refreshed,
    Refused,
)
from mpa_hil.tunnel.node import NodeSettings
from mpa_hil.tunnel.states import Cue, Order, State


def test_a_tunnel_is_made_and_refreshed_and_goes() -> None:
    world, node = made()
    assert world.kernel.orders == [Order.INSTALL, Order.ADVERTISE]
    assert way(world) == {1: "tunnel"}
    terms = node.client.terms
    assert terms is not None
    assert (terms.outer, terms.router, terms.inner) == (node.outer, AR.address, (node.inner,))
    world.run(3600)
    assert way(world) == {1: "tunnel"}
    assert {type(said) for said in node.said[1:]} == {Refreshed}
    assert isinstance(node.does(node.client.delete(world.now))[-1], Deleted)
    assert way(world) == {}
    assert [change.state for change in world.changes] == [State.TUNNELLED, State.GONE]


def test_an_unrefreshed_tunnel_is_over() -> None:
    world, node = made(life_s=30)
    world.nodes.clear()
    world.run(29.9)
    assert way(world)
    world.run(0.2)
    assert not way(world)
    assert world.changes[-1].cue is Cue.EXPIRED
    assert [ack.code for ack in node.fire(node.prepare().disable)] == [Code.NO_SESSION]


def test_a_switch() -> None:
    """Hold, arrive, and the end mark after that: the second answer says drained."""
    world, node = made()
    switch = node.prepare()
    assert node.fire(switch.disable) == [Ack(True)]
    assert way(world) == {1: "held"}
    assert node.fire(switch.arrived, node.inner) == [Ack(True)]
    assert way(world) == {1: "link"}
    assert node.fire(switch.leave, node.inner) == []
    assert node.fire(switch.arrived, node.inner) == [Ack(True, drained=True)]
    world.run(SETTINGS.linger_s + 0.1)
    assert way(world) == {}
    assert world.changes[-1].cue is Cue.LINGERED


@pytest.mark.parametrize("prepared", [True, False])
def test_who_has_arrived_refreshes_no_more(prepared: bool) -> None:
    """Whichever preparation it was that was used."""
    world, node = made()
    if prepared:
        switch = node.prepare()
        assert node.fire(switch.arrived) == [Ack(True, drained=True)]
    else:
        node.does(node.client.order(Kind.ARRIVED, world.now))
    sent = len(world.wire)
    world.run(60)
    assert len(world.wire) == sent
    assert way(world) == {}


def test_the_end_mark_may_come_first() -> None:
    _, node = made()
    switch = node.prepare()
    node.fire(switch.disable)
    node.fire(switch.leave)
    assert node.fire(switch.arrived) == [Ack(True, drained=True)]


def test_the_end_mark_that_is_lost_is_not_waited_for() -> None:
    world, node = made()
    switch = node.prepare()
    node.fire(switch.disable)
    answers: list[Ack] = node.fire(switch.arrived)
    world.run(SETTINGS.drain_s + 0.01)
    assert answers == [Ack(True), Ack(True, drained=True)]


def test_without_a_disable_there_is_nothing_to_drain() -> None:
    """The old network was lost before the switch was announced."""
    world, node = made()
    assert node.fire(node.prepare().arrived) == [Ack(True, drained=True)]
    assert way(world) == {1: "link"}


def test_after_a_hold_that_was_taken_back_there_is_nothing_to_drain_either() -> None:
    """It was for a scan, say; and then the router that is left holds, not this one."""
    _, node = made()
    switch = node.prepare()
    assert node.fire(switch.disable) == [Ack(True)]
    assert node.fire(switch.enable) == [Ack(True)]
    assert node.fire(node.prepare().arrived) == [Ack(True, drained=True)]


def test_each_request_acts_once() -> None:
    """The same datagram again has the same answer; an older one than the last acts no more."""
    world, node = made()
    switch = node.prepare()
    acks = [node.fire(switch.disable) for _ in range(3)]
    assert acks == [[Ack(True)]] * 3
    assert world.kernel.orders.count(Order.HOLD) == 1
    assert node.fire(switch.enable) == [Ack(True)]
    assert [ack.stale for ack in node.fire(switch.disable)] == [True]
    assert [ack.stale for ack in node.fire(switch.arrived)] == [True]
    assert way(world) == {1: "tunnel"}


@pytest.mark.parametrize("asked", [True, False])
def test_a_switch_that_fails(asked: bool) -> None:
    world, node = made(hold_ms=300)
    switch = node.prepare()
    node.fire(switch.disable)
    if asked:
        assert node.fire(switch.enable) == [Ack(True)]
    else:
        world.run(0.299)
        assert way(world) == {1: "held"}
        world.run(0.002)
    assert way(world) == {1: "tunnel"}
    assert world.changes[-1].cue is (Cue.ENABLE if asked else Cue.LIMIT)
    assert asked or world.changes[-1].held_ns == 300 * MS
    again = node.prepare()
    assert node.fire(again.disable) == [Ack(True)]


def test_a_prepared_switch_is_void_after_another_request() -> None:
    world, node = made()
    switch = node.prepare()
    assert isinstance(node.does(node.client.refresh(node.outer, world.now))[-1], Refreshed)
    assert [ack.stale for ack in node.fire(switch.disable)] == [True]
    assert way(world) == {1: "tunnel"}
    assert node.fire(node.prepare().disable) == [Ack(True)]


def test_nothing_is_refreshed_while_a_switch_is_prepared() -> None:
    world, node = made()
    world.run(9.99)
    switch = node.prepare()
    world.run(3)
    assert node.fire(switch.disable) == [Ack(True)]


def test_a_router_that_restarts_is_found_out() -> None:
    """What was prepared is stale, what was refreshed is made anew."""
    world, node = made()
    switch = node.prepare()
    world.restart()
    assert node.fire(switch.arrived) == []  # the key is not there yet: not even an answer
    world.deliver(node)
    assert [ack.stale for ack in node.fire(switch.arrived)] == [True]
    assert node.fire(node.prepare().arrived) == [Ack(False, Code.NO_SESSION)]
    world.run(10.1)
    assert isinstance(node.said[-1], Created)
    assert way(world) == {1: "tunnel"}


def test_a_router_that_is_away_is_given_up() -> None:
    world = World()
    node = world.node(7)
    world.fate = lambda: ()
    node.create()
    world.run(30)
    (said,) = node.said
    assert isinstance(said, GaveUp)
    assert said.attempts > 3


@pytest.mark.parametrize("here", [True, False])
def test_an_address_that_somebody_has(here: bool) -> None:
    world = World()
    node = world.node(7)
    world.kernel.slow = True
    world.kernel.taken = {node.inner} if here else set()
    assert node.create() == ()
    world.run(3)  # the request is repeated, and said to be worked on
    assert len(world.kernel.checks) == 1
    world.check()
    assert type(node.said[-1]) is (Refused if here else Created)
    assert bool(way(world)) is not here
    assert len(world.router.sessions) == (not here)


def test_a_tunnel_that_is_deleted_while_it_is_checked() -> None:
    world = World()
    node = world.node(7)
    world.kernel.slow = True
    node.create()
    world.withdraw(node)
    world.check()
    assert way(world) == {}
    assert not world.router.sessions


def test_who_comes_before_its_tunnel_is_made_gets_none() -> None:
    """It would take the packets of a node that stands on the link back to where it was."""
    world = World()
    node = world.node(7)
    world.kernel.slow = True
    node.create()
    world.carry_out(world.router.seen(node.key.name, True, world.now))
    said = node.said[-1]
    assert isinstance(said, Refused)
    assert said.code is Code.NO_SESSION
    world.check()
    assert way(world) == {}
    assert not world.router.sessions
    assert Order.INSTALL not in world.kernel.orders


def test_what_is_to_go_is_not_waited_for() -> None:
    """The answer to CREATE went where the node was; DELETE is said at once all the same."""
    world = World()
    node = world.node(7)
    world.kernel.slow = True
    node.create()
    told = len(world.wire)
    assert isinstance(node.does(node.client.delete(world.now))[-1], Deleted)
    assert len(world.wire) == told + 1
    world.check()
    world.run(60)
    assert isinstance(node.said[-1], Deleted)
    assert not world.router.sessions
    assert Order.INSTALL not in world.kernel.orders


def test_the_same_again_is_answered_and_not_made_again() -> None:
    """The MN's process restarts, with the same wish."""
    world, node = made()
    node.restart()
    assert isinstance(node.create()[-1], Created)
    assert world.kernel.orders.count(Order.INSTALL) == 1
    node.restart()
    assert isinstance(node.create(protect=Protect.ESP)[-1], Created)
    assert world.kernel.orders[-3:] == [Order.REMOVE, Order.INSTALL, Order.ADVERTISE]
    assert world.changes[-2].cue is Cue.REPLACED
    world.check_invariants()


def test_another_outer_address() -> None:
    """Plainly the tunnel is moved; with ESP, whose keys are for one place, it is made anew."""
    for protect, order in ((Protect.PLAIN, Order.MOVE), (Protect.ESP, Order.INSTALL)):
        world, node = made(protect=protect)
        node.outer = ip_address("198.51.100.9")
        said = node.does(node.client.refresh(node.outer, world.now))[-1]
        assert isinstance(said, Refreshed if order is Order.MOVE else Created)
        assert said.terms.outer == node.outer
        assert order in world.kernel.orders[2:]
        world.check_invariants()


def test_renewed_keys_take_the_session_on() -> None:
    """First the new key comes, then the old one goes; only without a new one it is the end."""
    world, node = made()
    old = node.key
    node.new_key()
    world.deliver(node)
    world.carry_out(world.router.key_withdrawn(old.name, world.now))
    assert way(world) == {1: "tunnel"}
    for kind in (Kind.DISABLE, Kind.ENABLE):
        assert node.does(node.client.order(kind, world.now))[-1] == Done(kind)
    assert isinstance(node.create()[-1], Created)
    world.withdraw(node)
    assert way(world) == {}
    assert world.changes[-1].cue is Cue.WITHDRAWN


def test_other_signs_of_arrival() -> None:
    """An access point's word, or the authentication agent's (R61, R62)."""
    world, node = made()
    switch = node.prepare()
    node.fire(switch.disable)
    world.carry_out(world.router.seen(node.key.name, False, world.now))
    assert way(world) == {1: "held"}
    world.carry_out(world.router.seen(node.key.name, True, world.now))
    assert way(world) == {1: "link"}
    assert node.fire(switch.arrived) == [Ack(True)]
    world.carry_out(world.router.seen(b"?" * 20, True, world.now))


def test_what_the_access_point_says_does_not_drain_the_uplink() -> None:
    world, node = made()
    switch = node.prepare()
    node.fire(switch.disable)
    world.carry_out(world.router.seen(node.key.name, True, world.now))
    answers = node.fire(switch.arrived)
    assert answers == [Ack(True)]
    node.fire(switch.leave, node.inner)
    assert answers == [Ack(True), Ack(True, drained=True)]


def test_bicasting() -> None:
    """Nothing is held; both ways until the MN has come, or the limit (R74)."""
    world, node = made(bicast=True)
    switch = node.prepare()
    assert node.fire(switch.disable) == [Ack(True)]
    assert way(world) == {1: "both"}
    assert node.fire(switch.arrived) == [Ack(True)]
    assert way(world) == {1: "link"}
    world, node = made(bicast=True)
    node.fire(node.prepare().disable)
    world.run(2.1)
    assert way(world) == {1: "tunnel"}


@pytest.mark.parametrize(
    "order", [Order.INSTALL, Order.HOLD, Order.DIRECT, Order.RESUME, Order.REMOVE]
)
def test_a_kernel_that_refuses(order: Order) -> None:
    """It is said to the MN, and nothing is left that nobody knows the state of."""
    world = World()
    node = world.node(7)
    world.kernel.refuses = {order}
    node.create()
    if order is Order.INSTALL:
        said = node.said[-1]
        assert isinstance(said, Refused)
        assert said.code is Code.KERNEL
        assert not world.router.sessions
        return
    switch = node.prepare()
    if order is not Order.REMOVE:
        acks = [node.fire(switch.disable)[0].done]
        acks.append(node.fire(switch.enable if order is Order.RESUME else switch.arrived)[0].done)
        assert (
            acks
            == {
                Order.HOLD: [False, True],
                Order.DIRECT: [True, False],
                Order.RESUME: [True, False],
            }[order]
        )
    node.fire(node.prepare().delete)
    assert not world.router.sessions
    assert world.failures


def test_ordinary_requests_do_as_well() -> None:
    world, node = made()
    for kind, expected in ((Kind.DISABLE, "held"), (Kind.ARRIVED, "link")):
        said = node.does(node.client.order(kind, world.now))[-1]
        assert said == Done(kind)
        assert way(world) == {1: expected}
    said = node.does(node.client.order(Kind.ENABLE, world.now))[-1]
    assert isinstance(said, Refused)
    assert said.code is Code.WRONG_STATE


def test_a_deleted_session_is_not_made_anew() -> None:
    """Not even by a refresh that was under way, and found that the router had lost it."""
    world, node = made()
    world.fate = lambda: (50,)
    world.restart()
    world.deliver(node)
    node.does(node.client.refresh(node.outer, world.now))
    node.does(node.client.delete(world.now))
    world.run(60)
    assert isinstance(node.said[-1], Deleted)
    assert Order.INSTALL not in world.kernel.orders


def test_settings_of_the_node() -> None:
    """How often a session is refreshed is the node's to say."""
    world = World()
    node = world.node(7)
    node.restart(NodeSettings(refresh_s=2))
    node.create()
    sent = len(world.wire)
    world.run(10.1)
    assert len(world.wire) == sent + 5
