"""The two observers of each gap: the receiving socket, and a capture by another program. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from mpa_hil.evaluation.flows import Measured
from mpa_hil.evaluation.raw import RawRun, Taken
from mpa_hil.evaluation.signalling import link_of
from mpa_hil.evaluation.timeline import MOBILE_NODE
from mpa_hil.traffic.observer import (
    Agreement,
    Sighting,
    agree,
    sealed_lengths,
    sealed_times,
    sightings,
)
from mpa_hil.traffic.records import Arrival
from radios.errors import RemoteError

CORRESPONDENT = "cn"


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of a run's comparisons, one for each direction of the gap flow."""

    made: list[tuple[str, Agreement]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """What could not be compared, each with its reason."""
    notes: list[str] = field(default_factory=list)

    def add(self, other: Compared) -> None:
        """Take in what became of another handover's."""
        self.made.extend(other.made)
        self.left_out.extend(other.left_out)
        self.notes.extend(other.notes)


def compare(run: RawRun, measured: Iterable[Measured], gap_flow: str, mn: bytes) -> Compared:
    """The gap flow's gaps by socket and by capture.

    Downlink: the MN's wireless interface, or else its tunnel. Uplink: the CN's link. A capture
    that lacks packets, or was cut off before the handover was over, proves nothing: it is named
    among what could not be compared. Packets that the capture saw and the socket never got are
    noted: the receiving host itself refused them.

    Args:
        mn: the MN's MAC address.
    """
    result = Compared()
    for one in measured:
        if one.log.flow != gap_flow:
            continue
        where = f"run {run.number:03} {run.info.scheme} {one.label}"
        host = MOBILE_NODE if one.log.direction == "downlink" else CORRESPONDENT
        taken = link_of(run.captures, host) or _any_of(run.captures, host)
        record = run.mn if one.log.direction == "downlink" else run.cn
        if taken is None or record is None:
            result.left_out.append(f"{where}: nothing was captured on {host}")
            continue
        reason = _worthless(taken, one.window.end_ns + record.offset_ns)
        if reason:
            result.left_out.append(f"{where}: {reason}")
            continue
        try:
            seen = sightings(taken.capture, {one.plan.port}, record.offset_ns)
        except RemoteError as error:  # a kind of link that nobody here can read
            result.left_out.append(f"{where}: {error.what}")
            continue
        sighting = seen.get(one.plan.ssrc, Sighting(one.plan.ssrc, ()))
        if host == MOBILE_NODE:  # it may come over a tunnel that is encrypted in the air
            lengths = sealed_lengths(one.log.size_bytes)
            times = sealed_times(taken.capture, lengths, mn, record.offset_ns)
            sighting = replace(sighting, sealed_ns=times)
        gap_ms = sighting.gap_ms(one.window, one.log.spacing_ns)
        agreement = agree(one.figures.gap_ms, gap_ms, one.log.spacing_ns / 1e6)
        result.made.append((where, agreement))
        refused = _numbers(sighting.arrivals) - _numbers(one.log.arrivals)
        if refused:
            result.notes.append(
                f"{where}: packets that reached {taken.host}'s {taken.interface} but not the "
                f"receiving program: {len(refused)}, from number {min(refused)} on"
            )
    return result


def _numbers(arrivals: Iterable[Arrival]) -> set[int]:
    return {arrival.sequence for arrival in arrivals}


def _any_of(captures: Sequence[Taken], host: str) -> Taken | None:
    """A box's capture of whatever kind: a tunnel's frames begin with the IP header."""
    return next((taken for taken in captures if taken.host == host), None)


def _worthless(taken: Taken, end_realtime_ns: int) -> str:
    """Why a capture proves nothing; empty when it does."""
    name = f"the capture of {taken.host}'s {taken.interface}"
    if taken.dropped:
        return f"{name} lacks {taken.dropped} packets"
    packets = taken.capture.packets
    if taken.capture.truncated and (not packets or packets[-1].t_ns < end_realtime_ns):
        return f"{name} is cut off"
    return ""
