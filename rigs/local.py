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
from collections.abc import Callable, Mapping, Sequence

from radios.errors import MachineError
from rigs.host import Completed
from rigs.process import LINE_LIMIT_BYTES, checked_argv, complete, missing_program

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
"""Searched after PATH: hostapd, ip and tc live there, and an ordinary user's PATH leaves it out."""


def program_path() -> str:
    """PATH with the system administrator's folders at its end."""
    return f"{os.environ.get('PATH', os.defpath)}:{_SBIN}"


def find_program(program: str, where: str, cwd: str | None = None) -> str:
    """The path of `program` on this machine; raises MachineError when it is not installed.

    A relative path with a slash in it is one from `cwd`, as it would be for the program's shell.
    """
    if os.path.dirname(program):
        program = os.path.join(cwd or os.getcwd(), program)
    found = shutil.which(program, path=program_path())
    if found is None:
        raise missing_program(program, where)
    return os.path.abspath(found)


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
        cwd: working directory; a program given by a relative path is looked for there.
        env: variables set beside the controller's own.

    Raises:
        MachineError: the program is not installed.
        RemoteError: it failed (`check`), or did not end in time.
    """
    argv = checked_argv(argv, where)
    program = find_program(argv[0], where, cwd)
    child = await Child.start([*prefix, program, *argv[1:]], env=env, cwd=cwd, stdin=bool(stdin))
    return await complete(child, argv, where, stdin, timeout_s, check)
