"""A daemon that stands on a host: its output followed, readiness awaited, death noticed.

Every file in this package starts its daemon through `launch`, so that all of them fail the same
way: an error that names the host, the daemon and its last words.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import NoReturn, TypeVar

from radios.errors import LocalError, MachineError, RemoteError
from rigs.host import Daemon, Host

READY_TIMEOUT_S = 60.0
"""How long a daemon may take to be ready: the slowest takes 5 s in the guest; the rest is margin
for a loaded machine. It only bounds a hang."""

KEPT_LINES = 20_000
"""Output lines kept per daemon; at 200 octets a line this is 4 MB."""

_NOT_FOUND = 127
"""What a shell, `env` and `nsenter` exit with when there is no such program."""

_MISSING = re.compile(r"(?:^|: )(\S+): (?:applet )?not found$")
"""How shells complain of it."""

MERGE_OUTPUT = ("sh", "-c", 'exec "$@" 2>&1', "sh")
"""Prefix for daemons that speak on standard error: their words then reach `Daemon.lines`."""


class Service:
    """A running daemon and what it has said."""

    def __init__(self, host: Host, name: str, daemon: Daemon) -> None:
        self.host = host
        self.name = name
        self.daemon = daemon
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._count = 0
        self._ended = False
        self._stopping = False
        self._changed = asyncio.Event()
        self._reader = asyncio.create_task(self._follow(), name=f"{host.name}/{name} output")

    @property
    def where(self) -> str:
        """Host and daemon, as errors name them."""
        return f"{self.host.name}/{self.name}"

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.daemon.returncode is None

    async def _follow(self) -> None:
        try:
            async for raw in self.daemon.lines():
                self._lines.append(raw.decode(errors="replace").rstrip("\r\n"))
                self._count += 1
                self._wake()
        finally:
            self._ended = True
            self._wake()

    def _wake(self) -> None:
        """Wake every waiter once; the next wait gets an event of its own."""
        self._changed.set()
        self._changed = asyncio.Event()

    def said(self) -> tuple[str, ...]:
        """Its output lines so far (the last `KEPT_LINES`)."""
        return tuple(self._lines)

    @property
    def count(self) -> int:
        """Output lines so far: a place in its output for `lines` and `expect`."""
        return self._count

    def since(self, place: int) -> tuple[str, ...]:
        """Its output lines from a place on, as far as they are kept."""
        return self.said()[max(0, len(self._lines) - (self._count - place)) :]

    async def lines(self, *, backlog: bool = True, since: int | None = None) -> AsyncIterator[str]:
        """Its output lines as they come, until it ends.

        Args:
            backlog: start with those kept, not with the next.
            since: start at this place (`count`) instead.
        """
        seen = self._count if since is None else since
        if backlog and since is None:
            seen = 0
        while True:
            changed = self._changed
            seen = max(seen, self._count - len(self._lines))
            ready = list(self._lines)[len(self._lines) - (self._count - seen) :]
            seen = self._count
            for line in ready:
                yield line
            if seen == self._count:
                if self._ended:
                    return
                await changed.wait()

    async def expect(
        self,
        matches: Callable[[str], bool],
        *,
        what: str,
        timeout_s: float = READY_TIMEOUT_S,
        backlog: bool = True,
        since: int | None = None,
    ) -> str:
        """The first output line for which `matches` is true; see `lines` for where it begins.

        Raises:
            RemoteError: the daemon ended first, or `timeout_s` passed.
        """
        try:
            async with asyncio.timeout(timeout_s):
                async for line in self.lines(backlog=backlog, since=since):
                    if matches(line):
                        return line
                await self.daemon.wait()
        except TimeoutError:
            raise RemoteError(
                f"{self.name} did not get to '{what}' within {timeout_s:g} s{await self.epitaph()}",
                where=self.where,
                remedy="look at its last lines above",
            ) from None
        raise await self.death()

    async def epitaph(self, count: int = 6) -> str:
        """Its last lines, ready to append to an error's text; empty when it said nothing."""
        said = [line for line in self._lines if line.strip()][-count:]
        if len(said) < count:
            errors = (await self.daemon.log()).decode(errors="replace").splitlines()
            said = [line for line in errors if line.strip()][len(said) - count :] + said
        return "".join(f"\n    | {line}" for line in said)

    async def death(self) -> RemoteError | MachineError:
        """The error to raise for a daemon that ended by itself."""
        status = self.daemon.returncode
        how = f"signal {-status}" if status is not None and status < 0 else f"status {status}"
        if status == _NOT_FOUND:
            missing = next(filter(None, map(_MISSING.search, self._lines)), None)
            program = missing[1] if missing else self.name
            return MachineError(
                f"the program {program} is not installed there{await self.epitaph()}",
                where=self.where,
                remedy=f"install the package that holds {program} on {self.host.name}",
            )
        return RemoteError(
            f"{self.name} ended with {how}{await self.epitaph()}",
            where=self.where,
            remedy="its last lines say why; a kill from outside leaves none",
        )

    async def watch(self) -> None:
        """Return once `stop` was asked for; raise when the daemon ends before that.

        Meant for a TaskGroup: one task a daemon, and the first death cancels the run.

        Raises:
            RemoteError: the daemon died; names host, daemon and its last lines.
        """
        await self.daemon.wait()
        if not self._stopping:
            await asyncio.wait([self._reader], timeout=1.0)
            raise await self.death()

    async def log(self) -> str:
        """All that it has said: output lines kept, then standard error when that is apart."""
        errors = (await self.daemon.log()).decode(errors="replace")
        return "\n".join([*self._lines, errors]).rstrip("\n") + "\n"

    async def stop(self, grace_s: float = 3.0) -> None:
        """End it. Safe to repeat, and after its death."""
        self._stopping = True
        await self.daemon.stop(grace_s)
        await self.drained()

    async def drained(self) -> None:
        """Wait for the last of its output; a grandchild that holds the pipe open ends the wait."""
        await asyncio.wait([self._reader], timeout=2.0)
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)


