"""Row F10 with real processes: the wall clock jumps by an hour, back by two, and by a year, while
agents hold keys, leases, tunnels and bindings. All of that runs on the monotonic clock, so the walk
to B and back goes on as if nothing had happened.

No figures here: kernels stamp packets by the wall clock. That a clock of its own stands still, and
that nothing lives for ever, is asked of the machines alone (`tests/unit`, `tests/campaign`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from test_policy_walk import LAB, SHORT

from mpa_hil import scenario
from mpa_hil.experiment.collect import Request, collect
from mpa_hil.lab.builder import Lab, standing_lab
from rigs.sweep import leftovers

LAB_ID = "jumping"
HOUR_S, YEAR_S = 3600, 365 * 86_400
JUMPS: tuple[tuple[dict[str, Any], int], ...] = (
    ({"type": "handover.ready", "network": "b1", "level": 3}, HOUR_S),
    ({"type": "handover.finished", "network": "b1", "outcome": "moved"}, -2 * HOUR_S),
    ({"type": "handover.ready", "network": "a1", "level": 3}, YEAR_S),
)
"""What happens, and by how much the clock then jumps, one after the other."""
HELD = ("keys.released", "ca.gone", "tunnel.changed", "preauth.ended", "mip4.binding")
"""Events by which something may end."""
PATIENCE_S = 120.0


async def _jump(lab: Lab, done: list[int]) -> None:
    """Wait for each event in turn, and have the clock jump."""
    for wanted, by_s in JUMPS:

        def fits(event: dict[str, Any], wanted: dict[str, Any] = wanted) -> bool:
            return all(event.get(key) == value for key, value in wanted.items())

        await lab.mobile_node.event(wanted["type"], PATIENCE_S, since=0, matches=fits)
        time.clock_settime(time.CLOCK_REALTIME, time.time() + by_s)
        done.append(by_s)


@contextlib.asynccontextmanager
async def _clock_put_back() -> AsyncIterator[None]:
    offset_s = time.time() - time.monotonic()
    try:
        yield
    finally:
        time.clock_settime(time.CLOCK_REALTIME, time.monotonic() + offset_s)


async def _walk(raw: Path, done: list[int]) -> list[dict[str, Any]]:
    described = scenario.load(LAB, SHORT)
    asked = Request(described, ("policy",), 1, "host", "virtual", LAB_ID)
    standing = standing_lab(described, LAB_ID, lambda text: None, preauthentication=True)
    async with standing as lab, _clock_put_back():
        jumping = asyncio.create_task(_jump(lab, done))
        try:
            await collect(asked, raw, lambda text: None, lab)
        finally:
            jumping.cancel()
    lines = (raw / "runs" / "001" / "events.jsonl").read_bytes().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Of the whole walk."""
    done: list[int] = []
    found = asyncio.run(_walk(tmp_path_factory.mktemp("raw"), done))
    assert done == [by_s for _, by_s in JUMPS], "the walk had no occasion for every jump"
    return found


def test_it_walks_on(events: list[dict[str, Any]]) -> None:
    [landed] = [each for each in events if each["type"] == "pilot.landed"]
    assert (landed["network"], landed["linked"]) == ("a1", True)
    assert landed["counts"]["switches"] == 2
    assert landed["counts"]["full_authentications"] == 0
    moves = [each for each in events if each["type"] == "handover.finished"]
    moved = [(each["network"], each["level"]) for each in moves if each["outcome"] == "moved"]
    assert moved == [("b1", 3), ("a1", 3)]


def test_nothing_ends_before_its_time(events: list[dict[str, Any]]) -> None:
    ended = [each for each in events if each["type"] in HELD and _expired(each)]
    assert ended == []


def test_nothing_is_left_of_it(events: list[dict[str, Any]]) -> None:
    assert events
    assert leftovers(LAB_ID) == []


def _expired(event: dict[str, Any]) -> bool:
    told = " ".join(str(event.get(key, "")) for key in ("cause", "reason", "change"))
    return any(word in told for word in ("expired", "ran out", "lifetime", "time is up"))
