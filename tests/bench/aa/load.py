"""Load: mobile nodes that authenticate, by PANA through the agent or by RADIUS past it.

Each function runs in a process of its own and keeps a number of authentications under way. The EAP
peer, whose TLS costs most, is the same in both, so what differs is the way.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_address
from multiprocessing import get_context
from typing import Literal

from mpa_hil.clock import instant
from mpa_hil.eap.authenticator import PassThrough
from mpa_hil.eap.eap_tls import EapTls
from mpa_hil.eap.eap_ttls import EapTtls
from mpa_hil.eap.interface import AaaReply, Failure, Success, ToAaa, ToPeer
from mpa_hil.eap.method import Method
from mpa_hil.eap.peer import EapPeer
from mpa_hil.eap.settings import MsChapV2, TlsSettings
from mpa_hil.mobility.interface import NS_PER_S, Endpoint, Send
from mpa_hil.pana.interface import EapPacket, Ended, Established, Lost, Outputs, Rejected
from mpa_hil.pana.pac import Pac
from mpa_hil.pana.settings import PacSettings
from mpa_hil.radius import interface as radius
from mpa_hil.radius.transport import RadiusPorts

from .processes import HOME, PANA_PORT, PASSWORD, RADIUS_PORT, SERVER_AT, USER, Papers

Kind = Literal["tls", "ttls"]
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Job:
    """What one load process does."""

    papers: Papers
    method: Kind
    first: int
    """Number of the first mobile node; each has an address and an identity by its number."""
    count: int
    at_once: int


@dataclass(slots=True)
class Done:
    """What came of it."""

    latencies_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    cpu_s: float = 0.0
    """Of the load itself."""


def by_pana(job: Job) -> Done:
    """Authentications through the agent; the sessions stay."""
    return _run(job, _Node)


def by_radius(job: Job) -> Done:
    """The same past the agent, with the project's own RADIUS client."""
    return asyncio.run(_direct(job))


def _methods(job: Job) -> tuple[Method, ...]:
    settings = TlsSettings(
        job.papers.ca,
        (HOME,),
        job.papers.client_certificate if job.method == "tls" else b"",
        job.papers.client_key if job.method == "tls" else b"",
        resumption=False,
    )
    if job.method == "tls":
        return (EapTls(settings),)
    return (EapTtls(settings, MsChapV2(USER, PASSWORD)),)


def _identity(number: int) -> str:
    return f"mn{number}@{HOME}"


def _address(number: int) -> str:
    """A loopback address of the node's own: 127.16.0.1 and up."""
    return str(ip_address("127.16.0.1") + number)


Finish = Callable[[float | None, str], None]


def _run(job: Job, make: Callable[[Job, tuple[Method, ...], int, Finish], _Node]) -> Done:
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    return asyncio.run(_keep_busy(job, make))


async def _keep_busy(
    job: Job, make: Callable[[Job, tuple[Method, ...], int, Finish], _Node]
) -> Done:
    done = Done()
    methods = _methods(job)
    numbers = iter(range(job.first, job.first + job.count))
    over = asyncio.Event()

    def begin() -> None:
        number = next(numbers, None)
        if number is not None:
            make(job, methods, number, finish)

    def finish(latency_s: float | None, why: str) -> None:
        if latency_s is None:
            done.failures.append(why)
        else:
            done.latencies_s.append(latency_s)
        if len(done.latencies_s) + len(done.failures) == job.count:
            over.set()
        begin()

    for _ in range(min(job.at_once, job.count)):
        begin()
    await asyncio.wait_for(over.wait(), _PATIENCE_S + job.count)
    done.cpu_s = time.process_time()
    return done


