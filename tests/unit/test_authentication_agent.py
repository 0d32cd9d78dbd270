"""The authentication agent's machine with real PANA, key delivery and service around it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest
from agent_world import (
    AR,
    CA,
    POINTS,
    REALM,
    STATION,
    Node,
    World,
    neighbour,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from pana_pair import MS, S

from mpa_hil.authentication.outputs import (
    Authenticated,
    Denied,
    Moved,
    Prepared,
    Started,
    StateChanged,
)
from mpa_hil.authentication.service import Describe, KeyState, Prepare
from mpa_hil.authentication.settings import Limits
from mpa_hil.discovery.description import CandidateNetwork
from mpa_hil.discovery.information import Query, decode
from mpa_hil.keys import MasterKey, pmkid
from mpa_hil.mobility.interface import Endpoint
from mpa_hil.pana.interface import Established, Rejected
from mpa_hil.pana.numbers import ResultCode
from mpa_hil.radius.interface import Termination

ALL = tuple((point, KeyState.INSTALLED) for point in POINTS)
OWN = (ip_network("10.2.0.0/24"),)
HERE, AWAY = Endpoint(CA + 100, 716), Endpoint(neighbour(9).address, 716)


def with_limits(world: World, **changes: object) -> World:
    limits = replace(Limits(), **changes)  # type: ignore[arg-type]
    return World(replace(world.settings, limits=limits))


def states(world: World) -> list[str]:
    return [o.state.value for o in world.of(StateChanged) if isinstance(o, StateChanged)]


def test_a_preauthentication_puts_keys_everywhere() -> None:
    """R11-R19, R85-R87: one EAP run; CA, AR and every PoA hold what the MN derives itself."""
    world = World()
    node = Node(world)
    node.authenticate()
    assert isinstance(node.said[-1], Established)
    session = node.pac.session
    assert session is not None
    (done,) = world.of(Authenticated)
    assert isinstance(done, Authenticated)
    assert (done.mobile_node, done.aaa_round_trips) == ("mn@home.example", 2)
    assert done.aaa_ns == 2 * world.aaa_ns
    mine = MasterKey(session.sa, REALM)
    assert world.boxes["ca.b.example"].secrets == {mine.mn_ca(CA).secret}
    assert world.boxes["ar.b.example"].secrets == {mine.mn_ar(AR).secret}
    assert not world.boxes["ep1.b.example"].secrets, "nobody knows the station's address yet"
    assert node.ask(Prepare(STATION)) == ALL
    for number, point in enumerate(POINTS, 1):
        (key,) = world.boxes[f"ep{number}.b.example"].holder.keys
        secret = mine.pmk(point).secret
        assert key.install.secret == secret
        assert key.install.station.hex(":") == STATION
        assert key.install.mobile_node == "mn@home.example"
        assert pmkid(secret, point, STATION) == pmkid(key.install.secret, point, STATION)
        left_ns = key.expires_ns - world.now_ns
        assert left_ns < Limits().early_lifetime_s * S
    assert world.asked == 2
    assert states(world) == ["held"], "not authorised before it is here (C.2)"


def test_a_refusal_installs_nothing() -> None:
    for verdict, decider in (("reject", "server"), ("silent", "nobody")):
        world = World(verdict=verdict)
        node = Node(world)
        node.authenticate()
        (denied,) = world.of(Denied)
        assert isinstance(denied, Denied)
        assert denied.decider == decider
        assert denied.reason
        assert any(isinstance(said, Rejected) for said in node.said)
        assert world.nothing_installed()
        assert not world.records
        assert world.agent.half_open == 0 or world.run(120) or world.agent.half_open == 0


def test_an_unknown_realm_is_refused_with_its_name() -> None:
    world = World()
    node = Node(world, identity="mn@nowhere.example")
    node.authenticate()
    (denied,) = world.of(Denied)
    assert isinstance(denied, Denied)
    assert denied.mobile_node == "mn@nowhere.example"
    assert "go away" in denied.reason
    assert world.nothing_installed()


def test_lifetimes_are_the_shortest_of_all() -> None:
    """min(Session-Timeout, what an early session may have); every key ends with it (R111)."""
    world = World(timeout_s=60)
    node = Node(world)
    node.authenticate()
    node.ask(Prepare(STATION))
    assert node.pac.session is not None
    assert node.pac.session.lifetime_s == 60
    keys = [key for box in world.boxes.values() for key in box.holder.keys]
    assert len(keys) == 4
    assert all(key.expires_ns <= node.pac.session.expires_ns + 100 * MS for key in keys)
    world.run(61)
    assert world.nothing_installed()
    assert states(world)[-1] == "gone"
    assert not world.records
    assert len(world.agent.associations) == 0


def test_terminated_by_the_mn_everything_is_withdrawn() -> None:
    world = World()
    node = Node(world)
    node.authenticate()
    node.ask(Prepare(STATION))
    node.does(node.pac.terminate(world.now))
    world.run(1)
    assert world.nothing_installed()
    assert states(world) == ["held", "gone"]


def test_a_station_address_belongs_to_one_identity() -> None:
    """An MN cannot push another one's PMK out of the access points by claiming its MAC."""
    world = World()
    node = Node(world)
    node.authenticate()
    assert node.ask(Prepare(STATION)) == ALL
    thief = Node(world, identity="thief@home.example", address=neighbour(3))
    thief.authenticate()
    assert thief.ask(Prepare(STATION)) == tuple((p, KeyState.DECLINED) for p in POINTS)
    assert thief.ask(Prepare("03:00:00:00:00:01"))[0][1] is KeyState.DECLINED  # a group address
    assert len(world.boxes["ep1.b.example"].holder.keys) == 1
    assert thief.ask(Prepare("02:00:00:00:00:02")) == ALL


