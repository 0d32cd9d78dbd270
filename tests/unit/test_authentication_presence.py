"""Who has come: from access points and MNs through the AA to the access router, which may have
packets for them in hand (RFC 6252 s7.4)."""

from __future__ import annotations

from agent_world import STATION, Node, World

from mpa_hil.authentication.service import Prepare
from mpa_hil.keys import Usage
from mpa_hil.pana.settings import PacSettings


def prepared() -> tuple[World, Node]:
    world = World()
    node = Node(world, settings=PacSettings(preauthentication=True))
    node.authenticate()
    node.ask(Prepare(STATION))
    return world, node


def told(world: World, role: str = "ar") -> list[tuple[Usage, bool]]:
    seen = world.boxes[f"{role}.b.example"].seen
    return [(each.key.install.usage, each.present) for each in seen]


def test_what_an_access_point_sees_the_access_router_knows() -> None:
    world, _ = prepared()
    for present in (True, False):
        box = world.boxes["ep1.b.example"]
        octets = box.does(box.holder.presence(box.holder.keys[0], present), world.now)
        world.does(world.agent.recipient_received("ep1.b.example", octets, world.now))
    assert told(world) == [(Usage.MN_AR, True), (Usage.MN_AR, False)]
    assert told(world, "ca") == told(world, "ep1") == told(world, "ep2") == []


def test_so_it_knows_what_the_mn_itself_says() -> None:
    """The PANA notification that this AA serves the MN (RFC 5873) is a sign of arrival (R61)."""
    world, node = prepared()
    node.does(node.pac.became_serving(world.now))
    world.run(1)
    assert told(world) == [(Usage.MN_AR, True)]


def test_each_mn_for_itself() -> None:
    world, node = prepared()
    Node(world, "other@home.example").authenticate()
    node.does(node.pac.became_serving(world.now))
    world.run(1)
    (seen,) = world.boxes["ar.b.example"].seen
    assert seen.key.install.mobile_node == node.identity


def test_a_router_that_is_away_is_not_told_later() -> None:
    world, node = prepared()
    world.cut("ar.b.example")
    node.does(node.pac.became_serving(world.now))
    world.run(1)
    world.connect("ar.b.example")
    world.run(1)
    assert told(world) == []
    assert world.agent.settled
