"""A Host as a machine reached over SSH.

One channel of one connection carries everything, whatever the far sshd's MaxSessions: a supervisor
of plain Python (`rigs.far_supervisor`), sent over at the start, which runs commands, keeps daemons,
holds the work directory, and takes all of it away when the connection ends in whatever manner.
Nothing needs to be installed there but python3 and the programs that the lab runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING

from radios.channel import DatagramChannel
from radios.errors import LocalError, RemoteError
from rigs import paths
from rigs.host import Completed, Daemon
from rigs.process import ProcessDaemon, checked_argv, complete
from rigs.ssh_session import FarProcess, Session, far_program
from rigs.ssh_stream import FarPipes, SshTarget, connect_ssh

__all__ = ["SshHost", "SshTarget"]

if TYPE_CHECKING:
    from radios.relay_channel import RelayClient


class SshHost:
    """One box of the lab on a machine of its own; make it with `create`.

    Attributes:
        name: the box's name in the lab.
        workdir: the private directory there, mode 0700, also every command's working directory.
        on_death: called on the event loop with each daemon that ended though nobody called its
            `stop`. After a lost connection that is every one (status -9: the far end kills them).
    """

    def __init__(
        self,
        name: str,
        workdir: str,
        session: Session,
        pipes: FarPipes,
    ) -> None:
        self.name = name
        self.workdir = workdir
        self.on_death: Callable[[Daemon], None] | None = None
        self._session = session
        self._pipes = pipes
        self._daemons: list[ProcessDaemon] = []
        self._logs: dict[str, int] = {}
        self._relay: tuple[FarProcess, RelayClient] | None = None
        self._starting_relay = asyncio.Lock()
        self._closing = False

    @classmethod
    async def create(cls, name: str, lab_id: str, target: SshTarget) -> SshHost:
        """Connect, check the host key, start the supervisor, make the work directory.

        Raises:
            LocalError: a name that cannot be one, or a key or known_hosts file that is not there.
            MachineError: the machine cannot be reached, is not the known one, refuses the key,
                lacks a fitting python3, or runs this lab for somebody else.
        """
        where = f"{paths.checked_name(name)} ({target})"
        loader, program = far_program()
        mark = f"{paths.LAB_VARIABLE}={paths.checked_lab_id(lab_id)}"
        command = shlex.join([*target.become, "env", mark, target.python, "-c", loader])
        connection = await connect_ssh(target, where)
        pipes = FarPipes(connection)
        try:
            await pipes.open(command)
            pipes.write(program)
            session = Session(pipes, pipes.write, pipes.drain, name)
            try:
                await session.begin()
            except (EOFError, OSError) as error:
                raise await pipes.explain(error, target, where) from error
            try:
                opened, _ = await session.request(
                    "open", lab=lab_id, host=name, run_directory=target.run_directory
                )
            except BaseException:
                await session.end()
                raise
        except BaseException:
            await pipes.close()
            raise
        return cls(name, opened["workdir"], session, pipes)

    def _check_open(self) -> None:
        if self._closing:
            raise LocalError("the host is closed", where=self.name)
        if self._session.lost is not None:
            raise self._session.lost

    @contextlib.asynccontextmanager
    async def _blaming_connection(self) -> AsyncIterator[None]:
        """A command that ended with the connection did not fail by itself."""
        try:
            yield
        except RemoteError as error:
            if self._session.lost is not None and not self._closing:
                raise self._session.lost from error
            raise

    async def run(
        self,
        *argv: str,
        stdin: bytes = b"",
        timeout_s: float = 30.0,
        check: bool = True,
    ) -> Completed:
        """Run a command there to its end (`rigs.host.Host.run`)."""
        argv = checked_argv(argv, self.name)
        self._check_open()
        process = await self._session.start(argv, env={}, stdin=bool(stdin), stdout=True, log="")
        async with self._blaming_connection():
            completed = await complete(process, argv, self.name, stdin, timeout_s, check)
        self._check_open()
        return completed

    async def spawn(
        self,
        *argv: str,
        name: str,
        env: Mapping[str, str] | None = None,
        stdin: bool = False,
        stdout: bool = False,
    ) -> ProcessDaemon:
        """Start a daemon there (`rigs.host.Host.spawn`).

        Its log is ``<name>.log`` in the work directory (``<name>-2.log`` for the second of a name).
        """
        argv = checked_argv(argv, self.name)
        log = self._new_log(paths.checked_name(name, "daemon"))
        self._check_open()
        process = await self._session.start(
            argv, env=env or {}, stdin=stdin, stdout=stdout, log=log
        )
        daemon = ProcessDaemon(name, process, lambda: self.get(log), self.name)
        self._daemons.append(daemon)
        if process.returncode is None:
            process.on_end = lambda: self._ended(daemon)
        else:  # so short a life that its end came along with its beginning
            asyncio.get_running_loop().call_soon(self._ended, daemon)
        return daemon

    def _new_log(self, name: str) -> str:
        number = self._logs[name] = self._logs.get(name, 0) + 1
        return f"{name}-{number}.log" if number > 1 else f"{name}.log"

    def _ended(self, daemon: ProcessDaemon) -> None:
        if self.on_death is not None and not daemon.stopped_on_purpose and not self._closing:
            self.on_death(daemon)

    async def put(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a file (parents made) in one step: readers see the old or the new one whole."""
        full = paths.resolve(self.workdir, path, self.name)
        await self._file("write", "put", full, data, mode=mode)

    async def get(self, path: str) -> bytes:
        """Read a file; raises RemoteError naming host and path when it cannot be read."""
        return await self._file("read", "get", paths.resolve(self.workdir, path, self.name))

    async def remove(self, path: str) -> None:
        """Remove a file or folder; absent is fine. Refuses what holds the work directory."""
        full = paths.resolve_for_removal(self.workdir, path, self.name)
        await self._file("remove", "remove", full)

    async def _file(self, verb: str, op: str, path: str, data: bytes = b"", **fields: int) -> bytes:
        self._check_open()
        try:
            _, content = await self._session.request(op, data, path=path, **fields)
        except RemoteError as error:
            if error is self._session.lost:
                raise
            raise RemoteError(f"cannot {verb} {path}: {error.what}", where=self.name) from error
        return content

    async def defer(self, *argv: str, stdin: bytes = b"") -> None:
        """Have `argv` run there at the end, also after a lost connection; last one first."""
        self._check_open()
        await self._session.request("defer", stdin, argv=list(checked_argv(argv, self.name)))

    async def connect(self, path: str) -> DatagramChannel:
        """Open a channel to the datagram socket at `path`, through a relay there."""
        full = paths.resolve(self.workdir, path, self.name)
        self._check_open()
        async with self._starting_relay:
            if self._relay is None or self._relay[0].returncode is not None:
                self._relay = await self._start_relay()
        return await self._relay[1].connect(full)

    async def _start_relay(self) -> tuple[FarProcess, RelayClient]:
        from radios.relay_channel import RelayClient, far_command

        argv, script = far_command("python3")
        process = await self._session.start(
            argv,
            # Its socket files then go with the work directory, however it ends.
            env={"TMPDIR": self.workdir},
            stdin=True,
            stdout=True,
            log=self._new_log("relay"),
        )
        process.write_soon(script)
        output = process.stdout
        assert output is not None
        return process, RelayClient(process.write_soon, lambda: output.read(65536), self.name)

    @property
    def daemons(self) -> tuple[ProcessDaemon, ...]:
        """Every daemon spawned and not yet stopped on purpose, in order."""
        return tuple(daemon for daemon in self._daemons if not daemon.stopped_on_purpose)

    async def close(self) -> None:
        """Stop the daemons, have the far end take the rest away, disconnect. Safe to call twice."""
        self._closing = True
        try:
            await asyncio.gather(*(daemon.stop() for daemon in self._daemons))
            if self._relay is not None:
                await self._relay[1].close()
        finally:
            await asyncio.shield(asyncio.ensure_future(self._leave()))

    async def _leave(self) -> None:
        await self._pipes.finish()
        await self._session.end()
        await self._pipes.close()
