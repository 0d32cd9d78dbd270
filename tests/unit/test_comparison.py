"""`[compare]`: what a lab file may ask for, and what becomes of the columns' runs."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from report_sample import summary

from mpa_hil import comparing, scenario
from mpa_hil.errors import LocalError
from mpa_hil.report import comparison
from mpa_hil.report.run_parts import HoldSummary
from mpa_hil.report.summary import Delay, FlowSummary, PerDirection, Run, make_scheme
from mpa_hil.request import CompareRequest
from mpa_hil.scenario import Check, Column, Compare
from mpa_hil.scenario.checks_comparison import FIGURES

LABS = Path(__file__).parents[2] / "lab_configs"
FIG10 = LABS / "fig10.toml"


def request(tmp_path: Path, *columns: str, overrides: tuple[str, ...] = ()) -> CompareRequest:
    out = tmp_path / "out"
    return CompareRequest(FIG10, columns, None, "auto", None, None, out, False, overrides)


def run(**phases: float) -> Run:
    """A good run with these phases; `ahead` and `keys` were before its trigger."""
    [good] = [r for r in summary().schemes["reactive"].runs if r.ok][:1]
    names = {"ahead": "authentication", "keys": "key_installation"}
    prepared = {names[k]: phases.pop(k) for k in ("ahead", "keys") if k in phases}
    return msgspec.structs.replace(good, phases_ms=dict(phases), preparation_ms=prepared)


def test_authentication_on_arrival_affects_the_handover() -> None:
    found = comparison.figures(run(authentication=1, association=4, eap=50, four_way=5, dhcp=9))
    assert found["t_auth_ms"] == 50
    assert found["t_assoc_ms"] == 10
    assert found["t_total_ms"] == found["affecting_ms"] == 60
    assert "t_conf_ms" not in found


def test_authentication_ahead_does_not() -> None:
    found = comparison.figures(run(authentication=1, association=4, four_way=5, ahead=90, keys=16))
    assert (found["t_auth_ms"], found["t_conf_ms"]) == (90, 16)
    assert found["t_total_ms"] == 116
    assert found["affecting_ms"] == found["t_assoc_ms"] == 10


def voice_call(gap_ms: float) -> FlowSummary:
    """A call's way towards the MN, a packet every 16 ms, with a gap."""
    delay = Delay(20.0, 25.0, 30.0)
    return FlowSummary(
        *(100, 98, 2, 0, 0, 0, 0),
        gap_ms=gap_ms,
        lost_gap_ms=32.0,
        sender_hole_ms=0.0,
        recovered=True,
        jitter_ms=0.1,
        jitter_max_ms=1.0,
        pdv_ms=2.0,
        delay_ms=delay,
        mos=4.0,
        r=80.0,
        interarrival_ms=16.02,
        spacing_ms=16.0,
    )


def test_what_the_call_and_the_buffer_saw_of_it() -> None:
    flows = {"voice": PerDirection(voice_call(29.33), None)}
    hold = {
        "ahead": HoldSummary(60, 3, 70.0),
        "downlink": HoldSummary(2, 0, 11.5),
        "uplink": HoldSummary(7, 1, 9.0),
    }
    found = comparison.figures(msgspec.structs.replace(run(), flows=flows, hold=hold))
    assert found["interarrival_ms"] == 16.02
    assert found["delay_down_ms"] == 20.0
    assert found["handover_interarrival_ms"] == pytest.approx(45.33)
    assert found["handover_jitter_ms"] == 29.33
    assert (found["buffering_ms"], found["buffered_packets"]) == (11.5, 2)
    # Of all buffers; and of all flows, both ways.
    assert found["buffer_dropped"] == 4
    assert found["lost_all"] == 2


