"""The agents as processes: FreeRADIUS behind them, hostapd below them, a mobile node in front.

Must show 2 and 4 of pre-authentication, and its reliability under loss.
"""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from agent_lab import (
    AA6_AT,
    BSSID,
    PATIENCE_S,
    REALM,
    ROOT,
    SECRET,
    STATION,
    MobileNode,
    Network,
    Refusal,
    network,
    recipient,
    udp_socket,
)
from pyrad.packet import AccessAccept, AccessReject, AuthPacket
from radius_peers import pyrad_dictionary
from services_lab import IDENTITY, needs

from mpa_hil.authentication.service import Describe, KeyState, Prepare
from mpa_hil.clock import instant
from mpa_hil.discovery import information, wire
from mpa_hil.discovery.description import CandidateNetwork
from mpa_hil.eap.eap_ttls import EapTtls
from mpa_hil.eap.interface import Cause, Failure
from mpa_hil.eap.settings import Pap
from mpa_hil.keys import MasterKey, pmkid
from mpa_hil.mobility.interface import Endpoint
from mpa_hil.pana.interface import Answered, BecameServing, Established
from rigs.services import freeradius
from rigs.services.certificates import LabCa

pytestmark = needs("freeradius", "hostapd")

READY = ((BSSID, KeyState.INSTALLED),)


def in_network(scenario: Callable[[Network], Awaitable[None]], **changes: Any) -> None:
    async def run() -> None:
        async with network(**changes) as lab:
            await scenario(lab)

    asyncio.run(run())


def own_pmkid(node: MobileNode) -> str:
    assert node.pac.session is not None
    pmk = MasterKey(node.pac.session.sa, REALM).pmk(BSSID).secret
    return pmkid(pmk, BSSID, STATION).hex()


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_preauthenticated_over_ipv4_and_ipv6(version: str) -> None:
    """R11-R19, R85, R86: hostapd has the PMK that the MN derives. A second MN comes over IPv6."""

    async def scenario(lab: Network) -> None:
        described = CandidateNetwork(realm=REALM, aa=(Endpoint(ip_address("10.94.1.1"), 716),))
        await lab.start(
            addresses=["10.94.1.1", "2001:db8:94::1"],
            descriptions=wire.encode([described]).hex(),
        )
        aa = lab.agents["aa"]
        node = lab.node()
        await node.authenticate()
        done = await aa.event("aa.authenticated", mobile_node=IDENTITY)
        assert done["lifetime_s"] == 3600
        assert done["aaa_round_trips"] >= 3
        assert await node.ask(Prepare(STATION)) == READY
        assert await lab.pmksas() == {STATION: own_pmkid(node)}
        await aa.event("aa.prepared", installed=1, asked=1)
        answer = await node.ask(Describe(information.Query(1).encode()))
        assert isinstance(answer, bytes)
        said = information.decode(answer)
        assert isinstance(said, information.Answer)
        assert said.networks == (described,)
        six = lab.node(aa=AA6_AT)
        await six.authenticate()
        other = "02:00:00:00:00:06"
        assert await six.ask(Prepare(other)) == READY
        assert set(await lab.pmksas()) == {STATION, other}
        aa.command("sessions")
        listed = await aa.event("aa.sessions")
        assert listed["established"] == 2
        assert listed["half_open"] == 0
        assert all(all(entry["keys"].values()) for entry in listed["sessions"])
        node.does(node.pac.terminate(instant()))
        await node.until(lambda: node.pac.session is None)
        await aa.event("aa.state", state="gone")
        aa.command("end", session=listed["sessions"][1]["session"])
        await six.until(lambda: six.pac.session is None)
        await aa.event("aa.state", state="gone")
        assert await lab.nothing_installed()

    in_network(scenario, max_version=version)


