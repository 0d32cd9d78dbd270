"""summary.json: required keys, medians, phases that add up, and refusals."""

from __future__ import annotations

import dataclasses
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_sample import good_verdict, run, summary

from mpa_hil.events.run import PHASES as EVENT_LOG_PHASES
from mpa_hil.events.run import PREPARATION
from mpa_hil.report.summary import (
    EVENT_PHASES,
    PHASES,
    FlowSummary,
    complete_phases,
    decode,
    encode,
    failed_run,
    flow_summary,
    make_run,
    make_scheme,
    median_of,
)
from mpa_hil.report.verdict import Missing, QuietRun, judge
from mpa_hil.traffic.codecs import CODECS
from mpa_hil.traffic.figures import FlowFigures, Window, figures
from mpa_hil.traffic.observer import agree
from mpa_hil.traffic.records import Arrival, FlowLog
from radios.errors import LocalError, RemoteError

MS = 1_000_000
REQUIRED = {
    *("ok", "l2_ms", "l3_ms", "gap_ms", "sent", "received", "lost", "duplicated", "reordered"),
    *("jitter_ms", "delay_ms", "mos", "phases_ms", "signalling"),
}
BOTH_WAYS = ("gap_ms", "sent", "received", "lost", "duplicated", "reordered", "jitter_ms", "mos")


