"""What was held while the link switched, as the boxes that held it tell in their events. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from mpa_hil.evaluation.timeline import MOBILE_NODE, Span, Timeline
from mpa_hil.events import AnyEvent
from mpa_hil.report.run_parts import HoldSummary


def held(
    events: Iterable[AnyEvent], span: Span, timeline: Timeline | None = None
) -> dict[str, HoldSummary]:
    """What was held and then released within a stretch of time, by place; nothing held: absent.

    Whoever released packets says so in an event with `held_ns`. The MN holds its uplink ("uplink"),
    routers what comes for it: the one that was left ("old"), and all others ("downlink"). Of
    several who held in one place, packets add up; the times are of who held for longest. They end
    when the order to release is given: the first packet leaves while the kernel carries it out.

    Args:
        timeline: the handover that they held for; None: their clocks are not the MN's.
    """
    found: dict[str, HoldSummary] = {}
    for event in events:
        held_ns: int = getattr(event, "held_ns", 0)
        if not held_ns or event.t_ns not in span:
            continue
        place = "uplink" if event.host == MOBILE_NODE else "downlink"
        if getattr(event, "detained", False):
            place = "old"
        before = found.get(place, HoldSummary(0, 0, 0.0))
        released_ns = event.t_ns - getattr(event, "act_ns", 0)
        one = HoldSummary(
            packets=before.packets + getattr(event, "held_packets", 0),
            dropped=before.dropped + getattr(event, "dropped_packets", 0),
            ms=held_ns / 1e6,
            release_ms=_release_ms(released_ns, timeline),
            drain_ms=_drain_ms(released_ns - held_ns, timeline),
        )
        if before.ms > one.ms:
            one = msgspec.structs.replace(before, packets=one.packets, dropped=one.dropped)
        found[place] = one
    return found


def with_ahead(
    found: dict[str, HoldSummary], events: Iterable[AnyEvent], trigger_ns: int
) -> dict[str, HoldSummary]:
    """With what was held before the handover began ("ahead"): while the radio looked for the next
    access point. Packets add up over all places and times; the time is the longest."""
    ahead = held(events, Span(0, trigger_ns - 1)).values()
    if not any(one.packets or one.dropped for one in ahead):
        return found
    total = HoldSummary(
        packets=sum(one.packets for one in ahead),
        dropped=sum(one.dropped for one in ahead),
        ms=max(one.ms for one in ahead),
    )
    return {**found, "ahead": total}


def _release_ms(at_ns: int, timeline: Timeline | None) -> float | None:
    opened_ns = None if timeline is None else timeline.port_open_ns
    return None if opened_ns is None else (at_ns - opened_ns) / 1e6


def _drain_ms(began_ns: int, timeline: Timeline | None) -> float | None:
    drained_ns = None if timeline is None else timeline.drained_ns
    if drained_ns is None or drained_ns < began_ns:
        return None
    return (drained_ns - began_ns) / 1e6
