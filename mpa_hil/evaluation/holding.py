"""What was held while the link switched, as the boxes that held it tell in their events. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from mpa_hil.evaluation.timeline import MOBILE_NODE, Span
from mpa_hil.events import AnyEvent
from mpa_hil.report.run_parts import HoldSummary


def held(events: Iterable[AnyEvent], span: Span) -> dict[str, HoldSummary]:
    """What was held and then released within a stretch of time, by place; nothing held: absent.

    Whoever released packets says so in an event with `held_ns`. The MN holds its uplink ("uplink"),
    routers what comes for it: the one that was left ("old"), and all others ("downlink"). Of
    several who held in one place, packets add up; the time is the longest.
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
        found[place] = HoldSummary(
            packets=before.packets + getattr(event, "held_packets", 0),
            dropped=before.dropped + getattr(event, "dropped_packets", 0),
            ms=max(before.ms, held_ns / 1e6),
        )
    return found