async def refused(lab: Network, node: MobileNode) -> dict[str, Any]:
    """The event of a refusal that left nothing behind anywhere."""
    with pytest.raises(Refusal):
        await node.authenticate()
    event = await lab.agents["aa"].event("aa.refused")
    assert await lab.nothing_installed()
    assert not lab.agents["aa"].all("aa.authenticated")
    node.close()
    return event


def test_whom_the_home_network_refuses_nothing_is_installed_for() -> None:
    """Must show 2: revoked certificate, wrong certificate, unknown realm, wrong password."""

    async def scenario(lab: Network) -> None:
        revoked = lab.papers.ca.client("lost@home.example")
        lab.papers.ca.revoke(revoked)
        await lab.start_radius(
            crl=lab.papers.ca.crl(),
            max_version="1.3",
            ttls_users=(freeradius.User(IDENTITY, "s3same-open"),),
        )
        await lab.start(limits={"failures": 100})
        tls = lab.tls(certificate=revoked.certificate, key=revoked.key)
        event = await refused(lab, lab.node(tls, identity="lost@home.example"))
        assert event["decider"] == "server"
        assert event["mobile_node"] == "lost@home.example"
        assert lab.radius is not None
        await lab.radius.expect(
            lambda line: "revoked" in line, what="the reason", timeout_s=PATIENCE_S
        )

        stranger = LabCa(lab_date(), "somebody").client(IDENTITY)
        tls = lab.tls(certificate=stranger.certificate, key=stranger.key)
        assert (await refused(lab, lab.node(tls)))["decider"] == "server"

        event = await refused(lab, lab.node(identity="mn@nowhere.example"))
        assert event["mobile_node"] == "mn@nowhere.example"
        assert event["decider"] == "server"

        def wrong_password() -> EapTtls:
            return EapTtls(lab.tls(certificate=b"", key=b""), Pap(IDENTITY, "wrong"))

        node = MobileNode(lab.mn, wrong_password)
        assert (await refused(lab, node))["decider"] == "server"
        await lab.node().authenticate()

    in_network(scenario, radius=False)


def lab_date() -> Any:
    import datetime as dt

    return dt.datetime.now(dt.UTC)


def test_an_agent_without_the_servers_secret_lets_nobody_in() -> None:
    """Must show 2, wrong key: the RADIUS secret is another's. The MN hears no success."""

    async def scenario(lab: Network) -> None:
        wrong = {"name": "home", "address": "10.94.2.2", "secret": freeradius.new_secret()}
        await lab.start(servers=[wrong])
        event = await refused(lab, lab.node())
        assert event["decider"] == "nobody"
        assert lab.agents["aa"].all("aa.server", up=False)

    in_network(scenario)


def test_a_rogue_network_with_another_server_gets_nothing() -> None:
    """A8: the server's certificate is not the home network's: the MN ends it and gives no key."""

    async def scenario(lab: Network) -> None:
        await lab.start()
        elsewhere = LabCa(lab_date(), "trusted")
        for tls in (lab.tls(ca=elsewhere.certificate), lab.tls(domains=("bank.example",))):
            node = lab.node(tls)
            await refused(lab, node)
            assert isinstance(node.outcome, Failure)
            assert node.outcome.cause is Cause.SERVER_UNTRUSTED
            assert node.pac.session is None

    in_network(scenario)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_thirty_per_cent_loss_both_ways(seed: int) -> None:
    """Must show 3: it takes longer, and comes to the same."""

    async def scenario(lab: Network) -> None:
        await lab.start()
        dice = random.Random(seed)
        node = lab.node(loses=lambda: dice.random() < 0.3)
        await node.authenticate(2 * PATIENCE_S)
        assert await node.ask(Prepare(STATION)) == READY
        assert await lab.pmksas() == {STATION: own_pmkid(node)}
        assert len(lab.agents["aa"].all("aa.authenticated")) == 1

    in_network(scenario)


