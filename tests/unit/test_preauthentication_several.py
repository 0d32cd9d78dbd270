"""Several candidate networks: all or the best few, their places in the key cache, and any order."""

from __future__ import annotations

import dataclasses

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pana_pair import S
from preparation_world import World, lossy, network

from mpa_hil.discovery.description import Akm
from mpa_hil.preauthentication.interface import (
    Dropped,
    Ended,
    Failed,
    Left,
    Over,
    Prepared,
    Serving,
    Started,
)
from mpa_hil.preauthentication.link import At, Away, FullEap
from mpa_hil.preauthentication.states import KEYED, State
from radios.supplicant import MAX_PMKSA

N = tuple(network(number) for number in range(1, 6))


def realms(world: World, kind: type) -> list[str]:
    return [output.realm for output in world.of(kind)]


def prepare(
    world: World, *networks: object, best: int = 0, deadline_s: float = 10, hold_s: float = 60
) -> None:
    outputs = world.mn.prepare(
        networks,  # type: ignore[arg-type]
        world.now,
        deadline_s=deadline_s,
        hold_s=hold_s,
        best=best,
    )
    world.does(outputs)


def test_all_of_them_at_the_same_time() -> None:
    """R31: not one after the other."""
    world = World(*N)
    prepare(world, *N)
    world.run(1)
    assert sorted(realms(world, Prepared)) == sorted(each.realm for each in N)
    alone = World(N[0])
    prepare(alone, N[0])
    alone.run(1)
    longest = max(each.total_ns for each in world.of(Prepared) if isinstance(each, Prepared))
    (single,) = (each.total_ns for each in alone.of(Prepared) if isinstance(each, Prepared))
    assert longest == single
    assert len(set(world.supplicant.values())) == 10


def test_only_the_best_are_begun() -> None:
    world = World(*N)
    prepare(world, *N, best=2)
    world.run(20)
    assert realms(world, Started) == [N[0].realm, N[1].realm]


def test_for_one_that_fails_the_next_best_is_taken() -> None:
    """R30, R31."""
    world = World(*N)
    agent = world.agent(N[0].realm)
    agent.verdict, agent.rounds = "failure", 2
    prepare(world, *N[:4], best=2)
    world.run(5)
    assert realms(world, Failed) == [N[0].realm]
    assert realms(world, Prepared) == [N[1].realm, N[2].realm]


def test_every_one_is_bounded_by_the_time_of_the_request() -> None:
    """A replacement gets what is left, not the whole again."""
    world = World(*N)
    for each in N:
        world.agent(each.realm).silent = True
    prepare(world, *N, best=2, deadline_s=3)
    world.run(3.01)
    assert len(realms(world, Failed)) == 2
    assert not world.mn.machines
    assert len(realms(world, Started)) == 2


def test_landing_in_any_of_them_is_served_and_the_others_stay_for_a_while() -> None:
    world = World(*N[:3])
    prepare(world, *N[:3])
    world.run(1)
    world.does(world.mn.link(At(N[2].points[0].bssid), world.now))
    world.run(1)
    assert realms(world, Serving) == [N[2].realm]
    world.does(world.mn.link(At(N[0].points[1].bssid), world.now))
    world.run(1)
    assert realms(world, Serving) == [N[2].realm, N[0].realm]
    assert realms(world, Left) == [N[2].realm]
    world.run(70)
    assert sorted(realms(world, Ended)) == [N[1].realm, N[2].realm]
    assert [machine.realm for machine in world.mn.machines] == [N[0].realm]


def test_a_network_without_agent_or_point_is_refused_with_the_reason() -> None:
    world = World(N[0])
    blind = dataclasses.replace(N[1], aa=())
    shared = dataclasses.replace(N[2].points[0], akms=(Akm.PSK,))
    bare = dataclasses.replace(N[2], points=(shared,))
    prepare(world, blind, bare, N[0], best=1)
    world.run(1)
    reasons = [each.reason for each in world.of(Failed) if isinstance(each, Failed)]
    assert reasons == [
        "no authentication agent is known",
        "no point that takes a key from EAP is known",
    ]
    assert realms(world, Prepared) == [N[0].realm]


