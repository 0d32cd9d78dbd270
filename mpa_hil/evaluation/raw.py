"""What the collector left, read with distrust: what is broken is noted and passed over.

    RAW/lab.json  events.jsonl  runs/001/{run.json, events.jsonl, mn.flows, cn.flows,
                                          mn-tcp.flows, cn-tcp.flows, captures.json, *.pcap, logs/}

Only `run.json` is indispensable to a run: without it nobody knows which scheme it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from mpa_hil import eventlog
from mpa_hil.events import AnyEvent
from mpa_hil.traffic import records, transfers
from mpa_hil.traffic.pcap import Capture, read_pcap
from mpa_hil.traffic.records import EndpointRecord
from mpa_hil.traffic.transfers import TransferEnd
from radios.errors import RemoteError

Kind = Literal["handover", "null", "control", "fault", "policy"]

_LATEST_NS = 1 << 62
"""A time beyond this (146 years) is no CLOCK_MONOTONIC."""
_T = TypeVar("_T")


class LabInfo(msgspec.Struct, frozen=True):
    """`lab.json`."""

    rig: str = "unknown"
    clock: str = "unknown"
    versions: dict[str, str] = {}


class RunInfo(msgspec.Struct, frozen=True):
    """`run.json`."""

    scheme: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    kind: Kind
    repeat: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)]
    ok: bool
    error: str | None = None
    lab: Literal["main", "floor"] = "main"
    fault: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{0,80}$")] = ""


class _CaptureInfo(msgspec.Struct, frozen=True):
    """One entry of `captures.json`."""

    host: Annotated[str, msgspec.Meta(min_length=1)]
    interface: str
    file: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$")]
    dropped: Annotated[int, msgspec.Meta(ge=0, le=1 << 62)] = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """One capture of a run."""

    host: str
    interface: str
    capture: Capture
    dropped: int
    """Packets that the kernel threw away before the capture got them."""


@dataclass(frozen=True, slots=True)
class RawRun:
    """One run as it was recorded."""

    number: int
    """From 1, in order of execution."""
    folder: Path
    info: RunInfo
    events: tuple[AnyEvent, ...]
    """In order of time, with scheme and repeat filled in."""
    mn: EndpointRecord | None
    cn: EndpointRecord | None
    mn_transfers: tuple[TransferEnd, ...]
    """Downloads as the MN got them."""
    cn_transfers: tuple[TransferEnd, ...]
    captures: tuple[Taken, ...]
    notes: list[str] = field(default_factory=list)
    """What was amiss; each begins with the run's name."""

    @property
    def name(self) -> str:
        """Number, scheme, kind where it is no handover, and repeat: for files and people."""
        kind = (
            ""
            if self.info.kind in ("handover", "policy")
            else f"-{self.info.fault or self.info.kind}"
        )
        return f"{self.number:03}-{self.info.scheme}{kind}-repeat{self.info.repeat}"


def read_lab(raw: Path, notes: list[str]) -> LabInfo:
    """What the collector says of the machine and its programs."""
    return _json(raw / "lab.json", LabInfo, notes, "lab.json") or LabInfo()


def read_outer_events(raw: Path, notes: list[str]) -> tuple[AnyEvent, ...]:
    """The events that belong to no run."""
    return _events(raw / "events.jsonl", notes, "events.jsonl")


def run_folders(raw: Path) -> list[tuple[int, Path]]:
    """Numbers and folders of the runs, in order of execution."""
    try:
        names = [path.name for path in (raw / "runs").iterdir() if path.is_dir()]
    except OSError:
        return []
    return sorted((int(n), raw / "runs" / n) for n in names if re.fullmatch(r"[0-9]{1,6}", n))


def read_run(number: int, folder: Path, notes: list[str]) -> RawRun | None:
    """One run; None, and a note, when it is not known which run it was."""
    label = f"run {number:03}"
    info = _json(folder / "run.json", RunInfo, notes, f"{label}: run.json")
    if info is None:
        return None
    own: list[str] = []
    return RawRun(
        number=number,
        folder=folder,
        info=info,
        events=tuple(
            msgspec.structs.replace(event, scheme=info.scheme, repeat=info.repeat)
            for event in _events(folder / "events.jsonl", own, f"{label}: events.jsonl")
        ),
        mn=_record(folder / "mn.flows", own, f"{label}: mn.flows"),
        cn=_record(folder / "cn.flows", own, f"{label}: cn.flows"),
        mn_transfers=_transfers(folder / "mn-tcp.flows", own, f"{label}: mn-tcp.flows"),
        cn_transfers=_transfers(folder / "cn-tcp.flows", own, f"{label}: cn-tcp.flows"),
        captures=tuple(_captures(folder, own, label)),
        notes=own,
    )


