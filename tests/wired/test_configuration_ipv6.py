"""The configuration agent on an IPv6 link with a real router and DHCPv6 server (dnsmasq)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from configuration_lab import ROUTER, Lab, Node, eventually, in_lab
from services_lab import needs

from mpa_hil.clock import instant
from mpa_hil.configuration.interface import (
    Code,
    Configured,
    Ended,
    Ending,
    Method,
    Refused,
    Wish,
    duid_ll,
)
from rigs.services import dhcp_client, dhcp_server
from rigs.services.dhcp_client import DhcpClient, DhcpClientConfig
from rigs.services.dhcp_server import Advertised, DhcpServerConfig
from rigs.services.service import Service, launch_as

pytestmark = needs("dnsmasq", "dhcpcd", "unshare")

PREFIX = "fd95:2::/64"
SERVER = DhcpServerConfig(
    interface="lan",
    subnet="10.95.2.0/24",
    first="10.95.2.100",
    last="10.95.2.101",
    router=ROUTER,
    conflict_check=False,
    advertised=Advertised(PREFIX),
)
STATEFUL = replace(
    SERVER, advertised=Advertised(PREFIX, first="fd95:2::100", last="fd95:2::101", lease_s=200)
)


async def router_mac(lab: Lab) -> str:
    done = await lab.router.run("ip", "-j", "link", "show", "dev", "lan")
    return str(json.loads(done.stdout)[0]["address"])


def test_stateless_the_address_that_the_kernel_makes_after_the_move(tmp_path: Path) -> None:
    """R42, R52: the advertisement travels, and prefix and MAC address make the address."""

    async def scenario(lab: Lab) -> None:
        await dhcp_server.start(lab.router, SERVER)
        await lab.start()
        node = Node(lab.mn.namespace)
        await lab.deliver(node)
        wish = await lab.wish(Method.IPV6)
        got = (await node.get(Configured, node.client.configure(wish, instant()))).configuration
        assert got.server is None
        assert [str(prefix) for prefix in got.link_prefixes] == [PREFIX]
        assert got.router.is_link_local
        assert got.router_mac.hex(":") == await router_mac(lab)
        assert got.ra[:1] == b"\x86"

        for name in ("accept_ra", "autoconf"):
            await lab.mn.run("sysctl", "-qw", f"net.ipv6.conf.new.{name}=1")
        await lab.move()

        async def made() -> bool:
            done = await lab.mn.run("ip", "-6", "-o", "address", "show", "dev", "new")
            return str(got.address) in done.stdout.decode()

        await eventually(made, 10)
        ended = await node.get(Ended, node.client.release(instant()))
        assert ended.confirmed

    in_lab(tmp_path, scenario)


async def released(server: Service) -> None:
    await server.expect(lambda line: "DHCPRELEASE" in line, what="a release", timeout_s=60)


def test_stateful_leased_given_again_and_given_back(tmp_path: Path) -> None:
    """R42: as the DHCPv4 case; the router's advertisement says that it is stateful."""

    async def scenario(lab: Lab) -> None:
        server = await dhcp_server.start(lab.router, STATEFUL)
        await lab.start()
        node = Node(lab.mn.namespace)
        await lab.deliver(node)
        wish = await lab.wish(Method.IPV6, iaid=0x01020304)
        got = (await node.get(Configured, node.client.configure(wish, instant()))).configuration
        assert str(got.address) in ("fd95:2::100/64", "fd95:2::101/64")
        assert got.server == got.router
        assert 190 <= got.lease_s <= 200

        async def written() -> bool:
            text = (await lab.router.get(f"{lab.router.workdir}/{STATEFUL.name}.leases")).decode()
            identified = duid_ll(wish.mac).hex(":") in text
            return identified and f" {0x01020304} {got.address.ip} " in text

        await eventually(written)
        node.restart()
        again = await node.get(Configured, node.client.configure(wish, instant()))
        assert again.configuration.address == got.address
        await node.get(Ended, node.client.release(instant()))
        await released(server)

    in_lab(tmp_path, scenario)


DHCPCD = b"ipv6only\nduid ll\nnodev\nia_na\nnodelay\nscript /bin/true\n"


def test_stateful_the_mobile_nodes_own_client_gets_the_same(tmp_path: Path) -> None:
    """R51: dhcpcd with a DUID of its MAC address."""

    async def scenario(lab: Lab) -> None:
        await dhcp_server.start(lab.router, STATEFUL)
        await lab.start()
        node = Node(lab.mn.namespace)
        await lab.deliver(node)
        wish = await lab.wish(Method.IPV6)
        got = (await node.get(Configured, node.client.configure(wish, instant()))).configuration
        await lab.move()
        config = DhcpClientConfig(interface="new")
        await lab.mn.put(f"{lab.mn.workdir}/{config.name}.conf", DHCPCD)
        command = dhcp_client.command(config, lab.mn.workdir)

        def bound(line: str) -> bool:
            return "adding address fd95" in line  # not the link-local one

        client = await launch_as(
            DhcpClient, lab.mn, *command, name="dhcpcd", ready=bound, ready_text="an address"
        )
        (line,) = [line for line in client.said() if bound(line)]
        assert f"adding address {got.address.ip}/128" in line
        ended = await node.get(Ended, node.client.take_over(instant()))
        assert ended.ending is Ending.TAKEN_OVER
        await client.stop()

    in_lab(tmp_path, scenario)


def test_stateful_exhausted_and_declined(tmp_path: Path) -> None:
    """F7, in IPv6."""

    async def scenario(lab: Lab) -> None:
        server = await dhcp_server.start(lab.router, STATEFUL)
        await lab.start()
        nodes = [Node(lab.mn.namespace, f"mn{number}@home.example") for number in range(3)]
        await lab.deliver(*nodes)
        macs = [bytes((2, 0, 0, 0, 0xC6, number)) for number in range(3)]
        wishes = [Wish(Method.DHCPV6, mac, duid_ll(mac), 7) for mac in macs]
        for node, wish in zip(nodes[:2], wishes[:2], strict=True):
            await node.get(Configured, node.client.configure(wish, instant()))
        refused = await nodes[2].get(Refused, nodes[2].client.configure(wishes[2], instant()))
        assert refused.code is Code.POOL_EXHAUSTED
        held = nodes[0].client.configuration
        assert held is not None
        wish = replace(wishes[0], decline=held.address.ip)
        outputs = nodes[0].client.configure(wish, instant())
        # dnsmasq looks for another, and in a pool of two ends up with the same.
        refused = await nodes[0].get(Refused, outputs)
        assert refused.code is Code.SERVER_REFUSED
        assert "DHCPDECLINE" in await server.log()
        await nodes[1].get(Ended, nodes[1].client.release(instant()))
        other = await nodes[0].get(Configured, nodes[0].client.configure(wish, instant()))
        assert other.configuration.address.ip != held.address.ip

    in_lab(tmp_path, scenario)


def test_withdrawal_gives_back_and_no_router_is_an_answer(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        server = await dhcp_server.start(lab.router, STATEFUL)
        agent = await lab.start()
        node = Node(lab.mn.namespace)
        line = await lab.deliver(node)
        wish = await lab.wish(Method.DHCPV6)
        await node.get(Configured, node.client.configure(wish, instant()))
        await lab.withdraw(line, node)
        await agent.event("ca.gone", cause="withdrawn")
        await released(server)
        await server.stop()
        await agent.end()
        await lab.start()
        await lab.deliver(node)
        node.restart()
        refused = await node.get(Refused, node.client.configure(wish, instant()))
        assert refused.code is Code.NO_ROUTER

    in_lab(tmp_path, scenario)
