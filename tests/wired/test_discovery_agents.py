"""Where a network's agents are: dnsmasq tells by DHCPv4, DHCPv6 and DNS."""

from __future__ import annotations

import asyncio
import os
import struct
import textwrap
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest
from services_lab import boxes, needs

from mpa_hil.discovery import dhcp, names
from mpa_hil.errors import RemoteError
from mpa_hil.mobility.interface import Endpoint
from rigs.links import Link
from rigs.netns import NamespaceHost
from rigs.services import dhcp_client, dhcp_server
from rigs.services.dhcp_client import DhcpClientConfig
from rigs.services.dhcp_server import DhcpServerConfig

pytestmark = needs("dnsmasq", "dhcpcd", "unshare", "getent")

LINK = Link("router", "mn", "10.94.0.1/24", "10.94.0.3/24", a_interface="lan", b_interface="eth0")
AGENTS = ("10.94.0.9", "10.94.0.1", "10.94.0.5")
AGENTS_6 = ("2001:db8:94::9", "2001:db8:94::1")
SERVER = DhcpServerConfig(
    interface="lan",
    subnet="10.94.0.0/24",
    first="10.94.0.100",
    last="10.94.0.110",
    router="10.94.0.1",
    dns=("10.94.0.1",),
    conflict_check=False,
    paa=(*AGENTS, *AGENTS_6),
    prefix6="2001:db8:94::/64",
    names=(
        ("aa.b.example", ("10.2.0.1", "2001:db8:b::1")),
        ("aa.c.example", ("10.3.0.1",)),
    ),
)


def in_lab(scenario: Callable[[NamespaceHost, NamespaceHost], Awaitable[None]]) -> None:
    async def run() -> None:
        async with boxes(LINK) as hosts:
            for box, interface in (("router", "lan"), ("mn", "eth0")):
                switch = f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6"
                await hosts[box].run("sh", "-c", f"echo 0 > {switch}")
            await hosts["router"].run(
                *("ip", "address", "add", "2001:db8:94::1/64", "dev", "lan", "nodad")
            )
            await scenario(hosts["router"], hosts["mn"])

    asyncio.run(run())


def test_agents_by_dhcpv4_in_the_servers_order() -> None:
    """RFC 5192 s4, with dhcpcd as the client."""

    async def scenario(router: NamespaceHost, mn: NamespaceHost) -> None:
        await dhcp_server.start(router, SERVER)
        client = await dhcp_client.start(mn, DhcpClientConfig("eth0", conflict_check=False))
        lease = await dhcp_client.wait_bound(client)
        await client.stop()
        assert lease.paa == AGENTS
        found = dhcp.described("b.example", map(ip_address, lease.paa), lifetime_s=lease.lease_s)
        assert found is not None
        assert found.aa == tuple(Endpoint(ip_address(each), 716) for each in AGENTS)
        assert found.lifetime_s == lease.lease_s

    in_lab(scenario)


def test_a_server_without_agents_names_none() -> None:
    async def scenario(router: NamespaceHost, mn: NamespaceHost) -> None:
        await dhcp_server.start(router, replace(SERVER, paa=()))
        client = await dhcp_client.start(mn, DhcpClientConfig("eth0", conflict_check=False))
        lease = await dhcp_client.wait_bound(client)
        await client.stop()
        assert lease.bound
        assert lease.paa == ()

    in_lab(scenario)


INFORM = """\
import socket, sys, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(1)
for _ in range(20):
    try:
        s.bind(("::", 546))
        index = socket.if_nametoindex("eth0")
        s.sendto(bytes.fromhex(sys.argv[1]), ("ff02::1:2", 547, 0, index))
        print(s.recv(2000).hex())
        break
    except OSError as error:  # the link-local address is still tentative, or the answer is late
        s.close()
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.settimeout(1)
        print(error, file=sys.stderr)
"""


def options_6(message: bytes) -> dict[int, bytes]:
    """The options of a DHCPv6 message (RFC 8415 s21.1)."""
    found, at = {}, 4
    while at < len(message):
        code, length = struct.unpack_from("!HH", message, at)
        found[code] = message[at + 4 : at + 4 + length]
        at += 4 + length
    return found


def test_agents_by_dhcpv6_in_the_servers_order() -> None:
    """RFC 5192 s5: an information request (RFC 8415 s18.2.6) that asks for option 40."""
    identifier = bytes.fromhex("0003000102000000aa01")
    request = (
        b"\x0b\x12\x34\x56"
        + struct.pack("!HH", 1, len(identifier))
        + identifier
        + struct.pack("!HHH", 6, 2, dhcp.OPTION_PANA_AGENT_6)
        + struct.pack("!HHH", 8, 2, 0)
    )

    async def scenario(router: NamespaceHost, mn: NamespaceHost) -> None:
        await dhcp_server.start(router, SERVER)
        told = await mn.run("python3", "-c", textwrap.dedent(INFORM), request.hex())
        reply = bytes.fromhex(told.stdout.decode().strip())
        assert reply[:4] == b"\x07\x12\x34\x56"
        agents = dhcp.decode_agents_6(options_6(reply)[dhcp.OPTION_PANA_AGENT_6])
        assert [str(each) for each in agents] == list(AGENTS_6)

    in_lab(scenario)


def test_agents_by_name() -> None:
    """R27: DNS for component addresses, from the server that DHCP named."""
    before = os.stat("/etc/resolv.conf")

    async def scenario(router: NamespaceHost, mn: NamespaceHost) -> None:
        await dhcp_server.start(router, SERVER)
        inside = ("nsenter", f"--net=/run/netns/{mn.namespace}", "--")
        servers = [ip_address(each) for each in SERVER.dns]
        both = await names.resolve("aa.b.example", servers, enter=inside)
        assert set(both) == {ip_address("10.2.0.1"), ip_address("2001:db8:b::1")}
        assert await names.resolve("aa.c.example", servers, enter=inside) == (
            ip_address("10.3.0.1"),
        )
        assert await names.resolve("aa.d.example", servers, enter=inside) == ()

    in_lab(scenario)
    assert os.stat("/etc/resolv.conf").st_ino == before.st_ino


def test_a_silent_server_ends_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "TIMEOUT_S", 0.5)

    async def scenario(router: NamespaceHost, mn: NamespaceHost) -> None:
        inside = ("nsenter", f"--net=/run/netns/{mn.namespace}", "--")
        with pytest.raises(RemoteError, match="no DNS answer"):
            await names.resolve("aa.b.example", [ip_address("10.94.0.77")], enter=inside)
        left = await mn.run("ip", "netns", "pids", mn.namespace, check=False)
        assert b"getent" not in left.stdout

    in_lab(scenario)
