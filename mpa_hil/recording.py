"""`mpa-hil record`: inputs of a policy into a file, as they come or out of a run."""

from __future__ import annotations

import asyncio
import csv
import io
import math
import socket
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from mpa_hil.movement.recorded import COLUMNS
from mpa_hil.policy import replay_files, trace
from mpa_hil.policy.interface import Input, Sample
from mpa_hil.sampling.settings import Settings
from radios.errors import LocalError

_NS_PER_S = 1_000_000_000


class Writer:
    """A file that grows by one input at a time, and is whole at any moment.

    Args:
        out: a new file; with the suffix .csv it has the signals alone.

    Raises:
        LocalError: it exists, or cannot be written.
    """

    def __init__(self, out: Path, header: trace.Header) -> None:
        self.count: Counter[str] = Counter()
        """Inputs by kind."""
        self._out = out
        self._first_ns: int | None = None
        self._csv = out.suffix.lower() == ".csv"
        try:
            # Unbuffered: what was heard is on disk when the battery gives up.
            self._file: BinaryIO = out.open("xb", buffering=0)
        except FileExistsError as error:
            raise LocalError(
                "the file exists", where=f"--out {out}", remedy="name a new one with --out"
            ) from error
        except OSError as error:
            raise self._fault(error) from error
        self._write(_row(COLUMNS) if self._csv else trace.header_line(header))

    def take(self, event: Input) -> None:
        """One more."""
        self.count[type(event).__name__] += 1
        if not self._csv:
            self._write(trace.input_line(event))
        elif isinstance(event, Sample) and event.signal_dbm is not None:
            if self._first_ns is None:
                self._first_ns = event.t_ns
            t_s = (event.t_ns - self._first_ns) / _NS_PER_S
            self._write(_row((f"{t_s:.6f}", event.ap, f"{event.signal_dbm:g}")))

    def step(self, step: trace.Step) -> None:
        """One with what was decided on it."""
        self.take(step.event)
        if not self._csv:
            for decision in step.decisions:
                self._write(trace.decision_line(step.event.t_ns, decision))

    def close(self) -> None:
        """Say on standard error what is in it."""
        self._file.close()
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(self.count.items()))
        print(f"{self._out}: {told or 'nothing was heard'}", file=sys.stderr)

    def _write(self, octets: bytes) -> None:
        try:
            self._file.write(octets)
        except OSError as error:
            raise self._fault(error) from error

    def _fault(self, error: OSError) -> LocalError:
        return LocalError(
            f"cannot write it: {error.strerror}",
            where=f"--out {self._out}",
            remedy="name a file in a folder that you may write to, on a disk with space",
        )


def live(
    control: Path,
    out: Path,
    *,
    interface: str | None,
    poll_ms: int,
    scan_ms: float | None,
    for_s: float | None,
    note: str,
) -> int:
    """Record a radio until the time is over or Ctrl-C; 0.

    Raises:
        LocalError: the file cannot be written.
        RemoteError: the supplicant is not there, or went away.
        MachineError: this user may not ask it, or there is no such interface.
    """
    from mpa_hil.observing import observe

    settings = Settings(
        poll_ms=poll_ms,
        background=scan_ms is not None,
        hole_ms_per_s=scan_ms or 0.0,
        calm_db=math.inf,  # whoever records wants all of them
    )
    here = control.name if interface is None and _is_here(control.name) else interface or ""
    writer = Writer(out, trace.Header(note=note or f"live, {control.name}"))
    return _through(
        writer,
        lambda: asyncio.run(
            observe(str(control), writer.take, settings, interface=here, for_s=for_s)
        ),
    )


def from_run(run: Path, out: Path, *, scheme: str, repeat: int | None, note: str) -> int:
    """Write the trace that a run's policy was given; 0.

    Raises:
        LocalError: no such run, no policy decided in it, or the file cannot be written.
    """
    found = replay_files.load(run, scheme, repeat)
    header = replace(found.header, note=note) if note else found.header
    writer = Writer(out, header)

    def write() -> None:
        for step in found.steps:
            writer.step(step)

    return _through(writer, write)


def _through(writer: Writer, work: Callable[[], None]) -> int:
    try:
        work()
    finally:
        writer.close()
    return 0


def _is_here(interface: str) -> bool:
    return interface in {name for _, name in socket.if_nameindex()}


def _row(values: tuple[str, ...]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode()
