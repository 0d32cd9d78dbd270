"""Walks that differ in way, seed and policy share a lab; nothing else does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mpa_hil import scenario
from mpa_hil.experiment import series, shared
from mpa_hil.experiment.collect import Request
from radios.errors import RemoteError

LABS = Path(__file__).parents[2] / "lab_configs"
SPEED = "movement.waypoint.1.speed_mps="


def request(*settings: str, lab: str = "speeds", schemes: tuple[str, ...] = ("policy",)) -> Request:
    described = scenario.load(LABS / f"{lab}.toml", settings)
    return Request(described, schemes, 1, "guest", "virtual", "run")


def test_what_a_lab_is_built_from() -> None:
    one = shared.foundation(request())
    assert one is not None
    for other in (f"{SPEED}30", "lab.seed=9", "policy.name=fixed", "movement.waypoint.0.x_m=4"):
        assert shared.foundation(request(other)) == one, other
    for other in ("link.home.delay_ms=67", "domain.A.ap.a1.channel=11", "movement.lost_dbm=-80"):
        assert shared.foundation(request(other)) != one, other
    assert shared.foundation(request(schemes=("policy", "reactive"))) is None
    assert shared.foundation(request(lab="two_domains", schemes=("mpa",))) is None


class World:
    """Labs that are built, and what was collected on which."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, deadly: tuple[int, ...] = ()) -> None:
        self.built = self.standing = 0
        self.taken: list[tuple[int, float | None]] = []
        self.deadly = deadly
        monkeypatch.setattr(shared, "standing_lab", self.standing_lab)
        monkeypatch.setattr(series, "collect", self.collect)

    @contextlib.asynccontextmanager
    async def standing_lab(self, first: Any, *_: Any, **__: Any) -> AsyncIterator[Any]:
        self.built += 1
        self.standing += 1
        assert self.standing == 1, "two labs at once"
        air = SimpleNamespace(retrace=lambda _scenario: None)
        yield SimpleNamespace(scenario=first, number=self.built, broken=False, air=air)
        self.standing -= 1

    async def collect(self, asked: Request, _out: Path, _say: Any, lab: Any) -> None:
        speed = asked.scenario.movement.waypoints[1].speed_mps
        self.taken.append((0 if lab is None else lab.number, speed))
        if lab is None:
            assert not self.standing, "a lab of its own beside another"
        else:
            assert lab.scenario is asked.scenario
        if len(self.taken) in self.deadly:
            lab.broken = True
            raise RemoteError("a daemon died", where="mn")

    def run(self, requests: Sequence[Request], out: Path) -> int:
        return asyncio.run(series.collect_all(requests, out, lambda _text: None))


def test_speeds_share_a_lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world = World(monkeypatch)
    assert world.run([request(f"{SPEED}{speed}") for speed in (3, 12, 60)], tmp_path) == 0
    assert world.taken == [(1, 3), (1, 12), (1, 60)]
    assert world.standing == 0


def test_who_is_alone_builds_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world = World(monkeypatch)
    far = request("link.home.delay_ms=67")
    world.run([request(), far, request(f"{SPEED}12")], tmp_path)
    assert [lab for lab, _ in world.taken] == [1, 0, 2]


def test_a_lab_that_ended_is_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world = World(monkeypatch, deadly=(2,))
    assert world.run([request(f"{SPEED}{speed}") for speed in (3, 12, 60)], tmp_path) == 1
    assert [lab for lab, _ in world.taken] == [1, 1, 2]
    assert b"a daemon died" in (series.folder(tmp_path, 1) / "failure.json").read_bytes()
