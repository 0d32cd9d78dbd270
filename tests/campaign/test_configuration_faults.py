"""F3, F7 and the loss of the agent: every dialogue ends, and nothing is held for nobody."""

from __future__ import annotations

import random
from collections.abc import Callable

import campaign
import pytest
from configuration_world import MS, NS, Node, Server, World

from mpa_hil.configuration.dhcp4.message import Kind
from mpa_hil.configuration.interface import (
    Code,
    Configured,
    Ended,
    GaveUp,
    Lost,
    Output,
    Refused,
)

RESULTS = (Configured, Refused, GaveUp)


def dialogue(world: World, node: Node) -> Output:
    """Configure; whatever came of it, then release. What configuring gave."""
    result = world.configure(node)
    world.does(node, node.client.release(world.now))
    world.run(lambda: isinstance(node.said[-1], Ended))
    return result


def fates(name: str, victim: int) -> Callable[[bytes, bool], list[int]]:
    """One datagram of the dialogue is lost, doubled, or two seconds late."""
    count = [0]

    def fate(_datagram: bytes, _to_agent: bool) -> list[int]:
        count[0] += 1
        if count[0] != victim:
            return [0]
        return {"lost": [], "doubled": [0, 3 * MS], "late": [2 * NS]}[name]

    return fate


@pytest.mark.parametrize("name", ["lost", "doubled", "late"])
def test_every_message_once(name: str) -> None:
    for victim in range(1, 9):
        world = World()
        world.fate = fates(name, victim)
        node = world.node()
        assert isinstance(dialogue(world, node), Configured)
        world.run(bound_s=30)
        assert world.server.leases == {}
        assert len(world.agent.holdings) == 0
        assert node.client.next_deadline() is None


def hostile(dice: random.Random, loss: float) -> Callable[[bytes, bool], list[int]]:
    """Losses, copies and delays of up to half a second, so that order is lost too."""

    def fate(_datagram: bytes, _to_agent: bool) -> list[int]:
        copies = 2 if dice.random() < 0.1 else 1
        return [dice.randrange(500 * MS) for _ in range(copies) if dice.random() >= loss]

    return fate


def test_f3_a_bad_path() -> None:
    """All complete, or fail within their time; then both ends agree that there is nothing."""
    dice = campaign.dice("F3 configuration")
    failed: dict[float, int] = {}
    for _ in range(campaign.runs(1000)):
        world = World(seed=dice.randrange(1 << 30))
        loss = dice.choice((0.01, 0.1, 0.3, 0.5))
        world.fate = hostile(dice, loss)
        node = world.node()
        began_ns = world.ns
        result = world.configure(node)
        assert isinstance(result, RESULTS)
        assert world.ns - began_ns <= 21 * NS
        failed[loss] = failed.get(loss, 0) + (not isinstance(result, Configured))
        world.does(node, node.client.release(world.now))
        world.run(lambda said=node.said: isinstance(said[-1], Ended))  # type: ignore[misc]
        world.run(bound_s=700)  # where the release never arrived, the agent's own limit
        assert world.server.leases == {}
        assert len(world.agent.holdings) == 0
    assert failed[0.01] == 0, failed
    assert failed[0.1] <= campaign.runs(1000) // 100, failed
    assert sum(failed.values()) <= campaign.runs(1000) // 10, failed


def test_f7_whatever_the_server_does() -> None:
    """It dies, forgets, refuses, runs dry, comes back: no address is ever had by two."""
    dice = campaign.dice("F7")
    for _ in range(campaign.runs(100)):
        server = Server(pool=3, lease_s=120, authoritative=dice.random() < 0.5)
        world = World(server, seed=dice.randrange(1 << 30))
        nodes = [world.node() for _ in range(5)]
        for _ in range(25):
            node = dice.choice(nodes)
            what = dice.randrange(7)
            if what < 3:
                outputs = node.client.configure(node.wish(), world.now)
            elif what == 3:
                outputs = node.client.release(world.now)
            else:
                outputs = ()
            if what == 4:
                server.alive = not server.alive
            elif what == 5 and node.client.configuration is not None:
                address = node.client.configuration.address.ip
                outputs = node.client.configure(node.wish(decline=address), world.now)
            elif what == 6:
                server.routers = dice.choice((("10.2.0.1",), ("10.2.0.9",), ()))
            world.does(node, outputs)
            world.run(bound_s=dice.choice((0.01, 1, 20, 70)))
            held = [n.client.configuration.address for n in nodes if n.client.configuration]
            assert len(held) == len(set(held))
        for node in nodes:
            world.does(node, node.client.release(world.now))
        server.alive = True
        world.run(bound_s=800)
        server.prune(world.ns)
        assert len(world.agent.holdings) == 0
        assert server.leases == {}
        assert world.agent.next_deadline() is None


def test_f1_the_agent_dies_at_any_moment() -> None:
    """With its journal, and the keys delivered again: what the MN holds is held for it."""
    dice = campaign.dice("F1 configuration")
    for _ in range(campaign.runs(150)):
        world = World(seed=dice.randrange(1 << 30))
        node = world.node()
        world.does(node, node.client.configure(node.wish(), world.now))
        world.run(bound_s=dice.uniform(0, 0.08))
        world.restart(journal=True)
        world.run(bound_s=dice.uniform(0, 0.5))  # meanwhile nobody answers it
        world.agent.key_added(node.key, node.name, world.now)
        world.run(lambda said=node.said: bool(said))  # type: ignore[misc]
        assert isinstance(node.said[-1], Configured)
        assert node.client.configuration is not None
        address = node.client.configuration.address.ip
        assert list(world.server.leases.values()) == [address]
        world.run(bound_s=dice.choice((1, 400)))
        world.restart(journal=True)
        world.agent.key_added(node.key, node.name, world.now)
        world.run(bound_s=700)
        assert not [each for each in node.said if isinstance(each, Lost)]
        assert list(world.server.leases.values()) == [address]


def test_f9_the_mobile_node_vanishes() -> None:
    """At any moment of the dialogue: its time limit gives everything back."""
    dice = campaign.dice("F9 configuration")
    for _ in range(campaign.runs(100)):
        world = World(seed=dice.randrange(1 << 30))
        node = world.node()
        world.does(node, node.client.configure(node.wish(), world.now))
        world.run(bound_s=dice.uniform(0, 0.1))
        world.nodes.clear()
        world.run(bound_s=620)
        assert world.server.leases == {}
        assert len(world.agent.holdings) == 0
        assert Code.BUSY not in {getattr(each, "code", None) for each in world.told}
        assert world.server.heard.count(Kind.RELEASE) <= 1
