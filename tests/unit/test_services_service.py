"""Following a daemon: readiness, its words, its death."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from services_fakes import FakeHost

from radios.errors import MachineError, RemoteError
from rigs.services.service import Service, launch, port_taken


def is_ready(line: str) -> bool:
    return line == "ready"


async def start(host: FakeHost, timeout_s: float = 1.0) -> Service:
    return await launch(host, "prog", name="prog", ready=is_ready, timeout_s=timeout_s)


def check(scenario: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(5):
            await scenario()

    asyncio.run(run())


def test_it_returns_once_the_line_has_come() -> None:
    async def scenario() -> None:
        service = await start(FakeHost("hello", "ready", "later"))
        assert service.alive
        assert service.where == "box/prog"
        await service.stop()
        assert await service.log() == "hello\nready\nlater\n"

    check(scenario)


def test_a_daemon_that_ends_before_it_is_ready_says_its_last_words() -> None:
    async def scenario() -> None:
        host = FakeHost("bad option", ends=2)
        with pytest.raises(RemoteError, match="box/prog: prog ended with status 2") as caught:
            await start(host)
        assert "| bad option" in str(caught.value)

    check(scenario)


def test_standard_error_counts_as_last_words() -> None:
    async def scenario() -> None:
        host = FakeHost("ready")
        service = await start(host)
        host.started[0].errors = b"first\nsegmentation fault\n"
        host.started[0].end(-11)
        with pytest.raises(RemoteError, match="signal 11") as caught:
            await service.watch()
        assert "| segmentation fault" in str(caught.value)
        assert "| ready" in str(caught.value)

    check(scenario)


def test_a_missing_program_is_the_machines_fault() -> None:
    async def scenario() -> None:
        for said, program in (("sh: 1: mount: not found", "mount"), ("", "prog")):
            with pytest.raises(MachineError, match=f"the program {program} is not installed"):
                await start(FakeHost(said, ends=127))

    check(scenario)


def test_a_daemon_that_never_gets_ready_is_stopped() -> None:
    async def scenario() -> None:
        host = FakeHost("hello")
        with pytest.raises(RemoteError, match=r"'ready' within 0\.01 s"):
            await start(host, timeout_s=0.01)
        assert host.started[0].stops == 1

    check(scenario)


def test_a_cancelled_start_leaves_no_daemon() -> None:
    async def scenario() -> None:
        host = FakeHost("hello")
        task = asyncio.create_task(start(host))
        await asyncio.sleep(0)
        assert host.started
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert host.started[0].returncode is not None

    check(scenario)


def test_a_line_can_be_explained() -> None:
    async def scenario() -> None:
        host = FakeHost("noise", "Address in use", ends=1)
        with pytest.raises(MachineError, match="port 53 taken on host box"):
            await launch(
                host,
                "prog",
                name="prog",
                ready=is_ready,
                explain=lambda line: port_taken(host, "prog", 53) if "in use" in line else None,
            )

    check(scenario)


def test_every_reader_sees_every_line_once() -> None:
    async def scenario() -> None:
        host = FakeHost("ready")
        service = await start(host)
        daemon = host.started[0]

        async def read(*, backlog: bool) -> list[str]:
            return [line async for line in service.lines(backlog=backlog)]

        whole, fresh = (asyncio.create_task(read(backlog=b)) for b in (True, False))
        await asyncio.sleep(0)
        for number in range(3):
            daemon.say(str(number))
            await asyncio.sleep(0)
        daemon.say("last")
        daemon.end(0)
        assert await whole == ["ready", "0", "1", "2", "last"]
        assert await fresh == ["0", "1", "2", "last"]
        assert await read(backlog=True) == ["ready", "0", "1", "2", "last"]

    check(scenario)


def test_a_stop_on_purpose_is_no_death() -> None:
    async def scenario() -> None:
        service = await start(FakeHost("ready"))
        watch = asyncio.create_task(service.watch())
        await service.stop()
        await watch
        await service.stop()
        assert not service.alive

    check(scenario)
