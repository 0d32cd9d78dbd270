"""From packet records to the figures of a handover: pure, and each one defined here.

Where sender and receiver share a clock, delays are true one-way delays. Where they do not
(`FlowLog.shared_clock` false) the smallest transit time is taken as zero delay: delays are then not
reported, while counts, gaps, jitter and PDV keep their meaning, and MOS leaves out the path's
constant delay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mpa_hil.traffic import mos as emodel
from mpa_hil.traffic.codecs import Codec
from mpa_hil.traffic.records import Arrival, FlowLog

WAITING_TIME_NS = 3_000_000_000
"""A packet that takes longer is lost (RFC 7680 s2.5 wants the threshold stated); the default."""
PLAYOUT_NS = 150_000_000
"""Play-out deadline of a conversation: later than ITU-T G.114's 150 ms is too late to be heard."""
_NEVER_NS = PLAYOUT_NS + 1
"""Stands for the delay of a packet that was lost."""
MOS_WINDOW_NS = 10_000_000_000
"""MOS is of the 10 s round the handover: 5 s to either side of the window's middle."""
PDV_QUANTILE = 0.999
"""RFC 5481 s4.2 asks for a high quantile of delay above the minimum."""


@dataclass(frozen=True, slots=True)
class Window:
    """The handover on the receiver's clock, ns: where a gap belongs to the handover."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class FlowFigures:
    """Figures of one flow in one direction. Times in ms; None where nothing can be said."""

    sent: int
    """Packets offered, those included that the sender's kernel refused."""
    received: int
    """Different packets that arrived within the waiting time; sent = received + lost."""
    lost: int
    duplicated: int
    """Copies beyond the first of a packet."""
    reordered: int
    """RFC 4737 s3.3: first copies whose number is below the next one expected."""
    refused: int
    """Of the lost: refused by the sender's own kernel, for want of a route or a buffer."""
    late: int
    """Received, but after the play-out deadline (150 ms)."""
    jitter_ms: float | None
    """Mean over all packets of RFC 3550's running estimate J, with real send times."""
    jitter_max_ms: float | None
    delay_p50_ms: float | None
    delay_p95_ms: float | None
    delay_max_ms: float | None
    pdv_ms: float | None
    """99.9 % quantile of delay above the smallest delay (RFC 5481)."""
    gap_ms: float
    """Largest hole between two packets received one after the other, where it touches the
    handover's window, less the nominal spacing."""
    gap_start_ns: int | None
    """Arrival of the last packet before that hole; None when none arrived before it."""
    gap_end_ns: int | None
    """Arrival of the first packet after it; None when the flow never came back."""
    lost_gap_ms: float
    """Loss-derived gap (RFC 6412 s3.6.4): packets lost that were due in the window, x spacing. A
    packet is due one shortest transit time after it was sent."""
    sender_hole_ms: float
    """Largest hole between two sends in the same time, less the spacing: what of the gap could be
    the sender's own doing."""
    mos: float | None
    """E-model MOS of the 10 s round the handover; None for flows that are no voice."""
    r: float | None
    interarrival_ms: float | None = None
    """Mean time between two packets received one after the other, but for the gap; None for fewer
    than three."""
    spacing_ms: float = 0.0
    """Nominal, as sent."""

    @property
    def recovered(self) -> bool:
        """Whether packets came again after the gap."""
        return self.gap_end_ns is not None


def quantile(ordered: Sequence[float], q: float) -> float:
    """Nearest-rank quantile of sorted values: the smallest one with at least q of all at or below.

    Always a value that occurred; with few packets, the maximum.
    """
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def shortest_transit_ns(log: FlowLog) -> int:
    """Least difference of a packet's two stamps; 0 when none arrived.

    The path's shortest delay, and where the ends share no clock, their clocks' difference as well:
    in both cases a send stamp plus this is when the packet was due on the receiver's clock.
    """
    return min((a.received_ns - a.sent_ns for a in log.arrivals), default=0)


