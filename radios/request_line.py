"""Commands and their replies on one channel: one at a time, never mispaired, never hanging."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass

from radios.channel import Connector
from radios.errors import MpaError, RemoteError
from radios.prompt import PromptChannel, Receiver, Undelivered, as_prompt
from radios.wpa_events import is_event
from radios.wpa_text import is_failure, redacted

FIRST_RETRY_S = 0.02
"""Pause before asking again for a daemon that is not there; it doubles up to LAST_RETRY_S."""
LAST_RETRY_S = 0.25
MAX_SENDS = 4
"""A command that this many dying daemons refused to take is not sent again."""


class Refused(RemoteError):
    """The daemon understood and said no (`FAIL`, `FAIL-BUSY`, `UNKNOWN COMMAND`)."""

    def __init__(self, command: str, reply: str, where: str) -> None:
        remedy = "see the daemon's log for its reason"
        if reply == "UNKNOWN COMMAND":
            remedy = "this build of the daemon lacks the command"
        elif reply == "FAIL-BUSY":
            remedy = "try again when the operation that is under way (a scan?) has ended"
        super().__init__(f"{command!r} was answered with {reply}", where=where, remedy=remedy)
        self.command = command
        self.reply = reply


class NoAnswer(RemoteError):
    """The daemon took a command and did not answer in time; whether it obeyed is unknown."""


async def open_channel(
    connector: Connector, path: str, wait_s: float, deadline: float | None = None
) -> PromptChannel:
    """Open a channel to a daemon that may be starting just now, waiting `wait_s` at most.

    Args:
        deadline: the loop's time when that wait ends, if it began before this call.

    Raises:
        RemoteError: it was not there within the bound.
        MachineError: no permission; waiting would not help.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + wait_s if deadline is None else deadline
    pause_s = FIRST_RETRY_S
    while True:
        try:
            return as_prompt(await connector(path))
        except RemoteError as error:
            if loop.time() + pause_s > end:
                raise RemoteError(
                    f"{error.what}, and none came within {wait_s:g} s",
                    where=error.where or path,
                    remedy=error.remedy,
                ) from error
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LAST_RETRY_S)


@dataclass(slots=True)
class _Pending:
    datagram: bytes
    timeout_s: float
    reply: asyncio.Future[str]
    sends: int = 0


class RequestLine:
    """The request side of a control socket.

    The channel on which a reply was missed is thrown away, so a late reply can reach nobody.
    """

    def __init__(self, connector: Connector, path: str, *, reconnect_s: float) -> None:
        self._connector = connector
        self._path = path
        self._reconnect_s = reconnect_s
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Pending] = deque()
        self._current: _Pending | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._channel: PromptChannel | None = None
        self._opening: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    async def open(self, wait_s: float) -> None:
        """Open the channel now rather than at the first command; see `open_channel`."""
        if self._channel is None:
            self._adopt(await open_channel(self._connector, self._path, wait_s))

    def submit(self, datagram: bytes, timeout_s: float) -> asyncio.Future[str]:
        """Send a command within this call if the line is open and idle, else in its turn.

        The future yields the reply without its final newline, or raises Refused, NoAnswer, or what
        `open_channel` raises. Cancelling it does not recall a command already sent.
        """
        future: asyncio.Future[str] = self._loop.create_future()
        if self._closed:
            future.set_exception(RemoteError("the control client is closed", where=self._path))
            return future
        self._queue.append(_Pending(datagram, timeout_s, future))
        self._advance()
        return future

    def abandon(self, reason: str) -> None:
        """The daemon is known to be gone: fail the command it held and reopen for the next."""
        if self._current is None:
            self._discard()
        else:
            self._fail_current(
                NoAnswer(
                    f"{redacted(self._current.datagram)!r} was not answered: {reason}",
                    where=self._path,
                    remedy="see why the daemon ended, in its log",
                )
            )

    async def close(self) -> None:
        """Fail what waits and release the channel; safe to call twice."""
        self._closed = True
        closed = RemoteError("the control client was closed", where=self._path)
        if self._opening:
            self._opening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._opening
        waiting = [*([self._current] if self._current else []), *self._queue]
        self._queue.clear()
        self._current = None
        for pending in waiting:
            if not pending.reply.done():
                pending.reply.set_exception(closed)
        self._discard()
        if self._closing:
            await asyncio.wait(self._closing)

    def _advance(self) -> None:
        while self._queue and self._current is None:
            if self._channel is None:
                if self._opening is None and not self._closed:
                    self._opening = asyncio.create_task(self._open())
                return
            pending = self._queue.popleft()
            if pending.reply.done():  # its caller gave up before its turn
                continue
            pending.sends += 1
            self._current = pending
            self._timer = self._loop.call_later(pending.timeout_s, self._timed_out, pending)
            try:
                self._channel.send_now(pending.datagram)
            except RemoteError as error:
                self._on_lost(self._channel, error)

    async def _open(self) -> None:
        try:
            channel = await open_channel(self._connector, self._path, self._reconnect_s)
        except MpaError as error:
            self._opening = None
            while self._queue:
                pending = self._queue.popleft()
                if not pending.reply.done():
                    pending.reply.set_exception(error)
            return
        self._opening = None
        if self._channel is None:
            self._adopt(channel)
        else:
            await channel.close()
        self._advance()

    def _adopt(self, channel: PromptChannel) -> None:
        self._channel = channel
        channel.start(
            Receiver(
                datagram=lambda _t_ns, datagram: self._on_datagram(channel, datagram),
                lost=lambda error: self._on_lost(channel, error),
            )
        )

    def _on_datagram(self, channel: PromptChannel, datagram: bytes) -> None:
        if channel is not self._channel or self._current is None or is_event(datagram):
            return
        pending = self._take_current()
        if not pending.reply.done():
            reply = datagram.decode(errors="backslashreplace").rstrip("\n\0")
            if is_failure(reply):
                pending.reply.set_exception(
                    Refused(redacted(pending.datagram), reply.strip(), self._path)
                )
            else:
                pending.reply.set_result(reply)
        self._advance()

    def _on_lost(self, channel: PromptChannel, error: RemoteError) -> None:
        if channel is not self._channel:
            return
        pending = self._current
        if pending is None:
            self._discard()
        elif isinstance(error, Undelivered) and pending.sends < MAX_SENDS:
            self._take_current()
            self._queue.appendleft(pending)
            self._discard()
            self._advance()
        else:
            self._fail_current(error)

    def _timed_out(self, pending: _Pending) -> None:
        if pending is self._current:
            self._fail_current(
                NoAnswer(
                    f"no answer to {redacted(pending.datagram)!r} within {pending.timeout_s:g} s",
                    where=self._path,
                    remedy="see whether the daemon is stopped, overloaded or gone",
                )
            )

    def _fail_current(self, error: RemoteError) -> None:
        pending = self._take_current()
        self._discard()
        if not pending.reply.done():
            pending.reply.set_exception(error)
        self._advance()

    def _take_current(self) -> _Pending:
        assert self._current is not None
        pending, self._current = self._current, None
        if self._timer:
            self._timer.cancel()
            self._timer = None
        return pending

    def _discard(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._channel:
            task = asyncio.create_task(self._channel.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            self._channel = None
