"""A lab's movement on virtual radios: each is set to what the course says, and taken away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpa_hil import scenario
from mpa_hil.lab.air import Air
from radios import hwsim, nl80211

LABS = Path(__file__).parents[3] / "lab_configs"
DRIVE = ["movement.waypoint.1.speed_mps=100", "movement.waypoint.1.pause_s=0"]
GROUP = 0b100


@pytest.fixture
def drive() -> scenario.Scenario:
    return scenario.load(LABS / "drive_by.toml", DRIVE)


@pytest.fixture
def air(drive: scenario.Scenario) -> Iterator[Air]:
    hwsim.load_module()
    hwsim.mount_debugfs()
    addresses = {"mn": drive.mn.mac, **{ap.name: ap.bssid for ap in drive.aps}}
    radios = {box: hwsim.create(f"t.{box}", address) for box, address in addresses.items()}
    for radio in radios.values():
        hwsim.set_group(radio.phy, GROUP)
    made = Air(radios, GROUP, drive)
    yield made
    made.remove()
    assert nl80211.phys() == {}


def shown(box: str) -> tuple[int, bool]:
    """What a radio is set to: level in dBm, and whether it is within range."""
    level = int(hwsim.rx_rssi_path(f"t.{box}").read_text())
    return level, bool(int(hwsim.group_path(f"t.{box}").read_text()) & GROUP)


def expected(drive: scenario.Scenario, ap: str, t_s: float) -> tuple[int, bool]:
    course = scenario.course(drive)
    level = min(max(round(course.signal_dbm(ap, t_s)), -100), -1)
    return level, course.mean_dbm(ap, t_s) > drive.movement.lost_dbm


def test_radios_are_where_the_node_is(air: Air, drive: scenario.Scenario) -> None:
    ranges = set()
    for t_s in (0.0, 0.7, 1.5, 2.1):
        air.place(t_s)
        for ap in ("a1", "b1"):
            assert shown(ap) == expected(drive, ap, t_s)
            ranges.add((ap, shown(ap)[1]))
        assert shown("mn")[0] == max(shown(ap)[0] for ap in ("a1", "b1") if shown(ap)[1])
    assert ("a1", True) in ranges
    assert ("a1", False) in ranges
    air.gather()
    assert {shown(box) for box in ("a1", "b1", "mn")} == {(-40, True)}
    began_s = time.monotonic()
    asyncio.run(air.follow())
    end_s = scenario.end_s(drive)
    assert time.monotonic() - began_s >= end_s
    for ap in ("a1", "b1"):
        assert shown(ap) == expected(drive, ap, end_s)
