"""A3, A16: replayed and greedy requests for addresses."""

from __future__ import annotations

import campaign
from configuration_world import Server, World, mac_of

from mpa_hil.configuration.interface import Code, Configured, Ended, Refused
from mpa_hil.mobility.interface import Endpoint
from mpa_hil.signalling.client import Client
from mpa_hil.signalling.message import Protocol

HOLDINGS = 2


def test_a16_one_mobile_node_asks_for_all_there_is() -> None:
    """It never has more than its quota, and the others get theirs."""
    world = World(Server(pool=40))
    greedy = world.node("greedy")
    dice = campaign.dice("A16")
    most = 0
    for number in range(campaign.runs(10_000)):
        mac = mac_of(1000 + dice.randrange(2000))
        identifier = dice.choice((b"\1" + mac, dice.randbytes(7)))
        choice = dice.random()
        if choice < 0.7:
            world.configure(greedy, mac=mac, client_id=identifier)
        elif choice < 0.85:
            world.does(greedy, greedy.client.take_over(world.now))
            world.run(lambda: isinstance(greedy.said[-1], Ended))
        else:
            world.does(greedy, greedy.client.release(world.now))
            world.run(lambda: isinstance(greedy.said[-1], Ended))
        del greedy.said[:-1]
        world.told.clear()
        most = max(most, len(world.server.leases))
        assert len(world.server.leases) <= HOLDINGS
        if number % 500 == 0:
            honest = world.node()
            assert isinstance(world.configure(honest), Configured)
            world.does(honest, honest.client.release(world.now))
            world.run(lambda said=honest.said: isinstance(said[-1], Ended))  # type: ignore[misc]
            world.nodes.remove(honest)
    assert most == HOLDINGS
    # The server was asked far less often than the agent.
    assert len(world.server.heard) < campaign.runs(10_000)


def test_a16_the_server_is_not_flooded_through_the_agent() -> None:
    world = World(Server(pool=40))
    greedy = world.node("greedy")
    codes = set()
    began_ns = world.ns
    asked = campaign.runs(2000)
    for number in range(asked):
        got = world.configure(greedy, mac=mac_of(1000 + number % 3))
        if isinstance(got, Refused):
            codes.add(got.code)
        world.does(greedy, greedy.client.release(world.now))
        world.run(lambda: isinstance(greedy.said[-1], Ended))
        del greedy.said[:-1]
    assert Code.QUOTA in codes
    spent_s = (world.ns - began_ns) / 1e9
    allowed = world.settings.burst + spent_s * world.settings.rate_per_s
    assert len(world.server.heard) <= 3 * (allowed + 1)  # DISCOVER, REQUEST, RELEASE


def test_a3_whole_recorded_dialogues() -> None:
    """To the same agent, to it restarted, and to another network's: no address, no release."""
    dice = campaign.dice("A3 configuration")
    due, done = campaign.runs(10_000), 0
    while done < due:
        world = World(seed=dice.randrange(1 << 30))
        node = world.node()
        world.configure(node)
        world.does(node, node.client.release(world.now))
        world.run(lambda said=node.said: isinstance(said[-1], Ended))  # type: ignore[misc]
        held = world.configure(node)
        assert isinstance(held, Configured)
        recorded = [*world.recorded]
        elsewhere = World(seed=dice.randrange(1 << 30))
        elsewhere.node()
        again = World(seed=dice.randrange(1 << 30))
        again.agent.key_added(node.key, node.name, again.now)
        thief = Endpoint(node.source.address + 100, 9)
        for target in (world, elsewhere, again):
            before = dict(target.server.leases)
            heard = len(target.server.heard)
            for _ in range(40):
                target.inject(dice.choice(recorded), thief)
                done += 1
            target.run(bound_s=5)
            assert target.server.leases == before
            assert len(target.server.heard) == heard


def test_a2_forged_requests_do_nothing() -> None:
    world = World()
    node = world.node()
    world.configure(node)
    dice = campaign.dice("A2 configuration")
    before = dict(world.server.leases)
    genuine = world.recorded
    for _ in range(campaign.runs(20_000)):
        forged = bytearray(dice.choice(genuine))
        for _ in range(dice.choice((1, 1, 2, 8))):
            forged[dice.randrange(len(forged))] ^= 1 << dice.randrange(8)
        outputs = world.agent.receive(bytes(forged), node.source, world.now)
        assert all(type(output).__name__ == "Discarded" for output in outputs) or (
            bytes(forged) in genuine
        )
    assert world.server.leases == before


def test_a10_a_key_of_elsewhere_is_no_key_here() -> None:
    """The MN-CA key of network A at B's agent, and the key for the access router."""
    world = World()
    node = world.node(keyed=False)
    for protocol in Protocol:
        request = Client(node.key, protocol, world.dice.randbytes).request(1)
        (discarded,) = world.agent.receive(request, node.source, world.now)
        assert type(discarded).__name__ == "Discarded"
    world.agent.key_added(node.key, node.name, world.now)
    request = Client(node.key, Protocol.TUNNEL, world.dice.randbytes).request(1)
    (discarded,) = world.agent.receive(request, node.source, world.now)
    assert type(discarded).__name__ == "Discarded"
