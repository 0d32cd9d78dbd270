"""The RADIUS client against real FreeRADIUS servers: keys, fail-over, forgery, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
from radius_lab import Asker, inside, peer_of, settings, udp
from services_lab import IDENTITY, Papers, boxes, needs

from mpa_hil.errors import LocalError
from mpa_hil.mobility.interface import Discarded
from mpa_hil.radius import numbers
from mpa_hil.radius.hiding import hide
from mpa_hil.radius.interface import (
    Accepted,
    Ask,
    Challenged,
    Decider,
    Refused,
    Transport,
    Unreachable,
)
from mpa_hil.radius.packet import attribute, decode, eap_attributes
from mpa_hil.radius.transport import TlsIdentity
from rigs.links import Link
from rigs.netns import NamespaceHost
from rigs.services import freeradius, freeradius_tls
from rigs.services.service import Service

pytestmark = needs("freeradius")

SECRET = freeradius.new_secret()
LINKS = (
    Link("aa", "one", "10.93.1.1/24", "10.93.1.2/24"),
    Link("aa", "two", "10.93.2.1/24", "10.93.2.2/24"),
)
ONE, TWO = udp("one", "10.93.1.2", SECRET), udp("two", "10.93.2.2", SECRET)
IDENTITY_RESPONSE = bytes((2, 1, 0, 5 + len(IDENTITY), 1)) + IDENTITY.encode()


def config(papers: Papers, name: str, *, debug: bool = False) -> freeradius.RadiusConfig:
    return freeradius.RadiusConfig(
        clients=(freeradius.Client("aa", "10.93.0.0/16", SECRET),),
        eap_tls=freeradius.EapTls(
            papers.ca.certificate, papers.server, ("home.example",), max_version="1.3"
        ),
        name=name,
        debug=debug,
    )


@contextlib.asynccontextmanager
async def lab(
    *names: str,
) -> AsyncIterator[tuple[dict[str, NamespaceHost], Papers, dict[str, Service]]]:
    """A client's box, and servers in some of the others."""
    papers = Papers()
    async with boxes(*LINKS) as hosts:
        services = {n: await freeradius.start(hosts[n], config(papers, n)) for n in names}
        yield hosts, papers, services


def test_both_ends_have_the_same_keys() -> None:
    async def run() -> None:
        async with lab("one") as (hosts, papers, _):

            async def work() -> None:
                async with Asker(settings(ONE), {"local": "10.93.1.1"}) as asker:
                    for _ in range(3):
                        peer = peer_of(papers.ca.certificate, papers.client, IDENTITY)
                        outcome, success = await asker.authenticate(peer)
                        assert isinstance(outcome, Accepted), outcome
                        assert success is not None
                        assert outcome.msk == success.msk
                        assert outcome.user_name == IDENTITY.encode()
                    assert set(asker.kinds()) == {"Challenged", "Accepted"}

            await inside(hosts["aa"], work)

    asyncio.run(run())


def test_a_stranger_is_rejected_with_eap_failure() -> None:
    async def run() -> None:
        async with lab("one") as (hosts, papers, _):

            async def work() -> None:
                async with Asker(settings(ONE)) as asker:
                    stranger = Papers()
                    peer = peer_of(papers.ca.certificate, stranger.client, IDENTITY)
                    outcome, success = await asker.authenticate(peer)
                    assert isinstance(outcome, Refused)
                    assert outcome.decider is Decider.SERVER
                    assert outcome.eap is not None
                    assert success is None
                    outcome = await asker.ask(
                        IDENTITY_RESPONSE.replace(b"home", b"nope"), "mn@nope.example"
                    )
                    assert isinstance(outcome, Refused)

            await inside(hosts["aa"], work)

    asyncio.run(run())


def test_over_ipv6() -> None:
    async def run() -> None:
        papers = Papers()
        async with boxes(LINKS[0]) as hosts:
            for last, (box, interface) in enumerate((("aa", "one"), ("one", "aa")), 1):
                switch = f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6"
                await hosts[box].run("sh", "-c", f"echo 0 > {switch}")
                address = ("address", "add", f"2001:db8:93::{last}/64", "dev", interface, "nodad")
                await hosts[box].run("ip", *address)
            client = freeradius.Client("aa", "2001:db8:93::1", SECRET)
            server = replace(config(papers, "one"), clients=(client,), address="2001:db8:93::2")
            await freeradius.start(hosts["one"], server)

            async def work() -> None:
                async with Asker(settings(udp("one", "2001:db8:93::2", SECRET))) as asker:
                    peer = peer_of(papers.ca.certificate, papers.client, IDENTITY)
                    outcome, success = await asker.authenticate(peer)
                    assert isinstance(outcome, Accepted), outcome
                    assert success is not None
                    assert outcome.msk == success.msk

            await inside(hosts["aa"], work)

    asyncio.run(run())


