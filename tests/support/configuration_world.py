"""Mobile nodes, a configuration agent and a DHCP server in one process, on one invented clock."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from ipaddress import IPv4Address, ip_address
from typing import Any

from mpa_hil.configuration.acquisition import Transmit
from mpa_hil.configuration.agent import ConfigurationAgent
from mpa_hil.configuration.client import ClientSettings, ConfigurationClient
from mpa_hil.configuration.dhcp4.message import Kind, Message, Operation, decode
from mpa_hil.configuration.dhcp4.numbers import Option
from mpa_hil.configuration.frames import (
    BROADCAST,
    ETHER_ARP,
    ETHER_IPV6,
    Udp4,
    broadcast_udp,
    decode4,
    ethernet,
)
from mpa_hil.configuration.interface import Method, Output, Wish, ethernet_client_id
from mpa_hil.configuration.reports import AgentSettings, Denied, Gone, Granted
from mpa_hil.keys import Key, Usage
from mpa_hil.mobility.interface import Discarded, Endpoint, Instant, Send

AGENT = Endpoint(ip_address("10.2.0.2"), 7164)
AGENT_MAC, SERVER_MAC = b"\2\0\0\0\xca\0", b"\2\0\0\0\xdc\0"
MS = 1_000_000
NS = 1_000_000_000
NOWHERE = IPv4Address(0)


def mac_of(number: int) -> bytes:
    return b"\2\0\0\0" + number.to_bytes(2, "big")


@dataclass
class Server:
    """A DHCP server as RFC 2131 has it; `pool` addresses from 10.2.0.100 on."""

    pool: int = 4
    lease_s: int = 600
    routers: tuple[str, ...] = ("10.2.0.1",)
    present: frozenset[str] = frozenset({"10.2.0.1"})
    """Who answers ARP besides the mobile nodes on the link."""
    alive: bool = True
    authoritative: bool = True
    leases: dict[bytes, IPv4Address] = field(default_factory=dict)
    """By client identifier."""
    ends_ns: dict[bytes, int] = field(default_factory=dict)
    burnt: set[IPv4Address] = field(default_factory=set)
    heard: list[Kind] = field(default_factory=list)

    def free(self) -> list[IPv4Address]:
        taken = {*self.leases.values(), *self.burnt}
        every = (IPv4Address("10.2.0.100") + number for number in range(self.pool))
        return [address for address in every if address not in taken]

    def prune(self, now_ns: int) -> None:
        """Forget what has run out."""
        for each in [each for each, end_ns in self.ends_ns.items() if end_ns <= now_ns]:
            del self.leases[each], self.ends_ns[each]

    def digest(self, message: Message, now_ns: int) -> list[Message]:
        if not self.alive:
            return []
        self.heard.append(message.kind)
        client = message.options[Option.CLIENT_ID]
        self.prune(now_ns)
        wanted = message.address(Option.REQUESTED_ADDRESS)
        held = self.leases.get(client)
        if message.kind is Kind.DISCOVER:
            free = self.free()
            if held is None and not free:
                return []
            best = wanted if wanted in free else None
            return [self._reply(message, Kind.OFFER, held or best or free[0])]
        if message.kind is Kind.REQUEST:
            if held == wanted or wanted in self.free():
                assert wanted is not None
                self.leases[client] = wanted
                self.ends_ns[client] = now_ns + self.lease_s * NS
                return [self._reply(message, Kind.ACK, wanted)]
            return [self._reply(message, Kind.NAK, NOWHERE)] if self.authoritative else []
        if message.kind is Kind.RELEASE and held == message.client:
            del self.leases[client], self.ends_ns[client]
        if message.kind is Kind.DECLINE and held == wanted and held is not None:
            del self.leases[client], self.ends_ns[client]
            self.burnt.add(held)
        return []

    def _reply(self, to: Message, kind: Kind, address: IPv4Address) -> Message:
        options: dict[int, bytes] = {Option.SERVER_ID: IPv4Address("10.2.0.1").packed}
        if kind is not Kind.NAK:
            options[Option.SUBNET_MASK] = IPv4Address("255.255.255.0").packed
            options[Option.LEASE_TIME] = self.lease_s.to_bytes(4, "big")
            if self.routers:
                options[Option.ROUTER] = b"".join(IPv4Address(each).packed for each in self.routers)
        return Message(Operation.REPLY, to.xid, to.mac, kind, options, to.flags, yours=address)


@dataclass
class Node:
    """A mobile node."""

    number: int
    name: str
    key: Key
    client: ConfigurationClient
    source: Endpoint
    said: list[Output] = field(default_factory=list)
    on_link: bool = False

    def wish(self, **more: Any) -> Wish:
        mac = more.pop("mac", mac_of(self.number))
        return Wish(Method.DHCPV4, mac, more.pop("client_id", ethernet_client_id(mac)), **more)

    def last(self, kind: type[Any]) -> Any:
        """The last of a kind that it was told."""
        found = [each for each in self.said if isinstance(each, kind)]
        assert found, (kind, self.said)
        return found[-1]


class World:
    """See the module. Datagrams take `way_ms` between a node and the agent, frames no time."""

    def __init__(
        self,
        server: Server | None = None,
        settings: AgentSettings | None = None,
        *,
        seed: int = 1,
        way_ms: float = 10,
        client: ClientSettings | None = None,
    ) -> None:
        self.dice = random.Random(seed)
        self.server = server or Server()
        self.settings = settings or AgentSettings()
        self.client_settings = client or ClientSettings()
        self.way_ns = int(way_ms * MS)
        self.ns = 10**12
        self.nodes: list[Node] = []
        self.told: list[Granted | Denied | Gone | Discarded] = []
        self.fate: Callable[[bytes, bool], list[int]] = lambda datagram, to_agent: [0]
        """When each copy of a datagram arrives, in ns beyond the usual; none: it is lost."""
        self.recorded: list[bytes] = []
        """What the nodes sent."""
        self.frames = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._number = 0
        self.restart()

    @property
    def now(self) -> Instant:
        return Instant(self.ns, self.ns + 10**18)

    def restart(self, *, journal: bool = False) -> None:
        """A new agent process; the keys have yet to be delivered."""
        records = self.journal() if journal else []
        self.agent = ConfigurationAgent(self.settings, AGENT_MAC, self.dice.randbytes)
        assert self.agent.restore(records, self.now) == ()

    def journal(self) -> list[dict[str, object]]:
        """All that the agent holds, as its file would have it."""
        for holding in self.agent.holdings:
            self.agent.holdings.note(holding)
        return [record.values() for _, record in self.agent.changes(self.now) if record]

    def node(self, name: str = "", *, keyed: bool = True) -> Node:
        number = len(self.nodes) + 1
        key = Key(Usage.MN_CA, self.dice.randbytes(20), self.dice.randbytes(64), 1, 1, b"")
        client = ConfigurationClient(key, AGENT, self.dice.randbytes, self.client_settings)
        source = Endpoint(IPv4Address("192.0.2.0") + number, 40000)
        made = Node(number, name or f"mn{number}", key, client, source)
        self.nodes.append(made)
        if keyed:
            self.agent.key_added(key, made.name, self.now)
        return made

    def does(self, node: Node, outputs: tuple[Output, ...]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self.recorded.append(output.datagram)
                for late_ns in self.fate(output.datagram, True):
                    self._at(late_ns + self.way_ns, self._arrives(output.datagram, node))
            else:
                node.said.append(output)

    def withdraw(self, node: Node) -> None:
        self._carry_out(self.agent.key_withdrawn(node.key.name, self.now))

    def inject(self, datagram: bytes, source: Endpoint) -> None:
        """Somebody sends this to the agent."""
        self._carry_out(self.agent.receive(datagram, source, self.now))

    def configure(self, node: Node, **wish: Any) -> Output:
        """Ask, and run until there is a result."""
        start = len(node.said)
        self.does(node, node.client.configure(node.wish(**wish), self.now))
        self.run(lambda: len(node.said) > start)
        return node.said[-1]

    def run(self, done: Callable[[], bool] = lambda: False, bound_s: float = 60) -> None:
        """Let time pass, until something holds or so much of it is over."""
        end_ns = self.ns + int(bound_s * NS)
        while not done():
            times = [self.agent.next_deadline(), *(n.client.next_deadline() for n in self.nodes)]
            times.append(self._events[0][0] if self._events else None)
            due_ns = min((each for each in times if each is not None), default=None)
            if due_ns is None or due_ns > end_ns:
                self.ns = end_ns
                return
            self.ns = max(self.ns, due_ns)
            while self._events and self._events[0][0] <= self.ns:
                heappop(self._events)[2]()
            self._carry_out(self.agent.expire(self.now))
            for node in self.nodes:
                self.does(node, node.client.expire(self.now))

    def _at(self, after_ns: int, what: Callable[[], None]) -> None:
        self._number += 1
        heappush(self._events, (self.ns + after_ns, self._number, what))

    def _arrives(self, datagram: bytes, node: Node) -> Callable[[], None]:
        return lambda: self.inject(datagram, node.source)

    def _carry_out(self, outputs: tuple[Any, ...]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                for node in self.nodes:
                    if node.source == output.destination:
                        for late_ns in self.fate(output.datagram, False):
                            self._at(late_ns + self.way_ns, self._answers(output.datagram, node))
            elif isinstance(output, Transmit):
                self.frames += 1
                self._on_link(output.frame)
            else:
                self.told.append(output)

    def _answers(self, datagram: bytes, node: Node) -> Callable[[], None]:
        return lambda: self.does(node, node.client.receive(datagram, self.now))

    def _on_link(self, frame: bytes) -> None:
        if frame[12:14] == ETHER_ARP.to_bytes(2, "big"):
            self._arp(frame)
            return
        if frame[12:14] == ETHER_IPV6.to_bytes(2, "big"):
            return  # no router here speaks it
        datagram = decode4(frame)
        assert isinstance(datagram, Udp4)
        assert datagram.source_mac == AGENT_MAC
        for reply in self.server.digest(decode(datagram.payload), self.ns):
            octets = broadcast_udp(SERVER_MAC, 67, 68, reply.encode())
            self._at(0, lambda octets=octets: self._heard(octets))  # type: ignore[misc]

    def _heard(self, frame: bytes) -> None:
        self._carry_out(self.agent.heard(frame, self.now))

    def _arp(self, frame: bytes) -> None:
        address = IPv4Address(frame[38:42])
        macs = [SERVER_MAC] if str(address) in self.server.present else []
        for node in self.nodes:
            held = self.server.leases.get(ethernet_client_id(mac_of(node.number)))
            macs += [mac_of(node.number)] if node.on_link and held == address else []
        for mac in macs:
            arp = b"\0\1\x08\0\6\4\0\2" + mac + address.packed + AGENT_MAC + bytes(4)
            reply = ethernet(AGENT_MAC, mac, ETHER_ARP, arp)
            self._at(0, lambda reply=reply: self._heard(reply))  # type: ignore[misc]


__all__ = ["AGENT", "BROADCAST", "MS", "NS", "Node", "Server", "World", "mac_of"]
