"""The whole chain without a radio: node, agent, home server, enforcement point, both daemons.

    mn ---- rb (AA) ---- aaa (FreeRADIUS)
            |
            b1 (enforcement point, hostapd)

What needs the air, the switch itself, is in tests/lab/inside/test_preauthentication.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
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
    Standing,
    authority,
    put_papers,
    restart_agent,
    said,
    standing,
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
NETWORK = CandidateNetwork(
    "b.example",
    (PointOfAttachment("b1", b"b", BSSID, 2437),),
    aa=(Endpoint(ip_address("10.93.1.1"), 716),),
)
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
    host_part: int = 2
    """Of the node's address."""

    async def mine(self) -> list[str]:
        """PMKIDs in the supplicant."""
        return [entry.pmkid.hex() for entry in await self.supplicant.pmksa()]

    async def theirs(self) -> list[str]:
        """PMKIDs in the access point."""
        return [entry.pmkid.hex() for entry in await self.access.pmksa()]


@contextlib.asynccontextmanager
async def laid() -> AsyncIterator[Chain]:
    """All of it but the node's agent."""
    async with boxes(*LINKS) as hosts:
        home = authority()
        await start_aaa(hosts["aaa"], home, {"rb": "10.93.2.1"}, session_cache=True)
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
            for host, device, address in (("mn", "eth0", f"{V6}2"), ("rb", "mn", f"{V6}1")):
                run = hosts[host].run
                await run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0")
                await run("ip", "addr", "add", f"{address}/64", "dev", device, "nodad")
            aa = await start_network(
                hosts["rb"],
                "10.93.1.1",
                "10.93.2.2",
                {"b1": point},
                addresses=["10.93.1.1", f"{V6}1"],
            )
            node = Node(hosts["mn"], MAC, control, NETWORK)
            yield Chain(hosts, node, aa, Supplicant(mn), Hostapd(ap))


@pytest.fixture(scope="module")
def chain_for_all() -> Iterator[Standing[Chain]]:
    with standing(laid()) as made:
        yield made


@pytest.fixture
def chain(chain_for_all: Standing[Chain]) -> Iterator[Standing[Chain]]:
    """Each test starts the node's agent as it needs it."""
    yield chain_for_all
    chain_for_all.run(lambda chain: chain.node.stop())
    chain_for_all.run(nothing_left)


async def nothing_left(chain: Chain) -> None:
    """What the agent installed went with it."""
    assert await chain.mine() == []


def withdrawn(event: dict[str, Any]) -> bool:
    """The access point has the key no more."""
    return bool(event["change"] == "withdrawn")


async def readdress(chain: Chain) -> str:
    """Give the node another address, and take the old one away first, as DHCP does."""
    before = f"10.93.1.{chain.host_part}"
    chain.host_part += 1
    after = f"10.93.1.{chain.host_part}"
    mn = chain.hosts["mn"]
    await mn.run("ip", "addr", "del", f"{before}/24", "dev", "eth0")
    await mn.run("ip", "addr", "add", f"{after}/24", "dev", "eth0")
    return after


@pytest.mark.parametrize(
    ("eap", "method"),
    [
        ({}, "EAP-TLS"),
        ({"method": "eap-ttls", "user": "mn", "password": PASSWORD}, "EAP-TTLS"),
    ],
    ids=("tls", "ttls"),
)
def test_both_daemons_hold_the_same_key(
    chain: Standing[Chain], eap: dict[str, str], method: str
) -> None:
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
        since = chain.aa.count
        await chain.node.forget()
        assert await chain.mine() == []
        await chain.aa.event("aa.key", 20, since=since, matches=withdrawn)
        assert key["pmkid"] not in await chain.theirs()

    chain.run(scenario)


def test_over_ipv6_just_the_same(chain: Standing[Chain]) -> None:
    async def scenario(chain: Chain) -> None:
        agent = Endpoint(ip_address(f"{V6}1"), 716)
        await chain.node.start()
        chain.node.network = replace(NETWORK, aa=(agent,))
        ready = await chain.node.prepare()
        chain.node.network = NETWORK
        assert ready["ready"] == 1
        assert chain.node.said("preauth.started")[0]["aa"] == "[fd00:93::1]:716"
        assert await chain.mine() == await chain.theirs()

    chain.run(scenario)


