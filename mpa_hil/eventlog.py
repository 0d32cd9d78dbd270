"""Event lines read, checked, kept in order of time, and written."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from operator import attrgetter
from pathlib import Path

import msgspec

from radios.errors import LocalError, RemoteError

from .events import AnyEvent, Event

LINE_LIMIT = 1 << 20
"""Octets in one line: an agent that writes more is broken, and must not fill the memory."""

_time = attrgetter("t_ns")
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_encoder = msgspec.json.Encoder()


def decode(line: bytes, *, where: str = "") -> AnyEvent:
    """One line of an agent's output as an event.

    Args:
        line: the line, with or without its newline.
        where: who wrote it, for the error.

    Raises:
        RemoteError: it is not JSON, has an unknown type, or lacks or adds a field.
    """
    if len(line) > LINE_LIMIT:
        raise RemoteError(
            f"an event line of {len(line)} octets", where=where, remedy="one event a line"
        )
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        shown = line[:120].decode("utf-8", "replace").strip()
        raise RemoteError(
            f"not an event: {error}: {shown}",
            where=where,
            remedy="docs/events.md lists the types and their fields",
        ) from error


def encode(event: Event) -> bytes:
    """One line, newline included; fields at their defaults are left out."""
    return _encoder.encode(event) + b"\n"


def read(path: Path) -> Iterator[AnyEvent]:
    """The events of a log, in the file's order; blank lines are skipped.

    Raises:
        LocalError: the file cannot be read, or a line is no event (file and line are named).
    """
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield _line(line, f"{path}, line {number}")
    except OSError as error:
        raise LocalError(
            f"cannot read the event log: {error.strerror}",
            where=str(path),
            remedy="give the events.jsonl of a run's folder",
        ) from error


def _line(line: bytes, where: str) -> AnyEvent:
    try:
        return decode(line)
    except RemoteError as error:
        raise LocalError(error.what, where=where, remedy=error.remedy) from error


def merge(*streams: Iterable[AnyEvent]) -> Iterator[AnyEvent]:
    """Streams that are each in order of time, as one; ties in the order of the arguments."""
    return heapq.merge(*streams, key=_time)


class EventLog:
    """The events of a run, kept in memory: under a virtual clock no file may be touched."""

    def __init__(self) -> None:
        self._events: list[AnyEvent] = []
        self._sorted = True

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[AnyEvent]:
        """All events in order of time; those of one instant in the order of their coming."""
        if not self._sorted:
            self._events.sort(key=_time)
            self._sorted = True
        return iter(tuple(self._events))

    def append(self, event: AnyEvent) -> None:
        """Add one event; it may be older than those already there."""
        if self._events and event.t_ns < self._events[-1].t_ns:
            self._sorted = False
        self._events.append(event)

    def extend(self, events: Iterable[AnyEvent]) -> None:
        """Add several events."""
        for event in events:
            self.append(event)

    def write(self, path: Path) -> None:
        """Write them all, in order of time."""
        path.write_bytes(b"".join(map(encode, self)))
