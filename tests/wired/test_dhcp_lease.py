"""dnsmasq and dhcpcd on a wire: leases, conflict checks that really check, and refusals."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest
from services_lab import boxes, needs

from radios.errors import LocalError, MachineError, RemoteError
from rigs.links import Link
from rigs.netns import NamespaceHost
from rigs.services import capture, dhcp_client, dhcp_server
from rigs.services.dhcp_client import DhcpClientConfig
from rigs.services.dhcp_server import DhcpServerConfig
from rigs.services.service import Service

pytestmark = needs("dnsmasq", "dhcpcd", "tcpdump", "unshare")

LINK = Link("router", "mn", "10.93.0.1/24", a_interface="lan", b_interface="eth0")
SERVER = DhcpServerConfig(
    interface="lan",
    subnet="10.93.0.0/24",
    first="10.93.0.100",
    last="10.93.0.110",
    router="10.93.0.1",
    conflict_check=False,
)
CLIENT = DhcpClientConfig(interface="eth0", conflict_check=False)


@dataclass
class Lab:
    router: NamespaceHost
    mn: NamespaceHost
    hosts: dict[str, NamespaceHost]

    async def addresses(self) -> str:
        done = await self.mn.run("ip", "-4", "-o", "address", "show", "dev", "eth0")
        return done.stdout.decode()

    async def routes(self) -> str:
        return (await self.mn.run("ip", "route")).stdout.decode()


def in_lab(scenario: Callable[[Lab], Awaitable[None]]) -> None:
    async def run() -> None:
        async with boxes(LINK) as hosts:
            await scenario(Lab(hosts["router"], hosts["mn"], hosts))

    asyncio.run(run())


def in_lan(scenario: Callable[[Lab], Awaitable[None]], more: Link) -> None:
    """Like `in_lab`, but the router's `lan` is a bridge of the usual link and one more."""

    async def run() -> None:
        async with boxes(replace(LINK, a_address="", a_interface="lan0"), more) as hosts:
            router = hosts["router"]
            await router.run("ip", "link", "add", "lan", "type", "bridge")
            for port in ("lan0", "lan1"):
                await router.run("ip", "link", "set", port, "master", "lan")
            await router.run("ip", "address", "add", "10.93.0.1/24", "dev", "lan")
            await router.run("ip", "link", "set", "lan", "up")
            await scenario(Lab(router, hosts["mn"], hosts))

    asyncio.run(run())


async def messages(server: Service) -> list[str]:
    """Kinds of the messages that the server has logged."""
    parsed = [dhcp_server.parse_message(line) for line in (await server.log()).splitlines()]
    return [message.kind for message in parsed if message]


async def read_packets(host: NamespaceHost, path: str) -> str:
    return (await host.run("tcpdump", "-n", "-r", path)).stdout.decode()


def test_a_lease_sets_address_and_default_route_and_leaves_with_the_client() -> None:
    async def scenario(lab: Lab) -> None:
        server = await dhcp_server.start(lab.router, SERVER)
        client = await dhcp_client.start(lab.mn, CLIENT)
        lease = await dhcp_client.wait_bound(client)
        assert lease.reason == "BOUND"
        assert lease.address.startswith("10.93.0.1")
        assert (lease.prefix_length, lease.routers) == (24, ("10.93.0.1",))
        assert (lease.server, lease.lease_s) == ("10.93.0.1", 600)
        assert lease.address in await lab.addresses()
        assert "default via 10.93.0.1 dev eth0" in await lab.routes()
        assert await messages(server) == [
            "DHCPDISCOVER",
            "DHCPOFFER",
            "DHCPREQUEST",
            "DHCPACK",
        ]
        await client.stop()
        assert await lab.addresses() == ""
        assert "default" not in await lab.routes()
        ends = [event.reason async for event in dhcp_client.events(client)]
        assert ends[0] == "PREINIT"
        assert "STOPPED" in ends

    in_lab(scenario)


def test_a_stop_right_after_the_lease_takes_the_address_away() -> None:
    """dhcpcd loses most of the SIGTERMs that reach it at this moment."""

    async def scenario(lab: Lab) -> None:
        await dhcp_server.start(lab.router, SERVER)
        for number in range(5):
            client = await dhcp_client.start(lab.mn, replace(CLIENT, name=f"client{number}"))
            await dhcp_client.wait_bound(client)
            await client.stop()
            assert client.daemon.returncode == 0
            assert await lab.addresses() == ""

    in_lab(scenario)