class _Node:
    """One mobile node, from its first PANA message to its session."""

    def __init__(self, job: Job, methods: tuple[Method, ...], number: int, finish: Finish) -> None:
        self._loop = asyncio.get_running_loop()
        self._finish = finish
        self._peer = EapPeer(methods, _identity(number), os.urandom)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((_address(number), 0))
        self._socket.connect((SERVER_AT, PANA_PORT))
        self._server = Endpoint(ip_address(SERVER_AT), PANA_PORT)
        self._pac = Pac(self._server, PacSettings(), os.urandom, instant())
        self._timer: asyncio.TimerHandle | None = None
        self._over = False
        self._why = ""
        self._loop.add_reader(self._socket, self._readable)
        self._started_ns = time.monotonic_ns()
        self._take(self._pac.start(instant()))

    def _take(self, outputs: Outputs) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self._socket.send(output.datagram)
            elif isinstance(output, EapPacket):
                self._eap(output.packet)
            elif isinstance(output, Established):
                self._end((time.monotonic_ns() - self._started_ns) / NS_PER_S)
            elif isinstance(output, Rejected | Ended | Lost):
                self._why = self._why or repr(output)
                self._end(None)
        self._arm()

    def _eap(self, packet: bytes) -> None:
        output = self._peer.receive(packet)
        if output.response is not None:
            self._take(self._pac.eap_response(output.response, instant()))
        elif isinstance(output.outcome, Success):
            self._take(self._pac.eap_succeeded(output.outcome.msk, instant()))
        elif isinstance(output.outcome, Failure):
            self._why = output.outcome.reason
            self._take(self._pac.eap_failed(instant()))
        else:
            self._take(self._pac.eap_discarded(instant()))

    def _readable(self) -> None:
        try:
            datagram = self._socket.recv(65536)
        except OSError:
            return
        self._take(self._pac.receive(datagram, self._server, instant()))

    def _arm(self) -> None:
        due = None if self._over else self._pac.next_deadline()
        if due is not None and self._timer is None:
            delay_s = max(0.0, (due - time.monotonic_ns()) / NS_PER_S)
            self._timer = self._loop.call_later(delay_s, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if not self._over:
            self._take(self._pac.expire(instant()))

    def _end(self, latency_s: float | None) -> None:
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        # Anything sent by what led here goes first; the session itself stays at the agent.
        self._loop.call_soon(self._close, latency_s)

    def _close(self, latency_s: float | None) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._finish(latency_s, self._why)


async def _direct(job: Job) -> Done:
    """As an 802.1X authenticator would ask: EAP pass-through and RADIUS, nothing between."""
    done = Done()
    methods = _methods(job)
    waiting: dict[object, asyncio.Future[radius.Outcome]] = {}

    def deliver(outputs: tuple[radius.Output, ...]) -> None:
        for output in outputs:
            if isinstance(
                output,
                radius.Accepted | radius.Challenged | radius.Refused | radius.Unreachable,
            ):
                waiting.pop(output.token).set_result(output)

    secret = job.papers.secret.encode()
    server = radius.Server("home", Endpoint(ip_address(SERVER_AT), RADIUS_PORT), secret)
    ports = RadiusPorts(radius.ClientSettings((server,), "bench"), deliver)

    async def ask(number: int, ask: radius.Ask) -> radius.Outcome:
        future = waiting[number] = asyncio.get_running_loop().create_future()
        deliver(ports.request(number, ask))
        return await future

    async def one(number: int) -> str:
        peer = EapPeer(methods, _identity(number), os.urandom)
        relay = PassThrough(os.urandom)
        output = peer.receive(relay.start())
        at: radius.Continuation | None = None
        while output.response is not None:
            step = relay.response(output.response)
            if not isinstance(step, ToAaa):
                return repr(step)
            question = radius.Ask(step.packet, step.identity.encode(), at)
            outcome = await ask(number, question)
            if isinstance(outcome, radius.Accepted):
                ended = peer.receive(outcome.eap).outcome
                same = isinstance(ended, Success) and ended.msk == outcome.msk
                return "" if same else "keys differ"
            if not isinstance(outcome, radius.Challenged):
                return outcome.reason
            at = outcome.continuation
            onward = relay.from_aaa(AaaReply.CHALLENGE, outcome.eap)
            if not isinstance(onward, ToPeer):
                return repr(onward)
            output = peer.receive(onward.packet)
        return repr(output.outcome)

    async def worker(numbers: Iterator[int]) -> None:
        for number in numbers:
            start_ns = time.monotonic_ns()
            why = await one(number)
            if why:
                done.failures.append(why)
            else:
                done.latencies_s.append((time.monotonic_ns() - start_ns) / NS_PER_S)

    numbers = iter(range(job.first, job.first + job.count))
    async with asyncio.timeout(_PATIENCE_S + job.count):
        await asyncio.gather(*(worker(numbers) for _ in range(job.at_once)))
    await ports.close()
    done.cpu_s = time.process_time()
    return done


def spread(
    work: Callable[[Job], Done],
    made: Papers,
    method: Kind,
    count: int,
    at_once: int,
    loads: int,
    first: int = 0,
) -> tuple[float, list[Done]]:
    """Share the work among processes, and time it from when all of them stand."""
    shares = [count // loads + (number < count % loads) for number in range(loads)]
    jobs = []
    for number, share in enumerate(shares):
        job_first = first + sum(shares[:number])
        many = at_once // loads + (number < at_once % loads)
        jobs.append(Job(made, method, job_first, share, max(1, many)))
    with ProcessPoolExecutor(loads, mp_context=get_context("spawn")) as pool:
        list(pool.map(warm, range(loads)))
        start = time.monotonic()
        done = list(pool.map(work, jobs))
        return time.monotonic() - start, done


def warm(_: int) -> None:
    """Import what the load needs, before the clock runs."""
    import OpenSSL  # noqa: F401

    time.sleep(0.2)  # long enough that every process of the pool takes one
