"""A candidate network on namespaces: agents as processes, FreeRADIUS, hostapd; and the MN's side.

    mn --- 10.94.1.0/24 --- aa --- 10.94.2.0/24 --- home (FreeRADIUS)
                            |
                            +--- 10.94.3.0/24 --- ap (hostapd on a wire, enforcement point)

The configuration agent and the access router are on the box `aa`, as on a small router.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from services_lab import IDENTITY, Papers, boxes

from mpa_hil import eventlog
from mpa_hil.authentication.service import SERVICE_PORT, KeyStates, Question, Seal, ServiceClient
from mpa_hil.clock import instant
from mpa_hil.eap.eap_tls import EapTls
from mpa_hil.eap.interface import Failure, Success
from mpa_hil.eap.method import Method
from mpa_hil.eap.peer import EapPeer
from mpa_hil.eap.settings import TlsSettings
from mpa_hil.mobility.interface import NS_PER_S, Endpoint, Send
from mpa_hil.pana.interface import (
    EapPacket,
    Ended,
    Established,
    Lost,
    Outputs,
    PanaOutput,
    Rejected,
)
from mpa_hil.pana.numbers import PANA_PORT
from mpa_hil.pana.pac import Pac
from mpa_hil.pana.settings import PacSettings, Retransmission, Timing
from rigs.links import Link
from rigs.netns import NamespaceHost
from rigs.services import freeradius
from rigs.services.certificates import Credentials, LabCa
from rigs.services.service import Service

ROOT = Path(__file__).resolve().parents[2]
REALM = "b.example"
AA_AT = Endpoint(ip_address("10.94.1.1"), PANA_PORT)
AA6_AT = Endpoint(ip_address("2001:db8:94::1"), PANA_PORT)
BSSID = "02:00:00:00:0b:01"
STATION = "02:00:00:00:00:01"
SECRET = freeradius.new_secret()
PATIENCE_S = 60.0
"""How long anything may take that is to happen: seconds on a busy machine, and no test waits for
what is not to happen."""
RECIPIENTS = ("ca", "ar", "ep")
QUICK = Timing(
    pci=Retransmission(0.2, 1, 0, 0), request=Retransmission(0.2, 2, 10, 0), floor_s=0.05
)
LINKS = (
    Link("mn", "aa", "10.94.1.2/24", "10.94.1.1/24"),
    Link("mn", "aa", a_interface="six", b_interface="six"),
    Link("aa", "home", "10.94.2.1/24", "10.94.2.2/24"),
    Link("aa", "ap", "10.94.3.1/24", "10.94.3.2/24"),
)
HOSTAPD = """\
interface={interface}
driver=wired
ctrl_interface={folder}/hostapd
ssid=operator
wpa=2
wpa_key_mgmt=WPA-EAP
rsn_pairwise=CCMP
ieee8021x=1
own_ip_addr=127.0.0.1
auth_server_addr=127.0.0.1
auth_server_port=1812
auth_server_shared_secret=0123456789abcdef
"""


class AgentProcess:
    """An agent in a box, its events checked against their description."""

    def __init__(self, process: asyncio.subprocess.Process, folder: str) -> None:
        self.process = process
        self.folder = folder
        self.lines: list[bytes] = []
        self.events: list[dict[str, Any]] = []
        self._news = asyncio.Condition()
        self._read = 0
        self._task = asyncio.create_task(self._collect())

    async def _collect(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            eventlog.decode(line)
            async with self._news:
                self.lines.append(line)
                self.events.append(json.loads(line))
                self._news.notify_all()
        async with self._news:
            self._news.notify_all()

    async def event(
        self, kind: str, timeout_s: float = PATIENCE_S, **fields: object
    ) -> dict[str, Any]:
        """The next event of a type with these values, in the order in which they came."""

        def found() -> bool:
            while self._read < len(self.events):
                self._read += 1
                if matches(self.events[self._read - 1], kind, fields):
                    return True
            return self._task.done()

        async with self._news:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._news.wait_for(found)
            except TimeoutError:
                raise AssertionError(f"no {kind} {fields}; {self.events[-8:]}") from None
        assert matches(self.events[self._read - 1], kind, fields), self.events[-8:]
        return self.events[self._read - 1]

    async def until(self, holds: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
        """Until something about its events holds."""
        async with self._news:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._news.wait_for(lambda: bool(holds()))
            except TimeoutError:
                raise AssertionError(f"it did not come to that; {self.events[-8:]}") from None

    async def connected(self, roles: Sequence[str] = RECIPIENTS) -> None:
        """Until this authentication agent has reached each of these recipients."""
        wanted = {f"{role}.{REALM}" for role in roles}
        await self.until(
            lambda: wanted <= {e["recipient"] for e in self.all("aa.recipient", up=True)}
        )

    async def keys(self, change: str, roles: Sequence[str] = RECIPIENTS) -> None:
        """Until a key of each of these recipients has changed so, in this agent's life."""
        wanted = {f"{role}.{REALM}" for role in roles}
        await self.until(
            lambda: wanted <= {e["recipient"] for e in self.all("aa.key", change=change)}
        )

    def all(self, kind: str, **fields: object) -> list[dict[str, Any]]:
        return [event for event in self.events if matches(event, kind, fields)]

    def command(self, name: str, **fields: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"cmd": name, **fields}).encode() + b"\n")

    async def end(self) -> int:
        """Close its standard input and wait for it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        async with asyncio.timeout(PATIENCE_S):
            code = await self.process.wait()
        await self._task
        return code

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()
        await self._task

    @property
    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def rss_octets(self) -> int:
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def udp_socket(
    namespace: str,
    family: socket.AddressFamily,
    kind: socket.SocketKind = socket.SOCK_DGRAM,
) -> socket.socket:
    """A UDP socket, or one of another kind, inside a network namespace, for use from anywhere."""

    def make() -> socket.socket:
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            if libc.setns(descriptor, 0x40000000):
                raise OSError(ctypes.get_errno(), "setns")
            return socket.socket(family, kind)
        finally:
            os.close(descriptor)

    with ThreadPoolExecutor(1) as pool:  # a namespace is a thread's: this one does nothing else
        return pool.submit(make).result()


def matches(event: dict[str, Any], kind: str, fields: dict[str, object]) -> bool:
    return event["type"] == kind and all(event.get(key) == value for key, value in fields.items())


class Refusal(Exception):
    """The MN was not let in."""


@dataclass
class MobileNode:
    """PANA and EAP as a mobile node has them, on sockets in the box `mn`."""

    namespace: str
    method: Callable[[], Method]
    identity: str = IDENTITY
    aa: Endpoint = AA_AT
    source: str = ""
    timing: Timing = QUICK
    settings: PacSettings | None = None
    realm: str = REALM
    loses: Callable[[], bool] = lambda: False
    """Whether the next datagram, either way, is lost."""

    def __post_init__(self) -> None:
        ipv6 = self.aa.address.version == 6
        family = socket.AF_INET6 if ipv6 else socket.AF_INET
        self.socket = udp_socket(self.namespace, family)
        self.socket.setblocking(False)
        if self.source:
            self.socket.bind((self.source, 0))
        self.pac = Pac(
            self.aa, self.settings or PacSettings(timing=self.timing), os.urandom, instant()
        )
        self.peer: EapPeer | None = None
        self.outcome: Success | Failure | None = None
        self.said: list[PanaOutput] = []
        self.client: ServiceClient | None = None
        self.answer: bytes | KeyStates | None = None
        self.sent: list[bytes] = []
        self.received: list[tuple[bytes, Endpoint]] = []
        self.closed = False

    def close(self) -> None:
        if not self.closed:
            asyncio.get_running_loop().remove_reader(self.socket)
            self.socket.close()
            self.closed = True

    def does(self, outputs: Outputs) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self.send(output.datagram, output.destination)
                continue
            self.said.append(output)
            if isinstance(output, EapPacket):
                self._eap(output)
            elif isinstance(output, Established):
                seal = Seal(output.session.sa, self.realm, os.urandom)
                self.client = ServiceClient(seal)

    def send(self, datagram: bytes, destination: Endpoint) -> None:
        self.sent.append(datagram)
        if self.loses():
            return
        with contextlib.suppress(OSError):
            self.socket.sendto(datagram, (str(destination.address), destination.port))

    def _eap(self, output: EapPacket) -> None:
        if output.first or self.peer is None:
            self.peer = EapPeer((self.method(),), self.identity, os.urandom)
            self.outcome = None
        now = instant()
        if isinstance(self.outcome, Failure):
            self.does(self.pac.eap_failed(now))  # the alert before told the server why
            return
        result = self.peer.receive(output.packet)
        if result.outcome is not None:
            self.outcome = result.outcome
        if result.response is not None:
            self.does(self.pac.eap_response(result.response, now))
        elif isinstance(result.outcome, Success):
            self.does(self.pac.eap_succeeded(result.outcome.msk, now))
        elif isinstance(result.outcome, Failure):
            self.does(self.pac.eap_failed(now))
        else:
            self.does(self.pac.eap_discarded(now))

    async def until(self, done: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
        """Let things happen until something holds."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self.socket, readable.set)
        end_ns = time.monotonic_ns() + int(timeout_s * NS_PER_S)
        try:
            while not done():
                now_ns = time.monotonic_ns()
                assert now_ns < end_ns, f"it did not come to that: {self.said[-5:]}"
                # `done` may be about something else than what comes in here.
                due_ns = min(self.pac.next_deadline() or end_ns, end_ns, now_ns + NS_PER_S // 20)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(due_ns - now_ns, 0) / NS_PER_S):
                        await readable.wait()
                readable.clear()
                self._receive()
                self.does(self.pac.expire(instant()))
        finally:
            loop.remove_reader(self.socket)

    def _receive(self) -> None:
        while True:
            try:
                datagram, (address, port, *_) = self.socket.recvfrom(65536)
            except BlockingIOError:
                return
            except OSError:
                continue
            if self.loses():
                continue
            source = Endpoint(ip_address(address), port)
            self.received.append((datagram, source))
            if port == SERVICE_PORT:
                assert self.client is not None
                self.answer = self.client.receive(datagram)
            else:
                self.does(self.pac.receive(datagram, source, instant()))

    async def authenticate(self, timeout_s: float = PATIENCE_S) -> Established:
        """From the first message to a session.

        Raises:
            Refusal: it came to nothing.
        """
        start = len(self.said)

        def results() -> list[PanaOutput]:
            ends = (Established, Rejected, Ended, Lost)
            return [said for said in self.said[start:] if isinstance(said, ends)]

        self.does(self.pac.start(instant()))
        await self.until(results, timeout_s)
        result = results()[0]
        if not isinstance(result, Established):
            raise Refusal(result, self.outcome)
        return result

    async def ask(self, question: Question, timeout_s: float = PATIENCE_S) -> bytes | KeyStates:
        """Ask, and repeat it every half second until there is an answer."""
        assert self.client is not None
        datagram = self.client.ask(question, instant())
        self.answer = None
        where = Endpoint(self.aa.address, SERVICE_PORT)
        for _ in range(int(timeout_s / 0.5)):
            self.send(datagram, where)
            with contextlib.suppress(AssertionError):
                await self.until(lambda: self.answer is not None, 0.5)
                break
        assert self.answer is not None
        return self.answer


@dataclass
class Network:
    """The standing lab."""

    hosts: dict[str, NamespaceHost]
    papers: Papers
    ca: LabCa
    radius: Service | None = None
    agents: dict[str, AgentProcess] = field(default_factory=dict)
    hostapd: asyncio.subprocess.Process | None = None

    @property
    def mn(self) -> str:
        return self.hosts["mn"].namespace

    def folder(self, box: str) -> str:
        return self.hosts[box].workdir

    async def spawn(self, box: str, *argv: str, **kinds: Any) -> asyncio.subprocess.Process:
        namespace = f"--net=/run/netns/{self.hosts[box].namespace}"
        return await asyncio.create_subprocess_exec("nsenter", namespace, *argv, **kinds)

    async def start_radius(self, *, called: tuple[str, ...] = (), **changes: Any) -> None:
        tls = freeradius.EapTls(
            self.papers.ca.certificate, self.papers.server, ("home.example",), **changes
        )
        config = freeradius.RadiusConfig(
            clients=(freeradius.Client("aa", "10.94.2.1", SECRET, called),), eap_tls=tls
        )
        self.radius = await freeradius.start(self.hosts["home"], config)

    async def start_hostapd(self) -> None:
        folder = self.folder("ap")
        await self.hosts["ap"].put(
            "hostapd.conf", HOSTAPD.format(interface="wire0", folder=folder).encode()
        )
        path = f"{folder}/hostapd.conf"
        self.hostapd = await self.spawn("ap", "hostapd", path, stdout=asyncio.subprocess.DEVNULL)

    async def stop_hostapd(self) -> None:
        if self.hostapd is not None and self.hostapd.returncode is None:
            self.hostapd.kill()
            await self.hostapd.wait()

    async def pmksas(self) -> dict[str, str]:
        """PMKID by station, as hostapd lists them."""
        path = f"{self.folder('ap')}/hostapd/wire0"
        channel = await self.hosts["ap"].connect(path)
        try:
            await channel.send(b"PMKSA")
            async with asyncio.timeout(PATIENCE_S):
                text = (await channel.receive()).decode()
        finally:
            await channel.close()
        rows = [line.split() for line in text.splitlines()[1:]]
        return {row[1]: row[2] for row in rows if len(row) >= 4}

    async def agent(self, role: str, box: str, module: str, **config: object) -> AgentProcess:
        """Start an agent with the papers that belong to its name."""
        host = self.hosts[box]
        name = str(config["name"])
        own = self.ca.client(name) if role == "aa" else self.ca.server(name)
        await put_papers(host, role, self.ca.certificate, own)
        folder = host.workdir
        settings = {
            "host": box,
            "ca": f"{folder}/{role}-ca.pem",
            "certificate": f"{folder}/{role}.pem",
            "key": f"{folder}/{role}.key",
            **config,
        }
        await host.put(f"{role}.json", json.dumps(settings).encode())
        process = await self.spawn(
            box,
            *(sys.executable, "-m", f"mpa_hil.agents.{module}", f"{folder}/{role}.json"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            limit=1 << 22,
        )
        agent = self.agents[role] = AgentProcess(process, folder)
        return agent

    async def start_aa(self, **changes: object) -> AgentProcess:
        """The authentication agent; ready when this returns."""
        config: dict[str, object] = {
            "name": f"aa@{REALM}",
            "realm": REALM,
            "addresses": ["10.94.1.1"],
            "nas_identifier": f"aa.{REALM}",
            "servers": [{"name": "home", "address": "10.94.2.2", "secret": SECRET}],
            "recipients": [
                recipient("ca", "10.94.1.1", 7161, ["10.94.1.1"]),
                recipient("ar", "10.94.1.1", 7162, ["10.94.1.1"]),
                recipient("ep", "10.94.3.2", 7161, [BSSID]),
            ],
            "store": f"{self.folder('aa')}/associations",
            **changes,
        }
        aa = await self.agent("aa", "aa", "authentication_agent", **config)
        await aa.event("aa.ready")
        return aa

    async def start_recipients(self, *roles: str) -> None:
        for role in roles:
            common = {"name": f"{role}.{REALM}", "authority": f"aa@{REALM}"}
            if role == "ep":
                control = f"{self.folder('ap')}/hostapd/wire0"
                await self.agent(
                    role,
                    "ap",
                    "enforcement_point",
                    listen=["10.94.3.2"],
                    access_points=[{"bssid": BSSID, "control": control}],
                    **common,
                )
            else:
                await self.agent(
                    role,
                    "aa",
                    "configuration_agent" if role == "ca" else "access_router",
                    listen=["10.94.1.1"],
                    port=7161 if role == "ca" else 7162,
                    addresses=["10.94.1.1"],
                    **common,
                )
            await self.agents[role].event("keys.ready")

    async def start(self, **changes: object) -> None:
        """Everything, connected."""
        await self.start_hostapd()
        await self.start_recipients(*RECIPIENTS)
        await self.agents["ep"].event("ep.access_point", up=True)
        aa = await self.start_aa(**changes)
        for role in RECIPIENTS:
            await self.agents[role].event("keys.authority", up=True)
        await aa.connected()

    def tls(self, **changes: object) -> TlsSettings:
        own = self.papers.client
        values: dict[str, object] = {
            "ca": self.papers.ca.certificate,
            "domains": ("home.example",),
            "certificate": own.certificate,
            "key": own.key,
            "resumption": False,
        }
        return TlsSettings(**(values | changes))  # type: ignore[arg-type]

    def node(self, tls: TlsSettings | None = None, **changes: Any) -> MobileNode:
        settings = tls or self.tls()
        return MobileNode(self.mn, lambda: EapTls(settings), **changes)

    async def held(self, role: str) -> list[dict[str, Any]]:
        """What a recipient says that it holds."""
        self.agents[role].command("keys")
        event = await self.agents[role].event("keys.list")
        return list(event["keys"])

    async def nothing_installed(self) -> bool:
        """No recipient has a key, and hostapd has none, once what replaced it is over too."""
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            lists = [await self.held(role) for role in RECIPIENTS]
            if not any(lists) and not await self.pmksas():
                return True
            await asyncio.sleep(0.1)
        return False


def recipient(role: str, address: str, port: int, peers: Sequence[str]) -> dict[str, object]:
    return {
        "name": f"{role}.{REALM}",
        "role": role,
        "address": address,
        "port": port,
        "peers": list(peers),
    }


async def put_papers(host: NamespaceHost, stem: str, ca: bytes, own: Credentials) -> None:
    await host.put(f"{stem}-ca.pem", ca)
    await host.put(f"{stem}.pem", own.certificate)
    await host.put(f"{stem}.key", own.key)


@contextlib.asynccontextmanager
async def network(*, radius: bool = True, **radius_changes: Any) -> AsyncIterator[Network]:
    """The boxes, with FreeRADIUS."""
    import datetime as dt

    async with boxes(*LINKS) as hosts:
        lab = Network(hosts, Papers(), LabCa(dt.datetime.now(dt.UTC), "network B"))
        ap = hosts["ap"]
        await ap.run("ip", "link", "add", "wire0", "type", "veth", "peer", "name", "wire1")
        await ap.run("ip", "link", "set", "wire0", "up")
        await ap.run("ip", "link", "set", "wire1", "up")
        for box, last in (("aa", 1), ("mn", 2)):
            switch = "/proc/sys/net/ipv6/conf/six/disable_ipv6"
            await hosts[box].run("sh", "-c", f"echo 0 >{switch}")
            await hosts[box].run(
                "ip", "addr", "add", f"2001:db8:94::{last}/64", "dev", "six", "nodad"
            )
        if radius:
            await lab.start_radius(**radius_changes)
        try:
            yield lab
        finally:
            for agent in lab.agents.values():
                if agent.process.returncode is None:
                    await agent.kill()
            await lab.stop_hostapd()