def test_killed_between_installation_and_switch() -> None:
    """Must show 4: after kill -9 and a start anew the association is as valid as before, for MN,
    access point and agent; PANA goes on, too."""

    async def scenario(lab: Network) -> None:
        await lab.start()
        node = lab.node()
        await node.authenticate()
        assert await node.ask(Prepare(STATION)) == READY
        before = await lab.pmksas()
        store = Path(lab.folder("aa")) / "associations"
        assert stat.S_IMODE(store.stat().st_mode) == 0o600
        await lab.agents["aa"].kill()
        aa = await lab.start_aa()
        assert aa.events[0]["restored"] == 1
        await aa.connected()
        assert await lab.pmksas() == before == {STATION: own_pmkid(node)}
        assert not lab.agents["ep"].all("keys.released")
        node.does(node.pac.ping(instant()))
        await node.until(lambda: any(isinstance(said, Answered) for said in node.said))
        assert await node.ask(Prepare(STATION)) == READY
        node.does(node.pac.became_serving(instant()))
        await node.until(lambda: any(isinstance(said, BecameServing) for said in node.said))
        await aa.event("aa.state", state="authorised")
        node.said.clear()
        node.does(node.pac.reauthenticate(instant()))
        await node.until(lambda: any(isinstance(said, Established) for said in node.said))
        await aa.event("aa.authenticated")
        assert await node.ask(Prepare(STATION)) == READY
        assert await lab.pmksas() == {STATION: own_pmkid(node)}

    in_network(scenario)


def test_killed_in_the_middle_of_it_all_starts_anew() -> None:
    """Half-open when it died: the MN is not let in, nothing is installed, and it can start again.
    Without its store the agent refuses cleanly, and takes back what recipients still hold."""

    async def scenario(lab: Network) -> None:
        await lab.start()
        node = lab.node()

        def in_the_middle() -> bool:
            return node.peer is not None and len(node.sent) > 3

        node.loses = in_the_middle  # or a quick network would let it in meanwhile
        node.does(node.pac.start(instant()))
        await node.until(in_the_middle)
        await lab.agents["aa"].kill()
        aa = await lab.start_aa()
        assert aa.events[0]["restored"] == 0
        assert await lab.nothing_installed()
        again = lab.node()
        await again.authenticate()
        assert await again.ask(Prepare(STATION)) == READY
        await aa.keys("installed")  # the MN is told of the access point's alone
        await aa.kill()
        (Path(lab.folder("aa")) / "associations").unlink()
        aa = await lab.start_aa()
        await aa.event("aa.recipient", recipient="ep.b.example", up=True, held=1)
        await aa.event("aa.key", recipient="ep.b.example", change="withdrawn")
        await aa.keys("withdrawn")
        assert await lab.nothing_installed()
        with pytest.raises(AssertionError):
            await again.ask(Prepare(STATION), 1)

    in_network(scenario)


@pytest.mark.parametrize("how", ["stdin", "SIGTERM", "keep"])
def test_a_clean_end(how: str) -> None:
    async def scenario(lab: Network) -> None:
        await lab.start()
        aa, ep = lab.agents["aa"], lab.agents["ep"]
        node = lab.node()
        await node.authenticate()
        await node.ask(Prepare(STATION))
        if how == "keep":
            aa.command("keep")
        if how == "SIGTERM":
            aa.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE_S):
                assert await aa.process.wait() == 0
        else:
            assert await aa.end() == 0
        if how == "keep":
            assert await lab.pmksas() == {STATION: own_pmkid(node)}
            aa = await lab.start_aa()
            assert aa.events[0]["restored"] == 1
            assert await ep.end() == 0
            ep_left = await lab.pmksas()
            assert ep_left != {STATION: own_pmkid(node)}, "the enforcement point took it out"
        else:
            assert await lab.nothing_installed()
            await node.until(lambda: node.pac.session is None)

    in_network(scenario)


