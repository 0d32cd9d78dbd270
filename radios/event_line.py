"""The event stream of a control socket: attached, watched, and attached again after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from radios.channel import Connector
from radios.errors import MpaError, RemoteError
from radios.prompt import PromptChannel, Receiver
from radios.request_line import FIRST_RETRY_S, NoAnswer, open_channel
from radios.subscription import Subscription
from radios.wpa_events import (
    TERMINATING,
    Disconnected,
    Notice,
    Overflow,
    Reconnected,
    is_event,
    parse_event,
)

ATTACH_TRY_S = 0.25
"""An ATTACH unanswered for this long is tried again on a new channel: a daemon on its way out still
has its socket open for a moment, and takes with it what is queued there."""

RawCallback = Callable[[int, bytes], None]
"""Called with the CLOCK_MONOTONIC ns of receipt and the event datagram, envelope included."""


NoticeCallback = Callable[[Notice], None]
"""Called with what befell the stream itself: Disconnected, Reconnected, Overflow."""


class EventLine:
    """Keeps a channel attached to a daemon and hands its events on.

    A daemon's end is noticed by its CTRL-EVENT-TERMINATING, or by a PING that cannot be sent or is
    not answered; PING goes out every `keepalive_s`.
    """

    def __init__(
        self,
        connector: Connector,
        path: str,
        *,
        timeout_s: float,
        reconnect_s: float,
        keepalive_s: float,
        on_gone: Callable[[str], None],
    ) -> None:
        self._connector = connector
        self._path = path
        self._timeout_s = timeout_s
        self._reconnect_s = reconnect_s
        self._keepalive_s = keepalive_s
        self._on_gone = on_gone
        self._subscriptions: set[Subscription] = set()
        self._callbacks: list[RawCallback] = []
        self._notice_callbacks: list[NoticeCallback] = []
        self._channel: PromptChannel | None = None
        self._reply: asyncio.Future[bytes] | None = None
        self._attention = asyncio.Event()
        self._trouble: RemoteError | None = None
        self._overrun = False
        self._failure: MpaError | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def open(self, wait_s: float) -> None:
        """Attach, waiting `wait_s` at most for the daemon, and keep attached from then on."""
        await self._attach(wait_s)
        self._watcher = asyncio.create_task(self._watch())

    def subscribe(self, limit: int) -> Subscription:
        """A new subscription; it sees what is read from now on."""
        subscription = Subscription(self._path, limit, self._subscriptions.discard)
        if self._failure:
            subscription.fail(self._failure)
        self._subscriptions.add(subscription)
        return subscription

    def on_event(self, callback: RawCallback) -> Callable[[], None]:
        """Call back in the very call that reads an event; returns the function that ends it."""
        self._callbacks.append(callback)

        def end() -> None:
            with contextlib.suppress(ValueError):
                self._callbacks.remove(callback)

        return end

    def on_notice(self, callback: NoticeCallback) -> None:
        """Call back when events may have been lost, and when the daemon went and came."""
        self._notice_callbacks.append(callback)

    async def close(self) -> None:
        """Detach and release; subscriptions end. Safe to call twice."""
        if self._watcher:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        if self._channel and self._trouble is None:
            with contextlib.suppress(MpaError):
                self._channel.send_now(b"DETACH")
        await self._release()
        for subscription in tuple(self._subscriptions):
            subscription.close()

    async def _attach(self, wait_s: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            try:
                await self._attach_to(
                    await open_channel(self._connector, self._path, wait_s, deadline)
                )
            except RemoteError:  # it died again, or is still too busy to answer
                if loop.time() >= deadline:
                    raise
                await asyncio.sleep(FIRST_RETRY_S)
            else:
                return

    async def _attach_to(self, channel: PromptChannel) -> None:
        self._trouble = None
        self._attention.clear()
        self._channel = channel
        channel.start(
            Receiver(
                datagram=lambda t_ns, data: self._on_datagram(channel, t_ns, data),
                lost=lambda error: self._on_lost(channel, error),
                overrun=self._on_overrun,
            )
        )
        try:
            await self._command(b"ATTACH", b"OK", timeout_s=ATTACH_TRY_S)
        except BaseException:
            await self._release()
            raise

    async def _watch(self) -> None:
        try:
            while True:
                reason = await self._until_trouble()
                await self._recover(reason)
        except MpaError as error:
            self._failure = error
            for subscription in tuple(self._subscriptions):
                subscription.fail(error)

    async def _until_trouble(self) -> str:
        """Ping until the daemon is gone; returns why it is thought to be."""
        while True:
            try:
                async with asyncio.timeout(self._keepalive_s):
                    await self._attention.wait()
            except TimeoutError:
                pass
            else:
                self._attention.clear()
            try:
                if self._trouble:
                    raise self._trouble
                if self._overrun:
                    self._overrun = False
                    # A daemon that could not deliver may have struck this listener off its list.
                    await self._command(b"DETACH", b"OK", b"FAIL")
                    await self._command(b"ATTACH", b"OK")
                else:
                    await self._command(b"PING", b"PONG")
            except RemoteError as error:
                return error.what

    async def _recover(self, reason: str) -> None:
        gone_ns = time.monotonic_ns()
        await self._release()
        self._tell(Disconnected(gone_ns, reason))
        self._on_gone(reason)
        try:
            await self._attach(self._reconnect_s)
        except RemoteError as error:
            raise RemoteError(
                f"the daemon went away ({reason}) and did not come back: {error.what}",
                where=self._path,
                remedy=error.remedy,
            ) from error
        now_ns = time.monotonic_ns()
        self._tell(Reconnected(now_ns, now_ns - gone_ns))

    async def _command(
        self, datagram: bytes, *accepted: bytes, timeout_s: float | None = None
    ) -> None:
        bound_s = self._timeout_s if timeout_s is None else timeout_s
        if self._channel is None:
            raise RemoteError("the event channel is closed", where=self._path)
        self._reply = asyncio.get_running_loop().create_future()
        word = datagram.decode()
        try:
            self._channel.send_now(datagram)
            async with asyncio.timeout(bound_s):
                reply = await self._reply
        except TimeoutError:
            raise NoAnswer(
                f"no answer to {word!r} within {bound_s:g} s", where=self._path
            ) from None
        finally:
            self._reply = None
        if reply.strip() not in accepted:
            raise RemoteError(f"{word!r} was answered with {reply[:80]!r}", where=self._path)

    async def _release(self) -> None:
        channel, self._channel = self._channel, None
        if channel:
            await channel.close()

    def _on_datagram(self, channel: PromptChannel, t_ns: int, datagram: bytes) -> None:
        if channel is not self._channel:
            return
        if not is_event(datagram):
            if self._reply and not self._reply.done():
                self._reply.set_result(datagram)
            return
        for callback in tuple(self._callbacks):
            try:
                callback(t_ns, datagram)
            except Exception as error:  # a subscriber's fault must not stop the others
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "an on_event callback failed", "exception": error}
                )
        if self._subscriptions:
            self._put(parse_event(datagram, t_ns))
        if TERMINATING.encode() in datagram[:64]:
            self._on_lost(channel, RemoteError("the daemon said that it ends", where=self._path))

    def _on_lost(self, channel: PromptChannel, error: RemoteError) -> None:
        if channel is not self._channel:
            return
        self._trouble = error
        if self._reply and not self._reply.done():
            self._reply.set_exception(error)
        self._attention.set()

    def _on_overrun(self) -> None:
        self._overrun = True
        self._tell(Overflow(time.monotonic_ns(), None))
        self._attention.set()

    def _tell(self, notice: Notice) -> None:
        for callback in self._notice_callbacks:
            callback(notice)
        self._put(notice)

    def _put(self, notice: Notice) -> None:
        for subscription in tuple(self._subscriptions):
            subscription.put(notice)
