"""The ladder diagram: which rows an event log comes to, and that nothing overlaps in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
from report_folder import (
    LAB,
    MS,
    OLD,
    START,
    TRIGGER,
    event,
    happenings,
    log,
    packets,
    phase,
    switch_run,
    wpa,
)

from mpa_hil import scenario
from mpa_hil.events.run import PHASES as LOGGED
from mpa_hil.report.html import holes, ladder_layout, ladder_rows, ladder_tables, plots
from mpa_hil.report.html.choice import worst_switch
from mpa_hil.report.html.data import (
    Packet,
    Stream,
    Trace,
    handovers,
    read_streams,
)
from mpa_hil.report.html.ladder_rows import Arrow, Ladder, Remark
from mpa_hil.report.html.scales import Linear, Wide, label, ticks
from mpa_hil.report.html.scene import Scene, scene
from mpa_hil.report.run_parts import SwitchSummary
from mpa_hil.traffic.records import PACKETS_COLUMNS

SCENARIO = scenario.load(LAB, ())
SCENE = scene(SCENARIO, "reactive")


def streams() -> list[Stream]:
    found: dict[str, Stream] = {}
    for _, _, flow, direction, seq, sent, received, _, note, _ in packets(1):
        stream = found.setdefault(str(direction), Stream(str(flow), str(direction)))
        got = received if isinstance(received, int) else None
        stream.packets.append(Packet(int(str(seq)), int(str(sent)), got, str(note)))
    return list(found.values())


def trace(events: list[Mapping[str, object]] | None = None) -> Trace:
    every = happenings(log() if events is None else events)
    (segment,) = handovers(every)
    return Trace("reactive", 1, switch_run(1), segment, streams(), "its only run")


def drawn(more: list[Mapping[str, object]] | None = None, where: Scene = SCENE) -> Ladder:
    found = ladder_rows.ladder(trace([*log(), *(more or [])]), where)
    assert found is not None
    return found


def arrow(found: Ladder, text: str) -> Arrow:
    (one,) = (i for i in found.items if isinstance(i, Arrow) and text in i.text)
    return one


def test_null_and_control_runs_are_not_drawn() -> None:
    segments = list(handovers(happenings(log())))
    assert [segment[0].t_ns for segment in segments] == [START]
    assert segments[0][-1].type == "run.finished"


def test_messages_go_between_their_columns() -> None:
    found = drawn()
    assert found.columns == ("MN", "oPoA", "nPoA", "AR", "HA", "CN")
    pairs = {
        "deauthentication": ("MN", "oPoA"),
        "authentication": ("MN", "nPoA"),
        "association response": ("nPoA", "MN"),
        "DHCP: 10.2.0.5": ("MN", "AR"),
        "reply: accepted": ("HA", "MN"),
    }
    for text, ends in pairs.items():
        one = next(i for i in found.items if isinstance(i, Arrow) and i.text == text)
        assert (one.source, one.target) == ends, text


def test_a_registration_is_seen_leaving_and_arriving() -> None:
    found = drawn()
    one = arrow(found, "registration, care-of 10.2.0.5")
    assert (one.start_ns, one.end_ns) == (TRIGGER + 196 * MS, TRIGGER + 211 * MS)
    back = arrow(found, "reply: accepted")
    assert (back.start_ns, back.end_ns) == (TRIGGER + 211 * MS, TRIGGER + 226 * MS)


def test_what_comes_after_the_traffic_is_left_out() -> None:
    assert len([i for i in drawn().items if "registration" in i.text]) == 1


def test_the_blackout_lies_between_its_packets() -> None:
    """Packet 51 is the last before it, 60 the first after it, 30 ms later at the receiver."""
    found = drawn()
    down = next(dead for dead in found.dead if dead.direction == "downlink")
    sent = START + 40 * MS
    assert (down.start_ns, down.end_ns) == (sent + 1050 * MS, sent + 1230 * MS)
    assert down.gap_ms == 160.0
    assert arrow(found, "last packet down, no. 51").source == "CN"
    assert arrow(found, "first packet up, no. 60: blackout 160.0 ms").source == "MN"


def test_addresses_go_with_the_link() -> None:
    assert [reach.text for reach in drawn().reach] == ["[oCoA]", "none", "[nCoA]"]


def test_a_tunnel_gives_both_addresses_and_the_next_one_with_the_port() -> None:
    ahead = [
        *phase("pre-authentication", START + 10 * MS, START + 300 * MS),
        *phase("tunnel-setup", START + 400 * MS, START + 500 * MS),
    ]
    found = drawn(ahead)
    texts = [reach.text for reach in found.reach]
    assert texts[:4] == ["[oCoA]", "[oCoA, nCoA]", "none", "[nCoA]"]
    assert found.prepared


def test_steps_are_numbered_only_in_their_order() -> None:
    ahead = phase("pre-authentication", START + 10 * MS, START + 300 * MS)
    late = phase("binding-update", TRIGGER + 196 * MS, TRIGGER + 226 * MS)
    found = drawn([*ahead, *late])
    numbered = {found.phases[n].name for n in ladder_layout.lay_out(found).steps}
    assert {"pre-authentication", "scan", "dhcp"} <= numbered
    assert "binding-update" not in numbered
    assert not ladder_layout.lay_out(drawn()).steps


def test_an_agents_own_event_replaces_what_a_phase_tells() -> None:
    told = phase("arrival", TRIGGER + 155 * MS, TRIGGER + 160 * MS)
    own = event(
        TRIGGER + 157 * MS,
        "tunnel.changed",
        "B-router",
        agent="access_router",
        state="direct",
        cause="arrived",
        held_packets=7,
    )
    assert arrow(drawn(told), "arrived: held packets released").both
    found = drawn([*told, own])
    assert arrow(found, "arrived: 7 held packets released").target == "AR"
    assert len([i for i in found.items if "arrived" in i.text]) == 1


def test_a_lab_that_is_not_known_has_its_boxes_own_names() -> None:
    one = event(TRIGGER + MS, "hold.started", "box", agent="hold", cause="request")
    assert "box" in drawn([one], scene(None, "reactive")).columns


def test_a_storm_of_messages_is_cut() -> None:
    storm = [event(TRIGGER + n, "dhcp.bound", address="10.2.0.5") for n in range(500)]
    found = drawn(storm)
    assert len(found.items) == ladder_rows.MOST_ROWS
    assert found.left_out > 300


def test_lines_have_room_and_boxes_do_not_overlap() -> None:
    """Also where two phases share an instant, or one has no length at all."""
    more = [
        *phase("association", TRIGGER + 151 * MS, TRIGGER + 151 * MS),
        *phase("four-way", TRIGGER + 151 * MS, TRIGGER + 155 * MS),
        *phase("switching", TRIGGER + MS, TRIGGER + 155 * MS),
    ]
    found = drawn(more)
    layout = ladder_layout.lay_out(found)
    lines = sorted(layout.lines)
    assert all(b - a >= ladder_layout.ROW for a, b in pairwise(lines))
    assert [y for _, y in layout.instants] == sorted(y for _, y in layout.instants)
    by_lane: dict[int, list[tuple[float, float]]] = {}
    for number, box in layout.boxes.items():
        by_lane.setdefault(layout.lanes[number], []).append(box)
    for boxes in by_lane.values():
        boxes.sort()
        assert all(bottom - top >= ladder_layout.BOX - 0.01 for top, bottom in boxes)
        assert all(a[1] <= b[0] + 0.01 for a, b in pairwise(boxes))
    assert layout.height > max(bottom for _, bottom in layout.boxes.values())


def test_every_phase_of_the_event_log_has_a_style() -> None:
    assert set(LOGGED) <= set(ladder_tables.PHASES)


def test_rules_name_events_that_there_are() -> None:
    from mpa_hil.events import AnyEvent

    known = {kind.__struct_config__.tag for kind in get_args(AnyEvent)}
    ruled = {rule.type for rule in ladder_tables.RULES}
    assert ruled <= known


def test_the_floor_has_its_own_radios() -> None:
    floor = scene(SCENARIO, "l2-floor")
    assert floor.columns["A-router"] == "AR"
    assert floor.points["028000000b01"] == "b1"
    assert not floor.candidate


def test_a_text_with_fields_that_are_missing_is_still_drawn() -> None:
    found = drawn([event(TRIGGER + MS, "preauth.authenticated")])
    assert any("over PANA" in item.text for item in found.items)
    odd = event(TRIGGER + MS, "aa.authenticated", aaa_ms="x", duration_ms="y")
    assert drawn([odd]).items


@pytest.mark.parametrize("direction", ["downlink", "uplink"])
def test_plots_put_lost_packets_where_they_were_due(direction: str) -> None:
    one = trace()
    (stream,) = (s for s in one.streams if s.direction == direction)
    seen = plots.view(one, stream)
    assert seen is not None
    lost = [s for s in seen.shown if s.delay_ms is None]
    assert [s.packet.seq for s in lost] == list(range(52, 60))
    shift = 30 if direction == "downlink" else 0
    assert lost[0].due_ms == pytest.approx((START + (40 + 52 * 20 + shift) * MS - TRIGGER) / MS)
    assert seen.dead is not None
    assert seen.dead[0] < lost[0].due_ms < lost[-1].due_ms < seen.dead[1]
    assert seen.dead[1] - seen.dead[0] == pytest.approx(180.0)
    got = [s for s in seen.shown if s.delay_ms is not None]
    assert {s.delay_ms for s in got} == {30.0}


def there_and_back() -> Trace:
    """A run of two switches a second apart, the second with the longer blackout."""
    back = TRIGGER + 500 * MS
    events = [
        *(e for e in log() if str(e["type"]) not in ("flow.quiet", "run.finished")),
        event(TRIGGER + 227 * MS, "phase.started", phase="first-packet"),
        *phase("pre-authentication", TRIGGER + 300 * MS, TRIGGER + 400 * MS),
        event(back, "trigger.fired", rule="second"),
        *phase("scan", back + MS, back + 30 * MS),
        wpa(back + 30 * MS, "AUTHENTICATING", f"SME: Trying to authenticate with {OLD}"),
        wpa(back + 35 * MS, "CTRL-EVENT-CONNECTED", f"Connection to {OLD} completed"),
        event(back + 36 * MS, "phase.started", phase="first-packet"),
        event(TRIGGER + 902 * MS, "run.finished", "lab", agent="collector", ok=True),
    ]
    switches = [
        SwitchSummary(
            old=old,
            new=new,
            l2_ms=1.0,
            l3_ms=None,
            gap_ms={"downlink": gap_ms, "uplink": 1.0},
            lost={},
            total_ms=total_ms,
        )
        for old, new, gap_ms, total_ms in (("a1", "b1", 160.0, 250.0), ("b1", "a1", 170.0, 40.0))
    ]
    run = switch_run(1, switches=switches)
    (segment,) = handovers(happenings(events))
    return Trace("reactive", 1, run, segment, streams(), "its only run", worst_switch(run))


def test_of_several_switches_the_one_with_the_longest_blackout_is_drawn() -> None:
    one = there_and_back()
    assert one.switch == 1
    assert holes.trigger_ns(one) == TRIGGER + 500 * MS
    chosen = holes.switch(one)
    assert chosen is not None
    found = ladder_rows.ladder(one, scene(SCENARIO, "reactive", (chosen.old, chosen.new)))
    assert found is not None
    assert [phase.name for phase in found.phases][:2] == ["pre-authentication", "scan"]
    assert arrow(found, "authentication").target == "nPoA"
    assert not any("DHCP" in item.text or "-80 dBm" in item.text for item in found.items)


def test_what_prepares_the_next_switch_is_not_the_first_ones() -> None:
    first = replace(there_and_back(), switch=0)
    found = ladder_rows.ladder(first, SCENE)
    assert found is not None
    assert "pre-authentication" not in [phase.name for phase in found.phases]
    assert arrow(found, "reply: accepted")


def test_a_hole_of_mere_spacing_is_not_marked() -> None:
    one = trace()
    quiet = Trace("reactive", 1, switch_run(1, flows={}), one.events, one.streams, "")
    assert all(holes.blackout(quiet, stream) is None for stream in quiet.streams)


def test_only_the_runs_wanted_are_read(tmp_path: Path) -> None:
    path = tmp_path / "packets.csv"
    rows = [PACKETS_COLUMNS, *packets(1), *packets(11), ("1", "short")]
    path.write_text("".join(f"{','.join(map(str, row))}\n" for row in rows))
    found = read_streams(path, {1: None}, [])
    assert list(found) == [1]
    assert [len(stream.packets) for stream in found[1]] == [100, 100]
    part = read_streams(path, {1: (START, START + 100 * MS)}, [])
    assert [packet.seq for packet in part[1][0].packets] == [0, 1, 2, 3]


def test_axes_mark_round_values() -> None:
    assert ticks(0, 100, 5) == [0, 20, 40, 60, 80, 100]
    assert ticks(-0.3, 0.31, 6) == pytest.approx([-0.2, 0.0, 0.2])
    assert ticks(5, 5, 4) == [5]
    assert label(-12345.0) == "−12 345"
    assert Linear(0, 10, 0, 100)(5) == 50
    wide = Wide(1000.0, 0.0, 100.0)
    assert wide(-3.0) == 0.0
    assert wide(1000.0) == pytest.approx(100.0)
    assert list(wide.ticks()) == [0, 1, 10, 100, 1000]


def test_many_packets_are_one_path_of_dots() -> None:
    path = plots._dots([(1.0, 2.0), (1.4, 2.1), (9.0, 2.0), (1.0, 7.0)])
    assert path == "M1 2h0.5M9 2h0M1 7h0"
    assert isinstance(Remark(1, "MN", "x"), Remark)
