"""What processes of every kind of host have in common: running one to its end, keeping a daemon.

`rigs.local` starts processes on this machine and `rigs.ssh_session` on another; both hand out
something that fits `Process`, and the rest is here, once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

from radios.errors import LocalError, MachineError, RemoteError
from rigs.host import Completed

LINE_LIMIT_BYTES = 1 << 20
"""Longest line that a daemon's `lines` takes; an agent's event is far shorter."""


class Process(Protocol):
    """A process that leads its session, here or elsewhere."""

    has_stdin: bool
    stdout: asyncio.StreamReader | None
    stderr: asyncio.StreamReader | None

    @property
    def pid(self) -> int:
        """Process number, on its machine."""

    @property
    def returncode(self) -> int | None:
        """Exit status (negative: the signal), or None until it is reaped."""

    async def wait(self) -> int:
        """Wait for the end; the exit status."""

    def signal(self, number: int) -> None:
        """Send `number` to the process; nothing happens once it ended."""

    def kill_group(self) -> None:
        """SIGKILL the process and what is left of its process group."""

    async def write(self, data: bytes) -> None:
        """Write all of `data` to its standard input; raises BrokenPipeError once nobody reads."""

    def close_stdin(self) -> None:
        """End of its standard input; safe to repeat."""

    def close_pipes(self) -> None:
        """Stop reading its output, should somebody hold the pipes open still."""


def checked_argv(argv: Sequence[str], where: str) -> tuple[str, ...]:
    """`argv` as a tuple; raises LocalError for what no kernel can start (empty, NUL octets)."""
    if not argv or not argv[0]:
        raise LocalError("a command needs a program name", where=where)
    if any("\0" in argument for argument in argv):
        raise LocalError(f"an argument of {argv[0]} holds a NUL octet", where=where)
    return tuple(argv)


def missing_program(program: str, where: str) -> MachineError:
    """The error for a program that a host lacks, worded alike for every kind of host."""
    return MachineError(
        f"the program {program} is not installed there",
        where=where,
        remedy=f"install the package that holds {os.path.basename(program)} on {where}",
    )


def outcome(returncode: int) -> str:
    """An exit status in words: ``exited with 3`` or ``was killed by SIGKILL``."""
    if returncode >= 0:
        return f"exited with {returncode}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-returncode).name}"
    return f"was killed by signal {-returncode}"


def checked(completed: Completed, where: str) -> Completed:
    """`completed` if it succeeded; else raises RemoteError with the end of what it printed."""
    if completed.returncode == 0:
        return completed
    said = (completed.stderr.strip() or completed.stdout.strip())[-2000:]
    text = f"{' '.join(completed.argv[:6])} {outcome(completed.returncode)}"
    if said:
        text += f": {said.decode(errors='replace')}"
    raise RemoteError(text, where=where)


async def complete(
    process: Process,
    argv: tuple[str, ...],
    where: str,
    stdin: bytes,
    timeout_s: float,
    check: bool,
) -> Completed:
    """Feed a process, collect what it prints, and see it to its end.

    Its group is killed after `timeout_s` seconds, and also when the caller is cancelled.

    Raises:
        RemoteError: it failed (`check`), or did not end in time.
    """
    assert process.stdout is not None
    assert process.stderr is not None

    async def feed() -> None:
        if process.has_stdin:
            # A program need not read its input: that it closed it is no failure of the command.
            with contextlib.suppress(BrokenPipeError):
                await process.write(stdin)
            process.close_stdin()

    try:
        async with asyncio.timeout(timeout_s):
            out, err, returncode, _ = await asyncio.gather(
                process.stdout.read(), process.stderr.read(), process.wait(), feed()
            )
    except TimeoutError:
        raise RemoteError(
            f"{' '.join(argv[:6])} did not end within {timeout_s:g} s and was killed", where=where
        ) from None
    finally:
        process.kill_group()
        await process.wait()
        process.close_pipes()
    completed = Completed(argv, returncode, out, err)
    return checked(completed, where) if check else completed


class ProcessDaemon:
    """A `rigs.host.Daemon` around a process.

    Args:
        name: the daemon's name.
        process: the process, started.
        read_log: reads its log file.
        where: the host's name, for errors.
    """

    def __init__(
        self, name: str, process: Process, read_log: Callable[[], Awaitable[bytes]], where: str
    ) -> None:
        self.name = name
        self.pid = process.pid
        self.stopped_on_purpose = False
        self._process = process
        self._read_log = read_log
        self._where = f"{where}: {name}"

    @property
    def returncode(self) -> int | None:
        """Exit status (negative: the signal that ended it), or None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait until it ended; its exit status."""
        return await self._process.wait()

    async def stop(self, grace_s: float = 3.0) -> None:
        """SIGTERM, then SIGKILL to its whole group after `grace_s`; returns when reaped."""
        self.stopped_on_purpose = True
        self._process.signal(signal.SIGTERM)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._process.wait()
        finally:
            self._process.kill_group()
            await self._process.wait()

    async def signal(self, number: int) -> None:
        """Send a signal to the process; nothing happens once it ended."""
        self._process.signal(number)

    async def write(self, data: bytes) -> None:
        """Write to its standard input.

        Raises:
            LocalError: it was not spawned with ``stdin=True``.
            RemoteError: it ended or closed its input.
        """
        if not self._process.has_stdin:
            raise LocalError("it was spawned without stdin=True", where=self._where)
        try:
            await self._process.write(data)
        except BrokenPipeError:
            raise RemoteError("it reads its standard input no more", where=self._where) from None

    async def lines(self) -> AsyncIterator[bytes]:
        """Its standard output, a line at a time, without the line end.

        Raises:
            LocalError: it was not spawned with ``stdout=True``.
            RemoteError: a line longer than `LINE_LIMIT_BYTES`.
        """
        reader = self._process.stdout
        if reader is None:
            raise LocalError("it was spawned without stdout=True", where=self._where)
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                raise RemoteError(
                    f"it printed a line of over {LINE_LIMIT_BYTES} octets", where=self._where
                ) from None
            if not line:
                return
            yield line.rstrip(b"\r\n")

    async def log(self) -> bytes:
        """What it has printed so far to its log."""
        return await self._read_log()

    def close(self) -> None:
        """Let go of its pipes, read to their end or not."""
        self._process.close_pipes()
