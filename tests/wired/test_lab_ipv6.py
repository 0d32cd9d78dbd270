"""A lab's IPv6 in real kernels: routed from end to end, advertised and leased by dnsmasq."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path

import pytest
from contract_lab import unique_lab
from services_lab import needs

from mpa_hil import scenario
from mpa_hil.lab import plan, servers
from rigs.host import Host
from rigs.links import Link, Topology
from rigs.netns import NamespaceHost
from rigs.network import build
from rigs.services import dhcp_client, dhcp_server
from rigs.services.dhcp_client import DhcpClientConfig, LeaseEvent
from rigs.sweep import sweep

pytestmark = needs("dnsmasq", "dhcpcd", "unshare")

LABS = Path(__file__).parents[2] / "lab_configs"
NEAR = tuple(f"link.{site}.delay_ms=0" for site in ("home", "A", "B", "correspondent"))
LEASED = (
    "domain.A.dhcp6.addresses=stateful",
    "domain.A.dhcp6.first=2001:db8:1::1000",
    "domain.A.dhcp6.last=2001:db8:1::1fff",
)
LINK = IPv6Network("2001:db8:1::/64")
USED = ("mn", "a1", "A-router", "core", "cn-router", "cn", "home-agent", "home-aaa", "A-aaa")
BOUND_S = 60.0
CLIENT = DhcpClientConfig(plan.RADIO, conflict_check=False, versions="6")
KNOCK = """
import socket, sys
door = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
door.settimeout(30)
try:
    door.connect((sys.argv[1], 9))
except ConnectionRefusedError:
    print("refused")
except OSError as error:
    print(error)
"""


def wired(described: scenario.Scenario) -> Topology:
    """The lab's topology without B, the MN on a cable to a1 that is called like its radio."""
    whole = plan.topology(described, floor=False, agents=True)
    radio = Link("mn", "a1", a_interface=plan.RADIO, b_interface=plan.RADIO)
    links = [link for link in whole.links if {link.a, link.b} <= set(USED)]
    return replace(
        whole,
        links=[*links, radio],
        ports=[],
        bridges=[
            replace(bridge, ports=[*bridge.ports, plan.RADIO]) if bridge.host == "a1" else bridge
            for bridge in whole.bridges
            if bridge.host in USED
        ],
        routes=[
            route
            for route in whole.routes
            if route.host in USED and route.via not in ("198.18.0.10", "2001:2:0:2::2")
        ],
        forwarding=whole.forwarding & set(USED),
        ipv6=whole.ipv6 & set(USED),
        sysctls=[sysctl for sysctl in whole.sysctls if sysctl.host in USED],
    )


@contextlib.asynccontextmanager
async def standing(*settings: str) -> AsyncIterator[dict[str, Host]]:
    """The boxes, wired, with A's DHCP server and router advertisements."""
    described = scenario.load(LABS / "two_domains6.toml", (*NEAR, *settings))
    lab = f"{unique_lab('l6')}_{time.monotonic_ns() % 10**6}"
    hosts: dict[str, Host] = {}
    try:
        for name in USED:
            hosts[name] = await NamespaceHost.create(name, lab)
        await build(wired(described), hosts)
        config = servers.dhcp_server(described.domains[0], described.schemes.reactive_tuned)
        server = await dhcp_server.start(hosts["A-router"], config)
        yield hosts
        await server.stop()
    finally:
        for host in hosts.values():
            await host.close()
        await asyncio.to_thread(sweep, lab)


async def own_address(host: Host, interface: str = plan.RADIO) -> IPv6Address:
    """The address that the node has made or leased on A's link, once it is no longer tentative."""
    async with asyncio.timeout(BOUND_S):
        while True:
            shown = await host.run("ip", "-json", "-6", "address", "show", "dev", interface)
            for info in json.loads(shown.stdout)[0].get("addr_info", []):
                address = IPv6Address(info["local"])
                if address in LINK and not info.get("tentative"):
                    return address
            await asyncio.sleep(0.1)


async def reaches(host: Host, address: str) -> bool:
    """Whether the box at an address refuses a connection: so it is there, and the way back too."""
    return (await host.run("python3", "-c", KNOCK, address)).stdout == b"refused\n"


def test_a_node_makes_its_address_and_reaches_everybody() -> None:
    async def run() -> None:
        async with standing() as hosts:
            node = hosts["mn"]
            address = await own_address(node)
            assert address != IPv6Address("2001:db8:1::3")
            for far in ("2001:db8:1::1", "2001:db8::1", "2001:db8:9::2"):
                assert await reaches(node, far), far
            assert await reaches(hosts["cn"], str(address))
            routes = (await node.run("ip", "-6", "route", "show", "default")).stdout.decode()
            assert "proto ra" in routes
            # The agent's port hears the LAN and says nothing there.
            port = await hosts["A-router"].run("ip", "-json", "address", "show", "dev", "ca0")
            assert json.loads(port.stdout)[0]["addr_info"] == []

    asyncio.run(run())


def test_boxes_that_need_none_have_no_ipv6() -> None:
    async def run() -> None:
        async with standing() as hosts:
            for name in ("a1", "home-aaa", "A-aaa"):
                assert (await hosts[name].run("cat", "/proc/net/if_inet6")).stdout == b"", name

    asyncio.run(run())


def test_addresses_are_leased_where_the_lab_says_so() -> None:
    async def run() -> None:
        async with standing(*LEASED) as hosts:
            node = hosts["mn"]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3):
                    await own_address(node)
            routes = (await node.run("ip", "-6", "route", "show", "default")).stdout.decode()
            assert "proto ra" in routes
            client = await dhcp_client.start(node, CLIENT)
            lease = await dhcp_client.wait_bound(client)
            assert (lease.reason, lease.lease_s, lease.prefix_length) == ("BOUND6", 600, 128)
            address = await own_address(node)
            assert IPv6Address("2001:db8:1::1000") <= address <= IPv6Address("2001:db8:1::1fff")
            assert lease.address == str(address)
            assert await reaches(node, "2001:db8:9::2")
            await client.stop()

    asyncio.run(run())


def test_a_client_tells_of_its_address_and_makes_it_anew_after_the_carrier_was_lost() -> None:
    async def run() -> None:
        async with standing() as hosts:
            node = hosts["mn"]
            client = await dhcp_client.start(node, replace(CLIENT, versions="4 and 6"))
            leases = dhcp_client.events(client)

            async def bound(version: str) -> LeaseEvent:
                async with asyncio.timeout(BOUND_S):
                    async for lease in leases:
                        if lease.bound and (":" in lease.address) is (version == "6"):
                            return lease
                raise AssertionError("it ended")

            assert (await bound("4")).address.startswith("10.1.0.")
            first = await bound("6")
            assert (first.reason, first.prefix_length) == ("ROUTERADVERT", 64)
            assert IPv6Address(first.address) in LINK
            assert IPv6Address(first.routers[0]).is_link_local
            assert await reaches(node, "2001:db8:9::2")
            far = hosts["a1"]
            await far.run("ip", "link", "set", plan.RADIO, "down")
            async with asyncio.timeout(BOUND_S):
                async for lease in leases:
                    if lease.reason == "NOCARRIER":
                        break
            await far.run("ip", "link", "set", plan.RADIO, "up")
            again = await bound("6")
            assert again.address == first.address
            await client.stop()

    asyncio.run(run())