def clock_difference_ns(log: FlowLog) -> int:
    """What to add to a send stamp to put it on the receiver's clock, up to the path's delay."""
    return 0 if log.shared_clock else shortest_transit_ns(log)


def first_copies(log: FlowLog, waiting_ns: int = WAITING_TIME_NS) -> list[Arrival]:
    """First copy of each packet that arrived within the waiting time, in order of arrival.

    Send stamps are put on the receiver's clock. A number that was never sent is not ours.
    """
    difference = clock_difference_ns(log)
    seen: set[int] = set()
    kept = []
    for sequence, sent_ns, received_ns in log.arrivals:
        if sequence in seen or sequence >= len(log.sent_ns):
            continue
        seen.add(sequence)
        if received_ns - sent_ns - difference <= waiting_ns:
            kept.append(Arrival(sequence, sent_ns + difference, received_ns))
    return kept


def _duplicated(log: FlowLog) -> int:
    """Copies beyond the first of packets that were sent."""
    ours = [a.sequence for a in log.arrivals if a.sequence < len(log.sent_ns)]
    return len(ours) - len(set(ours))


def reordered(arrivals: Sequence[Arrival]) -> int:
    """Packets that are Type-P-Reordered (RFC 4737 s3.3) among first copies in arrival order."""
    expected = count = 0
    for arrival in arrivals:
        if arrival.sequence < expected:
            count += 1
        else:
            expected = arrival.sequence + 1
    return count


def jitter_ms(arrivals: Sequence[Arrival]) -> tuple[float, float] | None:
    """Mean and maximum of RFC 3550 s6.4.1's J over the packets, ms; None for fewer than two.

    J += (|D| - J) / 16 per packet in arrival order, D the change in transit time. Transit times use
    the send stamps rather than the RTP timestamps, so that a late sender adds nothing.
    """
    if len(arrivals) < 2:
        return None
    estimate = total = largest = 0.0
    transit = arrivals[0].received_ns - arrivals[0].sent_ns
    for arrival in arrivals[1:]:
        before, transit = transit, arrival.received_ns - arrival.sent_ns
        estimate += (abs(transit - before) - estimate) / 16
        total += estimate
        largest = max(largest, estimate)
    return total / (len(arrivals) - 1) / 1e6, largest / 1e6


@dataclass(frozen=True, slots=True)
class Gap:
    """A hole in a stream of times."""

    length_ns: int
    start_ns: int | None
    end_ns: int | None


def largest_gap(times_ns: Sequence[int], window: Window) -> Gap:
    """The largest hole between consecutive times (sorted here) that touches the window.

    A hole that no time closes counts up to the window's end, one that none opens from its start.
    So the window must lie within the time that the flow was sent in.
    """
    ordered = sorted(times_ns)
    best = Gap(0, None, None)
    edges: list[int | None] = [None, *ordered, None]
    for before, after in pairwise(edges):
        start = window.start_ns if before is None else before
        end = window.end_ns if after is None else after
        touches = start < window.end_ns and end > window.start_ns
        if touches and end - start > best.length_ns:
            best = Gap(end - start, before, after)
    return best


