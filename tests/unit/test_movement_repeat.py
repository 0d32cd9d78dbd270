"""A trace that is gone through several times."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from mpa_hil import scenario
from mpa_hil.scenario.movement import course, end_s, switches
from radios.errors import LocalError

LABS = Path(__file__).parents[2] / "lab_configs"
THOUSAND = LABS / "thousand.toml"


def load(*overrides: str) -> scenario.Scenario:
    return scenario.load(THOUSAND, overrides)


def test_each_time_is_as_the_first() -> None:
    once, often = load("movement.repeat=1"), load("movement.repeat=7")
    assert end_s(often) == 7 * end_s(once)
    for ap in ("a1", "b1"):
        for number in range(7):
            for tenths in range(int(10 * end_s(once))):
                t_s = tenths / 10
                before = course(once).signal_dbm(ap, t_s)
                after = course(often).signal_dbm(ap, number * end_s(once) + t_s)
                assert after == pytest.approx(before), (ap, number, t_s)


def test_it_asks_for_as_many_switches_there_as_back() -> None:
    asked = switches(load("movement.repeat=10"))
    assert [(each.old, each.new) for each in asked] == [("a1", "b1"), ("b1", "a1")] * 10
    gaps = [later.leave_s - one.leave_s for one, later in itertools.pairwise(asked)]
    assert min(gaps) > 2.5, "a preparation takes 2 s"


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("movement.repeat=0", "movement.repeat"),
        ("movement.point.5.signal_dbm=-60", "movement.repeat"),
    ],
)
def test_refused(setting: str, key: str) -> None:
    with pytest.raises(LocalError) as caught:
        load(setting)
    assert key in caught.value.where


def test_a_walk_is_not_repeated() -> None:
    with pytest.raises(LocalError, match="not repeated") as caught:
        scenario.load(LABS / "corridor.toml", ("movement.repeat=2",))
    assert "movement.repeat" in caught.value.where
