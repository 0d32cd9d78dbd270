"""The sampler on virtual radios: what kernel and supplicant really tell, and what a look costs."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from air import FREQUENCIES_MHZ, Box, access_point, boxes, join, network, station
from virtual_radios import Hwsim

from mpa_hil.agents.sampling import Sampler
from mpa_hil.policy.interface import BeaconLoss, Probed, Sample
from mpa_hil.sampling.settings import Settings
from radios import hwsim
from radios.supplicant import Supplicant
from rigs.services import hostapd
from rigs.services.interworking import Interworking
from rigs.services.service import Service

_NEW_NET = 0x40000000
MN, AP = "10.77.0.2", "10.77.0.1"
SPACING_MS = 4
CHANNEL = {"a": 1, "b": 6, "c": 6}


@contextlib.contextmanager
def within(box: Box) -> Iterator[None]:
    """This thread in a box's network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with (
        open("/proc/thread-self/ns/net") as here,
        open(f"/run/netns/{box.host.namespace}") as there,
    ):
        assert libc.setns(there.fileno(), _NEW_NET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(here.fileno(), _NEW_NET) == 0


@dataclass
class Link:
    """What a sampler needs of a node's link."""

    supplicant: Supplicant
    box: dict[str, Box]
    names = ("a", "b", "c")

    @property
    def networks(self) -> Link:
        return self

    def bssid(self, name: str) -> str:
        return self.box[name].device.address

    def frequency_mhz(self, name: str) -> int:
        return FREQUENCIES_MHZ[CHANNEL[name]]


@dataclass
class Pings:
    """What became of a stream of them."""

    sent: int
    received: int
    longest_ms: float


async def pings(box: Box, seconds: float) -> Pings:
    """Packets both ways, evenly spaced."""
    count = str(int(1000 * seconds / SPACING_MS))
    ended = await box.host.run("ping", "-q", "-c", count, "-i", str(SPACING_MS / 1000), AP)
    said = ended.stdout.decode()
    counted = re.search(r"(\d+) packets transmitted, (\d+) received", said)
    times = re.search(r"= [\d.]+/[\d.]+/([\d.]+)/", said)
    assert counted is not None
    assert times is not None
    return Pings(int(counted[1]), int(counted[2]), float(times[1]))


def test_a_sampler_hears_looks_and_notices_silence() -> None:
    async def scenario() -> None:
        async with boxes(Hwsim(), "a", "b", "c", "mn") as box:
            running: dict[str, Service] = {}
            for name, channel in CHANNEL.items():
                offered = Interworking(domain_names=("b.example",)) if name == "b" else None
                config = replace(access_point(box[name], channel), interworking=offered)
                running[name] = await hostapd.start(box[name].host, config)
            hwsim.set_rx_rssi(box["a"].device.phy, -70)  # and 20 dBm of transmit power
            hwsim.set_rx_rssi(box["b"].device.phy, -85)
            mn = box["mn"]
            async with station(mn) as (supplicant, _):
                await join(supplicant, await supplicant.add_network(network(box["a"], 1)))
                for name, address in (("a", AP), ("mn", MN)):
                    there = box[name]
                    arguments = (f"{address}/24", "dev", there.device.interface)
                    await there.host.run("ip", "addr", "add", *arguments)
                await pings(mn, 0.2)  # neighbours are known now
                told: list[Any] = []
                settings = Settings(poll_ms=50, guard_ms=0, background=False, burst_ms=2000)
                link = cast(Any, Link(supplicant, box))
                sampler = Sampler(link, settings, told.append, interface=mn.device.interface)
                with within(mn):
                    sampler.start("a")
                try:
                    await follow(sampler, told, box, running)
                finally:
                    sampler.stop()

    async def until(found: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not found():  # noqa: ASYNC110 (there is no event for each)
                await asyncio.sleep(0.05)

    async def follow(
        sampler: Sampler, told: list[Any], box: dict[str, Box], running: dict[str, Service]
    ) -> None:
        # The present access point, from the station table; nobody knows the noise yet.
        await until(lambda: len(told) > 3)
        assert {(s.source, s.signal_dbm, s.noise_dbm) for s in told} == {("station", -50, None)}
        # A look at the other channel: found, nothing lost, one hole.
        streaming = asyncio.create_task(pings(box["mn"], 2.0))
        await asyncio.sleep(0.5)
        sampler.look(0, "b")
        await until(lambda: [p for p in told if isinstance(p, Probed)])
        away = await streaming
        assert [p.reachable for p in told if isinstance(p, Probed)] == [True]
        assert {s.signal_dbm for s in samples(told) if s.ap == "b"} == {-65}
        assert away.received == away.sent
        assert 20 < away.longest_ms < 200
        assert 20 < sampler.spent_ms < 200
        # Since that scan the supplicant knows the noise.
        await until(lambda: ("a", -92) in {(s.ap, s.noise_dbm) for s in samples(told)})
        # A look at its own: the radio stays.
        streaming = asyncio.create_task(pings(box["mn"], 2.0))
        await asyncio.sleep(0.5)
        sampler.look(FREQUENCIES_MHZ[1], "a")
        await until(lambda: len([p for p in told if isinstance(p, Probed)]) == 2)
        stayed = await streaming
        assert stayed.received == stayed.sent
        assert stayed.longest_ms < away.longest_ms / 2
        await answers(sampler, told, box, running)
        # Out of range: beacons stay away, and are told before the driver gives the link up.
        hwsim.set_group(box["a"].device.phy, 1 << 40)
        await until(lambda: [lost for lost in told if isinstance(lost, BeaconLoss)])
        first = next(lost for lost in told if isinstance(lost, BeaconLoss))
        assert first.ap == "a"
        assert first.missed >= 4

    asyncio.run(scenario())


async def answers(
    sampler: Sampler, told: list[Any], box: dict[str, Box], running: dict[str, Service]
) -> None:
    """R83: who answers, who is only heard, and who is not there; and what asking them costs."""

    async def tested(ap: str, seconds: float = 1.5) -> tuple[str, Pings, float]:
        streaming = asyncio.create_task(pings(box["mn"], seconds))
        await asyncio.sleep(0.5)
        spent_ms, before = sampler.spent_ms, len(told)
        sampler.look(0, ap, test=True)
        async with asyncio.timeout(60):
            while True:
                found = [each for each in told[before:] if isinstance(each, Probed)]
                if found:
                    break
                await asyncio.sleep(0.01)
        stream = await streaming
        assert found[0].ap == ap
        assert found[0].reachable is (found[0].by in ("anqp", "probe-response"))
        print(f"{ap}: {found[0]}, {stream}, away {sampler.spent_ms - spent_ms:.2f} ms")
        assert stream.received == stream.sent
        return found[0].by, stream, sampler.spent_ms - spent_ms

    by, stream, away_ms = await tested("b")
    assert by == "anqp"
    assert 0 < away_ms < 10
    assert stream.longest_ms < 20, "one frame there and one back"
    by, stream, away_ms = await tested("c")
    assert by == "probe-response", "it has no ANQP"
    assert 20 < away_ms < 200
    # Its beacons go on, and its radio acknowledges; nobody there answers.
    for name in "bc":
        await running[name].daemon.signal(signal.SIGSTOP)
    by, stream, away_ms = await tested("b", 4)
    assert by == "beacon"
    assert stream.longest_ms < 400, "the supplicant itself would stay away for a second"
    assert away_ms < 400
    by, _, _ = await tested("c", 2.5)
    assert by == "beacon"
    for name in "bc":
        hwsim.set_group(box[name].device.phy, 1 << 40)
    by, stream, away_ms = await tested("b", 2.5)
    assert by == "nothing"
    assert stream.longest_ms < 400
    by, _, _ = await tested("c", 2.5)
    assert by == "nothing"
    for name in "bc":
        hwsim.set_group(box[name].device.phy, 1)
        await running[name].daemon.signal(signal.SIGCONT)
    assert (await tested("c"))[0] == "probe-response"


def samples(told: list[Any]) -> list[Sample]:
    """What was heard."""
    return [each for each in told if isinstance(each, Sample)]
