"""Processes on this machine: started in a session of their own, reaped through a pidfd.

A pidfd tells of a process's end without a thread or a signal handler, and its process group can be
killed while the dead leader still reserves the number, so no signal ever meets a recycled pid.
Every process here is the leader of its session: Ctrl-C at the controller's terminal reaches the
controller alone, which then stops the others in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from radios.errors import LocalError, MachineError, RemoteError
from rigs.host import Completed

LINE_LIMIT_BYTES = 1 << 20
"""Longest line that `LocalDaemon.lines` takes; an agent's event is far shorter."""

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
"""Searched after PATH: hostapd, ip and tc live there, and an ordinary user's PATH leaves it out."""


def checked_argv(argv: Sequence[str], where: str) -> tuple[str, ...]:
    """`argv` as a tuple; raises LocalError for what no kernel can start (empty, NUL octets)."""
    if not argv or not argv[0]:
        raise LocalError("a command needs a program name", where=where)
    if any("\0" in argument for argument in argv):
        raise LocalError(f"an argument of {argv[0]} holds a NUL octet", where=where)
    return tuple(argv)


def program_path() -> str:
    """PATH with the system administrator's folders at its end."""
    return f"{os.environ.get('PATH', os.defpath)}:{_SBIN}"


def find_program(program: str, where: str) -> str:
    """The path of `program` on this machine; raises MachineError when it is not installed."""
    found = shutil.which(program, path=program_path())
    if found is None:
        raise missing_program(program, where)
    return os.path.abspath(found)


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


