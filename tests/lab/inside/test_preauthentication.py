"""Pre-authentication from the air of network A into network B, with everything real but the radios:
hostapd, wpa_supplicant, FreeRADIUS, and this project's agents as processes of their own.

    mn ~ a1 --- rb (AA) --- aaa (FreeRADIUS)
         b1 ----+
         b2 ----+
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import pytest
from air import Box, boxes
from campaign import runs
from preauthentication_lab import (
    IDENTITY,
    SECRET,
    SERVER,
    Node,
    Point,
    Standing,
    authority,
    put_papers,
    said,
    standing,
    start_aaa,
    start_network,
)
from virtual_radios import Hwsim

from mpa_hil.discovery.description import Akm, CandidateNetwork, PointOfAttachment
from mpa_hil.lab import agents
from mpa_hil.mobility.interface import Endpoint
from radios import wpa_events
from radios.control import ControlClient
from radios.hostapd import Hostapd
from radios.profile import EapTls, NetworkProfile, Pmf
from radios.subscription import Subscription
from radios.supplicant import Supplicant
from rigs.links import Link, Route, Topology
from rigs.netns import NamespaceHost
from rigs.network import build
from rigs.services import hostapd, wpa_supplicant

AA_ADDRESS = "10.9.1.2"
CHANNELS = {"a1": (1, 2412), "b1": (6, 2437), "b2": (11, 2462)}
SSIDS = {"a1": "a", "b1": "b", "b2": "b"}
PMF = {"a1": hostapd.Pmf.OPTIONAL, "b1": hostapd.Pmf.OFF, "b2": hostapd.Pmf.REQUIRED}
AKMS = {"b1": (Akm.EAP,), "b2": (Akm.EAP, Akm.EAP_SHA256)}
UPLINKS = {
    "a1": ("10.9.1.1", AA_ADDRESS),
    "b1": ("10.9.2.1", "10.9.2.2"),
    "b2": ("10.9.4.1", "10.9.4.2"),
}
TOPOLOGY = Topology(
    links=[
        *(Link(ap, "rb", f"{near}/24", f"{far}/24") for ap, (near, far) in UPLINKS.items()),
        Link("rb", "aaa", "10.9.3.1/24", "10.9.3.2/24"),
    ],
    routes=[
        *(Route(ap, "default", far) for ap, (_, far) in UPLINKS.items()),
        Route("aaa", "default", "10.9.3.1"),
        Route("rb", "10.1.0.0/24", "10.9.1.1"),
        Route("rb", "10.2.0.0/24", "10.9.2.1"),
    ],
    forwarding=frozenset({"a1", "b1", "rb"}),
)


@dataclass
class Lab:
    """What stands."""

    box: dict[str, Box]
    supplicant: Supplicant
    access: dict[str, Hostapd]
    networks: dict[str, int]
    node: Node
    aa: agents.Agent

    def bssid(self, ap: str) -> str:
        return self.box[ap].device.address

    async def join(self, ssid: str, ap: str) -> list[str]:
        """SELECT_NETWORK; names of the supplicant's events until it was connected there."""
        return await join(self.supplicant, self.networks[ssid], ap, self.bssid(ap))

    async def settle(self, number: int) -> None:
        """Take the address of network 10.NUMBER.0.0/24, and its router."""
        await settle(self.box["mn"], number)

    async def held(self, ap: str) -> list[str]:
        """PMKIDs that an access point has for the node."""
        entries = await self.access[ap].pmksa()
        return [entry.pmkid.hex() for entry in entries if entry.peer == self.node.mac]

    async def cached(self) -> dict[str, str]:
        """PMKID by BSSID in the supplicant, of network B."""
        b = {self.bssid("b1"), self.bssid("b2")}
        return {e.peer: e.pmkid.hex() for e in await self.supplicant.pmksa() if e.peer in b}


async def settle(mn: Box, number: int) -> None:
    interface = mn.device.interface
    await mn.host.run("ip", "addr", "flush", "dev", interface)
    await mn.host.run("ip", "addr", "add", f"10.{number}.0.2/24", "dev", interface)
    await mn.host.run("ip", "route", "add", "default", "via", f"10.{number}.0.1")


async def join(supplicant: Supplicant, network_id: int, ap: str, bssid: str) -> list[str]:
    with supplicant.control.subscribe() as events:
        await supplicant.select_network(network_id, frequencies_mhz=(CHANNELS[ap][1],))
        return await connected(events, bssid)


async def connected(events: Subscription, bssid: str) -> list[str]:
    """Names of the events up to the connection with an access point."""
    names: list[str] = []

    def there(event: wpa_events.Event) -> bool:
        names.append(event.name)
        return event.name == wpa_events.CONNECTED and event.address == bssid

    await events.wait_for(there, 30)
    return names


