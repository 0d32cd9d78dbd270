"""Lets any number of askers share the guest's one command port.

QEMU's socket takes one connection at a time. The switchboard holds it and listens on a socket of
its own: it passes whole frames on, brings each answer to whom its id belongs, and cancels the
commands of an asker that goes away. `rigs.guest.exec_protocol` bounds what waits for a slow one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from . import exec_protocol as protocol

_RETRY_S = 0.1


@contextlib.asynccontextmanager
async def switchboard(port: Path, listen: Path) -> AsyncIterator[None]:
    """While the context lasts, answer at `listen` (mode 0600) for the port's socket at `port`.

    Waits for `port` to come to be: QEMU makes it when it starts.

    Raises:
        OSError: the socket at `listen` cannot be made.
    """
    reader, writer = await _connect(port)
    board = _Board(writer)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(listen)
    old = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(board.attend, str(listen))
    finally:
        os.umask(old)
    carrying = asyncio.create_task(board.carry(reader))
    try:
        yield
    finally:
        server.close()
        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)
        board.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(listen)


async def _connect(port: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            return await asyncio.open_unix_connection(str(port))
        await asyncio.sleep(_RETRY_S)


class _Board:
    """Who asked for what."""

    def __init__(self, port: asyncio.StreamWriter) -> None:
        self._port = port
        self._port.write(b"\n")  # ends half a line that a former holder of the port left
        self._askers: set[asyncio.StreamWriter] = set()
        self._owner: dict[str, asyncio.StreamWriter] = {}

    async def attend(self, reader: asyncio.StreamReader, asker: asyncio.StreamWriter) -> None:
        """One asker, from its coming to its going."""
        self._askers.add(asker)
        frames = protocol.Frames()
        try:
            while data := await reader.read(protocol.WINDOW):
                for frame in frames.feed(data):
                    await self._pass_on(frame, asker)
        except ConnectionError:
            pass  # it went away, as it may
        finally:
            for identity in [i for i, owner in self._owner.items() if owner is asker]:
                del self._owner[identity]
                self._port.write(protocol.encode(identity, cancel=True))
            self._askers.discard(asker)
            asker.close()

    async def _pass_on(self, frame: protocol.Frame, asker: asyncio.StreamWriter) -> None:
        identity = frame.pop("id")
        if "argv" in frame:
            self._owner.setdefault(identity, asker)
        if self._owner.get(identity) is asker:
            self._port.write(protocol.encode(identity, **frame))
            await self._port.drain()

    async def carry(self, reader: asyncio.StreamReader) -> None:
        """Bring answers to their askers until the port closes; then let all askers go."""
        frames = protocol.Frames()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(protocol.WINDOW):
                for frame in frames.feed(data):
                    identity = frame.pop("id")
                    asker = self._owner.get(identity)
                    if "status" in frame:
                        self._owner.pop(identity, None)
                    if asker is not None:
                        asker.write(protocol.encode(identity, **frame))
        self.close()

    def close(self) -> None:
        """Let all askers and the port go."""
        for asker in self._askers:
            asker.close()
        self._port.close()
