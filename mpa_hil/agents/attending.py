"""The frame of the agents that serve several connections at once: asyncio, until told to end."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine

from mpa_hil.agents.stdio import Console, Json


async def attend(
    console: Console,
    on_command: Callable[[Json], None],
    *services: Coroutine[None, None, None],
    farewell: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Run services until SIGTERM, SIGINT or the end of standard input.

    Args:
        on_command: called with each command that comes in.
        farewell: what to do at the end, while the services still run.

    Raises:
        Exception: the first that a service raised; the others are cancelled.
    """
    loop = asyncio.get_running_loop()
    end = asyncio.Event()

    def readable() -> None:
        for command in console.commands():
            on_command(command)
        if console.closed:
            loop.remove_reader(sys.stdin.fileno())
            end.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    loop.add_reader(sys.stdin.fileno(), readable)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(service) for service in services]
            await end.wait()
            if farewell is not None:
                await farewell()
            for task in tasks:
                task.cancel()
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        loop.remove_reader(sys.stdin.fileno())
