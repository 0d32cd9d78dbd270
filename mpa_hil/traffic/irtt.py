"""irtt as the prober that nobody here wrote: commands to run it, and its JSON as flow logs.

The client stands at the CN and the server at the MN, so a request travels the downlink and its
answer the uplink. That makes irtt a *round-trip* prober: an answer exists only where a request
arrived, and is sent when it arrived. Hence:

* downlink figures are as good as a one-way flow's (up to irtt's own pacing, which see below);
* uplink figures are conditional on the downlink. A request lost on its way down is *not* an uplink
  loss, and an uplink gap contains the downlink's. `IrttRun.uplink_confounded` says when that
  happened; the uplink gap is then an upper bound only, and the tool's own ``probe-1ms`` flow, one
  way and paced at the MN, is the one to be believed.

irtt 0.9.0 leaves out intervals that its timer missed and numbers only what it sent; on a machine
with a coarse timer, 15 % of the slots at 1 ms were left out. `IrttRun.missed` counts them.

irtt stamps in user space, with the wall clock (used here) and a monotonic clock counted from each
process's own start (no use for one-way delay).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mpa_hil.traffic.records import Arrival, FlowLog
from radios.errors import RemoteError

PORT = 2112
"""irtt's registered port."""


@dataclass(frozen=True, slots=True)
class IrttRun:
    """One irtt client run as two one-way logs."""

    downlink: FlowLog
    """Requests, client to server."""
    uplink: FlowLog
    """Answers, server to client: only those of requests that arrived."""
    uplink_confounded: bool
    """A request was lost (also: in a direction unknown to irtt), or was later than an interval, so
    that the uplink's holes are not all its own."""
    estimated: int
    """Requests known to have arrived, though their answer was lost and with it the stamps: they are
    entered as arrived after the shortest delay seen, and their answers as sent then."""
    missed: int
    """Slots in which the client's timer sent nothing."""


def server_command(address: str, port: int = PORT, *, interval_ms: float = 0.5) -> tuple[str, ...]:
    """Arguments to run the server on one address, allowing intervals down to `interval_ms`."""
    # Without -i the server refuses anything faster than 10 ms.
    return ("irtt", "server", "-b", f"{address}:{port}", "-i", f"{interval_ms}ms")


def client_command(
    address: str,
    port: int = PORT,
    *,
    duration_s: float,
    interval_ms: float = 1.0,
    output: str,
) -> tuple[str, ...]:
    """Arguments to run the client for `duration_s`, writing its JSON to `output`.

    It waits 3 s for the last answers, the waiting time after which a packet counts as lost.
    """
    return (
        *("irtt", "client", "-Q", "-i", f"{interval_ms}ms", "-d", f"{duration_s}s"),
        *("--wait=3s", "--stats=both", "--tstamp=both", "--clock=both"),
        *("-o", output, f"{address}:{port}"),
    )


def parse(data: bytes, *, offset_ns: int = 0, where: str = "irtt output") -> IrttRun:
    """Read a client's JSON.

    Args:
        data: the uncompressed file.
        offset_ns: CLOCK_REALTIME less CLOCK_MONOTONIC, to put its stamps on CLOCK_MONOTONIC.

    Raises:
        RemoteError: not irtt's JSON, or taken without stamps at both ends.
    """
    try:
        document: dict[str, Any] = json.loads(data)
        trips: list[dict[str, Any]] = document["round_trips"]
        params: dict[str, Any] = document["config"]["params"]
        spacing_ns, size = int(params["interval"]), int(params["length"])
        requests: list[int] = []
        answers: list[int] = []
        down: list[Arrival] = []
        up: list[Arrival] = []
        unanswered: list[int] = []
        confounded = False
        for number, trip in enumerate(trips):
            client, server = trip["timestamps"]["client"], trip["timestamps"].get("server", {})
            sent = client["send"]["wall"] - offset_ns
            reached = _wall(server, "receive", offset_ns)
            answered = _wall(server, "send", offset_ns)
            returned = _wall(client, "receive", offset_ns)
            requests.append(sent)
            if reached is not None:
                down.append(Arrival(number, sent, reached))
                confounded |= reached - sent > spacing_ns
                if answered is not None and returned is not None:
                    up.append(Arrival(len(answers), answered, returned))
                    answers.append(answered)
            elif trip["lost"] == "true_down":
                unanswered.append(number)
            else:
                confounded = True
        # Stamps travel in the answer, so an answer that was lost takes its request's with it.
        quickest = min((a.received_ns - a.sent_ns for a in down), default=0)
        for number in unanswered:
            arrived = requests[number] + quickest
            down.append(Arrival(number, requests[number], arrived))
            answers.append(arrived)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise RemoteError(
            f"not the JSON of an irtt client ({type(error).__name__}: {error})",
            where=where,
            remedy="run the client with -o FILE --tstamp=both --clock=both",
        ) from None
    slots = round((requests[-1] - requests[0]) / spacing_ns) + 1 if requests else 0
    return IrttRun(
        downlink=_log("downlink", spacing_ns, size, requests, down),
        uplink=_log("uplink", spacing_ns, size, answers, up),
        uplink_confounded=confounded,
        estimated=len(unanswered),
        missed=max(0, slots - len(requests)),
    )


def _wall(side: dict[str, Any], event: str, offset_ns: int) -> int | None:
    """One wall-clock stamp, or None where it was not taken (absent or zero)."""
    stamp: int = side.get(event, {}).get("wall", 0)
    return stamp - offset_ns if stamp else None


def _log(
    direction: str, spacing_ns: int, size: int, sent: list[int], arrivals: list[Arrival]
) -> FlowLog:
    ordered = sorted(arrivals, key=lambda a: a.received_ns)
    return FlowLog("irtt", direction, spacing_ns, size, sent, ordered)
