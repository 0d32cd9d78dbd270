"""Whole runs in which something goes wrong (F1-F5, F7, F11), through the command line: whatever it
is, the node ends on one network and bound there, packets flow, and no kernel keeps anything.

One row of each kind; all of them in `make campaign`. docs/faults.md has the rows.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from fault_rows import Row, due, rows, tables

PROJECT = Path(__file__).parents[2]
LAB = PROJECT / "lab_configs" / "faults.toml"
ROWS = due()
PER_BOOT = 24
"""Rows that share a boot and a reactive handover to be compared with."""
BOOTS = [ROWS[at : at + PER_BOOT] for at in range(0, len(ROWS), PER_BOOT)]
BOUND_S, ROW_BOUND_S = 600, 90
"""For a boot with its two handovers, and for each row: some ten times what they take."""

Found = dict[str, dict[str, Any]]
"""The runs of `summary.json`, by fault."""


@functools.cache
def tried(boot: int) -> tuple[Found, str]:
    """What came of the rows of a boot, and its last words; each boot once."""
    rows = BOOTS[boot]
    # Short paths: QEMU's sockets lie in it, and a socket's path has 107 octets at most.
    with tempfile.TemporaryDirectory(prefix="mpa-f-") as folder:
        lab = Path(folder) / "faults.toml"
        lab.write_text(LAB.read_text("utf-8").split("[[fault]]")[0] + tables(rows), "utf-8")
        command = [sys.executable, "-m", "mpa_hil.cli", "run", str(lab), "--json"]
        try:
            done = subprocess.run(
                [*command, "--rig", "guest", "--clock", "virtual", "--out", f"{folder}/out"],
                cwd=PROJECT,
                env={**os.environ, "TMPDIR": folder},
                capture_output=True,
                text=True,
                timeout=BOUND_S + ROW_BOUND_S * len(rows),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            return {}, str(error)
    if not done.stdout:
        return {}, done.stderr[-3000:]
    return {run["fault"]: run for run in json.loads(done.stdout)["faults"]}, done.stderr[-3000:]


@pytest.mark.parametrize(
    ("boot", "row"),
    [
        pytest.param(boot, row, id=str(row["name"]))
        for boot, rows in enumerate(BOOTS)
        for row in rows
    ],
)
def test_it_ends_as_it_must(boot: int, row: Row) -> None:
    found, words = tried(boot)
    assert row["name"] in found, words
    run = found[row["name"]]
    assert not run["problems"], run
    assert run["limit_ms"] is not None


@pytest.mark.parametrize("boot", range(len(BOOTS)))
def test_a_fault_costs_the_prepared_node_no_packets_twice(boot: int) -> None:
    """Nothing is delivered twice, whatever was sent twice on the way to it."""
    found, words = tried(boot)
    assert found, words
    assert {name: run["duplicated"] for name, run in found.items() if any_of(run)} == {}


def any_of(run: dict[str, Any]) -> bool:
    return any(run["duplicated"].values())


def test_the_lab_file_as_it_stands_has_rows_of_the_campaign() -> None:
    """What a reader runs first is what is tested."""
    import tomllib

    known = {row["name"]: row for row in rows()}
    for fault in tomllib.loads(LAB.read_text("utf-8"))["fault"]:
        assert fault == {key: known[fault["name"]][key] for key in fault}
