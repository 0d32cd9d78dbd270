"""The measuring half, inside the guest: `python3 -m tests.bench.tunnel.inside OUTPUT options`.

    untunnelled   cn - core - b - core - a - mn, routed
    tunnelled     the same way, between b and mn in a tunnel

So the difference is what the tunnel costs. Interfaces have no offloads, so every packet is one.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, ip_address
from pathlib import Path

from mpa_hil.kernel.router_tunnel import RouterLink, RouterTunnel
from mpa_hil.kernel.tunnel_plan import Esp, Plain, Protection, TunnelPlan
from rigs.offloads import disable_offloads

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "wired"))
import tunnel_lab
from tunnel_lab import CN, NEW, TunnelLab

_ROUTED = {4: ip_address("10.2.0.9"), 6: ip_address("fd00:2::9")}
"""An address of the node's that is routed to it by way of b."""
_WIRED = {
    "cn": ("eth0",),
    "core": ("rc", "ra", "rb"),
    "a": ("wan", "port"),
    "b": ("wan", "port"),
    "air": ("pa", "pb", "wl", "wn"),
    "mn": ("wlan0",),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """One way to the node and back.

    Attributes:
        down_mbit_s: TCP payload towards the node; every box shares one processor.
        round_trip_us: of a 172-octet voice packet and its echo, the median.
        round_trip_p99_us: likewise, the 99th percentile.
    """

    kind: str
    outer: int
    inner: int
    mtu: int
    down_mbit_s: float
    up_mbit_s: float
    round_trip_us: float
    round_trip_p99_us: float


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many tunnels with hold devices on one router.

    Attributes:
        create_ms: of a tunnel, the mean of the last tenth of them.
        kernel_kib: what each has added to the kernel's memory.
        process_kib: what each has added to the agent's.
        round_trip_us: through the first tunnel.
        hold_us: the first one's `hold`.
        release_us: from its `resume` until the held packet is with the node.
        remove_ms: of a tunnel, the mean over all.
    """

    kind: str
    tunnels: int
    create_ms: float
    kernel_kib: float
    process_kib: float
    round_trip_us: float
    round_trip_p99_us: float
    hold_us: float
    release_us: float
    remove_ms: float


def main(output: str, octets: str, rounds: str, crowds: str) -> None:
    """Measure all of it."""
    # Elsewhere udev loads what fits the processor; without it AES is done in C.
    subprocess.run(["modprobe", "-q", "aesni_intel"], check=False)
    costs = []
    with TunnelLab() as lab:
        for box, interfaces in _WIRED.items():
            disable_offloads(lab.name(box), interfaces)
        for outer, inner in ((4, 4), (6, 6)):
            routed_by_b(lab, inner)
            costs.append(untunnelled(lab, inner, int(octets), int(rounds)))
            say(costs[-1])
            for kind in ("plain", "esp", "wireguard"):
                costs.append(tunnelled(lab, kind, outer, inner, int(octets), int(rounds)))
                say(costs[-1])
    found = []
    for kind in ("plain", "esp"):
        with TunnelLab() as lab:
            counts = [int(count) for count in crowds.split(",")]
            found += list(crowded(lab, kind, counts, int(rounds)))
    told = {"costs": [asdict(each) for each in costs], "crowds": [asdict(each) for each in found]}
    Path(output).write_text(json.dumps(told))


def say(measured: object) -> None:
    print(f"  {measured}", flush=True)


def routed_by_b(lab: TunnelLab, version: int) -> None:
    """The tunnels' way, without one: core sends to b, and what comes back from there to a."""
    address, flag = _ROUTED[version], f"-{version}"
    host = f"{address}/{address.max_prefixlen}"
    core_b, core_a = ("10.0.2.254", "10.0.1.1") if version == 4 else ("fd00:a2::254", "fd00:a1::1")
    to_b = "10.0.2.1" if version == 4 else "fd00:a2::1"
    old = tunnel_lab.OLD[version]
    lab.ip("mn", flag, "addr", "add", host, "dev", "lo")
    lab.ip("b", flag, "route", "add", host, "via", core_b)
    lab.ip("a", flag, "route", "add", host, "via", str(old))
    lab.ip("core", flag, "rule", "add", "iif", "rb", "to", host, "lookup", "77")
    lab.ip("core", flag, "route", "add", host, "via", core_a, "table", "77")
    lab.ip("core", flag, "rule", "add", "iif", "ra", "from", host, "lookup", "78")
    lab.ip("core", flag, "route", "add", "default", "via", to_b, "table", "78")


def untunnelled(lab: TunnelLab, inner: int, octets: int, rounds: int) -> Cost:
    return measured(lab, "none", 0, inner, 1500, _ROUTED[inner], octets, rounds)


def tunnelled(lab: TunnelLab, kind: str, outer: int, inner: int, octets: int, rounds: int) -> Cost:
    router, node = lab.ends(kind, outer, (inner,))
    lab.create(router, node)
    try:
        mtu = router.plan.effective_mtu
        return measured(lab, kind, outer, inner, mtu, NEW[inner], octets, rounds)
    finally:
        lab.remove(router, node)


def measured(
    lab: TunnelLab,
    kind: str,
    outer: int,
    inner: int,
    mtu: int,
    address: tunnel_lab.Ip,
    octets: int,
    rounds: int,
) -> Cost:
    trips = round_trips(lab, address, rounds)
    down = throughput(lab, ("cn", CN[inner]), ("mn", address), octets)
    up = throughput(lab, ("mn", address), ("cn", CN[inner]), octets)
    return Cost(kind, outer, inner, mtu, down, up, *trips)


def round_trips(lab: TunnelLab, address: tunnel_lab.Ip, rounds: int) -> tuple[float, float]:
    """Median and 99th percentile, microseconds."""
    flow = tunnel_lab.Flow(lab, address)
    flow.settle()
    there, back = flow.near.getsockname(), flow.far.getsockname()
    flow.near.setblocking(True)
    flow.far.setblocking(True)
    voice = bytes(172)
    taken = []
    for _ in range(rounds):
        start = time.perf_counter_ns()
        flow.far.sendto(voice, there)
        flow.near.sendto(flow.near.recv(2048), back)
        flow.far.recv(2048)
        taken.append((time.perf_counter_ns() - start) / 1000)
    flow.close()
    parts = statistics.quantiles(taken, n=100, method="inclusive")
    return statistics.median(taken), parts[98]


def throughput(
    lab: TunnelLab,
    source: tuple[str, tunnel_lab.Ip],
    to: tuple[str, tunnel_lab.Ip],
    octets: int,
) -> float:
    """Megabits of TCP payload in a second."""
    with contextlib.ExitStack() as stack:
        ends = []
        for box, address in (source, to):
            kin = socket.AF_INET if address.version == 4 else socket.AF_INET6
            with lab.inside_of(box):
                end = stack.enter_context(socket.socket(kin, socket.SOCK_STREAM))
            end.bind((str(address), 0))
            ends.append(end)
        client, server = ends
        server.listen()
        client.connect(server.getsockname()[:2])
        taken, _ = server.accept()
        stack.enter_context(taken)
        room = bytearray(1 << 18)
        # The first part makes TCP sure of the path; it is not measured.
        for part in (octets // 10, octets):
            sender = threading.Thread(target=client.sendall, args=(bytes(part),))
            start = time.perf_counter_ns()
            sender.start()
            got = 0
            while got < part:
                got += taken.recv_into(room)
            spent_ns = time.perf_counter_ns() - start
            sender.join()
    return octets * 8000 / spent_ns


def crowded(lab: TunnelLab, kind: str, counts: list[int], rounds: int) -> Iterator[Crowd]:
    """The first tunnel alone, then among so many others."""
    router, node = lab.ends(kind, 4, (4,))
    lab.create(router, node)
    state, mac = lab.state("b"), lab.mac("mn", "wlan0")
    with lab.inside_of("b"):
        link = RouterLink(state, "lan")
    others: list[RouterTunnel] = []
    for count in counts:
        settle_memory()
        kernel, process = kernel_kib(), process_kib()
        spent = []
        before = len(others)
        with lab.inside_of("b"):
            while len(others) < count - 1:
                start = time.perf_counter_ns()
                other = RouterTunnel(link, other_plan(len(others), kind), mac)
                other.create()
                spent.append((time.perf_counter_ns() - start) / 1e6)
                others.append(other)
        settle_memory()
        made = max(1, len(others) - before)
        yield_kernel = (kernel_kib() - kernel) / made
        yield_process = (process_kib() - process) / made
        trips = round_trips(lab, NEW[4], rounds)
        held = [switched(lab, router) for _ in range(10)]
        last = spent[-max(1, len(spent) // 10) :]
        crowd = Crowd(
            kind,
            count,
            statistics.mean(last) if last else 0.0,
            yield_kernel if spent else 0.0,
            yield_process if spent else 0.0,
            *trips,
            statistics.median(each[0] for each in held),
            statistics.median(each[1] for each in held),
            removal(lab, others) if count == counts[-1] else 0.0,
        )
        say(crowd)
        yield crowd
    lab.remove(router, node)


def switched(lab: TunnelLab, router: RouterTunnel) -> tuple[float, float]:
    """Hold, one packet held, resumed: what each took, microseconds."""
    flow = tunnel_lab.Flow(lab, NEW[4])
    start = time.perf_counter_ns()
    router.hold()
    hold_us = (time.perf_counter_ns() - start) / 1000
    flow.down(1)
    flow.near.setblocking(True)
    start = time.perf_counter_ns()
    router.resume()
    flow.near.recv(99)
    release_us = (time.perf_counter_ns() - start) / 1000
    tunnel_lab.soon(router.restage)
    flow.close()
    return hold_us, release_us


def removal(lab: TunnelLab, others: list[RouterTunnel]) -> float:
    start = time.perf_counter_ns()
    with lab.inside_of("b"):
        for other in others:
            other.remove()
    return (time.perf_counter_ns() - start) / 1e6 / max(1, len(others))


def other_plan(number: int, kind: str) -> TunnelPlan:
    """Of a node that is elsewhere."""
    protection: Protection = Plain()
    if kind == "esp":
        protection = Esp(0x10000 + number, 0x20000 + number, os.urandom(20), os.urandom(20))
    outer = IPv4Address("10.64.0.1") + number
    inner = IPv4Address("10.2.8.1") + number
    return TunnelPlan(f"mpat{number}", tunnel_lab.ROUTER_B[4], outer, (inner,), protection)


def settle_memory() -> None:
    """Give what the kernel keeps for later back, so that only what is in use counts."""
    Path("/proc/sys/vm/drop_caches").write_text("3")


def kernel_kib() -> float:
    """What the kernel has in use for itself."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    values = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return float(values["Slab"] + values["VmallocUsed"] + values["KernelStack"] + values["Percpu"])


def process_kib() -> float:
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main(*sys.argv[1:])
