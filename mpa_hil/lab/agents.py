"""Agents as the controller sees them: processes on boxes that take commands and tell events."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from radios.errors import RemoteError
from rigs.host import Host
from rigs.services.service import Service, launch_as

_PROJECT = str(Path(__file__).resolve().parents[2])
Event = dict[str, Any]


class Agent(Service):
    """A running agent; make it with `start`."""

    async def command(self, cmd: str, **fields: object) -> None:
        """Send one command line."""
        line = json.dumps({"cmd": cmd, **fields}) + "\n"
        await self.daemon.write(line.encode())

    async def event(
        self,
        kind: str,
        timeout_s: float,
        *,
        since: int,
        matches: Callable[[Event], bool] = lambda event: True,
    ) -> Event:
        """The first event of a kind at or after a place in its output.

        Args:
            since: `count`, taken before the command that brings the event about.

        Raises:
            RemoteError: the agent failed or ended first, or `timeout_s` passed.
        """
        mark = f'"type":"{kind}"'

        def wanted(line: str) -> bool:
            if '"type":"agent.failed"' in line or '"type":"agent.refused"' in line:
                return True
            return mark in line and matches(json.loads(line))

        line = await self.expect(wanted, what=kind, timeout_s=timeout_s, since=since)
        found: Event = json.loads(line)
        if found["type"] != kind:
            reason = found.get("error") or found.get("reason", "")
            place = found.get("where") or self.where
            raise RemoteError(str(reason), where=str(place), remedy=str(found.get("remedy", "")))
        return found


async def start(
    host: Host, name: str, config: Mapping[str, Any], *, ready: str, tag: str = ""
) -> Agent:
    """Start `mpa_hil.agents.NAME` on a host; returns when it has told its `ready` event.

    Raises:
        RemoteError: it ended before that; carries its last words.
    """
    path = f"{name}{tag}.json"
    await host.put(path, json.dumps(config).encode())
    return await _launch(host, name, path, ready)


async def start_again(agent: Agent, *, ready: str) -> Agent:
    """Start an agent that has ended once more, as it was configured.

    Raises:
        RemoteError: it ended before it told its `ready` event; carries its last words.
    """
    return await _launch(agent.host, agent.name, f"{agent.name}.json", ready)


async def _launch(host: Host, name: str, path: str, ready: str) -> Agent:
    return await launch_as(
        Agent,
        host,
        *(sys.executable, "-m", f"mpa_hil.agents.{name}", f"{host.workdir}/{path}"),
        name=name,
        ready=lambda line: f'"type":"{ready}"' in line,
        ready_text=ready,
        env=environment(),
        stdin=True,
    )


def environment() -> dict[str, str]:
    """What a process of ours needs to find its modules, wherever it is started."""
    found: Sequence[str] = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    rest = [folder for folder in found if folder and folder != _PROJECT]
    return {"PYTHONPATH": os.pathsep.join([_PROJECT, *rest])}
