"""What the endpoints recorded, decoded: one `FlowLog` per flow and direction; packets.csv.

An endpoint writes one JSON header line and then raw arrays (`mpa_hil.traffic.endpoint`). Here the
sender's file and the receiver's file of a flow are brought together by SSRC.
"""

from __future__ import annotations

import csv
import errno
import os
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Annotated, Literal, NamedTuple, TextIO

import msgspec

from mpa_hil.traffic.endpoint import FORMAT, HEADER, ROW_BYTES
from radios.errors import RemoteError

_LARGEST = 1 << 62
_Whole = Annotated[int, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]
_Errno = Annotated[int, msgspec.Meta(ge=0, le=4095)]


class Arrival(NamedTuple):
    """One packet as it reached the receiver's kernel."""

    sequence: int
    sent_ns: int
    """Send stamp that the packet carried, on the sender's CLOCK_MONOTONIC."""
    received_ns: int
    """Kernel receive stamp, on the receiver's CLOCK_MONOTONIC."""


@dataclass(frozen=True, slots=True)
class FlowLog:
    """Everything known about one flow in one direction."""

    flow: str
    direction: str
    """``downlink`` (towards the MN) or ``uplink``."""
    spacing_ns: int
    size_bytes: int
    """UDP payload of each packet, octets."""
    sent_ns: Sequence[int]
    """Send time of packet number i, whether or not the kernel took it."""
    arrivals: Sequence[Arrival]
    """In order of arrival, duplicates kept."""
    lateness_ns: Sequence[int] = ()
    """How late packet i was handed over, against its slot."""
    errors: dict[int, int] = field(default_factory=dict)
    """Sequence number to errno, for the sends that the kernel refused."""
    skipped: int = 0
    """Slots in which the sender, too late for them, sent nothing."""
    shared_clock: bool = True
    """Sender and receiver read one CLOCK_MONOTONIC (namespaces of one machine)."""


@dataclass(frozen=True, slots=True)
class SentFlow:
    """The sending half of a flow, from one endpoint's file."""

    flow: str
    ssrc: int
    spacing_ns: int
    size_bytes: int
    sent_ns: Sequence[int]
    lateness_ns: Sequence[int]
    errors: dict[int, int]
    skipped: int


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    """One endpoint's file, decoded."""

    host: str
    sent: tuple[SentFlow, ...]
    arrivals: dict[int, list[Arrival]]
    """By SSRC, in order of arrival."""
    offset_ns: int
    """CLOCK_REALTIME less CLOCK_MONOTONIC at the endpoint's start, to place captures."""
    offset_drift_ns: int
    """How far CLOCK_REALTIME moved against CLOCK_MONOTONIC from start to end of the endpoint."""
    offset_width_ns: int
    """Uncertainty of the worse of the two offset readings."""
    dropped_by_socket: int
    foreign: int
    unstamped: int


class ClockReading(msgspec.Struct):
    """The two clocks read together (`mpa_hil.traffic.endpoint.clock_offset`), ns."""

    realtime_ns: _Whole
    offset_ns: _Whole
    width_ns: _Count


class _Sender(msgspec.Struct):
    """One flow sent, as the header has it."""

    flow: str
    ssrc: int
    sent: _Count
    start_ns: _Whole | None
    spacing_ns: Annotated[int, msgspec.Meta(gt=0, le=_LARGEST)]
    payload_bytes: _Count
    errors: list[tuple[_Count, _Errno]]
    skips: list[tuple[_Count, _Count]]


class _Receiver(msgspec.Struct):
    """One receiving socket, as the header has it."""

    rows: _Count
    foreign: _Count
    unstamped: _Count
    dropped_by_socket: _Count


class _Header(msgspec.Struct):
    """The first line of a record file."""

    format: str
    host: str
    byteorder: Literal["little", "big"]
    clock: tuple[ClockReading, ClockReading]
    send: list[_Sender]
    receive: list[_Receiver]


def decode(data: bytes, where: str = "flow record") -> EndpointRecord:
    """Decode an endpoint's record file.

    Kernel stamps are CLOCK_REALTIME; they are put on CLOCK_MONOTONIC with the offset between the
    two, taken linearly between the readings at the endpoint's start and end.

    Raises:
        RemoteError: not such a file, or cut short.
    """
    line, _, body = data.partition(b"\n")
    header = _header(line, where)
    order = "<" if header.byteorder == "little" else ">"
    expected = sum(8 * flow.sent for flow in header.send)
    expected += sum(ROW_BYTES * sink.rows for sink in header.receive)
    if len(body) != expected:
        raise RemoteError(f"{len(body)} octets of records where {expected} belong", where=where)
    position = 0
    sent = []
    for flow in header.send:
        end = position + 8 * flow.sent
        stamps = struct.unpack(f"{order}{flow.sent}q", body[position:end])
        sent.append(_sent_flow(flow, stamps))
        position = end
    first, last = header.clock
    rows = body[position:]
    return EndpointRecord(
        host=header.host,
        sent=tuple(sent),
        arrivals=_arrivals(rows, order, to_monotonic(first, last)),
        offset_ns=first.offset_ns,
        offset_drift_ns=last.offset_ns - first.offset_ns,
        offset_width_ns=max(first.width_ns, last.width_ns),
        dropped_by_socket=sum(s.dropped_by_socket for s in header.receive),
        foreign=sum(s.foreign for s in header.receive),
        unstamped=sum(s.unstamped for s in header.receive),
    )


