"""A lab left running on the machine itself, where its caller is root and has hwsim: here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rigs import sweep
from rigs.guest.payload import PROJECT

LAB = str(PROJECT / "lab_configs" / "l2_floor.toml")
LAB_ID = "up"
RADIOS = Path("/sys/class/ieee80211")


class Terminal:
    """Runs `mpa-hil lab` with a state of its own."""

    def __init__(self, runtime: Path) -> None:
        self.state = runtime / "mpa-hil"
        self._environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}

    def run(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "mpa_hil", "lab", *words],
            cwd=PROJECT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=300,
        )


def radios() -> list[str]:
    return sorted(path.name for path in RADIOS.iterdir()) if RADIOS.exists() else []


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path)
    before = radios()
    yield made
    went = made.run("down")
    assert went.returncode == 0, went
    assert sweep.leftovers(LAB_ID) == []
    assert not made.state.exists()
    assert radios() == before


def eventually(condition: Callable[[], object], patience_s: float = 60.0) -> None:
    """Wait for what nobody reports."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_up_look_around_and_down(terminal: Terminal) -> None:
    came = terminal.run("up", LAB)
    assert came.returncode == 0, came
    assert b"rig: host, clock: wall" in came.stderr
    assert b"Connected to" in terminal.run("exec", "mn", "--", "iw", "dev", "wlan0", "link").stdout
    said = terminal.run("exec", "cn", "--", "sh", "-c", "pwd; exit 9")
    assert (said.returncode, said.stdout) == (9, b"/run/mpa-hil/up/cn\n")
    went = terminal.run("down")
    assert (went.returncode, went.stdout) == (0, b"the lab l2_floor is down\n")
    assert sweep.leftovers(LAB_ID) == []


def test_a_killed_keeper_takes_the_lab_along(terminal: Terminal) -> None:
    came = terminal.run("up", LAB)
    assert came.returncode == 0, came
    os.kill(int(json.loads((terminal.state / "record.json").read_bytes())["pid"]), signal.SIGKILL)
    eventually(lambda: b"no lab is up" in terminal.run("status").stdout)
    eventually(lambda: sweep.leftovers(LAB_ID) == [])
