"""Waits for what has no event of its own: that an interface's queue works after an association."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from radios.errors import MpaError

_LOOK_S = 0.001
"""Between two looks: who looks without a pause keeps the kernel's work queue from its turn."""
_LOOKS = 50


class QueueWatch:
    """One wait; what is to be done once the queue works may be told before or after that.

    Args:
        works: whether it does; MpaError: nobody can tell, and so it is taken to.
    """

    def __init__(self, works: Callable[[], bool]) -> None:
        self._works = works
        self._loop = asyncio.get_running_loop()
        self._pending: asyncio.Handle | None = None
        self._left = _LOOKS
        self._act: Callable[[], None] | None = None

    def start(self) -> None:
        """Look, as soon as there is nothing else to do, and again until it works."""
        self.cancel()
        self._left = _LOOKS
        self._pending = self._loop.call_soon(self._look)

    def then(self, act: Callable[[], None]) -> None:
        """Do this once it works; at once if it is known to, or was never looked at."""
        if self._pending is None:
            act()
        else:
            self._act = act

    def cancel(self) -> None:
        """Look no more, and do nothing."""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        self._act = None

    @property
    def waiting(self) -> bool:
        """Something is still to be done."""
        return self._act is not None

    def _look(self) -> None:
        self._left -= 1
        if self._left > 0 and not self._seen():
            self._pending = self._loop.call_later(_LOOK_S, self._look)
            return
        self._pending = None
        act, self._act = self._act, None
        if act is not None:
            act()

    def _seen(self) -> bool:
        try:
            return self._works()
        except MpaError:
            return True