def test_recipients_obey_their_own_agent_and_the_agent_knows_its_recipients() -> None:
    """A certificate of another authority, another name, another role: no key goes anywhere."""

    async def scenario(lab: Network) -> None:
        await lab.start_hostapd()
        await lab.start_recipients("ca", "ep")
        genuine = lab.ca
        lab.ca = LabCa(lab_date(), "somebody else")
        aa = await lab.start_aa()
        await aa.event("aa.recipient", recipient="ep.b.example", up=False)
        await aa.kill()
        lab.ca = genuine
        aa = await lab.start_aa(name="aa@c.example")
        await lab.agents["ep"].event("keys.authority", up=False)
        assert "aa@c.example" in lab.agents["ep"].events[-1]["reason"]
        await aa.kill()
        mixed = [recipient("ep", "10.94.1.1", 7161, [BSSID])]  # there the CA listens
        aa = await lab.start_aa(recipients=mixed)
        event = await aa.event("aa.recipient", recipient="ep.b.example", up=False)
        assert "another's" in event["reason"]
        assert not any(a.all("keys.held") for a in lab.agents.values())

    in_network(scenario)


def test_access_points_and_enforcement_points_may_restart() -> None:
    """hostapd forgets its PMKs when it is started anew, the enforcement point its own; F8."""

    async def scenario(lab: Network) -> None:
        await lab.start()
        ep, node = lab.agents["ep"], lab.node()
        await node.authenticate()
        await node.ask(Prepare(STATION))
        mine = {STATION: own_pmkid(node)}
        await lab.stop_hostapd()
        await ep.event("ep.access_point", up=False)
        late = lab.node()
        await late.authenticate()
        other = "02:00:00:00:00:07"
        assert await late.ask(Prepare(other)) == ((BSSID, KeyState.DECLINED),)
        await lab.start_hostapd()
        await ep.event("ep.access_point", up=True, reinstalled=1)
        assert (await lab.pmksas())[STATION] == mine[STATION]
        await ep.event("keys.held", station=other)
        aa = lab.agents["aa"]
        confirmed = {"recipient": "ep.b.example", "change": "installed"}
        await aa.until(lambda: len(aa.all("aa.key", **confirmed)) >= 2)
        assert await late.ask(Prepare(other)) == READY
        await ep.kill()
        await lab.start_recipients("ep")
        ep = lab.agents["ep"]
        await ep.event("keys.held", station=STATION)
        await ep.until(lambda: len(ep.all("keys.held")) >= 2)
        assert set(await lab.pmksas()) == {STATION, other}

    in_network(scenario)


def test_an_access_point_that_asks_by_radius() -> None:
    """The second way of keys into access points: it asks when the station comes."""

    async def scenario(lab: Network) -> None:
        asking = "02:00:00:00:0b:77"
        point = {"name": "ap-far", "address": "10.94.3.2", "secret": SECRET}
        aa = await lab.start_aa(
            recipients=[],
            device_keys={"address": "10.94.3.1", "access_points": [point], "bssids": [asking]},
        )
        node = lab.node()
        await node.authenticate()
        door = udp_socket(lab.hosts["ap"].namespace, socket.AF_INET)
        door.settimeout(PATIENCE_S)

        def ask(station: str) -> Any:
            packet = AuthPacket(
                secret=SECRET.encode(),
                dict=pyrad_dictionary(),
                User_Name=station.replace(":", ""),
                Called_Station_Id=asking.upper().replace(":", "-") + ":far",
                Calling_Station_Id=station.upper().replace(":", "-"),
            )
            packet.add_message_authenticator()
            door.sendto(packet.RequestPacket(), ("10.94.3.1", 1812))
            octets = door.recv(4096)
            answer = packet.CreateReply(packet=octets)
            assert packet.VerifyReply(answer, octets, enforce_ma=True)
            answer.request_authenticator = packet.authenticator
            return answer

        assert (await asyncio.to_thread(ask, STATION)).code == AccessReject
        await aa.event("aa.device_key", given=False)
        assert await node.ask(Prepare(STATION)) == ((asking, KeyState.INSTALLED),)
        assert node.pac.session is not None
        pmk = MasterKey(node.pac.session.sa, REALM).pmk(asking).secret
        given = await asyncio.to_thread(ask, STATION)
        assert given.code == AccessAccept
        assert given["Tunnel-Password"] == [pmk.hex()]
        await aa.event("aa.device_key", given=True, station=STATION, bssid=asking)
        assert (await asyncio.to_thread(ask, "02:00:00:00:00:02")).code == AccessReject
        door.close()

    in_network(scenario)