def test_the_next_network_of_the_same_home_goes_on_with_the_tls_session(
    chain: Standing[Chain],
) -> None:
    """RFC 5216 s2.1.2, where the home server allows it: fewer round trips, other keys."""

    async def scenario(chain: Chain) -> None:
        await chain.node.start()
        await chain.node.prepare()
        (first,) = await chain.mine()
        await chain.node.forget()
        await chain.node.prepare()
        (second,) = await chain.mine()
        whole, resumed = chain.node.said("preauth.authenticated")
        assert (whole["resumed"], resumed["resumed"]) == (False, True)
        assert resumed["round_trips"] < whole["round_trips"]
        assert first != second
        assert await chain.theirs() == [second]

    chain.run(scenario)


def test_the_end_of_the_agent_takes_everything_along(chain: Standing[Chain]) -> None:
    async def scenario(chain: Chain) -> None:
        await chain.node.start()
        await chain.node.prepare()
        since = chain.aa.count
        await chain.node.stop()
        assert await chain.mine() == []
        await chain.aa.event("aa.state", 20, since=since, matches=lambda e: e["state"] == "gone")

    chain.run(scenario)


def test_a_new_address_is_told_to_the_agent_at_once(chain: Standing[Chain]) -> None:
    """R116."""

    async def scenario(chain: Chain) -> None:
        await chain.node.start()
        await chain.node.prepare()
        since, aa_since = chain.node.count, chain.aa.count
        moved_to = await readdress(chain)
        told = await chain.node.hear("preauth.address", since)
        assert told["address"] == moved_to
        moved = await chain.aa.event("aa.address", 20, since=aa_since)
        assert str(moved["address"]).startswith(f"{moved_to}:")

    chain.run(scenario)


def test_an_agent_killed_and_started_again_still_knows_the_node(chain: Standing[Chain]) -> None:
    """Between the keys and the switch: the association stands, at both ends and in between."""

    async def scenario(chain: Chain) -> None:
        await chain.node.start()
        await chain.node.prepare()
        (pmkid,) = await chain.mine()
        chain.aa = await restart_agent(chain.aa)
        await readdress(chain)
        await chain.aa.event("aa.address", 20, since=0)
        assert await chain.mine() == await chain.theirs() == [pmkid]
        assert not chain.node.said("preauth.ended")
        await chain.node.forget()
        await chain.aa.event("aa.key", 20, since=0, matches=withdrawn)
        assert pmkid not in await chain.theirs()

    chain.run(scenario)


def test_an_agent_that_lost_everything_refuses_cleanly(chain: Standing[Chain]) -> None:
    """Its store is gone too: the node finds out, and keeps nothing that does not work."""

    async def scenario(chain: Chain) -> None:
        await chain.node.start()
        await chain.node.prepare()
        await chain.aa.host.remove("associations")
        chain.aa = await restart_agent(chain.aa)
        ready = await chain.node.prepare()
        assert ready["ready"] == 1
        assert await chain.mine() == await chain.theirs()

    chain.run(scenario)


def test_a_node_that_is_switched_off_on_its_way_takes_its_place_again(
    chain: Standing[Chain],
) -> None:
    """F9: at each stage everything of it is killed, without a word to anybody. What it had is
    replaced by what it gets when it is back, in the agent and in the access point."""

    async def scenario(chain: Chain) -> None:
        since = chain.aa.count
        for stage in ("preauth.started", "preauth.keys"):
            await chain.node.start()
            await chain.node.hear(stage, await chain.node.ask())
            assert chain.node.agent is not None
            await chain.node.agent.daemon.signal(9)
            await chain.node.agent.daemon.wait()
            await chain.supplicant.control.command("PMKSA_FLUSH")
        old = await chain.theirs()
        assert len(old) <= 1
        await chain.node.start()
        ready = await chain.node.prepare()
        assert ready["ready"] == 1
        (key,) = await chain.mine()
        assert await chain.theirs() == [key]
        assert key not in old
        states = said(chain.aa, "aa.state", since)
        held = [each["session"] for each in states if each["state"] == "held"]
        gone = [each["session"] for each in states if each["state"] == "gone"]
        assert set(held) - set(gone) == {held[-1]}, states

    chain.run(scenario)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"server_domain": "aaa.elsewhere.example"}, "server untrusted"),
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
    ids=("server-name", "password"),
)
def test_what_is_refused_leaves_nothing(
    chain: Standing[Chain], wrong: dict[str, str], words: str
) -> None:
    async def scenario(chain: Chain) -> None:
        await chain.node.start(**wrong)
        since = chain.aa.count
        failed = await chain.node.hear("preauth.failed", await chain.node.ask())
        assert failed["stage"] == "authenticating"
        assert str(failed["reason"]).startswith(words), failed
        assert await chain.mine() == []
        assert not said(chain.aa, "aa.key", since)

    chain.run(scenario)
