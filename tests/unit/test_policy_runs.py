"""Runs in which a policy decides: in the plan, in the lab, and what they are judged by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from evaluation_fake import START, TRIGGER, Files, Story, raw_files, write
from policy_stage import Stage, rules

from mpa_hil import eventlog, scenario
from mpa_hil.agents.config import Fields
from mpa_hil.agents.pilot_config import read
from mpa_hil.evaluation import evaluate
from mpa_hil.experiment.plan import options, order
from mpa_hil.handover.options import Hold, Level
from mpa_hil.lab import piloting
from mpa_hil.policy import interface as say
from mpa_hil.policy import records
from mpa_hil.policy.default import Default
from mpa_hil.report.grids import grids
from mpa_hil.report.policies import PolicySummary
from mpa_hil.report.summary import Summary
from mpa_hil.scenario import Piloted
from radios.errors import LocalError

LABS = Path(__file__).parents[2] / "lab_configs"
S = 1_000_000_000
COUNTS = {"switches": 1, "tunnels": 2, "wasted_tunnels": 1, "wasted_octets": 1500}


def command(*settings: str) -> dict[str, Any]:
    lab = scenario.load(LABS / "three_domains.toml", settings)
    made = piloting.command(lab, lab.schemes.policy, lead_us=4300)
    whole: dict[str, Any] = json.loads(json.dumps(made))
    return whole


def test_a_policys_runs_are_of_their_own_kind() -> None:
    lab = scenario.load(LABS / "corridor.toml")
    runs = order(lab, ("reactive-tuned", "policy"), 1)
    assert [(run.scheme, run.kind) for run in runs if run.kind != "null"] == [
        ("reactive-tuned", "handover"),
        ("policy", "policy"),
    ]
    assert str(runs[-1]) == "policy, repeat 1"
    assert isinstance(options(lab, "policy"), Piloted)


@pytest.mark.parametrize("name", ["corridor", "drive_by", "cell_edge", "three_domains"])
def test_the_walks_are_a_policys(name: str) -> None:
    lab = scenario.load(LABS / f"{name}.toml")
    assert "policy" in lab.lab.schemes
    assert lab.policy is not None


def test_the_labs_command_is_one_that_the_node_takes() -> None:
    orders = read(Fields(command(), "command"))
    assert orders.chosen.kind is Default
    assert [place.candidate.ap for place in orders.places] == ["a1", "b1", "c1"]
    assert {place.realm for place in orders.places} == {"a.example", "b.example", "c.example"}
    assert orders.options.hold is Hold.NEXT
    assert orders.options.level is Level.BOUND
    assert not orders.options.bind_ahead
    assert not orders.options.bicast
    both = read(Fields(command("schemes.policy.bicast=true"), "command"))
    assert both.options.bicast
    assert (orders.spacing_ms, orders.lead_ns) == (10.0, 4_300_000)


@pytest.mark.parametrize(
    ("key", "value", "where"),
    [
        ("policy", "defalt", "pilot.name"),
        ("options", {"dwel_s": 1}, "options"),
        ("options", 1, "options"),
        ("hold", "sometimes", "hold"),
        ("spacing_ms", "ten", "spacing_ms"),
        ("more", 1, "more"),
    ],
)
def test_a_command_that_is_wrong_is_refused(key: str, value: Any, where: str) -> None:
    with pytest.raises(LocalError) as caught:
        read(Fields(command() | {key: value}, "command"))
    assert where in caught.value.where


def test_a_place_that_is_wrong_is_refused() -> None:
    wrong = command()
    wrong["places"][1]["ar"] = "somewhere"
    with pytest.raises(LocalError) as caught:
        read(Fields(wrong, "command"))
    assert "places[1], ar" in caught.value.where


# --- what its run is judged by


def line(t_ns: int, kind: str, **fields: Any) -> bytes:
    told = {"t_ns": t_ns, "host": "mn", "agent": "mobile_node", "type": kind, **fields}
    return json.dumps(told).encode() + b"\n"


def judged(tmp_path: Path, *, quiet: bool = False, landed: dict[str, Any] | None = None) -> Summary:
    story = Story("mpa", kind="null" if quiet else "handover", holds=True)
    files: Files = raw_files(story)
    run = json.loads(files["runs/001/run.json"])
    files["runs/001/run.json"] = json.dumps(run | {"kind": "policy", "scheme": "policy"}).encode()
    attached = {"kind": "attached", "t_ns": START, "ap": "a1"}
    decided = {"decision": "switch", "target": "b1", "rule": "switch-threshold", "inputs": {}}
    asked = {"decision": "prepare", "target": "b1", "rule": "prepare-threshold", "inputs": {}}
    took = [
        {"kind": "measured", "t_ns": START, "part": "keys", "took_ns": ms * 1_000_000}
        for ms in (30, 50, 20)
    ]
    end = {"network": "b1", "linked": True, "counts": COUNTS, "holes_ms": 150.0} | (landed or {})
    files["runs/001/events.jsonl"] += b"".join(
        (
            line(START, "policy.opened", policy="default", settings={}),
            line(START, "policy.input", input=attached),
            line(START + S // 10, "policy.decided", **asked, level=1),
            *(line(START + S // 5, "policy.input", input=each) for each in took),
            line(TRIGGER, "policy.input", input={"kind": "tick", "t_ns": TRIGGER}),
            line(TRIGGER, "policy.decided", **decided),
            line(TRIGGER + S, "pilot.landed", **end) if end["network"] else b"",
        )
    )
    lab = msgspec.structs.replace(
        story.scenario,
        measure=msgspec.structs.replace(story.scenario.measure, null_run=False),
    )
    return evaluate(write(files, tmp_path / "raw"), lab, 7, tmp_path / "out")


def only(summary: Summary) -> PolicySummary:
    [run] = summary.policy
    return run


def passed(summary: Summary) -> bool | None:
    assert summary.verdict is not None
    checks = {check.name: check.passed for check in summary.verdict.checks}
    return checks["a policy's runs end connected"]


def test_a_run_tells_its_switches_and_what_was_for_nothing(tmp_path: Path) -> None:
    summary = judged(tmp_path, quiet=True)
    run = only(summary)
    assert (run.policy, run.network, run.linked, run.problems) == ("default", "b1", True, ())
    assert (run.switches, run.tunnels, run.wasted_tunnels) == (1, 2, 1)
    assert run.lost == {"downlink": 0, "uplink": 0}
    assert run.holes_ms == 150.0
    assert passed(summary)
    assert "policy" not in summary.schemes, "its runs are no handovers of one trigger each"
    title = next(grid.title for grid in grids(summary) if "policy" in grid.title)
    assert "what was prepared for nothing" in title


def test_each_move_has_its_rule_and_its_gap(tmp_path: Path) -> None:
    [move] = only(judged(tmp_path)).moves
    assert (move.old, move.new, move.rule) == ("a1", "b1", "switch-threshold")
    assert move.t_s == pytest.approx((TRIGGER - START) / S)
    assert move.gap_ms["downlink"] > 50


def test_it_tells_how_much_time_there_was_and_what_took_how_long(tmp_path: Path) -> None:
    run = only(judged(tmp_path, quiet=True))
    # Of the lab file's points: -50 dBm at the start, -60 at 1 s, -95 at 3 s; lost at -90.
    assert run.available_s == pytest.approx(1 + 2 * 30 / 35, abs=0.001)
    assert run.begun_s == 0.1
    assert run.lead_s == {"keys": 0.03}


@pytest.mark.parametrize(
    ("landed", "problem"),
    [({"linked": False}, "on no network"), ({"network": ""}, "nobody said where it ended")],
)
def test_it_must_end_connected(tmp_path: Path, landed: dict[str, Any], problem: str) -> None:
    summary = judged(tmp_path, quiet=True, landed=landed)
    assert any(problem in each for each in only(summary).problems)
    assert passed(summary) is False
    assert summary.verdict is not None
    assert not summary.verdict.given


def test_its_log_is_a_trace(tmp_path: Path) -> None:
    judged(tmp_path)
    log = tmp_path / "out" / "events.jsonl"
    trace = records.from_events(eventlog.read(log), str(log))
    assert trace.header.policy == "default"
    assert [type(step.event).__name__ for step in trace.steps] == [
        "Attached",
        *3 * ["Measured"],
        "Tick",
    ]
    [switch] = trace.steps[-1].decisions
    assert (type(switch).__name__, switch.rule) == ("Switch", "switch-threshold")


def test_fixed_thresholds_do_not_outlive_the_beacons() -> None:
    """Above all thresholds, too: what is read of a link that is gone says nothing."""
    stage = Stage("fixed")
    stage.attached("a1")
    stage.hear(2, a1=35, b1=30)
    assert rules(stage.feed(say.BeaconLoss(stage.now_ns, "b1", 9))) == []
    assert rules(stage.feed(say.BeaconLoss(stage.now_ns, "a1", 3))) == []
    assert rules(stage.feed(say.BeaconLoss(stage.now_ns, "a1", 4))) == ["switch b1 beacon-loss"]
    assert rules(stage.feed(say.BeaconLoss(stage.now_ns, "a1"))) == [], "it is under way"
