"""Mobile node, home agent and correspondent of Mobile IPv6 on a network that loses, doubles and
delays: all pure, with a clock of their own."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from ipaddress import IPv6Address

from mpa_hil.mobility.interface import (
    NS_PER_S,
    Deregistered,
    Discarded,
    Expired,
    Instant,
    Registered,
    Rejected,
    TimedOut,
)
from mpa_hil.mobility.mip6.authentication import SecurityAssociation
from mpa_hil.mobility.mip6.bindings import (
    Bound,
    Check,
    Optimised,
    Refused,
    SendPacket,
    Subscriber,
    Unoptimised,
)
from mpa_hil.mobility.mip6.correspondent import Correspondent
from mpa_hil.mobility.mip6.home_agent import HomeAgent
from mpa_hil.mobility.mip6.messages import Packet
from mpa_hil.mobility.mip6.mobile_node import MobileNode
from mpa_hil.mobility.mip6.numbers import Tuning
from mpa_hil.mobility.mip6.optimiser import Optimiser
from mpa_hil.mobility.mip6.settling import Settling

HOME, AGENT, CN = (IPv6Address(f"2001:db8:1::{last}") for last in ("64", "1", "2"))
CARE_OF = tuple(IPv6Address(f"2001:db8:a::{last}") for last in range(7, 12))
SA = SecurityAssociation(256, b"0123456789abcdef")
START_UNIX_NS = 1_800_000_000 * NS_PER_S

Output = (
    SendPacket
    | Check
    | Bound
    | Refused
    | Discarded
    | Registered
    | Deregistered
    | Rejected
    | TimedOut
    | Expired
    | Optimised
    | Unoptimised
)
Fate = Callable[[Packet], Sequence[float]]
"""After how many seconds a packet arrives: none is lost, several are doubled."""


def swift(packet: Packet) -> Sequence[float]:
    """Nothing happens to a packet."""
    return (0.01,)


@dataclass
class World:
    """The three, and what stands between them.

    Attributes:
        fate: of each packet.
        optimises: whether the node optimises the way to the correspondent.
        free: whether the home address is free on its link.
    """

    fate: Fate = swift
    seed: int = 0
    optimises: bool = True
    free: bool = True
    tuning: Tuning = field(default_factory=Tuning)
    check_s: float = 1.0
    clock_apart_s: float = 0.0
    """By how much the home agent's clock is ahead."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.now_ns = 1000 * NS_PER_S
        self.queue: list[tuple[int, int, Packet]] = []
        self.checks: list[tuple[int, IPv6Address]] = []
        self.order = 0
        self.said: list[Output] = []
        self.bound: list[IPv6Address] = []
        self.settling = Settling()
        self.at_home_agent: dict[IPv6Address, tuple[IPv6Address, ...]] = {}
        self.at_correspondent: dict[IPv6Address, IPv6Address] = {}
        self.direct: IPv6Address | None = None
        """The care-of address from which the node speaks directly."""
        self.node = MobileNode(
            home_address=HOME,
            home_agent=AGENT,
            association=SA,
            random=self.random.randbytes,
            tuning=self.tuning,
        )
        self.optimiser = Optimiser(
            HOME, (CN,) if self.optimises else (), self.random.randbytes, self.tuning
        )
        self.restart_home_agent()
        self.restart_correspondent()

    def restart_home_agent(self) -> None:
        """It forgets everything."""
        self.agent = HomeAgent(
            AGENT, (Subscriber(HOME, (SA,)),), started=self.agents_now(), tuning=self.tuning
        )
        self.now_ns += 1_000_000
        self.at_home_agent.clear()
        self.checks.clear()

    def restart_correspondent(self) -> None:
        """It forgets everything."""
        self.correspondent = Correspondent(CN, self.random.randbytes, self.tuning)
        self.at_correspondent.clear()

    def now(self) -> Instant:
        return Instant(self.now_ns, START_UNIX_NS + self.now_ns)

    def agents_now(self) -> Instant:
        return Instant(self.now_ns, self.now().unix_ns + int(self.clock_apart_s * NS_PER_S))

    def register(self, care_of: IPv6Address, *, alone: bool = False) -> None:
        if alone:
            self.does(self.optimiser.abandon())
        self.settling.begin(care_of, alone=alone)
        self.does(self.node.register(care_of, self.now()))

    def deregister(self) -> None:
        self.does(self.optimiser.forget(self.now()))
        self.does(self.node.deregister(self.now()))

    def does(self, outputs: Sequence[Output]) -> None:
        """Carry out what a machine returned."""
        for output in outputs:
            if isinstance(output, SendPacket):
                self.send(output.packet)
                continue
            self.said.append(output)
            match output:
                case Check():
                    due_ns = self.now_ns + int(self.check_s * NS_PER_S)
                    self.checks.append((due_ns, output.home_address))
                case Registered():
                    assert isinstance(output.care_of, IPv6Address)
                    if self.settling.registered(output.care_of):
                        self.does(self.optimiser.move(output.care_of, self.now()))
                case Rejected() | TimedOut() | Expired():
                    self.settling.end()
                case Optimised():
                    self.direct = output.care_of
                case Unoptimised():
                    self.direct = None
        bound = self.settling.bound(self.optimiser.settled(self.now()))
        if bound is not None:
            self.bound.append(bound)

    def caches(self, outputs: Sequence[Output], where: str) -> None:
        """As `does`, and note what the one or other cache holds."""
        for output in outputs:
            if isinstance(output, Bound) and where == "agent":
                self.at_home_agent[output.home_address] = tuple(b.care_of for b in output.after)
            elif isinstance(output, Bound):
                self.at_correspondent.pop(output.home_address, None)
                for binding in output.after:
                    self.at_correspondent[output.home_address] = binding.care_of
        self.does(outputs)

    def send(self, packet: Packet) -> None:
        for delay_s in self.fate(packet):
            self.order += 1
            heappush(self.queue, (self.now_ns + int(delay_s * NS_PER_S), self.order, packet))

    def deliver(self, packet: Packet) -> None:
        """To whom it is addressed; Mobility Headers to the home address need a binding."""
        if packet.destination == AGENT:
            self.caches(self.agent.receive(packet, self.agents_now()), "agent")
        elif packet.destination == CN:
            self.caches(self.correspondent.receive(packet, self.now()), "correspondent")
        elif packet.destination == HOME and packet.via is None:
            if self.at_home_agent.get(HOME):
                self.hear(packet)
        else:
            self.hear(packet)

    def hear(self, packet: Packet) -> None:
        machine = self.node if packet.source == AGENT else self.optimiser
        self.does(machine.receive(packet, self.now()))

    def deadlines(self) -> list[int]:
        times = [self.queue[0][0]] if self.queue else []
        times += [due_ns for due_ns, _ in self.checks]
        for part in (self.node, self.optimiser, self.agent, self.correspondent):
            due_ns = part.next_deadline()
            times += [due_ns] if due_ns is not None else []
        return times

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end_ns = self.now_ns + int(seconds * NS_PER_S)
        for _ in range(100_000):
            due_ns = min(self.deadlines(), default=end_ns)
            if due_ns >= end_ns:
                self.now_ns = max(self.now_ns, end_ns)
                return
            self.now_ns = max(self.now_ns, due_ns)
            while self.queue and self.queue[0][0] <= self.now_ns:
                self.deliver(heappop(self.queue)[2])
            for check in [check for check in self.checks if check[0] <= self.now_ns]:
                self.checks.remove(check)
                answer = self.agent.checked(check[1], self.free, self.agents_now())
                self.caches(answer, "agent")
            self.caches(self.agent.expire(self.agents_now()), "agent")
            self.caches(self.correspondent.expire(self.now()), "correspondent")
            self.does(self.node.expire(self.now()))
            self.does(self.optimiser.expire(self.now()))
        raise AssertionError("it does not come to rest")

    def all(self, kind: type) -> list[Output]:
        return [output for output in self.said if isinstance(output, kind)]
