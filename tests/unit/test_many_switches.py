"""Runs of many switches: their table, and the check that nothing grows over them."""

from __future__ import annotations

import msgspec
import pytest
from report_sample import good_verdict, run, summary

from mpa_hil.evaluation.resources import NAME, SLACK_KIB, SLOPE_KIB, Held, check
from mpa_hil.events import RunResources
from mpa_hil.report.grids import grids, switches_grid
from mpa_hil.report.run_parts import SwitchSummary
from mpa_hil.report.summary import make_scheme

SWITCHES = 20


def held(number: int, kib: int, *left: str, lab: str = "main", switches: int = SWITCHES) -> Held:
    found = RunResources(
        t_ns=1, host="lab", agent="collector", rss_kib={"mn": kib}, objects={}, left=list(left)
    )
    return Held(lab, number, switches, found)


def switch(down_ms: float) -> SwitchSummary:
    return SwitchSummary(
        old="a1",
        new="b1",
        l2_ms=8.0,
        l3_ms=1.0,
        gap_ms={"downlink": down_ms, "uplink": down_ms / 2},
        lost={"downlink": 0, "uplink": 0},
        total_ms=30.0,
    )


def test_without_such_runs_there_is_nothing_to_check() -> None:
    assert check([]) is None


def test_memory_may_settle_and_no_more() -> None:
    bound = round(SLACK_KIB + SLOPE_KIB * 2 * SWITCHES)
    for grown, passed in ((0, True), (bound, True), (bound + 1, False)):
        found = check([held(1, 9000), held(2, 9000 + grown // 2), held(3, 9000 + grown)])
        assert found is not None
        assert (found.name, found.passed) == (NAME, passed)
        assert f"mn {grown:+} KiB" in found.detail.replace(":", "")


def test_what_an_agent_grew_in_its_first_run_is_its_warming_up() -> None:
    found = check([held(1, 90_000)])
    assert found is not None
    assert found.passed


def test_a_run_without_a_switch_warms_nothing_up() -> None:
    found = check([held(1, 1000, switches=0), held(2, 9000), held(3, 9000)])
    assert found is not None
    assert found.passed
    found = check([held(1, 1000, switches=0), held(2, 9000), held(3, 19_000)])
    assert found is not None
    assert not found.passed


def test_each_lab_has_agents_of_its_own() -> None:
    found = check([held(1, 9000), held(2, 50_000, lab="floor")])
    assert found is not None
    assert found.passed


@pytest.mark.parametrize("left", ["mn: default dev mpapht", "mn: gone: 10.0.0.0/8 dev lan"])
def test_nothing_may_be_left(left: str) -> None:
    found = check([held(1, 9000), held(2, 9000, left, "mn: more")])
    assert found is not None
    assert not found.passed
    assert found.detail == f"after run 002: {left} and 1 more"


def test_every_switch_of_every_run_is_in_the_table() -> None:
    runs = [run(30.0, 1, switches=[switch(10 * n + k) for k in (1, 2)]) for n in range(1, 51)]
    made = msgspec.structs.replace(summary(good_verdict()), schemes={"mpa": make_scheme(runs)})
    grid = switches_grid(made)
    assert grid is not None
    down, up = grid.groups[0]
    assert down.cells[:8] == ("mpa", "down", "100", "11.0", "256.5", "481.1", "501.0", "502.0")
    assert up.cells[3] == "5.5"
    assert grid in grids(made)


def test_runs_of_one_switch_have_no_such_table() -> None:
    assert switches_grid(summary(good_verdict())) is None
