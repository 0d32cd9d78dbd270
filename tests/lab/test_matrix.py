"""MPA over both versions of IP, with each protection of its tunnel, leased and self-made addresses,
with and without route optimisation: nothing is lost, doubled or overtaken.

A corner that differs much from what other tests run; the whole matrix in
`make campaign`.
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

from mpa_hil import scenario

PROJECT = Path(__file__).parents[2]
LAB = PROJECT / "lab_configs/matrix.toml"
WHOLE = os.environ.get("MPA_HIL_CAMPAIGN") == "whole"
CORNERS = ("v6-leased",)
CHEAP = ("--set", "flow.probe.codec=probe-2ms")
BOUND_S = 7200 if WHOLE else 1200


def columns() -> dict[str, str]:
    """Scheme of each column that is run, by name."""
    compare = scenario.load(LAB, ()).compare
    assert compare is not None
    every = {column.name: column.scheme for column in compare.columns}
    return every if WHOLE else {name: every[name] for name in CORNERS}


@pytest.fixture(scope="module")
def compared() -> Iterator[dict[str, Any]]:
    # Short paths: QEMU's sockets lie in it, and a socket's path has 107 octets at most.
    with tempfile.TemporaryDirectory(prefix="mpa-m-") as folder:
        wanted = (word for name in columns() for word in ("--column", name))
        done = subprocess.run(
            [
                *(sys.executable, "-m", "mpa_hil.cli", "compare", str(LAB), "--json"),
                *("--rig", "guest", "--clock", "virtual", "--out", f"{folder}/out"),
                *wanted,
                *(() if WHOLE else CHEAP),
            ],
            cwd=PROJECT,
            env={**os.environ, "TMPDIR": folder},
            capture_output=True,
            text=True,
            timeout=BOUND_S,
            check=False,
        )
        assert done.stdout, done.stderr[-2000:]
        yield json.loads(done.stdout)


@pytest.mark.parametrize("name", columns())
def test_the_column(compared: dict[str, Any], name: str) -> None:
    column = next(each for each in compared["columns"] if each["name"] == name)
    assert not column["errors"]
    assert not column["refused"]
    assert column["runs"] == 1
    if columns()[name] == "mpa":
        figures = {kind: one["maximum"] for kind, one in column["figures"].items()}
        for kind in ("lost_down", "lost_up", "duplicated", "reordered"):
            assert figures[kind] == 0, kind
        assert figures["buffered_packets"] > 0
        assert figures["gap_down_ms"] < 25
        assert figures["gap_up_ms"] < 25


def test_every_check_held(compared: dict[str, Any]) -> None:
    assert len(compared["checks"]) == 4 * sum(scheme == "mpa" for scheme in columns().values())
    assert all(check["passed"] for check in compared["checks"]), compared["checks"]
