"""A host whose daemons say what the test tells them to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from radios.channel import DatagramChannel
from rigs.host import Completed, Daemon


class FakeDaemon:
    """Prints what `say` is given; ends with `end`, or when it is stopped."""

    pid = 4711

    def __init__(self, name: str) -> None:
        self.name = name
        self.errors = b""
        self.stops = 0
        self._output: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._end: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def say(self, *lines: str) -> None:
        for line in lines:
            self._output.put_nowait(line.encode())

    def end(self, status: int) -> None:
        if not self._end.done():
            self._end.set_result(status)
            self._output.put_nowait(None)

    @property
    def returncode(self) -> int | None:
        return self._end.result() if self._end.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self._end)

    async def stop(self, grace_s: float = 3.0) -> None:
        self.stops += 1
        self.end(-15)

    async def signal(self, number: int) -> None:
        self.end(-number)

    async def write(self, data: bytes) -> None:
        raise NotImplementedError

    async def lines(self) -> AsyncIterator[bytes]:
        while (line := await self._output.get()) is not None:
            yield line

    async def log(self) -> bytes:
        return self.errors


class FakeHost:
    """Keeps files in memory; each daemon begins with the lines in `script`."""

    def __init__(self, *script: str, ends: int | None = None) -> None:
        self.name = "box"
        self.workdir = "/work"
        self.files: dict[str, tuple[bytes, int]] = {}
        self.spawned: list[tuple[str, ...]] = []
        self.started: list[FakeDaemon] = []
        self._script = script
        self._ends = ends

    async def run(
        self, *argv: str, stdin: bytes = b"", timeout_s: float = 30.0, check: bool = True
    ) -> Completed:
        return Completed(argv, 0, b"", b"")

    async def spawn(
        self,
        *argv: str,
        name: str,
        env: Mapping[str, str] | None = None,
        stdin: bool = False,
        stdout: bool = False,
    ) -> FakeDaemon:
        daemon = FakeDaemon(name)
        daemon.say(*self._script)
        if self._ends is not None:
            daemon.end(self._ends)
        self.spawned.append(argv)
        self.started.append(daemon)
        return daemon

    async def put(self, path: str, data: bytes, mode: int = 0o600) -> None:
        self.files[path] = (data, mode)

    async def get(self, path: str) -> bytes:
        return self.files[path][0]

    async def remove(self, path: str) -> None:
        self.files.pop(path, None)

    async def connect(self, path: str) -> DatagramChannel:
        raise NotImplementedError

    @property
    def daemons(self) -> tuple[Daemon, ...]:
        return tuple(self.started)

    async def close(self) -> None:
        for daemon in self.started:
            await daemon.stop()
