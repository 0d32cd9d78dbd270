"""Applying a topology: links between namespaces, and addresses, routes and settings everywhere.

Links vanish with their namespaces. A machine that is not the lab's own (over SSH) is told only of
its named ports, and how to go back is left with it *before* anything is changed
(`Deferring.defer`), so that it goes back even when the connection is lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from radios.errors import LocalError, MachineError, MpaError, RemoteError
from rigs.host import Host
from rigs.links import (
    Bridge,
    End,
    Impairment,
    Link,
    Port,
    Route,
    Sysctl,
    Topology,
    validate,
)
from rigs.local import run_local
from rigs.network_plan import HostPlan, link_batch, plan
from rigs.offloads import disable_offloads
from rigs.process import checked

__all__ = [
    "Bridge",
    "Impairment",
    "Link",
    "Port",
    "Route",
    "Sysctl",
    "Topology",
    "build",
    "netem_available",
]

_NETEM_REMEDY = "load it (modprobe sch_netem), or use the guest, whose kernel has it (--rig guest)"
_SEED_SINCE = (6, 6)
"""Kernel and iproute2 whose netem takes a seed."""


@runtime_checkable
class _Namespaced(Protocol):
    """A host whose network the lab owns."""

    namespace: str


@runtime_checkable
class Deferring(Protocol):
    """A host that runs commands when it closes, also when it closes by losing its connection."""

    async def defer(self, *argv: str, stdin: bytes = b"") -> None:
        """Have `argv` run on the host at its end, last registered first."""


async def netem_available(host: Host) -> bool:
    """Whether the host's kernel can delay and lose packets (sch_netem)."""
    tried = await host.run("tc", "qdisc", "add", "dev", "lo", "root", "netem", check=False)
    if tried.returncode == 0:
        await host.run("tc", "qdisc", "del", "dev", "lo", "root")
    return tried.returncode == 0


async def build(topology: Topology, hosts: Mapping[str, Host]) -> None:
    """Lay the links and set up every host of a topology.

    Args:
        topology: the wiring; its host names are keys of `hosts`.
        hosts: the boxes, namespaces or machines.

    Raises:
        LocalError: the topology breaks a rule, names an unknown host, or wants a link to a machine
            whose cables are not the lab's to lay.
        MachineError: a kernel lacks what an impairment takes, or the privilege is missing.
        RemoteError: a host refused a command; says which.
    """
    validate(topology)
    for name in topology.hosts():
        if name not in hosts:
            raise LocalError(f"the topology names an unknown host: {name}")
    namespaces = {
        name: host.namespace for name, host in hosts.items() if isinstance(host, _Namespaced)
    }
    for link in topology.links:
        for name in (link.a, link.b):
            if name not in namespaces:
                raise LocalError(
                    f"the link {link.a} - {link.b} cannot be laid: {name} is a machine of its own",
                    where=name,
                    remedy="cable it, and describe its interface as a Port",
                )
    seedable = await _check_netem(topology, hosts)
    plans = plan(topology, namespaces.keys(), seedable)
    if topology.links:
        await _lay(link_batch(topology, namespaces))
    for name, steps in plans.items():
        if name in namespaces:
            disable_offloads(namespaces[name], steps.made)
        else:
            await _prepare_return(hosts[name], topology, steps)
        await _set_up(hosts[name], steps)


async def _check_netem(topology: Topology, hosts: Mapping[str, Host]) -> frozenset[str]:
    """Refuse before anything is changed; the hosts whose netem takes a seed."""
    impaired = dict.fromkeys(end.host for end in topology.ends() if end.impairment)
    seedable = set()
    for name in impaired:
        if not await netem_available(hosts[name]):
            raise MachineError(
                "its kernel has no netem, so links have no delay, loss or rate there",
                where=name,
                remedy=_NETEM_REMEDY,
            )
        if topology.seed is not None and await _takes_seed(hosts[name]):
            seedable.add(name)
    return frozenset(seedable)


async def _takes_seed(host: Host) -> bool:
    kernel = await host.run("uname", "-r")
    tc = await host.run("tc", "-V")
    versions = [re.search(rb"(\d+)\.(\d+)", text) for text in (kernel.stdout, tc.stdout)]
    return all(found and tuple(map(int, found.groups())) >= _SEED_SINCE for found in versions)


