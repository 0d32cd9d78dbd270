"""A candidate network's link with its real DHCP server, the configuration agent, and an MN.

    mn -- old 10.95.1.0/24 -- router -- lan (bridge): ca0/ca-port, lan-mn -- new -- mn

The MN's interface `new` is its own on the candidate network's link: down until it moves there.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

from agent_lab import AgentProcess, udp_socket
from contract_lab import unique_lab

from mpa_hil.clock import instant
from mpa_hil.configuration.client import ClientSettings, ConfigurationClient
from mpa_hil.configuration.interface import Method, Output, Wish, duid_ll, ethernet_client_id
from mpa_hil.key_delivery.messages import Hello, Install, Withdraw, encode
from mpa_hil.keys import Key, Usage, address_identifier
from mpa_hil.mobility.interface import NS_PER_S, Endpoint, Send
from rigs.links import Bridge, Link, Sysctl, Topology
from rigs.netns import NamespaceHost
from rigs.network import build
from rigs.services.certificates import LabCa

ROOT = Path(__file__).resolve().parents[2]
CA = Endpoint(ip_address("10.95.1.1"), 7164)
ROUTER, ROUTER6 = "10.95.2.1", "fd95:2::1"
AUTHORITY, RECIPIENT = "aa@b.example", "ca.b.example"
LINKS = (
    Link("mn", "router", "10.95.1.2/24", "10.95.1.1/24", a_interface="old", b_interface="old"),
    Link("mn", "router", a_interface="new", b_interface="lan-mn"),
    Link("router", "router", a_interface="ca0", b_interface="ca-port"),
)
PORTS = ("ca0", "ca-port", "lan-mn")
T = TypeVar("T")


@dataclass
class Node:
    """A mobile node with an MN-CA key: its configuration machine on a socket in its box."""

    namespace: str
    name: str = "mn@home.example"
    settings: ClientSettings = field(default_factory=ClientSettings)
    key: Key = field(
        default_factory=lambda: Key(
            Usage.MN_CA, os.urandom(20), os.urandom(64), 1, 1, address_identifier(CA.address)
        )
    )

    def __post_init__(self) -> None:
        self.socket = udp_socket(self.namespace, socket.AF_INET)
        self.socket.setblocking(False)
        self.restart()
        self.said: list[Output] = []
        self.received: list[bytes] = []

    def restart(self) -> None:
        """The MN's process has just started."""
        self.client = ConfigurationClient(self.key, CA, os.urandom, self.settings)

    def does(self, outputs: tuple[Output, ...]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                with contextlib.suppress(OSError):
                    self.socket.sendto(
                        output.datagram, (str(output.destination.address), output.destination.port)
                    )
            else:
                self.said.append(output)

    async def get(self, kind: type[T], outputs: tuple[Output, ...], bound_s: float = 15.0) -> T:
        """Carry out what a verb returned, until something of this kind comes of it."""
        start = len(self.said)
        self.does(outputs)
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self.socket, readable.set)
        try:
            async with asyncio.timeout(bound_s):
                while not self.said[start:]:
                    due_ns = self.client.next_deadline()
                    wait_s = 1.0
                    if due_ns is not None:
                        wait_s = max((due_ns - instant().monotonic_ns) / NS_PER_S, 0)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(wait_s):
                            await readable.wait()
                    readable.clear()
                    self._receive()
                    self.does(self.client.expire(instant()))
        finally:
            loop.remove_reader(self.socket)
        result = self.said[start]
        assert isinstance(result, kind), self.said[start:]
        return result

    def _receive(self) -> None:
        while True:
            try:
                datagram = self.socket.recv(4096)
            except BlockingIOError:
                return
            except OSError:
                continue  # nobody listens there
            self.received.append(datagram)
            self.does(self.client.receive(datagram, instant()))

    def install(self) -> Install:
        key = self.key
        return Install(
            key.name, Usage.MN_CA, 1, 1, 600_000, RECIPIENT, self.name, key.peer, b"", key.secret
        )