def test_rapid_commit_halves_the_messages() -> None:
    async def scenario(lab: Lab) -> None:
        server = await dhcp_server.start(lab.router, replace(SERVER, rapid_commit=True))
        client = await dhcp_client.start(lab.mn, replace(CLIENT, rapid_commit=True))
        await dhcp_client.wait_bound(client)
        assert await messages(server) == ["DHCPDISCOVER", "DHCPACK"]

    in_lab(scenario)


def test_the_server_pings_before_it_offers() -> None:
    async def scenario(lab: Lab) -> None:
        packets = await capture.start(
            lab.router, capture.CaptureConfig("lan", "lan.pcap", filter="icmp or arp")
        )
        await dhcp_server.start(lab.router, replace(SERVER, conflict_check=True))
        began = time.monotonic()
        client = await dhcp_client.start(lab.mn, CLIENT)
        lease = await dhcp_client.wait_bound(client)
        assert 1.5 < time.monotonic() - began < 8
        counts = await packets.stop()
        assert counts.captured > 0
        assert counts.dropped == 0
        seen = await read_packets(lab.router, packets.path)
        assert f"who-has {lease.address} tell 10.93.0.1" in seen
        assert f"10.93.0.1 > {lease.address}: ICMP echo request" in seen

    in_lab(scenario)


def test_without_the_check_nothing_is_pinged_and_nothing_waits() -> None:
    async def scenario(lab: Lab) -> None:
        packets = await capture.start(
            lab.router, capture.CaptureConfig("lan", "lan.pcap", filter="icmp or arp")
        )
        await dhcp_server.start(lab.router, SERVER)
        began = time.monotonic()
        client = await dhcp_client.start(lab.mn, CLIENT)
        await dhcp_client.wait_bound(client)
        assert time.monotonic() - began < 2
        await packets.stop()
        assert "ICMP echo request" not in await read_packets(lab.router, packets.path)

    in_lab(scenario)


PRINTER = Link("router", "printer", a_interface="lan1", b_interface="eth0")
ONLY_TWO = replace(SERVER, first="10.93.0.100", last="10.93.0.101")


@pytest.mark.parametrize("squatted", ["10.93.0.100", "10.93.0.101"])
def test_an_address_in_use_is_not_offered_when_the_server_checks(squatted: str) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.hosts["printer"].run("ip", "address", "add", f"{squatted}/24", "dev", "eth0")
        await dhcp_server.start(lab.router, replace(ONLY_TWO, conflict_check=True))
        client = await dhcp_client.start(lab.mn, CLIENT)
        lease = await dhcp_client.wait_bound(client, timeout_s=60)
        assert lease.address in {"10.93.0.100", "10.93.0.101"} - {squatted}

    in_lan(scenario, PRINTER)


def test_a_client_that_probes_declines_an_address_in_use() -> None:
    """The server does not check; whatever it offers first is in use by a third box."""

    async def scenario(lab: Lab) -> None:
        for last in (100, 101):
            await lab.hosts["printer"].run(
                "ip", "address", "add", f"10.93.0.{last}/24", "dev", "eth0"
            )
        server = await dhcp_server.start(lab.router, ONLY_TWO)
        client = await dhcp_client.start(lab.mn, replace(CLIENT, conflict_check=True))
        await server.expect(lambda line: "DHCPDECLINE" in line, what="a decline", timeout_s=60)
        assert await lab.addresses() == ""
        said = [dhcp_client.parse_event(line) for line in (await client.log()).splitlines()]
        assert not any(event.bound for event in said if event)

    in_lan(scenario, PRINTER)


def test_an_exhausted_pool_is_said_by_the_server_and_never_becomes_a_lease() -> None:
    async def scenario(lab: Lab) -> None:
        config = replace(SERVER, first="10.93.0.100", last="10.93.0.100")
        server = await dhcp_server.start(lab.router, config)
        await dhcp_client.wait_bound(await dhcp_client.start(lab.mn, CLIENT))
        other = DhcpClientConfig("eth1", conflict_check=False, name="second")
        client = await dhcp_client.start(lab.mn, other)
        line = await server.expect(lambda text: "no address available" in text, what="refusal")
        message = dhcp_server.parse_message(line)
        assert message is not None
        assert (message.kind, message.note) == ("DHCPDISCOVER", "no address available")
        with pytest.raises(RemoteError, match=r"mn/second: .*'a lease' within 0\.5 s"):
            await dhcp_client.wait_bound(client, timeout_s=0.5)

    in_lan(scenario, Link("router", "mn", a_interface="lan1", b_interface="eth1"))


