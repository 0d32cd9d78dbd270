"""Rows A11, F1 and F3 of the table of what must be survived, for Mobile IPv4 and IPv6."""

from __future__ import annotations

import random
from collections.abc import Sequence
from ipaddress import IPv4Address

from mpa_hil.mobility.interface import Endpoint, Instant, Send
from mpa_hil.mobility.mip4.authentication import SecurityAssociation as Association4
from mpa_hil.mobility.mip4.bindings import Subscriber as Subscriber4
from mpa_hil.mobility.mip4.home_agent import HomeAgent as HomeAgent4
from mpa_hil.mobility.mip4.mobile_node import MobileNode as MobileNode4
from mpa_hil.mobility.mip6.authentication import authorize, sign
from mpa_hil.mobility.mip6.bindings import SendPacket
from mpa_hil.mobility.mip6.messages import (
    BindingUpdate,
    CareOfTestInit,
    HomeTestInit,
    Packet,
)
from mpa_hil.mobility.mip6.numbers import UpdateFlag
from mpa_hil.mobility.mip6.options import AlternateCareOf, NonceIndices
from tests.support.campaign import dice, runs
from tests.support.mip6_world import AGENT, CARE_OF, CN, HOME, SA, World, swift

VICTIM = CARE_OF[4]
IP6_OCTETS = 40
EXTENSION_OCTETS = 24
"""Of a Home Address option or a type 2 routing header."""
WRONG = type(SA)(SA.spi, b"x" * 16)


def octets(packet: Packet) -> int:
    """On the wire."""
    extensions = (packet.home is not None) + (packet.via is not None)
    return IP6_OCTETS + EXTENSION_OCTETS * extensions + len(packet.header)


def bound(seed: int, **changes: object) -> tuple[World, list[Packet]]:
    """A node that is bound everywhere, and all that was said about it."""
    recorded: list[Packet] = []

    def fate(packet: Packet) -> Sequence[float]:
        recorded.append(packet)
        return (0.01,)

    world = World(seed=seed, **changes)  # type: ignore[arg-type]
    world.fate = fate
    world.register(CARE_OF[0])
    world.run(3)
    assert world.direct == CARE_OF[0]
    return world, recorded


def test_a11_forged_and_redirected_updates_ipv6() -> None:
    """No binding moves; no answer is more than three times the question; a victim hears nothing of
    the node's traffic."""
    chance = dice("A11")
    world, recorded = bound(11)
    world.fate = swift
    world.run(1)
    for number in range(runs(10_000)):
        world.now_ns += 2_000_000
        packet = _attack(chance, recorded)
        answers = [
            output.packet
            for output in (
                *world.agent.receive(packet, world.agents_now()),
                *world.correspondent.receive(packet, world.now()),
            )
            if isinstance(output, SendPacket)
        ]
        assert sum(octets(each) for each in answers) <= 3 * octets(packet), number
        for machine in (world.node, world.optimiser):
            machine.receive(packet, world.now())
        assert [b.care_of for b in world.agent.bindings] == [CARE_OF[0]], number
        assert [b.care_of for b in world.correspondent.bindings] == [CARE_OF[0]], number
        assert world.node.care_of == CARE_OF[0]
    world.register(CARE_OF[1])
    world.run(5)
    assert world.bound[-1] == world.at_correspondent[HOME] == CARE_OF[1], "it can still move"


def _attack(chance: random.Random, recorded: Sequence[Packet]) -> Packet:
    """What somebody sends who lacks a key: his own, others' again, others' changed."""
    kind = chance.randrange(6)
    source = chance.choice((VICTIM, CARE_OF[3]))
    sequence, units = chance.randrange(65536), chance.choice((0, 100))
    if kind == 0:
        update = BindingUpdate(sequence, UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME, units)
        return Packet(sign(update, WRONG, source, HOME), source, AGENT, home=HOME)
    if kind == 1:
        options = (NonceIndices(chance.randrange(65536), chance.randrange(65536)),)
        update = BindingUpdate(sequence, UpdateFlag.ACKNOWLEDGE, units, options)
        key = chance.randbytes(20)
        return Packet(authorize(update, key, source, CN), source, CN, home=HOME)
    if kind == 2:  # the victim's address in somebody else's mouth
        init = chance.choice((HomeTestInit, CareOfTestInit))(chance.randbytes(8))
        return Packet(init.encode(), VICTIM, CN)
    packet = chance.choice(recorded)
    if kind == 3:  # as it was, later
        return packet
    if kind == 4:  # from elsewhere
        return Packet(packet.header, source, packet.destination, packet.home, packet.via)
    if chance.random() < 0.5:
        option = AlternateCareOf(VICTIM)
        update = BindingUpdate(sequence, UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME, 9, (option,))
        return Packet(sign(update, WRONG, VICTIM, HOME), CARE_OF[0], AGENT, home=HOME)
    header = bytearray(packet.header)
    header[chance.randrange(len(header))] ^= 1 << chance.randrange(8)
    return Packet(bytes(header), packet.source, packet.destination, packet.home, packet.via)


