"""How far a preparation could come, by RFC 6252 C.6 and by what the steps took."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from report_sample import summary

from mpa_hil import comparing, scenario
from mpa_hil.movement.course import falls_to
from mpa_hil.report import comparison, preparation
from mpa_hil.report.policies import PolicyMove, PolicySummary
from mpa_hil.request import CompareRequest
from mpa_hil.scenario import Column, Compare

SPEEDS = Path(__file__).parents[2] / "lab_configs" / "speeds.toml"
FEET_M = 0.3048
RFC = {"round_trip": 0.1, "keys": 0.01, "configuration": 0.19}
"""The RFC's example; it puts the cell at 100 feet."""
WHOLE = RFC | {"authentication": 0.5, "tunnel": 1.0, "binding": 0.1}


@pytest.mark.parametrize(
    ("feet_s", "level"), [(477, 0), (476, 1), (250.1, 1), (249.9, 2), (1, 2), (10_000, 0)]
)
def test_the_rfcs_own_example(feet_s: float, level: int) -> None:
    """About 500 ft/s for authentication alone, 250 with the address, it says."""
    assert preparation.level_c6(100 * FEET_M / (feet_s * FEET_M), RFC) == level


@pytest.mark.parametrize(
    ("left_s", "level"),
    [(0.5, 0), (0.51, 1), (0.69, 1), (0.7, 2), (1.7, 2), (1.8, 3), (60.0, 3)],
)
def test_whole_steps_take_what_they_take(left_s: float, level: int) -> None:
    assert preparation.level_lead(left_s, WHOLE) == level


def test_a_quick_method_still_takes_two_round_trips() -> None:
    assert preparation.level_lead(0.2, WHOLE | {"authentication": 0.1}) == 0


def test_without_measurements_nothing_is_said() -> None:
    assert preparation.level_c6(9, {"round_trip": 0.1}) is None
    assert preparation.level_lead(9, RFC) is None


def piloted(**more: object) -> PolicySummary:
    move = PolicyMove(new="b1", level=2, gap_ms={"downlink": 5.0, "uplink": 7.0})
    run = PolicySummary(
        scheme="policy",
        number=1,
        available_s=2.0,
        begun_s=0.35,
        lead_s=WHOLE,
        moves=(move,),
        gap_ms={"downlink": 80.0, "uplink": 90.0},
        lost={"downlink": 1, "uplink": 0},
        duplicated={"downlink": 2, "uplink": 1},
        reordered={"downlink": 0, "uplink": 0},
    )
    return msgspec.structs.replace(run, **more)


def test_figures_of_a_run() -> None:
    found = preparation.figures(piloted(), {})
    assert (found["left_ms"], found["begun_ms"], found["level"]) == (2000, 350, 2)
    assert (found["level_c6"], found["level_lead"]) == (2, 2), "1.65 s were left when it began"
    assert (found["gap_down_ms"], found["gap_up_ms"]) == (5, 7), "at the switch, not at a scan"
    assert (found["lost_down"], found["duplicated"], found["reordered"]) == (1, 3, 0)
    assert (found["rtt_ms"], found["t_conf_ms"], found["t_auth_ms"]) == (100, 10, 500)


def test_a_run_too_short_to_measure_takes_the_others_lead_times() -> None:
    short = piloted(lead_s={"keys": 0.02}, moves=(), begun_s=None, available_s=0.25)
    found = preparation.figures(short, WHOLE)
    assert found["t_conf_ms"] == 20
    assert "t_auth_ms" not in found, "it was not measured in it"
    assert (found["level_c6"], found["level_lead"]) == (1, 0)
    assert not {"level", "begun_ms"} & found.keys()
    assert found["gap_down_ms"] == 80, "without a switch: the largest hole"


def test_what_a_run_measured_itself_counts() -> None:
    slow = piloted(lead_s=WHOLE | {"authentication": 1.7})
    assert preparation.figures(slow, WHOLE)["level_lead"] == 0
    assert preparation.figures(slow, WHOLE)["level_c6"] == 2, "it does not know of EAP's length"


def test_lead_times_of_several_runs_are_medians() -> None:
    runs = [piloted(lead_s={"keys": each}) for each in (0.1, 0.2, 0.9)] + [piloted(lead_s={})]
    assert preparation.pooled(runs) == {"keys": 0.2}


def test_a_comparison_of_policies_runs() -> None:
    columns = (
        Column(name="slow", title="slow", scheme="policy"),
        Column(name="fast", title="fast", scheme="policy"),
    )
    described = Compare(title="T", figures=("left_ms", "level"), columns=columns)
    bad = piloted(problems=("the node is on no network",))
    fast = piloted(available_s=0.6, lead_s={}, begun_s=0.0)
    made = comparison.compared(
        described,
        [
            msgspec.structs.replace(summary(), schemes={}, policy=list(runs), verdict=None)
            for runs in ((piloted(),), (fast, bad))
        ],
    )
    slow, quick = made.columns
    assert (slow.runs, slow.failed) == (1, 0)
    assert (quick.runs, quick.failed, quick.errors) == (1, 1, ["the node is on no network"])
    assert slow.figures["level_lead"].median == 2
    assert quick.figures["level_lead"].median == 1, "by the slow column's lead times"


def test_the_lab_of_speeds_leaves_less_and_less_time(tmp_path: Path) -> None:
    asked = CompareRequest(SPEEDS, (), None, "auto", None, None, tmp_path / "out", False, ())
    planned = comparing.plan(asked)
    left_s = [
        falls_to(scenario.course(lab), lab.movement.start, lab.movement.lost_dbm)
        for lab in planned.labs
    ]
    speeds = [lab.movement.waypoints[1].speed_mps for lab in planned.labs]
    assert speeds == [3, 6, 12, 20, 30, 40, 60]
    for one_s, speed in zip(left_s, speeds, strict=True):
        assert one_s is not None
        assert one_s * speed == pytest.approx(57, abs=1)
