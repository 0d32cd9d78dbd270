"""Topologies in real kernels: namespaces, and a machine over SSH."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from contract_lab import unique_lab
from far_machine import FarMachine, far_machine, lacking

from radios.errors import LocalError, MachineError, RemoteError
from rigs.host import Host
from rigs.netns import NamespaceHost
from rigs.network import Bridge, Link, Port, Route, Sysctl, Topology, build, netem_available
from rigs.network_plan import mac_of
from rigs.ssh import SshHost
from rigs.sweep import leftovers, sweep

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces take root")

LAB = unique_lab("nl")
FAR_LAB = unique_lab("nf")
SSH_LAB = unique_lab("ns")

ECHO = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 9))
print("bound", flush=True)
while True:
    datagram, peer = server.recvfrom(65536)
    server.sendto(datagram, peer)
"""
PROBE = """
import socket, sys, time
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
probe.settimeout(float(sys.argv[2]))
for turn in range(2):  # the first one pays for ARP
    started = time.monotonic_ns()
    probe.sendto(b"x" * 1000, (sys.argv[1], 9))
    try:
        probe.recv(2000)
    except TimeoutError:
        print("lost")
        break
    print((time.monotonic_ns() - started) / 1e6)
"""
OFFLOADS = """
import array, fcntl, socket, struct, sys
control = socket.socket()
for command in (0x16, 0x1E, 0x23, 0x2B):  # ETHTOOL_G: TXCSUM, TSO, GSO, GRO
    value = array.array("I", [command, 9])
    request = struct.pack("16sP16x", sys.argv[1].encode(), value.buffer_info()[0])
    fcntl.ioctl(control, 0x8946, request)
    print(value[1], end=" ")
"""


@contextlib.asynccontextmanager
async def boxes(*names: str) -> AsyncIterator[dict[str, Host]]:
    """Namespaces, gone without a trace at the end."""
    made: dict[str, Host] = {}
    try:
        for name in names:
            made[name] = await NamespaceHost.create(name, LAB)
        yield made
    finally:
        for host in made.values():
            await host.close()
        await asyncio.to_thread(sweep, LAB)


async def echo_on(host: Host) -> None:
    daemon = await host.spawn("python3", "-c", ECHO, name="echo", stdout=True)
    assert await anext(daemon.lines()) == b"bound"


async def round_trip_ms(host: Host, address: str, timeout_s: float = 5.0) -> float | None:
    """The second of two round trips in ms, or None when one was lost."""
    done = await host.run("python3", "-c", PROBE, address, str(timeout_s))
    last = done.stdout.split()[-1].decode()
    return None if last == "lost" else float(last)


ROUTED = Topology(
    links=[
        Link("mn", "ar", "10.0.0.2/24", b_interface="lan0"),
        Link("ap", "ar", "10.0.0.3/24", b_interface="lan1"),
        Link("ar", "core", "10.0.1.1/24", "10.0.1.2/24", mtu=1400),
    ],
    bridges=[Bridge("ar", "br0", ["lan0", "lan1"], ["10.0.0.1/24"])],
    routes=[
        Route("mn", "default", "10.0.0.1"),
        Route("core", "10.0.0.0/24", "10.0.1.1"),
    ],
    forwarding=frozenset({"ar"}),
    sysctls=[Sysctl("mn", "net.ipv4.ip_default_ttl", "33")],
)


CLIENT_PORT = Topology(
    links=[
        Link("ar", "ar", a_interface="ca0", b_interface="ca-port"),
        Link("mn", "ar", "10.0.0.2/24", b_interface="lan0"),
    ],
    bridges=[Bridge("ar", "lan", ["lan0", "ca-port"], ["10.0.0.1/24", "fd00::1/64"])],
    ipv6=frozenset({"ar"}),
    sysctls=[
        Sysctl("ar", f"net/ipv6/conf/{port}/disable_ipv6", "1") for port in ("ca0", "ca-port")
    ],
)
HEARD = """
import socket
heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
heard.bind(("ca0", 0x0806))
print("bound", flush=True)
while True:
    frame = heard.recv(2000)
    if frame[28:32] == socket.inet_aton("10.0.0.2"):
        print(frame[6:12].hex(":"), flush=True)
"""