@dataclass
class Lab:
    """The boxes, and what runs in them."""

    mn: NamespaceHost
    router: NamespaceHost
    folder: Path
    authority: ssl.SSLContext
    agents: list[AgentProcess] = field(default_factory=list)
    lines: list[asyncio.StreamWriter] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def agent(self) -> AgentProcess:
        return self.agents[-1]

    async def mac(self) -> bytes:
        """Of the MN's interface on the candidate network."""
        done = await self.mn.run("ip", "-j", "link", "show", "dev", "new")
        return bytes.fromhex(json.loads(done.stdout)[0]["address"].replace(":", ""))

    async def wish(self, method: Method = Method.DHCPV4, **more: Any) -> Wish:
        mac = await self.mac()
        identifier = ethernet_client_id(mac) if method is Method.DHCPV4 else duid_ll(mac)
        return Wish(method, mac, more.pop("client_id", identifier), **more)

    async def move(self, up: bool = True) -> None:
        """The MN joins the candidate network's link, or leaves it."""
        await self.mn.run("ip", "link", "set", "new", "up" if up else "down")
        wanted = "forwarding" if up else "disabled"

        async def so() -> bool:
            done = await self.router.run("bridge", "-j", "link", "show", "dev", "lan-mn")
            return bool(json.loads(done.stdout)[0]["state"] == wanted)

        await eventually(so)

    async def start(self, **config: Any) -> AgentProcess:
        """Start the configuration agent."""
        self.config.update(config)
        path = self.folder / "ca.json"
        path.write_text(json.dumps(self.config))
        process = await asyncio.create_subprocess_exec(
            *("ip", "netns", "exec", self.router.namespace, sys.executable),
            *("-m", "mpa_hil.agents.configuration_agent", str(path)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        agent = AgentProcess(process, str(self.folder))
        self.agents.append(agent)
        await agent.event("keys.ready")
        return agent

    async def deliver(self, *nodes: Node) -> asyncio.StreamWriter:
        """As the authentication agent: give the agent the keys of these nodes."""
        made = tcp_socket(self.router.namespace)
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, (str(CA.address), 7162))
        _, writer = await asyncio.open_connection(sock=made, ssl=self.authority, server_hostname="")
        self.lines.append(writer)
        writer.write(encode(1, Hello(AUTHORITY, RECIPIENT)))
        for number, node in enumerate(nodes, 2):
            writer.write(encode(number, node.install()))
        for node in nodes:
            await self.agent.event("keys.held", key=node.key.name.hex())
        return writer

    async def withdraw(self, writer: asyncio.StreamWriter, node: Node, number: int = 50) -> None:
        writer.write(encode(number, Withdraw(node.key.name)))
        await self.agent.event("keys.released", key=node.key.name.hex())


async def eventually(holds: Callable[[], Awaitable[bool]], bound_s: float = 5.0) -> None:
    """Ask again and again, of a program that does not tell by itself."""
    for _ in range(int(bound_s / 0.02)):
        if await holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {bound_s} s")


def tcp_socket(namespace: str) -> socket.socket:
    """A TCP socket in a box."""
    return udp_socket(namespace, socket.AF_INET, socket.SOCK_STREAM)


@contextlib.asynccontextmanager
async def laboratory(folder: Path) -> AsyncIterator[Lab]:
    """The boxes, wired up; the agent not yet started."""
    bridge = Bridge("router", "lan", ["ca-port", "lan-mn"], [f"{ROUTER}/24", f"{ROUTER6}/64"])
    quiet = [Sysctl("router", f"net/ipv6/conf/{port}/disable_ipv6", "1") for port in PORTS[:2]]
    topology = Topology(
        links=LINKS, bridges=[bridge], ipv6=frozenset({"router", "mn"}), sysctls=quiet
    )
    lab_id = unique_lab("cf")
    hosts: dict[str, NamespaceHost] = {}
    papers = LabCa(dt.datetime.now(dt.UTC))
    server, client = papers.server(RECIPIENT), papers.client(AUTHORITY)
    for name, data in (
        ("ca.pem", papers.certificate),
        *(("server.pem", server.certificate), ("server.key", server.key)),
        *(("client.pem", client.certificate), ("client.key", client.key)),
    ):
        (folder / name).write_bytes(data)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(folder / "ca.pem")
    context.load_cert_chain(folder / "client.pem", folder / "client.key")
    try:
        for name in topology.hosts():
            hosts[name] = await NamespaceHost.create(name, lab_id)
        await build(topology, hosts)
        lab = Lab(hosts["mn"], hosts["router"], folder, context)
        await lab.move(up=False)
        lab.config = {
            "host": "b-router",
            "name": RECIPIENT,
            "authority": AUTHORITY,
            "listen": [str(CA.address)],
            "port": 7162,
            "addresses": [str(CA.address)],
            "ca": str(folder / "ca.pem"),
            "certificate": str(folder / "server.pem"),
            "key": str(folder / "server.key"),
            "interface": "ca0",
        }
        try:
            yield lab
        finally:
            for line in lab.lines:
                line.close()
            for agent in lab.agents:
                if agent.process.returncode is None:
                    await agent.kill()
    finally:
        for host in hosts.values():
            await host.close()


def in_lab(folder: Path, scenario: Callable[[Lab], Awaitable[None]]) -> None:
    async def run() -> None:
        async with laboratory(folder) as lab:
            await scenario(lab)

    asyncio.run(run())
