"""A home AAA and two visited ones in namespaces: EAP-TLS by realm, and everything to be refused."""

from __future__ import annotations

import asyncio
import datetime as dt
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal

import pytest
from services_lab import IDENTITY, SERVER_NAME, Papers, boxes, needs, put_client

from radios.errors import MachineError, RemoteError
from rigs.links import Link
from rigs.netns import NamespaceHost
from rigs.services import freeradius as radius
from rigs.services.certificates import Credentials, LabCa
from rigs.services.service import Service

pytestmark = needs("freeradius", "eapol_test")

NAS_SECRET, A_SECRET, B_SECRET = (radius.new_secret() for _ in range(3))
LINKS = (
    Link("nas", "a", "10.91.1.2/24", "10.91.1.1/24"),
    Link("nas", "b", "10.91.2.2/24", "10.91.2.1/24"),
    Link("a", "home", "10.91.3.2/24", "10.91.3.1/24"),
    Link("b", "home", "10.91.4.2/24", "10.91.4.1/24"),
    Link("a", "b", "10.91.5.1/24", "10.91.5.2/24"),
)
A, B = "10.91.1.1", "10.91.2.1"
HOME_OF_A = radius.HomeServer("home", "10.91.3.1", A_SECRET)
HOME_OF_B = radius.HomeServer("home", "10.91.4.1", B_SECRET)


def home_config(papers: Papers, *, crl: bytes | None = None) -> radius.RadiusConfig:
    return radius.RadiusConfig(
        clients=(
            radius.Client("visited-a", "10.91.3.2", A_SECRET),
            radius.Client("visited-b", "10.91.4.0/24", B_SECRET),
        ),
        eap_tls=radius.EapTls(papers.ca.certificate, papers.server, ("home.example",), crl=crl),
        name="home-aaa",
    )


def visited_config(
    home: radius.HomeServer, realm: str = "home.example", *more: radius.Client
) -> radius.RadiusConfig:
    return radius.RadiusConfig(
        clients=(radius.Client("nas", "10.91.0.0/16", NAS_SECRET), *more),
        routes=(radius.Route(realm, (home,)),),
        name="visited-aaa",
    )


@dataclass
class Lab:
    hosts: dict[str, NamespaceHost]
    papers: Papers
    home: Service
    a: Service
    b: Service

    async def eap_tls(
        self,
        server: str,
        *,
        identity: str = IDENTITY,
        client: Credentials | None = None,
        secret: str = NAS_SECRET,
    ) -> str:
        return await eap_tls(self.hosts["nas"], self.papers, server, identity, client, secret)

    async def verdict(self, service: Service, matches: Callable[[radius.Verdict], bool]) -> None:
        """Wait until the server has logged such a verdict."""

        def told(line: str) -> bool:
            verdict = radius.parse_verdict(line)
            return verdict is not None and matches(verdict)

        await service.expect(told, what="the verdict", timeout_s=60)


async def eap_tls(
    nas: NamespaceHost,
    papers: Papers,
    server: str,
    identity: str = IDENTITY,
    client: Credentials | None = None,
    secret: str = NAS_SECRET,
) -> str:
    """What eapol_test printed, its last line being its verdict."""
    await put_client(nas, papers.ca.certificate, client or papers.client)
    network = (
        "network={\n key_mgmt=WPA-EAP\n eap=TLS\n"
        f' identity="{identity}"\n ca_cert="{nas.workdir}/ca.pem"\n'
        f' client_cert="{nas.workdir}/mn.pem"\n private_key="{nas.workdir}/mn.key"\n'
        f' domain_match="{SERVER_NAME}"\n phase1="tls_disable_tlsv1_3=0"\n}}\n'
    )
    await nas.put("peer.conf", network.encode())
    done = await nas.run(
        *("eapol_test", "-c", f"{nas.workdir}/peer.conf", "-a", server, "-s", secret, "-t", "6"),
        check=False,
    )
    return done.stdout.decode(errors="replace").rstrip()


def in_lab(scenario: Callable[[Lab], Awaitable[None]]) -> None:
    async def run() -> None:
        papers = Papers()
        async with boxes(*LINKS) as hosts:
            home, a, b = await asyncio.gather(
                radius.start(hosts["home"], home_config(papers)),
                radius.start(hosts["a"], visited_config(HOME_OF_A)),
                radius.start(hosts["b"], visited_config(HOME_OF_B)),
            )
            await scenario(Lab(hosts, papers, home, a, b))

    asyncio.run(run())


def accepted(said: str) -> bool:
    """Accepted, and the keys of both ends of the EAP method are one."""
    return said.endswith("SUCCESS") and "MPPE keys OK: 1  mismatch: 0" in said


