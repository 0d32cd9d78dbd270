"""Whom a mobile node speaks to during a handover: real machines, and models of their kernels.

Each can be killed at any time, keeps what its kernel had, and may be started again: the access
router with the sessions that its kernel still has, the others without memory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from mpa_hil.configuration.acquisition import Transmit
from mpa_hil.configuration.agent import ConfigurationAgent
from mpa_hil.configuration.dhcp4.message import Kind, Message, Operation, decode
from mpa_hil.configuration.dhcp4.numbers import Option
from mpa_hil.configuration.frames import ETHER_ARP, Udp4, broadcast_udp, decode4, ethernet
from mpa_hil.configuration.reports import AgentSettings
from mpa_hil.mobility.interface import Endpoint, Instant, Send
from mpa_hil.mobility.mip4.authentication import SecurityAssociation
from mpa_hil.mobility.mip4.bindings import BindingAdded, BindingChanged, BindingRemoved, Subscriber
from mpa_hil.mobility.mip4.home_agent import HomeAgent
from mpa_hil.tunnel.interface import Code
from mpa_hil.tunnel.outputs import Act
from mpa_hil.tunnel.router import RouterTunnels
from mpa_hil.tunnel.settings import RouterSettings
from mpa_hil.tunnel.states import Order

MS, S = 1_000_000, 1_000_000_000
LINK = IPv4Network("10.2.0.0/24")
ROUTER, CA = IPv4Address("10.2.0.1"), IPv4Address("10.2.0.2")
HOME_AGENT, HOME = IPv4Address("203.0.113.1"), IPv4Address("203.0.113.50")
OLD = IPv4Address("10.1.0.50")
POOL = tuple(LINK[each] for each in range(50, 54))
ROUTER_MAC, CA_MAC, NODE_MAC = (bytes((2, 0, 0, 0, 0, each)) for each in (1, 2, 3))
ASSOCIATION = SecurityAssociation(300, bytes(16))
OWNER = "mn@home.example"
CHECK_NS = 300 * MS
"""Proactive duplicate detection; the real one takes a second."""
GUARDIAN_NS = 3 * S
"""After a killed agent, until its guardian has removed what it left in the kernel."""


@dataclass(frozen=True)
class Secret:
    """A key as its recipient sees it."""

    name: bytes
    secret: bytes


CA_KEY, AR_KEY = Secret(b"ca-key--1", b"c" * 64), Secret(b"ar-key--1", b"r" * 64)


class Peer:
    """One agent: alive or not.

    Args:
        world: clock (`now`), `later`, `transmit`, `dice`.
    """

    def __init__(self, world: Any) -> None:
        self.world = world
        self.alive = True
        self.start()

    def start(self) -> None:
        """Begin without memory."""

    def receive(self, datagram: bytes, source: Endpoint) -> None:
        """A datagram for it."""

    def expire(self) -> None:
        """Do what is due."""

    def next_deadline(self) -> int | None:
        """When."""
        return None

    def kill(self) -> None:
        """As by signal 9; the kernel goes on."""
        self.alive = False

    def restart(self) -> None:
        """Begin again."""
        self.alive = True
        self.start()


class Configurer(Peer):
    """The configuration agent, and the DHCP server on its link."""

    leases: dict[IPv4Address, bytes]
    declined: set[IPv4Address]

    def __init__(self, world: Any) -> None:
        self.leases, self.declined = {}, set()
        self.pool = POOL
        super().__init__(world)

    def start(self) -> None:
        self.machine = ConfigurationAgent(AgentSettings(), CA_MAC, self.world.dice.randbytes)
        if self.world.keyed:
            self.key()

    def key(self) -> None:
        """The authentication agent delivers the MN-CA key."""
        self.machine.key_added(CA_KEY, OWNER, self.world.now)

    def receive(self, datagram: bytes, source: Endpoint) -> None:
        self._do(self.machine.receive(datagram, source, self.world.now))

    def expire(self) -> None:
        self._do(self.machine.expire(self.world.now))

    def next_deadline(self) -> int | None:
        return self.machine.next_deadline()

    def _do(self, outputs: tuple[object, ...]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self.world.send_to_node(output.datagram, output.destination, "CA")
            elif isinstance(output, Transmit):
                answer = self._link(output.frame)
                if answer:
                    self.world.later(2 * MS, partial(self._heard, self.machine, answer))

    def _heard(self, machine: ConfigurationAgent, frame: bytes) -> None:
        if self.alive and machine is self.machine:
            self._do(machine.heard(frame, self.world.now))

    def _link(self, frame: bytes) -> bytes:
        """What the link answers: the router, the MN if it is there, and the DHCP server."""
        if frame[12:14] == ETHER_ARP.to_bytes(2, "big"):
            address = IPv4Address(frame[38:42])
            mac = ROUTER_MAC if address == ROUTER else NODE_MAC if self._here(address) else b""
            arp = struct.pack(
                "!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 2, mac, address.packed, CA_MAC, bytes(4)
            )
            return ethernet(CA_MAC, mac, ETHER_ARP, arp) if mac else b""
        said = decode4(frame)
        assert isinstance(said, Udp4)
        return self.serve(decode(said.payload))

    def _here(self, address: IPv4Address) -> bool:
        return bool(self.world.node.radio == "B" and self.world.node.on_link == address)

    def serve(self, message: Message) -> bytes:
        """The DHCP server: a frame, or none."""
        client = message.options[Option.CLIENT_ID]
        held = next((each for each, its in self.leases.items() if its == client), None)
        if message.kind is Kind.DISCOVER:
            free = [
                each for each in self.pool if each not in self.leases | dict.fromkeys(self.declined)
            ]
            offered = held or (free[0] if free else None)
            return self._frame(message, Kind.OFFER, offered) if offered else b""
        wanted = message.address(Option.REQUESTED_ADDRESS)
        if message.kind is Kind.REQUEST and wanted is not None:
            if wanted not in self.pool or self.leases.get(wanted, client) != client:
                return self._frame(message, Kind.NAK, IPv4Address(0))
            self.leases[wanted] = client
            return self._frame(message, Kind.ACK, wanted)
        if message.kind is Kind.RELEASE and self.leases.get(message.client) == client:
            del self.leases[message.client]
        elif message.kind is Kind.DECLINE and wanted is not None:
            self.leases.pop(wanted, None)
            self.declined.add(wanted)
        return b""

    @staticmethod
    def _frame(message: Message, kind: Kind, address: IPv4Address) -> bytes:
        options: dict[int, bytes] = {
            Option.SERVER_ID: ROUTER.packed,
            Option.SUBNET_MASK: LINK.netmask.packed,
            Option.ROUTER: ROUTER.packed,
            Option.LEASE_TIME: (3600).to_bytes(4, "big"),
        }
        said = Message(Operation.REPLY, message.xid, message.mac, kind, options, yours=address)
        return broadcast_udp(ROUTER_MAC, 67, 68, said.encode())


@dataclass
class Way:
    """What the access router's kernel does with packets for one address."""

    mode: str = "tunnel"
    held: list[Callable[[], None]] = field(default_factory=list)


