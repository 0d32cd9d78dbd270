"""Removing devices without waiting for it.

The kernel takes tens of milliseconds to unregister a device: it waits until nobody can be using it
any more, and the process that asked waits too. An agent that serves other nodes cannot. So a thread
asks, with a socket of its own; the wait is not under the lock that other requests need. What is to
go at the same time goes in one request, as a group of devices, and one wait is enough for all.
"""

from __future__ import annotations

import queue
import threading

from mpa_hil.kernel.netlink import ABSENT, NetlinkError, RouteSocket, message, text, u32
from mpa_hil.kernel.objects import LINK_HEAD
from radios.errors import MachineError

GROUP = 0x6D7061
"""Of devices that are about to go ("mpa"); everything else is in group 0."""
_GROUP_ATTRIBUTE = 27
_NEW_LINK, _DEL_LINK = 16, 17
_PATIENCE_S = 30.0


class Retirement:
    """The thread, started when it is first needed, in the namespace that its starter is in."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._going: list[str] = []
        self._thread: threading.Thread | None = None
        self._refusal: MachineError | None = None

    def retire(self, name: str) -> None:
        """Have a device removed; returns at once. One that is not there is fine."""
        with self._changed:
            self._going.append(name)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="retirement", daemon=True)
            self._thread.start()
        self._queue.put(name)

    def wait(self, name: str = "") -> None:
        """Until that device, or every one, is gone.

        Raises:
            MachineError: it did not go, or the kernel refused one.
        """
        with self._changed:
            gone = self._changed.wait_for(lambda: not self._awaited(name), _PATIENCE_S)
            refusal, self._refusal = self._refusal, None
        if not gone:
            raise MachineError(f"it is still there after {_PATIENCE_S:g} s", where=f"link {name}")
        if refusal is not None:
            raise refusal

    def close(self) -> None:
        """Wait for what is going, and end the thread; safe to repeat."""
        try:
            self.wait()
        finally:
            if self._thread is not None:
                self._queue.put(None)
                self._thread.join(_PATIENCE_S)
                self._thread = None

    def _awaited(self, name: str) -> bool:
        return name in self._going if name else bool(self._going)

    def _work(self) -> None:
        with RouteSocket() as route:
            while True:
                found = [self._queue.get()]
                while not self._queue.empty():
                    found.append(self._queue.get())
                names = [name for name in found if name is not None]
                try:
                    _remove(route, names)
                except MachineError as error:
                    self._refusal = self._refusal or error
                with self._changed:
                    for name in names:
                        self._going.remove(name)
                    self._changed.notify_all()
                if None in found:
                    return


def _remove(route: RouteSocket, names: list[str]) -> None:
    """All of them in one request."""
    doomed = 0
    for name in names:
        head = LINK_HEAD.pack(0, 0, 0, 0, 0) + text(3, name) + u32(_GROUP_ATTRIBUTE, GROUP)
        doomed += _unless_gone(route, message(_NEW_LINK, 0, head), f"retire {name}")
    if doomed:
        body = LINK_HEAD.pack(0, 0, 0, 0, 0) + u32(_GROUP_ATTRIBUTE, GROUP)
        _unless_gone(route, message(_DEL_LINK, 0, body), "remove what is retired")


def _unless_gone(route: RouteSocket, order: bytes, what: str) -> bool:
    try:
        route.request(order, what)
    except NetlinkError as error:
        if error.errno not in ABSENT:
            raise
        return False
    return True
