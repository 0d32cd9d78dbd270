"""Rows F1 and F3 to F5 for a whole handover: every message, every agent, every moment.

Whatever happens to what is said, and whoever dies, the mobile node ends on A with the old binding
or on B with the new one, in bounded time, and gives everything else back.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from campaign import dice, runs
from handover_peers import MS, OLD, S
from handover_traffic import Stream
from handover_world import Fault, World, prompt

from mpa_hil.handover import interface as act
from mpa_hil.handover.interface import Event
from mpa_hil.handover.options import Hold, Level, Options
from mpa_hil.handover.states import State

ENDS = (State.AT_OLD, State.AT_NEW, State.LOST)
READY = (State.BOUND, State.PREPARED)
BOUND_S = 80.0
"""All phases together, when each of them meets its limit once."""


def go(world: World, *, leave: Event | None = Event.SWITCH_WANTED) -> None:
    """Prepare, wait a little, leave, and wait for what was still under way."""
    world.node.feed(Event.PREPARE)
    took_s = world.run_until(*READY, *ENDS, most_s=BOUND_S)
    if leave is not None and world.node.handover.state in READY:
        took_s += world.run(0.4)
        world.node.feed(leave)
    took_s += world.run_until(*ENDS, most_s=BOUND_S)
    assert took_s < BOUND_S
    world.run(10)


def is_whole(world: World) -> None:
    """On one of the two, and nothing left for the other."""
    node, state = world.node, world.node.handover.state
    assert state in (State.AT_OLD, State.AT_NEW)
    here = "A" if state is State.AT_OLD else "B"
    assert node.radio == (here if node.there[here] else "")  # perhaps it died later
    assert not node.tunnel
    assert not node.turned
    assert node.handover.next_deadline() is None
    if state is State.AT_OLD:
        assert node.on_link is None
    if world.ar.alive and list(world.ar.machine.sessions):
        world.run(130)  # every DELETE was lost, but what nobody refreshes has its own limit
    if world.ar.alive:
        assert not list(world.ar.machine.sessions)
        assert not world.ar.kernel
    finished = node.of(act.Finished)[-1]
    assert isinstance(finished, act.Finished)
    forgetful = not world.ha.alive or world.ha.care_of is None  # started again without memory
    if finished.confirmed and node.radio and not forgetful:
        assert world.ha.care_of == (OLD if state is State.AT_OLD else node.on_link)
        assert (world.downlink(), world.uplink()) == ("there", "there")


def watched(world: World) -> list[Stream]:
    """Packets both ways from the binding update to a while after the end."""
    streams: list[Stream] = []

    def look(state: State) -> None:
        if state is State.BINDING and not streams:
            streams.append(Stream(world, 10 * MS))
        elif state in ENDS and streams:
            world.later(200 * MS, streams[0].stop)

    world.on_state = look
    return streams


def one(number: int, late_ns: Sequence[int]) -> Fault:
    """Something happens to one message."""
    return lambda count, label: late_ns if count == number else (0,)


@pytest.mark.parametrize("level", [Level.BOUND, Level.CONFIGURED, Level.AUTHENTICATED])
@pytest.mark.parametrize(
    "late_ns", [(), (0, 3 * MS), (2 * S,), (0, 2 * S)], ids=["lost", "twice", "late", "late twice"]
)
def test_f3_one_message_fares_badly(level: Level, late_ns: Sequence[int]) -> None:
    """It costs a preparation some time; the user loses nothing that he would not have lost."""
    options = Options(level=level)
    quiet = World(options)
    go(quiet)
    for number in range(len(quiet.sent)):
        world = World(options, fault=one(number, late_ns))
        streams = watched(world)
        go(world)
        if level is Level.BOUND:
            assert set(streams[0].faults().values()) == {(0, 0, 0)}, world.sent[number]
        assert world.node.handover.state is State.AT_NEW, (number, world.sent[number])
        is_whole(world)
        # After the move a lost registration costs the second that Mobile IPv4 waits (s3.6.3).
        waited_ms = 0 if level is Level.BOUND else 2100
        for way in ("down", "up"):
            assert world.dark_ns[way] <= quiet.dark_ns[way] + waited_ms * MS, world.sent[number]


def bad_wire(roll: random.Random, loss: float, slowest_ms: int) -> Fault:
    """Loses, doubles, delays and so reorders."""

    def fault(number: int, label: str) -> Sequence[int]:
        copies = 1 + (roll.random() < 0.1)
        kept = sum(roll.random() >= loss for _ in range(copies))
        return [roll.randrange(slowest_ms + 1) * MS for _ in range(kept)]

    return fault


def some_options(chance: random.Random) -> Options:
    return Options(
        level=chance.choice((Level.BOUND, Level.BOUND, *Level)),
        hold=chance.choice((Hold.NEXT, Hold.OFF)),
        bind_ahead=chance.random() < 0.7,
    )


def test_f3_a_bad_wire() -> None:
    chance = dice("F3 handover")
    moved = 0
    for number in range(runs(1000)):
        roll = random.Random(f"F3 handover {number}")
        wire = bad_wire(roll, chance.uniform(0.01, 0.5), chance.choice((5, 50, 500)))
        world = World(some_options(chance), fault=wire)
        go(world)
        is_whole(world)
        moved += world.node.handover.state is State.AT_NEW
    assert moved > runs(1000) * 0.8


def test_f1_f4_f5_anything_dies_at_any_moment_and_perhaps_comes_back() -> None:
    chance = dice("F1 handover")
    for _ in range(runs(1000)):
        victim = chance.choice(("AA", "CA", "AR", "HA", "A", "B"))
        wire = bad_wire(chance, 0.05, 20) if chance.random() < 0.3 else prompt
        world = World(some_options(chance), fault=wire)

        def dies(world: World = world, victim: str = victim) -> None:
            if victim in world.peers:
                world.peers[victim].kill()
            else:
                world.node.vanish(victim)

        when_ns = chance.randrange(600 * MS) + (S if chance.random() < 0.5 else 0)
        world.later(when_ns, dies)
        if victim in world.peers and chance.random() < 0.6:
            world.later(when_ns + chance.randrange(8 * S), world.peers[victim].restart)
        go(world, leave=chance.choice((Event.SWITCH_WANTED, Event.CANCEL)))
        is_whole(world)


def test_f12_cancelled_at_any_moment() -> None:
    chance = dice("F12 handover")
    ends = set()
    for _ in range(runs(1000)):
        world = World(some_options(chance))
        moment_ns = chance.choice((0, S)) + chance.randrange(600 * MS)
        world.later(moment_ns, lambda world=world: world.node.feed(Event.CANCEL))
        go(world)
        is_whole(world)
        ends.add(world.node.handover.state)
    assert ends == {State.AT_OLD, State.AT_NEW}
