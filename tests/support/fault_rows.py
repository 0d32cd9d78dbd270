"""Every fault that is tried on a whole lab: rows F1 to F5, F7, F11 of what must be survived."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from campaign import runs

from mpa_hil.scenario.faults import STEP_OF

Row = dict[str, Any]
"""One `[[fault]]` table."""

STEPS = ("pana-answer", "configure", "create", "registration", "disable", "leave", "arrived")
"""A message of each step of RFC 6252 s6.3, and of each half of the second."""
AGENTS = ("B-aa", "B-ca", "B-ar", "home-agent")
RESTART_MS, AWAY_MS = 300, 3000
SPOILT = ("configure", "configure-answer", "create", "create-answer", "disable", "arrived")
MOVED, STAYED = "moved", "stayed"


def killed() -> Iterator[Row]:
    """F1: each agent at each step, and some that come back at once."""
    for at in STEPS:
        for agent in AGENTS:
            row = {"name": f"{agent}-killed-at-{at}", "what": "kill", "target": agent, "at": at}
            # Without a home agent no handover at all can succeed.
            yield row | ({"restart_ms": AWAY_MS} if agent == "home-agent" else {})
    for at in ("configure", "create", "disable", "leave", "arrived"):
        for agent in ("B-ca", "B-ar", "home-agent"):
            yield {
                "name": f"{agent}-restarted-at-{at}",
                "what": "kill",
                "target": agent,
                "at": at,
                "restart_ms": RESTART_MS,
            }
    yield {"name": "radius-killed", "what": "kill", "target": "B-aaa", "at": "radius-request"}
    yield {"name": "ep-killed", "what": "kill", "target": "b1-ep", "at": "keys-to-ap"}
    yield {"name": "dhcp-killed", "what": "kill", "target": "B-dhcp", "at": "dhcp-discover"}


def stopped() -> Iterator[Row]:
    """F11: an agent that is not there for a while, as on a machine that is out of something."""
    for at in ("create", "disable", "leave", "arrived"):
        yield {
            "name": f"ar-stopped-at-{at}",
            "what": "stop",
            "target": "B-ar",
            "at": at,
            "for_ms": 300,
        }


def messages() -> Iterator[Row]:
    """F3: every message lost, doubled, two seconds late; some spoilt."""
    for at in STEP_OF:
        for what in ("lose", "duplicate", "delay"):
            yield {"name": f"{what}-{at}", "what": what, "at": at}
    for at in SPOILT:
        yield {"name": f"corrupt-{at}", "what": "corrupt", "at": at}


def networks() -> Iterator[Row]:
    """F4, F5, F7 and what else a network can refuse."""
    yield {"name": "association-refused", "what": "refuse", "target": "b1", "at": "prepared"}
    for at in ("disable", "leave", "arrived"):
        yield {"name": f"ap-killed-at-{at}", "what": "kill", "target": "b1-hostapd", "at": at}
    for at in ("configure", "prepared"):
        yield {"name": f"old-ap-killed-at-{at}", "what": "kill", "target": "a1-hostapd", "at": at}
    yield {"name": "pool-empty", "what": "pool-empty"}
    yield {"name": "duplicate-address", "what": "duplicate-address"}
    yield {"name": "tunnel-refused", "what": "tunnel-refused"}
    yield {"name": "binding-rejected", "what": "corrupt", "at": "registration"}


def link_daemons() -> Iterator[Row]:
    """F2: what drives the radios dies, and is started again."""
    for target, moments in (
        ("mn-supplicant", ("configure", "disable", "leave", "arrived")),
        ("b1-hostapd", ("configure", "disable", "leave", "arrived")),
        ("a1-hostapd", ("configure", "leave")),
    ):
        for at in moments:
            yield {
                "name": f"{target}-restarted-at-{at}",
                "what": "kill",
                "target": target,
                "at": at,
                "restart_ms": RESTART_MS,
            }


STAYING = frozenset(
    {
        # B takes nobody, or gives nobody an address.
        "association-refused",
        "radius-killed",
        "dhcp-killed",
        "pool-empty",
        # Its access point is gone, or forgets who has just come.
        *(f"ap-killed-at-{at}" for at in ("disable", "leave", "arrived")),
        *(f"b1-hostapd-restarted-at-{at}" for at in ("disable", "leave", "arrived")),
        # Its router does not answer when it is asked to hold, and again not afterwards.
        *(f"B-ar-{what}-at-disable" for what in ("killed", "restarted")),
        "ar-stopped-at-disable",
        # It dies with what it holds, and what it holds is all there is.
        "B-ar-killed-at-arrived",
    }
)
"""Where B will not do, the node must be on A."""
EITHER = frozenset(f"mn-supplicant-restarted-at-{at}" for at in ("disable", "leave", "arrived"))
"""Which of the two comes first does not matter: the node itself was away for a second."""
UNHEARD = frozenset({"take-over", "take-over-answer"})
"""Messages that a handover by tunnel does not have."""


def end(name: str) -> str:
    """Where the node must be."""
    if name in EITHER:
        return "any"
    return STAYED if name in STAYING else MOVED


def rows() -> list[Row]:
    """All of them."""
    found = [*networks(), *killed(), *link_daemons(), *stopped(), *messages()]
    return [{**row, "end": end(str(row["name"]))} for row in found if row.get("at") not in UNHEARD]


USUAL = (
    "association-refused",
    "binding-rejected",
    "ap-killed-at-disable",
    "B-ar-killed-at-create",
    "B-ca-killed-at-configure",
    "B-aa-killed-at-pana-answer",
    "lose-arrived",
    "duplicate-address",
)
"""One of each kind, each over in some seconds."""


def due() -> list[Row]:
    """Those of this campaign: the usual ones, or all."""
    every = rows()
    if runs(len(every)) == len(every):
        return every
    return [row for name in USUAL for row in every if row["name"] == name]


def tables(wanted: list[Row]) -> str:
    """As a lab file has them."""
    return "\n".join(
        "[[fault]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in row.items())
        for row in wanted
    )