def test_a_rebooted_mn_replaces_its_older_association() -> None:
    """F9."""
    world = World()
    node = Node(world)
    node.authenticate()
    node.ask(Prepare(STATION))
    world.nodes.remove(node)
    again = Node(world, address=neighbour(4))
    again.authenticate()
    assert again.ask(Prepare(STATION)) == ALL
    assert len(world.agent.associations) == 1
    assert again.pac.session is not None
    mine = MasterKey(again.pac.session.sa, REALM)
    assert world.boxes["ep1.b.example"].secrets == {mine.pmk(POINTS[0]).secret}
    assert world.boxes["ca.b.example"].secrets == {mine.mn_ca(CA).secret}


def test_another_station_address_replaces_the_first() -> None:
    world = World()
    node = Node(world)
    node.authenticate()
    node.ask(Prepare(STATION, (POINTS[0],)))
    assert not world.boxes["ep2.b.example"].holder.keys
    assert node.ask(Prepare("02:00:00:00:00:09", (POINTS[1],))) == ((POINTS[1], 0),)
    assert not world.boxes["ep1.b.example"].holder.keys
    (key,) = world.boxes["ep2.b.example"].holder.keys
    assert key.install.station.hex(":") == "02:00:00:00:00:09"


def test_points_that_are_away_unwilling_or_unknown_are_told_apart() -> None:
    world = World()
    world.cut("ep1.b.example")
    world.boxes["ep2.b.example"].failure = "hostapd is away"
    node = Node(world)
    node.authenticate()
    elsewhere = "02:00:00:00:0c:01"
    answer = node.ask(Prepare(STATION, (*POINTS, elsewhere)))
    assert [state for _, state in answer] == [  # type: ignore[misc]
        KeyState.PENDING,
        KeyState.DECLINED,
        KeyState.UNKNOWN,
    ]
    world.connect("ep1.b.example")
    world.boxes["ep2.b.example"].failure = ""
    world.run(2)
    assert node.ask(Prepare(STATION, POINTS)) == ALL


