"""Which run of each scheme is drawn, and everything there is of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mpa_hil.report.grids import median_run
from mpa_hil.report.html.data import (
    EVENTS,
    PACKETS,
    Happening,
    Stream,
    Trace,
    handovers,
    read_events,
    read_streams,
)
from mpa_hil.report.html.holes import triggers
from mpa_hil.report.summary import Run, Scheme, Summary

AROUND_NS = 10_000_000_000
"""Of a run with several switches, packets sent so long before and after the one that is drawn."""


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
    wanted = {run.number: _window(segments, name, run) for name, (_, run, _) in chosen.items()}
    streams = read_streams(folder / PACKETS, wanted, notes)
    found = []
    for name, (place, run, why) in chosen.items():
        own = streams.get(run.number, [])
        segment = _segment(segments, name, place, own)
        found.append(Trace(name, place, run, segment, own, why, worst_switch(run)))
    return found


def _window(
    segments: Sequence[Sequence[Happening]], scheme: str, run: Run
) -> tuple[int, int] | None:
    """When the packets that are drawn were sent; None: all are wanted.

    A run of a thousand switches has millions of others.
    """
    number = worst_switch(run)
    begins = [
        found[number]
        for segment in segments
        if segment[0].scheme == scheme and number < len(found := triggers(segment))
    ]
    if not run.switches or not begins:
        return None
    lasted_ns = round((run.switches[number].total_ms or 0.0) * 1e6)
    return min(begins) - AROUND_NS, max(begins) + lasted_ns + AROUND_NS


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
