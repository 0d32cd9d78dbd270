"""The frame of the agents that serve several connections at once: asyncio, until told to end."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping

from mpa_hil.agents.config import Fields
from mpa_hil.agents.stdio import Console, Json
from mpa_hil.errors import MpaError

Verb = Callable[[Fields], Awaitable[None]]


class Commands:
    """Commands that are carried out one after the other, as they come.

    Args:
        who: the agent, in the refusal of a command that it does not have.
    """

    def __init__(self, console: Console, who: str) -> None:
        self._console = console
        self._who = who
        self._waiting: asyncio.Queue[Json] = asyncio.Queue()

    def put(self, command: Json) -> None:
        """Take a command."""
        self._waiting.put_nowait(command)

    async def obey(self, verbs: Mapping[str, Verb]) -> None:
        """Carry commands out, until cancelled; one that fails is told and does not end this."""
        while True:
            command = await self._waiting.get()
            verb = verbs.get(str(command.get("cmd")))
            if verb is None:
                self._console.refuse(command, f"{self._who} has no such command")
                continue
            fields = {key: value for key, value in command.items() if key != "cmd"}
            try:
                await verb(Fields(fields, "command"))
            except MpaError as error:
                self._console.emit(
                    "agent.failed", error=error.what, where=error.where, remedy=error.remedy
                )


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