def test_a_key_ends_in_hostapd_when_its_time_is_over() -> None:
    async def scenario(lab: Network) -> None:
        await lab.start(limits={"early_lifetime_s": 8})
        node = lab.node()
        await node.authenticate()
        await node.ask(Prepare(STATION))
        await lab.agents["aa"].event("aa.state", state="gone")
        await lab.agents["ep"].event("keys.released", usage="PMK")
        assert await lab.nothing_installed()
        aa = await lab.agents["aa"].event("aa.key", change="withdrawn")
        assert aa["recipient"].endswith(REALM)

    in_network(scenario)


@pytest.mark.parametrize(
    ("role", "config", "status", "text"),
    [
        ("aa", {}, 2, "addresses: at least one"),
        ("authentication-agent", {"addresses": ["10.0.0.1"]}, 2, "servers: at least one"),
        ("ep", {"access_points": []}, 2, "missing"),
        ("ca", {"name": "x", "authority": "y", "listen": ["z"]}, 2, "no IP address"),
        ("ar", [], 2, "JSON object"),
    ],
)
def test_bad_configurations(
    tmp_path: Path, role: str, config: object, status: int, text: str
) -> None:
    import json

    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    argv = [sys.executable, "-m", "mpa_hil", "agent", role, str(path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    assert text in done.stderr


def readable_by_others(*folders: Path) -> dict[str, bytes]:
    """Command lines and environments of processes, and files that are not their owner's alone."""
    texts: dict[str, bytes] = {}
    for process in Path("/proc").glob("[0-9]*"):
        for part in ("cmdline", "environ"):
            try:
                texts[f"{process}/{part}"] = (process / part).read_bytes()
            except OSError:
                continue
    for path in (path for folder in folders for path in folder.rglob("*")):
        if path.is_file() and path.stat().st_mode & 0o077:
            texts[str(path)] = path.read_bytes()
    return texts


def test_secrets_stay_where_they_belong() -> None:
    """A19: no key in any event, process list or file that others may read."""

    async def scenario(lab: Network) -> None:
        await lab.start()
        node = lab.node()
        await node.authenticate()
        await node.ask(Prepare(STATION))
        session = node.pac.session
        assert session is not None
        root = MasterKey(session.sa, REALM)
        address = ip_address("10.94.1.1")
        keys = [root.mn_ca(address).secret, root.mn_ar(address).secret, root.pmk(BSSID).secret]
        secrets = [session.sa.msk[:32], session.sa.auth_key, SECRET.encode(), *keys]
        needles = [n for s in secrets for n in (s, s.hex().encode(), repr(s)[2:-1].encode())]
        lab.agents["aa"].command("sessions")
        await lab.agents["aa"].event("aa.sessions")
        texts = {"events": b"".join(b"".join(agent.lines) for agent in lab.agents.values())}
        texts |= readable_by_others(*(Path(lab.folder(box)) for box in ("aa", "ap")))
        for where, text in texts.items():
            assert not [needle for needle in needles if needle and needle in text], where
        store = (Path(lab.folder("aa")) / "associations").read_bytes()
        assert session.sa.msk.hex().encode() in store, "the needles are the right ones"

    in_network(scenario)