def test_an_answer_waits_for_the_access_points_but_not_long() -> None:
    world = World()
    node = Node(world)
    node.authenticate()
    world.cut("ep2.b.example")
    assert node.client is not None
    datagram = node.client.ask(Prepare(STATION), world.now)
    service = Endpoint(node.pac.session and world.wire[0][2].address, 7160)  # type: ignore[arg-type]
    world.send(datagram, node.address, service)
    world.run(0.5)
    assert not node.answers
    world.connect("ep2.b.example")
    world.run(0.1)
    assert node.answers == [ALL]
    (prepared,) = world.of(Prepared)
    assert isinstance(prepared, Prepared)
    assert (prepared.installed, prepared.asked) == (2, 2)
    world.send(datagram, node.address, service)
    world.run(0.1)
    assert node.answers == [ALL, ALL], "repeated, as the first answer may have been lost"
    assert len(world.boxes["ep1.b.example"].steps) == 1


def test_questions_cannot_be_replayed_or_forged() -> None:
    """A3: neither from the wire, nor at another association, nor reflected."""
    world = World()
    node, other = Node(world), Node(world, "b@home.example", neighbour(5))
    node.authenticate()
    other.authenticate()
    node.ask(Prepare(STATION))
    node.ask(Prepare("02:00:00:00:00:09"))
    questions = [(d, s, t) for d, s, t in world.wire if t.port == 7160]
    before = world.boxes["ep1.b.example"].secrets
    sent = len(world.wire)
    flipped = bytearray(questions[1][0])
    flipped[-1] ^= 1
    other_id = other.session_id.to_bytes(4, "big")
    answer = next(d for d, s, _ in world.wire if s.port == 7160)
    for octets in (
        questions[0][0],
        bytes(flipped),
        questions[1][0][:4] + other_id + questions[1][0][8:],
        answer,
        b"",
        b"MPA\1",
    ):
        world.inject(octets, neighbour(77), questions[0][2])
    world.run(1)
    assert len(world.wire) == sent, "not one answer"
    assert world.boxes["ep1.b.example"].secrets == before
    assert len(world.complaints()) == 6


def test_the_information_service_answers_under_the_mpa_sa() -> None:
    network = CandidateNetwork(realm="b.example", aa=(Endpoint(CA, 716),))
    world = World()
    world = World(replace(world.settings, networks=(network,)))
    node = Node(world)
    node.authenticate()
    answer = node.ask(Describe(Query(7).encode()))
    assert isinstance(answer, bytes)
    assert decode(answer).networks == (network,)  # type: ignore[union-attr]


def test_authorised_only_by_proof_and_only_while_here() -> None:
    """C.2, R112-R116: pre-authenticated, arrived, gone to another network, back."""
    world = World()
    world = World(replace(world.settings, own_networks=OWN))
    node = Node(world)
    node.authenticate()
    node.ask(Prepare(STATION))
    assert states(world) == ["held"]
    node.address = HERE
    node.does(node.pac.became_serving(world.now))
    world.run(1)
    assert states(world) == ["held", "authorised"]
    node.address = AWAY
    node.does(node.pac.address_changed(world.now))
    world.run(1)
    assert states(world) == ["held", "authorised", "held"]
    moved = world.of(Moved)[-1]
    assert isinstance(moved, Moved)
    assert (moved.address, moved.previous) == (AWAY, HERE)
    assert not world.nothing_installed(), "the association is held for a quick return (R113)"
    (association,) = world.agent.associations
    assert association.address == AWAY
    node.address = HERE
    node.does(node.pac.address_changed(world.now))
    world.run(1)
    assert states(world)[-1] == "authorised"


def test_released_by_command_and_back_by_a_question() -> None:
    world = World()
    world = World(replace(world.settings, own_networks=OWN))
    node = Node(world)
    node.authenticate()
    node.address = HERE
    node.does(node.pac.became_serving(world.now))
    world.run(1)
    world.does(world.agent.release(node.session_id, world.now))
    assert states(world)[-1] == "held"
    for octets, _, target in [w for w in world.wire if w[1] == HERE]:
        world.inject(octets, HERE, target)
    world.run(1)
    assert states(world)[-1] == "held", "what was heard before proves nothing"
    node.ask(Prepare(STATION))
    assert states(world)[-1] == "authorised"
    world.does(world.agent.release(12345, world.now))


