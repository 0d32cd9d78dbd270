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

HOSTILE_ARGUMENTS = (
    "",
    " ",
    "-n",
    "--",
    "a b",
    "new\nline",
    "tab\t",
    "$(touch /tmp/owned)",
    "`id`",
    "; reboot",
    "| cat",
    "&& true",
    "'single'",
    '"double"',
    "back\\slash",
    "*",
    "~",
    "!!",
    "$HOME",
    "\u00fcml\u00e4ut \u4e2d",
    "\udcff\udc80",  # octets that are no UTF-8
    "x" * 60_000,
)

ECHO_SERVER = """
import os, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(sys.argv[1])
print("bound", flush=True)
while True:
    datagram, peer = server.recvfrom(65536)
    server.sendto(datagram[::-1], peer)
"""

CONTROLLER = """
import asyncio, sys
{recipe}
async def main():
    host = await create("victim")
    plain = await host.spawn("sleep", "1000", name="plain")
    await host.spawn("sh", "-c", "setsid -f sleep 1001; exec sleep 1002", name="escaping")
    await host.put("some/file", b"secret")
    running = asyncio.ensure_future(host.run("sleep", "1003", timeout_s=1000))
    print(host.workdir, plain.pid, flush=True)
    await running
asyncio.run(main())
"""


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
