"""What an experiment does when one of its daemons is killed, or it is cancelled itself."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from mpa_hil import scenario
from mpa_hil.experiment.collect import Request, collect
from radios.errors import RemoteError
from rigs.sweep import leftovers

LABS = Path(__file__).parents[3] / "lab_configs"
WHOLE, BARE = ("two_domains.toml", "reactive-tuned"), ("l2_floor.toml", "l2-floor")
"""Lab file and scheme; the bare one stands in half the time."""
SHORT = (
    "measure.null_run=false",
    "measure.warmup_s=0.2",
    "measure.cooldown_s=0.2",
    "capture.enabled=false",
)
LAB_ID = "dying"
FLOOR_ID = f"{LAB_ID}f"
"""The collector's name for the floor's lab beside the main one."""
RADIOS = Path("/sys/class/ieee80211")


def request(lab: tuple[str, str]) -> Request:
    file, scheme = lab
    short = (*SHORT, "schemes.l2-floor.control=false")
    return Request(scenario.load(LABS / file, short), (scheme,), 1, "host", "virtual", LAB_ID)


def processes(lab_id: str, box: str, program: str) -> list[int]:
    """Numbers of the processes of a box that run a program."""
    inode = os.stat(f"/run/netns/mpa-{lab_id}-{box}").st_ino
    found = []
    for entry in os.listdir("/proc"):
        try:
            same = entry.isdigit() and os.stat(f"/proc/{entry}/ns/net").st_ino == inode
            if same and Path(f"/proc/{entry}/comm").read_text().strip() == program[:15]:
                found.append(int(entry))
        except OSError:
            continue  # it ended while we looked
    return found


def conduct(
    lab: tuple[str, str],
    out: Path,
    then: Callable[[asyncio.Task[None]], None],
    delay_s: float,
) -> None:
    """Collect; `then` is called so many seconds after the run began."""

    async def body() -> None:
        loop = asyncio.get_running_loop()

        def say(text: str) -> None:
            if text.startswith("run 1 of 1"):
                loop.call_later(delay_s, then, task)

        task = asyncio.create_task(collect(request(lab), out, say))
        await task

    asyncio.run(body())


def assert_nothing_left() -> None:
    assert leftovers(LAB_ID) == []
    assert leftovers(FLOOR_ID) == []
    assert list(RADIOS.iterdir()) == []


@pytest.mark.parametrize(
    ("lab", "box", "program", "delay_s"),
    [
        (BARE, "a2", "hostapd", 1.5),
        (WHOLE, "home-aaa", "freeradius", 2.5),
        (WHOLE, "B-router", "dnsmasq", 2.0),
        (BARE, "mn", "wpa_supplicant", 1.0),
    ],
)
def test_a_killed_daemon_ends_the_run_with_its_name(
    tmp_path: Path, lab: tuple[str, str], box: str, program: str, delay_s: float
) -> None:
    killed = []

    def kill(_task: asyncio.Task[None]) -> None:
        for pid in processes(FLOOR_ID if lab is BARE else LAB_ID, box, program):
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    with pytest.raises(RemoteError) as caught:
        conduct(lab, tmp_path / "raw", kill, delay_s)
    assert killed
    assert f"{box}/{program}" in str(caught.value)
    assert "signal 9" in str(caught.value)
    failure = json.loads((tmp_path / "raw/failure.json").read_bytes())
    assert failure["exit_code"] == 1
    run = json.loads((tmp_path / "raw/runs/001/run.json").read_bytes())
    assert not run["ok"]
    assert program in run["error"]
    events = (tmp_path / "raw/events.jsonl").read_text()
    died = [json.loads(line) for line in events.splitlines() if '"daemon.died"' in line]
    assert [(event["host"], event["name"], event["status"]) for event in died] == [
        (box, program, -9)
    ]
    assert_nothing_left()


@pytest.mark.parametrize("delay_s", [0.1, 2.0])
def test_cancelled_at_any_point_it_leaves_nothing(tmp_path: Path, delay_s: float) -> None:
    with pytest.raises(asyncio.CancelledError):
        conduct(BARE, tmp_path / "raw", lambda task: task.cancel(), delay_s)
    assert_nothing_left()


def test_a_scheme_that_cannot_arrive_fails_in_bounded_time(tmp_path: Path) -> None:
    """The MN is given a certificate of another CA: the home AAA refuses it."""
    import datetime as dt

    from mpa_hil.lab import secrets

    described = scenario.load(LABS / WHOLE[0], SHORT)
    now = dt.datetime.now(dt.UTC)
    ours, foreign = (secrets.make_papers(described, now) for _ in range(2))
    pem = {
        "home.aaa.ca": ours.ca,
        "home.aaa.cert": ours.server.certificate,
        "home.aaa.key": ours.server.key,
        "mn.cert": foreign.client.certificate,
        "mn.key": foreign.client.key,
    }
    asked = Request(described, ("reactive-tuned",), 1, "host", "virtual", LAB_ID, pem)
    asyncio.run(collect(asked, tmp_path / "raw", lambda text: None))
    run = json.loads((tmp_path / "raw/runs/001/run.json").read_bytes())
    assert not run["ok"]
    assert "not connected to a1" in run["error"]
    log = (tmp_path / "raw/runs/001/logs/home-aaa-freeradius.log").read_text()
    assert "Login incorrect" in log
    assert_nothing_left()