def test_access_points_that_lose_sight_of_an_mn_release_it() -> None:
    world = World()
    node = Node(world)
    node.authenticate()
    node.ask(Prepare(STATION))
    node.does(node.pac.became_serving(world.now))
    world.run(1)

    def seen(number: int, present: bool) -> None:
        name = f"ep{number}.b.example"
        box = world.boxes[name]
        octets = box.does(box.holder.presence(box.holder.keys[0], present), world.now)
        world.does(world.agent.recipient_received(name, octets, world.now))

    seen(1, True)
    seen(1, False)
    world.run(1)
    seen(2, True)
    world.run(5)
    assert states(world)[-1] == "authorised", "it went from one to the other"
    seen(2, False)
    world.run(Limits().leave_grace_s + 0.1)
    assert states(world)[-1] == "held"


def test_no_identity_has_more_than_its_share() -> None:
    """RFC 5836 s6: second login limit; the oldest goes, and is told."""
    world = with_limits(World(), sessions_per_identity=2)
    nodes = [Node(world, address=neighbour(10 + number)) for number in range(3)]
    for number, node in enumerate(nodes):
        node.authenticate()
        node.ask(Prepare(f"02:00:00:00:01:{number:02x}"))
    world.run(2)
    assert len(world.agent.associations) == 2
    assert nodes[0].pac.session is None
    assert nodes[1].pac.session is not None
    assert len(world.boxes["ep1.b.example"].holder.keys) == 2


def test_a_full_agent_refuses_cleanly() -> None:
    world = with_limits(World(), associations=1)
    Node(world).authenticate()
    late = Node(world, "late@home.example", neighbour(6))
    late.authenticate()
    (rejected,) = [said for said in late.said if isinstance(said, Rejected)]
    assert rejected.code is ResultCode.AUTHORIZATION_REJECTED
    assert rejected.authenticated
    assert len(world.agent.associations) == 1
    assert [o.decider for o in world.of(Denied) if isinstance(o, Denied)] == ["agent"]


def test_reauthentication_gives_new_keys_before_it_takes_the_old() -> None:
    world = World()
    node = Node(world)
    node.authenticate()
    node.ask(Prepare(STATION))
    old = world.boxes["ep1.b.example"].secrets
    node.does(node.pac.reauthenticate(world.now))
    world.run(2)
    assert node.pac.session is not None
    mine = MasterKey(node.pac.session.sa, REALM)
    new = {mine.pmk(POINTS[0]).secret}
    assert world.boxes["ep1.b.example"].secrets == new != old
    assert world.boxes["ca.b.example"].secrets == {mine.mn_ca(CA).secret}
    steps = [type(step).__name__ for step in world.boxes["ep1.b.example"].steps]
    assert steps == ["Apply", "Apply", "Release"]
    assert states(world) == ["held"]


def test_nobody_takes_over_a_session_by_reauthentication() -> None:
    world = World()
    node = Node(world)
    node.authenticate()
    node.identity = "other@home.example"
    node.does(node.pac.reauthenticate(world.now))
    world.run(3)
    assert len(world.agent.associations) == 0
    assert world.nothing_installed()


def test_termination_action_renews_in_time() -> None:
    """RFC 2865 s5.29."""
    world = World(timeout_s=100, termination=Termination.RADIUS_REQUEST)
    node = Node(world)
    node.authenticate()
    node.ask(Prepare(STATION))
    world.run(90)
    assert len(world.of(Authenticated)) == 2
    world.run(60)
    assert len(world.agent.associations) == 1
    assert not world.nothing_installed()


def test_the_home_network_may_name_the_mn() -> None:
    world = World(user_name=b"real@home.example")
    node = Node(world, identity="anonymous@home.example")
    node.authenticate()
    (association,) = world.agent.associations
    assert association.mobile_node == "real@home.example"