def test_status_server_finds_out_that_freeradius_is_back() -> None:
    """RFC 5997: no user's request is spent on it."""

    async def run() -> None:
        async with lab("two") as (hosts, papers, _):
            here = asyncio.get_running_loop()

            async def begin() -> None:
                made = freeradius.files(config(papers, "one"), f"{hosts['one'].workdir}/one")
                text = made["radiusd.conf"].replace(b"status_server = no", b"status_server = yes")
                await freeradius.launch_files(
                    hosts["one"], config(papers, "one"), {**made, "radiusd.conf": text}
                )

            async def work() -> None:
                probed = replace(ONE, status_server=True)
                async with Asker(settings(probed, TWO, probe_interval_s=0.3)) as asker:
                    await asker.ask(IDENTITY_RESPONSE, IDENTITY)
                    assert asker.kinds() == ["ServerDown", "Challenged"]
                    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(begin(), here))
                    await asker.until(lambda: "ServerUp" in asker.kinds())
                    outcome = await asker.ask(IDENTITY_RESPONSE, IDENTITY)
                    assert isinstance(outcome, Challenged)
                    assert outcome.server == "one"

            await inside(hosts["aa"], work)

    asyncio.run(run())


def test_a_wrong_secret_is_silence() -> None:
    """FreeRADIUS drops what it cannot verify, and we would drop its answer."""

    async def run() -> None:
        async with lab("one") as (hosts, _, _):

            async def work() -> None:
                wrong = udp("one", "10.93.1.2", "another-secret-altogether")
                async with Asker(settings(wrong, duration_s=2.0)) as asker:
                    outcome = await asker.ask(IDENTITY_RESPONSE, IDENTITY)
                    assert isinstance(outcome, Unreachable)
                    assert "Accepted" not in asker.kinds()

            await inside(hosts["aa"], work)

    asyncio.run(run())


def test_the_next_server_is_asked_when_the_first_is_dead() -> None:
    async def run() -> None:
        async with lab("two") as (hosts, papers, _):

            async def work() -> None:
                async with Asker(settings(ONE, TWO)) as asker:
                    for _ in range(2):
                        peer = peer_of(papers.ca.certificate, papers.client, IDENTITY)
                        outcome, success = await asker.authenticate(peer)
                        assert isinstance(outcome, Accepted)
                        assert success is not None
                        assert outcome.server == "two"
                    assert asker.kinds().count("ServerDown") == 1

            await inside(hosts["aa"], work)

    asyncio.run(run())


def test_a_server_killed_in_the_middle_of_a_conversation() -> None:
    """The other knows nothing of it and says no, which is marked as such; the next one succeeds."""

    async def run() -> None:
        async with lab("one", "two") as (hosts, papers, services):
            here = asyncio.get_running_loop()

            async def kill(challenges: int) -> None:
                if challenges == 2:
                    done = services["one"].daemon.signal(signal.SIGKILL)
                    asyncio.run_coroutine_threadsafe(done, here).result(5)

            async def work() -> None:
                async with Asker(settings(ONE, TWO)) as asker:
                    peer = peer_of(papers.ca.certificate, papers.client, IDENTITY)
                    outcome, success = await asker.authenticate(peer, between=kill)
                    assert isinstance(outcome, Refused), outcome
                    assert outcome.moved
                    assert success is None
                    peer = peer_of(papers.ca.certificate, papers.client, IDENTITY)
                    outcome, success = await asker.authenticate(peer)
                    assert isinstance(outcome, Accepted)
                    assert outcome.server == "two"
                    assert success is not None
                    assert success.msk == outcome.msk

            await inside(hosts["aa"], work)

    asyncio.run(run())


