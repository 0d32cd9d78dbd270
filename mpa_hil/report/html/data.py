"""What a run's folder holds for its page: the events and packets of the runs that are drawn.

Events are read as plain objects, not as the event log's types: a page can be made of a folder that
another version wrote, and whatever is not understood is passed over.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from mpa_hil.report.summary import Run

EVENTS, PACKETS = "events.jsonl", "packets.csv"
Window = tuple[int, int]
"""From when to when, ns."""
_COLUMNS = 10
_LARGEST_LINE = 1 << 20


@dataclass(frozen=True, slots=True)
class Happening:
    """One event."""

    t_ns: int
    host: str
    agent: str
    type: str
    scheme: str
    repeat: int
    fields: Mapping[str, object]
    """Everything that it says beyond that, and its host and agent again."""

    def text(self, name: str) -> str:
        """A field as text; empty where it is absent."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else "" if value is None else str(value)


class Packet(NamedTuple):
    """One packet, or a further copy of one."""

    seq: int
    sent_ns: int
    received_ns: int | None
    note: str


@dataclass(slots=True)
class Stream:
    """One flow in one direction."""

    flow: str
    direction: str
    packets: list[Packet] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Trace:
    """One handover with all that is drawn of it."""

    scheme: str
    place: int
    """Which run of its scheme it is, from 1."""
    run: Run
    events: Sequence[Happening]
    """Of this run alone, in order of time."""
    streams: Sequence[Stream]
    why: str
    """Why this run, of all those of its scheme."""
    switch: int = 0
    """Which of several switches of the run is drawn, from 0."""


def read_events(path: Path, notes: list[str]) -> list[Happening]:
    """The events of a log in order of time; lines that are none are counted in `notes`."""
    found, bad = [], 0
    decoder = msgspec.json.Decoder(dict[str, object])
    try:
        with path.open("rb") as stream:
            for line in stream:
                if not line.strip():
                    continue
                try:
                    found.append(_happening(decoder.decode(line[:_LARGEST_LINE])))
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
                    bad += 1
    except OSError as error:
        notes.append(f"{path.name} cannot be read ({error.strerror}): there are no ladder diagrams")
    if bad:
        notes.append(f"{path.name}: {bad} lines are no events and were passed over")
    found.sort(key=lambda event: event.t_ns)
    return found


def _happening(read: Mapping[str, object]) -> Happening:
    t_ns, repeat = read.get("t_ns"), read.get("repeat", 0)
    if not isinstance(t_ns, int) or not isinstance(repeat, int):
        raise ValueError
    words = [read.get(name, "") for name in ("host", "agent", "type", "scheme")]
    host, agent, kind, scheme = (word if isinstance(word, str) else "" for word in words)
    return Happening(t_ns, host, agent, kind, scheme, repeat, read)


def handovers(events: Iterable[Happening]) -> Iterator[list[Happening]]:
    """The events of each handover, from its `run.started` to its `run.finished`.

    Runs without a switch and control runs are left out.
    """
    open_: list[Happening] = []
    for event in events:
        if event.type == "run.started":
            if open_:
                yield open_
            handover = event.fields.get("kind", "handover") == "handover"
            open_ = [event] if handover else []
        elif open_ and event.scheme == open_[0].scheme and event.repeat == open_[0].repeat:
            open_.append(event)
            if event.type == "run.finished":
                yield open_
                open_ = []
    if open_:
        yield open_


def read_streams(
    path: Path, runs: Mapping[int, Window | None], notes: list[str]
) -> dict[int, list[Stream]]:
    """The packets of some runs, flow by flow, in order of sending.

    Args:
        runs: by number; what was sent outside a run's window is left out.
    """
    found: dict[int, dict[tuple[str, str], Stream]] = {}
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as stream:
            for row in csv.reader(_of_runs(stream, runs)):
                _take(row, found, runs)
    except (OSError, csv.Error) as error:
        notes.append(f"{path.name} cannot be read ({error}): there are no plots of packets")
    return {run: list(streams.values()) for run, streams in found.items()}


def _of_runs(lines: Iterable[str], runs: Iterable[int]) -> Iterator[str]:
    """The lines of the runs wanted: a file has half a million others, and csv takes its time."""
    wanted = tuple(f"{run}," for run in sorted(runs))
    return (line for line in lines if line.startswith(wanted))


def _take(
    row: Sequence[str],
    found: dict[int, dict[tuple[str, str], Stream]],
    runs: Mapping[int, Window | None],
) -> None:
    if len(row) < _COLUMNS:
        return
    run, _, flow, direction, seq, sent, received, _, note, _ = row[:_COLUMNS]
    try:
        packet = Packet(int(seq), int(sent), int(received) if received else None, note)
        number = int(run)
    except ValueError:
        return
    window = runs.get(number)
    if window is not None and not window[0] <= packet.sent_ns <= window[1]:
        return
    streams = found.setdefault(number, {})
    stream = streams.setdefault((flow, direction), Stream(flow, direction))
    stream.packets.append(packet)
