"""What an access router grants, to whom, under which keys; what it detains as the old router."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from tunnel_world import AR, SETTINGS, World, here, made, small, way

from mpa_hil.errors import LocalError
from mpa_hil.mobility.interface import Endpoint
from mpa_hil.signalling.client import Client
from mpa_hil.signalling.message import Protocol
from mpa_hil.tunnel.interface import (
    Ack,
    Code,
    Created,
    Detained,
    Done,
    EspKeys,
    Kind,
    Protect,
    Refused,
    WireGuardKeys,
)
from mpa_hil.tunnel.material import esp_keys
from mpa_hil.tunnel.messages import Create, Refresh, decode_refusal, encode_create, encode_refresh
from mpa_hil.tunnel.states import Cue, Order


def test_keys_of_both_ends_are_the_same_and_never_again() -> None:
    seen: set[bytes] = set()
    world = World()
    node = world.node(7)
    for _ in range(5):
        node.create(protect=Protect.ESP)
        (session,) = world.router.sessions
        assert node.client.terms is not None
        keys = node.client.terms.keys
        assert isinstance(keys, EspKeys)
        assert session.keys == keys
        assert not {keys.to_node, keys.to_router} & seen
        assert len({keys.to_node, keys.to_router, *seen}) == len(seen) + 2
        seen |= {keys.to_node, keys.to_router}
    node.create(protect=Protect.WIREGUARD, public=b"p" * 32, port=51820)
    (session,) = world.router.sessions
    keys = node.client.terms.keys
    assert isinstance(keys, WireGuardKeys)
    assert isinstance(session.keys, WireGuardKeys)
    assert (keys.preshared, keys.peer_public) == (session.keys.preshared, session.public)
    assert (session.keys.peer_public, session.keys.peer_port) == (b"p" * 32, 51820)
    assert session.private not in b"".join(datagram for datagram, _ in world.wire)


def test_keys_depend_on_both_nonces() -> None:
    """A new session may by chance have the SPIs of an old one."""
    keys = {
        esp_keys(secret, node, router, 1000, 2000)
        for secret in (b"s" * 64, b"t" * 64)
        for node in (b"n" * 16, b"o" * 16)
        for router in (b"n" * 16, b"o" * 16)
    }
    assert len({key for each in keys for key in (each.to_node, each.to_router)}) == 16


def test_esp_keys_are_not_moved_to_another_address() -> None:
    """Whatever a client says that does not know better."""
    world, node = made(protect=Protect.ESP)
    client, random_octets = node.client, node.dice.randbytes
    world.run(1)
    there = Endpoint(ip_address("198.51.100.9"), 1)
    raw = Client(node.key, Protocol.TUNNEL, random_octets)
    answers: list[bytes] = []
    for _ in range(2):  # the first is STALE
        refresh = Refresh(there.address, 60)
        datagram = raw.request(Kind.REFRESH, encode_refresh(refresh))
        world.to_router(datagram, there, answers.append)
        answer = raw.answer(answers[-1])
        assert answer is not None
    assert decode_refusal(answer.values)[0] is Code.WRONG_STATE
    assert Order.MOVE not in world.kernel.orders
    assert client.terms is not None


def test_detaining_at_the_old_router() -> None:
    """What comes for the address here is held, and forwarded at the word of where it goes (R73)."""
    world = World()
    node = world.node(7)
    there = ip_address("10.9.0.5")
    wish = node.wish(outer=there, inner=(here(7),))
    assert isinstance(node.does(node.client.detain(wish, world.now))[-1], Detained)
    assert way(world) == {1: "link"}
    switch = node.prepare()
    assert node.fire(switch.disable, here(7)) == [Ack(True)]
    assert way(world) == {1: "held"}
    assert node.fire(switch.enable, ip_address("203.0.113.1")) == [Ack(False, Code.NOT_YOURS)]
    assert node.fire(node.prepare().enable, there) == [Ack(False)]  # is it really there?
    assert way(world) == {1: "held"}
    assert node.does(node.client.order(Kind.ENABLE, world.now))[-1] == Done(Kind.ENABLE)
    assert way(world) == {1: "tunnel"}
    assert world.kernel.proxied == {1: ()}


def test_nothing_is_forwarded_that_nobody_asks_for() -> None:
    world = World()
    node = world.node(7)
    wish = node.wish(outer=ip_address("10.9.0.5"), inner=(here(7),), hold_ms=500)
    node.does(node.client.detain(wish, world.now))
    node.fire(node.prepare().disable, here(7))
    world.run(0.6)
    assert way(world) == {}
    assert world.changes[-1].cue is Cue.UNCLAIMED


def test_what_may_be_asked_for() -> None:
    world = World()
    node = world.node(7)
    for more, code in (
        ({"inner": (ip_address("10.3.0.7"),)}, Code.NOT_YOURS),
        ({"inner": (AR.address,)}, Code.NOT_YOURS),
        ({"inner": (ip_address("10.2.0.2"),)}, Code.NOT_YOURS),
        ({"inner": (ip_address("10.2.255.255"),)}, Code.NOT_YOURS),
        ({"inner": (here(7), here(8))}, Code.UNSUPPORTED),
        ({"mac": b"\xff" * 6}, Code.NOT_YOURS),
        ({"mac": SETTINGS.mac}, Code.NOT_YOURS),
    ):
        said = node.create(**more)[-1]
        assert isinstance(said, Refused), more
        assert said.code is code
    assert len(world.refusals) == 7
    assert not world.router.sessions


@pytest.mark.parametrize("kind", [Kind.CREATE, Kind.DETAIN])
def test_only_from_where_it_is(kind: Kind) -> None:
    """The outer address, or what the old router is to detain, is the one that the request has; then
    the answer, with the proof that is wanted, goes there too."""
    world = World()
    node = world.node(7)
    wish = node.wish() if kind is Kind.CREATE else node.wish(outer=ip_address("10.9.0.5"))
    client = Client(node.key, Protocol.TUNNEL, node.dice.randbytes)
    answers: list[bytes] = []
    for _ in range(2):  # the first is STALE
        datagram = client.request(kind, encode_create(Create(wish, b"n" * 16)))
        source = Endpoint(ip_address("198.51.100.9"), 1)
        world.to_router(datagram, source, answers.append)
        answer = client.answer(answers[-1])
        assert answer is not None
    code, _, cookie = decode_refusal(answer.values)
    assert (code, cookie) == (Code.NOT_YOURS, b"")


def test_where_nothing_is_supported() -> None:
    settings = replace(SETTINGS, protections=frozenset((Protect.PLAIN,)), bicast=False)
    world = World(settings=settings)
    node = world.node(7)
    for more in ({"protect": Protect.ESP}, {"bicast": True}):
        said = node.create(**more)[-1]
        assert isinstance(said, Refused)
        assert said.code is Code.UNSUPPORTED


def test_what_cannot_be_asked_for() -> None:
    world = World()
    node = world.node(7)
    for more in ({"mac": b"short"}, {"inner": ()}, {"life_s": 0}, {"hold_ms": -1}):
        with pytest.raises(LocalError):
            node.create(**more)
    with pytest.raises(LocalError):
        node.client.refresh(node.outer, world.now)
    with pytest.raises(LocalError):
        node.client.order(Kind.DELETE, world.now)
    with pytest.raises(LocalError):
        node.prepare()


def test_limits_are_granted_and_not_more() -> None:
    world = World(settings=small(life_s=50, hold_ms=100, hold_octets=9000, all_hold_octets=15000))
    node, other = world.node(7), world.node(8)
    node.create()
    terms = node.client.terms
    assert terms is not None
    assert (terms.life_s, terms.hold_ms, terms.hold_octets) == (50, 100, 9000)
    other.create()
    assert other.client.terms is not None
    assert other.client.terms.hold_octets == 6000
    said = world.node(9).create()[-1]
    assert isinstance(said, Refused)
    assert said.code is Code.QUOTA
    world.check_invariants()


def test_an_identity_has_its_share() -> None:
    world = World(settings=small(sessions_per_node=2))
    nodes = [world.node(number, owner="one@home.example") for number in (7, 8, 9)]
    said = [type(node.create()[-1]) for node in nodes]
    assert said == [Created, Created, Refused]
    assert isinstance(world.node(10).create()[-1], Created)
    nodes[0].does(nodes[0].client.delete(world.now))
    assert isinstance(nodes[2].create()[-1], Created)
