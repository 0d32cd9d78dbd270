"""An access router's machine with a kernel that is a dictionary, and MNs with their client machine,
all on one clock and a road that can lose, double and delay."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address, ip_network
from itertools import count

from mpa_hil.keys import Key, Usage
from mpa_hil.mobility.interface import NS_PER_S, Address, Endpoint, Instant, Send
from mpa_hil.tunnel.interface import (
    Ack,
    Code,
    Created,
    NodeOutput,
    PreparedSwitch,
    Protect,
    TunnelWish,
)
from mpa_hil.tunnel.node import NodeSettings, TunnelClient
from mpa_hil.tunnel.outputs import Act, Changed, Failed, Refusal, RouterOutput
from mpa_hil.tunnel.router import RouterTunnels
from mpa_hil.tunnel.sessions import Session
from mpa_hil.tunnel.settings import Limits, RouterSettings
from mpa_hil.tunnel.states import Order, State

AR = Endpoint(ip_address("10.2.0.1"), 7165)
MS = 1_000_000
LINK = ip_network("10.2.0.0/16")
SETTINGS = RouterSettings(
    (AR.address, ip_address("2001:db8:2::1")),
    (LINK, ip_network("2001:db8:2::/64")),
    frozenset((AR.address, ip_address("10.2.0.2"), ip_address("2001:db8:2::1"))),
    b"\2\0\0\0\0\1",
    frozenset(Protect),
    bicast=True,
)


@dataclass
class KernelModel:
    """Where packets for each session's inner addresses go, and who is proxied for."""

    way: dict[int, str] = field(default_factory=dict)
    proxied: dict[int, tuple[Address, ...]] = field(default_factory=dict)
    outer: dict[int, Address] = field(default_factory=dict)
    taken: set[Address] = field(default_factory=set)
    """Addresses that somebody on the link has."""
    refuses: set[Order] = field(default_factory=set)
    orders: list[Order] = field(default_factory=list)
    checks: list[Session] = field(default_factory=list)
    """Under way, when `slow`."""
    slow: bool = False

    def act(self, act: Act) -> str:
        order, number = act.order, act.session.number
        self.orders.append(order)
        if order in self.refuses:
            return "no"
        if order in (Order.INSTALL, Order.PREPARE):
            assert number not in self.way, "made twice"
            install = order is Order.INSTALL
            self.way[number] = "tunnel" if install else "link"
            self.proxied[number] = act.session.wish.inner if install else ()
            self.outer[number] = act.session.wish.outer
        elif order is Order.REMOVE:
            for each in (self.way, self.proxied, self.outer):
                each.pop(number, None)
        elif order is Order.MOVE:
            assert act.outer is not None
            self.outer[number] = act.outer
        elif order is not Order.ADVERTISE:
            assert number in self.way, f"{order} without a tunnel"
            self.way[number] = _WAYS[order]
            if order is Order.DIRECT:
                self.proxied[number] = ()
        return ""


_WAYS = {
    Order.HOLD: "held",
    Order.DIRECT: "link",
    Order.RESUME: "tunnel",
    Order.BICAST: "both",
    Order.RESTAGE: "tunnel",
}
_EXPECTED = {
    State.TUNNELLED: "tunnel",
    State.HOLDING: "held",
    State.BICASTING: "both",
    State.DIRECT: "link",
    State.DETAINED: "link",
}
_PROXIED = {State.TUNNELLED, State.HOLDING, State.BICASTING}


