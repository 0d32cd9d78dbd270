"""The event loop of an agent that must start fast and answer at once: poll(2) and one deadline.

asyncio costs an agent in the guest more than a second to import and some tenths of a millisecond
an event; these agents have two or three descriptors and need neither.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Protocol


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


class Loop:
    """Calls back when descriptors are readable; ends on SIGTERM, SIGINT or `stop`."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._running = True
        # Python's handlers run between two bytecodes, so poll(2) would be entered again; the
        # octet that the interpreter writes here ends it.
        self._signal_read, signal_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(signal_write)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._poll.register(self._signal_read, select.POLLIN)
        self._callbacks[self._signal_read] = self._drain_signals

    def watch(self, source: _HasFileno, callback: Callable[[], None]) -> None:
        """Call back whenever `source` is readable or has ended."""
        self._callbacks[source.fileno()] = callback
        self._poll.register(source.fileno(), select.POLLIN)

    def unwatch(self, source: _HasFileno) -> None:
        """Stop watching it."""
        if self._callbacks.pop(source.fileno(), None) is not None:
            self._poll.unregister(source.fileno())

    def stop(self) -> None:
        """Return from `run` after the callback that is running."""
        self._running = False

    def run(self, deadline: Callable[[], int | None], expire: Callable[[], None]) -> None:
        """Serve until stopped.

        Args:
            deadline: CLOCK_MONOTONIC nanoseconds at which to call `expire`, or None.
            expire: called when the deadline has passed (up to a millisecond after it, which is
                what poll(2) resolves).
        """
        while self._running:
            due_ns = deadline()
            wait_ms: int | None = None
            if due_ns is not None:
                left_ns = due_ns - time.monotonic_ns()
                if left_ns <= 0:
                    expire()
                    continue
                wait_ms = -(-left_ns // 1_000_000)
            for descriptor, _ in self._poll.poll(wait_ms):
                callback = self._callbacks.get(descriptor)
                if callback is not None and self._running:
                    callback()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._running = False

    def _drain_signals(self) -> None:
        os.read(self._signal_read, 512)
