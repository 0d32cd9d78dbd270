"""`mpa-hil watch`: facts folded, drawn, and played out of traces and runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from mpa_hil import observing
from mpa_hil.commands.watch import watch
from mpa_hil.policy import interface as say
from mpa_hil.policy import trace
from mpa_hil.policy.interface import Input
from mpa_hil.watching import drawing, playing
from mpa_hil.watching.view import View
from radios.errors import LocalError

S = 1_000_000_000
SETTINGS = {"prepare_snr_db": 26.0, "switch_snr_db": 17.0, "filter": "kalman"}
SWITCH = say.Switch("b1", rule="switch-threshold")


def walked() -> View:
    """On a1, b1 prepared, then on b1."""
    view = View("walk")
    view.opened("default", SETTINGS)
    for ap in ("a1", "b1", "c1"):
        view.hear(say.CandidateSeen(S, say.Candidate(ap, f"{ap[0]}.example")))
    view.hear(say.Attached(S, "a1"))
    view.hear(say.Sample(2 * S, "a1", -62.0, -92.0))
    view.hear(say.Sample(2 * S, "b1", -72.0, -92.0))
    return view


def test_who_is_served_comes_first_then_who_is_heard_best() -> None:
    rows = walked().rows()
    assert [(row.ap, row.serving) for row in rows] == [("a1", True), ("b1", False), ("c1", False)]
    assert (rows[0].snr_db, rows[1].snr_db, rows[2].snr_db) == (30.0, 20.0, None)


@pytest.mark.parametrize(
    ("held", "state"),
    [
        (say.Holding(3 * S, "b1", 1), "keys"),
        (say.Holding(3 * S, "b1", 1, under_way=True), "keys, ..."),
        (say.Holding(3 * S, "b1", 2, tunnel=True), "address, tunnel"),
        (say.Holding(3 * S, "b1", 3, tunnel=True), "bound"),
        (say.Holding(3 * S, "b1", 1, context=True), "keys, kept"),
        (say.Holding(3 * S, "b1", 0), ""),
    ],
)
def test_what_is_prepared_is_said(held: say.Holding, state: str) -> None:
    view = walked()
    view.hear(held)
    assert next(row.state for row in view.rows() if row.ap == "b1") == state


def test_whoever_is_gone_is_not_heard() -> None:
    view = walked()
    view.hear(say.CandidateGone(3 * S, "b1"))
    assert "b1" not in [row.ap for row in view.rows()]


def test_the_headline_follows_link_and_phase() -> None:
    view = walked()
    view.phase_began("pre-switching")
    assert "on a1   policy default   pre-switching" in drawing.headline(view)
    view.phase_ended("pre-switching")
    view.hear(say.LinkLost(3 * S, "a1"))
    assert "no link (was on a1)" in drawing.headline(view)
    assert "pre-switching" not in drawing.headline(view)


def test_a_bar_has_the_thresholds_where_they_lie() -> None:
    view = walked()
    assert view.thresholds == {"prepare": 26.0, "switch": 17.0}
    text = drawing.bar(30.0, view.thresholds)
    assert text == "████████s████p█" + "·" * 15
    assert drawing.bar(None, {}) == "·" * 30
    assert drawing.bar(99.0, {}) == "█" * 30
    assert drawing.bar(-5.0, {}) == "·" * 30


def test_holes_and_losses_of_a_stream() -> None:
    view = View()
    for t_ms in (0, 10, 80, 90):
        view.packet("downlink", t_ms * 1_000_000, 10.0)
    view.packet("downlink", None, 10.0)
    assert drawing.flows(view) == ["downlink  4 received, 1 lost, largest gap 60.0 ms"]


def test_the_last_decisions_are_shown_newest_first() -> None:
    view = walked()
    for number in range(20):
        view.decide((10 + number) * S, say.Stay("b1", rule=f"r{number}"))
    shown = drawing.decisions(view)
    assert len(shown) == 8
    assert "r19" in shown[0]


# --- recordings


def recorded(tmp_path: Path) -> Path:
    steps = (
        trace.Step(say.CandidateSeen(S, say.Candidate("b1", "b.example"))),
        trace.Step(say.Attached(S, "a1")),
        trace.Step(say.Sample(2 * S, "a1", -80.0, -92.0), (SWITCH,)),
        trace.Step(say.Attached(3 * S, "b1")),
    )
    path = tmp_path / "walk.jsonl"
    path.write_bytes(trace.write(trace.Trace(trace.Header("default", SETTINGS), steps)))
    return path


def ran(tmp_path: Path) -> Path:
    """A run's folder with two schemes in it."""
    common = {"host": "mn", "agent": "mobile_node", "repeat": 0}
    attached: dict[str, Any] = {"kind": "attached", "t_ns": S, "ap": "a1"}
    decided: dict[str, Any] = {
        "decision": "switch",
        "target": "b1",
        "rule": "better",
        "inputs": {},
        "level": None,
    }
    told: list[dict[str, Any]] = [
        {"t_ns": S, "type": "policy.opened", "policy": "fixed", "settings": {}, "scheme": "policy"},
        {"t_ns": S, "type": "policy.input", "input": attached, "scheme": "policy"},
        {"t_ns": 2 * S, "type": "policy.decided", "scheme": "policy", **decided},
        {"t_ns": 3 * S, "type": "phase.started", "phase": "scan", "scheme": "policy"},
        {"t_ns": 4 * S, "type": "phase.started", "phase": "eap", "scheme": "reactive"},
        {"t_ns": 5 * S, "type": "wpa.event", "name": "X", "text": "X", "scheme": "policy"},
    ]
    lines = [json.dumps(common | event) for event in told]
    lines.append(json.dumps({"t_ns": 6 * S, "host": "lab", "agent": "x", "type": "verdict"}))
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n")
    rows = ["run,scheme,flow,direction,seq,sent_ns,received_ns,size,note,kind"]
    for seq, received in enumerate((1_010, 1_020, "", 1_090)):
        came = "" if received == "" else f"{received}000000"
        rows.append(f"1,policy,probe,downlink,{seq},{1000 + 10 * seq}000000,{came},20,,policy")
    (tmp_path / "packets.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def played(path: Path, **options: Any) -> View:
    shown: list[View] = []
    view = View()
    wanted: dict[str, Any] = {"speed": 0.0, "scheme": "", "repeat": 0} | options
    playing.play(path, view, shown.append, **wanted)
    assert shown
    return view


def test_a_trace_is_played(tmp_path: Path) -> None:
    view = played(recorded(tmp_path), speed=1000.0)
    assert (view.policy, view.here.serving, view.decided[0][1]) == ("default", "b1", SWITCH)


def test_a_run_is_played_with_its_flow(tmp_path: Path) -> None:
    view = played(ran(tmp_path), scheme="policy")
    assert (view.policy, view.here.serving, view.phase) == ("fixed", "a1", "scan")
    assert drawing.flows(view) == ["downlink  3 received, 1 lost, largest gap 60.0 ms"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "nothing to show"),
        ('{"t_ns":1,"host":"lab","type":"x"}\n', "nothing to show"),
        ("rubbish\n", "neither a trace nor an event log"),
        ("[1]\n", "neither a trace nor an event log"),
        ('{"kind":"sample"}\n', "neither a trace nor an event log"),
        ('{"host":"mn","type":"policy.input"}\n', "neither a trace nor an event log"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, content: str, what: str) -> None:
    path = tmp_path / "file"
    path.write_text(content)
    with pytest.raises(LocalError) as caught:
        played(path)
    assert what in caught.value.what
    assert str(path) in caught.value.where


def test_the_command_prints_the_end_without_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watch([str(ran(tmp_path)), "--speed", "0", "--scheme", "policy"], standalone_mode=False)
    said = capsys.readouterr().out
    assert "on a1" in said
    assert "switch" in said
    assert "largest gap 60.0 ms" in said


def test_a_live_radio_is_listened_to_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def listen(control: str, tell: Any, settings: Any, *, for_s: float | None = None) -> None:
        assert not settings.background, "it must not leave its channel"
        events: tuple[Input, ...] = (
            say.CandidateSeen(S, say.Candidate("b1")),
            say.Attached(S, "a1"),
            say.Sample(2 * S, "a1", -60.0, -92.0),
        )
        for event in events:
            tell(event)
        await asyncio.sleep(0.01)

    monkeypatch.setattr(observing, "observe", listen)
    view, shown = View(), list[View]()
    playing.observe(Path("/run/x"), view, shown.append, policy="naive", for_s=1.0)
    assert shown
    assert (view.policy, view.here.serving, view.rows()[0].snr_db) == ("naive", "a1", 32.0)
