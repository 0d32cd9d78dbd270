"""Rows F4, F6, F10 and F12 for who decides: policy, conductor and handover machines together.

Whatever the signals do, whoever dies and whatever is wanted at the same time, the node ends on a
network that is in range, with its binding there.
"""

from __future__ import annotations

from math import sin, tau

import pytest
from campaign import dice, runs
from policy_world import S, World

from mpa_hil.handover import interface as act
from mpa_hil.policy import interface as say
from mpa_hil.policy import loading
from mpa_hil.policy.conductor import Carry
from mpa_hil.policy.interface import Level

MOMENTS = {
    "before authentication": act.Authenticate,
    "after it": act.Configure,
    "at association": act.SelectNetwork,
    "after it, on arrival": act.Arrive,
}


def crossing(t_s: float) -> dict[str, float]:
    """From a1 to b1 within 20 s; c1 is a little worse than b1, and stays."""
    return {
        "a1": max(-9.0, 40 - 1.7 * t_s),
        "b1": min(40.0, 6 + 1.7 * t_s),
        "c1": min(24.0, 4 + 1.4 * t_s),
    }


def test_nothing_goes_wrong() -> None:
    world = World(crossing)
    world.run(40)
    world.is_whole()
    assert world.radio == "b1"
    assert world.dark_ns <= 0.2 * S


def dies_at(world: World, kind: type[act.Action], wait_s: float) -> list[str]:
    """The first target for which an action is carried out is switched off after a while; who."""
    victims: list[str] = []

    def look(carry: Carry) -> None:
        if isinstance(carry.action, kind) and not victims:
            victims.append(carry.target)
            world.after(wait_s, lambda: world.dead.add(carry.target))

    world.on_carry = look
    return victims


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", loading.SHIPPED)
def test_the_target_vanishes(name: str, moment: str) -> None:
    """F4."""
    for seed in range(runs(50) if name == "default" else 1):
        world = World(crossing, name, seed)
        wait_s = world.dice.choice((0.0, 0.0, 0.05, 0.3))
        victims = dies_at(world, MOMENTS[moment], wait_s)
        world.run(90)
        world.is_whole()
        assert world.dead == set(victims)
        assert world.radio in {"b1", "c1"} - world.dead


class Listening(World):
    """Counts for how long packets for the node had no way to it."""

    cut_off_ns = 0

    @property
    def now_ns(self) -> int:
        return self._now_ns

    @now_ns.setter
    def now_ns(self, value: int) -> None:
        if hasattr(self, "home") and not self.is_reached():
            self.cut_off_ns += value - self._now_ns
        self._now_ns = value

    def is_reached(self) -> bool:
        if not self.radio or self.home == self.radio:
            return bool(self.radio)
        machine = self.conductor.machines.get(self.home)
        tunnelled = machine is not None and machine.level is Level.BOUND
        return self.radio == self.conductor.here and tunnelled


PREPARED_AND_NOT = {
    "at association": (act.SelectNetwork, act.SelectNetwork),
    "after it": (act.Arrive, act.Acquire),
}


@pytest.mark.parametrize("moment", PREPARED_AND_NOT)
def test_a_target_that_vanishes_costs_no_more_than_without_preparation(moment: str) -> None:
    """F4 with G10: no more than 1.1 times what it costs a node that prepares nothing."""
    for seed in range(runs(50)):
        wait_s = dice(f"F4 {seed}").choice((0.0, 0.0, 0.005, 0.05, 0.3))
        cut_off_s = []
        for level, kind in zip((3, 0), PREPARED_AND_NOT[moment], strict=True):
            world = Listening(crossing, "default", seed, level=level)
            victims = dies_at(world, kind, wait_s)
            world.run(90)
            world.is_whole()
            assert victims
            assert world.radio in {"b1", "c1"} - world.dead
            cut_off_s.append(world.cut_off_ns / S)
        assert cut_off_s[0] <= 1.1 * cut_off_s[1], (seed, wait_s, cut_off_s)