def test_both_visited_domains_reach_home() -> None:
    async def scenario(lab: Lab) -> None:
        for server, client in ((A, "visited-a"), (B, "visited-b")):
            said = await lab.eap_tls(server)
            assert accepted(said), said[-2000:]
            wanted = radius.Verdict(True, IDENTITY, "", client)
            await lab.verdict(lab.home, lambda verdict, wanted=wanted: verdict == wanted)
        for visited in (lab.a, lab.b):
            await lab.verdict(visited, lambda verdict: verdict.ok and verdict.client == "nas")
        assert all(service.alive for service in (lab.home, lab.a, lab.b))

    in_lab(scenario)


def test_realms_are_compared_without_case() -> None:
    async def scenario(lab: Lab) -> None:
        assert accepted(await lab.eap_tls(A, identity="mn@HOME.Example"))

    in_lab(scenario)


def test_every_run_does_the_whole_handshake() -> None:
    async def scenario(lab: Lab) -> None:
        said = [await lab.eap_tls(A) for _ in range(2)]
        challenges = [text.count("code=11 (Access-Challenge)") for text in said]
        assert challenges == [3, 3]  # and the Access-Accept: four round trips to the home domain

    in_lab(scenario)


def test_a_certificate_of_another_authority_is_refused() -> None:
    async def scenario(lab: Lab) -> None:
        stranger = LabCa(dt.datetime.now(dt.UTC), "somebody else").client(IDENTITY)
        assert (await lab.eap_tls(A, client=stranger)).endswith("FAILURE")
        await lab.verdict(lab.home, lambda verdict: not verdict.ok and "eap_tls" in verdict.reason)

    in_lab(scenario)


@pytest.mark.parametrize("identity", ["mn@other.example", "mn", "mn@home.example.evil.example"])
def test_an_unknown_realm_is_rejected_by_the_visited_server(identity: str) -> None:
    async def scenario(lab: Lab) -> None:
        said = await lab.eap_tls(A, identity=identity)
        assert said.endswith("FAILURE")
        assert "CTRL-EVENT-EAP-FAILURE" in said or "EAP-Failure" in said
        wanted = radius.Verdict(False, identity, "realm unknown", "nas")
        await lab.verdict(lab.a, lambda verdict: verdict == wanted)
        assert not any(radius.parse_verdict(line) for line in (await lab.home.log()).splitlines())

    in_lab(scenario)


def test_a_wrong_secret_gets_no_answer() -> None:
    async def scenario(lab: Lab) -> None:
        said = await lab.eap_tls(A, secret=radius.new_secret())
        assert said.endswith("FAILURE")
        assert "Received RADIUS message" not in said.replace("Received RADIUS message: 0", "")
        await lab.a.expect(lambda line: "Message-Authenticator" in line, what="why", timeout_s=60)

    in_lab(scenario)


ASK = """
import hashlib, hmac, os, socket, struct, sys
server, secret, signed = sys.argv[1], sys.argv[2].encode(), sys.argv[3] == "signed"
def attribute(kind, value):
    return bytes([kind, 2 + len(value)]) + value
body = attribute(1, b"mn@other.example") + attribute(4, bytes(4))
if signed:
    body += attribute(79, bytes([2, 7, 0, 6, 1, 109])) + attribute(80, bytes(16))
packet = struct.pack("!BBH", 1, 5, 20 + len(body)) + os.urandom(16) + body
if signed:
    packet = packet[:-16] + hmac.digest(secret, packet, "md5")
channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
channel.settimeout(20 if signed else 2)
channel.sendto(packet, (server, 1812))
try:
    print("code", channel.recv(4096)[0])
except TimeoutError:
    print("silence")
"""


@pytest.mark.parametrize(("form", "answer"), [("signed", "code 3"), ("bare", "silence")])
def test_a_request_without_message_authenticator_gets_no_answer(form: str, answer: str) -> None:
    async def scenario(lab: Lab) -> None:
        ask = (sys.executable, "-c", ASK, A, NAS_SECRET, form)
        # Not even the rejection that the unknown realm earns it, hence no EAP in it: EAP without
        # the attribute is dropped whatever the configuration says.
        assert (await lab.hosts["nas"].run(*ask)).stdout.decode().strip() == answer

    in_lab(scenario)


FORGE = """
import hashlib, hmac, socket, sys
secret, signed = sys.argv[1].encode(), sys.argv[2] == "signed"
channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
channel.bind(("0.0.0.0", 1812))
print("ready", flush=True)
while True:
    request, peer = channel.recvfrom(4096)
    at, states = 20, b""
    while at < len(request):
        if request[at] == 33:
            states += request[at:at + request[at + 1]]
        at += request[at + 1]
    body = states
    if signed:
        body = bytes([80, 18]) + bytes(16) + body
    head = bytes([2, request[1]]) + (20 + len(body)).to_bytes(2, "big")
    if signed:
        body = body[:2] + hmac.digest(secret, head + request[4:20] + body, "md5") + body[18:]
    digest = hashlib.md5(head + request[4:20] + body + secret).digest()
    channel.sendto(head + digest + body, peer)
"""


