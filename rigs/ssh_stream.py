"""Reaching a machine over SSH: who it must be, how, and the pipes of the supervisor there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from radios.errors import LocalError, MachineError, MpaError

if TYPE_CHECKING:
    import asyncssh

KEEPALIVE_S = 5.0
KEEPALIVES = 3
"""A silent network is a lost connection after KEEPALIVES x KEEPALIVE_S seconds."""
FAREWELL_S = 40.0
"""Bound for the far end to take everything away; its own bounds are shorter."""


@dataclass(frozen=True, slots=True)
class SshTarget:
    """How to reach a machine. Nothing is taken from ~/.ssh/config.

    Attributes:
        address: host name or address.
        port: TCP port.
        user: account there; links, namespaces and radios take root.
        keys: private key files; none means the agent's and the usual ones in ~/.ssh.
        known_hosts: the file that must hold the machine's host key.
        become: what gives the account root, e.g. ("sudo", "-n").
        python: the Python there, 3.9 or newer.
        connect_timeout_s: seconds until the machine counts as unreachable.
        run_directory: where its work directory goes; "" for /run/mpa-hil (root) or the user's own.
    """

    address: str
    port: int = 22
    user: str = "root"
    keys: tuple[str, ...] = ()
    known_hosts: str = "~/.ssh/known_hosts"
    become: tuple[str, ...] = ()
    python: str = "python3"
    connect_timeout_s: float = 10.0
    run_directory: str = ""

    def __str__(self) -> str:
        return f"{self.user}@{self.address}:{self.port}"


async def connect_ssh(target: SshTarget, where: str) -> asyncssh.SSHClientConnection:
    """Connect and authenticate both ways.

    Raises:
        LocalError: a key or known_hosts file that cannot be read.
        MachineError: it cannot be reached, is not the known machine, or refuses the key.
    """
    known_hosts, *keys = (_readable(path, where) for path in (target.known_hosts, *target.keys))
    import asyncssh

    own_keys = {"client_keys": keys, "agent_path": None} if keys else {}
    try:
        return await asyncssh.connect(
            target.address,
            target.port,
            username=target.user,
            known_hosts=known_hosts,
            config=None,
            preferred_auth="publickey",
            connect_timeout=target.connect_timeout_s,
            login_timeout=target.connect_timeout_s,
            keepalive_interval=KEEPALIVE_S,
            keepalive_count_max=KEEPALIVES,
            **own_keys,
        )
    except asyncssh.HostKeyNotVerifiable as error:
        raise MachineError(
            f"its host key is not the one in {known_hosts}: {error.reason}",
            where=where,
            remedy="compare the key's fingerprint on the machine itself, then add it with "
            f"ssh-keyscan -p {target.port} {target.address} >> {known_hosts}",
        ) from error
    except asyncssh.PermissionDenied as error:
        raise MachineError(
            f"it refused our key: {error.reason}",
            where=where,
            remedy=f"add the public key there: ssh-copy-id -p {target.port} "
            f"{target.user}@{target.address}",
        ) from error
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise LocalError(f"a private key cannot be used: {error}", where=where) from error
    except TimeoutError as error:
        raise MachineError(
            f"it cannot be reached: no answer within {target.connect_timeout_s:g} s",
            where=where,
            remedy=f"check that the machine is up: ping {target.address}",
        ) from error
    except (asyncssh.Error, OSError) as error:
        raise MachineError(
            f"it cannot be reached: {error}",
            where=where,
            remedy="check address and port, and that sshd runs there",
        ) from error


def _readable(path: str, where: str) -> str:
    full = os.path.expanduser(path)
    if not os.access(full, os.R_OK):
        raise LocalError(f"the file {full} cannot be read", where=where)
    return full


class FarPipes:
    """The supervisor's pipes through asyncssh, whose errors become OSError here."""

    def __init__(self, connection: asyncssh.SSHClientConnection) -> None:
        self._connection = connection
        self._process: asyncssh.SSHClientProcess[bytes] | None = None

    async def open(self, command: str) -> None:
        """Start `command` there; raises MachineError when the far sshd will not."""
        import asyncssh

        try:
            self._process = await self._connection.create_process(command, encoding=None)
        except (asyncssh.Error, OSError) as error:
            raise MachineError(f"the far sshd runs no commands: {error}") from error

    @property
    def _pipes(self) -> asyncssh.SSHClientProcess[bytes]:
        assert self._process is not None
        return self._process

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        import asyncssh

        try:
            yield
        except asyncssh.Error as error:
            raise ConnectionError(error.reason) from error

    def write(self, data: bytes) -> None:
        """Queue octets for the supervisor."""
        with self._errors():
            self._pipes.stdin.write(data)

    async def drain(self) -> None:
        """Wait until what was queued is mostly gone."""
        with self._errors():
            await self._pipes.stdin.drain()

    async def readexactly(self, count: int, /) -> bytes:
        """`count` octets; raises asyncio.IncompleteReadError at the end."""
        with self._errors():
            return await self._pipes.stdout.readexactly(count)

    async def readline(self) -> bytes:
        """A line, or what is left at the end."""
        with self._errors():
            return await self._pipes.stdout.readline()

    async def explain(self, error: Exception, target: SshTarget, where: str) -> MpaError:
        """Why the supervisor did not start, from what the far shell said."""
        said = ""
        status = None
        if not isinstance(error, TimeoutError):
            with contextlib.suppress(OSError, TimeoutError), self._errors():
                async with asyncio.timeout(5):
                    said = (await self._pipes.stderr.read()).decode(errors="replace").strip()
                    status = (await self._pipes.wait()).exit_status
        if status == 127:
            return MachineError(
                f"{target.python} is not installed there",
                where=where,
                remedy="install Python 3.9 or newer on that machine",
            )
        return MachineError(
            f"the supervisor did not start there: {said or error or 'the connection ended'}",
            where=where,
            remedy=f"try: ssh {target.user}@{target.address} {shlex.join(target.become)} "
            f"{target.python} --version",
        )

    async def finish(self) -> None:
        """End the supervisor's input and wait until it took everything away."""
        if self._process is not None:
            with contextlib.suppress(OSError, TimeoutError), self._errors():
                self._process.stdin.write_eof()
                async with asyncio.timeout(FAREWELL_S):
                    await self._process.wait_closed()

    async def close(self) -> None:
        """Disconnect."""
        self._connection.close()
        await self._connection.wait_closed()
