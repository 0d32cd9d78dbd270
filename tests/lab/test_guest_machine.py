"""The guest from outside: what it brings out, how it dies, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from radios.errors import MachineError
from rigs.guest import accelerator, image, machine
from rigs.guest.payload import PROJECT, Job, pack

MEASURE = """
import json, os, random, subprocess, sys, time
started_ns = time.monotonic_ns()
total = sum(range(200_000))
counted_ns = time.monotonic_ns() - started_ns
time.sleep(60)
for turn in range(5):
    subprocess.run(["ip", "netns", "add", f"n{turn}"], check=True)
figures = {
    "date": time.strftime("%F %T", time.gmtime()),
    "started_ns": started_ns,
    "counted_ns": counted_ns,
    "end_ns": time.monotonic_ns(),
    "random": os.urandom(16).hex(),
    "brought": open("brought/along").read(),
    "environment": os.environ["GREETING"],
}
os.makedirs("/run/out/deep", exist_ok=True)
with open("/run/out/deep/figures.json", "w") as stream:
    json.dump(figures, stream)
print("done")
sys.exit(7)
"""
CONTROLLER = """
import asyncio, sys
from pathlib import Path
from rigs.guest import image, machine
from rigs.guest.accelerator import Accelerator
from rigs.guest.payload import Job
settings = machine.Settings(Accelerator("tcg", ""), "virtual")
job = Job(argv=["sleep", "1000000000"])
out = Path(sys.argv[1])
asyncio.run(machine.run(image.ensure(), job, settings, out / "out", print, out))
"""


@pytest.fixture(scope="session")
def guest_image() -> image.Image:
    try:
        accelerator.probe()
        return image.ensure()
    except MachineError as error:
        pytest.skip(str(error))


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where everything temporary of a guest goes, so that leftovers show."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def settings(silence_s: float = 120.0) -> machine.Settings:
    return machine.Settings(accelerator.probe(), "virtual", seed=5, silence_s=silence_s)


def guests_in(folder: Path) -> list[int]:
    """Process ids of the guests that keep their files in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
                if words.startswith(accelerator.QEMU) and str(folder) in words:
                    found.append(int(entry.name))
    return found


def assert_nothing_left(scratch: Path) -> None:
    assert guests_in(scratch) == []
    assert list(scratch.iterdir()) == []


def boot(
    guest_image: image.Image,
    job: Job,
    out: Path,
    output: Callable[[bytes], None] = lambda _chunk: None,
    silence_s: float = 120.0,
) -> machine.Outcome:
    return asyncio.run(machine.run(guest_image, job, settings(silence_s), out, output))


def test_results_come_out_and_two_runs_are_one(
    guest_image: image.Image,
    tmp_path: Path,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A minute asleep takes none, and the same seed gives the same figures."""
    job = Job(
        argv=["python3", "-c", MEASURE],
        env={"GREETING": "good day"},
        files={"brought/along": b"a file of the caller's"},
    )
    # Packed once: somebody may be editing the code, and any change to it moves the figures.
    packed = pack(job)
    monkeypatch.setattr(machine, "pack", lambda _job: packed)
    runs = []
    for turn in ("first", "second"):
        said = bytearray()
        started_s = time.monotonic()
        outcome = boot(guest_image, job, tmp_path / turn, said.extend)
        assert time.monotonic() - started_s < 200
        assert outcome.status == 7
        assert said == b"done\n"
        figures = json.loads((outcome.out / "deep" / "figures.json").read_text())
        assert figures["brought"] == "a file of the caller's"
        assert figures["environment"] == "good day"
        assert figures["end_ns"] > 60 * 10**9
        runs.append(figures)
        assert_nothing_left(scratch)
    first, second = runs
    # Waking from idle costs a nanosecond more or less now and then.
    for name in ("started_ns", "counted_ns", "end_ns"):
        assert abs(first.pop(name) - second.pop(name)) < 1000
    assert first == second


def test_a_panic_ends_the_run_with_the_consoles_last_lines(
    guest_image: image.Image, tmp_path: Path, scratch: Path
) -> None:
    job = Job(argv=["sh", "-c", "echo before; sleep 1; echo c >/proc/sysrq-trigger"])
    said = bytearray()
    with pytest.raises(MachineError, match=r"(?s)ended before its job did.*console.*crash"):
        boot(guest_image, job, tmp_path / "out", said.extend)
    assert b"before" in said
    assert_nothing_left(scratch)


def test_a_killed_guest_is_told_with_its_signal(
    guest_image: image.Image, tmp_path: Path, scratch: Path
) -> None:
    def kill(_chunk: bytes) -> None:
        for pid in guests_in(scratch):
            os.kill(pid, signal.SIGKILL)

    job = Job(argv=["sh", "-c", "echo alive; while :; do :; done"])
    with pytest.raises(MachineError, match=r"QEMU ended with status -9") as failure:
        boot(guest_image, job, tmp_path / "out", kill)
    assert failure.value.exit_code == 3
    assert_nothing_left(scratch)


def test_a_silent_guest_counts_as_hung(
    guest_image: image.Image, tmp_path: Path, scratch: Path
) -> None:
    """No guest says its first word within half a second."""
    with pytest.raises(MachineError, match=r"the guest hung \(silent for") as failure:
        boot(guest_image, Job(argv=["true"]), tmp_path / "out", silence_s=0.5)
    assert failure.value.exit_code == 3
    assert_nothing_left(scratch)


def test_a_killed_controller_takes_its_guest_along(
    guest_image: image.Image, tmp_path: Path
) -> None:
    assert guest_image.root.exists()
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, str(tmp_path)], env=environment
    ) as controller:
        try:
            assert eventually(lambda: len(guests_in(tmp_path)) == 1)
        finally:
            controller.kill()
    assert eventually(lambda: guests_in(tmp_path) == [])


def eventually(condition: Callable[[], bool], patience_s: float = 60.0) -> bool:
    """Whether it came true in time; for what nobody reports."""
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
