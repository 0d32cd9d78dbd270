"""The configuration agent's machine: leases, quotas, keys that come and go, restarts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from configuration_world import NS, Node, Server, World, mac_of

from mpa_hil.configuration.dhcp4.message import Kind
from mpa_hil.configuration.interface import (
    Code,
    Configured,
    Ended,
    Ending,
    GaveUp,
    Lost,
    Method,
    Refused,
)
from mpa_hil.configuration.protocol import Ask
from mpa_hil.configuration.reports import AgentSettings, Gone
from mpa_hil.errors import LocalError
from mpa_hil.signalling.client import Client
from mpa_hil.signalling.message import Protocol


@pytest.fixture
def world() -> World:
    return World()


def causes(world: World) -> list[str]:
    return [each.cause for each in world.told if isinstance(each, Gone)]


def test_an_address_and_all_that_goes_with_it(world: World) -> None:
    node = world.node()
    got = world.configure(node)
    assert isinstance(got, Configured)
    assert str(got.configuration.address) == "10.2.0.100/24"
    assert got.configuration.lease_s == pytest.approx(600, abs=0.1)
    assert got.configuration.keep_s == 600
    assert not got.renewal
    assert world.server.heard == [Kind.DISCOVER, Kind.REQUEST]
    # The first request learns the agent's epoch, so two round trips in all.
    assert (got.round_trip_ns, got.attempts) == (40_000_000, 2)


def test_asked_again_the_server_is_not(world: World) -> None:
    node = world.node()
    first, again = world.configure(node), world.configure(node)
    assert isinstance(first, Configured)
    assert isinstance(again, Configured)
    assert again.configuration.address == first.configuration.address
    assert len(world.server.heard) == 2


def test_a_lease_is_kept_for_as_long_as_the_node_asks(world: World) -> None:
    node = world.node()
    world.configure(node)
    world.run(bound_s=4000)
    assert len(world.server.leases) == 1
    assert all(isinstance(each, Configured) for each in node.said)
    assert len(node.said) > 10
    # At half time, so twice in each lease, and nothing but requests.
    kinds = Counter(world.server.heard)
    assert kinds[Kind.DISCOVER] == 1
    assert 12 <= kinds[Kind.REQUEST] <= 18


def test_a_node_that_falls_silent_loses_it(world: World) -> None:
    node = world.node()
    world.configure(node)
    world.nodes.clear()
    world.run(bound_s=599)
    assert len(world.server.leases) == 1  # the agent renewed it by itself
    world.run(bound_s=2)
    assert world.server.leases == {}
    assert causes(world) == ["unheard"]
    assert node.said


def test_a_server_that_dies_and_comes_back(world: World) -> None:
    node = world.node()
    world.configure(node)
    world.server.alive = False
    world.run(bound_s=580)
    world.server.alive = True
    world.run(bound_s=100)
    assert not any(isinstance(each, Lost) for each in node.said)
    assert len(world.server.leases) == 1


def test_a_server_that_stays_dead_ends_it_and_the_node_knows(world: World) -> None:
    node = world.node()
    world.configure(node)
    world.server.alive = False
    world.run(bound_s=700)
    assert isinstance(node.said[-1], Lost)
    assert node.client.configuration is None
    assert causes(world) == ["expired"]
    assert len(world.agent.holdings) == 0


def test_a_server_that_forgot_and_gave_it_away(world: World) -> None:
    node = world.node()
    world.configure(node)
    ((client, address),) = world.server.leases.items()
    world.server.leases = {b"\0somebody else": address}
    world.run(bound_s=320)
    assert isinstance(node.last(Lost), Lost)
    assert causes(world) == ["lost"]
    assert client


def test_given_back_when_asked(world: World) -> None:
    node = world.node()
    world.configure(node)
    world.does(node, node.client.release(world.now))
    world.run(lambda: isinstance(node.said[-1], Ended))
    assert node.said[-1] == Ended(IPv4Address("10.2.0.100"), Ending.RELEASED, True)
    assert world.server.leases == {}
    assert causes(world) == ["released"]
    assert node.client.next_deadline() is None
    assert world.agent.next_deadline() is None


def test_given_up_before_the_answer_came(world: World) -> None:
    """The agent gets the lease and must not keep it."""
    node = world.node()
    world.configure(node)
    world.does(node, node.client.release(world.now))
    world.run(bound_s=1)
    world.does(node, node.client.configure(node.wish(), world.now))
    world.does(node, node.client.release(world.now))
    world.run(bound_s=30)
    assert node.last(Ended) == Ended(None, Ending.RELEASED, True)
    assert world.server.leases == {}
    assert len(world.agent.holdings) == 0


def test_nothing_to_give_back_is_said_at_once(world: World) -> None:
    node = world.node()
    assert node.client.release(world.now) == (Ended(None, Ending.RELEASED, True),)


def test_taken_over_it_is_left_alone(world: World) -> None:
    node = world.node()
    world.configure(node)
    world.does(node, node.client.take_over(world.now))
    world.run(lambda: isinstance(node.said[-1], Ended))
    world.withdraw(node)
    world.run(bound_s=10)
    assert len(world.server.leases) == 1
    assert Kind.RELEASE not in world.server.heard
    assert causes(world) == ["taken over"]


def test_taken_over_it_counts_until_it_has_run_out(world: World) -> None:
    """Else an MN could have any number, one after the other."""
    node = world.node()
    for number in range(2):
        world.configure(node, mac=mac_of(100 + number))
        world.does(node, node.client.take_over(world.now))
        world.run(lambda: isinstance(node.said[-1], Ended))
    refused = world.configure(node, mac=mac_of(102))
    assert isinstance(refused, Refused)
    assert refused.code is Code.QUOTA
    back = world.configure(node, mac=mac_of(100))  # it left, and prepares to come again
    assert isinstance(back, Configured)
    assert len(world.server.leases) == 2
    world.run(bound_s=601)
    assert isinstance(world.configure(node, mac=mac_of(102)), Configured)


@pytest.mark.parametrize("on_link", [False, True])
def test_withdrawn_it_goes_back_unless_it_is_in_use(world: World, on_link: bool) -> None:
    node = world.node()
    world.configure(node)
    node.on_link = on_link
    world.withdraw(node)
    assert world.agent.parting
    world.run(bound_s=1)
    assert not world.agent.parting
    assert len(world.server.leases) == on_link
    assert causes(world) == ["in use" if on_link else "withdrawn"]


def test_a_router_that_answers_for_the_node_does_not_keep_its_address(world: World) -> None:
    """Proxy ARP for the nCoA of a node that is elsewhere."""
    node = world.node()
    world.configure(node)
    world.server.present |= {"10.2.0.100"}
    world.withdraw(node)
    world.run(bound_s=1)
    assert causes(world) == ["withdrawn"]


def test_authenticated_anew_it_keeps_what_it_has(world: World) -> None:
    node = world.node()
    world.configure(node)
    again = world.node(node.name)
    world.withdraw(node)
    world.run(bound_s=1)
    assert causes(world) == []
    got = world.configure(again, mac=mac_of(node.number))
    assert isinstance(got, Configured)
    assert str(got.configuration.address.ip) == "10.2.0.100"
    assert world.server.heard == [Kind.DISCOVER, Kind.REQUEST]


def test_an_exhausted_pool_is_told_soon(world: World) -> None:
    nodes = [world.node() for _ in range(5)]
    for node in nodes[:4]:
        assert isinstance(world.configure(node), Configured)
    began_ns = world.ns
    refused = world.configure(nodes[4])
    assert isinstance(refused, Refused)
    assert refused.code is Code.POOL_EXHAUSTED
    assert world.ns - began_ns < 1.5 * NS
    assert len(world.agent.holdings) == 4


@pytest.mark.parametrize(
    ("server", "code"),
    [
        (Server(alive=False), Code.NO_SERVER),
        (Server(pool=0, authoritative=False), Code.NO_SERVER),
        (Server(routers=()), Code.NO_ROUTER),
        (Server(routers=("10.2.0.9", "10.2.0.8")), Code.NO_ROUTER),
    ],
)
def test_what_cannot_be_had_is_refused(server: Server, code: Code) -> None:
    world = World(server)
    node = world.node()
    refused = world.configure(node)
    assert isinstance(refused, Refused)
    assert refused.code is code
    assert server.leases == {}
    assert len(world.agent.holdings) == 0
    assert world.agent.next_deadline() is None


def test_the_second_router_does_if_the_first_is_away() -> None:
    world = World(Server(routers=("10.2.0.9", "10.2.0.1")))
    got = world.configure(world.node())
    assert isinstance(got, Configured)
    assert str(got.configuration.router) == "10.2.0.1"


def test_one_that_is_in_use_is_declined(world: World) -> None:
    node = world.node()
    first = world.configure(node)
    assert isinstance(first, Configured)
    other = world.configure(node, decline=first.configuration.address.ip)
    assert isinstance(other, Configured)
    assert other.configuration.address != first.configuration.address
    assert world.server.burnt == {first.configuration.address.ip}
    # The agent was restarted, and the server offers the same once more: declined all the same.
    world.restart()
    world.agent.key_added(node.key, node.name, world.now)
    third = world.configure(node, decline=other.configuration.address.ip)
    assert isinstance(third, Configured)
    assert len(world.server.burnt) == 2


def test_declines_are_counted() -> None:
    """Each burns an address of the pool."""
    world = World(Server(pool=100))
    node = world.node()
    got = world.configure(node)
    for _ in range(10):
        assert isinstance(got, Configured)
        got = world.configure(node, decline=got.configuration.address.ip)
        if isinstance(got, Refused):
            break
    assert isinstance(got, Refused)
    assert got.code is Code.QUOTA
    assert len(world.server.burnt) == 3
    assert world.server.leases == {}


def test_nobody_gets_the_lease_of_another(world: World) -> None:
    victim, thief = world.node(), world.node()
    world.configure(victim)
    for wish in (
        {"mac": mac_of(victim.number)},
        {"client_id": b"\1" + mac_of(victim.number)},
        {"mac": mac_of(victim.number), "client_id": b"\0mine"},
    ):
        refused = world.configure(thief, **wish)
        assert isinstance(refused, Refused)
        assert refused.code is Code.IN_USE_BY_ANOTHER
    values = [(8, IPv4Address("10.2.0.100").packed)]
    client = Client(thief.key, Protocol.CONFIGURATION, world.dice.randbytes)
    for ask in (Ask.RELEASE, Ask.TAKE_OVER, Ask.RENEW):
        world.inject(client.request(ask, values), thief.source)
        world.run(bound_s=1)
    assert len(world.server.leases) == 1


def test_one_node_has_only_so_many(world: World) -> None:
    node = world.node()
    for number in range(2):
        assert isinstance(world.configure(node, mac=mac_of(100 + number)), Configured)
    refused = world.configure(node, mac=mac_of(102))
    assert isinstance(refused, Refused)
    assert refused.code is Code.QUOTA
    other = world.node()
    assert isinstance(world.configure(other), Configured)


def test_another_identifier_for_the_same_interface_replaces_it(world: World) -> None:
    node = world.node()
    world.configure(node)
    got = world.configure(node, client_id=b"\0another")
    assert isinstance(got, Configured)
    assert list(world.server.leases) == [b"\0another"]
    assert causes(world) == ["replaced"]


def test_more_at_once_than_can_be(world: World) -> None:
    world = World(Server(alive=False), AgentSettings(exchanges=3))
    nodes = [world.node() for _ in range(4)]
    for node in nodes:
        world.does(node, node.client.configure(node.wish(), world.now))
    world.run(lambda: all(node.said for node in nodes))
    assert [node.last(Refused).code for node in nodes] == [*[Code.NO_SERVER] * 3, Code.BUSY]


def test_a_method_that_is_not_done_here() -> None:
    world = World(settings=AgentSettings(methods=frozenset({Method.STATELESS})))
    refused = world.configure(world.node())
    assert isinstance(refused, Refused)
    assert refused.code is Code.UNSUPPORTED


def test_nonsense_under_a_good_key_is_told_so(world: World) -> None:
    node = world.node()
    world.configure(node)
    client = node.client._requester.client
    for kind, values in ((1, [(1, b"\1")]), (1, [(77, b"")]), (99, []), (2, [(8, b"12345")])):
        start = len(world.told)
        world.inject(client.request(kind, values), node.source)
        (denied,) = world.told[start:]
        assert getattr(denied, "code", None) is Code.MALFORMED


def restarted(world: World, node: Node, *, journal: bool) -> None:
    world.restart(journal=journal)
    world.agent.key_added(node.key, node.name, world.now)


@pytest.mark.parametrize("journal", [False, True])
def test_a_restarted_agent(journal: bool) -> None:
    """With its journal it knows; without, the MN is told, asks again and gets the same."""
    world = World()
    node = world.node()
    got = world.configure(node)
    assert isinstance(got, Configured)
    restarted(world, node, journal=journal)
    world.run(bound_s=310)
    assert isinstance(node.said[-1], Configured if journal else Lost)
    again = world.configure(node)
    assert isinstance(again, Configured)
    assert again.configuration.address == got.configuration.address
    assert len(world.server.leases) == 1


def test_restored_for_a_node_that_does_not_come_back() -> None:
    world = World()
    world.configure(world.node())
    world.nodes.clear()
    world.restart(journal=True)
    assert len(world.agent.holdings) == 1
    world.run(bound_s=61)
    assert causes(world) == ["unheard"]
    assert world.server.leases == {}


def test_a_dead_agent_is_given_up(world: World) -> None:
    node = world.node(keyed=False)
    result = world.configure(node)
    assert isinstance(result, GaveUp)
    world.does(node, node.client.release(world.now))
    world.run(lambda: isinstance(node.said[-1], Ended))
    assert node.said[-1] == Ended(None, Ending.RELEASED, False)


def test_settings_that_cannot_be() -> None:
    with pytest.raises(LocalError):
        replace(AgentSettings(), keep_s=0)
