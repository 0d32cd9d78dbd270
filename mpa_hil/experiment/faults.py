"""Runs in which something goes wrong: makes it happen, and says where the run has ended.

    before -> [the lab's daemons, attachment] -> start -> arm at each moment -> [movement]
           -> look -> revive -> [the lab's daemons end] -> tidied

What is tied to a message is done by `mpa_hil.agents.faults` on the box that the message passes;
for what that cannot do alone it waits, with the message in its hands.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Coroutine, Iterator
from ipaddress import IPv4Address

from mpa_hil.experiment.signals import SIGNALS, Signal
from mpa_hil.lab import agents
from mpa_hil.lab.agents import Agent, Event
from mpa_hil.lab.builder import Lab
from mpa_hil.lab.casualties import casualty, revive, strike
from mpa_hil.lab.leftovers import Inventory, difference, take_stock
from mpa_hil.lab.whereabouts import Whereabouts, whereabouts
from mpa_hil.scenario import Fault, Switch
from mpa_hil.scenario.faults import BEGINNING, MESSAGES, MOMENTS, PREPARED, STEP_OF, SWITCH_STEPS
from radios.control import ControlClient
from radios.errors import MpaError, RemoteError
from rigs.services.service import Service

_BOUND_S = 60.0
_TIDY_S = 180.0
"""An access router's session lives 120 s, one that its agent lost in a restart 15 s."""
_BACK_S = 10.0
"""For what was killed to be up again, beside the time that the lab file gives it."""
_TUNNELS = range(1, 9)
"""Numbers of the access router's next tunnels, whose names others bear."""


class Ending:
    """Finds the line of the mobile node's that ends a run: its handover's, or, where the scheme has
    none, that of the first packet."""

    def __init__(self) -> None:
        self._fired = self._handover = False

    def ends(self, line: str) -> bool:
        """Whether it is this one; lines in their order."""
        if '"type":"trigger.fired"' in line:
            self._fired = True
        elif '"type":"handover.ready"' in line:
            self._handover = True
        elif '"type":"handover.finished"' in line:
            self._handover = self._fired and self._handover
            if '"outcome":"moved"' in line:  # perhaps before it was told to go
                return True
            return self._fired and '"outcome":"lost"' not in line
        elif '"phase":"first-packet"' in line:
            return self._fired and not self._handover
        return False


