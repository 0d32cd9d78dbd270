"""Where packets wait: at either router, at both, both ways at once, or by each flow's own wish.

Whole runs through the command line, all on one boot. Under the virtual clock figures repeat, so
they are asserted.
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

PROJECT = Path(__file__).parents[2]
BOUND_S = 1200
COLUMNS = ("old", "both", "bicast", "mixed", "after", "small")
FORWARDED_MS = 60.0
"""From the opening of B's port: two round trips to A's router of 20 ms each, and the agents."""


@pytest.fixture(scope="module")
def out() -> Iterator[Path]:
    # Short paths: QEMU's sockets lie in it, and a socket's path has 107 octets at most.
    with tempfile.TemporaryDirectory(prefix="mpa-") as folder:
        yield Path(folder) / "held"


@pytest.fixture(scope="module")
def compared(out: Path) -> dict[str, Any]:
    temporary = out.parent / "tmp"
    temporary.mkdir()
    chosen = (word for name in COLUMNS for word in ("--column", name))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mpa_hil.cli", "compare", "lab_configs/holding.toml"),
            *("--rig", "guest", "--clock", "virtual", "--repeat", "1", "--json"),
            *("--out", str(out), *chosen),
        ],
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def figures(compared: dict[str, Any], name: str) -> dict[str, float]:
    column = next(each for each in compared["columns"] if each["name"] == name)
    assert not column["errors"], column["errors"]
    return {figure: each["median"] for figure, each in column["figures"].items()}


def run(out: Path, name: str) -> dict[str, Any]:
    """The only run of a column."""
    summary = json.loads((out / name / "summary.json").read_bytes())
    (scheme,) = summary["schemes"].values()
    found: dict[str, Any] = scheme["runs"][0]
    return found


def lost(out: Path, name: str, way: str = "downlink") -> dict[str, int]:
    """By flow."""
    return {flow: each[way]["lost"] for flow, each in run(out, name)["flows"].items()}


def changed(out: Path, name: str, **fields: object) -> list[dict[str, Any]]:
    lines = (out / name / "events.jsonl").read_bytes().splitlines()
    events = [json.loads(line) for line in lines]
    changes = [each for each in events if each["type"] == "tunnel.changed"]
    return [each for each in changes if all(each.get(k) == v for k, v in fields.items())]


@pytest.mark.parametrize("name", ["old", "both", "after"])
def test_what_waits_is_not_lost(compared: dict[str, Any], out: Path, name: str) -> None:
    assert set(lost(out, name).values()) == {0}
    assert figures(compared, name)["duplicated"] == 0


def test_at_the_router_that_is_left(compared: dict[str, Any], out: Path) -> None:
    """It forwards in order what it has, by the long way; nothing waits at the next router."""
    for name in ("old", "after"):
        (forwarding,) = changed(out, name, detained=True, cause="enable")
        assert forwarding["host"] == "A-router"
        assert forwarding["held_packets"] > 10
        assert forwarding["dropped_packets"] == 0
        held = run(out, name)["hold"]
        assert set(held) - {"uplink"} == {"old"}
        assert held["old"]["ms"] < figures(compared, name)["gap_down_ms"] + 2 * FORWARDED_MS


def test_at_both(compared: dict[str, Any], out: Path) -> None:
    """What is bound for the new address waits at the next one, so nothing is overtaken."""
    assert figures(compared, "both")["reordered"] == 0
    assert changed(out, "both", detained=True, state="holding")
    assert run(out, "both")["hold"]["downlink"]["packets"] > 5


def test_both_ways_at_once(compared: dict[str, Any], out: Path) -> None:
    """Nothing waits and nothing is late; what is sent while the node is nowhere is lost (R74)."""
    assert changed(out, "bicast", state="bicasting")
    assert not changed(out, "bicast", state="holding")
    assert 0 < lost(out, "bicast")["probe"] < 40
    assert figures(compared, "bicast")["reordered"] == 0


def test_each_flow_its_own(compared: dict[str, Any], out: Path) -> None:
    """The stream waits and loses nothing; the call, which would rather lose, is never late."""
    losses = lost(out, "mixed")
    assert losses["probe"] == 0
    flows = run(out, "mixed")["flows"]
    call, stream = (flows[name]["downlink"] for name in ("voice", "probe"))
    assert losses["voice"] in (0, 1), "one packet in 20 ms"
    assert call["delay_ms"]["max"] < stream["delay_ms"]["max"]


def test_a_buffer_that_is_too_small(compared: dict[str, Any], out: Path) -> None:
    """To the packet: what it dropped is what was lost."""
    dropped = figures(compared, "small")["buffer_dropped"]
    assert dropped > 0
    assert sum(lost(out, "small").values()) == dropped
    assert run(out, "small")["hold"]["downlink"]["dropped"] == dropped
