"""Runs one of our modules in the guest, with a request file, and brings out what it leaves."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from radios.errors import RemoteError

from .rig_choice import Choice

REQUEST_FILE = "request.json"
Say = Callable[[str], None]


def run(
    module: str,
    request: bytes,
    choice: Choice,
    out: Path,
    say: Say,
    *,
    seed: int,
    pem: Mapping[str, bytes],
    done: Callable[[], bool],
) -> None:
    """Boot a guest, run `module` there, end the guest.

    Args:
        module: called with the name of a file that holds `request`.
        out: what it leaves in the guest's output folder comes here.
        seed: of the guest's random numbers.
        pem: certificates that must be valid in the guest, or nothing.
        done: whether a status that is not 0 has been explained by what lies in `out`.

    Raises:
        MachineError: the guest cannot be had.
        RemoteError: the module failed without a word.
    """
    from rigs.guest import image, machine
    from rigs.guest.payload import Job

    assert choice.accelerator is not None
    job = Job(["python3", "-m", module, REQUEST_FILE], files={REQUEST_FILE: request})
    settings = machine.Settings(choice.accelerator, choice.clock, seed=seed, epoch=epoch(pem))
    lines = _Lines(say)
    outcome = asyncio.run(machine.run(image.ensure(say), job, settings, out, lines.feed))
    if outcome.status and not done():
        raise RemoteError(
            f"{module} ended with status {outcome.status}{lines.last()}",
            where="guest",
            remedy="this is a defect of mpa-hil, please report it",
        )


def epoch(pem: Mapping[str, bytes]) -> str:
    """Where a virtual calendar starts: within the validity of the user's certificates, if any."""
    from rigs.guest.machine import VIRTUAL_EPOCH

    if not pem:
        return VIRTUAL_EPOCH
    from cryptography import x509

    starts = [
        x509.load_pem_x509_certificate(pem[key]).not_valid_before_utc
        for key in pem
        if not key.endswith(".key")
    ]
    return max(*starts).strftime("%Y-%m-%dT%H:%M:%S")


def progress() -> Say:
    """Lines on standard error, with the seconds since the beginning."""
    start_s = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - start_s:5.0f} s] {text}", file=sys.stderr, flush=True)

    return say


class _Lines:
    """What the module prints, line by line."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._rest = b""
        self._kept: list[str] = []

    def feed(self, chunk: bytes) -> None:
        """Take the next octets."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            if text:
                self._kept = [*self._kept[-19:], text]
                self._say(text)

    def last(self) -> str:
        """The last lines, indented below an error's text."""
        return "".join(f"\n    | {line}" for line in self._kept)
