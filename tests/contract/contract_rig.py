"""What the Host contract needs to know of a kind of host, and how it looks at this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from rigs.host import Host

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Rig:
    """How to make hosts of one kind, and how to see what they leave.

    Attributes:
        create: makes a host of a name.
        leftovers: what is there of the rig's lab, one line each.
        recipe: Python lines that define the same `create` in another process.
    """

    create: Callable[[str], Awaitable[Host]]
    leftovers: Callable[[], list[str]]
    recipe: str


async def eventually(condition: Callable[[], bool]) -> bool:
    """Whether `condition` came true within `PATIENCE_S`; for what nobody reports, like a death."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def alive(pid: int) -> bool:
    """Whether a process of this machine runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def exists(path: str) -> bool:
    """Whether something is at `path` on this machine."""
    return os.path.lexists(path)


@contextlib.asynccontextmanager
async def opened(rig: Rig, name: str = "box") -> AsyncIterator[Host]:
    """A host that is closed at the end and must then have left nothing."""
    host = await rig.create(name)
    try:
        yield host
    finally:
        await host.close()
    assert rig.leftovers() == []
