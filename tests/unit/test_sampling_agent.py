"""The sampler's shell: what it asks of supplicant and kernel, and that it asks for nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from mpa_hil.agents import sampling
from mpa_hil.agents.sampling import Sampler
from mpa_hil.policy.interface import BeaconLoss, Probed, Sample
from mpa_hil.sampling.settings import Settings
from radios.bss_load import BssLoad
from radios.errors import RemoteError
from radios.genetlink import Message, decode_messages, encode_attributes, encode_request
from radios.neighbor_report import NeighborReport
from radios.replies import Bss
from radios.signal import SignalSample, sample
from radios.station import Station, StationReader, decode

BSSID = {"a1": "02:00:00:00:0a:01", "b1": "02:00:00:00:0b:01"}
MHZ = {"a1": 2412, "b1": 2437}
LOAD = bytes((0, 2)) + b"xy" + bytes((11, 5, 3, 0, 51, 0, 0)) + b"\x05"
SETTINGS = Settings(poll_ms=5, guard_ms=0, background=False, repeat_ms=0)


class FakeControl:
    """Events."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[int, bytes], None]] = []

    def on_event(self, callback: Callable[[int, bytes], None]) -> Callable[[], None]:
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    def event(self, text: str) -> None:
        for callback in self.callbacks:
            callback(time.monotonic_ns(), f"<3>{text}".encode())


class FakeSupplicant:
    """Answers as wpa_supplicant does."""

    def __init__(self) -> None:
        self.control = FakeControl()
        self.asked: list[str] = []
        self.ages = {"a1": 0, "b1": 0}
        self.fails = False
        self.scan_ends = asyncio.Event()
        self.scan_ends.set()

    async def signal_poll(self, bssid: str) -> SignalSample:
        self.asked.append("poll")
        if self.fails:
            raise RemoteError("gone")
        t_ns = time.monotonic_ns()
        return sample(t_ns, bssid, 2412, -61, source="signal_poll", noise_dbm=-92)

    async def scan_and_wait(self, frequencies: tuple[int, ...], *, timeout_s: float) -> None:
        self.asked.append(f"scan {frequencies}")
        await self.scan_ends.wait()
        if self.fails:
            raise RemoteError("busy")

    async def bss(self, bssid: str) -> Bss | None:
        name = next(name for name, address in BSSID.items() if address == bssid)
        self.asked.append(f"bss {name}")
        age = self.ages[name]
        return Bss(bssid, MHZ[name], -72, -89, age, 100, (), b"x", LOAD)


class FakeLink:
    """A node's link."""

    def __init__(self) -> None:
        self.supplicant = FakeSupplicant()
        self.names = tuple(BSSID)
        self.networks = self

    def bssid(self, name: str) -> str:
        return BSSID[name]

    def frequency_mhz(self, name: str) -> int:
        return MHZ[name]


class Bench:
    """A sampler on a fake link."""

    def __init__(self, settings: Settings = SETTINGS, **more: Any) -> None:
        self.link = FakeLink()
        self.radio = self.link.supplicant
        self.told: list[object] = []
        self.sampler = Sampler(cast(Any, self.link), settings, self.told.append, **more)

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not done():  # noqa: ASYNC110 (there is no event for every end)
                await asyncio.sleep(0.001)

    def of(self, kind: type) -> list[Any]:
        return [told for told in self.told if isinstance(told, kind)]


def test_without_a_station_table_the_supplicant_is_polled() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.sampler.start("a1")
        await bench.until(lambda: len(bench.told) > 3)
        bench.sampler.stop()
        first = bench.told[0]
        assert isinstance(first, Sample)
        assert (first.ap, first.signal_dbm, first.noise_dbm) == ("a1", -61, -92)
        assert set(bench.radio.asked) == {"poll"}
        assert not bench.radio.control.callbacks

    asyncio.run(scenario())


