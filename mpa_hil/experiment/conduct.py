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

from mpa_hil.experiment.plan import KEYS, RunSpec, options
from mpa_hil.lab import plan
from mpa_hil.lab.agents import Agent
from mpa_hil.lab.builder import Lab
from mpa_hil.scenario import (
    L2Floor,
    MpaLevel1,
    MpaLevel2,
    Reactive,
    RsnPreauth,
    Scenario,
    Switch,
    end_s,
    switch,
)
from mpa_hil.traffic import endpoint as endpoint_module
from mpa_hil.traffic import transfer as transfer_module
from mpa_hil.traffic.plan import Address, endpoint_config, planned_transfers, transfer_config
from radios.errors import MpaError, RemoteError
from rigs.host import Host
from rigs.priority import Priority, prefer
from rigs.services import capture
from rigs.services.service import Service, launch_as

ENDPOINT = Path(endpoint_module.__file__)
TRANSFER = Path(transfer_module.__file__)
HANDOVER_BOUND_S = 60.0
"""Longest handover that is waited for: EAP over 300 ms and a DHCP conflict check take 7 s."""
_UNDER_WAY_S = 0.3
"""What packets may need to arrive beyond the delays of the links."""
_GRID_NS = 20_000_000
_APART_NS = 1_000_000
"""Flows begin on this grid of time, one endpoint a little after the other: so a switch that keeps
to the kernel's tick meets their packets in the same phase in each run, and runs compare."""
_SWITCH_LEAD_US = 4800
"""From the decision to the association request of a held switch in the guest: 0.8 ms to hold, 2.2
to leave, 1.0 to authenticate beside 1 kHz of probes; the rest is margin. A request that misses its
tick waits for the next. See `mpa_hil.agents.mobile_node`."""
_PREPARED_LEAD_US = 4000
"""The same where nothing is held."""


@dataclass(slots=True)
class _Traces:
    """What a run leaves, by name of its file."""

    air: Host | None
    marks: dict[Service, int] = field(default_factory=dict)
    captures: list[tuple[Host, str, capture.Capture]] = field(default_factory=list)
    endpoints: dict[str, Agent] = field(default_factory=dict)
    lines: list[bytes] = field(default_factory=list)
    keys: tuple[bytes, ...] = field(default=(), repr=False)


async def conduct(lab: Lab, spec: RunSpec, folder: Path, air: Host | None) -> str:
    """Carry a run out and write its folder; "" or why it failed.

    Args:
        air: the box that has hwsim's monitor; None: the air is not captured.

    Raises:
        RemoteError: a daemon of the lab died, so there can be no further run on it.
    """
    os.makedirs(folder)
    traces = _Traces(air)
    chosen = options(lab.scenario, spec.scheme)
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
    with contextlib.suppress(MpaError):
        await _save(lab, spec, folder, traces, failure)
    if fatal is not None:
        raise fatal
    return failure


async def _carry_out(lab: Lab, spec: RunSpec, chosen: Reactive | L2Floor, traces: _Traces) -> None:
    scenario = lab.scenario
    await lab.begin(chosen)
    try:
        if scenario.capture.enabled:
            await _start_captures(lab, traces)
        await lab.open_mobile_node()
        if lab.floor:
            # An access point's first association after its start costs it 3 ms of its own.
            await lab.attach(chosen, _target(scenario).new)
        await lab.attach(chosen)
        addresses = flow_addresses(lab)
        await _reach(lab, addresses)
        for name in ("cn", "mn"):
            traces.endpoints[name] = await _start_endpoint(lab, name, addresses)
        if planned_transfers(scenario):
            for name in ("cn", "mn"):
                traces.endpoints[f"{name}-tcp"] = await _start_transfers(lab, name, addresses)
        await _move(lab, spec, chosen, traces)
        await _end_flows(scenario, traces)
        if scenario.capture.keys:
            traces.keys = await lab.pairwise_master_keys()
        await asyncio.gather(*(trace.stop() for _, _, trace in traces.captures))
    finally:
        if not lab.broken:
            await lab.close_mobile_node(HANDOVER_BOUND_S)
        await asyncio.gather(*(agent.stop() for agent in traces.endpoints.values()))
        await asyncio.gather(
            *(trace.service.stop() for _, _, trace in traces.captures), return_exceptions=True
        )
        await lab.end()