class Node:
    """One MN: identity, key, addresses, client."""

    def __init__(self, world: World, number: int, *, owner: str = "", seed: str = "") -> None:
        self.world = world
        self.number = number
        self.owner = owner or f"mn{number}@home.example"
        self.dice = random.Random(f"{number} {seed}")
        self.home: Address = ip_address("192.0.2.0") + number
        """Where it is, in truth."""
        self.outer = self.home
        self.inner: Address = ip_address("10.2.1.0") + number
        self.mac = b"\2\0\0\1" + number.to_bytes(2, "big")
        self.said: list[NodeOutput] = []
        self.new_key()

    def new_key(self) -> None:
        name, secret = self.dice.randbytes(20), self.dice.randbytes(64)
        self.key = Key(Usage.MN_AR, name, secret, self.number, 1, b"")
        self.restart()

    def restart(self, settings: NodeSettings | None = None) -> None:
        """Its process has just started."""
        random_octets = self.dice.randbytes
        self.client = TunnelClient(self.key, AR, random_octets, settings or NodeSettings())

    def wish(self, **more: object) -> TunnelWish:
        wanted = {"outer": self.outer, "inner": (self.inner,), "mac": self.mac, **more}
        return TunnelWish(**wanted)  # type: ignore[arg-type]

    def does(self, outputs: tuple[NodeOutput, ...]) -> tuple[NodeOutput, ...]:
        """Carry out what a verb returned, with all that comes of it at once; what is said."""
        start = len(self.said)
        for output in outputs:
            if isinstance(output, Send):
                source = Endpoint(output.source or self.outer, 40000)
                self.world.to_router(output.datagram, source, self.world.owner(source, self))
            else:
                self.said.append(output)
        return tuple(self.said[start:])

    def receive(self, datagram: bytes) -> None:
        self.does(self.client.receive(datagram, self.world.now))

    def create(self, **more: object) -> tuple[NodeOutput, ...]:
        return self.does(self.client.create(self.wish(**more), self.world.now))

    def prepare(self) -> PreparedSwitch:
        return self.client.prepare_switch(self.world.now)

    def fire(self, datagram: bytes, source: Address | None = None) -> list[Ack]:
        """Send a prepared datagram; the acknowledgements that come at once."""
        acks: list[Ack] = []

        def receive(answer: bytes) -> None:
            ack = self.client.acknowledged(answer, datagram)
            if ack is not None:
                acks.append(ack)

        self.world.to_router(datagram, Endpoint(source or self.outer, 40001), receive)
        return acks


