"""A datagram channel that hands each datagram over in the very call that reads it.

`radios.channel.DatagramChannel.receive` costs an event-loop round per datagram, about 1 ms under
the guest's virtual clock. A channel that can also call back at once is a `PromptChannel`; any other
is made into one by `as_prompt`, at the price of that round.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from radios.channel import DatagramChannel
from radios.errors import MpaError, RemoteError


class Undelivered(RemoteError):
    """A datagram that surely never reached the far end, so that sending it again is safe."""


def ignore() -> None:
    """Nothing to do."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """What a prompt channel calls, from the event loop's thread.

    Attributes:
        datagram: each datagram with the CLOCK_MONOTONIC ns at which it was read.
        lost: once, when the far end is gone; nothing follows.
        overrun: the kernel's queue was found full, so the daemon may have dropped datagrams.
    """

    datagram: Callable[[int, bytes], None]
    lost: Callable[[RemoteError], None]
    overrun: Callable[[], None] = ignore


@runtime_checkable
class PromptChannel(Protocol):
    """A datagram channel with a synchronous side."""

    def start(self, receiver: Receiver) -> None:
        """Deliver to `receiver` from now on, in place of `receive`; what is queued comes first."""

    def send_now(self, datagram: bytes) -> None:
        """Send within this call, or queue if the far end's queue is full just now.

        Raises:
            Undelivered: nobody listens there.
            RemoteError: the channel was lost before.
        """

    async def close(self) -> None:
        """Release the socket and its file; safe to call twice."""


def as_prompt(channel: DatagramChannel) -> PromptChannel:
    """The channel itself if it is prompt, else an adapter around it."""
    return channel if isinstance(channel, PromptChannel) else _Adapter(channel)


class _Adapter:
    """A `PromptChannel` over one that only knows `send` and `receive`."""

    def __init__(self, channel: DatagramChannel) -> None:
        self._channel = channel
        self._receiver: Receiver | None = None
        self._reader: asyncio.Task[None] | None = None
        self._senders: set[asyncio.Task[None]] = set()

    def start(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._reader = asyncio.create_task(self._read(receiver))

    def send_now(self, datagram: bytes) -> None:
        task = asyncio.create_task(self._send(datagram))
        self._senders.add(task)
        task.add_done_callback(self._senders.discard)

    async def close(self) -> None:
        tasks = [*self._senders, *([self._reader] if self._reader else [])]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._channel.close()

    async def _read(self, receiver: Receiver) -> None:
        while True:
            try:
                datagram = await self._channel.receive()
            except MpaError as error:
                receiver.lost(_remote(error))
                return
            receiver.datagram(time.monotonic_ns(), datagram)

    async def _send(self, datagram: bytes) -> None:
        try:
            await self._channel.send(datagram)
        except MpaError as error:
            if self._receiver:
                self._receiver.lost(_remote(error))


def _remote(error: MpaError) -> RemoteError:
    if isinstance(error, RemoteError):
        return error
    return RemoteError(error.what, where=error.where, remedy=error.remedy)
