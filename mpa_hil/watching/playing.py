"""Brings facts to a view: out of a run's folder, a trace, a log that grows, or a live radio."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import heapq
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.policy import lines, loading, settings, trace
from mpa_hil.policy.engine import Engine
from mpa_hil.policy.interface import Decision, Input, Tick

from . import choosing
from .drawing import draw
from .plain import Plain
from .view import View

_PACKETS, _EVENTS = "packets.csv", "events.jsonl"
_NS_PER_S = 1_000_000_000
_FRAME_S = 0.1
_PHASES = {"phase.started": View.phase_began, "phase.ended": View.phase_ended}


Act = Callable[[View], None]
"""A change of a view."""


class Happening(NamedTuple):
    """Something that changes a view, and when."""

    t_ns: int
    number: int
    """Order of those at the same time."""
    act: Act


def of_log(path: Path, run: choosing.Run | None) -> Iterator[Happening]:
    """What a run's event log or, without a run, a trace says.

    Raises:
        LocalError: it cannot be read, or is neither.
    """
    with _recorded(path):
        told = _of_trace(path) if run is None else _of_run(path, run)
        for number, (t_ns, act) in enumerate(told, 1):
            yield Happening(t_ns, number, act)


def _which(path: Path, scheme: str, repeat: int) -> choosing.Run | None:
    """The run of a log that is meant; None: it is a trace."""
    with _recorded(path):
        return None if _is_trace(path) else choosing.choose(path, scheme, repeat)


@contextlib.contextmanager
def _recorded(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, DecodeError) as error:
        raise LocalError(
            f"neither a trace nor an event log: {error}",
            where=str(path),
            remedy="give a run's folder, its events.jsonl, a trace, or a supplicant's socket",
        ) from error


def _is_trace(path: Path) -> bool:
    first = next(choosing.lines(path), {})
    return "trace" in first or ("kind" in first and "type" not in first)


def _of_trace(path: Path) -> Iterator[tuple[int, Act]]:
    for line in path.read_bytes().splitlines():
        if "trace" in json.loads(line):
            header = trace.decode_header(line)
            yield 0, partial(_opened, header.policy, header.settings)
            continue
        step = trace.decode(line)
        if isinstance(step, tuple):
            yield step[0], partial(_decided, *step)
        else:
            yield step.t_ns, partial(_heard, step)


def _of_run(path: Path, run: choosing.Run) -> Iterator[tuple[int, Act]]:
    plain = None if run.decided else Plain(*choosing.known(path.parent))
    begun = False
    for told in choosing.of_run(path, run):
        found = _of_event(told)
        if found is not None:
            yield found
        if plain is None:
            continue
        t_ns = told.get("t_ns")
        if not begun and isinstance(t_ns, int):
            begun = True
            yield from ((event.t_ns, partial(_heard, event)) for event in plain.begin(t_ns))
        yield from ((event.t_ns, partial(_heard, event)) for event in plain.hear(told))


def _of_event(told: dict[str, object]) -> tuple[int, Act] | None:
    kind, t_ns = str(told.get("type")), told.get("t_ns")
    if not isinstance(t_ns, int):
        raise ValueError("an event without a time")
    if kind == "policy.opened":
        options = told.get("settings")
        chosen = options if isinstance(options, dict) else {}
        return t_ns, partial(_opened, str(told.get("policy")), chosen)
    if kind == "policy.input":
        event = lines.hear(told.get("input"))
        return t_ns, partial(_heard, event)
    if kind == "policy.decided":
        extra = ("t_ns", "host", "agent", "type", "scheme", "repeat")
        plain = {key: value for key, value in told.items() if key not in extra}
        decision = lines.hear_decision({k: v for k, v in plain.items() if v is not None})
        return t_ns, partial(_decided, t_ns, decision)
    if kind in _PHASES:
        act = _PHASES[kind]
        return t_ns, lambda view: act(view, str(told.get("phase")))
    return None


def _opened(policy: str, chosen: Mapping[str, object], view: View) -> None:
    view.opened(policy, chosen)


def _heard(event: Input, view: View) -> None:
    view.hear(event)


def _decided(t_ns: int, decision: Decision, view: View) -> None:
    view.decide(t_ns, decision)


def of_packets(path: Path, scheme: str = "", repeat: int = 0) -> Iterator[Happening]:
    """The densest flow of one run in packets.csv; none where there is no such file or run."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", newline="") as stream:
        every = (row for row in csv.DictReader(stream) if row["kind"] not in choosing.ASIDE)
        rows = [row for row in every if scheme in ("", row["scheme"])]
    runs = list(dict.fromkeys(row["run"] for row in rows))
    if repeat >= len(runs):
        return
    run = runs[repeat]
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["flow"]] = counts.get(row["flow"], 0) + (row["run"] == run)
    flow = max(counts, key=lambda name: counts[name])
    for direction in ("downlink", "uplink"):
        own = [row for row in rows if (row["run"], row["flow"]) == (run, flow)]
        yield from _stream([row for row in own if row["direction"] == direction], direction)


