"""Forged, replayed, reordered and broken registrations never move a binding."""

from __future__ import annotations

import random
from ipaddress import IPv4Address

from hypothesis import given, settings
from hypothesis import strategies as st

from mpa_hil.mobility.interface import Endpoint, Instant, Registered, Send
from mpa_hil.mobility.mip4.authentication import SecurityAssociation
from mpa_hil.mobility.mip4.bindings import BindingRefreshed, Refused, Subscriber
from mpa_hil.mobility.mip4.home_agent import HomeAgent
from mpa_hil.mobility.mip4.messages import DecodeError, decode
from mpa_hil.mobility.mip4.mobile_node import MobileNode

HOME = IPv4Address("10.0.0.100")
AGENT = IPv4Address("10.0.0.1")
SA = SecurityAssociation(256, b"0123456789abcdef")
EPOCH_NS = 1_800_000_000 * 10**9


def at(seconds: float) -> Instant:
    return Instant(int(seconds * 1e9), EPOCH_NS + int(seconds * 1e9))


def pair() -> tuple[HomeAgent, MobileNode]:
    agent = HomeAgent(AGENT, [Subscriber(HOME, (SA,))], started=at(-100))
    return agent, MobileNode(home_address=HOME, home_agent=AGENT, association=SA)


def care_of(number: int) -> IPv4Address:
    return IPv4Address("192.0.2.0") + 1 + number % 200


def request(node: MobileNode, number: int, now: Instant) -> bytes:
    (sent,) = node.register(care_of(number), now)
    assert isinstance(sent, Send)
    return sent.datagram


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(2, 12))
def test_replays_and_reordering(chance: random.Random, moves: int) -> None:
    """Of requests that arrive in any order, any number of times, only newer ones count."""
    agent, node = pair()
    wire = [(number, request(node, number, at(number / 10))) for number in range(moves)]
    arrivals = [chance.choice(wire) for _ in range(moves * 4)]
    newest = -1
    for number, datagram in arrivals:
        outputs = agent.receive(datagram, Endpoint(care_of(number), 5000), at(moves / 10))
        if number > newest:
            newest = number
        else:
            assert any(isinstance(o, Refused) and o.code == 133 for o in outputs)
        assert [binding.care_of for binding in agent.bindings] == [care_of(newest)]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 255)), min_size=1, max_size=4))
def test_a_forged_copy_changes_nothing(flips: list[tuple[int, int]]) -> None:
    agent, node = pair()
    first = request(node, 0, at(0))
    agent.receive(first, Endpoint(care_of(0), 5000), at(0))
    before = agent.bindings
    genuine = request(node, 1, at(2))
    forged = bytearray(genuine + bytes(16))
    for offset, change in flips:
        forged[offset] ^= change
    if forged[: len(genuine)] == genuine:
        return
    outputs = agent.receive(bytes(forged), Endpoint(care_of(1), 5000), at(2))
    assert agent.bindings == before
    for output in outputs:
        assert not isinstance(output, Send) or len(output.datagram) <= len(forged)
    after = agent.receive(genuine, Endpoint(care_of(1), 5000), at(2))
    assert agent.bindings != before, (after, "a forgery must not lock the real node out")


@settings(max_examples=300)
@given(st.binary(max_size=120), st.sampled_from([b"", b"\1", b"\3"]))
def test_machines_survive_any_octets(octets: bytes, head: bytes) -> None:
    agent, node = pair()
    request(node, 0, at(0))
    source = Endpoint(care_of(0), 1)
    for output in agent.receive(head + octets, source, at(1)):
        assert not isinstance(output, BindingRefreshed)
    for answer in node.receive(head + octets, source, at(1)):
        assert not isinstance(answer, Registered)
    assert agent.bindings == ()
    assert node.care_of is None


def test_many_mutations_of_real_messages() -> None:
    """Twenty thousand, seeded: the decoder raises its own error or nothing."""
    chance = random.Random(5944)
    agent, node = pair()
    genuine = request(node, 0, at(0))
    (_, sent) = agent.receive(genuine, Endpoint(care_of(0), 5000), at(0))
    assert isinstance(sent, Send)
    seeds = (genuine, sent.datagram)
    for _ in range(20_000):
        octets = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(1, 4)):
            octets[chance.randrange(len(octets))] = chance.randrange(256)
        cut = bytes(octets[: chance.randrange(len(octets) + 1)])
        try:
            assert decode(cut).encode() == cut
        except DecodeError:
            continue


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["register", "deregister", "wait", "deliver", "drop", "replay"]),
            st.integers(0, 5),
        ),
        max_size=60,
    )
)
def test_random_lives(steps: list[tuple[str, int]]) -> None:
    """Whatever is lost or repeated: a node that believes it is bound is bound just so."""
    agent, node = pair()
    seconds = 0.0
    queue: list[Send] = []
    history: list[Send] = []
    for verb, number in steps:
        now = at(seconds)
        sent: list[object] = []
        if verb == "register":
            sent += node.register(care_of(number), now)
        elif verb == "deregister":
            sent += node.deregister(now)
        elif verb == "wait":
            seconds += number * 0.7
            sent += node.expire(at(seconds))
            agent.expire(at(seconds))
        elif queue and verb == "drop":
            queue.pop(0)
        elif verb in ("deliver", "replay"):
            pool = queue if verb == "deliver" else history
            if not pool:
                continue
            send = pool.pop(0) if verb == "deliver" else pool[number % len(pool)]
            assert send.source is not None
            for output in agent.receive(send.datagram, Endpoint(send.source, 5000), now):
                if isinstance(output, Send):
                    node.receive(output.datagram, Endpoint(AGENT, 434), now)
                    if node.care_of and not node.busy and verb == "deliver":
                        assert [entry.care_of for entry in agent.bindings] == [node.care_of]
        for item in sent:
            if isinstance(item, Send):
                queue.append(item)
                history.append(item)
        deadline = node.next_deadline()
        assert deadline is not None or not node.busy
