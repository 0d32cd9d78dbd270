"""A mobile node that nobody tells when to move: over to operator B and back, as its policy decides,
on real daemons and radios. It is the corridor's walk, at a run and from half way."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from mpa_hil import scenario
from mpa_hil.evaluation import evaluate
from mpa_hil.experiment.collect import Request, collect
from mpa_hil.policy import replay_files, replaying
from rigs.sweep import leftovers

LAB = Path(__file__).parents[3] / "lab_configs" / "corridor.toml"
LAB_ID = "walking"
SHORT = (
    "movement.waypoint.0.x_m=14",
    "movement.waypoint.1.x_m=40",
    "movement.waypoint.1.speed_mps=2.8",
    "movement.waypoint.1.pause_s=0",
    "movement.waypoint.2.x_m=12",
    "movement.waypoint.2.speed_mps=2.8",
    "movement.waypoint.2.pause_s=1",
    "flow.probe.spacing_ms=20",
    "capture.enabled=false",
    "measure.warmup_s=0.2",
    "measure.cooldown_s=0.2",
)
GAP_MS = 25.0
"""Of a switch: twice the bare one."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the run left."""
    raw, out = (tmp_path_factory.mktemp(name) for name in ("raw", "out"))
    described = scenario.load(LAB, SHORT)
    asked = Request(described, ("policy",), 1, "host", "virtual", LAB_ID)
    asyncio.run(collect(asked, raw, lambda text: None))
    evaluate(raw, described, described.lab.seed, out)
    return out


@pytest.fixture(scope="module")
def run(folder: Path) -> dict[str, Any]:
    [found] = json.loads((folder / "summary.json").read_text())["policy"]
    assert isinstance(found, dict)
    return found


def test_it_goes_and_returns_and_loses_nothing(run: dict[str, Any]) -> None:
    assert run["problems"] == []
    assert [(move["old"], move["new"]) for move in run["moves"]] == [("a1", "b1"), ("b1", "a1")]
    assert (run["network"], run["linked"], run["failed"]) == ("a1", True, 0)
    assert (run["returns"], run["full_authentications"]) == (1, 0)
    for kind in ("lost", "duplicated"):
        assert set(run[kind].values()) == {0}, kind


def test_it_goes_with_all_that_can_be_prepared(run: dict[str, Any]) -> None:
    for move in run["moves"]:
        assert move["level"] == 3
        assert max(move["gap_ms"].values()) < GAP_MS


def test_the_same_inputs_decide_the_same_again(folder: Path) -> None:
    recording = replay_files.load(folder)
    chosen = replaying.choose(recording, None, {}, str(folder))
    result = replaying.replay(recording, chosen)
    assert result.checked
    assert result.difference is None
    rules = [each.decision.rule for each in result.decisions]
    assert any(rule.startswith("switch-") for rule in rules), rules
    assert any(rule.startswith("return-") for rule in rules), rules
    assert all(each.decision.inputs for each in result.decisions)


def test_nothing_is_left_of_it(folder: Path) -> None:
    assert leftovers(LAB_ID) == []
