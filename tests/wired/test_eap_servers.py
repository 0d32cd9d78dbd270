"""This project's EAP peer and pass-through authenticator against FreeRADIUS and hostapd.

Each success compares the peer's MSK with what the server put into its Access-Accept.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal

import pytest
from eap_lab import Talk, Way, socket_in, talk
from services_lab import IDENTITY, SERVER_NAME, Papers, boxes, needs

from mpa_hil.eap.eap_gpsk import EapGpsk
from mpa_hil.eap.eap_tls import EapTls
from mpa_hil.eap.eap_ttls import EapTtls
from mpa_hil.eap.interface import Cause
from mpa_hil.eap.method import Method
from mpa_hil.eap.peer import EapPeer
from mpa_hil.eap.settings import GpskSettings, MsChapV2, Pap, TlsSettings
from rigs.links import Link
from rigs.services import freeradius as radius
from rigs.services import hostapd_eap
from rigs.services.certificates import LabCa
from rigs.services.service import Service

SECRET = radius.new_secret()
LINK = Link("nas", "home", "10.98.1.2/24", "10.98.1.1/24")
NAS = radius.Client("nas", "10.98.1.0/24", SECRET)
PASSWORD = "s3same-open"
KEY = bytes(range(32))
Version = Literal["1.2", "1.3"]
VERSIONS = pytest.mark.parametrize("version", ["1.2", "1.3"])
freeradius = needs("freeradius")


@dataclass
class Server:
    """A standing server, and the way to it."""

    service: Service
    way: Way
    papers: Papers

    async def try_(self, method: Method, identity: str = IDENTITY) -> Talk:
        peer = EapPeer((method,), identity, os.urandom)
        return await asyncio.to_thread(talk, peer, self.way)

    async def won(self, method: Method, identity: str = IDENTITY) -> Talk:
        result = await self.try_(method, identity)
        assert result.success.msk == result.server.msk  # type: ignore[union-attr]
        return result

    async def verdict(self, ok: bool) -> radius.Verdict:
        """What the server logged of the one authentication there was."""
        found: list[radius.Verdict] = []

        def wanted(line: str) -> bool:
            verdict = radius.parse_verdict(line)
            if verdict is not None and verdict.ok == ok:
                found.append(verdict)
            return bool(found)

        await self.service.expect(wanted, what="a verdict", timeout_s=60)
        return found[0]

    def tls(self, **changes: object) -> TlsSettings:
        own = self.papers.client
        values: dict[str, object] = {
            "ca": self.papers.ca.certificate,
            "domains": ("home.example",),
            "certificate": own.certificate,
            "key": own.key,
        }
        return TlsSettings(**(values | changes))  # type: ignore[arg-type]


@asynccontextmanager
async def server(papers: Papers | None = None, **changes: object) -> AsyncIterator[Server]:
    """FreeRADIUS for one test."""
    papers = papers or Papers()
    tls = radius.EapTls(papers.ca.certificate, papers.server, ("home.example",))
    tls = replace(
        tls,
        ttls_users=(radius.User(IDENTITY, PASSWORD),),
        **changes,  # type: ignore[arg-type]
    )
    async with boxes(LINK) as hosts:
        config = radius.RadiusConfig(clients=(NAS,), eap_tls=tls)
        service = await radius.start(hosts["home"], config)
        with socket_in(hosts["nas"].namespace) as socket:
            yield Server(service, Way(socket, ("10.98.1.1", 1812), SECRET.encode()), papers)


@freeradius
@VERSIONS
def test_eap_tls(version: Version) -> None:
    async def run() -> None:
        async with server(max_version=version) as home:
            result = await home.won(EapTls(home.tls()), "@home.example")
            assert result.success.detail.startswith(f"TLSv{version}")
            assert (result.success.peer_id, result.success.server_id) == (IDENTITY, SERVER_NAME)
            # Identity, start, the server's flight, its last word: the least there can be.
            assert result.requests == 4
            assert not result.discarded
            assert (await home.verdict(True)).user == "@home.example"

    asyncio.run(run())


@freeradius
@VERSIONS
def test_fragments_both_ways(version: Version) -> None:
    async def run() -> None:
        async with server(max_version=version, fragment_bytes=200) as home:
            result = await home.won(EapTls(home.tls(fragment_octets=150)))
            assert result.largest == 150
            assert result.requests > 12
            assert max(map(len, result.packets)) <= 220

    asyncio.run(run())


@freeradius
@VERSIONS
def test_a_session_is_resumed(version: Version) -> None:
    async def run() -> None:
        async with server(max_version=version, session_cache=True) as home:
            method = EapTls(home.tls())
            first, second = await home.won(method), await home.won(method)
            assert (first.success.resumed, second.success.resumed) == (False, True)
            assert second.success.msk != first.success.msk
            assert second.success.session_id != first.success.session_id
            assert sum(map(len, second.packets)) < sum(map(len, first.packets)) / 2
            # The server may have forgotten it (3.2.1 has, with TLS 1.3): then all begins anew.
            await home.won(method)
            await home.won(EapTls(home.tls()))

    asyncio.run(run())


@freeradius
@VERSIONS
def test_a_server_without_a_cache_makes_it_all_anew(version: Version) -> None:
    async def run() -> None:
        async with server(max_version=version) as home:
            method = EapTls(home.tls())
            for _ in range(3):
                assert not (await home.won(method)).success.resumed

    asyncio.run(run())


@freeradius
@VERSIONS
@pytest.mark.parametrize("inner", [Pap, MsChapV2])
def test_eap_ttls(version: Version, inner: type[Pap | MsChapV2]) -> None:
    async def run() -> None:
        async with server(max_version=version, first_method="ttls") as home:
            bare = home.tls(certificate=b"", key=b"")
            result = await home.won(EapTtls(bare, inner(IDENTITY, PASSWORD)), "@home.example")
            assert result.success.detail.startswith(f"TLSv{version}")
            assert result.requests == {"1.2": 4, "1.3": 3}[version] + (inner is MsChapV2)
            wrong = await home.try_(EapTtls(bare, inner(IDENTITY, PASSWORD + "?")))
            assert wrong.failure.cause is Cause.REJECTED
            stranger = await home.try_(EapTtls(bare, inner("nobody@home.example", PASSWORD)))
            assert stranger.failure.cause is Cause.REJECTED
            await home.service.expect(lambda line: "user unknown" in line, what="why")

    asyncio.run(run())


@freeradius
def test_the_peer_asks_for_its_own_method() -> None:
    async def run() -> None:
        async with server(first_method="tls") as home:
            assert (await home.won(EapTtls(home.tls(), Pap(IDENTITY, PASSWORD)))).requests == 5
        async with server(first_method="ttls") as home:
            await home.won(EapTls(home.tls()))
            none = await home.try_(EapGpsk(GpskSettings(KEY, IDENTITY)))
            assert none.failure.cause is Cause.NO_METHOD

    asyncio.run(run())


@freeradius
@VERSIONS
def test_servers_that_the_peer_refuses(version: Version) -> None:
    """Another authority, another name, a revoked and an expired certificate."""

    async def run() -> None:
        other = LabCa(dt.datetime.now(dt.UTC), "somebody else")
        async with server(max_version=version) as home:
            home.papers.ca.revoke(home.papers.server)
            for changes, said in (
                ({"ca": other.certificate}, "authorities"),
                ({"domains": ("other.example",)}, SERVER_NAME),
                ({"crl": home.papers.ca.crl()}, "it is revoked"),
            ):
                for method in (
                    EapTls(home.tls(**changes)),
                    EapTtls(home.tls(**changes), Pap(IDENTITY, PASSWORD)),
                ):
                    failure = (await home.try_(method)).failure
                    assert failure.cause is Cause.SERVER_UNTRUSTED, failure
                    assert said in failure.reason
            assert (await home.verdict(False)).reason
            await home.won(EapTls(home.tls()))
        papers = Papers()
        papers.ca = LabCa(dt.datetime.now(dt.UTC) - dt.timedelta(days=200))
        papers.server = papers.ca.server(SERVER_NAME)
        async with server(papers, max_version=version) as home:
            failure = (await home.try_(EapTls(home.tls()))).failure
            assert failure.reason.endswith("it has expired")

    asyncio.run(run())


@freeradius
@VERSIONS
def test_peers_that_the_server_refuses(version: Version) -> None:
    """3.2.1 sends them no alert but EAP-Failure at once; its log says why."""

    async def run() -> None:
        papers = Papers()
        good = papers.ca.client("good@home.example")
        past = LabCa(dt.datetime.now(dt.UTC), "somebody else").client(IDENTITY)
        papers.ca.revoke(papers.client)
        async with server(papers, max_version=version, crl=papers.ca.crl()) as home:
            revoked = (await home.try_(EapTls(home.tls()))).failure
            assert revoked.cause is Cause.REJECTED
            await home.service.expect(lambda line: "revoked" in line, what="why", timeout_s=60)
            strange = home.tls(certificate=past.certificate, key=past.key)
            failure = (await home.try_(EapTls(strange))).failure
            assert failure.cause is Cause.REJECTED
            assert "TLS" in (await home.verdict(False)).reason
            await home.won(EapTls(home.tls(certificate=good.certificate, key=good.key)))

    asyncio.run(run())


@freeradius
@VERSIONS
def test_an_expired_peer_is_refused(version: Version) -> None:
    async def run() -> None:
        now = dt.datetime.now(dt.UTC)
        papers = Papers()
        # The same authority as it was 200 days ago: what it issued then has expired.
        present, papers.ca._now = papers.ca._now, now - dt.timedelta(days=200)
        papers.client = papers.ca.client(IDENTITY)
        papers.ca._now = present
        async with server(papers, max_version=version) as home:
            failure = (await home.try_(EapTls(home.tls()))).failure
            assert failure.cause is Cause.REJECTED
            await home.service.expect(lambda line: "expired" in line, what="why", timeout_s=60)

    asyncio.run(run())


@freeradius
def test_an_unknown_realm_is_refused() -> None:
    async def run() -> None:
        async with server() as home:
            result = await home.try_(EapTls(home.tls()), "mn@nowhere.example")
            assert result.failure.cause is Cause.REJECTED
            assert result.requests == 1
            assert (await home.verdict(False)).reason == "realm unknown"

    asyncio.run(run())


@freeradius
def test_tls_versions_that_do_not_meet() -> None:
    """EAP-Failure where EAP-TLS cannot end is dropped; it is the lower layer that ends it."""

    async def run() -> None:
        for bounds, wanted in (
            ({"max_version": "1.2"}, {"min_version": "1.3"}),
            ({"min_version": "1.3", "max_version": "1.3"}, {"max_version": "1.2"}),
        ):
            async with server(**bounds) as home:
                result = await home.try_(EapTls(home.tls(**wanted)))
                assert result.failure.cause is Cause.LOWER_LAYER
                assert result.discarded == ["Failure while the peer continues"]
                assert "TLS" in (await home.verdict(False)).reason
                await home.won(EapTls(home.tls()))

    asyncio.run(run())


@needs("hostapd")
@pytest.mark.parametrize("suite", [1, 2])
def test_eap_gpsk(suite: int) -> None:
    async def run() -> None:
        async with boxes(LINK) as hosts:
            config = hostapd_eap.EapServerConfig(
                (NAS,), (hostapd_eap.KeyUser(IDENTITY, KEY),), SERVER_NAME
            )
            service = await hostapd_eap.start(hosts["home"], config)
            with socket_in(hosts["nas"].namespace) as socket:
                way = Way(socket, ("10.98.1.1", 1812), SECRET.encode())
                home = Server(service, way, Papers())
                mine = GpskSettings(KEY, IDENTITY, SERVER_NAME, ciphersuites=(suite,))
                result = await home.won(EapGpsk(mine))
                assert result.success.detail == f"ciphersuite {suite}"
                assert result.success.server_id == SERVER_NAME
                assert result.requests == 3
                wrong = await home.try_(EapGpsk(replace(mine, psk=KEY[::-1])))
                assert wrong.failure.cause is Cause.REJECTED
                other = await home.try_(EapGpsk(replace(mine, server_id="aaa.other.example")))
                assert other.failure.cause is Cause.NO_METHOD
                # hostapd finds the key by the first identity, and never compares ID_Peer with it.
                nobody = await home.try_(EapGpsk(mine), "nobody@home.example")
                # Its EAP-Failure has identifier 0, so it answers nothing (RFC 3748 s4.2).
                assert nobody.failure.cause is Cause.LOWER_LAYER

    asyncio.run(run())
