"""FreeRADIUS, the authentication agent of network B, its enforcement points, and the node's agent:
real processes on boxes that a test has made, with radios or without."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from mpa_hil.discovery import wire
from mpa_hil.discovery.description import CandidateNetwork
from mpa_hil.lab import agents
from rigs.host import Host
from rigs.services import freeradius
from rigs.services.certificates import Credentials, LabCa

IDENTITY = "mn@home.example"
SERVER = "aaa.home.example"
REALM = "b.example"
SECRET = freeradius.new_secret()
PASSWORD = "correct-horse"
PAPERS = {"ca_cert": "ca.pem", "client_cert": "mn.pem", "private_key": "mn.key"}
PATIENCE_S = 60
T = TypeVar("T")


def authority(name: str = "home") -> LabCa:
    return LabCa(dt.datetime.now(dt.UTC), name)


async def start_aaa(host: Host, home: LabCa, clients: Mapping[str, str], **changes: Any) -> None:
    """The home server, for RADIUS clients by name and address."""
    users = (freeradius.User("mn", PASSWORD),)
    tls = freeradius.EapTls(
        home.certificate,
        home.server(SERVER),
        ("home.example",),
        **{"ttls_users": users, **changes},
    )
    named = tuple(freeradius.Client(name, address, SECRET) for name, address in clients.items())
    await freeradius.start(host, freeradius.RadiusConfig(named, tls))


async def put_papers(host: Host, home: LabCa, own: Credentials) -> dict[str, str]:
    """The node's certificate; the paths, by the keys of its configuration."""
    for name, data in zip(
        PAPERS.values(), (home.certificate, own.certificate, own.key), strict=True
    ):
        await host.put(name, data)
    return {key: f"{host.workdir}/{name}" for key, name in PAPERS.items()}


async def put_operator_papers(host: Host, ca: LabCa, own: Credentials) -> dict[str, str]:
    names = {"ca": "op-ca.pem", "certificate": "op.pem", "key": "op.key"}
    for name, data in zip(names.values(), (ca.certificate, own.certificate, own.key), strict=True):
        await host.put(name, data)
    return {key: f"{host.workdir}/{name}" for key, name in names.items()}


class Standing(Generic[T]):
    """Something that several tests use, with the event loop that it lives on."""

    def __init__(self, runner: asyncio.Runner, value: T) -> None:
        self.value = value
        self._runner = runner

    def run(self, scenario: Callable[[T], Coroutine[Any, Any, None]]) -> None:
        """Run a scenario on it."""
        self._runner.run(scenario(self.value))


@contextlib.contextmanager
def standing(context: contextlib.AbstractAsyncContextManager[T]) -> Iterator[Standing[T]]:
    """Set something up once, for a fixture of a module; the guest needs a minute for a lab."""

    async def enter() -> T:
        return await context.__aenter__()

    async def leave() -> None:
        await context.__aexit__(None, None, None)

    with asyncio.Runner() as runner:
        value = runner.run(enter())
        try:
            yield Standing(runner, value)
        finally:
            runner.run(leave())


@dataclass(frozen=True)
class Point:
    """An access point of B: its box, its address there, its BSSID, hostapd's control socket."""

    host: Host
    address: str
    bssid: str
    control: str


async def start_network(
    host: Host, address: str, server: str, points: Mapping[str, Point], **changes: Any
) -> agents.Agent:
    """B's agents; all of B trust B's own authority."""
    operator = authority("operator B")
    recipients = []
    for name, point in points.items():
        known_as = f"{name}.{REALM}"
        await agents.start(
            point.host,
            "enforcement_point",
            {
                "host": name,
                "name": known_as,
                "authority": f"aa@{REALM}",
                "listen": [point.address],
                "access_points": [{"bssid": point.bssid, "control": point.control}],
                **await put_operator_papers(point.host, operator, operator.server(known_as)),
            },
            ready="keys.ready",
        )
        entry = {"name": known_as, "role": "ep", "address": point.address, "peers": [point.bssid]}
        recipients.append(entry)
    config = {
        "host": "rb",
        "name": f"aa@{REALM}",
        "realm": REALM,
        "addresses": [address],
        "nas_identifier": "rb",
        "servers": [{"name": "aaa", "address": server, "secret": SECRET}],
        "recipients": recipients,
        **await put_operator_papers(host, operator, operator.client(f"aa@{REALM}")),
        "store": f"{host.workdir}/associations",
        **changes,
    }
    return await start_agent(host, config)