def test_a_router_has_a_client_port_on_its_own_lan() -> None:
    async def scenario() -> None:
        async with boxes("ar", "mn") as hosts:
            await build(CLIENT_PORT, hosts)
            daemon = await hosts["ar"].spawn("python3", "-c", HEARD, name="heard", stdout=True)
            lines = daemon.lines()
            assert await anext(lines) == b"bound"
            await echo_on(hosts["ar"])
            assert await round_trip_ms(hosts["mn"], "10.0.0.1") is not None
            # What the LAN hears, it hears; the router's own stack is silent there.
            assert (await anext(lines)).decode() == mac_of("mn", "ar")
            shown = await hosts["ar"].run("ip", "-json", "address", "show", "dev", "ca0")
            (link,) = json.loads(shown.stdout)
            assert "UP" in link["flags"]
            assert link["addr_info"] == []

    asyncio.run(scenario())


def test_packets_pass_bridge_and_router() -> None:
    async def scenario() -> None:
        async with boxes("mn", "ap", "ar", "core") as hosts:
            await build(ROUTED, hosts)
            await echo_on(hosts["core"])
            await echo_on(hosts["ap"])
            assert await round_trip_ms(hosts["mn"], "10.0.1.2") is not None
            assert await round_trip_ms(hosts["mn"], "10.0.0.3") is not None
            shown = await hosts["core"].run("ip", "-json", "link", "show", "dev", "ar")
            (link,) = json.loads(shown.stdout)
            assert (link["mtu"], link["address"]) == (1400, mac_of("core", "ar"))
            for host in hosts.values():
                assert (await host.run("cat", "/proc/net/if_inet6", check=False)).stdout == b""
            ttl = await hosts["mn"].run("cat", "/proc/sys/net/ipv4/ip_default_ttl")
            assert ttl.stdout == b"33\n"
            offloads = await hosts["mn"].run("python3", "-c", OFFLOADS, "ar")
            assert offloads.stdout.split() == [b"0"] * 4

    asyncio.run(scenario())
    assert leftovers(LAB) == []


def test_ipv6_only_where_it_is_wanted() -> None:
    async def scenario() -> None:
        topology = Topology(
            links=[Link("a", "b", "2001:db8::1/64", "10.0.0.1/24")], ipv6=frozenset({"a"})
        )
        async with boxes("a", "b") as hosts:
            if (await hosts["a"].run("test", "-e", "/proc/net/if_inet6", check=False)).returncode:
                pytest.skip("this kernel has no IPv6")
            await build(topology, hosts)
            shown = (await hosts["a"].run("ip", "-6", "-o", "address", "show", "dev", "b")).stdout
            assert b"2001:db8::1/64" in shown
            assert b"tentative" not in shown
            assert (await hosts["b"].run("cat", "/proc/net/if_inet6")).stdout == b""

    asyncio.run(scenario())


def test_delay_is_one_way_and_by_direction() -> None:
    async def scenario() -> None:
        topology = Topology(
            links=[
                Link("a", "b", "10.0.0.1/24", "10.0.0.2/24", delay_ms=20, jitter_ms=0.5),
                Link("a", "c", "10.0.1.1/24", "10.0.1.2/24", loss_percent=100),
            ],
            seed=1,
        )
        async with boxes("a", "b", "c") as hosts:
            if not await netem_available(hosts["a"]):
                with pytest.raises(MachineError, match=r"a: its kernel has no netem(.|\n)*guest"):
                    await build(topology, hosts)
                links = await hosts["a"].run("ip", "-o", "link")
                assert len(links.stdout.splitlines()) == 1, "refused after it had begun"
                pytest.skip("this kernel has no netem: delay and loss were only refused")
            await build(topology, hosts)
            await echo_on(hosts["b"])
            await echo_on(hosts["c"])
            took_ms = await round_trip_ms(hosts["a"], "10.0.0.2")
            assert took_ms is not None
            assert 36 < took_ms < 60
            assert await round_trip_ms(hosts["a"], "10.0.1.2", timeout_s=0.5) is None

    asyncio.run(scenario())


def test_tc_understands_every_word() -> None:
    """Where the kernel has no netem, that is all it complains of."""

    async def scenario() -> None:
        from rigs.links import Impairment
        from rigs.network_plan import netem

        words = netem(Impairment(delay_ms=20.5, jitter_ms=2, loss_percent=0.1, rate_mbit=1.5))
        async with boxes("a") as hosts:
            done = await hosts["a"].run(
                "tc", "-batch", "-", stdin=f"qdisc add dev lo root {words}\n".encode(), check=False
            )
            assert done.returncode == 0 or b"qdisc kind is unknown" in done.stderr

    asyncio.run(scenario())