def test_points_with_a_shared_key_of_their_own_are_left_out() -> None:
    mixed = dataclasses.replace(
        N[0], points=(N[0].points[0], dataclasses.replace(N[0].points[1], akms=(Akm.PSK,)))
    )
    world = World(N[0])
    prepare(world, mixed)
    world.run(1)
    assert set(world.supplicant) == {N[0].points[0].bssid}


def test_the_key_cache_never_overflows_and_the_least_wanted_give_way() -> None:
    """wpa_supplicant would silently drop the key that ends first, whosever it is."""
    large = tuple(network(number, points=10) for number in range(1, 5))
    world = World(*large)
    prepare(world, *large)
    world.run(2)
    assert world.most_keys == world.settings.max_points == 28
    kept = {m.realm: len(m.points) for m in world.mn.machines}
    assert kept == {large[0].realm: 10, large[1].realm: 10, large[2].realm: 8}
    dropped = [(d.realm, len(d.points)) for d in world.of(Dropped) if isinstance(d, Dropped)]
    assert dropped == [(large[2].realm, 2), (large[3].realm, 10)]
    assert large[3].realm not in realms(world, Started)


def test_what_is_wanted_now_goes_before_what_was_wanted_earlier() -> None:
    large = tuple(network(number, points=10) for number in range(1, 5))
    world = World(*large)
    prepare(world, *large[:3])
    world.run(1)
    prepare(world, large[3])
    world.run(1)
    assert world.most_keys <= 28
    kept = {m.realm: len(m.points) for m in world.mn.machines}
    assert kept == {large[3].realm: 10, large[0].realm: 10, large[1].realm: 8}
    assert realms(world, Ended) == [large[2].realm]
    assert all(world.agreed(p.bssid) for m in world.mn.machines for p in m.points)


def test_a_replacement_counts_as_wanted_with_its_request_not_as_new() -> None:
    large = tuple(network(number, points=10) for number in range(1, 5))
    world = World(*large)
    agent = world.agent(large[0].realm)
    agent.verdict, agent.rounds = "failure", 2
    prepare(world, large[0], large[1], best=1)
    prepare(world, large[2])
    world.run(1)
    prepare(world, large[3])
    world.run(1)
    kept = {m.realm: len(m.points) for m in world.mn.machines}
    assert kept == {large[3].realm: 10, large[2].realm: 10, large[1].realm: 8}


def test_the_serving_network_never_gives_way() -> None:
    large = tuple(network(number, points=14) for number in range(1, 4))
    world = World(*large)
    prepare(world, large[0])
    world.run(1)
    world.does(world.mn.link(At(large[0].points[0].bssid), world.now))
    world.run(1)
    prepare(world, large[1], large[2])
    world.run(1)
    assert {m.realm: len(m.points) for m in world.mn.machines} == {
        large[0].realm: 14,
        large[1].realm: 14,
    }


def test_no_more_networks_at_once_than_allowed() -> None:
    world = World(*N, max_networks=3)
    prepare(world, *N[:3])
    world.run(1)
    prepare(world, N[4])
    world.run(1)
    assert [m.realm for m in world.mn.machines] == [N[4].realm, N[0].realm, N[1].realm]
    assert realms(world, Ended) == [N[2].realm]


def test_closing_gives_all_back() -> None:
    world = World(*N)
    prepare(world, *N[:3])
    world.run(0.03)
    prepare(world, *N[3:], best=1)
    world.run(1)
    world.does(world.mn.close(world.now))
    world.run(5)
    assert not world.mn.machines
    assert not world.supplicant
    assert sorted(world.over) == sorted(realms(world, Ended))
    assert world.mn.next_deadline() is None


def test_wanting_it_again_while_it_is_being_ended() -> None:
    world = World(*N)
    prepare(world, N[0])
    world.run(1)
    world.does(world.mn.forget(N[0].realm, world.now))
    prepare(world, N[0])
    world.run(2)
    assert all(world.agreed(point.bssid) for point in N[0].points)
    assert [machine.state for machine in world.mn.machines] == [State.PREPARED]


LARGE = tuple(network(number, points=points) for number, points in enumerate((9, 12, 3, 10, 7), 1))
BSSIDS = [point.bssid for each in LARGE for point in each.points]