def measured(spacing_ms: int, lost: range) -> FlowFigures:
    sent = [i * spacing_ms * MS for i in range(4000 // spacing_ms)]
    arrivals = [Arrival(i, s, s + 5 * MS) for i, s in enumerate(sent) if i not in lost]
    log = FlowLog("voice", "downlink", spacing_ms * MS, 172, sent, arrivals)
    return figures(log, Window(1000 * MS, 3000 * MS), CODECS["g711"])


def test_required_keys_are_there_and_the_file_reads_back() -> None:
    written = summary(good_verdict())
    data = encode(written)
    plain = json.loads(data)
    assert {"lab", "seed", "rig", "clock", "versions", "schemes"} <= set(plain)
    for scheme in plain["schemes"].values():
        assert {"runs", "median"} <= set(scheme)
        for one in scheme["runs"]:
            assert set(one) >= REQUIRED
            assert all(set(one[key]) == {"downlink", "uplink"} for key in BOTH_WAYS)
            assert set(one["delay_ms"]["downlink"]) == {"p50", "p95", "max"}
    assert decode(data) == written


def test_unknown_keys_are_passed_over_and_nonsense_refused() -> None:
    plain = json.loads(encode(summary()))
    plain["new"] = plain["schemes"]["reactive"]["runs"][0]["new"] = 1
    assert decode(json.dumps(plain).encode()) == summary()
    del plain["schemes"]["reactive"]["runs"][0]["gap_ms"]
    for data in (json.dumps(plain).encode(), b"{", b"\xff"):
        with pytest.raises(RemoteError, match="not a summary"):
            decode(data)


def test_headline_figures_come_from_the_flows_named() -> None:
    voice, probe = measured(20, range(80, 90)), measured(2, range(800, 893))
    flows = {
        "voice": {"downlink": voice, "uplink": measured(20, range(0))},
        "probe": {"downlink": probe, "uplink": probe},
    }
    made = make_run(flows, voice_flow="voice", gap_flow="probe", l2_ms=12.0)
    assert made.gap_ms.downlink == probe.gap_ms == 186
    assert (made.lost.downlink, made.lost.uplink) == (10, 0)
    assert made.flows["voice"].of("downlink").lost_gap_ms == 200
    with pytest.raises(LocalError, match="not measured"):
        make_run(flows, voice_flow="voice", gap_flow="absent")


def test_a_flow_that_goes_one_way_has_no_figures_for_the_other() -> None:
    flows = {"voice": {"uplink": measured(20, range(80, 90))}}
    made = make_run(flows, voice_flow="voice", gap_flow="voice", number=3)
    assert (made.lost.downlink, made.lost.uplink) == (None, 10)
    assert (made.gap_ms.downlink, made.gap_ms.uplink) == (None, 200)
    assert made.flows["voice"].downlink is None
    middle = median_of([made, made])
    assert middle["lost"] == {"uplink": 10}
    assert "number" not in middle
    text = encode(msgspec.structs.replace(summary(), schemes={"x": make_scheme([made])}))
    assert decode(text).schemes["x"].runs == [made]


def test_every_figure_of_a_flow_is_stored() -> None:
    figure_names = {f.name for f in dataclasses.fields(FlowFigures)}
    gone = {"gap_start_ns", "gap_end_ns", "delay_p50_ms", "delay_p95_ms", "delay_max_ms"}
    assert set(FlowSummary.__struct_fields__) == figure_names - gone | {"recovered", "delay_ms"}
    stored = flow_summary(measured(20, range(80, 90)))
    assert stored.recovered
    assert stored.delay_ms.p50 == 5.0


def test_median_is_leaf_by_leaf_over_ok_runs() -> None:
    middle = median_of([run(100, 1), run(300, 4, l3_ms=None), run(200, 5), failed_run("died")])
    assert middle["gap_ms"] == {"downlink": 200, "uplink": 187.5}
    assert middle["lost"]["downlink"] == 4
    assert middle["l3_ms"] == 75  # of the two runs that have one
    assert middle["signalling"]["radius"]["bytes"] == 9876
    assert middle["mos"] == {"downlink": 3.21}
    assert not {"ok", "flows", "error", "gap_flow"} & set(middle)
    assert median_of([failed_run("died")]) == {}


phase_times = st.dictionaries(st.sampled_from(PHASES), st.floats(0, 1e5))


@given(phase_times, st.floats(0, 1e6))
def test_phases_add_up_to_the_total(phases: dict[str, float], total: float) -> None:
    done = complete_phases(phases, total)
    assert sum(v for k, v in done.items() if k != "total") == pytest.approx(total, abs=1e-6)
    assert [k for k in done if k in PHASES] == [k for k in PHASES if k in phases]


def test_event_log_phases_are_the_summarys() -> None:
    handover = [name for name in EVENT_LOG_PHASES if name not in PREPARATION]
    assert tuple(EVENT_PHASES.get(name, name) for name in handover) == PHASES
    assert complete_phases({"four-way": 5.0}, 6.0)["four_way"] == 5.0
    with pytest.raises(LocalError, match="coffee"):
        complete_phases({"coffee": 1.0}, 1.0)


def quiet(lost: int = 0, gap_ms: float = 0.0, duplicated: int = 0) -> QuietRun:
    return QuietRun("voice", "downlink", 500, lost, duplicated, gap_ms, 20.0)


def test_verdict_is_refused_with_its_reason() -> None:
    fine = agree(10, 10.1, 1)
    assert judge([quiet()], [quiet(lost=3)], [("a", fine)]).refused == ()
    assert judge([quiet(gap_ms=20)], None, []).refused == ()
    cases = (
        (judge([quiet(lost=1)], None, []), "1 of 500 lost"),
        (judge([quiet(duplicated=2)], None, []), "2 doubled"),
        (judge([quiet(gap_ms=21)], None, []), "gap 21.0 ms"),
        (judge([], None, []), "nothing was sent"),
        (judge(Missing("the null run failed"), None, []), "the null run failed"),
        (judge([quiet()], Missing("no control"), []), "no control"),
        (judge([quiet()], [quiet()], []), "does not see losses"),
        (judge([quiet()], None, [("a", fine), ("run 2", agree(10, 15, 1))]), "1 of 2 switches"),
    )
    for verdict, reason in cases:
        assert len(verdict.refused) == 1
        assert reason in verdict.refused[0]


def test_what_was_not_compared_is_said() -> None:
    some = judge([quiet()], None, [("a", agree(10, 10, 1))], ["run 2 uplink: dropped 3"])
    assert some.checks[2].passed
    assert "1 not compared: run 2 uplink: dropped 3" in some.checks[2].detail
    none = judge([quiet()], None, [], ["run 2 uplink: dropped 3"])
    assert none.checks[2].passed is None
    assert none.refused == ()


def test_summary_types_encode_without_loss() -> None:
    assert msgspec.json.decode(msgspec.json.encode(run(5, 0)), type=type(run(5, 0))) == run(5, 0)