def test_what_cannot_be_built_is_refused() -> None:
    async def scenario() -> None:
        async with boxes("a", "b") as hosts:
            with pytest.raises(LocalError, match="unknown host: c"):
                await build(Topology(links=[Link("a", "c")]), hosts)
            unreachable = Topology(
                links=[Link("a", "b", "10.0.0.1/24")],
                routes=[Route("a", "10.9.0.0/16", "10.8.0.1")],
            )
            with pytest.raises(RemoteError, match=r"(?s)a: .*\(route replace 10.9.0.0/16 via"):
                await build(unreachable, hosts)
            # Now the interfaces are there already.
            with pytest.raises(RemoteError, match=r"(?s)links: .*File exists.*\(link add name b"):
                await build(Topology(links=[Link("a", "b")]), hosts)
            with pytest.raises(RemoteError, match=r"a: .*there is no interface wlan9"):
                await build(Topology(ports=[Port("a", "wlan9")]), hosts)

    asyncio.run(scenario())
    assert leftovers(LAB) == []


@contextlib.asynccontextmanager
async def far_port(folder: Path) -> AsyncIterator[FarMachine]:
    """A far machine with a port, `lab0`, that has an address of its own and another MTU."""
    async with far_machine(FAR_LAB, folder) as machine:
        lines = "link add lab0 type veth peer name lab1\naddress add 192.0.2.9/24 dev lab0\n"
        lines += "link set lab0 mtu 1480\n"
        await machine.host.run("ip", "-batch", "-", stdin=lines.encode())
        yield machine


FAR_STATE = """
for path in all/rp_filter lab0/rp_filter lab0/arp_ignore lab0/send_redirects; do
    echo $path $(cat /proc/sys/net/ipv4/conf/$path)
done
cat /proc/sys/net/ipv4/ip_forward
ip -o address show
ip route
ip link show dev lab0 | grep -o 'mtu [0-9]*'
"""


@pytest.mark.skipif(bool(lacking()), reason=lacking())
@pytest.mark.parametrize("lost", [False, True])
def test_a_machine_is_left_as_it_was(tmp_path: Path, lost: bool) -> None:
    async def scenario() -> None:
        async with far_port(tmp_path) as machine:
            before = (await machine.host.run("sh", "-es", stdin=FAR_STATE.encode())).stdout
            host = await SshHost.create("bench", SSH_LAB, machine.target)
            topology = Topology(
                ports=[Port("bench", "lab0", ["10.7.0.1/24", "192.0.2.9/24"], mtu=1400)],
                bridges=[Bridge("bench", "br7")],
                routes=[Route("bench", "10.8.0.0/16", "10.7.0.2")],
                forwarding=frozenset({"bench"}),
            )
            # The other end must be up for the route to be usable.
            await machine.host.run("ip", "link", "set", "lab1", "up")
            await build(topology, {"bench": host})
            shown = (await host.run("sh", "-es", stdin=FAR_STATE.encode())).stdout
            for part in (b"10.7.0.1/24", b"10.8.0.0/16 via 10.7.0.2", b"mtu 1400", b"\n1\n"):
                assert part in shown
            with pytest.raises(LocalError, match=r"cannot be laid: bench is a machine"):
                await build(Topology(links=[Link("bench", "x")]), {"bench": host, "x": host})
            with pytest.raises(LocalError, match=r"no interface lab7"):
                await build(Topology(ports=[Port("bench", "lab7")]), {"bench": host})
            if lost:
                assert machine.kill_sessions() > 0
                async with asyncio.timeout(20):
                    while leftovers(SSH_LAB):  # noqa: ASYNC110 - the far end reports to nobody
                        await asyncio.sleep(0.02)
            await host.close()
            await machine.host.run("ip", "link", "set", "lab1", "down")
            after = (await machine.host.run("sh", "-es", stdin=FAR_STATE.encode())).stdout
            assert after.decode().splitlines() == before.decode().splitlines()

    asyncio.run(scenario())
    assert leftovers(SSH_LAB) == []
    assert leftovers(FAR_LAB) == []
