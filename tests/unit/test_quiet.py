"""A scan with packets held at both ends, against a path and a tunnel that only take notes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from mpa_hil.agents.quiet import quietly
from mpa_hil.agents.switch_path import SwitchPath
from mpa_hil.kernel.node_tunnel import NodeTunnel


class Path:
    def __init__(self, notes: list[str]) -> None:
        self.notes = notes

    def prepare(self) -> None:
        self.notes.append("prepare")

    async def holding(self, bound_s: float, round_trip_s: float) -> bool:
        assert bound_s > round_trip_s
        self.notes.append("hold")
        return True

    async def resumed(self, bound_s: float) -> bool:
        self.notes.append("resume")
        return True


class Tunnel:
    def __init__(self, notes: list[str], waiting: int = 0) -> None:
        self.notes, self.waiting = notes, waiting

    def turn(self) -> None:
        self.notes.append("turn")

    def back(self) -> None:
        self.notes.append("back")

    def restage(self) -> bool:
        self.notes.append("restage")
        self.waiting -= 1
        return self.waiting < 0


def gone_through(notes: list[str], work: Callable[[list[Any]], Any], waiting: int = 0) -> list[str]:
    """What was done, in its order; `work` may take the tunnel out of its list."""
    tunnels: list[Any] = [Tunnel(notes, waiting)]

    async def body() -> None:
        def tunnel() -> NodeTunnel | None:
            return cast(NodeTunnel, tunnels[0]) if tunnels else None

        async def scan() -> None:
            notes.append("scan")
            work(tunnels)

        await quietly(scan(), cast(SwitchPath, Path(notes)), tunnel, 0.02)

    asyncio.run(body())
    return notes


def test_both_ends_hold_before_the_radio_goes_and_go_on_after_it() -> None:
    notes = gone_through([], lambda _: None)
    assert notes == ["prepare", "hold", "turn", "scan", "back", "resume", "restage"]


def test_it_is_over_when_nothing_waits_any_more() -> None:
    notes = gone_through([], lambda _: None, waiting=3)
    assert notes[-5:] == ["resume", *["restage"] * 4]


def test_a_tunnel_that_is_taken_away_meanwhile_is_left_alone() -> None:
    notes = gone_through([], lambda tunnels: tunnels.clear())
    assert notes == ["prepare", "hold", "turn", "scan"]


def test_a_scan_that_fails_leaves_nothing_held() -> None:
    def fail(_: list[Any]) -> None:
        raise RuntimeError("busy")

    notes: list[str] = []
    with pytest.raises(RuntimeError):
        gone_through(notes, fail)
    assert notes == ["prepare", "hold", "turn", "scan", "back", "resume", "restage"]