def _octets(path: Path, notes: list[str], label: str, *, needed: bool = True) -> bytes | None:
    """A file's content; None when it is not there or cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        if needed:
            notes.append(f"{label} is missing")
    except OSError as error:
        notes.append(f"{label} cannot be read: {error.strerror}")
    return None


def _json(
    path: Path, kind: type[_T], notes: list[str], label: str, *, needed: bool = True
) -> _T | None:
    data = _octets(path, notes, label, needed=needed)
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        notes.append(f"{label} is not what it should be: {error}")
        return None


def _events(path: Path, notes: list[str], label: str) -> tuple[AnyEvent, ...]:
    """A log's events in order of time; lines that are none are counted and passed over."""
    found: list[AnyEvent] = []
    refused: list[str] = []
    data = _octets(path, notes, label) or b""
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            found.append(_event(line, f"line {number}"))
        except RemoteError as error:
            refused.append(f"{error.where}: {error.what}")
    if refused:
        notes.append(f"{label}: {len(refused)} lines are no events; {refused[0]}")
    found.sort(key=lambda event: event.t_ns)
    return tuple(found)


def _event(line: bytes, where: str) -> AnyEvent:
    """One event, which can also be written again.

    Raises:
        RemoteError: it cannot be read, is from another age, or holds a number beyond JSON's.
    """
    try:
        event = eventlog.decode(line, where=where)
        eventlog.encode(event)
    except (RecursionError, OverflowError, ValueError, msgspec.MsgspecError) as error:
        raise RemoteError(f"not an event: {error}", where=where) from None
    if event.t_ns > _LATEST_NS:
        raise RemoteError(f"not an event: no time is {event.t_ns} ns", where=where)
    return event


def _record(path: Path, notes: list[str], label: str) -> EndpointRecord | None:
    data = _octets(path, notes, label, needed=False)
    if data is None:
        return None
    try:
        record = records.decode(data, label)
    except RemoteError as error:
        notes.append(f"{label}: {error.what}")
        return None
    skipped = sum(flow.skipped for flow in record.sent)
    amiss = {
        "packets dropped in the receiving socket's buffer": record.dropped_by_socket,
        "packets without the kernel's stamp": record.unstamped,
        "slots that the sender itself missed": skipped,
    }
    notes += [f"{label}: {count} {what}" for what, count in amiss.items() if count]
    return record


def _transfers(path: Path, notes: list[str], label: str) -> tuple[TransferEnd, ...]:
    data = _octets(path, notes, label, needed=False)
    if data is None:
        return ()
    try:
        found = transfers.decode(data, label)
    except RemoteError as error:
        notes.append(f"{label}: {error.what}")
        return ()
    notes += [f"{label}: {end.flow} broke: {end.error}" for end in found if end.error]
    return found


def _captures(folder: Path, notes: list[str], label: str) -> Iterator[Taken]:
    path = folder / "captures.json"
    listed = _json(path, list[object], notes, f"{label}: captures.json", needed=False)
    for entry in listed or []:
        try:
            info = msgspec.convert(entry, _CaptureInfo)
        except msgspec.ValidationError as error:
            notes.append(f"{label}: captures.json has an entry that is none: {error}")
            continue
        data = _octets(folder / info.file, notes, f"{label}: {info.file}")
        if data is None:
            continue
        try:
            capture = read_pcap(data, info.file)
        except RemoteError as error:
            notes.append(f"{label}: {info.file}: {error.what}")
            continue
        if capture.truncated:
            notes.append(f"{label}: {info.file} is cut off")
        if info.dropped:
            notes.append(f"{label}: {info.file} lacks {info.dropped} packets")
        yield Taken(info.host, info.interface, capture, info.dropped)
