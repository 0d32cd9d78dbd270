"""The far supervisor by itself, over plain pipes: no SSH, no root."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from radios.errors import MachineError, RemoteError
from rigs.far_supervisor import LENGTHS, SILENCE_S
from rigs.ssh_session import PING_EVERY_S, FarProcess, Session, far_program

LAB = f"uf{os.getpid()}"


def exists(pid: int) -> bool:
    """Whether there is such a process, be it a zombie."""
    return Path(f"/proc/{pid}").exists()


class Far:
    """A supervisor process and the session with it."""

    def __init__(self, process: asyncio.subprocess.Process, session: Session) -> None:
        self.process = process
        self.session = session

    async def start(self, *argv: str, stdin: bool = False, log: str = "") -> FarProcess:
        return await self.session.start(argv, env={}, stdin=stdin, stdout=True, log=log)


@contextlib.asynccontextmanager
async def supervisor(folder: Path, silence_s: int = SILENCE_S) -> AsyncIterator[Far]:
    loader, program = far_program()
    size = len(program)
    program = program.replace(f"SILENCE_S = {SILENCE_S}".encode(), b"SILENCE_S = %d" % silence_s)
    loader = loader.replace(str(size), str(len(program)))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", loader, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(program)
    session = Session(process.stdout, process.stdin.write, process.stdin.drain, "far")
    try:
        await session.begin()
        await session.request("open", lab=LAB, host="box", run_directory=str(folder))
        yield Far(process, session)
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 20)
        await session.end()
    assert os.listdir(folder) == []


def test_the_near_end_speaks_often_enough() -> None:
    assert PING_EVERY_S * 5 < SILENCE_S


def test_commands_files_and_the_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervisor(tmp_path) as far:
            workdir = tmp_path / LAB / "box"
            await far.session.request("put", b"data", path=f"{workdir}/a/b", mode=0o644)
            _, data = await far.session.request("get", path=f"{workdir}/a/b")
            assert data == b"data"
            process = await far.start("cat", stdin=True)
            await process.write(b"hello")
            process.close_stdin()
            assert process.stdout is not None
            assert await process.stdout.read() == b"hello"
            assert await process.wait() == 0
            with pytest.raises(BrokenPipeError):
                await process.write(b"late")
            with pytest.raises(MachineError, match="nosuch"):
                await far.start("nosuch")
            with pytest.raises(RemoteError, match="No such file"):
                await far.session.request("get", path=f"{workdir}/none")

    asyncio.run(scenario())


def test_a_writer_is_told_when_its_reader_dies(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervisor(tmp_path) as far:
            process = await far.start("sleep", "1000", stdin=True)
            writing = asyncio.create_task(process.write(b"x" * 1_000_000))
            await far.session.request("ping")  # the write has reached the far end
            assert not writing.done()
            process.kill_group()
            with pytest.raises(BrokenPipeError):
                await writing
            assert await process.wait() == -signal.SIGKILL

    asyncio.run(scenario())


def test_orphans_end_with_the_supervisor(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with supervisor(tmp_path) as far:
            script = "setsid sh -c 'setsid sleep 1000 & echo $!; exec sleep 1000' & wait"
            process = await far.start("sh", "-c", script)
            assert process.stdout is not None
            return int(await process.stdout.readline())

    pid = asyncio.run(scenario())
    assert not exists(pid)


def test_a_silent_near_end_is_given_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervisor(tmp_path, silence_s=1) as far:
            daemon = await far.start("sleep", "1000")
            await far.session.end()  # no pings any more, and the pipe stays open
            started = time.monotonic()
            assert await asyncio.wait_for(far.process.wait(), 20) == 0
            assert time.monotonic() - started < 10
            assert not exists(daemon.pid)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "frame",
    [
        LENGTHS.pack(0xFFFFFFFF, 0),
        LENGTHS.pack(2, 0xFFFFFFFF) + b"{}",
        LENGTHS.pack(3, 0) + b"}{}",
        LENGTHS.pack(2, 0) + b"{}",
        LENGTHS.pack(14, 0) + b'{"op": "nope"}',
    ],
)
def test_nonsense_ends_it_cleanly(tmp_path: Path, frame: bytes) -> None:
    async def scenario() -> None:
        async with supervisor(tmp_path) as far:
            daemon = await far.start("sleep", "1000")
            assert far.process.stdin is not None
            far.process.stdin.write(frame)
            await asyncio.wait_for(far.process.wait(), 20)
            assert not exists(daemon.pid)
            with contextlib.suppress(RemoteError):
                await far.session.request("ping")
            assert far.session.lost is not None

    asyncio.run(scenario())


def test_two_supervisors_do_not_share_a_work_directory(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervisor(tmp_path):
            with pytest.raises(MachineError, match="another run"):
                async with supervisor(tmp_path):
                    raise AssertionError("the second one opened")

    asyncio.run(scenario())
