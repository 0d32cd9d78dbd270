"""What `rigs.network` promises of a link, measured on the guest's kernel: each way for itself."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import statistics
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from rigs.links import Impairment, Link, Topology
from rigs.netns import NamespaceHost
from rigs.network import build
from rigs.network_plan import BOTTLENECK_BUFFER_MS

HEADERS = 14 + 20 + 8
"""Octets of Ethernet, IP and UDP, which netem counts with the payload."""
SEND = """
import socket, sys, time
to, count, every_ns, octets = sys.argv[1], *map(int, sys.argv[2:])
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.connect((to, 9))
start_ns = time.monotonic_ns()
for number in range(count):
    time.sleep(max(0, start_ns + number * every_ns - time.monotonic_ns()) / 1e9)
    text = b"%d %d" % (number, time.monotonic_ns())
    sender.send(text.ljust(octets))
"""
RECEIVE = """
import socket, time
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("", 9))
print("bound", flush=True)
receiver.settimeout(2)
while True:
    try:
        data = receiver.recv(2000)
    except TimeoutError:
        break
    print(data[:40].decode(), time.monotonic_ns())
"""
_labs = itertools.count()


@dataclass(frozen=True)
class Arrival:
    """A packet that arrived: its number, when it was sent and when it came, in ms of one clock."""

    number: int
    sent_ms: float
    came_ms: float

    @property
    def took_ms(self) -> float:
        return self.came_ms - self.sent_ms


@dataclass(frozen=True)
class Cable:
    """Two boxes that a link joins; a has 10.94.0.1, b 10.94.0.2."""

    a: NamespaceHost
    b: NamespaceHost

    async def forth(self, count: int, every_ms: float, octets: int = 172) -> list[Arrival]:
        """Send packets from a to b; those that arrived, in the order in which they came."""
        return await _send(self.a, self.b, "10.94.0.2", count, every_ms, octets)

    async def back(self, count: int, every_ms: float) -> list[Arrival]:
        """The same from b to a."""
        return await _send(self.b, self.a, "10.94.0.1", count, every_ms, 172)


async def _send(
    sender: NamespaceHost,
    receiver: NamespaceHost,
    address: str,
    count: int,
    every_ms: float,
    octets: int,
) -> list[Arrival]:
    await sender.run("ping", "-c", "1", address, check=False)  # ARP is done before anything counts
    daemon = await receiver.spawn("python3", "-c", RECEIVE, name="receive", stdout=True)
    lines = daemon.lines()
    assert await anext(lines) == b"bound"
    words = (address, str(count), str(round(every_ms * 1e6)), str(octets))
    await sender.run("python3", "-c", SEND, *words, timeout_s=120)
    found = [line.split() async for line in lines]
    return [Arrival(int(n), int(sent) / 1e6, int(came) / 1e6) for n, sent, came in found]


@contextlib.asynccontextmanager
async def cable(forth: Impairment, back: Impairment | None = None) -> AsyncIterator[Cable]:
    """A cable that impairs each direction in its own way; gone afterwards."""
    lab = f"ne{os.getpid()}_{next(_labs)}"
    link = Link(
        *("a", "b", "10.94.0.1/24", "10.94.0.2/24"),
        delay_ms=forth.delay_ms,
        jitter_ms=forth.jitter_ms,
        loss_percent=forth.loss_percent,
        rate_mbit=forth.rate_mbit,
        back=back or Impairment(),
    )
    hosts = {}
    try:
        for name in ("a", "b"):
            hosts[name] = await NamespaceHost.create(name, lab)
        await build(Topology([link], seed=1), hosts)
        yield Cable(**hosts)
    finally:
        for host in hosts.values():
            await host.close()


def test_a_delay_holds_for_its_direction() -> None:
    async def scenario() -> None:
        async with cable(Impairment(delay_ms=30), Impairment(delay_ms=5)) as wire:
            for arrivals, wanted_ms in (
                (await wire.forth(50, 10), 30),
                (await wire.back(50, 10), 5),
            ):
                assert len(arrivals) == 50
                for arrival in arrivals:
                    assert wanted_ms <= arrival.took_ms < wanted_ms + 1

    asyncio.run(scenario())


def test_loss_is_as_frequent_as_told() -> None:
    async def scenario() -> None:
        sent, share = 2000, 0.1
        async with cable(Impairment(loss_percent=100 * share)) as wire:
            arrivals = await wire.forth(sent, 2)
            deviation = (sent * share * (1 - share)) ** 0.5
            assert abs(sent - len(arrivals) - sent * share) < 5 * deviation
            # Each packet on its own: losses are in the first half and in the second alike.
            first = sum(arrival.number < sent // 2 for arrival in arrivals)
            assert abs(first - (len(arrivals) - first)) < 5 * deviation
            assert len(await wire.back(200, 2)) == 200

    asyncio.run(scenario())


def test_jitter_spreads_the_delay_and_keeps_the_order() -> None:
    async def scenario() -> None:
        async with cable(Impairment(delay_ms=40, jitter_ms=8)) as wire:
            # Far apart, each packet has its own delay; close together, a queue keeps them in order.
            took_ms = [arrival.took_ms for arrival in await wire.forth(300, 60)]
            assert abs(statistics.mean(took_ms) - 40) < 2
            assert 6.5 < statistics.stdev(took_ms) < 9.5
            numbers = [arrival.number for arrival in await wire.forth(500, 2)]
            assert numbers == list(range(500))
            # And the measurement would have seen it: plain netem reorders.
            plain = "netem delay 40ms 8ms distribution normal"
            await wire.a.run("tc", "qdisc", "del", "dev", "b", "root")
            await wire.a.run("tc", "qdisc", "add", "dev", "b", "root", *plain.split())
            numbers = [arrival.number for arrival in await wire.forth(500, 2)]
            assert numbers != sorted(numbers)

    asyncio.run(scenario())


def test_a_bottleneck_paces_and_its_queue_ends() -> None:
    async def scenario() -> None:
        octets = 1000
        packet_ms = 8 * (octets + HEADERS) / 1000  # at 1 Mbit/s; four times as much is sent
        async with cable(Impairment(rate_mbit=1)) as wire:
            arrivals = await wire.forth(400, packet_ms / 4, octets)
            assert 80 < len(arrivals) < 130
            spacings_ms = [b.came_ms - a.came_ms for a, b in itertools.pairwise(arrivals)]
            assert statistics.mean(spacings_ms) == pytest.approx(packet_ms, rel=0.02)
            assert max(spacings_ms) < packet_ms + 1
            longest_ms = max(arrival.took_ms for arrival in arrivals)
            assert 0.5 * BOTTLENECK_BUFFER_MS < longest_ms < 1.2 * BOTTLENECK_BUFFER_MS

    asyncio.run(scenario())
