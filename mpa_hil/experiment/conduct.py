"""One run on a standing lab: fresh daemons, attachment, traffic, movement, and what it left.

    begin -> captures -> attach -> arm -> flows start -> warm-up -> movement -> handover done
          -> cool-down -> flows end -> captures end -> detach -> end

Everything is written into the run's folder at the end, also when the run failed on the way.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mpa_hil.experiment import piloted
from mpa_hil.experiment.faults import Mishap
from mpa_hil.experiment.moving import HANDOVER_BOUND_S, first_switch, move
from mpa_hil.experiment.plan import KEYS, RunSpec, options
from mpa_hil.experiment.resources import Resources
from mpa_hil.lab import plan
from mpa_hil.lab.agents import Agent
from mpa_hil.lab.builder import Lab
from mpa_hil.scenario import (
    L2Floor,
    MpaLevel1,
    Piloted,
    Reactive,
    Scenario,
)
from mpa_hil.traffic import endpoint as endpoint_module
from mpa_hil.traffic import transfer as transfer_module
from mpa_hil.traffic.plan import Address, endpoint_config, planned_transfers, transfer_config
from radios.errors import MpaError
from rigs.host import Host
from rigs.priority import Priority, prefer
from rigs.services import capture
from rigs.services.service import Service, launch_as

ENDPOINT = Path(endpoint_module.__file__)
TRANSFER = Path(transfer_module.__file__)
_UNDER_WAY_S = 0.3
"""What packets may need to arrive beyond the delays of the links."""


@dataclass(slots=True)
class _Traces:
    """What a run leaves, by name of its file."""

    air: Host | None
    marks: dict[Service, int] = field(default_factory=dict)
    captures: list[tuple[Host, str, capture.Capture]] = field(default_factory=list)
    endpoints: dict[str, Agent] = field(default_factory=dict)
    lines: list[bytes] = field(default_factory=list)
    mishap: Mishap | None = None
    keys: tuple[bytes, ...] = field(default=(), repr=False)


async def conduct(lab: Lab, spec: RunSpec, folder: Path, air: Host | None) -> str:
    """Carry a run out and write its folder; "" or why it failed.

    Args:
        air: the box that has hwsim's monitor; None: the air is not captured.

    Raises:
        RemoteError: a daemon of the lab died, so there can be no further run on it.
    """
    os.makedirs(folder)
    traces = _Traces(air, mishap=_mishap(lab, spec))
    chosen = options(lab.scenario, spec.scheme)
    resources = Resources(lab, _agents(lab))
    await resources.begin()
    for agent in _agents(lab):
        traces.marks[agent] = agent.count
    _tell(traces, "run.started", kind=spec.kind, seed=lab.scenario.lab.seed)
    failure, fatal = "", None
    try:
        await lab.guard(_carry_out(lab, spec, chosen, traces))
    except MpaError as error:
        failure = str(error)
        fatal = error if lab.broken else None
    _tell(traces, "run.finished", ok=not failure, reason=failure)
    if fatal is None and (held := await resources.end()) is not None:
        _tell(traces, "run.resources", **held)
    with contextlib.suppress(MpaError):
        await _save(lab, spec, folder, traces, failure)
    if fatal is not None:
        raise fatal
    return failure


async def _carry_out(lab: Lab, spec: RunSpec, chosen: Reactive | L2Floor, traces: _Traces) -> None:
    scenario, mishap = lab.scenario, traces.mishap
    if mishap is not None:
        await mishap.before()
    await lab.begin(chosen)
    try:
        if scenario.capture.enabled:
            await _start_captures(lab, traces)
        await lab.open_mobile_node()
        if lab.floor:
            # An access point's first association after its start costs it 3 ms of its own.
            await lab.attach(chosen, first_switch(scenario).new)
        elif isinstance(chosen, Piloted):
            await piloted.visit(lab)
        elif isinstance(chosen, MpaLevel1) and not chosen.discovers:
            await lab.visit(first_switch(scenario).new)
        await lab.attach(chosen)
        addresses = flow_addresses(lab)
        await _reach(lab, addresses)
        for name in ("cn", "mn"):
            traces.endpoints[name] = await _start_endpoint(lab, name, addresses)
        if planned_transfers(scenario):
            for name in ("cn", "mn"):
                traces.endpoints[f"{name}-tcp"] = await _start_transfers(lab, name, addresses)
        if mishap is not None:
            await mishap.start()
        await move(lab, spec, chosen, traces.endpoints.values(), mishap)
        if mishap is not None:
            await mishap.look()
        await _end_flows(scenario, traces)
        if scenario.capture.keys:
            traces.keys = await lab.pairwise_master_keys()
        await asyncio.gather(*(trace.stop() for _, _, trace in traces.captures))
    finally:
        await _put_away(lab, traces)
    if mishap is not None:
        await mishap.tidied()


async def _put_away(lab: Lab, traces: _Traces) -> None:
    """End what belongs to one run, all of it, whatever becomes of the parts."""
    async with contextlib.AsyncExitStack() as last_to_first:
        last_to_first.push_async_callback(lab.end)
        captures = (trace.service for _, _, trace in traces.captures)
        for running in (*captures, *traces.endpoints.values()):
            last_to_first.push_async_callback(running.stop)
        if not lab.broken:
            last_to_first.push_async_callback(lab.close_mobile_node, HANDOVER_BOUND_S)
        if traces.mishap is not None:
            last_to_first.push_async_callback(traces.mishap.revive)


def _mishap(lab: Lab, spec: RunSpec) -> Mishap | None:
    """What is to go wrong in a run."""
    for fault in lab.scenario.faults:
        if fault.name == spec.fault:
            return Mishap(lab, fault, first_switch(lab.scenario))
    return None


def flow_addresses(lab: Lab) -> dict[str, Address]:
    """The addresses that the flows run between: the MN's is what its sessions are bound to."""
    scenario = lab.scenario
    home6, peer6 = scenario.mn.home_address6, scenario.correspondent.address6
    if scenario.lab.family == "ipv6" and home6 is not None and peer6 is not None:
        return {"mn": home6, "cn": peer6}
    domain = scenario.domain_of(scenario.movement.start)
    node = domain.static_address if lab.floor else scenario.mn.home_address
    return {"mn": node, "cn": scenario.correspondent.address}