S = TypeVar("S", bound=Service)


async def launch_as(
    kind: type[S],
    host: Host,
    *argv: str,
    name: str,
    ready: Callable[[str], bool] | None = None,
    ready_text: str = "ready",
    env: Mapping[str, str] | None = None,
    explain: Callable[[str], LocalError | MachineError | RemoteError | None] | None = None,
    timeout_s: float = READY_TIMEOUT_S,
    stdin: bool = False,
) -> S:
    """Start a daemon and return it once it has printed a line for which `ready` is true.

    Args:
        kind: the class that follows it, for daemons with habits of their own.
        name: what errors and logs call it.
        ready: recognises the line; None returns at once.
        ready_text: what that line says, for errors.
        explain: turns an output line into a better error than "it ended"; asked for each line of
            a daemon that failed to get ready.

    Raises:
        MachineError: the program is not installed there.
        RemoteError: it ended before it was ready, or `timeout_s` passed; it is then stopped.
    """
    daemon = await host.spawn(*argv, name=name, env=env, stdin=stdin, stdout=True)
    service = kind(host, name, daemon)
    if ready is None:
        return service
    try:
        await service.expect(ready, what=ready_text, timeout_s=timeout_s)
    except (RemoteError, MachineError) as failure:
        await fail(service, failure, explain)
    except BaseException:
        await service.stop(grace_s=0.5)
        raise
    return service


launch = partial(launch_as, Service)


async def fail(
    service: Service,
    failure: RemoteError | MachineError,
    explain: Callable[[str], LocalError | MachineError | RemoteError | None] | None,
) -> NoReturn:
    """Stop a daemon that did not get ready and raise the best explanation of it."""
    await service.stop(grace_s=0.5)
    if explain is not None:
        for line in (await service.log()).splitlines():
            better = explain(line)
            if better is not None:
                raise better from failure
    raise failure


def port_taken(host: Host, daemon: str, port: int, protocol: str = "udp") -> MachineError:
    """The error for a daemon whose port another process holds."""
    flag = "u" if protocol == "udp" else "t"
    return MachineError(
        f"port {port} taken on host {host.name}",
        where=f"{host.name}/{daemon}",
        remedy=f"`ss -ln{flag}p sport = :{port}` there names the process that holds it; "
        "end it or choose another port in the lab file",
    )
