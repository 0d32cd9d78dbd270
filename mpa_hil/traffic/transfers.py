"""What the ends of a download recorded, decoded, and its figures. Pure.

A download has no packets with numbers of ours: what counts is when octets came, how long none did,
and how much the sender's kernel had to send again.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import msgspec

from mpa_hil.traffic.figures import Window, largest_gap, quantile
from mpa_hil.traffic.records import ClockReading, to_monotonic
from mpa_hil.traffic.transfer import FORMAT
from radios.errors import RemoteError

_LARGEST = 1 << 62
_Whole = Annotated[int, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]

USUAL_QUANTILE = 0.95
"""Of the holes between readings: the kernel paces segments in twos, so half of them are none."""


class _End(msgspec.Struct):
    """One end of one download, as the header has it."""

    flow: str
    role: Literal["receive", "send"]
    rate_octets_s: Annotated[int, msgspec.Meta(gt=0, le=_LARGEST)]
    connected_ns: _Whole | None
    octets: _Count
    retransmissions: _Count
    error: str
    rows: _Count


class _Header(msgspec.Struct):
    """The first line of a record file."""

    format: str
    byteorder: Literal["little", "big"]
    clock: tuple[ClockReading, ClockReading]
    quiet_ns: _Whole | None
    transfers: list[_End]


@dataclass(frozen=True, slots=True)
class TransferEnd:
    """One end of a download. Times on CLOCK_MONOTONIC, ns."""

    flow: str
    role: Literal["receive", "send"]
    rate_octets_s: int
    octets: int
    """Received, or handed to the kernel."""
    retransmissions: int
    """Segments that the kernel sent again."""
    error: str
    """Why the connection broke; empty when it did not."""
    readings: tuple[tuple[int, int], ...]
    """When octets came, and how many."""
    quiet_ns: int | None
    """When it was told to end."""


def decode(data: bytes, where: str = "transfer record") -> tuple[TransferEnd, ...]:
    """Decode a host's record file.

    Raises:
        RemoteError: not such a file, or cut short.
    """
    line, _, body = data.partition(b"\n")
    remedy = "was it stopped?"
    try:
        header = msgspec.json.decode(line, type=_Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteError(f"not a {FORMAT} file ({error})", where=where, remedy=remedy) from None
    expected = sum(16 * entry.rows for entry in header.transfers)
    if header.format != FORMAT or len(body) != expected:
        what = f"not a {FORMAT} file of {expected} octets of records"
        raise RemoteError(what, where=where, remedy=remedy)
    rows = struct.iter_unpack("<qq" if header.byteorder == "little" else ">qq", body)
    convert = to_monotonic(*header.clock)
    ends = []
    for entry in header.transfers:
        readings = tuple(
            (convert(stamp), octets) for stamp, octets in (next(rows) for _ in range(entry.rows))
        )
        ends.append(
            TransferEnd(
                flow=entry.flow,
                role=entry.role,
                rate_octets_s=entry.rate_octets_s,
                octets=entry.octets,
                retransmissions=entry.retransmissions,
                error=entry.error,
                readings=readings,
                quiet_ns=header.quiet_ns,
            )
        )
    return tuple(ends)


@dataclass(frozen=True, slots=True)
class TransferFigures:
    """Figures of one download. Times in ms."""

    octets: int
    """That reached the receiver."""
    rate_mbit: float
    """Mean rate from the first octet to the last."""
    stall_ms: float
    """Longest time without an octet that touches the handover's window."""
    usual_ms: float
    """What is exceeded by one in twenty times without an octet, over the whole download."""
    recovered: bool
    """Whether octets came again after the longest stall."""
    retransmissions: int
    error: str


def figures(
    receiver: TransferEnd, sender: TransferEnd | None, window: Window | None
) -> TransferFigures:
    """The figures of one download.

    Args:
        sender: None: it left no record, and of retransmissions nothing is known (0).
        window: the handover, on the receiver's clock; cut to the download. None: all of it.
    """
    times = [stamp for stamp, _ in receiver.readings]
    octets = sum(count for _, count in receiver.readings)
    whole = _whole(times, receiver.quiet_ns)
    cut = whole
    if window is not None:
        start_ns = max(window.start_ns, whole.start_ns)
        cut = Window(start_ns, max(start_ns, min(window.end_ns, whole.end_ns)))
    stall = largest_gap([t for t in times if t <= whole.end_ns], cut)
    holes = sorted(after - before for before, after in pairwise(times))
    span_ns = times[-1] - times[0] if len(times) > 1 else 0
    errors = [end.error for end in (receiver, sender) if end is not None and end.error]
    return TransferFigures(
        octets=octets,
        rate_mbit=8000 * (octets - receiver.readings[0][1]) / span_ns if span_ns else 0.0,
        stall_ms=stall.length_ns / 1e6,
        usual_ms=quantile(holes, USUAL_QUANTILE) / 1e6 if holes else 0.0,
        recovered=bool(times) and (stall.end_ns is not None or stall.length_ns == 0),
        retransmissions=0 if sender is None else sender.retransmissions,
        error="; ".join(errors),
    )


def _whole(times: Sequence[int], quiet_ns: int | None) -> Window:
    """From the first octet to when the flow was told to end."""
    if not times:
        return Window(0, 0)
    return Window(times[0], max(times[0], times[-1] if quiet_ns is None else quiet_ns))
