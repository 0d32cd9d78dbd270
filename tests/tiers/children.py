"""Commands on this machine, their output a line at a time behind the tier's name."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Prefixed:
    """Prints what it is given, in whole lines, each behind a tier's name and its seconds so far."""

    def __init__(self, tier: str) -> None:
        self._tier = tier
        self._started_s = time.monotonic()
        self._rest = b""

    def __call__(self, chunk: bytes) -> None:
        """Take the next octets."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._print(line)

    def say(self, text: str) -> None:
        """Print a line of the runner's own."""
        self._print(text.encode())

    def end(self) -> None:
        """Print what is left without a line's end."""
        if self._rest:
            self._print(self._rest)
        self._rest = b""

    def _print(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        since_s = time.monotonic() - self._started_s
        print(f"{self._tier:5} {since_s:4.0f} s | {text}", flush=True)


async def run(output: Prefixed, *argv: str) -> int:
    """Run a command from the top of the checkout; its exit status.

    Cancelled, it ends the command and everything that it started.
    """
    child = await asyncio.create_subprocess_exec(
        *argv,
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "100"},
        start_new_session=True,
    )
    assert child.stdout is not None
    try:
        while chunk := await child.stdout.read(65536):
            output(chunk)
        return await child.wait()
    finally:
        output.end()
        if child.returncode is None:
            # As Ctrl-C would: pytest and mpa-hil then take down what they have set up.
            await _end(child, signal.SIGINT, 20)
            await _end(child, signal.SIGKILL, 5)


async def _end(child: asyncio.subprocess.Process, number: signal.Signals, wait_s: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(child.wait(), wait_s)


async def collected(*paths: str) -> list[str]:
    """The ids of the tests below some paths."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"),
        *paths,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await child.communicate()
    return [line for line in said.decode().splitlines() if "::" in line]
