"""Tunnel management in every order of events: what holds after each of them."""

from __future__ import annotations

import random
from ipaddress import ip_address
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tunnel_world import World, small

from mpa_hil.mobility.interface import Endpoint
from mpa_hil.tunnel.interface import Kind, PreparedSwitch, Protect
from mpa_hil.tunnel.states import TRANSITIONS, Cue, Order, State, diagram

NODES = (1, 2, 3)
PARTS = ("disable", "leave", "arrived", "enable", "delete")
SOME = st.sampled_from(NODES)


class Router(RuleBasedStateMachine):
    """Three MNs, two of one identity, do as they like; so do road, kernel and authority."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World("orders", small(sessions=2, idle_s=5, all_hold_octets=3 << 20))
        for number in NODES:
            self.world.node(number, owner="twin@home.example" if number > 1 else "")
        self.prepared: dict[int, PreparedSwitch] = {}
        self.dice = random.Random(7)

    @rule(
        number=SOME,
        inner=SOME,
        protect=st.sampled_from(Protect),
        bicast=st.booleans(),
        life_s=st.sampled_from((5, 600)),
    )
    def create(self, number: int, inner: int, protect: Protect, bicast: bool, life_s: int) -> None:
        node = self.world.nodes[number]
        address = ip_address("10.2.1.0") + inner
        more = {"public": b"p" * 32, "port": 1} if protect is Protect.WIREGUARD else {}
        node.create(inner=(address,), protect=protect, bicast=bicast, life_s=life_s, **more)

    @rule(number=SOME)
    def detain(self, number: int) -> None:
        node = self.world.nodes[number]
        wish = node.wish(outer=ip_address("10.9.0.5"))
        node.does(node.client.detain(wish, self.world.now))

    @rule(number=SOME, kind=st.sampled_from((Kind.DISABLE, Kind.ENABLE, Kind.ARRIVED)))
    def order(self, number: int, kind: Kind) -> None:
        node = self.world.nodes[number]
        node.does(node.client.order(kind, self.world.now))

    @rule(number=SOME, step=st.integers(0, 2))
    def refresh(self, number: int, step: int) -> None:
        node = self.world.nodes[number]
        if node.client.terms is not None:
            node.outer = ip_address("192.0.2.0") + number + 16 * step
            node.does(node.client.refresh(node.outer, self.world.now))

    @rule(number=SOME)
    def prepare(self, number: int) -> None:
        node = self.world.nodes[number]
        if node.client.terms is not None:
            self.prepared[number] = node.prepare()

    @rule(number=SOME, part=st.sampled_from(PARTS))
    def fire(self, number: int, part: str) -> None:
        if number in self.prepared:
            self.world.nodes[number].fire(getattr(self.prepared[number], part))

    @rule(number=SOME)
    def delete(self, number: int) -> None:
        node = self.world.nodes[number]
        node.does(node.client.delete(self.world.now))

    @rule(number=SOME, present=st.booleans())
    def seen(self, number: int, present: bool) -> None:
        name = self.world.nodes[number].key.name
        self.world.carry_out(self.world.router.seen(name, present, self.world.now))

    @rule(number=SOME, renewed=st.booleans())
    def withdraw(self, number: int, renewed: bool) -> None:
        node = self.world.nodes[number]
        old = node.key
        if renewed:
            node.new_key()
            self.world.deliver(node)
            self.prepared.pop(number, None)
        self.world.carry_out(self.world.router.key_withdrawn(old.name, self.world.now))

    @rule(number=SOME)
    def deliver(self, number: int) -> None:
        self.world.deliver(self.world.nodes[number])

    @rule(orders=st.sets(st.sampled_from(Order), max_size=2))
    def kernel(self, orders: set[Order]) -> None:
        self.world.kernel.refuses = orders - {Order.REMOVE}

    @rule(slow=st.booleans(), taken=st.sets(SOME, max_size=1))
    def link(self, slow: bool, taken: set[int]) -> None:
        self.world.kernel.slow = slow
        self.world.kernel.taken = {ip_address("10.2.1.0") + number for number in taken}
        while self.world.kernel.checks:
            self.world.check()

    @rule(seconds=st.sampled_from((0.001, 0.3, 2.1, 6, 20)))
    def wait(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule(at=st.integers(0, 10_000))
    def replay(self, at: int) -> None:
        if self.world.wire:
            datagram, _ = self.world.wire[at % len(self.world.wire)]
            stranger = Endpoint(ip_address("203.0.113.9"), 9)
            self.world.carry_out(self.world.router.receive(datagram, stranger, self.world.now))

    @invariant()
    def holds(self) -> None:
        self.world.check_invariants()

    def teardown(self) -> None:
        """Whatever happened: when everybody is gone, nothing is left."""
        self.world.kernel.refuses = set()
        self.world.leave_all()
        self.world.run(700)
        assert not self.world.router.sessions
        assert not self.world.kernel.way
        assert self.world.router.next_deadline() is None


Router.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
test_every_order = Router.TestCase


def test_the_table_is_whole() -> None:
    """Every state that stands can be left, every end leads to GONE, and nothing leads out of it."""
    for state in State:
        cues = {cue: step for (at, cue), step in TRANSITIONS.items() if at is state}
        if state is State.GONE:
            assert not cues
            continue
        for end in (Cue.DELETE, Cue.EXPIRED, Cue.WITHDRAWN, Cue.EVICTED, Cue.STOPPED, Cue.REPLACED):
            assert cues[end].state is State.GONE
            assert cues[end].order is (None if state is State.CHECKING else Order.REMOVE)


def test_the_page_shows_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "tunnel.md").read_text()
    _, _, rest = page.partition("```mermaid\n")
    assert rest.partition("\n```")[0] == diagram()
