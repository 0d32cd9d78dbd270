"""What a station learns of other networks from the access point it is on: 802.11k and 802.11u."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from air import Box, access_point, boxes, join, join_both, network, station
from discovery_samples import A, B, at
from virtual_radios import Hwsim

from mpa_hil import eventlog
from mpa_hil.discovery import nearby, wire
from mpa_hil.discovery.cache import Cache, Place
from mpa_hil.discovery.description import CandidateNetwork, Learnt, PointOfAttachment, Source
from radios.anqp import MAX_ELEMENT_OCTETS, InfoId
from radios.control import ControlClient, Refused
from radios.hostapd import Hostapd
from radios.neighborhood import Neighborhood
from radios.supplicant import Supplicant
from rigs.services import hostapd
from rigs.services.interworking import Interworking

STRANGER = PointOfAttachment("b9", b"operator-b", "02:00:00:00:0b:09", 5180)
HOSTILE = b"x \"y'\n;$(id)"
DESCRIBED = nearby.encode_element((B,))
C = CandidateNetwork(
    "c.example",
    (PointOfAttachment("c1", b"operator-c", "02:00:00:00:0c:01", 2462),),
    (at("10.3.0.1"),),
)
OF_C = nearby.encode_element((C,))


@dataclass
class Air:
    """A station on an access point that tells of network B."""

    access: Hostapd
    supplicant: Supplicant
    asks: Neighborhood
    bssid: str


@contextlib.asynccontextmanager
async def air(
    *, reports: bool = True, interworking: Interworking | None = None
) -> AsyncIterator[Air]:
    async with boxes(Hwsim(), "ap", "mn") as box:
        config = replace(
            access_point(box["ap"], 1), neighbor_report=reports, interworking=interworking
        )
        await hostapd.start(box["ap"].host, config)
        async with (
            station(box["mn"]) as (supplicant, _),
            ControlClient(config.control_path(box["ap"].host)) as control,
        ):
            access, asks = Hostapd(control), Neighborhood(supplicant.control)
            # An access point drops protected frames until it has opened its port too.
            await join_both(supplicant, access, await supplicant.add_network(network(box["ap"], 1)))
            yield Air(access, supplicant, asks, address(box["ap"]))


def address(box: Box) -> str:
    return box.device.address


Say = Callable[..., None]
Hear = Callable[[str], Awaitable[dict[str, object]]]


@contextlib.asynccontextmanager
async def agent() -> AsyncIterator[tuple[Say, Hear]]:
    """The discovery agent, and ways to command it and to await an event of it."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.json"
        config.write_text(json.dumps({"host": "mn", "memory": f"{folder}/networks"}))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mpa_hil.agents.discovery", str(config)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        writer, reader = process.stdin, process.stdout
        assert writer is not None
        assert reader is not None

        def say(verb: str, **fields: object) -> None:
            writer.write(json.dumps({"cmd": verb, **fields}).encode() + b"\n")

        async def hear(kind: str) -> dict[str, object]:
            async with asyncio.timeout(60):
                while line := await reader.readline():
                    event = eventlog.decode(line)
                    fields: dict[str, object] = json.loads(line)
                    if fields["type"] == kind:
                        assert event.host == "mn"
                        return fields
            raise AssertionError(f"no {kind}")

        try:
            yield say, hear
            writer.close()
            assert await process.wait() == 0
            assert (Path(folder) / "networks").stat().st_mode & 0o777 == 0o600
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def announce(access: Hostapd, point: PointOfAttachment) -> None:
    """Have an access point report a point as its neighbour."""
    report = nearby.report_of(point)
    assert report is not None
    await access.set_neighbor(point.bssid, point.ssid, replace(report, ssid=None).encode())


def test_neighbours_of_another_network_are_reported() -> None:
    """R26, R27: BSSID and channel of a CTN's points by 802.11k, asked for by its SSID."""

    async def scenario() -> None:
        async with air() as there:
            for point in (B.points[0], STRANGER):
                await announce(there.access, point)
            (own,) = await there.asks.neighbor_report()
            assert (own.bssid, own.frequency_mhz) == (there.bssid, 2412)
            found = await there.asks.neighbor_report(b"operator-b")
            assert {(each.bssid, each.frequency_mhz) for each in found} == {
                (B.points[0].bssid, 2437),
                (STRANGER.bssid, 5180),
            }
            matched = nearby.matched(found, [A, B])
            (network,) = matched.networks
            assert {point.bssid for point in network.points} == {
                B.points[0].bssid,
                STRANGER.bssid,
            }
            assert not matched.strangers
            assert await there.asks.neighbor_report(b"nobody") == ()

    asyncio.run(scenario())


def test_a_hostile_ssid_goes_there_and_back() -> None:
    """A18: quotes, spaces, newlines and shell words in an SSID stay octets on both sockets."""

    async def scenario() -> None:
        async with air() as there:
            hostile = replace(STRANGER, ssid=HOSTILE)
            await announce(there.access, hostile)
            (line,) = [each for each in await there.access.neighbors() if STRANGER.bssid in each]
            assert HOSTILE.hex() in line
            (found,) = await there.asks.neighbor_report(HOSTILE)
            assert (found.bssid, found.ssid) == (STRANGER.bssid, HOSTILE)
            # The control connection still pairs questions and answers.
            assert (await there.supplicant.status()).completed

    asyncio.run(scenario())