def _stream(rows: list[dict[str, str]], direction: str) -> Iterator[Happening]:
    """A packet happens when it comes; one that never does, when it was sent."""
    sent = [int(row["sent_ns"]) for row in rows]
    spacing_ms = (sent[1] - sent[0]) / 1e6 if len(sent) > 1 else 0.0
    for row, sent_ns in zip(rows, sent, strict=True):
        came_ns = int(row["received_ns"]) if row["received_ns"] else None
        act = partial(_packet, direction, came_ns, spacing_ms)
        yield Happening(sent_ns if came_ns is None else came_ns, 0, act)


def _packet(direction: str, came_ns: int | None, spacing_ms: float, view: View) -> None:
    view.packet(direction, came_ns, spacing_ms)


def play(
    path: Path, view: View, show: Callable[[View], None], *, speed: float, scheme: str, repeat: int
) -> None:
    """Play a recording to its end.

    Args:
        speed: so many times as fast as it happened; 0: as fast as it goes, and show the end alone.

    Raises:
        LocalError: it cannot be read, or has nothing to show.
    """
    folder = path if path.is_dir() else path.parent
    file = path / _EVENTS if path.is_dir() else path
    run = _which(file, scheme, repeat)
    told = sorted(of_log(file, run), key=lambda each: each[:2])
    if not any(each.t_ns for each in told):
        raise LocalError("there is nothing to show in it", where=str(file))
    packets: Iterator[Happening] = iter(())
    if run is not None and file.name == _EVENTS:
        view.title = " ".join(part for part in (view.title, run.scheme) if part)
        packets = of_packets(folder / _PACKETS, run.scheme, repeat)
    merged = heapq.merge(told, sorted(packets, key=lambda each: each.t_ns), key=lambda e: e[0])
    began_s, first_ns, shown_s = time.monotonic(), 0, 0.0
    for each in merged:
        first_ns = first_ns or each.t_ns
        if speed:
            due_s = began_s + (each.t_ns - first_ns) / _NS_PER_S / speed
            while time.monotonic() < due_s:
                show(view)
                time.sleep(min(_FRAME_S, max(0.0, due_s - time.monotonic())))
        each.act(view)
        if speed and time.monotonic() >= shown_s + _FRAME_S:
            show(view)
            shown_s = time.monotonic()
    show(view)


def observe(
    control: Path, view: View, show: Callable[[View], None], *, policy: str, for_s: float | None
) -> None:
    """Watch a live radio, and say what a policy would do; the link is not touched.

    Raises:
        RemoteError: the supplicant is not there, or went away.
        MachineError: this user may not ask it.
    """
    from mpa_hil.observing import observe as listen
    from mpa_hil.sampling.settings import Settings

    chosen = loading.choose(policy, {}, "--policy")
    view.opened(chosen.name, settings.told(chosen.settings))
    engine = Engine(chosen.make())

    def tell(event: Input) -> None:
        view.hear(event)
        for decision in engine.feed(event):
            view.decide(event.t_ns, decision)

    async def refresh() -> None:
        while True:
            due_ns, now_ns = engine.next_deadline(), time.monotonic_ns()
            if due_ns is not None and due_ns <= now_ns:
                tell(Tick(now_ns))
            view.passes(now_ns)
            show(view)
            await asyncio.sleep(_FRAME_S)

    async def both() -> None:
        drawing = asyncio.create_task(refresh())
        try:
            quiet = Settings(background=False, hole_ms_per_s=0.0, calm_db=math.inf)
            await listen(str(control), tell, quiet, for_s=for_s)
        finally:
            drawing.cancel()
            await asyncio.gather(drawing, return_exceptions=True)

    asyncio.run(both())


def on_terminal(work: Callable[[Callable[[View], None]], None]) -> None:
    """Give `work` a way to show a view: the whole screen of a terminal, else the end alone."""
    from rich.console import Console

    console = Console()
    if not sys.stdout.isatty():
        last: list[View] = []

        def keep(view: View) -> None:
            last[:] = [view]

        work(keep)
        for view in last:
            console.print(draw(view))
        return
    from rich.live import Live

    with Live(console=console, auto_refresh=False, screen=True) as live:
        work(lambda view: live.update(draw(view), refresh=True))
