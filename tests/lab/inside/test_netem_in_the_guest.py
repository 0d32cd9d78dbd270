"""What `rigs.network` promises of a link, measured on the guest's kernel."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import statistics
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from rigs.links import Impairment, Link, Topology
from rigs.netns import NamespaceHost
from rigs.network import build
from rigs.network_plan import BOTTLENECK_BUFFER_MS

ETHERNET_IP_ICMP = 14 + 20 + 8
"""Octets of headers that netem counts with ping's payload."""
_ANSWER = re.compile(rb"\[(?P<at>[\d.]+)\].*icmp_seq=(?P<number>\d+) .*time=(?P<took>[\d.]+) ms")
_labs = itertools.count()


@dataclass(frozen=True)
class Answer:
    """One of ping's: when it came (s), to which packet, after how long (ms)."""

    at_s: float
    number: int
    took_ms: float


@contextlib.asynccontextmanager
async def link(forth: Impairment, back: Impairment | None = None) -> AsyncIterator[NamespaceHost]:
    """Box a of two that a link joins; the other has 10.94.0.2."""
    lab = f"ne{os.getpid()}_{next(_labs)}"
    cable = Link(
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
        await build(Topology([cable], seed=1), hosts)
        await ping(hosts["a"], 3, 200)  # ARP is done before anything counts
        yield hosts["a"]
    finally:
        for host in hosts.values():
            await host.close()


async def ping(host: NamespaceHost, count: int, every_ms: float, octets: int = 56) -> list[Answer]:
    """The answers in the order in which they came."""
    words = ["-D", "-n", "-c", str(count), "-i", f"{every_ms / 1000:g}", "-W", "2"]
    words += ["-s", str(octets), "10.94.0.2"]
    done = await host.run("ping", *words, timeout_s=120, check=False)
    found = [_ANSWER.match(line) for line in done.stdout.splitlines()]
    return [Answer(float(m["at"]), int(m["number"]), float(m["took"])) for m in found if m]


@pytest.mark.parametrize(("forth_ms", "back_ms"), [(20.0, 0.0), (0.0, 20.0), (30.0, 5.0)])
def test_a_delay_holds_for_its_direction(forth_ms: float, back_ms: float) -> None:
    async def scenario() -> None:
        async with link(Impairment(delay_ms=forth_ms), Impairment(delay_ms=back_ms)) as a:
            answers = await ping(a, 50, 10)
            assert len(answers) == 50
            for answer in answers:
                assert forth_ms + back_ms <= answer.took_ms < forth_ms + back_ms + 1

    asyncio.run(scenario())


def test_loss_is_as_frequent_as_told() -> None:
    async def scenario() -> None:
        sent, share = 2000, 0.1
        async with link(Impairment(loss_percent=100 * share)) as a:
            answers = await ping(a, sent, 2)
            deviation = (sent * share * (1 - share)) ** 0.5
            assert abs(sent - len(answers) - sent * share) < 5 * deviation
            # Each packet on its own: losses are in the first half and in the second alike.
            first = sum(answer.number <= sent // 2 for answer in answers)
            assert abs(first - (len(answers) - first)) < 5 * deviation

    asyncio.run(scenario())


def test_jitter_spreads_the_delay_and_keeps_the_order() -> None:
    async def scenario() -> None:
        async with link(Impairment(delay_ms=40, jitter_ms=8)) as a:
            answers = await ping(a, 500, 20)
            assert len(answers) == 500
            took_ms = [answer.took_ms for answer in answers]
            assert abs(statistics.mean(took_ms) - 40) < 2
            assert 6 < statistics.stdev(took_ms) < 9
            # Far apart packets do not meet. These do, and a queue lets nobody overtake.
            numbers = [answer.number for answer in await ping(a, 500, 10)]
            assert numbers == list(range(1, 501))
            # And the measurement would have seen it: plain netem reorders.
            plain = "netem delay 40ms 8ms distribution normal"
            await a.run("tc", "qdisc", "del", "dev", "b", "root")
            await a.run("tc", "qdisc", "add", "dev", "b", "root", *plain.split())
            numbers = [answer.number for answer in await ping(a, 500, 10)]
            assert numbers != sorted(numbers)

    asyncio.run(scenario())


def test_a_bottleneck_paces_and_its_queue_ends() -> None:
    async def scenario() -> None:
        payload, rate_mbit = 1400, 0.8
        packet_ms = 8 * (payload + ETHERNET_IP_ICMP) / (1000 * rate_mbit)
        # On the answers' way: ping repeats what its own machine's queue refuses.
        async with link(Impairment(), Impairment(rate_mbit=rate_mbit)) as a:
            answers = await ping(a, 400, 10, payload)
            assert 200 < len(answers) < 400, "more than the rate went through, or far less"
            # From when the queue is full on, one follows the other.
            tail = answers[len(answers) // 2 :]
            span_ms = (tail[-1].at_s - tail[0].at_s) * 1000
            assert span_ms == pytest.approx((len(tail) - 1) * packet_ms, rel=0.02)
            longest_ms = max(answer.took_ms for answer in answers)
            assert 0.5 * BOTTLENECK_BUFFER_MS < longest_ms < 2 * BOTTLENECK_BUFFER_MS

    asyncio.run(scenario())
