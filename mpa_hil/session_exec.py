"""Commands in the hosts of a standing lab."""

from __future__ import annotations

import asyncio
import os
import posixpath
import stat
import sys
from collections.abc import AsyncIterator, Sequence
from typing import BinaryIO

from radios.errors import LocalError, MachineError
from rigs import paths

from .session_place import Place, Record

_PIECE = 64 << 10


def check_host(record: Record, host: str) -> None:
    """Refuse a host that the lab does not have.

    Raises:
        LocalError: naming those that it has.
    """
    if host not in record.hosts:
        raise LocalError(
            f"the lab {record.lab} has no such host",
            where=host,
            remedy=f"choose from {', '.join(record.hosts)}",
        )


def in_guest(place: Place, record: Record, host: str, argv: Sequence[str]) -> int:
    """Run a command in a host of a lab in the guest, this process's input and outputs its own.

    Returns:
        Its exit status; 128 + n if signal n ended it.

    Raises:
        RemoteError: the guest went away.
    """
    from rigs.guest import remote

    return asyncio.run(
        remote.converse(
            place.exec_socket,
            command_in_guest(record.lab_id, host, argv),
            env={paths.LAB_VARIABLE: record.lab_id},
            cwd=workdir(record.lab_id, host),
            stdin=None if not has_input() else read_input(),
            stdout=lambda data: _write(sys.stdout.buffer, data),
            stderr=lambda data: _write(sys.stderr.buffer, data),
        )
    )


def on_host(record: Record, host: str, argv: Sequence[str]) -> int:
    """Become a command in a host of a lab on this machine; never returns.

    Raises:
        MachineError: the caller is not root, or has not that program.
    """
    from rigs.local import find_program, program_path
    from rigs.netns import command_in

    if os.geteuid() != 0:
        raise MachineError("entering a network namespace takes root", remedy="run it with sudo")
    command = command_in(record.lab_id, host, *argv)
    find_program(argv[0], host, workdir(record.lab_id, host))
    environment = {**os.environ, "PATH": program_path(), paths.LAB_VARIABLE: record.lab_id}
    os.chdir(workdir(record.lab_id, host))
    # In place: terminal, signals and exit status are the command's without any doing.
    os.execve(command[0], command, environment)


def workdir(lab_id: str, host: str) -> str:
    """A host's private directory on its machine, where daemons keep their files."""
    return posixpath.join(paths.lab_directory(lab_id), paths.checked_name(host))


def command_in_guest(lab_id: str, host: str, argv: Sequence[str]) -> list[str]:
    """What enters a host's namespace in the guest, where programs are not this machine's."""
    return ["nsenter", f"--net=/run/netns/{paths.namespace_of(lab_id, host)}", "--", *argv]


def has_input() -> bool:
    """Whether standard input is something to hand on: a terminal is not, there is none inside."""
    try:
        return not os.isatty(0) and not stat.S_ISCHR(os.fstat(0).st_mode)
    except OSError:
        return False  # it is closed


async def read_input() -> AsyncIterator[bytes]:
    """Standard input in pieces, as they come."""
    mode = os.fstat(0).st_mode
    flows = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    loop = asyncio.get_running_loop()
    while True:
        if flows:
            readable = asyncio.Event()
            loop.add_reader(0, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(0)
        data = os.read(0, _PIECE)
        if not data:
            return
        yield data


def _write(stream: BinaryIO, data: bytes) -> None:
    stream.write(data)
    stream.flush()