def _header(line: bytes, where: str) -> _Header:
    """The first line, checked."""
    remedy = "was the endpoint stopped?"
    try:
        header = msgspec.json.decode(line, type=_Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteError(f"not a {FORMAT} file ({error})", where=where, remedy=remedy) from None
    if header.format != FORMAT:
        raise RemoteError(f"not a {FORMAT} file", where=where, remedy=remedy)
    return header


def _arrivals(rows: bytes, order: str, convert: Callable[[int], int]) -> dict[int, list[Arrival]]:
    """Received packets by SSRC, in order of arrival. Sockets' rows follow one another."""
    arrivals: dict[int, list[Arrival]] = {}
    stamps = struct.Struct(f"{order}{HEADER.size}xqq").iter_unpack(rows)
    heads = struct.Struct(f"{HEADER.format}16x").iter_unpack(rows)
    for (*_, ssrc, sent_ns, sequence), (seconds, nanoseconds) in zip(heads, stamps, strict=True):
        received_ns = convert(seconds * 1_000_000_000 + nanoseconds)
        arrivals.setdefault(ssrc, []).append(Arrival(sequence, sent_ns, received_ns))
    return arrivals


def _sent_flow(entry: _Sender, sent_ns: Sequence[int]) -> SentFlow:
    """The sending half of one flow; slot of packet n = n + slots skipped up to it."""
    positions = [sequence for sequence, _ in entry.skips]
    totals = [0, *accumulate(count for _, count in entry.skips)]
    start_ns = entry.start_ns or 0  # null: it was never started, so nothing was sent
    lateness = []
    for sequence, stamp in enumerate(sent_ns):
        slot = sequence + totals[bisect_right(positions, sequence)]
        lateness.append(stamp - start_ns - slot * entry.spacing_ns)
    return SentFlow(
        flow=entry.flow,
        ssrc=entry.ssrc,
        spacing_ns=entry.spacing_ns,
        size_bytes=12 + entry.payload_bytes,
        sent_ns=sent_ns,
        lateness_ns=lateness,
        errors=dict(entry.errors),
        skipped=totals[-1],
    )


def to_monotonic(first: ClockReading, last: ClockReading) -> Callable[[int], int]:
    """CLOCK_REALTIME ns to CLOCK_MONOTONIC ns, between two readings of their offset."""
    begin, offset = first.realtime_ns, first.offset_ns
    span = max(last.realtime_ns - begin, 1)
    drift = last.offset_ns - offset

    def convert(realtime_ns: int) -> int:
        return realtime_ns - offset - drift * (realtime_ns - begin) // span

    return convert


def join(
    sender: EndpointRecord, receiver: EndpointRecord, direction: str, *, shared_clock: bool = True
) -> list[FlowLog]:
    """The flows from `sender` as `receiver` got them, `direction` being downlink or uplink."""
    return [
        FlowLog(
            flow=half.flow,
            direction=direction,
            spacing_ns=half.spacing_ns,
            size_bytes=half.size_bytes,
            sent_ns=half.sent_ns,
            arrivals=receiver.arrivals.get(half.ssrc, []),
            lateness_ns=half.lateness_ns,
            errors=half.errors,
            skipped=half.skipped,
            shared_clock=shared_clock,
        )
        for half in sender.sent
    ]


PACKETS_COLUMNS = (
    "run",
    "scheme",
    "flow",
    "direction",
    "seq",
    "sent_ns",
    "received_ns",
    "size",
    "note",
    "kind",
)


def write_packets(
    out: TextIO, run: int, scheme: str, logs: Iterable[FlowLog], kind: str = "handover"
) -> int:
    """Append the packets of one run to packets.csv; returns the number of rows.

    The header line is written when `out` stands at its beginning. Columns: ``run`` number from 1;
    ``scheme``; ``flow``; ``direction``; ``seq`` full sequence number from 0; ``sent_ns`` on the
    sender's CLOCK_MONOTONIC; ``received_ns`` on the receiver's, empty when it never arrived;
    ``size`` octets of UDP payload; ``note``: ``duplicate`` for every copy after the first,
    ``refused NAME`` when the sender's kernel refused it (errno name), ``late`` when it was sent a
    whole spacing or more behind its slot. One row a packet, one more for each duplicate.
    """
    writer = csv.writer(out, lineterminator="\n")
    if out.tell() == 0:
        writer.writerow(PACKETS_COLUMNS)
    rows = 0
    for log in logs:
        copies: dict[int, list[int]] = {}
        for arrival in log.arrivals:
            copies.setdefault(arrival.sequence, []).append(arrival.received_ns)
        for sequence, sent_ns in enumerate(log.sent_ns):
            received: list[int | str] = [*copies.get(sequence, [])] or [""]
            for copy, received_ns in enumerate(received):
                note = "duplicate" if copy else _note(log, sequence)
                front = (run, scheme, log.flow, log.direction, sequence)
                writer.writerow((*front, sent_ns, received_ns, log.size_bytes, note, kind))
                rows += 1
    return rows


def _note(log: FlowLog, sequence: int) -> str:
    """What is to be said about a packet's first row."""
    if sequence in log.errors:
        number = log.errors[sequence]
        return f"refused {errno.errorcode.get(number, os.strerror(number))}"
    if sequence < len(log.lateness_ns) and log.lateness_ns[sequence] >= log.spacing_ns:
        return "late"
    return ""
