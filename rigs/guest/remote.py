"""Runs commands in a guest that was booted with ``serve``, from the host.

`execute` is for a command whose output is wanted whole, `converse` for one whose input and output
are to flow as they come. Both speak `rigs.guest.exec_protocol` on a Unix stream socket: QEMU's own,
which takes one asker at a time (the next one waits), or better a `rigs.guest.switchboard`'s, which
takes them all at once. An asker that is cancelled or dies takes its command with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

from radios.errors import LocalError, RemoteError
from rigs.host import Completed

from . import exec_protocol as protocol

OUTPUT_LIMIT = 64 << 20
"""Octets that `execute` collects before it gives the command up."""
GUEST = "guest"

Sink = Callable[[bytes], None]


async def execute(
    socket_path: Path | str,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    stdin: bytes = b"",
    timeout_s: float = 30.0,
    output_limit: int = OUTPUT_LIMIT,
) -> Completed:
    """Run a command in the guest to its end.

    Args:
        env: added to the guest's environment.
        cwd: working directory there; / where it does not exist.
        stdin: all of the command's input.
        timeout_s: wall seconds after which the command is ended.
        output_limit: octets of both outputs together after which it is ended.

    Returns:
        Exit status (127: cannot be run, 128 + n: ended by signal n) and both outputs.

    Raises:
        LocalError: no command, or one too long for the port.
        RemoteError: the guest is not there or went away, or a bound was passed.
    """
    outputs = {"stdout": bytearray(), "stderr": bytearray()}

    def sink(name: str) -> Sink:
        def collect(data: bytes) -> None:
            outputs[name].extend(data)
            if sum(map(len, outputs.values())) > output_limit:
                raise RemoteError(
                    f"{argv[0]} printed more than {output_limit} octets",
                    where=GUEST,
                    remedy="let it write to a file there",
                )

        return collect

    async def whole() -> AsyncIterator[bytes]:
        yield stdin

    try:
        async with asyncio.timeout(timeout_s):
            status = await converse(
                socket_path,
                argv,
                env=env,
                cwd=cwd,
                stdin=whole() if stdin else None,
                stdout=sink("stdout"),
                stderr=sink("stderr"),
            )
    except TimeoutError as error:
        raise RemoteError(f"{argv[0]} did not end within {timeout_s:g} s", where=GUEST) from error
    return Completed(tuple(argv), status, bytes(outputs["stdout"]), bytes(outputs["stderr"]))


async def converse(
    socket_path: Path | str,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    stdin: AsyncIterator[bytes] | None = None,
    stdout: Sink,
    stderr: Sink,
) -> int:
    """Run a command in the guest, its input and output flowing as they come.

    Args:
        stdin: its input, in pieces; None: it has none.
        stdout, stderr: given each piece of output; while one blocks, the command waits.

    Returns:
        The exit status, as `execute`'s.

    Raises:
        LocalError: no command, or one too long for the port.
        RemoteError: the guest is not there or went away.
    """
    identity = secrets.token_hex(8)
    request = _request(identity, argv, env, cwd, stdin is not None)
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket_path))
    except OSError as error:
        raise RemoteError(f"nobody answers: {error.strerror}", where=str(socket_path)) from error
    taken = _Credit()
    feeding: asyncio.Task[None] | None = None
    try:
        # The empty line ends whatever half a line a former asker left on the port.
        writer.write(b"\n" + request)
        if stdin is not None:
            feeding = asyncio.create_task(_feed(writer, identity, stdin, taken))
        return await _listen(reader, writer, identity, {"stdout": stdout, "stderr": stderr}, taken)
    except BaseException:
        with contextlib.suppress(OSError):
            writer.write(protocol.encode(identity, cancel=True))
        raise
    finally:
        if feeding is not None:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        writer.close()


def _request(
    identity: str,
    argv: Sequence[str],
    env: Mapping[str, str] | None,
    cwd: str | None,
    has_input: bool,
) -> bytes:
    if not argv or not argv[0]:
        raise LocalError("a command needs a program name", where=GUEST)
    if any("\0" in argument for argument in argv):
        raise LocalError(f"an argument of {argv[0]} holds a NUL octet", where=GUEST)
    line = protocol.encode(
        identity, argv=list(argv), env=dict(env or {}), cwd=cwd or "", input=has_input
    )
    if len(line) > protocol.LINE_LIMIT:
        raise LocalError("the command is too long", where=GUEST, remedy="give it as input instead")
    return line


class _Credit:
    """How many octets of input may still be sent."""

    def __init__(self) -> None:
        self._left = protocol.WINDOW
        self._changed = asyncio.Event()

    def give(self, octets: int) -> None:
        """The command took so many."""
        self._left += octets
        self._changed.set()

    async def take(self, octets: int) -> None:
        """Wait until something may be sent; these then count as sent."""
        while self._left <= 0:
            self._changed.clear()
            await self._changed.wait()
        self._left -= octets


async def _feed(
    writer: asyncio.StreamWriter, identity: str, stdin: AsyncIterator[bytes], credit: _Credit
) -> None:
    # The connection's end shows to the listener, which tells of it.
    with contextlib.suppress(OSError):
        async for piece in stdin:
            for start in range(0, len(piece), protocol.CHUNK):
                chunk = piece[start : start + protocol.CHUNK]
                await credit.take(len(chunk))
                writer.write(protocol.encode(identity, stdin=protocol.text(chunk)))
                await writer.drain()
        writer.write(protocol.encode(identity, stdin=None))
        await writer.drain()


async def _listen(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    identity: str,
    sinks: Mapping[str, Sink],
    credit: _Credit,
) -> int:
    frames = protocol.Frames()
    while data := await _read(reader):
        for frame in frames.feed(data):
            if frame["id"] != identity:
                continue  # meant for an asker that is no longer there
            for name, sink in sinks.items():
                if name in frame:
                    piece = protocol.octets(frame[name])
                    sink(piece)
                    writer.write(protocol.encode(identity, taken=len(piece)))
            if isinstance(frame.get("taken"), int):
                credit.give(frame["taken"])
            if isinstance(frame.get("status"), int):
                return int(frame["status"])
    raise RemoteError("the guest went away while the command ran", where=GUEST)


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(protocol.WINDOW)
    except ConnectionError:
        return b""
