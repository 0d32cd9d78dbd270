"""The near side of `radios.relay`: datagram channels over one byte stream to a far host."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

from radios import relay
from radios.errors import MpaError, RemoteError
from radios.local_channel import socket_error
from radios.prompt import Receiver

READY_S = 20.0
"""Bound for the far Python to start: 0.05 s on a server, some seconds on a small access point."""
OPEN_S = 5.0
"""Bound for the far side to open one socket, mostly the round trip."""

_LOADER = (
    "import os,sys\n"
    "left=int(sys.argv.pop(1));text=b''\n"
    "while left>len(text):\n"
    " more=os.read(0,left-len(text))\n"
    " if not more: sys.exit(1)\n"
    " text+=more\n"
    "exec(compile(text,'relay.py','exec'))\n"
)
"""Reads exactly the script from standard input, unbuffered, so that the frames stay in the pipe."""


def far_command(python: str = "python3") -> tuple[tuple[str, ...], bytes]:
    """How to start the relay on a host that has Python 3.8 or newer and nothing of ours.

    Returns:
        the argument vector, and what to write to its standard input before any frame.
    """
    script = Path(relay.__file__).read_bytes()
    return (python, "-c", _LOADER, str(len(script))), script


class RelayClient:
    """All channels over one relay process. `connect` is a `radios.channel.Connector`.

    Args:
        write: queues octets for the relay's standard input, at once and without waiting.
        read: awaits octets of its standard output; empty at the end.
        where: the host, for errors.
    """

    def __init__(
        self, write: Callable[[bytes], None], read: Callable[[], Awaitable[bytes]], where: str
    ) -> None:
        self.where = where
        self._write = write
        self._read = read
        self._frames = relay.FrameReader()
        self._channels: dict[int, RelayChannel] = {}
        self._numbers = 0
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended: RemoteError | None = None
        self._pump = asyncio.create_task(self._receive())

    async def connect(self, path: str) -> RelayChannel:
        """Open a channel to a socket path on the far host.

        Raises:
            MachineError: no permission there.
            RemoteError: nobody listens there, or the relay is gone.
        """
        await self._bounded(asyncio.shield(self._ready), READY_S, "start")
        if self._ended:
            raise self._ended
        self._numbers += 1
        channel = RelayChannel(self, self._numbers, path)
        self._channels[channel.number] = channel
        try:
            self.write_frame(channel.number, b"O", os.fsencode(path))
            await self._bounded(channel.opened, OPEN_S, f"open {path}")
        except BaseException:
            await channel.close()
            raise
        return channel

    async def close(self) -> None:
        """End every channel; the process ends when its standard input is closed by its owner."""
        self._pump.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._pump
        self._end("the relay was closed")

    def write_frame(self, channel: int, kind: bytes, payload: bytes = b"") -> None:
        """Send one frame; RemoteError once the relay is gone."""
        if self._ended:
            raise self._ended
        try:
            self._write(relay.frame(channel, kind, payload))
        except OSError as error:
            self._end(f"the relay's pipe failed: {error}")
            raise RemoteError(f"the relay's pipe failed: {error}", where=self.where) from error

    def forget(self, channel: int) -> None:
        """Strike a closed channel off, telling the far side."""
        if self._channels.pop(channel, None) and self._ended is None:
            with contextlib.suppress(RemoteError):  # gone together with the socket, then
                self.write_frame(channel, b"C")

    async def _bounded(self, future: asyncio.Future[None], bound_s: float, what: str) -> None:
        try:
            async with asyncio.timeout(bound_s):
                await future
        except TimeoutError:
            raise RemoteError(
                f"the relay did not {what} within {bound_s:g} s", where=self.where
            ) from None

    async def _receive(self) -> None:
        try:
            while data := await self._read():
                for number, kind, payload in self._frames.feed(data):
                    self._dispatch(number, kind, payload)
            self._end("the relay ended")
        except (OSError, ValueError) as error:
            self._end(f"the relay's stream broke: {error}")

    def _dispatch(self, number: int, kind: bytes, payload: bytes) -> None:
        if kind == b"R":
            if payload[:1] != bytes([relay.VERSION]):
                raise ValueError("the far relay speaks another version")
            if not self._ready.done():
                self._ready.set_result(None)
        elif channel := self._channels.get(number):
            if kind == b"E":
                self._channels.pop(number)
            channel.take(kind, payload)

    def _end(self, reason: str) -> None:
        if self._ended is None:
            self._ended = RemoteError(
                reason, where=self.where, remedy="see the connection to the host, and its Python"
            )
        if not self._ready.done():
            self._ready.set_result(None)
        channels = tuple(self._channels.values())
        self._channels.clear()
        for channel in channels:
            channel.fail(self._ended)


class RelayChannel:
    """One far socket; both a `DatagramChannel` and a `PromptChannel`."""

    def __init__(self, client: RelayClient, number: int, path: str) -> None:
        self.number = number
        self.path = path
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._client = client
        self._incoming: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._receiver: Receiver | None = None
        self._lost: MpaError | None = None

    async def send(self, datagram: bytes) -> None:
        """Send one datagram. That nobody listens is known a round trip later, from `receive`."""
        self.send_now(datagram)

    def send_now(self, datagram: bytes) -> None:
        """Hand one datagram to the stream within this call."""
        if self._lost:
            raise self._lost
        self._client.write_frame(self.number, b"D", datagram)

    async def receive(self) -> bytes:
        """The next datagram; raises RemoteError once the far end is gone."""
        while not self._incoming:
            if self._lost:
                raise self._lost
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._incoming.popleft()

    def start(self, receiver: Receiver) -> None:
        """Deliver to `receiver` from now on, in place of `receive`."""
        self._receiver = receiver
        while self._incoming:
            receiver.datagram(time.monotonic_ns(), self._incoming.popleft())

    async def close(self) -> None:
        """Close the far socket and remove its file; safe to call twice."""
        self._client.forget(self.number)
        self._receiver = None
        self.fail(RemoteError("the channel is closed", where=self._where))

    def take(self, kind: bytes, payload: bytes) -> None:
        """A frame from the far side (called by the client)."""
        if kind == b"D":
            if self._receiver:
                self._receiver.datagram(time.monotonic_ns(), payload)
            else:
                self._incoming.append(payload)
                self._wake()
        elif kind == b"K" and not self.opened.done():
            self.opened.set_result(None)
        elif kind == b"V" and self._receiver:
            self._receiver.overrun()
        elif kind == b"E" and len(payload) >= relay.FAILURE.size:
            (number,) = relay.FAILURE.unpack_from(payload)
            text = payload[relay.FAILURE.size :].decode(errors="replace")
            self.fail(socket_error(OSError(number, text), self._where))

    def fail(self, error: MpaError) -> None:
        """The far end is gone (called by the client)."""
        if self._lost:
            return
        self._lost = error
        if not self.opened.done():
            self.opened.set_exception(error)
            self.opened.exception()  # whoever opened may have given up already
        elif self._receiver and isinstance(error, RemoteError):
            self._receiver.lost(error)
        self._wake()

    @property
    def _where(self) -> str:
        return f"{self._client.where}:{self.path}"

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)