def figures(
    log: FlowLog,
    window: Window,
    codec: Codec | None = None,
    waiting_ns: int = WAITING_TIME_NS,
) -> FlowFigures:
    """All figures of one flow.

    Args:
        window: the handover, on the receiver's clock.
        codec: names the voice; without it there is no MOS.
        waiting_ns: a packet that takes longer is lost.
    """
    copies = first_copies(log, waiting_ns)
    difference, shortest = clock_difference_ns(log), shortest_transit_ns(log)
    sent_ns = [stamp + difference for stamp in log.sent_ns]
    delays = sorted(a.received_ns - a.sent_ns for a in copies)
    known = delays if log.shared_clock else []
    sent = len(sent_ns)
    got = {a.sequence for a in copies}
    jitter = jitter_ms(copies)
    gap = largest_gap([a.received_ns for a in copies], window)
    own = largest_gap(sent_ns, _sending_time(gap, copies, window))
    lost_inside = sum(
        1
        for sequence, stamp in enumerate(log.sent_ns)
        if window.start_ns <= stamp + shortest <= window.end_ns and sequence not in got
    )
    rating = _rating(sent_ns, copies, window, codec)
    return FlowFigures(
        sent=sent,
        received=len(copies),
        lost=sent - len(copies),
        duplicated=_duplicated(log),
        reordered=reordered(copies),
        refused=sum(1 for sequence in log.errors if sequence not in got),
        late=sum(1 for delay in delays if delay > PLAYOUT_NS),
        jitter_ms=jitter[0] if jitter else None,
        jitter_max_ms=jitter[1] if jitter else None,
        delay_p50_ms=quantile(known, 0.5) / 1e6 if known else None,
        delay_p95_ms=quantile(known, 0.95) / 1e6 if known else None,
        delay_max_ms=known[-1] / 1e6 if known else None,
        pdv_ms=(quantile(delays, PDV_QUANTILE) - delays[0]) / 1e6 if delays else None,
        gap_ms=max(0, gap.length_ns - log.spacing_ns) / 1e6,
        gap_start_ns=gap.start_ns,
        gap_end_ns=gap.end_ns,
        lost_gap_ms=lost_inside * log.spacing_ns / 1e6,
        sender_hole_ms=max(0, own.length_ns - log.spacing_ns) / 1e6,
        mos=None if rating is None else emodel.mos(rating),
        r=rating,
        interarrival_ms=_interarrival_ms(copies, gap),
        spacing_ms=log.spacing_ns / 1e6,
    )


def _interarrival_ms(copies: Sequence[Arrival], gap: Gap) -> float | None:
    if len(copies) < 3:
        return None
    times = [arrival.received_ns for arrival in copies]
    inside = gap.start_ns is not None and gap.end_ns is not None
    whole_ns = max(times) - min(times) - (gap.length_ns if inside else 0)
    return whole_ns / (len(times) - 1 - inside) / 1e6


def _sending_time(gap: Gap, copies: Sequence[Arrival], window: Window) -> Window:
    """When the packets round a gap were sent: from the last before it to the first after it."""
    sent_at = {a.received_ns: a.sent_ns for a in copies}
    start = window.start_ns if gap.start_ns is None else sent_at[gap.start_ns]
    end = window.end_ns if gap.end_ns is None else sent_at[gap.end_ns]
    return Window(min(start, end), max(start, end))


def _rating(
    sent_ns: Sequence[int],
    copies: Sequence[Arrival],
    window: Window,
    codec: Codec | None,
) -> float | None:
    """R of the 10 s round the handover; what misses its play-out counts as lost, as heard."""
    if codec is None or codec.ie is None or codec.bpl is None:
        return None
    middle = (window.start_ns + window.end_ns) // 2
    begin, end = middle - MOS_WINDOW_NS // 2, middle + MOS_WINDOW_NS // 2
    delays = {a.sequence: a.received_ns - a.sent_ns for a in copies}
    pattern = [
        delays.get(sequence, _NEVER_NS) > PLAYOUT_NS
        for sequence, stamp in enumerate(sent_ns)
        if begin <= stamp <= end
    ]
    heard = [
        delays[a.sequence]
        for a in copies
        if begin <= a.sent_ns <= end and delays[a.sequence] <= PLAYOUT_NS
    ]
    if not pattern:
        return None
    if not heard:
        return 0.0
    return emodel.rating(
        sum(heard) / len(heard) / 1e6,
        sum(pattern) / len(pattern),
        emodel.burst_ratio(pattern),
        ie=codec.ie,
        bpl=codec.bpl,
    )