def test_a_server_that_comes_back_is_used_again() -> None:
    async def run() -> None:
        async with lab("two") as (hosts, papers, _):
            here = asyncio.get_running_loop()
            started: list[Service] = []

            async def begin() -> None:
                started.append(await freeradius.start(hosts["one"], config(papers, "one")))

            async def work() -> None:
                async with Asker(settings(ONE, TWO, dead_time_s=0.05)) as asker:
                    first = await asker.ask(IDENTITY_RESPONSE, IDENTITY)
                    assert isinstance(first, Challenged)
                    assert first.server == "two"
                    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(begin(), here))
                    # A trial has one transmission: on a busy machine its answer may be too late.
                    async with asyncio.timeout(60):
                        while "ServerUp" not in asker.kinds():
                            await asker.ask(IDENTITY_RESPONSE, IDENTITY)
                    outcome = await asker.ask(IDENTITY_RESPONSE, IDENTITY)
                    assert isinstance(outcome, Challenged)
                    assert outcome.server == "one"

            await inside(hosts["aa"], work)

    asyncio.run(run())


def test_four_hundred_requests_at_once() -> None:
    """More than one source port has identifiers for; each token gets its own answer."""

    async def run() -> None:
        async with lab("one") as (hosts, _, _):

            async def work() -> None:
                asker = Asker(settings(ONE, first_timeout_s=2.0, duration_s=20.0))
                async with asker:
                    for number in range(400):
                        asker.ports.request(number, Ask(IDENTITY_RESPONSE, IDENTITY.encode()))
                    await asker.until(lambda: asker.kinds().count("Challenged") == 400)
                    tokens = {o.token for o in asker.told if isinstance(o, Challenged)}
                    assert tokens == set(range(400))

            await inside(hosts["aa"], work)

    asyncio.run(run())


# A forger between the client and its server


@dataclass
class Forger(asyncio.DatagramProtocol):
    """Sits at the server's address; answers before the genuine server could."""

    kind: str
    seen: int = 0
    transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.seen += 1
        asked = decode(data)
        secret = SECRET.encode()
        body = eap_attributes(bytes((3, 1, 0, 4)))
        for number, salt in ((16, b"\x80\x01"), (17, b"\x80\x02")):
            hidden = hide(bytes(32), secret, asked.authenticator, salt)
            inner = bytes((number, 2 + len(hidden))) + hidden
            body += attribute(26, (311).to_bytes(4, "big") + inner)
        if self.kind == "stuffed":
            body += attribute(numbers.PROXY_STATE, b"x" * 200)
        if self.kind == "garbled":
            body = attribute(numbers.MESSAGE_AUTHENTICATOR, bytes(16)) + body
        head = bytes((2, asked.identifier)) + (20 + len(body)).to_bytes(2, "big")
        seal = md5(head + asked.authenticator + body + secret).digest()
        self.transport.sendto(head + seal + body, addr)


@pytest.mark.parametrize("kind", ["unsigned", "stuffed", "garbled"])
def test_an_acceptance_without_a_good_message_authenticator_is_none(kind: str) -> None:
    """As Blast-RADIUS leaves it: a good Response Authenticator and nothing else (row A12)."""

    async def run() -> None:
        async with boxes(*LINKS) as hosts:

            async def forge() -> None:
                await asyncio.get_running_loop().create_datagram_endpoint(
                    lambda: forger, local_addr=("10.93.1.2", 1812)
                )
                there.set()
                await done.wait()

            async def work() -> None:
                async with Asker(settings(ONE, duration_s=4.0)) as asker:
                    outcome = await asker.ask(IDENTITY_RESPONSE, IDENTITY)
                    assert isinstance(outcome, Unreachable)
                    dropped = [o for o in asker.told if isinstance(o, Discarded)]
                    assert len(dropped) >= 2
                    assert all(o.security and "Message-Auth" in o.reason for o in dropped)

            forger = Forger(kind)
            there, done = ThreadEvent(), ThreadEvent()
            forging = asyncio.create_task(inside(hosts["one"], forge))
            try:
                await there.wait()
                await inside(hosts["aa"], work)
            finally:
                done.set()
                await forging
            assert forger.seen >= 2

    asyncio.run(run())


class ThreadEvent:
    """Set in one loop, awaited in another."""

    def __init__(self) -> None:
        self._ends = socket.socketpair()
        self._ends[0].setblocking(False)

    def set(self) -> None:
        self._ends[1].send(b"x")

    async def wait(self) -> None:
        await asyncio.get_running_loop().sock_recv(self._ends[0], 1)


# RADIUS over TLS


def identity(papers: Papers, folder: Path, name: str = "aaa.home.example") -> TlsIdentity:
    """The client's certificate, issued by the servers' authority."""
    client = papers.ca.client("aa.visited.example")
    (folder / "ca.pem").write_bytes(papers.ca.certificate)
    (folder / "aa.pem").write_bytes(client.certificate)
    (folder / "aa.key").write_bytes(client.key)
    return TlsIdentity(str(folder / "ca.pem"), str(folder / "aa.pem"), str(folder / "aa.key"), name)