class Mishap:
    """The fault of one run.

    Args:
        switch: the handover that it strikes.
    """

    def __init__(self, lab: Lab, fault: Fault, switch: Switch) -> None:
        self._lab = lab
        self._fault = fault
        self._domain = lab.scenario.domain_of(switch.new)
        self._router = lab.hosts[f"{self._domain.name}-router"]
        names = [f"{domain.name}-router" for domain in lab.scenario.domains]
        self._boxes = ("mn", "home-agent", *names)
        self._agent: Agent | None = None
        self._dead: list[Service] = []
        self._buried: list[Service] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._returning: list[asyncio.Task[None]] = []
        """Those of them that bring something back to life within the run."""
        self._undo: list[tuple[str, tuple[str, ...], bytes]] = []
        self._before: Inventory = {}
        self._injected = 0
        self._seen: Whereabouts | None = None
        self._finished: Event = {}
        self.troubles: list[str] = []
        """What the run met with that a run without a fault would have failed of."""
        self.lines: list[bytes] = []
        """Events of this run."""

    @property
    def witnesses(self) -> tuple[Agent, ...]:
        """Agents of this run that the lab no longer knows, or never did."""
        dead = (service for service in self._buried if isinstance(service, Agent))
        return (*dead, *filter(None, (self._agent,)))

    async def before(self) -> None:
        """What is so from the beginning; and what stands before the run."""
        self._before = await take_stock(self._lab.hosts, self._boxes)
        if self._fault.what == "pool-empty":
            await self._router.put("dnsmasq.leases", self._leases())
            self._count()
        elif self._fault.what == "tunnel-refused":
            await self._take_names()
            self._count()

    async def start(self) -> None:
        """Ready to strike; the mobile node is where it begins."""
        found = self._signal()
        if found is not None:
            host = self._lab.hosts["home-agent"] if found.at_home else self._router
            config = {"host": host.name}
            self._agent = await agents.start(host, "faults", config, ready="fault.ready")

    async def arm(self, moment: str) -> None:
        """Now is the time for what belongs to this moment."""
        fault, found = self._fault, self._signal()
        if found is not None:
            late = STEP_OF[self._at] in SWITCH_STEPS
            if late == (moment == PREPARED):
                await self._arm_signal(found)
        elif moment == fault.at and fault.what not in ("pool-empty", "tunnel-refused"):
            await self._strike()

    async def _arm_signal(self, found: Signal) -> None:
        fault, agent = self._fault, self._agent
        assert agent is not None
        pids: list[int] = []
        what: str = fault.what
        if what in ("kill", "stop"):
            service = casualty(self._lab, fault.target or "")
            pids = [service.daemon.pid]
            if what == "kill":
                self._lab.expendable.add(service)
                self._expect_return(self._bury(service))
        elif what not in MESSAGES:
            what = "wait"
            self._tasks.append(asyncio.create_task(self._stand_by(agent, agent.count)))
        since = agent.count
        await agent.command(
            "arm",
            signal=found.command(),
            what=what,
            skip=fault.skip,
            times=fault.times,
            for_ms=round(fault.for_ms),
            pids=pids,
        )
        await agent.event("fault.armed", _BOUND_S, since=since)

    async def _stand_by(self, agent: Agent, since: int) -> None:
        """Do what the controller alone can, while the message waits."""
        told = await agent.event("fault.injected", 3600.0, since=since)
        await self._strike(str(told.get("address", "")))
        await agent.command("release")

    async def _strike(self, address: str = "") -> None:
        """Do it here and now."""
        fault = self._fault
        if fault.what == "refuse":
            ap = fault.target or ""
            path = self._lab.controls[ap]
            async with ControlClient(path, self._lab.hosts[ap].connect, events=False) as client:
                await client.command("DENY_ACL", "ADD_MAC", self._lab.scenario.mn.mac)
        elif fault.what == "duplicate-address":
            await self._take_address(address)
        elif fault.what in ("kill", "stop"):
            service = casualty(self._lab, fault.target or "")
            deadly = fault.what == "kill"
            await strike(self._lab, service, signal.SIGKILL if deadly else signal.SIGSTOP)
            if deadly:
                self._expect_return(self._bury(service))
            else:
                self._expect_return(self._resume(service))
        self._count(fault.target or address)

    def _expect_return(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.append(task)
        if self._fault.what == "stop" or self._fault.restart_ms is not None:
            self._returning.append(task)

    async def _resume(self, service: Service) -> None:
        await asyncio.sleep(self._fault.for_ms / 1000)
        await service.daemon.signal(signal.SIGCONT)

    async def _bury(self, service: Service) -> None:
        """Once it is dead, start it again when the lab file says so, else after the run."""
        await service.daemon.wait()
        self._dead.append(service)
        self._buried.append(service)
        if self._fault.restart_ms is not None:
            await asyncio.sleep(self._fault.restart_ms / 1000)
            await self._revive(service)

    async def _revive(self, service: Service) -> None:
        await revive(self._lab, service)
        self._dead.remove(service)

    @contextlib.contextmanager
    def tolerated(self) -> Iterator[None]:
        """What fails now is for the mobile node to make up for."""
        try:
            yield
        except RemoteError as error:
            self.troubles.append(str(error.what).splitlines()[0])

    async def finished(self, since: int) -> None:
        """Wait until the mobile node is where it ends."""
        kind = "handover.finished"
        try:
            line = await self._lab.mobile_node.expect(
                Ending().ends, what=kind, timeout_s=1.5 * _BOUND_S, since=since
            )
        except RemoteError as error:
            self.troubles.append(error.what.splitlines()[0])
            return
        if kind in line:
            self._finished = json.loads(line)
        if self._returning:  # what is judged of the end is what is so when all is there again
            later_s = max(self._fault.for_ms, self._fault.restart_ms or 0.0) / 1000
            await asyncio.wait(self._returning, timeout=later_s + _BACK_S)

    async def look(self) -> None:
        """Where it has ended; while the flows still run."""
        self._seen = await whereabouts(self._lab)
        if self._agent is not None:
            told = self._agent.since(0)
            self._injected += sum('"type":"fault.injected"' in line for line in told)

    async def revive(self) -> None:
        """Undo the fault: agents live again, nothing is refused."""
        agent = self._agent
        if agent is not None:
            await agent.stop()
        for task in self._tasks:
            if not task.done():
                task.cancel()
        done = await asyncio.gather(*self._tasks, return_exceptions=True)
        self.troubles += [str(error) for error in done if isinstance(error, MpaError)]
        for service in tuple(self._dead):
            await self._revive(service)
        self._lab.expendable = {each for each in self._lab.expendable if not each.alive}
        for box, argv, stdin in reversed(self._undo):
            await self._lab.hosts[box].run(*argv, stdin=stdin, check=False)
        self._undo.clear()

    async def tidied(self) -> None:
        """See what is left once all has ended and every time limit passed; tell the outcome."""
        started_s = time.monotonic()
        pause_s = 0.5
        while True:
            left = difference(self._before, await take_stock(self._lab.hosts, self._boxes))
            spent_s = time.monotonic() - started_s
            if not left or spent_s > _TIDY_S:
                break
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 30.0)
        seen = self._seen or Whereabouts()
        self._tell(
            "fault.outcome",
            fault=self._fault.name,
            injected=self._injected,
            outcome=self._finished.get("outcome", "" if not seen.network else "reactive"),
            cause=self._finished.get("cause", ""),
            network=seen.network,
            addresses=seen.addresses,
            care_of=seen.care_of,
            left=left,
            clean_s=round(spent_s, 3),
            trouble="; ".join(self.troubles),
        )

    @property
    def _at(self) -> str:
        fault = self._fault
        return "dhcp-ack" if fault.what == "duplicate-address" else fault.at

    def _signal(self) -> Signal | None:
        return None if self._at in MOMENTS else SIGNALS[self._at]

    def _leases(self) -> bytes:
        """dnsmasq's memory of every address being leased to somebody else."""
        pool = range(int(self._domain.dhcp.first), int(self._domain.dhcp.last) + 1)
        return b"".join(
            b"0 02:00:00:01:%02x:%02x %s * *\n"
            % (number >> 8, number & 255, str(IPv4Address(value)).encode())
            for number, value in enumerate(pool)
        )

    async def _take_address(self, address: str) -> None:
        """Give a box on the next domain's link an address of that link."""
        box, place = f"{self._domain.name}-aaa", (f"{address}/32", "dev", self._router.name)
        await self._lab.hosts[box].run("ip", "address", "add", *place)
        self._undo.append((box, ("ip", "address", "delete", *place), b""))
        forget = ("ip", "neighbour", "flush", "to", address)
        self._undo.append((self._router.name, forget, b""))

    async def _take_names(self) -> None:
        """Have another device bear the names that the access router gives its tunnels."""
        batch = ("ip", "-batch", "-")
        add, delete = (
            "".join(f"link {verb} mpat{n}{kind}\n" for n in _TUNNELS).encode()
            for verb, kind in (("add", " type dummy"), ("delete", ""))
        )
        await self._router.run(*batch, stdin=add)
        self._undo.append((self._router.name, (*batch, "-force"), delete))

    def _count(self, target: str = "") -> None:
        self._injected += 1
        self._tell("fault.injected", what=self._fault.what, target=target)

    def _tell(self, kind: str, **fields: object) -> None:
        event = {"t_ns": time.monotonic_ns(), "host": "lab", "agent": "collector", "type": kind}
        self.lines.append(json.dumps({**event, **fields}).encode() + b"\n")


__all__ = ["BEGINNING", "PREPARED", "Mishap"]