async def start_agent(host: Host, config: Mapping[str, Any]) -> agents.Agent:
    """The authentication agent; `restart_agent` starts it again as it was."""
    agent = await agents.start(host, "authentication_agent", config, ready="aa.ready")
    _configs[id(agent)] = config
    return agent


async def restart_agent(agent: agents.Agent) -> agents.Agent:
    """Kill the authentication agent in the middle of whatever it does, and start it again."""
    await agent.daemon.signal(9)
    await agent.daemon.wait()
    return await start_agent(agent.host, _configs[id(agent)])


_configs: dict[int, Mapping[str, Any]] = {}


@dataclass
class Node:
    """The node's agent, commanded and listened to."""

    host: Host
    mac: str
    control: str
    network: CandidateNetwork
    agent: agents.Agent | None = None
    started: int = field(default=0)

    async def start(self, **eap: str) -> None:
        """Start the agent and let it open the supplicant; `eap` changes its credentials."""
        credentials = {
            "method": "eap-tls",
            "identity": IDENTITY,
            "server_domain": SERVER,
            **{key: f"{self.host.workdir}/{name}" for key, name in PAPERS.items()},
            **eap,
        }
        credentials = {key: value for key, value in credentials.items() if value}
        self.started += 1
        self.agent = await agents.start(
            self.host,
            "preauthentication",
            {"host": "mn", "mac": self.mac, "eap": credentials},
            ready="preauth.ready",
            tag=str(self.started),
        )
        await self.hear("preauth.opened", await self.tell("open", control=self.control))

    async def stop(self) -> None:
        """End the agent as a controller does that has gone."""
        assert self.agent is not None
        await self.agent.daemon.stop(20)

    @property
    def count(self) -> int:
        assert self.agent is not None
        return self.agent.count

    async def tell(self, cmd: str, **fields: object) -> int:
        """Send a command; the place from which its answer is to be read."""
        assert self.agent is not None
        place = self.agent.count
        await self.agent.command(cmd, **fields)
        return place

    async def hear(self, kind: str, since: int, **fields: object) -> dict[str, Any]:
        """The first event of a kind from that place on, with these values."""
        assert self.agent is not None
        wanted = fields.items()
        return await self.agent.event(
            kind, PATIENCE_S, since=since, matches=lambda event: wanted <= event.items()
        )

    async def ask(self, **fields: object) -> int:
        """Ask for network B to be prepared."""
        networks = wire.encode([self.network]).hex()
        return await self.tell("prepare", **{"networks": networks, "hold_s": 900, **fields})

    async def prepare(self, **fields: object) -> dict[str, Any]:
        """Prepare network B; what `preauth.prepared` says."""
        return await self.hear("preauth.prepared", await self.ask(**fields))

    async def forget(self) -> None:
        """Give network B up."""
        await self.hear("preauth.ended", await self.tell("forget", realm=REALM))

    def said(self, kind: str, since: int = 0) -> list[dict[str, Any]]:
        """Its events of one type so far."""
        return said(self.agent, kind, since)


def said(agent: agents.Agent | None, kind: str, since: int = 0) -> list[dict[str, Any]]:
    """An agent's events of one type so far."""
    assert agent is not None
    return [json.loads(line) for line in agent.since(since) if f'"type":"{kind}"' in line]