def test_clients_share_no_state_with_the_machine() -> None:
    async def scenario(lab: Lab) -> None:
        def outside() -> list[list[str]]:
            folders = ("/var/lib/dhcpcd", "/run/dhcpcd")
            return [sorted(os.listdir(f)) if os.path.isdir(f) else ["absent"] for f in folders]

        before = outside()
        await dhcp_server.start(lab.router, SERVER)
        client = await dhcp_client.start(lab.mn, CLIENT)
        await dhcp_client.wait_bound(client)
        assert outside() == before
        assert os.readlink(f"/proc/{client.daemon.pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt")
        await client.stop()
        assert outside() == before

    in_lab(scenario)


def test_a_client_that_only_tells_changes_nothing() -> None:
    async def scenario(lab: Lab) -> None:
        await dhcp_server.start(lab.router, SERVER)
        client = await dhcp_client.start(lab.mn, replace(CLIENT, configure=False))
        lease = await dhcp_client.wait_bound(client)
        assert lease.address
        assert await lab.addresses() == ""
        assert "default" not in await lab.routes()

    in_lab(scenario)


def test_an_agent_can_run_the_client_itself() -> None:
    """`files` and `command` are all that it takes."""

    async def scenario(lab: Lab) -> None:
        await dhcp_server.start(lab.router, SERVER)
        for path, (data, mode) in dhcp_client.files(CLIENT, lab.mn.workdir).items():
            await lab.mn.put(path, data, mode)
        daemon = await lab.mn.spawn(
            *dhcp_client.command(CLIENT, lab.mn.workdir), name="own", stdout=True
        )
        async for line in daemon.lines():
            event = dhcp_client.parse_event(line)
            if event is not None and event.bound:
                return
        pytest.fail("no lease")

    in_lab(scenario)


HOLD_PORT = """
import socket, time
channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
channel.bind(("0.0.0.0", 67))
print("ready", flush=True)
time.sleep(600)
"""


def test_failures_to_start_are_explained() -> None:
    async def scenario(lab: Lab) -> None:
        holder = await lab.router.spawn(sys.executable, "-c", HOLD_PORT, name="holder", stdout=True)
        assert await anext(holder.lines()) == b"ready"
        with pytest.raises(MachineError, match="port 67 taken on host router"):
            await dhcp_server.start(lab.router, SERVER)
        await holder.stop()
        with pytest.raises(MachineError, match="host router has no interface eth9"):
            await dhcp_server.start(lab.router, replace(SERVER, interface="eth9"))
        with pytest.raises(MachineError, match="host mn has no interface eth9"):
            await dhcp_client.start(lab.mn, replace(CLIENT, interface="eth9"))
        with pytest.raises(MachineError, match="host mn has no interface eth9"):
            await capture.start(lab.mn, capture.CaptureConfig("eth9", "x.pcap"))
        with pytest.raises(LocalError, match="filter 'foo bar' is not understood"):
            await capture.start(lab.mn, capture.CaptureConfig("eth0", "x.pcap", filter="foo bar"))

    in_lab(scenario)


def test_deaths_are_noticed_and_named() -> None:
    async def scenario(lab: Lab) -> None:
        packets = await capture.start(lab.mn, capture.CaptureConfig("eth0", "x.pcap"))
        services = [
            await dhcp_server.start(lab.router, SERVER),
            await dhcp_client.start(lab.mn, CLIENT),
            packets.service,
        ]
        for service in services:
            watch = asyncio.create_task(service.watch())
            await service.daemon.signal(signal.SIGKILL)
            with pytest.raises(RemoteError, match=f"{service.where}: .* ended with signal 9"):
                await asyncio.wait_for(watch, 60)
        with pytest.raises(RemoteError, match="tcpdump-eth0 ended with signal 9"):
            await packets.stop()

    in_lab(scenario)


BURST = """
import socket
channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(40):
    channel.sendto(bytes([number]), ("10.93.0.1", 9))
"""


def test_a_capture_has_every_packet_until_its_stop() -> None:
    async def scenario(lab: Lab) -> None:
        await lab.mn.run("ip", "address", "add", "10.93.0.50/24", "dev", "eth0")
        packets = await capture.start(
            lab.router, capture.CaptureConfig("lan", "burst.pcap", filter="udp port 9")
        )
        await lab.mn.run(sys.executable, "-c", BURST)
        counts = await packets.stop()
        assert (counts.captured, counts.dropped) == (40, 0)
        assert await packets.stop() == counts
        assert (await lab.router.get("burst.pcap"))[:4] == b"\x4d\x3c\xb2\xa1"  # nanoseconds
        assert (await read_packets(lab.router, packets.path)).count("10.93.0.1.9: UDP") == 40

    in_lab(scenario)
