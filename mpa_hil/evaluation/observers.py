"""The two observers of each gap: the receiving socket, and a capture by another program. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mpa_hil.evaluation.flows import Measured
from mpa_hil.evaluation.raw import RawRun, Taken
from mpa_hil.evaluation.signalling import link_of
from mpa_hil.evaluation.timeline import MOBILE_NODE
from mpa_hil.traffic.observer import Agreement, Sighting, agree, sightings
from radios.errors import RemoteError

CORRESPONDENT = "cn"


def compare(
    run: RawRun, measured: Iterable[Measured], gap_flow: str
) -> tuple[list[tuple[str, Agreement]], list[str]]:
    """The gap flow's gaps by socket and by capture: comparisons made, and those that could not be.

    Downlink: the MN's wireless interface, or else its tunnel. Uplink: the CN's link. A capture
    that lacks packets, or was cut off before the handover was over, proves nothing: it is named
    among what could not be compared.
    """
    made: list[tuple[str, Agreement]] = []
    left_out: list[str] = []
    for one in measured:
        if one.log.flow != gap_flow:
            continue
        where = f"run {run.number:03} {run.info.scheme} {one.label}"
        host = MOBILE_NODE if one.log.direction == "downlink" else CORRESPONDENT
        taken = link_of(run.captures, host) or _any_of(run.captures, host)
        record = run.mn if one.log.direction == "downlink" else run.cn
        if taken is None or record is None:
            left_out.append(f"{where}: nothing was captured on {host}")
            continue
        reason = _worthless(taken, one.window.end_ns + record.offset_ns)
        if reason:
            left_out.append(f"{where}: {reason}")
            continue
        try:
            seen = sightings(taken.capture, {one.plan.port}, record.offset_ns)
        except RemoteError as error:  # a kind of link that nobody here can read
            left_out.append(f"{where}: {error.what}")
            continue
        sighting = seen.get(one.plan.ssrc, Sighting(one.plan.ssrc, ()))
        gap_ms = sighting.gap_ms(one.window, one.log.spacing_ns)
        made.append((where, agree(one.figures.gap_ms, gap_ms, one.log.spacing_ns / 1e6)))
    return made, left_out


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
