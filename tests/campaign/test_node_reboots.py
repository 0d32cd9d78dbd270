"""Row F9: the mobile node is switched off on its way, whatever it was about, and says goodbye to
nobody. What the network holds for it ends with its time limit; if it comes back before that, with
nothing of what it knew, from another address, it gets the place of the one that it was.

Configuration agent and access router have theirs in `test_configuration_faults` and
`test_tunnel_attacks`, the whole chain of daemons in `tests/wired/test_preauthentication_chain.py`.
"""

from __future__ import annotations

import random
from ipaddress import IPv4Address

import pytest
from agent_world import AA_AT, CA, POINTS, REALM, STATION, Node, World, neighbour
from campaign import dice, runs
from mip6_world import AGENT, CARE_OF, HOME, SA
from mip6_world import World as World6
from tunnel_world import World as TunnelWorld

from mpa_hil.authentication.service import SERVICE_PORT, KeyState, Prepare
from mpa_hil.keys import MasterKey
from mpa_hil.mobility.interface import NS_PER_S, Endpoint, Instant, Registered, Send
from mpa_hil.mobility.mip4.authentication import SecurityAssociation
from mpa_hil.mobility.mip4.bindings import Subscriber
from mpa_hil.mobility.mip4.home_agent import HomeAgent
from mpa_hil.mobility.mip4.mobile_node import MobileNode
from mpa_hil.mobility.mip6.mobile_node import MobileNode as MobileNode6
from mpa_hil.tunnel.interface import Created
from mpa_hil.tunnel.states import Order

HOME4, AGENT4 = IPv4Address("10.0.0.100"), IPv4Address("10.0.0.1")
SA4 = SecurityAssociation(256, bytes(range(16)))


def on_its_way(world: World, chance: random.Random) -> Node:
    """A node that pre-authenticates and asks for keys, and is gone at any moment of it."""
    node = Node(world, address=neighbour(chance.randrange(1000)))
    node.does(node.pac.start(world.now))
    if chance.random() < 0.5:
        world.run(chance.uniform(0, 0.1))
    else:
        world.run(1)
        assert node.client is not None
        datagram = node.client.ask(Prepare(STATION), world.now)
        world.send(datagram, node.address, Endpoint(AA_AT.address, SERVICE_PORT))
        world.run(chance.uniform(0, 0.05))
    world.nodes.remove(node)
    return node


def test_the_authentication_agent() -> None:
    chance = dice("F9 authentication")
    for number in range(runs(100)):
        world = World(seed=f"F9 {number}")
        world.timeout_s = 600
        for _ in range(chance.randrange(1, 4)):
            on_its_way(world, chance)
        if number % 2:
            world.run(700)
            assert not world.agent.associations
            assert world.nothing_installed()
            continue
        again = Node(world, address=neighbour(1001))
        again.authenticate()
        answer = again.ask(Prepare(STATION))
        assert answer == tuple((point, KeyState.INSTALLED) for point in POINTS)
        assert again.pac.session is not None
        mine = MasterKey(again.pac.session.sa, REALM)
        assert world.boxes["ep1.b.example"].secrets == {mine.pmk(POINTS[0]).secret}
        assert mine.mn_ca(CA).secret in world.boxes["ca.b.example"].secrets
        world.nodes.clear()
        world.run(700)  # also those of which no station was known, so that nothing took their place
        assert not world.agent.associations
        assert world.nothing_installed()


@pytest.mark.parametrize("returns", [True, False])
def test_the_access_router(returns: bool) -> None:
    chance = dice("F9 access router")
    for _ in range(runs(100)):
        world = TunnelWorld(f"F9 {chance.random()}")
        node = world.node(7)
        assert isinstance(node.create(life_s=60)[-1], Created)
        world.run(chance.uniform(0, 5))
        for order in chance.choice(((), ("disable",), ("disable", "arrived"))):
            node.fire(getattr(node.prepare(), order))
        world.nodes.clear()
        if returns:
            node = world.node(7, seed="again")
            assert isinstance(node.create(life_s=60)[-1], Created)
            assert len(world.router.sessions) == 1
            world.nodes.clear()
        world.run(90)
        assert not world.router.sessions
        assert world.kernel.orders.count(Order.INSTALL) == world.kernel.orders.count(Order.REMOVE)


def test_the_home_agent_of_mobile_ipv6() -> None:
    chance = dice("F9 MIPv6")
    for number in range(runs(100)):
        world = World6(optimises=False, seed=number)
        world.register(CARE_OF[0])
        world.run(chance.choice((chance.uniform(0, 0.1), chance.uniform(0, 5))))
        world.node = MobileNode6(
            home_address=HOME,
            home_agent=AGENT,
            association=SA,
            random=world.random.randbytes,
            tuning=world.tuning,
        )
        if number % 2:
            world.run(7200)
            assert not world.agent.bindings
            continue
        world.register(CARE_OF[1])
        world.run(5)
        assert [each.care_of for each in world.agent.bindings] == [CARE_OF[1]]
        assert world.node.care_of == CARE_OF[1]


def test_the_home_agent_of_mobile_ipv4() -> None:
    """Its clock, too, may be another after that."""
    chance = dice("F9 MIPv4")
    for number in range(runs(100)):
        agent = HomeAgent(AGENT4, [Subscriber(HOME4, (SA4,))], started=at(0))
        for boot in range(3):
            care_of = IPv4Address("192.0.2.7") + boot
            node = MobileNode(home_address=HOME4, home_agent=AGENT4, association=SA4)
            wrong_s = chance.choice((0, 0, -3600, 3600))
            begun_s = 10 + 20 * boot
            sends = [*node.register(care_of, at(begun_s, wrong_s))]
            registered = False
            for _ in range(chance.choice((1, 2, 8)) if boot < 2 else 8):
                for send in [each for each in sends if isinstance(each, Send)]:
                    place = Endpoint(care_of, 1000)
                    for answer in agent.receive(send.datagram, place, at(begun_s)):
                        if isinstance(answer, Send):
                            source = Endpoint(AGENT4, 434)
                            now = at(begun_s, wrong_s)
                            sends += node.receive(answer.datagram, source, now)
                registered = any(isinstance(each, Registered) for each in sends)
                begun_s += 1
                sends = [*node.expire(at(begun_s, wrong_s))]
                if registered:
                    break
        assert registered
        assert [each.care_of for each in agent.bindings] == [care_of]
        if number % 2:
            agent.expire(at(4000))
            assert not agent.bindings


def at(seconds: float, wrong_s: float = 0) -> Instant:
    return Instant(int(seconds * NS_PER_S), int((18 * 10**8 + seconds + wrong_s) * NS_PER_S))