def test_without_reports_the_question_is_refused() -> None:
    async def scenario() -> None:
        async with air(reports=False) as there:
            with pytest.raises(Refused):
                await there.asks.neighbor_report()

    asyncio.run(scenario())


def test_descriptions_travel_by_anqp() -> None:
    """R27: parameters in link-layer management frames, 802.11u style; AA, CA and AR with them."""
    reports = tuple(filter(None, map(nearby.report_of, B.points)))
    spoken = Interworking(
        domain_names=("a.example",),
        realms=("home.example",),
        venue_url="https://a.example/",
        elements=(
            (nearby.DESCRIPTION, DESCRIBED),
            (InfoId.NEIGHBOR_REPORT, nearby.encode_reports(reports)),
        ),
    )

    async def scenario() -> None:
        async with air(interworking=spoken) as there:
            started_ns = time.monotonic_ns()
            told = nearby.told(await there.asks.anqp(there.bssid, nearby.QUERY))
            assert told.networks == (B,)
            assert told.reports == reports
            assert told.reports[1].ssid == B.points[1].ssid
            assert told.domain_names == ("a.example",)
            assert told.home_realms == ("home.example",)

            here = Place(there.bssid, b"ap")
            cache = Cache()
            cache.learn((Learnt(n, Source.ANQP, started_ns) for n in told.networks), here)
            (candidate,) = cache.candidates(time.monotonic_ns(), here)
            assert candidate.network.aa == B.aa

            # What the access point is told later is told on.
            moved = replace(B, aa=(at("10.2.0.7"),))
            await there.access.set_anqp_element(nearby.DESCRIPTION, nearby.encode_element((moved,)))
            again = nearby.told(await there.asks.anqp(there.bssid, (nearby.DESCRIPTION,)))
            assert again.networks == (moved,)

    asyncio.run(scenario())


def test_the_longest_element_comes_through_whole() -> None:
    """Several GAS fragments on the air, and one reply of the control socket."""
    octets = os.urandom(MAX_ELEMENT_OCTETS)
    spoken = Interworking(elements=((nearby.DESCRIPTION, octets),))

    async def scenario() -> None:
        async with air(interworking=spoken) as there:
            found = await there.asks.anqp(there.bssid, (nearby.DESCRIPTION,))
            assert found[nearby.DESCRIPTION] == octets
            assert nearby.told(found) == nearby.Told()

    asyncio.run(scenario())


def test_an_access_point_is_asked_before_it_is_joined() -> None:
    """An access point of nobody known names its operator: from the report to the realm."""
    spoken = Interworking(domain_names=("b.example",))

    async def scenario() -> None:
        async with boxes(Hwsim(), "ap", "b1", "mn") as box:
            here = replace(access_point(box["ap"], 1), neighbor_report=True)
            there = replace(access_point(box["b1"], 6), interworking=spoken)
            await hostapd.start(box["ap"].host, here)
            await hostapd.start(box["b1"].host, there)
            async with (
                station(box["mn"]) as (supplicant, _),
                ControlClient(here.control_path(box["ap"].host)) as control,
            ):
                await join(supplicant, await supplicant.add_network(network(box["ap"], 1)))
                point = PointOfAttachment("b1", b"b1", address(box["b1"]), 2437)
                await announce(Hostapd(control), point)
                asks = Neighborhood(supplicant.control)
                (report,) = nearby.matched(await asks.neighbor_report(b"b1"), [A]).strangers
                assert report.frequency_mhz is not None
                await supplicant.scan_and_wait([report.frequency_mhz])
                told = nearby.told(await asks.anqp(report.bssid, nearby.QUERY))
                assert told.domain_names == ("b.example",)
                found = nearby.reported_point(report)
                assert found is not None
                assert CandidateNetwork(told.domain_names[0], (found,)).point(point.bssid)
                assert (await supplicant.status()).bssid == address(box["ap"])
                with pytest.raises(Refused):
                    await asks.anqp("02:00:00:00:99:99", nearby.QUERY)

    asyncio.run(scenario())


def test_the_agent_looks_around() -> None:
    """R29, R30: the process on the node, from lab file and air to what is to be prepared."""

    async def scenario() -> None:
        async with air(interworking=Interworking(elements=((nearby.DESCRIPTION, OF_C),))) as there:
            await announce(there.access, B.points[0])
            await announce(there.access, STRANGER)
            async with agent() as (say, hear):
                await hear("discovery.ready")
                say("open", control=there.supplicant.control.path)
                assert (await hear("discovery.opened"))["bssid"] == there.bssid
                say("learn", networks=wire.encode((B,)).hex(), source="lab-file")
                await hear("discovery.learnt")
                say("look", best=2)
                found = await hear("discovery.candidates")
                assert found["realms"] == ["b.example", "c.example"]
                assert found["trust"] == ["configured", "unauthenticated"]
                b, c = wire.decode(bytes.fromhex(str(found["networks"])))
                assert b.aa == B.aa
                assert {point.bssid for point in b.points} >= {STRANGER.bssid, B.points[0].bssid}
                assert c.aa == C.aa
                say("learn", networks="00", source="own-aa")
                assert "descriptions" in str((await hear("agent.failed"))["error"])

    asyncio.run(scenario())
