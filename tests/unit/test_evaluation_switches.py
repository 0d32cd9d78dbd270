"""There and back in one run: what the trace asks for, and each switch evaluated for itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from evaluation_fake import BACK, LEFT, MS, OPEN, TRIGGER, Story, lab, raw_files, write

from mpa_hil import scenario
from mpa_hil.evaluation import evaluate
from mpa_hil.evaluation.flows import lost_between
from mpa_hil.evaluation.holding import held, with_ahead
from mpa_hil.evaluation.timeline import Span, Timeline, read_timelines
from mpa_hil.events import AnyEvent, HoldReleased, PhaseStarted, TriggerFired
from mpa_hil.events.tunnel import TunnelChanged
from mpa_hil.report.run_parts import HoldSummary
from mpa_hil.report.summary import Summary
from mpa_hil.scenario import Movement, Point, Scenario
from mpa_hil.scenario.movement import switches
from mpa_hil.traffic.records import Arrival, FlowLog
from radios.errors import LocalError

LABS = Path(__file__).parents[2] / "lab_configs"
THERE = [("a1", 0, -50), ("a1", 1, -60), ("a1", 3, -95), ("b1", 0, -80), ("b1", 2, -50)]
AND_BACK = [*THERE, ("a1", 6, -95), ("a1", 8, -50), ("b1", 7, -50), ("b1", 9, -95)]
AGAIN = 1_900 * MS


def movement(points: list[tuple[str, float, float]]) -> Movement:
    made = tuple(Point(t_s=t_s, ap=ap, signal_dbm=dbm) for ap, t_s, dbm in points)
    return Movement(start="a1", points=made)


def moving(points: list[tuple[str, float, float]]) -> Scenario:
    return msgspec.structs.replace(lab(), movement=movement(points))


def there_and_back() -> Scenario:
    return moving(AND_BACK)


def test_a_trace_asks_for_as_many_switches_as_it_fades() -> None:
    found = switches(moving(AND_BACK))
    assert [(each.old, each.new) for each in found] == [("a1", "b1"), ("b1", "a1")]
    assert found[0] == scenario.switch(moving(THERE))
    assert found[1].leave_s == pytest.approx(7 + 2 * 25 / 45)
    assert found[1].lost_s == pytest.approx(7 + 2 * 40 / 45)


def test_a_trace_that_ends_nowhere_asks_for_no_more() -> None:
    nowhere = [*THERE, ("b1", 7, -50), ("b1", 9, -95)]
    found = switches(moving(nowhere))
    assert [(each.old, each.new) for each in found] == [("a1", "b1"), ("b1", "a1")]


@pytest.mark.parametrize(
    ("points", "what"),
    [
        ([*THERE, ("b1", 7, -50), ("b1", 9, -95)], "no AP is above"),
        ([*AND_BACK[:-1], ("b1", 9, -80)], "b1 never falls to lost_dbm"),
    ],
)
def test_every_switch_must_be_one_that_can_be_made(
    tmp_path: Path, points: list[tuple[str, float, float]], what: str
) -> None:
    text = (LABS / "two_domains.toml").read_text(encoding="utf-8")
    head, tail = text[: text.index("[[movement.point]]")], text[text.index("[capture]") :]
    rows = "".join(
        f'[[movement.point]]\nap = "{ap}"\nt_s = {t_s}\nsignal_dbm = {dbm}\n\n'
        for ap, t_s, dbm in points
    )
    path = tmp_path / "lab.toml"
    path.write_text(head + rows + tail)
    with pytest.raises(LocalError, match=what):
        scenario.load(path)


def told(t_ns: int, kind: str, **fields: Any) -> bytes:
    event = {"t_ns": t_ns, "host": "mn", "agent": "mobile_node", "type": kind, **fields}
    return json.dumps(event).encode() + b"\n"


def back_again(bssid: str) -> bytes:
    """A second switch, by which nothing is lost."""
    text = f"CTRL-EVENT-CONNECTED - Connection to {bssid} completed [id=0 id_str=]"
    lines = [
        told(AGAIN - 50 * MS, "phase.started", phase="key-installation"),
        told(AGAIN - 40 * MS, "phase.ended", phase="key-installation"),
        told(AGAIN, "trigger.fired", rule="signal-below"),
        told(AGAIN + MS, "phase.started", phase="four-way"),
        told(AGAIN + 5 * MS, "phase.ended", phase="four-way"),
        told(AGAIN + 5 * MS, "wpa.event", name="CTRL-EVENT-CONNECTED", text=text),
        told(AGAIN + 6 * MS, "phase.started", phase="first-packet"),
        told(AGAIN + 9 * MS, "hold.released", address="x", held_ns=4 * MS),
    ]
    return b"".join(lines)


def evaluated(tmp_path: Path, more: bytes) -> Summary:
    files = raw_files(Story(kind="null"), Story())
    files["runs/002/events.jsonl"] += more
    raw = write(files, tmp_path / "raw")
    return evaluate(raw, there_and_back(), 7, tmp_path / "out")


def test_each_switch_is_measured_for_itself(tmp_path: Path) -> None:
    summary = evaluated(tmp_path, back_again(lab().aps[0].bssid))
    [run] = summary.schemes["reactive"].runs
    assert (run.ok, run.error) == (True, None)
    first, second = run.switches
    assert (first.old, first.new, second.old, second.new) == ("a1", "b1", "b1", "a1")
    assert first.gap_ms == {"downlink": (BACK - LEFT) / MS, "uplink": (BACK - LEFT) / MS}
    assert second.gap_ms == {"downlink": 0, "uplink": 0}
    probe, voice = run.flows["probe"], run.flows["voice"]
    assert probe.downlink is not None
    assert voice.downlink is not None
    assert first.lost["downlink"] == probe.downlink.lost + voice.downlink.lost > 0
    assert second.lost == {"downlink": 0, "uplink": 0}
    assert (first.l2_ms, second.l3_ms) == ((OPEN - LEFT) / MS, None)
    assert (first.total_ms, first.hold) == ((BACK - TRIGGER) / MS, {})
    assert second.hold == {"uplink": HoldSummary(0, 0, 4.0, release_ms=4.0)}
    # What a run with one switch says stays what it was: that of the first, and the largest gap.
    assert run.gap_ms.downlink == (BACK - LEFT) / MS
    assert (run.l2_ms, run.phases_ms["total"]) == (first.l2_ms, first.total_ms)
    assert run.preparation_ms == {}
    assert summary.verdict is not None
    assert summary.verdict.checks[2].detail.startswith("4 comparisons")


def test_what_is_held_for_a_scan_ahead_of_the_next_switch_is_not_this_ones(tmp_path: Path) -> None:
    scan = told(
        AGAIN - MS,
        "hold.released",
        address="x",
        held_packets=40,
        dropped_packets=0,
        held_ns=70 * MS,
    )
    summary = evaluated(tmp_path, scan + back_again(lab().aps[0].bssid))
    [run] = summary.schemes["reactive"].runs
    first, second = run.switches
    assert (first.hold, run.hold) == ({}, {})
    assert second.hold == {"uplink": HoldSummary(0, 0, 4.0, release_ms=4.0)}


def test_a_switch_that_did_not_take_place_fails_the_run(tmp_path: Path) -> None:
    [run] = evaluated(tmp_path, b"").schemes["reactive"].runs
    assert (run.ok, run.error) == (False, "1 of 2 switches took place")


def test_a_switch_that_went_half_way_is_named(tmp_path: Path) -> None:
    half = told(AGAIN, "trigger.fired", rule="signal-below")
    [run] = evaluated(tmp_path, half).schemes["reactive"].runs
    assert run.error is not None
    assert run.error.startswith("switch 2: the mobile node never got as far")


def test_a_second_trigger_of_one_handover_begins_no_other() -> None:
    def fired(t_ns: int) -> AnyEvent:
        return TriggerFired(t_ns=t_ns, host="mn", agent="x", rule="signal-below")

    def waits(t_ns: int) -> AnyEvent:
        return PhaseStarted(t_ns=t_ns, host="mn", agent="x", phase="first-packet")

    events = [fired(10), fired(20), waits(30), fired(50), waits(60)]
    found = read_timelines(events)
    assert [(each.trigger_ns, each.arrived_ns) for each in found] == [(10, 30), (50, 60)]
    assert read_timelines([waits(5)]) == []


def test_what_was_held_adds_up_by_direction() -> None:
    def released(t_ns: int, host: str, packets: int, ms: float) -> AnyEvent:
        held_ns = round(ms * MS)
        return HoldReleased(
            t_ns=t_ns,
            host=host,
            agent="hold",
            address="x",
            held_packets=packets,
            dropped_packets=1,
            held_ns=held_ns,
        )

    events = [
        released(10, "A-router", 2, 20),
        released(12, "B-router", 5, 8),
        released(13, "mn", 3, 7),
        released(99, "B-router", 50, 8),
        released(11, "B-router", 0, 0),
    ]
    assert held(events, Span(0, 50)) == {
        "downlink": HoldSummary(7, 2, 20.0),
        "uplink": HoldSummary(3, 1, 7.0),
    }
    assert held(events, Span(0, 9)) == {}


def test_how_long_of_what_was_held_is_read_off_the_handover() -> None:
    def changed(t_ms: float, held_ms: float, *, detained: bool = False) -> AnyEvent:
        return TunnelChanged(
            t_ns=round(t_ms * MS),
            host="A-router" if detained else "B-router",
            agent="access_router",
            session=1,
            mobile_node="mn",
            before="holding",
            state="direct",
            cause="arrived",
            inner=[],
            outer="",
            detained=detained,
            held_ns=round(held_ms * MS),
            held_packets=1,
            act_ns=MS,
        )

    line = Timeline(0, port_open_ns=30 * MS, phases={"pre-switching": (Span(2 * MS, 22 * MS),)})
    events = [changed(32, 19), changed(91, 60, detained=True)]
    assert held(events, Span(0, 99 * MS), line) == {
        "downlink": HoldSummary(1, 0, 19.0, release_ms=1.0, drain_ms=10.0),
        "old": HoldSummary(1, 0, 60.0, release_ms=60.0),  # it was asked once the link had run dry
    }
    # Of two in one place the times are of who held for longest.
    both = held([*events, changed(41, 5)], Span(0, 99 * MS), line)
    assert both["downlink"] == HoldSummary(2, 0, 19.0, release_ms=1.0, drain_ms=10.0)


def test_what_was_held_ahead_of_the_switch_is_told_apart() -> None:
    def released(t_ns: int, packets: int, dropped: int) -> AnyEvent:
        return HoldReleased(
            t_ns=t_ns,
            host="B-router",
            agent="hold",
            address="x",
            held_packets=packets,
            dropped_packets=dropped,
            held_ns=3 * MS,
        )

    events = [released(10, 40, 4), released(20, 30, 1), released(60, 5, 2)]
    switched = held(events, Span(50, 99))
    assert with_ahead(switched, events, 50) == {
        "downlink": HoldSummary(5, 2, 3.0),
        "ahead": HoldSummary(70, 5, 3.0),
    }
    assert with_ahead(switched, [released(10, 0, 0)], 50) == switched


def test_losses_belong_to_when_the_mobile_node_missed_them() -> None:
    sent = [n * 10 for n in range(10)]
    arrivals = [Arrival(n, n * 10, n * 10 + 25) for n in range(10) if n not in (3, 6)]
    down = FlowLog("voice", "downlink", 10, 172, sent, arrivals)
    up = FlowLog("voice", "uplink", 10, 172, sent, arrivals)
    assert lost_between(down, Span(50, 60), 1000) == 1  # number 3, due at 55
    assert lost_between(down, Span(0, 1000), 1000) == 2
    assert lost_between(up, Span(25, 59), 1000) == 1  # number 3, sent at 30