def test_how_long_packets_wait_is_measured_in_blackouts() -> None:
    """Once the old path has run dry, that is; and where packets come often enough to show them."""
    hold = {"downlink": HoldSummary(2, 0, 20.0, release_ms=0.7, drain_ms=9.0)}
    one = msgspec.structs.replace(voice_call(10.0), spacing_ms=1.0)
    fine = msgspec.structs.replace(
        run(),
        flows={"probe": PerDirection(one, None)},
        gap_flow="probe",
        gap_ms=PerDirection(10.0, None),
        hold=hold,
    )
    found = comparison.figures(fine)
    assert (found["release_ms"], found["drain_ms"]) == (0.7, 9.0)
    assert found["hold_over_gap"] == pytest.approx(1.1)
    rare = {"probe": PerDirection(msgspec.structs.replace(one, spacing_ms=16.0), None)}
    assert "hold_over_gap" not in comparison.figures(msgspec.structs.replace(fine, flows=rare))


def test_without_a_buffer_there_is_nothing_to_say_of_it() -> None:
    found = comparison.figures(run())
    assert not {"buffering_ms", "buffered_packets", "interarrival_ms"} & found.keys()


def test_every_figure_has_a_name_in_the_table() -> None:
    assert set(FIGURES) == set(comparison._NAMES)


def test_figure_6_puts_four_columns_side_by_side(tmp_path: Path) -> None:
    asked = CompareRequest(
        LABS / "fig6.toml", (), None, "auto", None, None, tmp_path / "out", False, ()
    )
    planned = comparing.plan(asked)
    options = [lab.schemes.mpa for lab in planned.labs]
    assert [(each.hold, each.route_optimisation) for each in options] == [
        ("off", False),
        ("next", False),
        ("off", True),
        ("next", True),
    ]
    assert {lab.lab.family for lab in planned.labs} == {"ipv6"}
    assert planned.compare.repeat >= 5


def compared(*checks: Check) -> comparison.Comparison:
    columns = (
        Column(name="late", title="late", scheme="x", reference=("affecting_ms=79",)),
        Column(name="early", title="early", scheme="x"),
    )
    described = Compare(title="T", figures=("affecting_ms",), columns=columns, checks=checks)
    late = [run(association=4, eap=n) for n in (46, 48, 66)]
    early = [run(association=5, ahead=50)]
    made = [
        msgspec.structs.replace(summary(), schemes={"x": make_scheme(runs)}, verdict=None)
        for runs in (late, early)
    ]
    return comparison.compared(described, made)


def check(of: str, column: str, **terms: float) -> Check:
    return Check(figure="affecting_ms", column=column, of=of, **terms)


@pytest.mark.parametrize(
    ("wanted", "passed"),
    [
        (check("late", "early", at_most=0.1), True),
        (check("late", "early", at_most=0.09), False),
        (check("early", "late"), False),
        (check("early", "late", plus=47), True),
        (Check(figure="t_conf_ms", column="early", of="late"), None),
        (Check(figure="affecting_ms", column="late", plus=70), True),
        (Check(figure="affecting_ms", column="late", plus=69), False),
        (Check(figure="affecting_ms", column="late"), False),
        (Check(figure="t_conf_ms", column="early", plus=1), None),
        (Check(figure="affecting_ms", column="late", at_least=50), True),
        (Check(figure="affecting_ms", column="late", at_least=51), False),
        (Check(figure="t_conf_ms", column="early", at_least=1), None),
    ],
)
def test_checks_take_medians_but_a_number_bounds_every_run(
    wanted: Check, passed: bool | None
) -> None:
    made = compared(wanted)
    assert [check.passed for check in made.checks] == [passed]
    assert made.good is bool(passed)


def test_the_table_shows_median_range_and_reference() -> None:
    out = io.StringIO()
    comparison.render(compared(check("early", "late")), ("affecting_ms",), out)
    lines = out.getvalue().split("\n")
    at = next(number for number, line in enumerate(lines) if "time affecting" in line)
    assert "52 (79)" in lines[at]
    assert lines[at].endswith(" 5")
    assert "50..70" in lines[at + 1]
    assert "FAILED    affecting_ms: late at most early: 52.00 against 5.00" in out.getvalue()


