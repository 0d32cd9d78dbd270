"""The whole chain without a radio: node, agent, home server, enforcement point, both daemons.

    mn ---- rb (AA) ---- aaa (FreeRADIUS)
            |
            b1 (enforcement point, hostapd)

What needs the air, the switch itself, is in tests/lab/inside/test_preauthentication.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any

import pytest
from preauthentication_lab import (
    IDENTITY,
    PASSWORD,
    SERVER,
    Node,
    Point,
    authority,
    put_papers,
    restart_agent,
    start_aaa,
    start_network,
)
from services_lab import boxes, needs

from mpa_hil.discovery.description import CandidateNetwork, PointOfAttachment
from mpa_hil.lab import agents
from mpa_hil.mobility.interface import Endpoint
from radios.control import ControlClient
from radios.hostapd import Hostapd
from radios.profile import EapTls, NetworkProfile
from radios.supplicant import Supplicant
from rigs.links import Link
from rigs.netns import NamespaceHost
from rigs.services import wpa_supplicant

pytestmark = needs("freeradius", "hostapd", "wpa_supplicant")

MAC = "02:00:00:00:0d:01"
BSSID = "02:00:00:00:0d:0b"
V6 = "fd00:93::"
LINKS = (
    Link("mn", "rb", "10.93.1.2/24", "10.93.1.1/24", a_interface="eth0"),
    Link("rb", "aaa", "10.93.2.1/24", "10.93.2.2/24"),
    Link("rb", "b1", "10.93.3.1/24", "10.93.3.2/24", b_interface="eth0"),
)
SUPPLICANT = wpa_supplicant.SupplicantConfig(interface="eth0", driver="wired")
HOSTAPD = """interface=eth0
driver=wired
ctrl_interface={folder}
ssid=b
wpa=2
wpa_key_mgmt=WPA-EAP
rsn_pairwise=CCMP
ieee8021x=1
own_ip_addr=10.93.3.2
auth_server_addr=127.0.0.1
auth_server_port=1812
auth_server_shared_secret=nobody-is-asked
"""
"""RSN on a wire: it has the cache of PMKs that an access point has."""


@dataclass
class Chain:
    """What stands."""

    hosts: dict[str, NamespaceHost]
    node: Node
    aa: agents.Agent
    supplicant: Supplicant
    access: Hostapd

    async def mine(self) -> list[str]:
        """PMKIDs in the supplicant."""
        return [entry.pmkid.hex() for entry in await self.supplicant.pmksa()]

    async def theirs(self) -> list[str]:
        """PMKIDs in the access point."""
        return [entry.pmkid.hex() for entry in await self.access.pmksa()]


def with_chain(scenario: Callable[[Chain], Awaitable[None]], **aaa: Any) -> None:
    async def run() -> None:
        async with boxes(*LINKS) as hosts:
            home = authority()
            await start_aaa(hosts["aaa"], home, {"rb": "10.93.2.1"}, **aaa)
            folder = f"{hosts['b1'].workdir}/hostapd.control"
            await hosts["b1"].put("hostapd.conf", HOSTAPD.format(folder=folder).encode())
            await hosts["b1"].spawn("hostapd", f"{hosts['b1'].workdir}/hostapd.conf", name="ap")
            await wpa_supplicant.start(hosts["mn"], SUPPLICANT)
            papers = await put_papers(hosts["mn"], home, home.client(IDENTITY))
            control = SUPPLICANT.control_path(hosts["mn"])
            async with (
                ControlClient(f"{folder}/eth0", hosts["b1"].connect) as ap,
                ControlClient(control, hosts["mn"].connect) as mn,
            ):
                security = EapTls(identity=IDENTITY, server_domain=SERVER, **papers)
                await Supplicant(mn).add_network(NetworkProfile(b"b", security))
                point = Point(hosts["b1"], "10.93.3.2", BSSID, f"{folder}/eth0")
                for host, address in (("mn", f"{V6}2"), ("rb", f"{V6}1")):
                    run = hosts[host].run
                    await run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0")
                    device = "eth0" if host == "mn" else "mn"
                    await run("ip", "addr", "add", f"{address}/64", "dev", device, "nodad")
                aa = await start_network(
                    hosts["rb"],
                    "10.93.1.1",
                    "10.93.2.2",
                    {"b1": point},
                    addresses=["10.93.1.1", f"{V6}1"],
                )
                network = CandidateNetwork(
                    "b.example",
                    (PointOfAttachment("b1", b"b", BSSID, 2437),),
                    aa=(Endpoint(ip_address("10.93.1.1"), 716),),
                )
                node = Node(hosts["mn"], MAC, control, network)
                await scenario(Chain(hosts, node, aa, Supplicant(mn), Hostapd(ap)))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("eap", "method"),
    [
        ({}, "EAP-TLS"),
        (
            {"method": "eap-ttls", "user": "mn", "password": PASSWORD, "inner": "pap"},
            "EAP-TTLS",
        ),
        ({"method": "eap-ttls", "user": "mn", "password": PASSWORD}, "EAP-TTLS"),
    ],
    ids=("tls", "ttls-pap", "ttls-mschapv2"),
)
def test_both_daemons_hold_the_same_key(eap: dict[str, str], method: str) -> None:
    async def scenario(chain: Chain) -> None:
        if "user" in eap:
            await chain.node.start(**{**eap, "client_cert": "", "private_key": ""})
        else:
            await chain.node.start(**eap)
        ready = await chain.node.prepare()
        assert (ready["ready"], ready["wanted"]) == (1, 1)
        (authenticated,) = chain.node.said("preauth.authenticated")
        assert authenticated["method"] == method
        (key,) = chain.node.said("preauth.keys")
        assert await chain.mine() == await chain.theirs() == [key["pmkid"]]
        await chain.node.forget()
        assert await chain.mine() == []
        await chain.aa.event("aa.key", 20, since=0, matches=lambda e: e["change"] == "withdrawn")
        assert key["pmkid"] not in await chain.theirs()

    with_chain(scenario)


def test_over_ipv6_just_the_same() -> None:
    async def scenario(chain: Chain) -> None:
        agent = Endpoint(ip_address(f"{V6}1"), 716)
        chain.node.network = replace(chain.node.network, aa=(agent,))
        await chain.node.start()
        assert (await chain.node.prepare())["ready"] == 1
        assert chain.node.said("preauth.started")[0]["aa"] == "[fd00:93::1]:716"
        assert await chain.mine() == await chain.theirs()

    with_chain(scenario)


def test_the_end_of_the_agent_takes_everything_along() -> None:
    async def scenario(chain: Chain) -> None:
        await chain.node.start()
        await chain.node.prepare()
        await chain.node.stop()
        assert await chain.mine() == []
        await chain.aa.event("aa.state", 20, since=0, matches=lambda e: e["state"] == "gone")

    with_chain(scenario)


def test_a_new_address_is_told_to_the_agent_at_once() -> None:
    """R116."""

    async def scenario(chain: Chain) -> None:
        await chain.node.start()
        await chain.node.prepare()
        mn, since = chain.hosts["mn"], chain.node.count
        await mn.run("ip", "addr", "del", "10.93.1.2/24", "dev", "eth0")
        await mn.run("ip", "addr", "add", "10.93.1.77/24", "dev", "eth0")
        told = await chain.node.hear("preauth.address", since)
        assert told["address"] == "10.93.1.77"
        moved = await chain.aa.event("aa.address", 20, since=0)
        assert str(moved["address"]).startswith("10.93.1.77:")

    with_chain(scenario)


def test_an_agent_killed_and_started_again_still_knows_the_node() -> None:
    """Between the keys and the switch: the association stands, at both ends and in between."""

    async def scenario(chain: Chain) -> None:
        await chain.node.start()
        await chain.node.prepare()
        (pmkid,) = await chain.mine()
        chain.aa = await restart_agent(chain.aa)
        mn = chain.hosts["mn"]
        await mn.run("ip", "addr", "del", "10.93.1.2/24", "dev", "eth0")
        await mn.run("ip", "addr", "add", "10.93.1.77/24", "dev", "eth0")
        await chain.aa.event("aa.address", 20, since=0)
        assert await chain.mine() == await chain.theirs() == [pmkid]
        assert not chain.node.said("preauth.ended")
        await chain.node.forget()
        await chain.aa.event("aa.key", 20, since=0, matches=lambda e: e["change"] == "withdrawn")
        assert pmkid not in await chain.theirs()

    with_chain(scenario)


def test_an_agent_that_lost_everything_refuses_cleanly() -> None:
    """Its store is gone too: the node finds out, and keeps nothing that does not work."""

    async def scenario(chain: Chain) -> None:
        await chain.node.start()
        await chain.node.prepare()
        await chain.aa.host.remove("associations")
        chain.aa = await restart_agent(chain.aa)
        ready = await chain.node.prepare()
        assert ready["ready"] == 1
        assert await chain.mine() == await chain.theirs()

    with_chain(scenario)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"server_domain": "aaa.elsewhere.example"}, "server untrusted"),
        ({"identity": "mn@nowhere.example"}, "rejected"),
        (
            {
                "method": "eap-ttls",
                "user": "mn",
                "password": "wrong",
                "client_cert": "",
                "private_key": "",
            },
            "rejected",
        ),
    ],
    ids=("server-name", "realm", "password"),
)
def test_what_is_refused_leaves_nothing(wrong: dict[str, str], words: str) -> None:
    async def scenario(chain: Chain) -> None:
        await chain.node.start(**wrong)
        failed = await chain.node.hear("preauth.failed", await chain.node.ask())
        assert failed["stage"] == "authenticating"
        assert str(failed["reason"]).startswith(words), failed
        assert await chain.mine() == await chain.theirs() == []

    with_chain(scenario)