@contextlib.asynccontextmanager
async def laid() -> AsyncIterator[Lab]:
    """Networks A and B, the AA and the enforcement points of B, the node on A."""
    home = authority()
    async with boxes(Hwsim(), "a1", "b1", "b2", "mn") as box, contextlib.AsyncExitStack() as stack:
        hosts = {name: each.host for name, each in box.items()}
        for name in ("rb", "aaa"):
            hosts[name] = await NamespaceHost.create(name, f"preauth{os.getpid()}")
            stack.push_async_callback(hosts[name].close)
        await build(TOPOLOGY, hosts)
        clients = {"rb": "10.9.3.1"} | {ap: near for ap, (near, _) in UPLINKS.items()}
        await start_aaa(hosts["aaa"], home, clients)
        access, points = {}, {}
        for ap in CHANNELS:
            config = access_point(box[ap], ap)
            await hostapd.start(hosts[ap], config)
            path = config.control_path(hosts[ap])
            control = ControlClient(path, hosts[ap].connect)
            access[ap] = Hostapd(await stack.enter_async_context(control))
            points[ap] = Point(hosts[ap], UPLINKS[ap][0], box[ap].device.address, path)
        for ap, address in (("a1", "10.1.0.1/24"), ("b1", "10.2.0.1/24")):
            await hosts[ap].run("ip", "addr", "add", address, "dev", box[ap].device.interface)
        mn = box["mn"]
        own = wpa_supplicant.SupplicantConfig(mn.device.interface)
        await wpa_supplicant.start(mn.host, own)
        client = ControlClient(own.control_path(mn.host), mn.host.connect)
        supplicant = Supplicant(await stack.enter_async_context(client))
        papers = await put_papers(mn.host, home, home.client(IDENTITY))
        security = EapTls(identity=IDENTITY, server_domain=SERVER, **papers)
        networks = {}
        for ssid in ("a", "b"):
            profile = NetworkProfile(ssid.encode(), security, pmf=Pmf.OPTIONAL)
            networks[ssid] = await supplicant.add_network(profile)
        await join(supplicant, networks["a"], "a1", box["a1"].device.address)
        await settle(mn, 1)
        b = {ap: points[ap] for ap in ("b1", "b2")}
        aa = await start_network(
            hosts["rb"], AA_ADDRESS, "10.9.3.2", b, own_networks=["10.2.0.0/24"]
        )
        network = CandidateNetwork(
            "b.example",
            tuple(
                PointOfAttachment(ap, b"b", point.bssid, CHANNELS[ap][1]) for ap, point in b.items()
            ),
            aa=(Endpoint(ip_address(AA_ADDRESS), 716),),
        )
        node = Node(mn.host, mn.device.address, own.control_path(mn.host), network)
        await node.start()
        yield Lab(box, supplicant, access, networks, node, aa)


def access_point(box: Box, ap: str) -> hostapd.HostapdConfig:
    return hostapd.HostapdConfig(
        interface=box.device.interface,
        security=hostapd.Radius("10.9.3.2", SECRET, own_address=UPLINKS[ap][0], nas_identifier=ap),
        radio=hostapd.Radio(SSIDS[ap], box.device.address, CHANNELS[ap][0]),
        pmf=PMF[ap],
    )


@pytest.fixture(scope="module")
def lab() -> Iterator[Standing[Lab]]:
    """One for all; each test leaves the node on A, and nothing prepared."""
    with standing(laid()) as made:
        yield made


async def at_home(lab: Lab) -> None:
    """Back on network A, nothing prepared."""
    await lab.join("a", "a1")
    await lab.settle(1)
    await lab.node.forget()


async def at_b1(lab: Lab) -> None:
    """The handshake alone, though the access point knows nothing of the SHA-256 suite."""
    node = lab.node
    since = node.count
    assert wpa_events.EAP_STARTED not in await lab.join("b", "b1")
    await lab.settle(2)
    assert (await node.hear("preauth.serving", since))["bssid"] == lab.bssid("b1")
    await node.hear("preauth.address", since, address="10.2.0.2")
    await lab.aa.event(
        "aa.state", 30, since=0, matches=lambda event: event["state"] == "authorised"
    )


async def at_b2(lab: Lab) -> None:
    """Within B: other key, other suite, protected management frames."""
    since = lab.node.count
    await lab.supplicant.scan_and_wait((CHANNELS["b2"][1],))
    with lab.supplicant.control.subscribe() as events:
        await lab.supplicant.roam(lab.bssid("b2"))
        assert wpa_events.EAP_STARTED not in await connected(events, lab.bssid("b2"))
    assert (await lab.node.hear("preauth.arrived", since))["bssid"] == lab.bssid("b2")
    assert (await lab.supplicant.status()).key_management == "WPA2-EAP-SHA256"


