"""A lab left running in the guest, as somebody at a terminal uses it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from radios.errors import MachineError
from rigs.guest import accelerator, image
from rigs.guest.payload import PROJECT

LAB = str(PROJECT / "lab_configs" / "two_domains.toml")
BIG = 1_000_000


class Terminal:
    """Runs `mpa-hil lab` with a state of its own."""

    def __init__(self, runtime: Path) -> None:
        self.runtime = runtime
        self.state = runtime / "mpa-hil"
        self.environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(runtime),
            "PYTHONPATH": str(PROJECT),
        }

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "mpa_hil", "lab", *words]

    def run(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.command(*words),
            env=self.environment,
            input=stdin,
            capture_output=True,
            timeout=300,
        )

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(*words),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def processes(self) -> list[str]:
        """Command lines that name this state: keeper and guest."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if str(self.state) in line:
                        found.append(line)
        return found

    def keeper(self) -> int:
        """Process id of who answers for the lab, by its record; 0: there is none."""
        with contextlib.suppress(OSError, ValueError):
            return int(json.loads((self.state / "record.json").read_bytes())["pid"])
        return 0


@pytest.fixture(scope="session", autouse=True)
def guest_image() -> image.Image:
    try:
        accelerator.probe()
        return image.ensure()
    except MachineError as error:
        pytest.skip(str(error))


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path)
    yield made
    made.run("down")
    assert made.processes() == []


def eventually(condition: Callable[[], object], patience_s: float = 30.0) -> None:
    """Wait for what nobody reports."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_life(terminal: Terminal) -> None:
    """One boot for all of it."""
    came = terminal.run("up", LAB, "--rig", "guest")
    assert came.returncode == 0, came.stderr.decode()
    assert b"the lab two_domains is up" in came.stdout
    assert len(terminal.processes()) == 2
    assert b"hosts: mn" in terminal.run("status").stdout

    in_two_hosts(terminal)
    statuses_and_streams(terminal)
    two_at_once(terminal)
    refusals(terminal)

    went = terminal.run("down")
    assert (went.returncode, went.stdout) == (0, b"the lab two_domains is down\n")
    assert terminal.processes() == []
    assert list(terminal.runtime.iterdir()) == []


def in_two_hosts(terminal: Terminal) -> None:
    """Each command sees its host's own radio, addresses and files."""
    air = terminal.run("exec", "mn", "--", "iw", "dev", "wlan0", "link")
    assert b"Connected to 02:00:00:00:0a:01" in air.stdout, air
    call = terminal.run("exec", "cn", "--", "ping", "-c", "2", "10.0.0.10")
    assert call.returncode == 0, call
    assert b" 0% packet loss" in call.stdout
    assert terminal.run("exec", "cn", "--", "pwd").stdout == b"/run/mpa-hil/up/cn\n"


def statuses_and_streams(terminal: Terminal) -> None:
    said = terminal.run("exec", "a1", "--", "sh", "-c", "echo out; echo err >&2; exit 9")
    assert (said.returncode, said.stdout, said.stderr) == (9, b"out\n", b"err\n")
    assert terminal.run("exec", "a1", "--", "sh", "-c", "kill -9 $$").returncode == 128 + 9
    assert terminal.run("exec", "a1", "--", "no-such-program").returncode == 127
    data = os.urandom(BIG)
    assert terminal.run("exec", "a1", "--", "cat", stdin=data).stdout == data


def two_at_once(terminal: Terminal) -> None:
    """One that goes on does not hold up another, and Ctrl-C takes its command along."""
    with terminal.start("exec", "cn", "--", "ping", "10.0.0.10") as call:
        assert call.stdout is not None
        assert call.stdout.readline().startswith(b"PING")
        assert terminal.run("exec", "mn", "--", "pidof", "ping").returncode == 0
        call.send_signal(signal.SIGINT)
        assert call.wait(10) == 130
    eventually(lambda: terminal.run("exec", "mn", "--", "pidof", "ping").returncode == 1)


def refusals(terminal: Terminal) -> None:
    nowhere = terminal.run("exec", "nowhere", "--", "true")
    assert nowhere.returncode == 2
    assert b"nowhere: the lab two_domains has no such host" in nowhere.stderr
    assert b"choose from mn, " in nowhere.stderr
    second = terminal.run("up", LAB, "--rig", "guest")
    assert second.returncode == 2
    assert b"the lab two_domains is up" in second.stderr
    assert b"remedy: mpa-hil lab down" in second.stderr


def test_nothing_up(terminal: Terminal) -> None:
    refused = terminal.run("exec", "mn", "--", "true")
    assert refused.returncode == 2
    assert b"no lab is up\n  remedy: mpa-hil lab up LAB\n" in refused.stderr
    assert terminal.run("down").returncode == 0
    assert list(terminal.runtime.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_it_comes_up(terminal: Terminal, number: signal.Signals) -> None:
    with terminal.start("up", LAB, "--rig", "guest") as coming:
        eventually(lambda: len(terminal.processes()) == 2)
        coming.send_signal(number)
        assert coming.wait(60) == 128 + number
    assert terminal.processes() == []
    assert list(terminal.runtime.iterdir()) == []


def test_a_killed_keeper_takes_the_guest_along(terminal: Terminal) -> None:
    with terminal.start("up", LAB, "--rig", "guest") as coming:
        eventually(lambda: len(terminal.processes()) == 2)
        eventually(lambda: terminal.keeper() not in (0, coming.pid))
        os.kill(terminal.keeper(), signal.SIGKILL)
        _, said = coming.communicate(timeout=60)
        assert coming.returncode == 1
        assert b"keeper ended early, with status -9" in said
    eventually(lambda: terminal.processes() == [])
    assert terminal.run("status").stdout == b"no lab is up\n"
    assert list(terminal.runtime.iterdir()) == []
