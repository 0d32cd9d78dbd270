"""A mobile node that nobody tells when to move: a policy decides, on real daemons and radios.

One guest, one walk to operator B and on to nowhere else; the walk is that of the corridor, faster.
Under the virtual clock figures repeat, so they are asserted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mpa_hil.policy import replay_files, replaying

PROJECT = Path(__file__).parents[2]
LAB = PROJECT / "lab_configs" / "corridor.toml"
BOUND_S = 1500
SETTINGS = (
    "movement.waypoint.0.x_m=14",
    "movement.waypoint.1.x_m=40",
    "movement.waypoint.1.speed_mps=2.8",
    "movement.waypoint.1.pause_s=0",
    "movement.waypoint.2.x_m=42",
    "movement.waypoint.2.speed_mps=2.8",
    "movement.waypoint.2.pause_s=0",
    "domain.B.dhcp.conflict_check=false",
    "capture.enabled=false",
)
AFFECTING_MS = 40.0
"""At the switch: twice what it takes in the guest, so that only a scan or a loss is beyond it."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # Short paths: QEMU's sockets lie in it, and a socket's path has 107 octets at most.
    with tempfile.TemporaryDirectory(prefix="mpa-p-") as temporary:
        out = Path(temporary) / "run"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "mpa_hil.cli", "run", str(LAB), "--scheme", "policy"),
                *("--rig", "guest", "--clock", "virtual", "--out", str(out), "--json"),
                *(word for one in SETTINGS for word in ("--set", one)),
            ],
            cwd=PROJECT,
            env={**os.environ, "TMPDIR": temporary},
            capture_output=True,
            text=True,
            timeout=BOUND_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        yield out


@pytest.fixture(scope="module")
def run(folder: Path) -> dict[str, Any]:
    [found] = json.loads((folder / "summary.json").read_text())["policy"]
    assert isinstance(found, dict)
    return found


def test_the_policy_takes_the_node_over_and_loses_nothing(run: dict[str, Any]) -> None:
    assert run["problems"] == []
    assert (run["network"], run["linked"], run["switches"]) == ("b1", True, 1)
    assert (run["failed"], run["full_authentications"]) == (0, 0)
    assert set(run["lost"].values()) == {0}
    assert set(run["duplicated"].values()) == {0}


def test_it_goes_with_all_that_can_be_prepared(run: dict[str, Any]) -> None:
    [move] = run["moves"]
    assert (move["old"], move["new"], move["level"]) == ("a1", "b1", 3)
    assert 0 <= max(move["gap_ms"].values()) < AFFECTING_MS
    assert (run["tunnels"], run["wasted_tunnels"], run["wasted_authentications"]) == (1, 0, 0)


def test_the_same_inputs_decide_the_same_again(folder: Path) -> None:
    recording = replay_files.load(folder)
    chosen = replaying.choose(recording, None, {}, str(folder))
    result = replaying.replay(recording, chosen)
    assert result.checked
    assert result.difference is None
    rules = [each.decision.rule for each in result.decisions]
    assert any(rule.startswith("switch-") for rule in rules), rules
