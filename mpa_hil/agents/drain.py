"""Waiting until what the node has sent has left it: the link is cut only then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_BOUND_S = 0.01
"""A queue that does not move is not waited for any longer."""
_AGAIN_S = 0.0003


class Drain:
    """Lives on the running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def then(self, leaving: Callable[[], bool], act: Callable[[], None]) -> None:
        """Do something once nothing is `leaving` any more, at once where nothing is."""
        self._look(leaving, act, self._loop.time() + _BOUND_S)

    def cancel(self) -> None:
        """Do it no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, leaving: Callable[[], bool], act: Callable[[], None], until_s: float) -> None:
        self.cancel()
        if leaving() and self._loop.time() < until_s:
            self._timer = self._loop.call_later(_AGAIN_S, self._look, leaving, act, until_s)
        else:
            act()