def test_a11_forged_registrations_ipv4() -> None:
    """The same of Mobile IPv4's home agent."""
    chance = dice("A11 IPv4")
    home, agent_at = IPv4Address("10.0.0.100"), IPv4Address("10.0.0.1")
    care_of, victim = IPv4Address("192.0.2.7"), IPv4Address("192.0.2.99")
    association, unix_ns = Association4(256, bytes(range(16))), 18 * 10**17
    agent = HomeAgent4(agent_at, [Subscriber4(home, (association,))], started=Instant(0, unix_ns))

    def request(key: bytes, at: IPv4Address, seconds: float) -> bytes:
        node = MobileNode4(
            home_address=home, home_agent=agent_at, association=Association4(256, key)
        )
        ns = int(seconds * 1e9)
        (send,) = node.register(at, Instant(ns, unix_ns + ns))
        assert isinstance(send, Send)
        return send.datagram

    genuine = request(bytes(range(16)), care_of, 1.0)
    agent.receive(genuine, Endpoint(care_of, 1000), Instant(10**9, unix_ns + 10**9))
    for number in range(runs(10_000)):
        seconds = 2.0 + number / 1000
        datagram = genuine
        if chance.random() < 0.6:
            datagram = request(chance.randbytes(16), victim, seconds)
        elif chance.random() < 0.7:
            changed = bytearray(genuine)
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
            datagram = bytes(changed)
        now = Instant(int(seconds * 1e9), unix_ns + int(seconds * 1e9))
        outputs = agent.receive(datagram, Endpoint(victim, 9), now)
        sent = sum(len(output.datagram) for output in outputs if isinstance(output, Send))
        assert sent <= 3 * len(datagram), number
        assert [binding.care_of for binding in agent.bindings] == [care_of], number


def test_f3_bad_networks() -> None:
    """Loss of 1 to 50 %, doubling, 0 to 500 ms of delay and so reordering, corruption, both ways:
    a change of care-of address ends well or is told to have failed, and both ends then agree."""
    chance = dice("F3 mobility")
    for number in range(runs(1000)):
        world, _ = bound(number)
        loss = chance.uniform(0.01, 0.5)

        def fate(packet: Packet, loss: float = loss) -> Sequence[float]:
            if chance.random() < loss:
                return ()
            delays = [chance.uniform(0, 0.5)]
            if chance.random() < 0.2:
                delays.append(chance.uniform(0, 0.5))
            if chance.random() < 0.05:
                header = bytearray(packet.header)
                header[chance.randrange(len(header))] ^= 1 << chance.randrange(8)
                packet.header = bytes(header)
            return delays

        world.fate = fate
        world.register(CARE_OF[1])
        world.run(120)
        assert world.settling.bound(True) is None, f"run {number}: it hangs"
        world.fate = swift
        if world.node.care_of != CARE_OF[1]:
            world.register(CARE_OF[1])
        world.run(60)
        assert world.at_home_agent[HOME] == (CARE_OF[1],), number
        if world.direct is not None:
            assert world.direct == world.at_correspondent[HOME] == CARE_OF[1], number
        else:
            assert HOME not in world.at_correspondent, f"run {number}: it sends to where nobody is"


def test_f1_agents_that_die() -> None:
    """Home agent and correspondent are killed, at any moment of a change, and start anew: the node
    is bound again by its next update, and never believes in a way that is not there for long."""
    chance = dice("F1 mobility")
    for number in range(runs(180)):
        world, _ = bound(number)
        world.register(CARE_OF[1])
        world.run(chance.uniform(0, 0.2))
        if number % 2:
            world.restart_home_agent()
        if number % 3:
            world.restart_correspondent()
            if (
                world.direct is not None
            ):  # its kernel refuses the node's next packet, and it says so
                care_of = world.direct
                world.caches(world.correspondent.unknown(HOME, care_of, world.now()), "cn")
        world.run(60)
        world.register(CARE_OF[2])
        world.run(60)
        assert world.bound[-1] == CARE_OF[2], number
        assert world.at_home_agent[HOME] == (CARE_OF[2],), number
        assert world.direct == world.at_correspondent.get(HOME) == CARE_OF[2], number