async def _move(lab: Lab, spec: RunSpec, chosen: Reactive | L2Floor, traces: _Traces) -> None:
    """Traffic, and the movement in its middle."""
    scenario = lab.scenario
    node = lab.mobile_node
    prepares = spec.kind != "null" and isinstance(chosen, RsnPreauth | MpaLevel1)
    if spec.kind != "null" and not prepares:
        await _arm(lab, spec, chosen)
    since = node.count
    start_ns = (time.monotonic_ns() // _GRID_NS + 2) * _GRID_NS
    for number, agent in enumerate(traces.endpoints.values()):
        await agent.daemon.write(b"start %d\n" % (start_ns + number * _APART_NS))
    await asyncio.sleep(scenario.measure.warmup_s)
    if prepares:
        await _prepare(lab, spec, chosen)
        await _arm(lab, spec, chosen)
    if spec.kind == "null":
        await asyncio.sleep(end_s(scenario.movement))
    else:
        following = asyncio.create_task(lab.air.follow(scenario.movement))
        try:
            await node.event(
                "phase.started",
                end_s(scenario.movement) + HANDOVER_BOUND_S,
                since=since,
                matches=lambda event: event["phase"] == "first-packet",
            )
            if isinstance(chosen, MpaLevel2):
                await _finish(node, since)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    await asyncio.sleep(scenario.measure.cooldown_s)


async def _prepare(lab: Lab, spec: RunSpec, chosen: Reactive | L2Floor) -> None:
    """What a scheme does ahead of its handover, over the present link."""
    if isinstance(chosen, RsnPreauth):
        await lab.ask(
            "preauthenticate",
            "mobile_node.preauthenticated",
            HANDOVER_BOUND_S,
            network=_target(lab.scenario).new,
        )
    elif isinstance(chosen, MpaLevel1):
        wanted = _target(lab.scenario).new
        await lab.prepare(wanted, chosen)
        if isinstance(chosen, MpaLevel2):
            await lab.prepare_handover(wanted, chosen, hold=spec.kind != "control")


async def _finish(node: Agent, since: int) -> None:
    """Wait until nothing of a handover is under way any more."""
    ended = await node.event("handover.finished", HANDOVER_BOUND_S, since=since)
    if ended["outcome"] != "moved":
        what = f"the mobile node has {ended['outcome']}: {ended['cause']}"
        raise RemoteError(what, where="handover")


async def _arm(lab: Lab, spec: RunSpec, chosen: Reactive | L2Floor) -> None:
    scenario = lab.scenario
    wanted = _target(scenario)
    known = isinstance(chosen, L2Floor) or chosen.scan == "known"
    frequencies = [lab.frequency_mhz(wanted.new)] if known else []
    hold = isinstance(chosen, L2Floor) and chosen.hold and spec.kind != "control"
    await lab.ask(
        "arm",
        "mobile_node.armed",
        HANDOVER_BOUND_S,
        network=wanted.new,
        leave_dbm=round(scenario.movement.leave_dbm),
        scan=frequencies,
        fresh_scan=lab.floor or getattr(chosen, "fresh_scan", False),
        roam=isinstance(chosen, RsnPreauth),
        hold=hold,
        lead_us=_lead_us(lab, chosen),
        **lab.layer3(
            wanted.new,
            chosen,
            same_link=scenario.domain_of(wanted.old) == scenario.domain_of(wanted.new),
        ),
    )


def _lead_us(lab: Lab, chosen: Reactive | L2Floor) -> int:
    if lab.floor:
        return _SWITCH_LEAD_US
    return _PREPARED_LEAD_US if isinstance(chosen, MpaLevel1) else 0


def _target(scenario: Scenario) -> Switch:
    wanted = switch(scenario.movement)
    if wanted is None:
        raise RemoteError(
            "the movement asks for no switch",
            where=f"lab {scenario.lab.name}",
            remedy="let the signal of the first AP fall below leave_dbm",
        )
    return wanted


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
        if not isinstance(service, Agent):
            (logs / f"{name}.log").write_text(await service.log())


def _write_keys(path: Path, keys: tuple[bytes, ...]) -> None:
    """Wireshark's table of 802.11 keys, for nobody else's eyes."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f'"wpa-psk","{key.hex()}"\n' for key in keys)


def _events(lab: Lab, traces: _Traces) -> Iterator[bytes]:
    yield from traces.lines
    for agent in _agents(lab):
        for line in agent.since(traces.marks.get(agent, 0)):
            if line.startswith("{"):
                yield line.encode() + b"\n"
    for agent in traces.endpoints.values():
        for line in agent.said():
            if line.startswith("{"):
                yield line.encode() + b"\n"


def _agents(lab: Lab) -> list[Agent]:
    ahead = lab.preparing.agents if lab.preparing is not None else ()
    some = (lab.mobile_node, lab.home_agent, lab.holder, *ahead, *lab.domain_agents)
    return [agent for agent in some if agent is not None]


def _tell(traces: _Traces, event_type: str, **fields: object) -> None:
    event = {"t_ns": time.monotonic_ns(), "host": "lab", "agent": "collector", "type": event_type}
    traces.lines.append(json.dumps({**event, **fields}).encode() + b"\n")