async def _reach(lab: Lab, addresses: dict[str, Address]) -> None:
    """See that MN and CN reach each other, before anything is measured.

    It also fills the neighbour tables on the way, so that no flow begins with waiting for ARP.
    """
    node, peer = str(addresses["mn"]), str(addresses["cn"])
    await lab.hosts["mn"].run("ping", "-c", "1", "-W", "5", "-I", node, peer)


async def _start_endpoint(lab: Lab, name: str, addresses: dict[str, Address]) -> Agent:
    host = lab.hosts[name]
    other = addresses["cn" if name == "mn" else "mn"]
    config = endpoint_config(
        lab.scenario, name, addresses[name], other, f"{host.workdir}/{name}.flows"
    )
    agent = await launch_as(
        Agent,
        host,
        *(sys.executable, "-S", str(ENDPOINT), json.dumps(config)),
        name=f"endpoint-{name}",
        ready=lambda line: '"flow.ready"' in line,
        ready_text="flow.ready",
        stdin=True,
    )
    prefer(host, agent.daemon, Priority.STAMPS)
    return agent


async def _start_transfers(lab: Lab, name: str, addresses: dict[str, Address]) -> Agent:
    """Downloads; they run as what is left of the processor allows, and disturb no stream."""
    host = lab.hosts[name]
    other = addresses["cn" if name == "mn" else "mn"]
    config = transfer_config(
        lab.scenario, name, addresses[name], other, f"{host.workdir}/{name}-tcp.flows"
    )
    return await launch_as(
        Agent,
        host,
        *(sys.executable, "-S", str(TRANSFER), json.dumps(config)),
        name=f"transfer-{name}",
        ready=lambda line: '"flow.ready"' in line,
        ready_text="flow.ready",
        stdin=True,
    )