RADSEC = udp("one", "10.93.1.2", "radsec", 2083, transport=Transport.TLS)


def radsec(papers: Papers) -> freeradius_tls.RadSec:
    return freeradius_tls.RadSec(papers.ca.certificate, papers.server, ("10.93.1.1",))


async def start_radsec(host: NamespaceHost, papers: Papers) -> Service:
    return await freeradius_tls.start(host, config(papers, "one"), radsec(papers))


def test_radius_over_tls(tmp_path: Path) -> None:
    async def run() -> None:
        papers = Papers()
        async with boxes(*LINKS) as hosts:
            await start_radsec(hosts["one"], papers)

            async def work() -> None:
                tls = identity(papers, tmp_path)
                async with Asker(settings(RADSEC), {"tls": {"one": tls}}) as asker:
                    for _ in range(3):
                        peer = peer_of(papers.ca.certificate, papers.client, IDENTITY)
                        outcome, success = await asker.authenticate(peer)
                        assert isinstance(outcome, Accepted), outcome
                        assert success is not None
                        assert success.msk == outcome.msk
                        assert outcome.attempts == 1

            await inside(hosts["aa"], work)

    asyncio.run(run())


def test_radius_over_tls_to_a_server_that_restarts(tmp_path: Path) -> None:
    async def run() -> None:
        papers = Papers()
        async with boxes(*LINKS) as hosts:
            here = asyncio.get_running_loop()
            services = [await start_radsec(hosts["one"], papers)]

            async def restart() -> None:
                await services.pop().stop()
                services.append(await start_radsec(hosts["one"], papers))

            async def work() -> None:
                tls = identity(papers, tmp_path)
                async with Asker(settings(RADSEC), {"tls": {"one": tls}}) as asker:
                    for _ in range(2):
                        peer = peer_of(papers.ca.certificate, papers.client, IDENTITY)
                        outcome, success = await asker.authenticate(peer)
                        assert isinstance(outcome, Accepted), outcome
                        assert success is not None
                        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(restart(), here))

            await inside(hosts["aa"], work)

    asyncio.run(run())


def test_neither_side_takes_a_stranger_over_tls(tmp_path: Path) -> None:
    async def run() -> None:
        papers, stranger = Papers(), Papers()
        async with boxes(*LINKS) as hosts:
            await start_radsec(hosts["one"], papers)

            async def refused(papers_of_client: Papers, ca: bytes, name: str) -> None:
                tls = identity(papers_of_client, tmp_path, name)
                (tmp_path / "ca.pem").write_bytes(ca)
                asker = Asker(settings(RADSEC, duration_s=3.0), {"tls": {"one": tls}})
                async with asker:
                    outcome = await asker.ask(IDENTITY_RESPONSE, IDENTITY)
                    assert isinstance(outcome, Unreachable), (outcome, name)
                    assert asker.kinds() == ["ServerDown", "Unreachable"]

            async def work() -> None:
                good = "aaa.home.example"
                await refused(stranger, papers.ca.certificate, good)
                await refused(papers, stranger.ca.certificate, good)
                await refused(papers, papers.ca.certificate, "another.example")

            await inside(hosts["aa"], work)

    asyncio.run(run())


def test_over_tls_the_next_server_may_be_a_udp_one(tmp_path: Path) -> None:
    async def run() -> None:
        async with lab("two") as (hosts, papers, _):

            async def work() -> None:
                tls = identity(papers, tmp_path)
                async with Asker(settings(RADSEC, TWO), {"tls": {"one": tls}}) as asker:
                    peer = peer_of(papers.ca.certificate, papers.client, IDENTITY)
                    outcome, success = await asker.authenticate(peer)
                    assert isinstance(outcome, Accepted)
                    assert success is not None
                    assert outcome.server == "two"

            await inside(hosts["aa"], work)

    asyncio.run(run())


def test_what_is_missing_for_tls_is_named(tmp_path: Path) -> None:
    async def run() -> None:
        with pytest.raises(LocalError, match="RADIUS server one: no certificates"):
            await Asker(settings(RADSEC)).__aenter__()
        missing = TlsIdentity(*(str(tmp_path / n) for n in ("a", "b", "c")), "x")
        with pytest.raises(LocalError, match="cannot use the certificates"):
            await Asker(settings(RADSEC), {"tls": {"one": missing}}).__aenter__()

    asyncio.run(run())