class Child:
    """One running process; `end` callbacks run on the event loop as soon as it is reaped."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._writing = asyncio.Lock()
        self._room = asyncio.Event()
        self._pipes: list[asyncio.BaseTransport] = []
        self.on_end: Callable[[], None] | None = None
        self.has_stdin = process.stdin is not None
        self.stdout: asyncio.StreamReader | None = None
        self.stderr: asyncio.StreamReader | None = None
        self._pidfd = os.pidfd_open(process.pid)
        self._loop.add_reader(self._pidfd, self._reap)

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stdin: bool = False,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> Child:
        """Start `argv` (its program already found); `stdout`, `stderr` are as for Popen.

        Raises:
            MachineError: the kernel would not start it.
        """
        try:
            process = _popen(argv, env, cwd, stdin, stdout, stderr)
        except OSError as error:
            raise MachineError(f"cannot start {argv[0]}: {error.strerror}") from error
        child = cls(process)
        try:
            if process.stdin is not None:
                os.set_blocking(process.stdin.fileno(), False)
            if process.stdout is not None:
                child.stdout = await child._reader(process.stdout)
            if process.stderr is not None:
                child.stderr = await child._reader(process.stderr)
        except BaseException:
            child.kill_group()
            raise
        return child

    async def _reader(self, pipe: object) -> asyncio.StreamReader:
        reader = asyncio.StreamReader(limit=LINE_LIMIT_BYTES)
        transport, _ = await self._loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        self._pipes.append(transport)
        return reader

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        # The leader is a zombie still, so its number cannot mean another group: what it left
        # behind in its group ends with it.
        self.kill_group()
        self._process.wait()
        os.close(self._pidfd)
        self.close_stdin()
        self._ended.set()
        if self.on_end is not None:
            self.on_end()

    @property
    def pid(self) -> int:
        """Process number, on this machine."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status (negative: the signal), or None until it is reaped."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait for the end; the exit status."""
        await self._ended.wait()
        return self._process.returncode

    def signal(self, number: int) -> None:
        """Send `number` to the process; nothing happens once it ended."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def kill_group(self) -> None:
        """SIGKILL the process and all of its process group that is left."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    async def write(self, data: bytes) -> None:
        """Write all of `data` to its standard input; raises BrokenPipeError once nobody reads."""
        async with self._writing:
            view = memoryview(data)
            while view:
                pipe = self._process.stdin
                if pipe is None or pipe.closed:
                    raise BrokenPipeError("standard input is closed")
                try:
                    view = view[os.write(pipe.fileno(), view) :]
                except BlockingIOError:
                    await self._writable(pipe.fileno())

    async def _writable(self, descriptor: int) -> None:
        self._room.clear()
        self._loop.add_writer(descriptor, self._room.set)
        try:
            await self._room.wait()
        finally:
            if self._process.stdin is not None and not self._process.stdin.closed:
                self._loop.remove_writer(descriptor)

    def close_stdin(self) -> None:
        """End of its standard input; safe to repeat."""
        pipe = self._process.stdin
        if pipe is not None and not pipe.closed:
            self._loop.remove_writer(pipe.fileno())
            with contextlib.suppress(OSError):
                pipe.close()
            self._room.set()  # a waiting writer must find it closed

    def close_pipes(self) -> None:
        """Stop reading its output, should somebody hold the pipes open still."""
        for pipe in self._pipes:
            pipe.close()


def _popen(
    argv: Sequence[str],
    env: Mapping[str, str] | None,
    cwd: str | None,
    stdin: bool,
    stdout: int,
    stderr: int,
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=None if env is None else {**os.environ, **env},
        cwd=cwd,
        start_new_session=True,
        bufsize=0,
    )


async def run_local(
    argv: Sequence[str],
    *,
    prefix: Sequence[str] = (),
    where: str,
    stdin: bytes = b"",
    timeout_s: float = 30.0,
    check: bool = True,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Completed:
    """Run a command on this machine to its end.

    Args:
        argv: the command as the caller meant it; it is what errors quote.
        prefix: a launcher that executes the command in place (nsenter).
        where: the host's name, for errors.
        stdin: all of its standard input.
        timeout_s: seconds after which its process group is killed.
        check: whether a failure is an error.
        cwd: working directory.
        env: variables set beside the controller's own.

    Raises:
        MachineError: the program is not installed.
        RemoteError: it failed (`check`), or did not end in time.
    """
    argv = checked_argv(argv, where)
    program = find_program(argv[0], where)
    child = await Child.start([*prefix, program, *argv[1:]], env=env, cwd=cwd, stdin=bool(stdin))
    assert child.stdout is not None
    assert child.stderr is not None

    async def feed() -> None:
        # A program need not read its input: that it closed it is no failure of the command.
        with contextlib.suppress(BrokenPipeError):
            await child.write(stdin)
        child.close_stdin()

    try:
        async with asyncio.timeout(timeout_s):
            out, err, _, returncode = await asyncio.gather(
                child.stdout.read(), child.stderr.read(), feed(), child.wait()
            )
    except TimeoutError:
        raise RemoteError(
            f"{' '.join(argv[:6])} did not end within {timeout_s:g} s and was killed", where=where
        ) from None
    finally:
        child.kill_group()
        await child.wait()
        child.close_pipes()
    completed = Completed(argv, returncode, out, err)
    return checked(completed, where) if check else completed


class LocalDaemon:
    """A `rigs.host.Daemon` on this machine; its log is a file that the controller opened."""

    def __init__(self, name: str, child: Child, log_path: str, where: str) -> None:
        self.name = name
        self.pid = child.pid
        self.log_path = log_path
        self.stopped_on_purpose = False
        self._child = child
        self._where = f"{where}: {name}"

    @property
    def returncode(self) -> int | None:
        """Exit status (negative: the signal that ended it), or None while it runs."""
        return self._child.returncode

    async def wait(self) -> int:
        """Wait until it ended; its exit status."""
        return await self._child.wait()

    async def stop(self, grace_s: float = 3.0) -> None:
        """SIGTERM, then SIGKILL to its whole group after `grace_s`; returns when reaped."""
        self.stopped_on_purpose = True
        self._child.signal(signal.SIGTERM)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._child.wait()
        finally:
            self._child.kill_group()
            await self._child.wait()

    async def signal(self, number: int) -> None:
        """Send a signal to the process; nothing happens once it ended."""
        self._child.signal(number)

    async def write(self, data: bytes) -> None:
        """Write to its standard input.

        Raises:
            LocalError: it was not spawned with ``stdin=True``.
            RemoteError: it ended or closed its input.
        """
        if not self._child.has_stdin:
            raise LocalError("it was spawned without stdin=True", where=self._where)
        try:
            await self._child.write(data)
        except BrokenPipeError:
            raise RemoteError("it reads its standard input no more", where=self._where) from None

    async def lines(self) -> AsyncIterator[bytes]:
        """Its standard output, a line at a time, without the line end.

        Raises:
            LocalError: it was not spawned with ``stdout=True``.
            RemoteError: a line longer than `LINE_LIMIT_BYTES`.
        """
        reader = self._child.stdout
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
        """What it has printed so far to its log; empty once the host is closed."""
        return _log_bytes(self.log_path)

    def close(self) -> None:
        """Let go of its pipes, read to their end or not."""
        self._child.close_pipes()


def _log_bytes(path: str) -> bytes:
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        return file.read()
    return b""