def test_a_failed_column_is_no_comparison() -> None:
    described = Compare(
        title="T",
        figures=("affecting_ms",),
        columns=(Column(name="late", title="late", scheme="x"),),
    )
    failed = msgspec.structs.replace(run(), ok=False, error="it broke")
    made = comparison.compared(
        described, [msgspec.structs.replace(summary(), schemes={"x": make_scheme([failed])})]
    )
    assert not made.good
    assert any("it broke" in line for line in comparison.lines(made))


def test_each_column_is_its_own_lab(tmp_path: Path) -> None:
    planned = comparing.plan(request(tmp_path))
    by_name = dict(zip([c.name for c in planned.compare.columns], planned.labs, strict=True))
    assert by_name["pre-far"].movement.start == "b2"
    assert by_name["pre-far"].link("home").delay_ms == 67
    assert by_name["mpa-near"].movement.start == "a1"
    assert by_name["mpa-near"].link("home").delay_ms == 1


def test_columns_left_out_take_their_checks_along(tmp_path: Path) -> None:
    planned = comparing.plan(request(tmp_path, "mpa-near", "post-near"))
    assert [c.name for c in planned.compare.columns] == ["post-near", "mpa-near"]
    assert {(c.column, c.of) for c in planned.compare.checks} == {("mpa-near", "post-near")}


def test_the_matrix_bounds_each_column_by_itself(tmp_path: Path) -> None:
    """A check without a second column stays with its first, and bounds it by a number."""
    wanted = ("v6-esp", "v6-level1")
    asked = CompareRequest(
        LABS / "matrix.toml", wanted, None, "auto", None, None, tmp_path / "out", False, ()
    )
    checks = comparing.plan(asked).compare.checks
    assert {(each.column, each.of, each.plus) for each in checks} == {("v6-esp", "", 0)}
    assert len(checks) == 4


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="no such column") as caught:
        comparing.plan(request(tmp_path, "mpa-nearest"))
    assert "post-near" in caught.value.remedy


def test_a_scheme_that_does_not_reach_there_names_its_column(tmp_path: Path) -> None:
    """802.11i's frames stay in one distribution system."""
    with pytest.raises(LocalError, match="does not reach from A into B") as caught:
        comparing.plan(request(tmp_path, overrides=("compare.column.mpa-far.scheme=rsn-preauth",)))
    assert "column mpa-far" in caught.value.where


def test_a_lab_that_compares_nothing(tmp_path: Path) -> None:
    wrong = request(tmp_path)
    two = CompareRequest(
        LABS / "two_domains.toml", *(), (), None, "auto", None, None, wrong.out, False, ()
    )
    with pytest.raises(LocalError, match="compares nothing") as caught:
        comparing.plan(two)
    assert "two_domains.toml, compare" in caught.value.where


@pytest.mark.parametrize(
    ("setting", "key", "remedy"),
    [
        ("compare.figures=['t_aut_ms']", "compare.figures", "t_auth_ms"),
        ("compare.figures=[]", "compare.figures", "choose from"),
        ("compare.column.0.scheme=mpa-leve1", "compare.column.post-near.scheme", "mpa-level1"),
        ("compare.column.0.name=a b", "compare.column.a b.name", "letters"),
        ("compare.column.0.name=mpa-far", "compare.column.mpa-far.name", "own"),
        ("compare.column.0.reference=['gap=1']", "compare.column.post-near.reference", "gap_"),
        (
            "compare.column.0.reference=['l2_ms=x']",
            "compare.column.post-near.reference",
            "figure=number",
        ),
        ("compare.check.0.column=mpa", "compare.check.0.column", "mpa-"),
        ("compare.check.0.at_most=0", "compare.check.0.at_most", ""),
    ],
)
def test_bad_comparisons(setting: str, key: str, remedy: str) -> None:
    with pytest.raises(LocalError) as caught:
        scenario.load(FIG10, (setting,))
    assert key in caught.value.where
    assert remedy in caught.value.remedy
