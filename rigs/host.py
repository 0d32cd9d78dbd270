"""Host: one box of the lab, wherever it stands.

A network namespace, a machine reached over SSH, or the machine itself: code above this storey
cannot tell. A host runs commands, keeps daemons, holds files under its own work directory, and
opens datagram channels to control sockets on it. What it started or wrote, `close` takes away.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from radios.channel import DatagramChannel


@dataclass(frozen=True, slots=True)
class Completed:
    """A finished command."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes


class Daemon(Protocol):
    """A long-lived process on a host."""

    name: str
    pid: int

    @property
    def returncode(self) -> int | None:
        """Exit status (negative: the signal that ended it), or None while it runs."""

    async def wait(self) -> int:
        """Wait until it ended; its exit status."""

    async def stop(self, grace_s: float = 3.0) -> None:
        """SIGTERM, then SIGKILL after `grace_s`; returns when it is reaped. Safe to repeat."""

    async def signal(self, number: int) -> None:
        """Send a signal to the process."""

    async def write(self, data: bytes) -> None:
        """Write to its standard input (only when spawned with `stdin=True`)."""

    def lines(self) -> AsyncIterator[bytes]:
        """Its standard output, a line at a time (only when spawned with `stdout=True`)."""

    async def log(self) -> bytes:
        """What it has printed so far to its log (standard error, and output unless piped)."""


@runtime_checkable
class Host(Protocol):
    """One box of the lab. All paths are strings on that host."""

    name: str
    workdir: str
    """A private directory on the host (mode 0700), where commands run; removed by `close`."""
    on_death: Callable[[Daemon], None] | None
    """Called on the event loop with each daemon that ended though nobody called its `stop`,
    whatever its exit status: whoever expects one to end by itself looks at `returncode`."""

    async def run(
        self,
        *argv: str,
        stdin: bytes = b"",
        timeout_s: float = 30.0,
        check: bool = True,
    ) -> Completed:
        """Run a command to its end.

        Raises:
            MachineError: the program is not installed there.
            RemoteError: it failed (`check`), or did not end within `timeout_s` (it is then killed).
        """

    async def spawn(
        self,
        *argv: str,
        name: str,
        env: Mapping[str, str] | None = None,
        stdin: bool = False,
        stdout: bool = False,
    ) -> Daemon:
        """Start a daemon in the foreground of its own session; `close` stops it."""

    async def put(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a file (parents made); relative paths are below `workdir`."""

    async def get(self, path: str) -> bytes:
        """Read a file; raises RemoteError naming host and path when it is not there."""

    async def remove(self, path: str) -> None:
        """Remove a file or folder; absent is fine."""

    async def connect(self, path: str) -> DatagramChannel:
        """Open a channel to the AF_UNIX datagram socket at `path`.

        A `radios.channel.Connector`: hand it to the control-socket client as it is.
        """

    @property
    def daemons(self) -> tuple[Daemon, ...]:
        """Every daemon spawned and not yet stopped on purpose, in order."""

    async def close(self) -> None:
        """Stop the daemons, remove the work directory and the host itself. Safe to call twice."""