@pytest.mark.parametrize("name", loading.SHIPPED)
def test_nobody_is_there_for_a_while(name: str) -> None:
    for seed in range(runs(20)):
        world = World(crossing, name, seed)
        world.run(world.dice.uniform(3, 20))
        world.dead |= {"a1", "b1", "c1"}
        world.run(world.dice.uniform(1, 60))
        world.dead -= {world.dice.choice(("b1", "c1"))}
        world.run(70)
        world.is_whole()


def test_ping_pong_and_conflicting_triggers() -> None:
    """F6 with G11: no more than a fifth of the naive policy's moves, and no EAP run to return."""
    for seed in range(runs(100)):
        chance = dice(f"F6 {seed}")
        period_s, shift = chance.uniform(2, 40), chance.uniform(-1, 1)

        def air(t_s: float, period_s: float = period_s, shift: float = shift) -> dict[str, float]:
            return {"a1": 16 + 3 * sin(tau * t_s / period_s), "b1": 16 + shift}

        moves = {}
        for name in ("default", "naive"):
            world = World(air, name, seed)
            world.run(120)
            world.run(5)
            moves[name] = len(world.arrivals) - 1
            if name == "default":
                world.is_whole()
                asked = [c.target for c in world.carried if isinstance(c.action, act.Authenticate)]
                assert len([ap for ap in asked if ap == "a1"]) <= moves[name]
        assert moves["default"] <= moves["naive"] / 5 or moves["naive"] < 5


def test_a_return_authenticates_nobody_anew() -> None:
    """G11: there and back within the context's life; the keys of the old network are still here."""

    def air(t_s: float) -> dict[str, float]:
        forth = t_s if t_s < 25 else 50 - t_s
        return {"a1": 40 - 1.4 * forth, "b1": 5 + 1.4 * forth}

    world = World(air)
    world.run(60)
    world.is_whole()
    assert world.arrivals == ["a1", "b1", "a1"]
    back = [each for each in world.decided if isinstance(each, say.Return)]
    assert [each.target for each in back] == ["a1"]
    assert back[0].inputs["level"] >= 1  # type: ignore[operator]


def test_clocks_that_jump() -> None:
    """F10: an hour and a year ahead, and a stall."""
    for seed in range(runs(20)):
        world = World(crossing, seed=seed)
        world.run(world.dice.uniform(2, 18))
        jump_s = world.dice.choice((3600, 365 * 86400))
        world.now_ns += jump_s * S
        world.begun_ns += jump_s * S
        world.run(60)
        world.is_whole()
        assert world.radio == "b1"


def test_two_switches_and_a_change_of_mind_at_any_moment() -> None:
    """F12: what is wanted at the same time is done one after the other, or not at all."""
    targets = ("a1", "b1", "c1", "d1")
    for seed in range(runs(1000)):
        world = World(lambda t_s: dict.fromkeys(targets, 30.0), "fixed", seed)
        chance = world.dice
        for _ in range(chance.randrange(2, 9)):
            target = chance.choice(targets)
            decision: say.Decision = chance.choice(
                (
                    say.Switch(target, rule="test"),
                    say.Prepare(target, chance.choice(list(Level)[1:]), rule="test"),
                    say.Bind(target, rule="test"),
                    say.LetGo(target, chance.random() < 0.5, rule="test"),
                )
            )
            world.obey(world.conductor.obey(decision, world.now_ns))
            moving = [
                ap
                for ap, machine in world.conductor.machines.items()
                if machine.state.value in ("switching", "return", "seeking")
            ]
            assert len(moving) <= 1
            world.run(chance.choice((0.0, 0.0, 0.1, 0.3, 1.5)))
        world.run(1)
        world.rest(320)  # what is prepared and not used has its own limit
        world.is_whole()
        assert not world.conductor.machines