def test_a_prepared_network_is_joined_by_the_handshake_alone(lab: Standing[Lab]) -> None:
    """RFC 6252 s7.7.1, R87, R88: not one EAP packet after the switch, nor at the next access point;
    the agent is told of the arrival, and of the new address (R116)."""

    async def scenario(lab: Lab) -> None:
        node = lab.node
        ready = await node.prepare()
        assert (ready["ready"], ready["wanted"]) == (2, 2)
        (authenticated,) = node.said("preauth.authenticated")
        assert (authenticated["method"], authenticated["server"]) == ("EAP-TLS", SERVER)
        keys = {event["bssid"]: event["pmkid"] for event in node.said("preauth.keys")}
        assert keys == await lab.cached()
        for ap in ("b1", "b2"):
            assert await lab.held(ap) == [keys[lab.bssid(ap)]]
        await at_b1(lab)
        await at_b2(lab)
        assert not node.said("preauth.missed")
        await at_home(lab)
        print("T_auth", authenticated["duration_ns"], "T_conf", ready["duration_ns"])

    lab.run(scenario)


def test_a_return_takes_no_eap_either(lab: Standing[Lab]) -> None:
    """R113, R115: the association is kept, and the node proves that it has its key."""

    async def scenario(lab: Lab) -> None:
        node = lab.node
        await node.prepare()
        await at_b1(lab)
        runs_so_far = len(node.said("preauth.authenticated"))
        since = node.count
        await lab.join("a", "a1")
        await lab.settle(1)
        await node.hear("preauth.left", since)
        await at_b1(lab)
        assert len(node.said("preauth.authenticated")) == runs_so_far
        await at_home(lab)

    lab.run(scenario)


def test_a_key_that_the_access_point_lost_is_a_miss_and_the_node_gets_in(
    lab: Standing[Lab],
) -> None:
    """F8: full EAP, counted; the connection is kept, and the agent is told as ever."""

    async def scenario(lab: Lab) -> None:
        node = lab.node
        for _ in range(runs(100)):
            await node.prepare()
            await lab.access["b1"].pmksa_flush()
            since = node.count
            assert wpa_events.EAP_STARTED in await lab.join("b", "b1")
            assert (await node.hear("preauth.missed", since))["bssid"] == lab.bssid("b1")
            await lab.settle(2)
            await node.hear("preauth.serving", since)
            assert (await lab.supplicant.status()).bssid == lab.bssid("b1")
            await at_home(lab)
            assert set(await lab.cached()) <= {lab.bssid("b1")}
        assert len(node.said("preauth.missed")) == runs(100)

    lab.run(scenario)


def test_what_is_given_up_is_gone_at_both_ends_and_the_link_never_notices(
    lab: Standing[Lab],
) -> None:
    """Single keys leave wpa_supplicant: not by a flush, which would drop network A, and without
    bringing network A to authenticate anew."""

    async def scenario(lab: Lab) -> None:
        await lab.node.prepare()
        keys = await lab.cached()
        assert len(keys) == 2
        since = lab.aa.count
        with lab.supplicant.control.subscribe() as events:
            await lab.node.forget()
            assert not await lab.cached()
            for name in ("b1.b.example", "b2.b.example"):
                await lab.aa.event("aa.key", 30, since=since, matches=withdrawn(name))
            for ap in ("b1", "b2"):
                assert not set(await lab.held(ap)) & set(keys.values())
            names = []
            await lab.supplicant.scan((2412,))
            while wpa_events.SCAN_RESULTS not in names:
                names.append((await events.wait_for(lambda event: True, 10)).name)
        assert not {wpa_events.EAP_STARTED, wpa_events.DISCONNECTED} & set(names)
        assert (await lab.supplicant.status()).bssid == lab.bssid("a1")
        assert lab.bssid("a1") in {entry.peer for entry in await lab.supplicant.pmksa()}

    lab.run(scenario)


def withdrawn(recipient: str) -> Callable[[dict[str, Any]], bool]:
    """An event that says so."""
    return lambda event: event["change"] == "withdrawn" and event["recipient"] == recipient


def test_a_foreign_certificate_is_refused_and_nothing_is_installed(lab: Standing[Lab]) -> None:
    async def scenario(lab: Lab) -> None:
        mn = lab.box["mn"].host
        foreign = authority("somebody else").client(IDENTITY)
        await mn.put("foreign.pem", foreign.certificate)
        await mn.put("foreign.key", foreign.key)
        await lab.node.stop()
        await lab.node.start(
            client_cert=f"{mn.workdir}/foreign.pem", private_key=f"{mn.workdir}/foreign.key"
        )
        since = lab.aa.count
        failed = await lab.node.hear("preauth.failed", await lab.node.ask())
        assert failed["stage"] == "authenticating"
        assert str(failed["reason"]).startswith("rejected"), failed
        assert lab.bssid("b2") not in await lab.cached()
        assert not said(lab.aa, "aa.key", since)

    lab.run(scenario)