async def _lay(batch: str) -> None:
    argv = ("ip", "-batch", "-")
    completed = await run_local(argv, where="links", stdin=batch.encode(), check=False)
    try:
        checked(completed, "links")
    except RemoteError as error:
        raise _explain(error, batch) from error


async def _set_up(host: Host, steps: HostPlan) -> None:
    if steps.settings:
        await host.run("sh", "-es", stdin=_settings_script(steps).encode())
    for program, batch in (("ip", steps.ip_batch), ("tc", steps.tc_batch)):
        if batch:
            try:
                await host.run(program, "-batch", "-", stdin=batch.encode())
            except RemoteError as error:
                raise _explain(error, batch) from error


def _settings_script(steps: HostPlan) -> str:
    lines = [
        f"[ -e /proc/sys/net/ipv4/conf/{interface} ] ||"
        f" {{ echo 'there is no interface {interface}' >&2; exit 1; }}\n"
        for interface in steps.interfaces
    ]
    for path, value in steps.settings:
        # A kernel without IPv6 is as quiet as one whose IPv6 is turned off.
        guard = f"[ ! -e /proc/sys/{path} ] || " if path.startswith("net/ipv6/") else ""
        lines.append(f"{guard}echo '{value}' >/proc/sys/{path}\n")
    return "".join(lines)


def _explain(error: RemoteError, batch: str) -> MpaError:
    """Name the line that a batch failed at: the programs tell its number only."""
    found = re.search(r"Command failed -:(\d+)", error.what)
    lines = batch.splitlines()
    what = error.what
    if found and 0 < int(found[1]) <= len(lines):
        what = f"{what} ({lines[int(found[1]) - 1]})"
    if "netem" in what and ("kind is unknown" in what or "No such file" in what):
        return MachineError(what, where=error.where, remedy=_NETEM_REMEDY)
    return RemoteError(what, where=error.where, remedy=error.remedy)


async def _prepare_return(host: Host, topology: Topology, steps: HostPlan) -> None:
    """Leave with a machine how it was: settings, addresses, MTU, queueing, bridges."""
    if not isinstance(host, Deferring):
        raise LocalError(
            "it is no namespace and cannot run commands at its end, so nothing is changed there",
            where=host.name,
        )
    ends = [end for end in topology.ends() if end.host == host.name]
    lines = await _former_settings(host, [path for path, _ in steps.settings])
    for route in topology.routes:
        if route.host == host.name:
            device = f" dev {route.interface}" if route.interface else ""
            via = f" via {route.via}" if route.via else ""
            lines.append(f"ip route del {route.prefix}{via}{device}")
    for end in ends:
        lines += await _former_link(host, end)
    for bridge in topology.bridges:
        if bridge.host == host.name:
            lines.append(f"ip link del dev {bridge.name}")
    await host.defer("sh", "-s", stdin="".join(line + "\n" for line in lines).encode())


async def _former_settings(host: Host, paths: list[str]) -> list[str]:
    script = "".join(f"[ ! -e /proc/sys/{p} ] || echo {p} $(cat /proc/sys/{p})\n" for p in paths)
    lines = []
    for line in (await host.run("sh", "-es", stdin=script.encode())).stdout.decode().splitlines():
        path, _, value = line.partition(" ")
        lines.append(f"echo '{value}' >/proc/sys/{path}")
    return lines


async def _former_link(host: Host, end: End) -> list[str]:
    shown = await host.run("ip", "-json", "address", "show", "dev", end.interface, check=False)
    if shown.returncode != 0:
        raise LocalError(
            f"it has no interface {end.interface}",
            where=host.name,
            remedy="name one that `ip link` lists there",
        )
    (link,) = json.loads(shown.stdout)
    there = {f"{info['local']}/{info['prefixlen']}" for info in link["addr_info"]}
    lines = [
        f"ip address del {address} dev {end.interface}"
        for address in end.addresses
        if address not in there
    ]
    if end.mtu is not None:
        lines.append(f"ip link set dev {end.interface} mtu {link['mtu']}")
    if end.impairment:
        lines.append(f"tc qdisc del dev {end.interface} root")
    if "UP" not in link["flags"]:
        lines.append(f"ip link set dev {end.interface} down")
    return lines
