"""Whatever happens on the way and in whatever order: what node, home agent and correspondent
believe of each other comes to agree."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mpa_hil.mobility.interface import NS_PER_S
from mpa_hil.mobility.mip6.messages import Packet
from tests.support.mip6_world import CARE_OF, HOME, World, swift


class MobileIpv6(RuleBasedStateMachine):
    """A node that moves, agents that restart, a network that does what networks do."""

    @initialize(seed=st.integers(0, 1000))
    def start(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.trouble = 0.0
        self.recorded: list[Packet] = []
        self.world = World(fate=self.fate, seed=seed)
        self.wanted = CARE_OF[0]
        self.world.register(self.wanted)

    def fate(self, packet: Packet) -> Sequence[float]:
        self.recorded.append(packet)
        if self.dice.random() < self.trouble:
            return self.dice.choice(((), (), (0.01, 0.2), (0.5,)))
        return (0.01,)

    @rule(trouble=st.sampled_from((0.0, 0.2, 0.5, 1.0)))
    def weather(self, trouble: float) -> None:
        self.trouble = trouble

    @rule(number=st.integers(0, 4), alone=st.booleans())
    def move(self, number: int, alone: bool) -> None:
        self.wanted = CARE_OF[number]
        self.world.register(self.wanted, alone=alone)

    @rule(seconds=st.sampled_from((0.05, 1.0, 10.0, 300.0)))
    def wait(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule(index=st.integers(0, 200))
    def replay(self, index: int) -> None:
        """Somebody sends again what he has recorded."""
        if self.recorded:
            packet = self.recorded[index % len(self.recorded)]
            self.world.order += 1
            self.world.deliver(packet)

    @rule(correspondent=st.booleans())
    def restart(self, correspondent: bool) -> None:
        if correspondent:
            self.world.restart_correspondent()
        else:
            self.world.restart_home_agent()

    @invariant()
    def beliefs(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        now_ns = world.now_ns
        assert len(world.agent.bindings) <= 1
        assert len(world.correspondent.bindings) <= 1
        for binding in (*world.agent.bindings, *world.correspondent.bindings):
            assert binding.home_address == HOME
            assert binding.care_of in CARE_OF
        for binding in world.correspondent.bindings:
            assert binding.expires_ns - now_ns <= 420 * NS_PER_S
        if world.direct is not None:
            assert world.direct in CARE_OF

    def teardown(self) -> None:
        """With good weather, and told once more, all agree within a minute."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.fate = swift
        world.run(1)
        world.register(self.wanted)
        world.run(60)
        assert world.node.care_of == self.wanted
        assert world.at_home_agent.get(HOME) == (self.wanted,)
        assert world.direct == self.wanted
        assert world.at_correspondent.get(HOME) == self.wanted


TestMobileIpv6 = MobileIpv6.TestCase
TestMobileIpv6.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
