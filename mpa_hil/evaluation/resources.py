"""Whether agents and kernels hold more and more, over runs of several switches each. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mpa_hil.events import RunResources
from mpa_hil.report.verdict import Check

NAME = "nothing grows over the switches"
SLACK_KIB = 1024
"""What an agent may grow in all after its first run: an allocator takes memory by the MiB."""
SLOPE_KIB = 2.0
"""And for each switch: below what one session, key or tunnel that is kept by mistake would take."""


@dataclass(frozen=True, slots=True)
class Held:
    """What was held after one run."""

    lab: str
    """Which of the labs that stand side by side."""
    number: int
    switches: int
    found: RunResources


def check(runs: Iterable[Held]) -> Check | None:
    """None: no run had several switches."""
    every = list(runs)
    if not every:
        return None
    for one in every:
        if one.found.left:
            more = f" and {len(one.found.left) - 1} more" if len(one.found.left) > 1 else ""
            return Check(NAME, False, f"after run {one.number:03}: {one.found.left[0]}{more}")
    grown = dict(_growth(every))
    for agent, (kib, switches) in grown.items():
        if kib > SLACK_KIB + SLOPE_KIB * switches:
            return Check(NAME, False, f"{agent}: {kib:+} KiB over {switches} switches")
    detail = f"nothing is left in any box after {len(every)} runs"
    if grown:
        agent, (kib, switches) = max(grown.items(), key=lambda entry: entry[1][0])
        detail += f"; most memory: {agent} {kib:+} KiB over {switches} switches"
    return Check(NAME, True, detail)


def _growth(every: list[Held]) -> Iterable[tuple[str, tuple[int, int]]]:
    """By agent: KiB from after the first run with switches to after the last, and the switches
    between. Before that the agents have not done yet what they do at a switch."""
    switching = [one for one in every if one.switches]
    for lab in dict.fromkeys(one.lab for one in switching):
        first, *later = [one for one in switching if one.lab == lab]
        if not later:
            continue
        switches = sum(one.switches for one in later)
        last = later[-1].found.rss_kib
        for agent, kib in first.found.rss_kib.items():
            if last.get(agent):
                yield agent, (last[agent] - kib, switches)
