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

from mpa_hil.report.grids import median_run
from mpa_hil.report.summary import Run, Scheme, Summary

EVENTS, PACKETS = "events.jsonl", "packets.csv"
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


def choose(scheme: Scheme) -> tuple[int, Run, str] | None:
    """The run that is drawn: its place from 1, and why it. None for a scheme without runs."""
    middle = median_run(scheme)
    good = [(place, run) for place, run in enumerate(scheme.runs, 1) if run.ok]
    if middle is not None:
        others = "its only run" if len(good) == 1 else f"the median of {len(good)} by total time"
        return (*middle, others)
    if good:
        return (*good[0], "the first that went well; none tells of its phases")
    if scheme.runs:
        return len(scheme.runs), scheme.runs[-1], "none went well; this is the last"
    return None


def traces(folder: Path, summary: Summary, notes: list[str]) -> list[Trace]:
    """The run that is drawn of each scheme; what could not be read is said in `notes`."""
    chosen = {name: pick for name, s in summary.schemes.items() if (pick := choose(s)) is not None}
    events = read_events(folder / EVENTS, notes)
    segments = list(handovers(events))
    streams = read_streams(folder / PACKETS, {run.number for _, run, _ in chosen.values()}, notes)
    found = []
    for name, (place, run, why) in chosen.items():
        own = streams.get(run.number, [])
        segment = _segment(segments, name, place, own)
        found.append(Trace(name, place, run, segment, own, why, worst_switch(run)))
    return found


def worst_switch(run: Run) -> int:
    """Which of several switches had the longest blackout, from 0; the first of equals."""
    longest = [max(switch.gap_ms.values(), default=0.0) for switch in run.switches]
    return longest.index(max(longest)) if longest else 0


def _segment(
    segments: Sequence[Sequence[Happening]], scheme: str, place: int, streams: Sequence[Stream]
) -> Sequence[Happening]:
    """The events of a run: those in whose time its packets were sent, or else by its place."""
    own = [segment for segment in segments if segment[0].scheme == scheme]
    first_ns = min((s.packets[0].sent_ns for s in streams if s.packets), default=None)
    if first_ns is not None:
        for segment in own:
            if segment[0].t_ns <= first_ns <= segment[-1].t_ns:
                return segment
    return next((segment for segment in own if segment[0].repeat == place - 1), [])


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


def read_streams(path: Path, runs: set[int], notes: list[str]) -> dict[int, list[Stream]]:
    """The packets of some runs, flow by flow, in order of sending."""
    found: dict[int, dict[tuple[str, str], Stream]] = {}
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as stream:
            for row in csv.reader(_of_runs(stream, runs)):
                _take(row, found)
    except (OSError, csv.Error) as error:
        notes.append(f"{path.name} cannot be read ({error}): there are no plots of packets")
    return {run: list(streams.values()) for run, streams in found.items()}


def _of_runs(lines: Iterable[str], runs: set[int]) -> Iterator[str]:
    """The lines of the runs wanted: a file has half a million others, and csv takes its time."""
    wanted = tuple(f"{run}," for run in sorted(runs))
    return (line for line in lines if line.startswith(wanted))


def _take(row: Sequence[str], found: dict[int, dict[tuple[str, str], Stream]]) -> None:
    if len(row) < _COLUMNS:
        return
    run, _, flow, direction, seq, sent, received, _, note, _ = row[:_COLUMNS]
    try:
        packet = Packet(int(seq), int(sent), int(received) if received else None, note)
        streams = found.setdefault(int(run), {})
    except ValueError:
        return
    stream = streams.setdefault((flow, direction), Stream(flow, direction))
    stream.packets.append(packet)