async def _end_flows(scenario: Scenario, traces: _Traces) -> None:
    for agent in traces.endpoints.values():
        await agent.daemon.write(b"quiet\n")
    delays_ms = sum(scenario.link(site).delay_ms for site in scenario.sites)
    await asyncio.sleep(_UNDER_WAY_S + 2 * delays_ms / 1000)
    for agent in traces.endpoints.values():
        since = agent.count
        await agent.daemon.write(b"stop\n")
        await agent.expect(
            lambda line: '"flow.done"' in line,
            what="flow.done",
            timeout_s=HANDOVER_BOUND_S,
            since=since,
        )


async def _start_captures(lab: Lab, traces: _Traces) -> None:
    places = [(lab.hosts[box], port) for box, port in plan.captured(lab.scenario, floor=lab.floor)]
    if traces.air is not None:
        places.append((traces.air, capture.AIR_INTERFACE))
    for host, interface in places:
        config = capture.CaptureConfig(interface, _pcap_name(host, interface))
        traces.captures.append((host, interface, await capture.start(host, config)))


def _pcap_name(host: Host, interface: str) -> str:
    return f"{host.name}-{interface}.pcap"


async def _save(lab: Lab, spec: RunSpec, folder: Path, traces: _Traces, failure: str) -> None:
    """Write the run's folder; what is missing is left out."""
    addresses = {name: str(address) for name, address in flow_addresses(lab).items()}
    described = {
        "scheme": spec.scheme,
        "kind": spec.kind,
        "repeat": spec.repeat,
        "fault": spec.fault,
        "ok": not failure,
        "error": failure or None,
        "lab": "floor" if lab.floor else "main",
        "addresses": addresses,
    }
    (folder / "run.json").write_text(json.dumps(described))
    (folder / "events.jsonl").write_bytes(b"".join(_events(lab, traces)))
    for name, agent in traces.endpoints.items():
        with contextlib.suppress(MpaError):
            path = f"{name}.flows"
            (folder / path).write_bytes(await agent.host.get(path))
            await agent.host.remove(path)
    listed = []
    for host, interface, trace in traces.captures:
        with contextlib.suppress(MpaError):
            name = _pcap_name(host, interface)
            (folder / name).write_bytes(await host.get(trace.path))
            await host.remove(trace.path)
            counts = trace.counts
            dropped = None if counts is None else counts.dropped
            place = {"host": host.name, "interface": interface}
            listed.append({**place, "file": name, "dropped": dropped})
    if traces.captures:
        (folder / "captures.json").write_text(json.dumps(listed))
    if traces.keys:
        _write_keys(folder / KEYS, traces.keys)
    logs = folder / "logs"
    logs.mkdir()
    for name, service in lab.logs.items():
        said = await service.log()
        if isinstance(service, Agent):  # its events are in the log of events
            lines = said.splitlines(keepends=True)
            said = "".join(line for line in lines if not line.startswith("{"))
        if said or not isinstance(service, Agent):
            (logs / f"{name}.log").write_text(said)


def _write_keys(path: Path, keys: tuple[bytes, ...]) -> None:
    """Wireshark's table of 802.11 keys, for nobody else's eyes."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f'"wpa-psk","{key.hex()}"\n' for key in keys)


def _events(lab: Lab, traces: _Traces) -> Iterator[bytes]:
    yield from traces.lines
    if traces.mishap is not None:
        yield from traces.mishap.lines
    witnesses = () if traces.mishap is None else traces.mishap.witnesses
    for agent in dict.fromkeys((*_agents(lab), *witnesses)):
        for line in agent.since(traces.marks.get(agent, 0)):
            if line.startswith("{"):
                yield line.encode() + b"\n"
    for agent in traces.endpoints.values():
        for line in agent.said():
            if line.startswith("{"):
                yield line.encode() + b"\n"


def _agents(lab: Lab) -> list[Agent]:
    ahead = lab.preparing.agents if lab.preparing is not None else ()
    some = (lab.mobile_node, *lab.mobility_agents, lab.holder, *ahead, *lab.domain_agents)
    return [agent for agent in some if agent is not None]


def _tell(traces: _Traces, event_type: str, **fields: object) -> None:
    event = {"t_ns": time.monotonic_ns(), "host": "lab", "agent": "collector", "type": event_type}
    traces.lines.append(json.dumps({**event, **fields}).encode() + b"\n")
