"""A lab that stands: its boxes, wires, radios and servers, from a scenario; gone when it is left.

What lasts as long as the lab: boxes, wires, radios, AAA servers, home agent, the MN's agent. What
is fresh in each run (`Lab.begin`): access points, DHCP servers, the MN's supplicant. A daemon that
ends unasked fails the lab (`Lab.guard`), whatever is being done with it at that moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, TypeVar

from mpa_hil.lab import agents, air, mobility_agents, mpa_agents, neighbourhood, plan, servers
from mpa_hil.lab.preparing import Preparing
from mpa_hil.lab.secrets import Papers, draw, given_papers, make_papers
from mpa_hil.lab.starting import Starts
from mpa_hil.scenario import L2Floor, MpaLevel1, MpaLevel2, Reactive, RsnPreauth, Scenario
from radios.control import ControlClient
from radios.errors import RemoteError
from radios.hostapd import Hostapd
from radios.supplicant import Supplicant
from rigs import network
from rigs.host import Daemon, Host
from rigs.netns import NamespaceHost
from rigs.network_plan import mac_of
from rigs.priority import Priority, prefer
from rigs.services import dhcp_server, freeradius, hostapd, wpa_supplicant
from rigs.services.service import Service

Say = Callable[[str], None]
Options = Reactive | L2Floor
T = TypeVar("T")

ATTACH_BOUND_S = 60.0
"""For a first attachment: scan, EAP and a DHCP conflict check take 5 s."""


class Lab:
    """A lab being used; made by `standing_lab`.

    Attributes:
        hosts: the boxes by name.
        floor: it stands for the bare link-layer switch, without home domain and DHCP.
        events: JSON lines about the lab itself, in order.
    """

    def __init__(self, scenario: Scenario, lab_id: str, group: int, *, floor: bool) -> None:
        self.scenario = scenario
        self.lab_id = lab_id
        self.group = group
        self.floor = floor
        self.hosts: dict[str, Host] = {}
        self.events: list[bytes] = []
        self.secrets = draw(scenario)
        self.air: air.Air
        self.mobile_node: agents.Agent
        self.mobility_agents: list[agents.Agent] = []
        self.holder: agents.Agent | None = None
        self.preparing: Preparing | None = None
        """The MN's agents for MPA; there only in a lab that was built for it."""
        self.domain_agents: list[agents.Agent] = []
        self._standing: list[Service] = []
        self._fresh: list[Service] = []
        self.starts = Starts()
        self.supplicant_path = ""
        self.controls: dict[str, str] = {}
        """Control sockets of the present run's access points, by their names."""
        self.expendable: set[Service] = set()
        """Those whose death is meant to happen: a fault of this run."""
        self._known: list[str] = []
        self._death: asyncio.Future[RemoteError] = asyncio.get_running_loop().create_future()
        self._telling: set[asyncio.Task[None]] = set()

    @property
    def logs(self) -> Mapping[str, Service]:
        """Every daemon that runs, by box and name."""
        found = [*self._standing, *self._fresh]
        return {f"{service.host.name}-{service.name}": service for service in found}

    @property
    def fresh(self) -> tuple[Service, ...]:
        """The daemons of the present run."""
        return tuple(self._fresh)

    @property
    def broken(self) -> bool:
        """Whether a daemon has died."""
        return self._death.done()

    async def guard(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something with the lab, but not past the death of one of its daemons.

        Raises:
            RemoteError: a daemon died; names box, daemon and its last lines.
        """
        task = asyncio.create_task(work)
        try:
            both: set[asyncio.Future[Any]] = {task, self._death}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not self._death.done() and task.exception() is not None:
                # The work often notices a death first; give it the chance to be told as one.
                await asyncio.wait({self._death}, timeout=0.5)
            if self._death.done():
                raise self._death.result()
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def tell(self, kind: str, host: str, **fields: object) -> None:
        """Note an event of the lab itself."""
        event = {"t_ns": time.monotonic_ns(), "host": host, "agent": "lab", "type": kind, **fields}
        self.events.append(json.dumps(event).encode() + b"\n")

    async def begin(self, options: Options) -> None:
        """Start what is fresh in each run, as the scheme's options want it."""
        scenario = self.scenario
        for ap in scenario.aps:
            config = servers.access_point(scenario, ap, self.secrets, options)
            host = self.hosts[ap.name]
            self._freshen(await self.starts.first(partial(hostapd.start, host, config)))
            self.controls[ap.name] = config.control_path(host)
            if neighbourhood.discovers(options):
                await neighbourhood.announce(scenario, ap, host, config.control_path(host))
        if not self.floor:
            assert isinstance(options, Reactive)
            for domain in scenario.domains:
                router = self.hosts[f"{domain.name}-router"]
                self._freshen(await dhcp_server.start(router, servers.dhcp_server(domain, options)))
        supplicant = servers.supplicant(options)
        self.supplicant_path = supplicant.control_path(self.hosts["mn"])
        start = partial(wpa_supplicant.start, self.hosts["mn"], supplicant)
        self._freshen(await self.starts.first(start))
        asks = neighbourhood.discovers(options)
        self._known = neighbourhood.known_at_first(scenario) if asks else []

    async def end(self) -> None:
        """Stop what `begin` started, and forget what it left: leases and keys."""
        stopping, self._fresh = self._fresh, []
        await asyncio.gather(*(service.stop() for service in stopping))
        for domain in self.scenario.domains:
            await self.hosts[f"{domain.name}-router"].remove("dnsmasq.leases")

    async def open_mobile_node(self) -> None:
        """Have the MN's agents take the present supplicant over."""
        control, since = self.supplicant_path, self.mobile_node.count
        wanted = {"control": control, "networks": self._known}
        await self.ask("open", "mobile_node.opened", ATTACH_BOUND_S, **wanted)
        if self.preparing is not None:
            await self.preparing.open(control, since)

    async def close_mobile_node(self, timeout_s: float) -> None:
        """Have them give back everything: associations, keys, binding, address, supplicant."""
        if self.preparing is not None:
            await self.preparing.close(timeout_s)
        await self.ask("close", "mobile_node.detached", timeout_s)

    async def visit(self, ap: str) -> None:
        """Have the MN join an access point and leave it again, and both forget the key.

        An access point's first association after its start costs it some milliseconds of its own:
        what is measured is a network in service.
        """
        self.air.gather()
        await self.ask("visit", "mobile_node.visited", ATTACH_BOUND_S, network=ap)
        host = self.hosts[ap]
        async with ControlClient(self.controls[ap], host.connect, events=False) as client:
            await Hostapd(client).pmksa_flush()

    async def prepare(self, ap: str, options: MpaLevel1) -> None:
        """Pre-authenticate with the network of an access point (`Preparing.prepare`)."""
        assert self.preparing is not None
        await self.preparing.prepare(ap, options)

    async def prepare_handover(
        self, ap: str, options: MpaLevel2, *, origin: str, hold: bool
    ) -> None:
        """Make a handover ready (`Preparing.prepare_handover`)."""
        assert self.preparing is not None
        await self.preparing.prepare_handover(ap, options, origin=origin, hold=hold)

    def frequency_mhz(self, ap: str) -> int:
        """Where the MN believes an access point to be."""
        told = self.preparing.frequencies_mhz if self.preparing is not None else {}
        return told.get(ap) or self.scenario.ap(ap).frequency_mhz

    async def ask(self, cmd: str, answer: str, timeout_s: float, **fields: object) -> agents.Event:
        """Command the MN's agent, and wait for the event that answers."""
        since = self.mobile_node.count
        await self.mobile_node.command(cmd, **fields)
        return await self.mobile_node.event(answer, timeout_s, since=since)

    async def attach(self, options: Options, ap_name: str = "") -> None:
        """Put the MN on an access point, all the way up; the default is where it begins."""
        if ap_name:
            self.air.gather()
        else:
            self.air.place(0.0)
        ap = self.scenario.ap(ap_name or self.scenario.movement.start)
        wanted = self.layer3(ap.name, options)
        if not self.floor and servers.optimises_routes(self.scenario):
            wanted["route_optimisation"] = getattr(options, "route_optimisation", False)
        await self.ask("attach", "mobile_node.attached", ATTACH_BOUND_S, network=ap.name, **wanted)

    def layer3(self, ap: str, options: Options, *, same_link: bool = False) -> dict[str, object]:
        """How the MN gets an address behind an access point, as the agent's commands have it.

        Args:
            same_link: it comes from another access point of the same domain.
        """
        domain = self.scenario.domain_of(ap)
        if self.floor:
            return {
                "static": f"{domain.static_address}/{domain.subnet.prefixlen}",
                "router": str(domain.router_address),
                "router_mac": mac_of(f"{domain.name}-router", plan.LAN),
                "hold_port": servers.HOLD_PORT,
            }
        assert isinstance(options, Reactive)
        return {
            "rapid_commit": servers.rapid_commit(domain, options),
            "keep_address": isinstance(options, RsnPreauth | MpaLevel2),
            "same_link": same_link,
        }

    async def pairwise_master_keys(self) -> tuple[bytes, ...]:
        """The PMKs of this run, EAP's and pre-shared ones, for decrypting its captures."""
        found = [bytes.fromhex(key) for key in self.secrets.psk.values()]
        client = ControlClient(self.supplicant_path, self.hosts["mn"].connect, events=False)
        async with client:
            for network in await Supplicant(client).networks():
                found += await Supplicant(client).pmks(network.network_id)
        return tuple(dict.fromkeys(found))

    async def explore(self) -> None:
        """Everything up and the MN on its first access point: a lab to look around in."""
        schemes = self.scenario.schemes
        options: Options = schemes.l2_floor if self.floor else schemes.reactive
        await self.begin(options)
        await self.open_mobile_node()
        await self.attach(options)

    async def _build(self, say: Say, pem: Mapping[str, bytes], preauthentication: bool) -> None:
        scenario = self.scenario
        say(f"boxes of {scenario.lab.name}")
        names = plan.boxes(scenario, floor=self.floor)
        for name in names:
            self.hosts[name] = await NamespaceHost.create(name, self.lab_id)
            self.hosts[name].on_death = self._on_death
            self.tell("host.created", name)
        node = self.hosts["mn"]
        config = servers.mobile_node(
            scenario, self.secrets, node.workdir, floor=self.floor, ahead=preauthentication
        )
        self.mobile_node = await agents.start(
            node, "mobile_node", config, ready="mobile_node.ready"
        )
        self._stand(self.mobile_node)
        say("radios and wires")
        self.air = await air.make(scenario, self.hosts, self.lab_id, self.group)
        wiring = plan.topology(scenario, floor=self.floor, agents=preauthentication)
        await network.build(wiring, self.hosts)
        say("servers")
        if plan.needs_home(scenario, floor=self.floor):
            now = dt.datetime.now(dt.UTC)
            papers = given_papers(pem) if pem else make_papers(scenario, now)
            await node.put("ca.pem", papers.ca)
            await node.put("mn.pem", papers.client.certificate)
            await node.put("mn.key", papers.client.key)
            await self._start_home(papers)
        if self.floor:
            domain = scenario.domain_of(scenario.movement.start)
            config = servers.hold(domain, self.secrets, scenario.schemes.l2_floor)
            router = self.hosts[f"{domain.name}-router"]
            self.holder = await agents.start(router, "hold", config, ready="hold.ready")
            self._stand(self.holder)
        if preauthentication:
            say("agents")
            early = await mpa_agents.start_node(scenario, node)
            self.preparing = Preparing(scenario, self.mobile_node, early)
            self._stand(early)
            if scenario.schemes.mpa_level1.discovers:
                self.preparing.discovery = await mpa_agents.start_discovery(node)
                self._stand(self.preparing.discovery)
            for each in scenario.domains:
                starting = mpa_agents.start_domain(scenario, each, self.hosts, self.secrets)
                async for agent in starting:
                    self.domain_agents.append(agent)
                    self._stand(agent)

    async def _start_home(self, papers: Papers) -> None:
        scenario = self.scenario
        aaa = {"home-aaa": servers.home_aaa(scenario, self.secrets, papers)}
        for domain in scenario.domains:
            aaa[f"{domain.name}-aaa"] = servers.visited_aaa(scenario, domain, self.secrets)
        for box, config in aaa.items():
            self._stand(await self.starts.first(partial(freeradius.start, self.hosts[box], config)))
        async for agent in mobility_agents.start(scenario, self.hosts, self.secrets):
            self.mobility_agents.append(agent)
            self._stand(agent)

    def _stand(self, service: Service) -> None:
        self._standing.append(service)
        self._note_start(service)

    def _freshen(self, service: Service) -> None:
        self._fresh.append(service)
        self._note_start(service)

    def replace(self, dead: Service, living: Service) -> None:
        """Take a daemon that was started again in the place of the one that died."""
        self.expendable.discard(dead)
        if isinstance(living, agents.Agent):
            for kept in (self.mobility_agents, self.domain_agents):
                kept[:] = [living if each is dead else each for each in kept]
        for running in (self._standing, self._fresh):
            running[:] = [living if each is dead else each for each in running]
        self._note_start(living)

    def _note_start(self, service: Service) -> None:
        ahead = self.preparing.agents if self.preparing is not None else ()
        if service is self.holder or service.name == mpa_agents.ACCESS_ROUTER:
            prefer(service.host, service.daemon, Priority.ROUTER)
        elif service not in (*ahead, *self.domain_agents):
            # The others work ahead of a handover, and must wait while one goes on.
            prefer(service.host, service.daemon, Priority.PATH)
        self.tell("daemon.started", service.host.name, name=service.name, pid=service.daemon.pid)

    def _on_death(self, daemon: Daemon) -> None:
        service = next((s for s in self.logs.values() if s.daemon is daemon), None)
        if service is not None and service not in self.expendable and not self._death.done():
            task = asyncio.ensure_future(self._explain_death(service))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _explain_death(self, service: Service) -> None:
        await service.drained()
        error = await service.death()
        status = service.daemon.returncode
        last = (await service.epitaph()).strip()
        self.tell("daemon.died", service.host.name, name=service.name, status=status, last=last)
        if not self._death.done():
            self._death.set_result(
                error if isinstance(error, RemoteError) else RemoteError(error.what)
            )

    async def _close(self) -> None:
        for host in self.hosts.values():
            host.on_death = None
        try:
            if hasattr(self, "mobile_node"):
                await self.mobile_node.stop()
            await self.end()
            for service in reversed(self._standing):
                await service.stop()
        finally:
            if hasattr(self, "air"):
                self.air.remove()
            for name, host in self.hosts.items():
                await host.close()
                self.tell("host.removed", name)


@contextlib.asynccontextmanager
async def standing_lab(
    scenario: Scenario,
    lab_id: str,
    say: Say,
    *,
    floor: bool = False,
    group: int = 1,
    pem: Mapping[str, bytes] | None = None,
    preauthentication: bool = False,
) -> AsyncIterator[Lab]:
    """The lab of a scenario, standing; taken away on every way out.

    Args:
        lab_id: marks what belongs to it on this machine (`rigs.paths`).
        say: told what is being done.
        floor: build it for the bare link-layer switch (`scenario.floor_scenario`'s result).
        group: hwsim group bits that no other lab on the machine has.
        pem: the user's certificates by lab key; without them the lab makes its own.
        preauthentication: with the agents of RFC 6252.

    Raises:
        MachineError: the machine lacks a privilege, a kernel module or a program.
        RemoteError: a daemon refused its configuration or died.
    """
    lab = Lab(scenario, lab_id, group, floor=floor)
    try:
        await lab._build(say, pem or {}, preauthentication)
        yield lab
    finally:
        await lab._close()
