"""How the servers of a lab were started, for starting those again that were killed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rigs.services.service import Service

Start = Callable[[], Awaitable[Service]]


class Starts:
    """By box and name, what starts each server as it is configured."""

    def __init__(self) -> None:
        self._starts: dict[str, Start] = {}

    async def first(self, start: Start) -> Service:
        """Start one; raises what `start` does."""
        service = await start()
        self._starts[service.where] = start
        return service

    async def again(self, dead: Service) -> Service | None:
        """Start one again; None: it was not started here. Raises what its `start` did."""
        start = self._starts.get(dead.where)
        return None if start is None else await start()
