"""A bounded queue of a daemon's events for one listener; what it loses, it says."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from radios.errors import MpaError, RemoteError
from radios.wpa_events import Event, Notice, Overflow


class Subscription:
    """An async iterator over events; a context manager that ends itself.

    When `limit` events wait unread, newer ones are dropped, and an `Overflow` takes their place.
    Iteration ends when the client is closed; it raises RemoteError when the daemon stays away.
    """

    def __init__(self, where: str, limit: int, on_close: Callable[[Subscription], None]) -> None:
        self._where = where
        self._limit = limit
        self._on_close = on_close
        self._queue: deque[Notice] = deque()
        self._dropped = 0
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self._failure: MpaError | None = None

    def put(self, notice: Notice) -> None:
        """Queue a notice (called by the event line). News of the connection is never dropped."""
        if isinstance(notice, Event) and len(self._queue) >= self._limit:
            self._dropped += 1
            return
        self._note_loss()
        self._queue.append(notice)
        self._wake()

    def fail(self, error: MpaError) -> None:
        """End the iteration with an error, after what is queued."""
        self._failure = error
        self._wake()

    def close(self) -> None:
        """End the iteration after what is queued; safe to call twice."""
        self._closed = True
        self._on_close(self)
        self._wake()

    async def next(self) -> Notice:
        """The next notice.

        Raises:
            StopAsyncIteration: the subscription or its client was closed.
            MpaError: the daemon went away and stayed away.
        """
        while True:
            if not self._queue:
                self._note_loss()
            if self._queue:
                return self._queue.popleft()
            if self._failure:
                raise self._failure
            if self._closed:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    async def wait_for(self, predicate: Callable[[Event], bool], timeout_s: float) -> Event:
        """The first event from here on that satisfies the predicate; earlier ones are consumed.

        Raises:
            RemoteError: none came within `timeout_s`, or the daemon stayed away.
        """
        seen: deque[str] = deque(maxlen=5)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    notice = await self.next()
                    if not isinstance(notice, Event):
                        seen.append(type(notice).__name__)
                    elif predicate(notice):
                        return notice
                    else:
                        seen.append(notice.name)
        except TimeoutError:
            last = ", ".join(seen) or "none"
            raise RemoteError(
                f"the awaited event did not come within {timeout_s:g} s (last events: {last})",
                where=self._where,
            ) from None
        except StopAsyncIteration:
            raise RemoteError("the control client was closed", where=self._where) from None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Notice:
        return await self.next()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _note_loss(self) -> None:
        if self._dropped:
            self._queue.append(Overflow(time.monotonic_ns(), self._dropped))
            self._dropped = 0

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)
