"""A whole experiment evaluated: figures that can be worked out by hand from what was made up."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import msgspec
import pytest
from evaluation_fake import (
    BACK,
    DELAY,
    LEFT,
    MS,
    OPEN,
    TRIGGER,
    Files,
    Story,
    lab,
    raw_files,
    write,
)

from mpa_hil import eventlog
from mpa_hil.evaluation import evaluate
from mpa_hil.events import AaaExchange, EapMessage, PhaseEnded, RunStarted, Verdict
from mpa_hil.report.summary import Run, Signalling, Summary, decode
from mpa_hil.scenario import Scenario
from radios.errors import MachineError

NULL = Story(kind="null")
REACTIVE = Story()
FLOOR_NULL = Story("l2-floor", "null", lab="floor")
FLOOR = Story("l2-floor", lab="floor", holds=True)
CONTROL = Story("l2-floor", "control", lab="floor")
MPA = Story("mpa", holds=True)


def evaluated(tmp_path: Path, *stories: Story, scenario: Scenario | None = None) -> Summary:
    return of_files(tmp_path, raw_files(*stories), scenario)


def of_files(tmp_path: Path, files: Files, scenario: Scenario | None = None) -> Summary:
    return evaluate(write(files, tmp_path / "raw"), scenario or lab(), 7, tmp_path / "out")


def only(summary: Summary, scheme: str = "reactive") -> Run:
    [run] = summary.schemes[scheme].runs
    return run


def test_reactive_run(tmp_path: Path) -> None:
    summary = evaluated(tmp_path, NULL, REACTIVE)
    run = only(summary)
    assert (summary.lab, summary.seed, summary.rig, summary.clock) == (
        *("two_domains", 7, "guest", "virtual"),
    )
    assert summary.versions == {"linux": "6.1"}
    assert (run.ok, run.error, run.number, summary.notes) == (True, None, 2, [])
    assert (run.voice_flow, run.gap_flow) == ("voice", "probe")
    # The last packet came 2 ms before, the next at `BACK`.
    assert run.gap_ms.downlink == run.gap_ms.uplink == (BACK - LEFT) / MS
    # Of 20 ms spacing, sent in [LEFT, BACK), or one path's delay earlier.
    assert (run.lost.downlink, run.lost.uplink) == (10, 9)
    assert run.l2_ms == (OPEN - LEFT) / MS  # the deauthentication; what the AP sent later got lost
    assert run.l3_ms == (BACK - OPEN) / MS
    assert run.phases_ms == {
        "decision": 2,
        "scan": 48,
        "eap": 40,
        "four_way": 10,
        "dhcp": 50,
        "binding": 30,
        "first_packet": 19.5,
        "remainder": 0.5,
        "total": (BACK - TRIGGER) / MS,
    }
    assert run.eap is not None
    assert (run.eap.messages, run.eap.round_trips) == (5, 2)


def test_signalling_is_counted_in_the_window_and_in_octets_of_its_link(tmp_path: Path) -> None:
    counted = only(evaluated(tmp_path, NULL, REACTIVE)).signalling
    assert counted["802.11"] == Signalling(3, (24 + 2) + 2 * (24 + 6))
    talk = sum(4 + n for n in (1, 3, 2, 6, 0))
    assert counted["eapol"] == Signalling(7, 7 * (24 + 8 + 4) + 2 * 95 + talk)
    assert counted["radius"] == Signalling(4, 4 * (14 + 20 + 8 + 20))
    assert counted["dhcp"] == Signalling(2, 2 * (42 + 240))
    assert counted["mip4"] == Signalling(2, 2 * 42 + 46 + 42)
    assert counted["hold"] == Signalling(0, 0)


def test_the_folder_holds_everything(tmp_path: Path) -> None:
    summary = evaluated(tmp_path, NULL, REACTIVE, Story(repeat=1))
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "001-reactive-null-repeat0.pcapng",
        "002-reactive-repeat0.pcapng",
        "003-reactive-repeat1.pcapng",
        "events.jsonl",
        "logs",
        "packets.csv",
        "summary.json",
    }
    assert decode((out / "summary.json").read_bytes()) == summary
    log = out / "logs" / "003-reactive-repeat1" / "mn-wpa_supplicant.log"
    assert log.read_bytes() == b"said nothing\n"
    with (out / "packets.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {(r["run"], r["scheme"], r["kind"]) for r in rows} == {
        ("1", "reactive", "null"),
        ("2", "reactive", "handover"),
        ("3", "reactive", "handover"),
    }
    assert len(rows) == 3 * 2 * (60 + 600)


def test_events_are_in_order_and_complete(tmp_path: Path) -> None:
    evaluated(tmp_path, NULL, REACTIVE, Story(repeat=1))
    events = list(eventlog.read(tmp_path / "out" / "events.jsonl"))
    assert [e.t_ns for e in events] == sorted(e.t_ns for e in events)
    assert {(e.scheme, e.repeat) for e in events if isinstance(e, RunStarted)} == {
        ("reactive", 0),
        ("reactive", 1),
    }
    first = [e for e in events if e.repeat == 0]
    ends = [e for e in first if isinstance(e, PhaseEnded) and e.phase == "first-packet"]
    assert [(e.t_ns, e.agent) for e in ends] == [(BACK, "evaluation")]
    said = [(e.count, e.direction, e.method) for e in first if isinstance(e, EapMessage)]
    assert said == [
        (1, "request", "Identity"),
        (2, "response", "Identity"),
        (3, "request", "TLS"),
        (4, "response", "TLS"),
        (5, "success", ""),
    ]
    trips = [e for e in first if isinstance(e, AaaExchange)]
    assert [(e.host, e.code, e.round_trip_ms) for e in trips] == [
        ("B-aaa", "Access-Challenge", 20),
        ("B-aaa", "Access-Accept", 20),
    ]
    [verdict] = [e for e in events if isinstance(e, Verdict)]
    assert (verdict.sound, verdict.reasons) == (True, ())


def test_floor_with_its_null_and_control_runs(tmp_path: Path) -> None:
    summary = evaluated(tmp_path, FLOOR_NULL, FLOOR, CONTROL)
    run = only(summary, "l2-floor")
    assert (run.lost.downlink, run.l3_ms, run.eap) == (0, None, None)
    assert run.l2_ms == (OPEN - LEFT) / MS
    assert run.gap_ms.downlink == (OPEN + MS - LEFT) / MS
    assert run.phases_ms["first_packet"] == 0.5
    assert summary.verdict is not None
    assert summary.verdict.given
    details = [check.detail for check in summary.verdict.checks]
    assert details[0] == "1320 packets without a switch, none lost or doubled"
    assert details[1] == f"{5 + 50} packets lost without holding"  # downlink, voice and probe
    assert details[2].startswith("2 comparisons, at most 0.000 ms")


def test_every_scheme_that_holds_is_run_without_that_too(tmp_path: Path) -> None:
    control = Story("mpa", "control")
    summary = evaluated(tmp_path, NULL, FLOOR_NULL, FLOOR, CONTROL, MPA, control)
    assert summary.verdict is not None
    assert summary.verdict.given
    lost = (5 + 50) + (10 + 99)  # downlink, voice and probe, on the floor's lab and the main one
    assert summary.verdict.checks[1].detail == f"{lost} packets lost without holding"


@pytest.mark.parametrize(
    ("stories", "reason"),
    [
        ((REACTIVE,), "none was made on the main lab"),
        ((NULL, REACTIVE, FLOOR, CONTROL), "none was made on the floor lab"),
        ((FLOOR_NULL, FLOOR), "none was made, though packets were held"),
        ((Story(kind="null", ok=False, error="a1 died"), REACTIVE), "failed: a1 died"),
        ((FLOOR_NULL, FLOOR, Story("l2-floor", "control", lab="floor", ok=False)), "no reason"),
        ((FLOOR_NULL, FLOOR, Story("l2-floor", "control", lab="floor", holds=True)), "see losses"),
        ((NULL, FLOOR_NULL, FLOOR, CONTROL, MPA), "though packets were held by mpa"),
        ((NULL, MPA), "none was made, though packets were held"),
        ((NULL, MPA, Story("mpa", "control", holds=True)), "mpa lost nothing without holding"),
        ((NULL, Story(ok=False, error="b1 died")), "handovers measured: 0 of 1"),
        ((NULL, Story(unheard=(100, 335, 336))), "DISAGREE"),
        ((), "nothing was sent"),
    ],
)
def test_verdict_is_refused(tmp_path: Path, stories: tuple[Story, ...], reason: str) -> None:
    summary = evaluated(tmp_path, *stories)
    assert summary.verdict is not None
    assert not summary.verdict.given
    assert any(reason in refused for refused in summary.verdict.refused)
    last = json.loads((tmp_path / "out" / "events.jsonl").read_bytes().splitlines()[-1])
    assert (last["type"], last["sound"]) == ("verdict", False)


def test_what_is_not_asked_for_is_not_missed(tmp_path: Path) -> None:
    alone = msgspec.structs.replace(
        lab(), measure=msgspec.structs.replace(lab().measure, null_run=False)
    )
    summary = evaluated(tmp_path, REACTIVE, scenario=alone)
    assert summary.verdict is not None
    assert summary.verdict.given
    assert summary.verdict.checks[0].passed is None


def test_a_capture_that_lacks_packets_proves_nothing(tmp_path: Path) -> None:
    story = Story(dropped={"mn-wlan0.pcap": 3}, unheard=(335, 336))
    summary = evaluated(tmp_path, NULL, story)
    assert summary.verdict is not None
    assert summary.verdict.given
    check = summary.verdict.checks[2]
    assert check.detail.startswith("1 comparisons")
    assert "run 002 reactive probe downlink: the capture of mn's wlan0 lacks 3" in check.detail
    assert summary.notes == ["run 002: mn-wlan0.pcap lacks 3 packets"]


def test_packets_that_the_receiving_host_refused_are_noted(tmp_path: Path) -> None:
    files = raw_files(NULL, REACTIVE)
    files["runs/002/mn-wlan0.pcap"] = raw_files(NULL)["runs/001/mn-wlan0.pcap"]  # all arrived
    summary = of_files(tmp_path, files)
    assert summary.notes == [
        "run 002 reactive probe downlink: packets that reached mn's wlan0 but not the receiving "
        "program: 99, from number 236 on"
    ]


def test_without_captures_there_are_figures_all_the_same(tmp_path: Path) -> None:
    files = {n: d for n, d in raw_files(NULL, REACTIVE).items() if "pcap" not in n}
    files = {n: d for n, d in files.items() if not n.endswith("captures.json")}
    summary = of_files(tmp_path, files)
    run = only(summary)
    assert run.ok
    assert (run.signalling, run.eap) == ({}, None)
    assert run.l2_ms == (OPEN - LEFT) / MS  # where the scan began
    assert run.gap_ms.uplink == (BACK - LEFT) / MS
    assert summary.verdict is not None
    assert summary.verdict.checks[2].passed is None
    assert not list((tmp_path / "out").glob("*.pcapng"))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("mn.flows", "mn.flows is missing"),
        ("cn.flows", "cn.flows is missing"),
        ("events.jsonl", "the trigger never fired"),
    ],
)
def test_a_run_that_lacks_a_file_has_failed(tmp_path: Path, change: str, error: str) -> None:
    files = raw_files(NULL, REACTIVE)
    del files[f"runs/002/{change}"]
    run = only(of_files(tmp_path, files))
    assert not run.ok
    assert run.error is not None
    assert error in run.error


def test_a_failed_run_still_shows_what_was_measured(tmp_path: Path) -> None:
    run = only(evaluated(tmp_path, NULL, Story(ok=False, error="hostapd b1 died")))
    assert (run.ok, run.error) == (False, "hostapd b1 died")
    assert run.lost.downlink == 10


def test_flows_that_never_go_both_ways(tmp_path: Path) -> None:
    replace = msgspec.structs.replace
    voice, probe = lab().flows
    flows = (replace(voice, direction="uplink"), replace(probe, direction="uplink"))
    files = raw_files(NULL, REACTIVE)
    run = only(of_files(tmp_path, files, replace(lab(), flows=flows)))
    assert run.ok
    assert (run.gap_ms.downlink, run.lost.downlink, run.mos.downlink) == (None, None, None)
    assert run.gap_ms.uplink == (BACK - LEFT) / MS
    # The first packet is the CN's: it arrives one path's delay later.
    assert run.phases_ms["total"] == (BACK + DELAY - TRIGGER) / MS


def test_an_unwritable_folder_is_the_machines_fault(tmp_path: Path) -> None:
    raw = write(raw_files(NULL), tmp_path / "raw")
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(MachineError, match="cannot be written"):
        evaluate(raw, lab(), 1, tmp_path / "out")