@pytest.mark.parametrize(("form", "code"), [("signed", 2), ("bare", 3)])
def test_a_reply_without_message_authenticator_never_becomes_an_accept(
    form: Literal["signed", "bare"], code: int
) -> None:
    async def run() -> None:
        async with boxes(*LINKS[:3]) as hosts:
            config = visited_config(HOME_OF_A, "other.example")
            visited = await radius.start(hosts["a"], config)
            forger = await hosts["home"].spawn(
                sys.executable, "-c", FORGE, A_SECRET, form, name="forger", stdout=True
            )
            assert await anext(forger.lines()) == b"ready"
            done = await hosts["nas"].run(sys.executable, "-c", ASK, A, NAS_SECRET, "signed")
            assert done.stdout.decode().strip() == f"code {code}"
            if form == "bare":
                await visited.expect(
                    lambda line: "replied without Message-Authenticator" in line, what="why"
                )

    asyncio.run(run())


def test_a_revoked_certificate_is_refused() -> None:
    async def run() -> None:
        papers = Papers()
        other = papers.ca.client("other@home.example")
        papers.ca.revoke(papers.client)
        async with boxes(*LINKS[:3]) as hosts:
            home = await radius.start(hosts["home"], home_config(papers, crl=papers.ca.crl()))
            await radius.start(hosts["a"], visited_config(HOME_OF_A))
            assert (await eap_tls(hosts["nas"], papers, A)).endswith("FAILURE")
            await home.expect(lambda line: "revoked" in line, what="why", timeout_s=60)
            assert accepted(await eap_tls(hosts["nas"], papers, A, "other@home.example", other))

    asyncio.run(run())


def test_tls_1_3_is_there_for_the_asking() -> None:
    async def run() -> None:
        papers = Papers()
        config = home_config(papers)
        assert config.eap_tls is not None
        config = replace(config, eap_tls=replace(config.eap_tls, max_version="1.3"))
        async with boxes(*LINKS[:3]) as hosts:
            await radius.start(hosts["home"], config)
            await radius.start(hosts["a"], visited_config(HOME_OF_A))
            said = await eap_tls(hosts["nas"], papers, A)
            assert accepted(said), said[-2000:]
            assert "TLSv1.3" in said

    asyncio.run(run())


@pytest.mark.parametrize("servers", [1, 2])
def test_a_proxy_loop_ends(servers: int) -> None:
    """One server that proxies to itself, and two that proxy to each other."""

    async def run() -> None:
        papers = Papers()
        async with boxes(*LINKS) as hosts:
            peer = radius.Client("peer", "10.91.5.0/24", A_SECRET)
            to_b = radius.HomeServer("b", "10.91.5.2", A_SECRET)
            to_a = radius.HomeServer("a", "10.91.5.1" if servers == 2 else "10.91.5.2", A_SECRET)
            first = replace(visited_config(to_b), clients=(visited_config(to_b).clients[0], peer))
            second = replace(first, routes=visited_config(to_a).routes)
            nas = radius.Client("nas", "10.91.1.0/24", NAS_SECRET)
            a = await radius.start(hosts["a"], replace(first, clients=(nas, peer)))
            b = await radius.start(hosts["b"], replace(second, clients=(peer,)))
            assert (await eap_tls(hosts["nas"], papers, A)).endswith("FAILURE")
            logs = await a.log() + await b.log()
            assert "a loop" in logs
            assert logs.count("Login incorrect") <= 6

    asyncio.run(run())


def test_a_taken_port_is_named() -> None:
    async def scenario(lab: Lab) -> None:
        again = replace(visited_config(HOME_OF_A), name="again")
        with pytest.raises(MachineError, match="port 1812 taken on host a") as caught:
            await radius.start(lab.hosts["a"], again)
        assert "ss -lnup" in caught.value.remedy
        assert accepted(await lab.eap_tls(A))

    in_lab(scenario)


def test_a_killed_server_is_noticed_and_named() -> None:
    async def scenario(lab: Lab) -> None:
        watch = asyncio.create_task(lab.home.watch())
        await lab.home.daemon.signal(signal.SIGKILL)
        with pytest.raises(RemoteError, match="home/home-aaa: home-aaa ended with signal 9"):
            await asyncio.wait_for(watch, 60)
        quiet = asyncio.create_task(lab.a.watch())
        await lab.a.stop()
        await asyncio.wait_for(quiet, 60)

    in_lab(scenario)