class Router(Peer):
    """The access router: the agent, and the kernel that forwards."""

    def __init__(self, world: Any) -> None:
        self.kernel: dict[IPv4Address, Way] = {}
        self.strangers: set[IPv4Address] = set()
        """Addresses that somebody on the link uses already."""
        self.refusing = ""
        self.machine: Any = None
        super().__init__(world)

    def start(self) -> None:
        settings = RouterSettings(
            (ROUTER,), (LINK,), frozenset((ROUTER, CA)), ROUTER_MAC, bicast=True
        )
        before = [] if self.machine is None else list(self.machine.sessions)
        self.machine = RouterTunnels(settings, self.world.dice.randbytes)
        for session in before:  # its file has those that were neither held nor direct
            address = session.wish.inner[0]
            if self.kernel.get(address, Way("")).mode == "tunnel":
                self.machine.restore(session, self.world.now)
            elif address in self.kernel:
                self._set(address, None)
        if self.world.keyed:
            self.key()

    def key(self) -> None:
        """The authentication agent delivers the MN-AR key."""
        self.machine.key_added(AR_KEY, OWNER, self.world.now)

    def kill(self) -> None:
        super().kill()
        machine = self.machine
        self.world.later(GUARDIAN_NS, lambda: self.machine is machine and self._remove_all())

    def receive(self, datagram: bytes, source: Endpoint) -> None:
        self._do(self.machine.receive(datagram, source, self.world.now))

    def expire(self) -> None:
        self._do(self.machine.expire(self.world.now))

    def next_deadline(self) -> int | None:
        return self.machine.next_deadline()

    def forward(self, address: IPv4Address, deliver: Callable[[str], None]) -> None:
        """A packet for an address of the link; `deliver` is told by which way it goes."""
        way = self.kernel.get(address)
        if way is None or way.mode == "direct":
            deliver("link")
        elif way.mode == "tunnel":
            deliver("tunnel")
        else:
            way.held.append(lambda: deliver("link" if way.mode != "tunnel" else "tunnel"))

    def takes(self, address: IPv4Address) -> bool:
        """Whether packets that come up through the tunnel from it go on."""
        return address in self.kernel

    def _remove_all(self) -> None:
        for address in tuple(self.kernel):
            self._set(address, None)

    def _set(self, address: IPv4Address, mode: str | None) -> None:
        way = self.kernel.setdefault(address, Way())
        way.mode = mode or "direct"
        if mode is None:
            del self.kernel[address]
        if mode != "hold":
            held, way.held = way.held, []
            for release in held:
                release()

    def _do(self, outputs: tuple[object, ...]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self.world.send_to_node(output.datagram, output.destination, "AR")
            elif isinstance(output, Act):
                self._act(output)

    def _act(self, act: Act) -> None:
        inner = act.session.wish.inner[0]
        assert isinstance(inner, IPv4Address)
        if act.order is Order.CHECK:
            machine, fault = self.machine, Code.ADDRESS_IN_USE if inner in self.strangers else None

            def checked() -> None:
                if self.alive and machine is self.machine:
                    self._do(machine.checked(act.session, fault, self.world.now))

            self.world.later(CHECK_NS, checked)
            return
        modes = {
            Order.INSTALL: "tunnel",
            Order.HOLD: "hold",
            Order.DIRECT: "direct",
            Order.RESUME: "tunnel",
            Order.REMOVE: None,
        }
        failure = self.refusing if act.order is Order.INSTALL else ""
        if act.order in modes and not failure:
            self._set(inner, modes[act.order])
        self._do(self.machine.acted(act, failure, self.world.now))


class Home(Peer):
    """The home agent, and its kernel's tunnel."""

    def __init__(self, world: Any) -> None:
        self.care_of: IPv4Address | None = None
        self.refusing = False
        super().__init__(world)

    def start(self) -> None:
        networks = (IPv4Network("10.1.0.0/24"),) if self.refusing else ()
        subscriber = Subscriber(HOME, (ASSOCIATION,), care_of_networks=networks)
        self.machine = HomeAgent(HOME_AGENT, [subscriber], started=self.world.now)
        self.care_of = None

    def receive(self, datagram: bytes, source: Endpoint) -> None:
        for output in self.machine.receive(datagram, source, self.world.now):
            if isinstance(output, Send):
                self.world.send_to_node(output.datagram, output.destination, "HA")
            elif isinstance(output, BindingAdded | BindingChanged):
                self.care_of = output.binding.care_of
            elif isinstance(output, BindingRemoved):
                self.care_of = None


class Authenticator(Peer):
    """The authentication agent, as far as a handover sees it."""


def instant(now_ns: int) -> Instant:
    """A moment on both clocks."""
    return Instant(now_ns, 1_700_000_000 * S + now_ns)
