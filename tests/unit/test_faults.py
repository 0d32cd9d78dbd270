"""Faults in a lab file: which are refused, which runs they make, what their runs are judged by."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import msgspec
import pytest
from evaluation_fake import END, Files, Story, raw_files, udp, write
from evaluation_fake import ip as ip_packet

from mpa_hil import scenario
from mpa_hil.agents.faults import dhcp_type, payload_at, spoilt
from mpa_hil.evaluation import evaluate
from mpa_hil.experiment.faults import Ending
from mpa_hil.experiment.plan import order
from mpa_hil.experiment.signals import SIGNALS
from mpa_hil.lab.leftovers import difference
from mpa_hil.report.faults import FaultSummary
from mpa_hil.report.summary import Summary
from mpa_hil.scenario import Fault, Scenario
from mpa_hil.scenario.faults import STEP_OF, targets
from radios.errors import LocalError

LABS = Path(__file__).parents[2] / "lab_configs"
LAB = (LABS / "faults.toml").read_text(encoding="utf-8").split("[[fault]]")[0]
KILL = {"name": "dead", "what": "kill", "target": "B-ar", "at": "disable"}
A, B = IPv4Address("10.1.0.178"), IPv4Address("10.2.0.178")


def described(**fault: Any) -> str:
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in fault.items())
    return f"{LAB}\n[[fault]]\n{lines}"


def loaded(tmp_path: Path, **fault: Any) -> Scenario:
    path = tmp_path / "lab.toml"
    path.write_text(described(**fault), encoding="utf-8")
    return scenario.load(path)


@pytest.mark.parametrize(
    ("changes", "key", "what", "remedy"),
    [
        ({"at": "disabel"}, "at", "no such moment", "did you mean `disable`?"),
        ({"target": "B-are"}, "target", "no such", "`B-ar`"),
        ({"target": None}, "target", "needs one", "known here"),
        ({"what": "lose"}, "target", "has none", "leave it out"),
        ({"what": "lose", "target": None, "at": "prepared"}, "at", "no message", "name one"),
        ({"what": "refuse", "target": "b2"}, "target", "no such", "`b1`"),
        ({"what": "pool-empty", "target": None}, "at", "from the beginning", "leave it out"),
        ({"what": "duplicate-address", "target": None}, "at", "when it is leased", "dhcp-ack"),
        ({"at": "prepared", "skip": 1}, "skip", "comes once", "leave it out"),
        ({"what": "stop", "restart_ms": 5}, "restart_ms", "only what", 'what = "kill"'),
        ({"target": "B-dhcp", "restart_ms": 5}, "restart_ms", "only what", "leave"),
        ({"schemes": ["l2-floor"]}, "schemes", "has no faults", "known here"),
        ({"what": "vanish"}, "what", "vanish", "kill"),
        ({"times": 0}, "times", ">= 1", "in turn"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(
    tmp_path: Path, changes: dict[str, Any], key: str, what: str, remedy: str
) -> None:
    fault = {name: value for name, value in (KILL | changes).items() if value is not None}
    with pytest.raises(LocalError) as caught:
        loaded(tmp_path, **fault)
    assert caught.value.where.endswith(f"fault.dead.{key}"), caught.value.where
    assert what in caught.value.what
    assert remedy in caught.value.remedy


def test_every_message_that_a_lab_file_names_can_be_found_on_the_wire() -> None:
    assert set(STEP_OF) == set(SIGNALS)


def test_every_target_is_a_daemon_of_the_lab() -> None:
    assert {"home-agent", "B-ar", "b1-ep", "mn-supplicant"} <= set(
        targets({"A": ("a1",), "B": ("b1",)})
    )


def test_each_fault_is_a_run_of_its_own_after_the_handovers(tmp_path: Path) -> None:
    lab = loaded(tmp_path, **KILL)
    runs = order(lab, ("reactive", "mpa"), 2)
    assert [str(run) for run in runs] == [
        "reactive, repeat 1",
        "mpa, repeat 1",
        "reactive, repeat 2",
        "mpa, repeat 2",
        "mpa, fault dead, repeat 1",
        "mpa, fault dead, repeat 2",
    ]
    assert {run.kind for run in runs if run.fault} == {"fault"}


# --- what the agent makes of packets


def test_it_looks_into_packets() -> None:
    packet = ip_packet(A, B, 17, udp(4000, 7165, b"MPA\2etc"))
    assert packet[payload_at(packet) :] == b"MPA\2etc"
    changed = spoilt(packet)
    assert changed[payload_at(changed) :] == b"MPA\2et" + bytes((ord("c") ^ 255,))
    assert changed[26:28] == b"\0\0", "a checksum would tell"
    assert payload_at(b"\x60" + bytes(50)) == 0
    assert payload_at(b"") == 0


def test_it_knows_the_types_of_dhcp() -> None:
    head = bytes(236) + b"\x63\x82\x53\x63"
    assert dhcp_type(head + b"\x3d\x01\x07" + b"\0" + b"\x35\x01\x05\xff") == 5
    assert dhcp_type(head + b"\xff") == 0
    assert dhcp_type(head + b"\x35") == 0
    assert dhcp_type(b"") == 0


def test_what_is_left_is_told_with_its_box() -> None:
    before = {"mn": frozenset({"a", "b"}), "B-router": frozenset[str]()}
    after = {"mn": frozenset({"a"}), "B-router": frozenset({"c"})}
    assert difference(before, before) == ()
    assert difference(before, after) == ("mn: gone: b", "B-router: c")


# --- what its run is judged by


def outcome(**changes: Any) -> bytes:
    told = {
        "t_ns": END,
        "host": "lab",
        "agent": "collector",
        "type": "fault.outcome",
        "fault": "dead",
        "injected": 1,
        "outcome": "moved",
        "network": "b1",
        "addresses": ["10.2.0.178"],
        "care_of": "10.2.0.178",
        **changes,
    }
    return json.dumps(told).encode() + b"\n"


def judged(tmp_path: Path, *, end: str = "any", quiet: bool = True, **changes: Any) -> Summary:
    """A reactive handover and a run with a fault; `quiet`: it loses nothing."""
    fault = Fault(name="dead", what="kill", target="B-ar", at="disable", end=end)  # type: ignore[arg-type]
    story = Story("mpa", kind="null" if quiet else "handover")
    files: Files = raw_files(Story(), story)
    run = json.loads(files["runs/002/run.json"])
    files["runs/002/run.json"] = json.dumps(run | {"kind": "fault", "fault": "dead"}).encode()
    files["runs/002/events.jsonl"] = outcome(**changes)
    lab = msgspec.structs.replace(story.scenario, faults=(fault,))
    lab = msgspec.structs.replace(lab, measure=msgspec.structs.replace(lab.measure, null_run=False))
    return evaluate(write(files, tmp_path / "raw"), lab, 7, tmp_path / "out")


def only(summary: Summary) -> FaultSummary:
    [run] = summary.faults
    return run


def test_it_ended_as_it_must(tmp_path: Path) -> None:
    summary = judged(tmp_path, end="moved")
    run = only(summary)
    assert (run.ended, run.problems, run.lost) == ("moved", (), {"downlink": 0, "uplink": 0})
    assert run.limit_ms == pytest.approx(1.1 * max(run_gap(summary)))
    assert summary.verdict is not None
    assert ("faults end as they must", True) in {(c.name, c.passed) for c in summary.verdict.checks}
    assert "mpa" not in summary.schemes, "no handover of the scheme's"


def run_gap(summary: Summary) -> tuple[float, float]:
    [run] = summary.schemes["reactive"].runs
    assert run.gap_ms.downlink is not None
    assert run.gap_ms.uplink is not None
    return run.gap_ms.downlink, run.gap_ms.uplink


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"injected": 0}, "never happened"),
        ({"network": ""}, "on no network"),
        ({"care_of": ""}, "bound nowhere"),
        ({"care_of": "10.1.0.178"}, "on b1 and bound at 10.1.0.178"),
        ({"addresses": []}, "does not have that address"),
        ({"end": "stayed"}, "should have stayed, and has moved"),
        ({"left": ["B-router: mpat1", "mn: x"]}, "left behind: B-router: mpat1 and 1 more"),
    ],
)
def test_it_did_not(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    summary = judged(tmp_path, **changes)
    assert any(problem in text for text in only(summary).problems), only(summary).problems
    assert summary.verdict is not None
    assert not summary.verdict.given


def test_packets_must_flow_at_the_end(tmp_path: Path) -> None:
    summary = judged(tmp_path, quiet=False)
    assert any("of the last second are missing" in text for text in only(summary).problems)


READY, OVER = '{"type":"handover.ready"}', '{"type":"handover.finished","outcome":"stayed"}'
FIRED, PACKET = '{"type":"trigger.fired"}', '{"type":"phase.started","phase":"first-packet"}'


@pytest.mark.parametrize(
    ("lines", "last"),
    [
        ([READY, FIRED, PACKET, OVER], 3),
        ([READY, OVER, READY, FIRED, PACKET, OVER], 5),
        ([READY, OVER, FIRED, PACKET], 3),
        ([FIRED, PACKET], 1),
        ([READY, FIRED, OVER.replace("stayed", "lost"), OVER], 3),
        ([READY, FIRED, PACKET], None),
        ([READY, PACKET, OVER.replace("stayed", "moved")], 2),
    ],
)
def test_a_run_is_over_when_the_handover_is(lines: list[str], last: int | None) -> None:
    """One that was given up before the node had to go is not the end."""
    ending = Ending()
    found = [number for number, line in enumerate(lines) if ending.ends(line)]
    assert found[:1] == ([] if last is None else [last])