class AnyOrder(RuleBasedStateMachine):
    """Whatever is asked and whatever happens: no overflow, no leak, no time exceeded."""

    @initialize(seed=st.integers(0, 1000), loss=st.sampled_from((0.0, 0.2)))
    def begin(self, seed: int, loss: float) -> None:
        self.world = World(*LARGE, seed=f"any {seed}", fault=lossy(loss), max_networks=4)
        self.limits: list[int] = []

    @rule(
        which=st.lists(st.sampled_from(LARGE), min_size=1, max_size=4, unique=True),
        best=st.integers(0, 3),
        deadline_s=st.sampled_from((0.05, 1.0, 5.0)),
        hold_s=st.sampled_from((0.5, 20.0)),
    )
    def prepare(self, which: list[object], best: int, deadline_s: float, hold_s: float) -> None:
        prepare(self.world, *which, best=best, deadline_s=deadline_s, hold_s=hold_s)
        self.limits.append(self.world.now_ns + round(deadline_s * S))

    @rule(which=st.sampled_from(LARGE))
    def forget(self, which: object) -> None:
        self.world.does(self.world.mn.forget(which.realm, self.world.now))  # type: ignore[attr-defined]

    @rule(bssid=st.sampled_from(BSSIDS), missed=st.booleans())
    def arrive(self, bssid: str, missed: bool) -> None:
        if missed:
            self.world.does(self.world.mn.link(FullEap(bssid), self.world.now))
        self.world.does(self.world.mn.link(At(bssid), self.world.now))

    @rule()
    def leave(self) -> None:
        self.world.does(self.world.mn.link(Away(), self.world.now))

    @rule(which=st.sampled_from(LARGE), verdict=st.sampled_from(("success", "failure")))
    def change_mind(self, which: object, verdict: str) -> None:
        agent = self.world.agent(which.realm)  # type: ignore[attr-defined]
        agent.verdict, agent.rounds = verdict, 3 if verdict == "success" else 2

    @rule(which=st.sampled_from(LARGE), silent=st.booleans(), lifetime_s=st.sampled_from((2, 600)))
    def change_agent(self, which: object, silent: bool, lifetime_s: int) -> None:
        agent = self.world.agent(which.realm)  # type: ignore[attr-defined]
        agent.silent, agent.lifetime_s = silent, lifetime_s

    @rule(which=st.sampled_from(LARGE))
    def renumber(self, which: object) -> None:
        self.world.address = "203.0.113.9"
        self.world.does(self.world.mn.address_changed(which.realm, self.world.now))  # type: ignore[attr-defined]

    @rule(seconds=st.sampled_from((0.003, 0.02, 0.3, 2.0, 30.0)))
    def wait(self, seconds: float) -> None:
        self.world.run(seconds)

    @invariant()
    def the_cache_has_room(self) -> None:
        if hasattr(self, "world"):
            assert self.world.mn.point_count <= self.world.settings.max_points
            # A key that a miss made the supplicant's own is not ours to count.
            assert len(self.world.supplicant) <= MAX_PMKSA

    @invariant()
    def only_what_is_alive_has_keys(self) -> None:
        if not hasattr(self, "world"):
            return
        keyed = {p.bssid for m in self.world.mn.machines if m.state in KEYED for p in m.points}
        missed = {output.bssid for output in self.world.said if type(output).__name__ == "Missed"}
        assert set(self.world.supplicant) <= keyed | missed  # type: ignore[operator]

    @invariant()
    def nobody_tries_beyond_the_time(self) -> None:
        if not hasattr(self, "world"):
            return
        latest = max(self.limits, default=0)
        for machine in self.world.mn.machines:
            if machine.state in (State.AUTHENTICATING, State.PAUSING):
                assert self.world.now_ns <= latest

    @invariant()
    def at_most_one_network_serves(self) -> None:
        if hasattr(self, "world"):
            states = [machine.state for machine in self.world.mn.machines]
            assert states.count(State.SERVING) <= 1

    @invariant()
    def nothing_is_due_that_was_not_done(self) -> None:
        if hasattr(self, "world"):
            due_ns = self.world.mn.next_deadline()
            assert due_ns is None or self.world.mn.machines

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.does(self.world.mn.close(self.world.now))
        self.world.run(10)
        assert not self.world.mn.machines
        assert self.world.mn.next_deadline() is None
        started = len({*realms(self.world, Started)})
        assert len({*realms(self.world, Over)}) == started


AnyOrder.TestCase.settings = settings(max_examples=25, stateful_step_count=25)
TestAnyOrder = AnyOrder.TestCase