class World:
    """The router, its kernel, the MNs and the road."""

    def __init__(self, seed: str = "world", settings: RouterSettings = SETTINGS) -> None:
        self.ns = 10 * NS_PER_S
        self.settings = settings
        self.dice = random.Random(f"tunnel {seed}")
        self.kernel = KernelModel()
        self.nodes: dict[int, Node] = {}
        self.changes: list[Changed] = []
        self.refusals: list[Refusal] = []
        self.failures: list[Failed] = []
        self.wire: list[tuple[bytes, Endpoint]] = []
        """Every datagram that went to the router."""
        self.fate: Callable[[], tuple[int, ...]] | None = None
        """Delays of each copy of a datagram, ms; none: lost. Without it everything is at once."""
        self._road: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._answers: list[Callable[[], None]] | None = None
        """Not on their way before the router has done with what they follow from."""
        self._replies: dict[Endpoint, Callable[[bytes], None]] = {}
        self.router = RouterTunnels(settings, self.dice.randbytes, self._key_pair)

    def _key_pair(self) -> tuple[bytes, bytes]:
        return self.dice.randbytes(32), self.dice.randbytes(32)

    @property
    def now(self) -> Instant:
        return Instant(self.ns, self.ns + 1_700_000_000 * NS_PER_S)

    def node(self, number: int, **more: str) -> Node:
        """A new MN, whose key the router has."""
        node = self.nodes[number] = Node(self, number, **more)
        self.deliver(node)
        return node

    def owner(self, source: Endpoint, sender: Node) -> Callable[[bytes], None]:
        """Who gets the answer, whoever has sent the question."""
        for node in self.nodes.values():
            if source.address == node.home:
                return node.receive
        return sender.receive

    def deliver(self, node: Node) -> None:
        self.carry_out(self.router.key_added(node.key, node.owner, self.now))

    def withdraw(self, node: Node) -> None:
        self.carry_out(self.router.key_withdrawn(node.key.name, self.now))

    def leave_all(self) -> None:
        """No MN says anything any more."""
        self.nodes.clear()
        self._replies.clear()

    def restart(self) -> None:
        """A router that knows nothing; its kernel is swept, the road is as it was."""
        self.kernel = KernelModel(taken=self.kernel.taken)
        self.router = RouterTunnels(self.settings, self.dice.randbytes, self._key_pair)

    def to_router(self, datagram: bytes, source: Endpoint, reply: Callable[[bytes], None]) -> None:
        self.wire.append((datagram, source))
        self._replies[source] = reply

        def arrives() -> None:
            self.carry_out(self.router.receive(datagram, source, self.now))

        self._travel(arrives)

    def carry_out(self, outputs: Iterable[RouterOutput]) -> None:
        """All of it; then what was sent arrives, which may bring more."""
        if self._answers is not None:
            self._carry_out(outputs)
            return
        self._answers = []
        self._carry_out(outputs)
        answers, self._answers = self._answers, None
        for arrives in answers:
            self._travel(arrives)

    def _carry_out(self, outputs: Iterable[RouterOutput]) -> None:
        for output in outputs:
            if isinstance(output, Act) and output.order is Order.CHECK:
                self.kernel.checks.append(output.session)
                if not self.kernel.slow:
                    self.check()
            elif isinstance(output, Act):
                failure = self.kernel.act(output)
                self.carry_out(self.router.acted(output, failure, self.now))
            elif isinstance(output, Send):
                self._answer(output)
            elif isinstance(output, Changed):
                self.changes.append(output)
            elif isinstance(output, Refusal):
                self.refusals.append(output)
            elif isinstance(output, Failed):
                self.failures.append(output)

    def check(self) -> None:
        """The oldest duplicate address detection ends."""
        session = self.kernel.checks.pop(0)
        fault = Code.ADDRESS_IN_USE if self.kernel.taken & {*session.wish.inner} else None
        self.carry_out(self.router.checked(session, fault, self.now))

    def _answer(self, send: Send) -> None:
        reply = self._replies.get(send.destination)
        if reply is not None and send.datagram:
            assert self._answers is not None
            self._answers.append(lambda: reply(send.datagram))

    def _travel(self, arrives: Callable[[], None]) -> None:
        if self.fate is None:
            arrives()
            return
        for delay_ms in self.fate():
            at_ns = self.ns + delay_ms * MS
            heapq.heappush(self._road, (at_ns, next(self._order), arrives))

    def run(self, seconds: float) -> None:
        """Let time pass: what is on the road arrives, what is due is done."""
        end_ns = self.ns + int(seconds * NS_PER_S)
        while True:
            due_ns = [end_ns, *(self._road[:1] and [self._road[0][0]])]
            machines = (self.router, *(node.client for node in self.nodes.values()))
            due_ns += [due for m in machines if (due := m.next_deadline()) is not None]
            self.ns = max(self.ns, min(due_ns))
            if self.ns >= end_ns:
                self.ns = end_ns
                return
            while self._road and self._road[0][0] <= self.ns:
                heapq.heappop(self._road)[2]()
            self.carry_out(self.router.expire(self.now))
            for node in self.nodes.values():
                node.does(node.client.expire(self.now))

    def check_invariants(self) -> None:
        """What must hold whatever was said to the router."""
        sessions, kernel, limits = self.router.sessions, self.kernel, self.settings.limits
        owners: dict[Address, str] = {}
        for session in sessions:
            assert session.state is not State.GONE
            if session.state is State.CHECKING:
                assert session.number not in kernel.way
                continue
            assert kernel.way[session.number] == _EXPECTED[session.state]
            assert kernel.outer[session.number] == session.wish.outer
            proxied = session.wish.inner if session.state in _PROXIED else ()
            assert kernel.proxied[session.number] == (() if session.detained else proxied)
            for address in session.wish.inner:
                assert owners.setdefault(address, session.owner) == session.owner
            assert self.ns <= session.expires_ns
            if session.state is State.HOLDING:
                assert self.ns <= session.held_since_ns + limits.hold_ms * MS
        assert set(kernel.way) <= {session.number for session in sessions}
        assert len(sessions) <= limits.sessions
        assert sessions.hold_octets == sum(s.wish.hold_octets for s in sessions)
        assert sessions.hold_octets <= limits.all_hold_octets


def small(**limits: int | float) -> RouterSettings:
    """A router with other limits."""
    from dataclasses import replace

    return replace(SETTINGS, limits=Limits(**limits))  # type: ignore[arg-type]


def here(number: int) -> IPv4Address:
    """The nCoA of an MN."""
    return IPv4Address("10.2.1.0") + number


def made(**more: object) -> tuple[World, Node]:
    """A world with one MN, whose tunnel stands."""
    world = World()
    node = world.node(7)
    assert isinstance(node.create(**more)[-1], Created)
    world.check_invariants()
    return world, node


def way(world: World) -> dict[int, str]:
    """Where packets go, by session."""
    world.check_invariants()
    return world.kernel.way
