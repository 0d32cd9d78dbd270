"""The file in which an agent keeps what must outlive it (an AA its associations, an access router
its sessions): each change a line, made anew when it grows.

A line is the first 16 hexadecimal digits of the SHA-256 of what follows, a space, and a JSON array
of session id, record (null: the session is over), and whose clocks the record's times are of
(`clock.Origin`). The last line for a session counts.

A line is handed to the kernel before anything that follows from it leaves the agent, so killing it
loses nothing; it reaches the disk soon after, in one go with others. The file is its owner's alone
(mode 0600), as it holds keys, and is replaced in one step (rename) when it is made anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from mpa_hil import clock
from mpa_hil.clock import Origin
from mpa_hil.errors import LocalError
from mpa_hil.mobility.interface import Instant

_DIGEST_DIGITS = 16
_COMPACT_AT = 4
"""The file is made anew when it has this many times the lines that it needs ..."""
_COMPACT_FLOOR = 1000
"""... and more than this."""
_SYNC_S = 0.05
"""Changes within this time reach the disk together."""

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Record(Protocol):
    """What is kept of one session."""

    def values(self) -> dict[str, object]:
        """As JSON has it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a journal held."""

    records: tuple[Mapping[str, object], ...]
    damage: str
    """What was wrong with the file, empty when nothing was. A last line that was cut off, as by a
    power failure, is none."""
    origins: tuple[Origin, ...]
    """Of the records, in the same order."""

    def each(self, now: Instant) -> Iterator[tuple[Mapping[str, object], Instant]]:
        """The records, each with the present by the clocks that it was written by."""
        for record, origin in zip(self.records, self.origins, strict=True):
            yield record, origin.read(now)


class Journal:
    """Appends changes; reads them back once, at the start.

    Raises:
        LocalError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: dict[int, bytes] = {}
        """The line that counts, by session."""
        self._written = 0
        self._file = -1
        self._dirty = asyncio.Event()

    def load(self) -> Found:
        """Read the file, then write only what counts of it. A damaged file gives nothing at all,
        and is kept beside for whoever wants to know."""
        try:
            octets = self._path.read_bytes()
        except FileNotFoundError:
            octets = b""
        except OSError as error:
            raise self._fault(error) from error
        lines, damage = _read(octets)
        if damage:
            with contextlib.suppress(OSError):
                os.replace(self._path, self._path.with_suffix(".damaged"))
            lines = {}
        self._lines = lines
        self._compact()
        read = [json.loads(line[_DIGEST_DIGITS + 1 :]) for line in lines.values()]
        records = tuple(record for _, record, *_ in read)
        return Found(records, damage, tuple(Origin(*whose) for _, _, *whose in read))

    def write(self, changes: Iterable[tuple[int, Record | None]]) -> None:
        """Hand changes to the kernel."""
        text = b""
        for session_id, record in changes:
            line = _line(session_id, None if record is None else record.values())
            if record is not None:
                self._lines[session_id] = line
            elif self._lines.pop(session_id, None) is None:
                continue  # neither now nor before
            text += line
            self._written += 1
        if not text:
            return
        try:
            if self._written > max(_COMPACT_FLOOR, _COMPACT_AT * len(self._lines)):
                self._compact()
            else:
                os.write(self._file, text)
        except OSError as error:
            raise self._fault(error) from error
        self._dirty.set()

    async def run(self) -> None:
        """Bring what was written to the disk, now and then, until cancelled."""
        while True:
            await self._dirty.wait()
            await asyncio.sleep(_SYNC_S)
            self._dirty.clear()
            copy = os.dup(self._file)  # compaction may close the other one meanwhile
            try:
                await asyncio.to_thread(os.fdatasync, copy)
            finally:
                os.close(copy)

    def close(self) -> None:
        """Bring everything to the disk."""
        if self._file >= 0:
            os.fdatasync(self._file)
            os.close(self._file)
            self._file = -1

    def _compact(self) -> None:
        """Make the file anew beside the old one, and put it in its place."""
        fresh = self._path.with_suffix(".new")
        try:
            descriptor = os.open(
                fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600
            )
            os.fchmod(descriptor, 0o600)
            text = b"".join(self._lines.values())
            while text:
                text = text[os.write(descriptor, text) :]
            os.fsync(descriptor)
            os.replace(fresh, self._path)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(folder)
            os.close(folder)
        except OSError as error:
            raise self._fault(error) from error
        if self._file >= 0:
            os.close(self._file)
        self._file, self._written = descriptor, len(self._lines)

    def _fault(self, error: OSError) -> LocalError:
        return LocalError(
            f"what must outlive the agent cannot be kept: {error.strerror}", where=str(self._path)
        )


def _line(session_id: int, values: dict[str, object] | None) -> bytes:
    body = _encode([session_id, values, *clock.origin()]).encode()
    return sha256(body).hexdigest()[:_DIGEST_DIGITS].encode() + b" " + body + b"\n"


def _read(octets: bytes) -> tuple[dict[int, bytes], str]:
    """The lines that count, and what is wrong with the file."""
    lines: dict[int, bytes] = {}
    complete, _, _cut_off = octets.rpartition(b"\n")
    for number, line in enumerate(complete.split(b"\n") if complete else (), 1):
        body = line[_DIGEST_DIGITS + 1 :]
        digest = sha256(body).hexdigest()[:_DIGEST_DIGITS].encode()
        if line[: _DIGEST_DIGITS + 1] != digest + b" ":
            return {}, f"line {number} is damaged"
        try:
            session_id, values, _, _ = json.loads(body)
        except (ValueError, TypeError):
            return {}, f"line {number} is not of this version"
        if values is None:
            lines.pop(session_id, None)
        else:
            lines[session_id] = line + b"\n"
    return lines, ""
