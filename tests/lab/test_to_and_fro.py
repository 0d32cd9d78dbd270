"""One call to and fro between two operators, every switch prepared by MPA during the call.

Four switches here; in `make campaign` a thousand, in boots of 200.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
LAB = PROJECT / "lab_configs/thousand.toml"
WHOLE = os.environ.get("MPA_HIL_CAMPAIGN") == "whole"
BOOTS = 5 if WHOLE else 1
RUNS, ROUND_TRIPS = (10, 10) if WHOLE else (1, 2)
BOUND_S = 7200 if WHOLE else 1200
LONGEST_MS = 25.0
"""Of any switch's blackout: twice the usual one is two ticks of the kernel that were missed."""


def run(seed: int) -> dict[str, Any]:
    # Short paths: QEMU's sockets lie in it, and a socket's path has 107 octets at most.
    with tempfile.TemporaryDirectory(prefix="mpa-t-") as folder:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "mpa_hil.cli", "run", str(LAB), "--scheme", "mpa"),
                *("--rig", "guest", "--clock", "virtual", "--json", "--out", f"{folder}/out"),
                *("--seed", str(seed), "--repeat", str(RUNS)),
                *("--set", f"movement.repeat={ROUND_TRIPS}", "--set", "measure.null_run=false"),
            ],
            cwd=PROJECT,
            env={**os.environ, "TMPDIR": folder},
            capture_output=True,
            text=True,
            timeout=BOUND_S,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("seed", range(1, BOOTS + 1))
def test_nothing_is_lost_and_nothing_grows(seed: int) -> None:
    summary = run(seed)
    runs = summary["schemes"]["mpa"]["runs"]
    assert len(runs) == RUNS
    for one in runs:
        assert one["ok"], one["error"]
        assert len(one["switches"]) == 2 * ROUND_TRIPS
        for flow in one["flows"].values():
            for direction in ("downlink", "uplink"):
                for kind in ("lost", "duplicated", "reordered"):
                    assert flow[direction][kind] == 0, (kind, direction)
        for number, switch in enumerate(one["switches"]):
            there = number % 2 == 0
            assert (switch["old"], switch["new"]) == (("a1", "b1") if there else ("b1", "a1"))
            assert 0 < switch["gap_ms"]["downlink"] < LONGEST_MS
    checks = {check["name"]: check for check in summary["verdict"]["checks"]}
    grows = checks["nothing grows over the switches"]
    assert grows["passed"], grows["detail"]