def test_the_station_table_is_read_and_the_supplicant_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads: list[str] = []

    class Table:
        def __init__(self, interface: str) -> None:
            assert interface == "wlan7"

        def read(self, bssid: str, frequency_mhz: int) -> Station:
            reads.append(bssid)
            t_ns = time.monotonic_ns()
            reading = sample(t_ns, bssid, frequency_mhz, -50, source="station")
            # The second half of time is without beacons.
            return Station(reading, min(len(reads), 3), 0)

        def close(self) -> None:
            reads.append("closed")

    monkeypatch.setattr(sampling, "StationReader", Table)
    monkeypatch.setattr(sampling, "Management", Table)

    async def scenario() -> None:
        settings = Settings(poll_ms=5, repeat_ms=0, background=False, beacons_missed=1)
        bench = Bench(settings, interface="wlan7")
        bench.sampler.start("a1")
        await bench.until(lambda: bool(bench.of(BeaconLoss)))
        bench.sampler.stop()
        assert bench.of(BeaconLoss)[0].missed >= 1
        assert {told.source for told in bench.of(Sample)} == {"station"}
        assert bench.radio.asked == []  # the guard time is not over
        assert reads[-1] == "closed"

    asyncio.run(scenario())


def test_the_power_of_a_frame_that_was_read_before_is_no_news(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel goes on telling it when nothing comes any more."""
    reads: list[int] = []

    class Table:
        """Three frames came, then no more."""

        def __init__(self, interface: str) -> None:
            pass

        def read(self, bssid: str, frequency_mhz: int) -> Station:
            reads.append(min(len(reads) + 1, 3))
            reading = sample(time.monotonic_ns(), bssid, frequency_mhz, -50, source="station")
            return Station(reading, 0, 0, reads[-1])

        def close(self) -> None:
            pass

    monkeypatch.setattr(sampling, "StationReader", Table)
    monkeypatch.setattr(sampling, "Management", Table)

    async def scenario() -> None:
        bench = Bench(Settings(poll_ms=5, repeat_ms=0, background=False), interface="wlan7")
        bench.sampler.start("a1")
        await bench.until(lambda: len(reads) >= 8)
        assert len(bench.of(Sample)) == 3
        bench.sampler.serve("b1")  # another's count
        await bench.until(lambda: len(bench.of(Sample)) == 4)
        bench.sampler.stop()

    asyncio.run(scenario())


def test_events_are_told_and_others_passed_over() -> None:
    async def scenario() -> None:
        bench = Bench(Settings(poll_ms=60_000, background=False))
        bench.sampler.start("a1")
        control = bench.radio.control
        control.event("CTRL-EVENT-SIGNAL-CHANGE above=0 signal=-78 noise=9999 txrate=1000")
        control.event("CTRL-EVENT-BEACON-LOSS ")
        control.event("CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:0a:01 completed")
        assert [(told.ap, told.signal_dbm) for told in bench.of(Sample)] == [("a1", -78)]
        assert [told.missed for told in bench.of(BeaconLoss)] == [0]
        bench.sampler.pause()
        control.event("CTRL-EVENT-BEACON-LOSS ")
        assert len(bench.of(BeaconLoss)) == 1
        bench.sampler.stop()

    asyncio.run(scenario())


def test_a_look_is_quiet_and_tells_whom_it_found() -> None:
    quiet: list[str] = []
    loads: list[tuple[str, BssLoad]] = []

    async def quietly(work: Awaitable[object]) -> None:
        quiet.append("hold")
        await work
        quiet.append("release")

    async def scenario() -> None:
        bench = Bench(SETTINGS, quietly=quietly, on_load=lambda ap, load: loads.append((ap, load)))
        bench.sampler.start("a1")
        bench.sampler.look(0, "b1")
        await bench.until(lambda: bool(bench.of(Probed)))
        assert bench.of(Probed)[0].reachable
        assert "scan (2437,)" in bench.radio.asked
        assert [told.ap for told in bench.of(Sample) if told.source == "scan"] == ["b1"]
        assert quiet == ["hold", "release"]
        assert loads == [("b1", BssLoad(3, 0.2))]
        assert bench.sampler.spent_ms > 0
        bench.sampler.look(2412)  # its own channel: the radio stays
        await bench.until(lambda: len(bench.of(Probed)) == 2)
        assert quiet == ["hold", "release"]
        bench.sampler.stop()

    asyncio.run(scenario())


def test_what_the_supplicant_only_remembers_was_not_found() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.radio.ages["b1"] = 9
        bench.sampler.start("a1")
        bench.sampler.look(2437, "b1")
        await bench.until(lambda: bool(bench.of(Probed)))
        assert not bench.of(Probed)[0].reachable
        bench.sampler.stop()

    asyncio.run(scenario())


def test_a_supplicant_that_cannot_is_asked_again() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.radio.fails = True
        bench.sampler.start("a1")
        bench.sampler.look(2437)
        await bench.until(lambda: bool(bench.of(Probed)) and bench.sampler.failures > 3)
        assert not bench.of(Probed)[0].reachable
        bench.radio.fails = False
        await bench.until(lambda: bool(bench.of(Sample)))
        bench.sampler.stop()

    asyncio.run(scenario())


def test_the_access_point_knows_where_its_neighbours_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says of others than those of interest is passed over; saying no harms nothing."""
    reports = (
        NeighborReport(BSSID["b1"].upper(), 0, 81, 11, 9),
        NeighborReport("02:00:00:00:0f:01", 0, 81, 1, 9),
    )
    offers = False

    class FakeNeighborhood:
        def __init__(self, control: object) -> None:
            pass

        async def neighbor_report(self) -> tuple[NeighborReport, ...]:
            if not offers:
                raise RemoteError("FAIL")
            return reports

    monkeypatch.setattr(sampling, "Neighborhood", FakeNeighborhood)

    async def scenario() -> None:
        nonlocal offers
        bench = Bench()
        bench.sampler.start("a1")
        await bench.sampler.ask_neighbours()
        bench.sampler.look(0, "b1")
        await bench.until(lambda: "scan (2437,)" in bench.radio.asked)
        await bench.until(lambda: bool(bench.of(Probed)))
        offers = True
        bench.sampler.inquire()
        await asyncio.sleep(0)
        bench.sampler.look(0, "b1")
        await bench.until(lambda: "scan (2462,)" in bench.radio.asked)
        assert bench.sampler.failures == 0
        bench.sampler.stop()

    asyncio.run(scenario())


def test_paused_in_the_middle_of_a_look_nothing_runs_on() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.radio.scan_ends.clear()
        bench.sampler.start("a1")
        bench.sampler.look(2437)
        await bench.until(lambda: "scan (2437,)" in bench.radio.asked)
        assert bench.sampler.looking
        bench.sampler.pause()
        await bench.until(lambda: not bench.sampler.looking)
        asked, told = list(bench.radio.asked), len(bench.told)
        bench.radio.scan_ends.set()
        for _ in range(20):
            await asyncio.sleep(0)
        assert (bench.radio.asked, len(bench.told)) == (asked, told)
        bench.sampler.serve("b1")
        await bench.until(lambda: any(each.ap == "b1" for each in bench.of(Sample)))
        bench.sampler.stop()
        bench.sampler.stop()

    asyncio.run(scenario())


def test_scans_of_others_are_taken_along() -> None:
    async def scenario() -> None:
        bench = Bench(Settings(poll_ms=60_000, background=False))
        bench.sampler.start("a1")
        bench.radio.control.event("CTRL-EVENT-SCAN-RESULTS ")
        await bench.until(lambda: len(bench.of(Sample)) >= 2)
        assert {told.ap for told in bench.of(Sample)} == {"a1", "b1"}
        assert not bench.of(Probed)
        bench.sampler.stop()

    asyncio.run(scenario())


class TestStation:
    """The kernel's entry."""

    def message(self, info: list[tuple[int, bytes]]) -> Message:
        nested = encode_attributes(info)
        (message,) = decode_messages(encode_request(30, 19, [(3, b"\1\0\0\0"), (21, nested)], 1))
        return message

    def test_it_is_decoded(self) -> None:
        info = [
            (7, b"\xc4"),
            (13, b"\xc3"),
            (30, b"\xc2"),
            (29, b"\7" + bytes(7)),
            (18, b"\2\0\0\0"),
            (9, b"\5\0\0\0"),
        ]
        station = decode(self.message(info), 5, BSSID["a1"], 2412)
        assert station.reading == sample(
            5, BSSID["a1"], 2412, -60, source="station", average_dbm=-61, beacon_average_dbm=-62
        )
        assert (station.beacons, station.losses, station.packets) == (7, 2, 5)
        assert station.heard == 12

    def test_a_driver_that_says_little(self) -> None:
        station = decode(self.message([(7, b""), (29, b"\1")]), 5, BSSID["a1"], 2412)
        assert station.reading.signal_dbm is None
        assert (station.beacons, station.losses, station.heard) == (None, None, None)

    def test_no_such_interface(self) -> None:
        from radios.errors import MachineError

        with pytest.raises(MachineError):
            StationReader("nowhere0")
