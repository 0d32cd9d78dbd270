"""A handover with everybody's machines: where it ends, whatever goes wrong (RFC 6252 s6.3).

For each trouble the end that is required is written down: on A with the old binding, or on B with
the new one, in bounded time, with nothing left at either end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from handover_peers import LINK, MS, OLD, POOL, S
from handover_world import Fault, World, prompt

from mpa_hil.handover import interface as act
from mpa_hil.handover.interface import Event, Outcome
from mpa_hil.handover.options import Hold, Level, Options
from mpa_hil.handover.states import State

READY = (State.BOUND, State.PREPARED, State.AT_OLD)
ENDS = (State.AT_OLD, State.AT_NEW, State.LOST)
STEPS = {
    1: State.AUTHENTICATING,
    2: State.CONFIGURING,
    3: State.BINDING,
    4: State.HOLDING,
    5: State.SWITCHING,
    6: State.ARRIVING,
}
OTHERS = (State.TUNNELLING, State.STAGING, State.BOUND, State.SETTLING)
UNBOUND = (State.AUTHENTICATING, State.CONFIGURING, State.TUNNELLING)
RELIES = (State.STAGING, State.BINDING, State.BOUND)
IN_SWITCH = (State.HOLDING, State.SWITCHING, State.ARRIVING)
DEFAULT = Options()
REACTIVE_NS = 600 * MS
"""What a handover without preparation is dark for here: DHCP in 500 ms, then the binding update."""


def at(state: State, what: Callable[[World], object]) -> Callable[[World], None]:
    """Do something the first time that the handover is in a state."""

    def arrange(world: World) -> None:
        def look(now: State) -> None:
            if now is state:
                world.on_state = lambda _: None
                what(world)

        world.on_state = look

    return arrange


def handover(
    arrange: Callable[[World], None] = lambda world: None,
    options: Options = DEFAULT,
    fault: Fault = prompt,
    *,
    switch: bool = True,
) -> World:
    """Prepare, switch a second later, and wait for the end."""
    world = World(options, fault=fault)
    arrange(world)
    world.node.feed(Event.PREPARE)
    assert world.run_until(*READY, *ENDS) < 60
    if switch and world.node.handover.state in READY:
        world.run(1)
        world.node.feed(Event.SWITCH_WANTED)
    assert world.run_until(*ENDS) < 60
    world.run(8)  # what was still under way
    return world


def is_on_b(world: World, *, home_agent_lives: bool = True) -> None:
    assert world.node.handover.state is State.AT_NEW
    assert world.node.radio == "B"
    nothing_left(world)
    assert world.node.said[-3:-1] == [act.RetireBinding(old=True), act.DropOld()]
    if home_agent_lives:
        assert world.ha.care_of == world.node.on_link
        assert (world.downlink(), world.uplink()) == ("there", "there")


def is_on_a(world: World, *, confirmed: bool = True, answered: bool = True) -> None:
    assert world.node.handover.state is State.AT_OLD
    assert world.node.radio == "A"
    nothing_left(world)
    finished = world.node.of(act.Finished)[-1]
    assert isinstance(finished, act.Finished)
    assert finished.outcome is Outcome.STAYED
    assert finished.confirmed == confirmed
    assert finished.unanswered == () or not answered
    staged, retired = act.StageBinding(), act.RetireBinding(old=False)
    assert world.node.said.count(staged) == world.node.said.count(retired)
    assert world.node.on_link is None
    if confirmed:
        assert world.ha.care_of == OLD
        assert not world.ca.leases
        assert (world.downlink(), world.uplink()) == ("there", "there")


def nothing_left(world: World) -> None:
    assert not world.node.tunnel
    assert not world.node.turned
    assert not world.ar.kernel
    assert not list(world.ar.machine.sessions) or not world.ar.alive
    assert world.node.handover.next_deadline() is None


def test_nothing_is_lost_when_all_goes_well() -> None:
    world = handover()
    is_on_b(world)
    assert world.dark_ns == {"down": 0, "up": 0}
    marks = [mark for mark in world.node.handover.marks() if mark.outcome]
    assert [mark.phase for mark in marks] == [
        "pre-authentication",
        "pre-configuration",
        "tunnel-setup",
        "staging",
        "binding-update",
        "pre-switching",
        "switching",
        "arrival",
        "post-switching",
    ]
    assert {mark.outcome for mark in marks} == {"done"}
    assert world.node.of(act.Finished) == [act.Finished(Outcome.MOVED, Level.BOUND, "")]


@pytest.mark.parametrize("level", list(Level))
def test_each_level_gets_there_and_the_higher_the_sooner(level: Level) -> None:
    world = handover(options=replace(DEFAULT, level=level, hold=Hold.NEXT))
    is_on_b(world)
    assert world.node.of(act.Finished)[-1].level is level  # type: ignore[union-attr]
    most_ms = {0: 600, 1: 600, 2: 60, 3: 0}[level]
    assert world.dark_ns["down"] <= most_ms * MS
    if level < Level.CONFIGURED:
        assert world.dark_ns["down"] >= 500 * MS


@pytest.mark.parametrize("bind_ahead", [True, False])
@pytest.mark.parametrize("hold", [Hold.OFF, Hold.NEXT])
def test_binding_ahead_or_on_decision_held_or_not(bind_ahead: bool, hold: Hold) -> None:
    world = handover(options=replace(DEFAULT, bind_ahead=bind_ahead, hold=hold))
    is_on_b(world)
    assert (world.dark_ns["down"] == 0) == (hold is Hold.NEXT)
    assert world.dark_ns["down"] <= 50 * MS


def kill(who: str, again_s: float | None) -> Callable[[World], None]:
    def killed(world: World) -> None:
        world.peers[who].kill()
        if again_s is not None:
            world.later(round(again_s * S), world.peers[who].restart)

    return killed


@pytest.mark.parametrize("again_s", [None, 0.5], ids=["stays dead", "restarted"])
@pytest.mark.parametrize("step", [*STEPS, *OTHERS])
@pytest.mark.parametrize("who", ["AA", "CA", "AR", "HA"])
def test_f1_an_agent_killed_at_any_step(who: str, step: int | State, again_s: float | None) -> None:
    """On B if it can be: whoever is gone, the rest is done there. Back on A without a home agent
    that could be told, and without the router that everything was sent to."""
    state = step if isinstance(step, State) else STEPS[step]
    world = handover(at(state, kill(who, again_s)))
    dead = again_s is None
    untold = [*UNBOUND, State.STAGING, State.BINDING]
    depends = {"HA": (untold, ()), "AR": ((*RELIES, *IN_SWITCH), (State.HOLDING,))}
    if state in depends.get(who, ((), ()))[0 if dead else 1]:
        is_on_a(world, confirmed=who != "HA", answered=not dead)
        assert (world.downlink(), world.uplink()) == ("there", "there")
    else:
        is_on_b(world, home_agent_lives=who != "HA")
    if who != "HA":  # never worse than without any preparation
        assert max(world.dark_ns.values()) <= REACTIVE_NS
    lossless = who in ("CA", "AA") and state is not State.AUTHENTICATING
    if lossless and not (who == "CA" and state is State.CONFIGURING and again_s is None):
        assert world.dark_ns == {"down": 0, "up": 0}


@pytest.mark.parametrize("step", [1, 2, 3, *OTHERS[:3]])
@pytest.mark.parametrize("who", ["CA", "AR"])
def test_f1_an_agent_dies_and_the_node_does_not_go(who: str, step: int | State) -> None:
    """The preparation falls back as far as it must, before the user notices; what is prepared is
    given back at last."""
    state = step if isinstance(step, State) else STEPS[step]
    world = World()
    at(state, kill(who, None))(world)
    world.node.feed(Event.PREPARE)
    world.run(60)
    world.node.feed(Event.CANCEL)
    assert world.run_until(State.AT_OLD) < 20
    world.run(8)
    assert world.dark_ns == {"down": 0, "up": 0}
    if who == "AR":
        is_on_a(world, answered=False)
    else:  # nobody can give the address back before its agent lives again, or its lease ends
        assert world.ha.care_of == OLD
        assert (world.downlink(), world.uplink()) == ("there", "there")


def pool_empty(world: World) -> None:
    world.ca.pool = ()


def address_in_use(world: World) -> None:
    world.ar.strangers = {POOL[0]}


def all_in_use(world: World) -> None:
    world.ar.strangers = set(POOL)


def tunnel_refused(world: World) -> None:
    world.ar.refusing = "no such device"


def binding_rejected(world: World) -> None:
    world.ha.refusing = True
    world.ha.start()
    world.node.mip_do(world.node.mip.register(OLD, world.now))
    world.run(4)


def refused_by_b(world: World) -> None:
    world.node.refusing["B"] = True


def b_vanishes(world: World) -> None:
    world.node.vanish("B")


def a_vanishes(world: World) -> None:
    world.node.vanish("A")


def keys_withdrawn(world: World) -> None:
    world.node.feed(Event.KEYS_WITHDRAWN)


def cancelled(world: World) -> None:
    world.node.feed(Event.CANCEL)


def test_f7_pool_exhausted() -> None:
    """Prepared to level 1; having gone all the same it finds nothing there, and is back on A."""
    world = handover(pool_empty)
    assert world.node.of(act.Ready) == [act.Ready(Level.AUTHENTICATED, "configuration failed")]
    is_on_a(world)

    def and_fills_again(world: World) -> None:
        pool_empty(world)
        at(State.PREPARED, lambda _: setattr(world.ca, "pool", POOL))(world)

    is_on_b(handover(and_fills_again))


def test_f7_address_in_use_on_the_link() -> None:
    """Another address the first time, level 1 the second; never the one that is in use."""
    world = handover(address_in_use)
    is_on_b(world)
    assert world.node.on_link == POOL[1]
    assert world.ca.declined == {POOL[0]}
    world = handover(all_in_use)
    is_on_a(world)
    assert world.ha.care_of == OLD


def test_tunnel_refused() -> None:
    """Prepared to level 2: address there, binding after the move."""
    world = handover(tunnel_refused)
    is_on_b(world)
    assert world.node.of(act.Ready)[-1] == act.Ready(Level.CONFIGURED, "tunnel refused")
    assert world.dark_ns["down"] <= 60 * MS


def test_a_preparation_below_what_is_wanted_is_given_up() -> None:
    options = replace(DEFAULT, minimum=Level.BOUND)
    world = handover(tunnel_refused, options, switch=False)
    is_on_a(world)
    world = handover(pool_empty, options, switch=False)
    is_on_a(world)


def test_binding_rejected() -> None:
    """On A with the old binding; gone all the same, B is no better."""
    for switch in (False, True):
        world = handover(binding_rejected, switch=switch)
        assert world.ha.care_of == OLD
        assert world.node.radio == "A"
        nothing_left(world)
        assert (world.downlink(), world.uplink()) == ("there", "there")


@pytest.mark.parametrize("trouble", [refused_by_b, b_vanishes])
@pytest.mark.parametrize("state", [State.BOUND, State.HOLDING, State.SWITCHING])
def test_f4_b_does_not_take_the_node(trouble: Callable[[World], None], state: State) -> None:
    """Back on A with the old binding; what was held comes through the tunnel."""
    world = handover(at(state, trouble))
    is_on_a(world)
    assert world.dark_ns["down"] <= 30 * MS


@pytest.mark.parametrize("state", [State.ARRIVING, State.SETTLING])
def test_f4_b_vanishes_when_the_node_is_there(state: State) -> None:
    """Back on A: the new binding, if it was confirmed already, is undone."""
    is_on_a(handover(at(state, b_vanishes)))


@pytest.mark.parametrize("state", [*STEPS.values(), *OTHERS])
def test_f5_the_old_access_point_vanishes(state: State) -> None:
    """On B, with whatever was ready."""
    is_on_b(handover(at(state, a_vanishes)))


@pytest.mark.parametrize("state", [*STEPS.values(), *OTHERS])
@pytest.mark.parametrize("trouble", [cancelled, keys_withdrawn])
def test_cancelled_or_disowned_at_any_moment(
    trouble: Callable[[World], None], state: State
) -> None:
    """On A until the port of B opens. From then on, and with keys withdrawn from the switch on, the
    handover goes on to B."""
    late = [State.ARRIVING, State.SETTLING]
    if trouble is keys_withdrawn:
        late.append(State.SWITCHING)
    world = handover(at(state, trouble), switch=state in (State.HOLDING, State.SWITCHING, *late))
    if state in late:
        is_on_b(world)
        assert world.dark_ns == {"down": 0, "up": 0}
    else:
        is_on_a(world)
        assert world.dark_ns["down"] <= 30 * MS


@pytest.mark.parametrize("event", [Event.LEASE_EXPIRED, Event.ADDRESS_TAKEN, Event.TUNNEL_LOST])
@pytest.mark.parametrize("state", [State.BINDING, State.BOUND, *IN_SWITCH, State.SETTLING])
def test_the_address_or_the_tunnel_goes_under_the_node(state: State, event: Event) -> None:
    """Before the switch: back to the old binding. After it is decided: on, with another address if
    it is the address that went."""

    def goes(world: World) -> None:
        if event is Event.LEASE_EXPIRED:
            world.ca.leases.clear()
        elif event is Event.ADDRESS_TAKEN:
            world.ar.strangers = {POOL[0]}
        world.node.feed(event)

    before = state in (State.BINDING, State.BOUND)
    world = handover(at(state, goes), switch=not before)
    if before:
        is_on_a(world)
    else:
        is_on_b(world)
        assert (world.node.on_link == POOL[0]) == (event is not Event.ADDRESS_TAKEN)


def test_neither_network_is_there_and_then_one_is() -> None:
    def gone(world: World) -> None:
        world.node.vanish("A")
        world.node.vanish("B")

    world = handover(at(State.BOUND, gone), switch=False)
    assert world.node.handover.state is State.LOST
    for radio, event, check in (
        ("B", Event.PORT_OPEN, is_on_b),
        ("A", Event.OLD_PORT_OPEN, is_on_a),
    ):
        world = handover(at(State.BOUND, gone), switch=False)
        world.node.radio = radio
        world.node.feed(event)
        world.run(40)
        check(world)  # type: ignore[operator]


def test_the_home_agent_does_not_answer_when_asked_for_a_proof() -> None:
    """B's router dies while it holds, and nobody clears its kernel: nothing comes through, so the
    node goes back."""

    def dies(world: World) -> None:
        world.ar.alive = False

    world = handover(at(State.SWITCHING, dies))
    assert world.node.handover.state is State.AT_OLD
    assert world.ha.care_of == OLD
    assert (world.downlink(), world.uplink()) == ("there", "there")
    assert LINK[50] in world.ar.kernel  # until the agent is started again
    world.ar.restart()
    world.run(130)  # a session that nobody refreshes ends
    nothing_left(world)