@pytest.mark.parametrize("moment_ms", range(0, 140, 5))
def test_a_killed_agent_leaves_nothing_half(moment_ms: int) -> None:
    """Must show 4: killed at any moment and started anew with what it had written down, the
    association is valid on both sides, or there is none and no key of it anywhere."""
    world = World()
    node = Node(world)
    node.does(node.pac.start(world.now))
    world.run(moment_ms / 1000)
    if node.client is not None:
        datagram = node.client.ask(Prepare(STATION), world.now)
        world.send(datagram, node.address, Endpoint(world.wire[0][2].address, 7160))
        world.run(0.007)
    for name in world.boxes:
        world.boxes[name].holder.disconnected()
    world.start_agent()
    world.run(1)
    node.does(node.pac.ping(world.now))
    world.run(200)
    held = {key.install.name for box in world.boxes.values() for key in box.holder.keys}
    known = {name for association in world.agent.associations for name in association.keys}
    assert held == known
    alive = node.pac.session is not None
    assert alive == (len(world.agent.associations) == 1) == bool(held)
    if alive:
        assert node.ask(Prepare(STATION)) == ALL
        node.does(node.pac.became_serving(world.now))
        world.run(1)
        assert states(world)[-1] == "authorised"


def test_a_restarted_agent_goes_on_as_before() -> None:
    world = World()
    world = World(replace(world.settings, own_networks=OWN))
    node = Node(world)
    node.authenticate()
    node.ask(Prepare(STATION))
    node.address = HERE
    node.does(node.pac.became_serving(world.now))
    world.run(1)
    applied = len(world.boxes["ep1.b.example"].steps)
    replay = [w for w in world.wire if w[2].port == 7160][-1]
    world.start_agent()
    world.run(5)
    (association,) = world.agent.associations
    assert association.state.value == "authorised"
    assert len(world.boxes["ep1.b.example"].steps) == applied, "nothing was put in or out"
    assert world.agent.settled
    world.said.clear()
    world.inject(replay[0], neighbour(1), replay[2])
    older = next(w for w in world.wire if w[2].port == 7160)
    world.inject(older[0], neighbour(1), older[2])
    world.run(1)
    assert node.ask(Prepare(STATION)) == ALL


def test_an_agent_that_stops_takes_everything_back() -> None:
    world = World()
    node = Node(world)
    node.authenticate()
    node.ask(Prepare(STATION))
    world.does(world.agent.stop(world.now))
    assert world.nothing_installed()
    assert not world.records
    assert world.agent.settled
    world.run(1)
    assert node.pac.session is None, "and says so"


@given(st.integers(0, 1000))
@settings(max_examples=8)
def test_thirty_per_cent_loss_both_ways(seed: int) -> None:
    """Must show 3: completion all the same, or a clean end; never one side alone."""

    def lossy(datagram: bytes, dice: object) -> list[tuple[int, bytes]]:
        return [] if world.dice.random() < 0.3 else [(5 * MS, datagram)]

    world = World(seed=str(seed))
    world.fault = lossy
    node = Node(world)
    node.authenticate(60)
    assert any(isinstance(said, Established) for said in node.said)
    assert len(world.agent.associations) == 1
    world.fault = lambda datagram, dice: [(5 * MS, datagram)]
    assert node.ask(Prepare(STATION)) == ALL


def test_many_at_once() -> None:
    world = World()
    nodes = [Node(world, f"mn{n}@home.example", neighbour(n)) for n in range(100)]
    for node in nodes:
        node.does(node.pac.start(world.now))
    world.run(2)
    assert len(world.of(Authenticated)) == 100
    for number, node in enumerate(nodes):
        assert node.client is not None
        datagram = node.client.ask(Prepare(f"02:00:00:00:02:{number:02x}"), world.now)
        world.send(datagram, node.address, Endpoint(world.wire[0][2].address, 7160))
    world.run(2)
    assert all(node.answers == [ALL] for node in nodes)
    assert len(world.boxes["ep1.b.example"].holder.keys) == 100
    assert len(world.of(Started)) == 100
