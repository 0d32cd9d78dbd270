"""Labs that walk, and labs that play a recorded trace: what they mean and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpa_hil import scenario
from mpa_hil.movement.course import Walk
from mpa_hil.movement.recorded import BadTrace, Reading, points, read_csv
from mpa_hil.policy import trace
from mpa_hil.policy.interface import Sample
from radios.errors import LocalError

LABS = Path(__file__).parents[2] / "lab_configs"
WALKS = ("corridor", "drive_by", "cell_edge", "three_domains")
CORRIDOR = (LABS / "corridor.toml").read_text(encoding="utf-8")
TWO = (LABS / "two_domains.toml").read_text(encoding="utf-8")
NO_POINTS = TWO[: TWO.index("[[movement.point]]")] + TWO[TWO.index("[capture]") :]
TRACE = "t_s,ap,signal_dbm\n100,a1,-50\n101,a1,-60\n103,a1,-95\n100,b1,-80\n102,b1,-50\n"


def refused(tmp_path: Path, text: str) -> LocalError:
    """The error that a lab file with this text is refused with."""
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LocalError) as caught:
        scenario.load(path)
    assert str(path) in caught.value.where
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("name", WALKS)
def test_labs_walk_and_come_back_as_they_were(name: str, tmp_path: Path) -> None:
    lab = scenario.load(LABS / f"{name}.toml")
    walk = scenario.course(lab)
    assert isinstance(walk, Walk)
    assert set(walk.aps) == {ap.name for ap in lab.aps}
    path = tmp_path / "lab.toml"
    path.write_text(scenario.to_toml(lab), encoding="utf-8")
    assert scenario.load(path).movement == lab.movement
    assert scenario.decode(scenario.encode(lab)).movement == lab.movement


def test_the_corridor_leads_there_and_back() -> None:
    lab = scenario.load(LABS / "corridor.toml")
    assert [(each.old, each.new) for each in scenario.switches(lab)] == [("a1", "b1"), ("b1", "a1")]
    assert scenario.floor_scenario(lab).movement.waypoints == lab.movement.waypoints


def test_whoever_drives_is_within_range_of_both_for_a_while() -> None:
    lab = scenario.load(LABS / "drive_by.toml")
    walk, lost_dbm = scenario.course(lab), lab.movement.lost_dbm
    times = [0.05 * n for n in range(int(walk.end_s / 0.05))]
    both = [t for t in times if all(walk.mean_dbm(ap, t) > lost_dbm for ap in walk.aps)]
    assert 4 < 0.05 * len(both) < 11
    assert walk.mean_dbm("a1", walk.end_s) < lost_dbm


def test_at_the_edge_neither_is_better() -> None:
    walk = scenario.course(scenario.load(LABS / "cell_edge.toml"))
    assert walk.end_s == 600
    assert walk.mean_dbm("a1", 0) == walk.mean_dbm("b1", 300)
    stronger = [walk.signal_dbm("a1", t) > walk.signal_dbm("b1", t) for t in range(600)]
    assert 200 < sum(stronger) < 400


def test_round_the_corner_it_is_c() -> None:
    lab = scenario.load(LABS / "three_domains.toml")
    walk = scenario.course(lab)

    def best(t_s: float) -> str:
        return max(("b1", "c1"), key=lambda ap: walk.mean_dbm(ap, t_s))

    assert {best(t) for t in (10, 12, 14, 15, 16, 17)} == {"b1"}
    assert {best(t) for t in (19, 20, 25, 30, 40)} == {"c1"}
    for seed in range(1, 20):
        other = scenario.course(scenario.load(LABS / "three_domains.toml", [f"lab.seed={seed}"]))
        assert other.mean_dbm("c1", 41) - other.mean_dbm("b1", 41) > 30


def test_another_seed_is_another_building() -> None:
    one = scenario.course(scenario.load(LABS / "corridor.toml"))
    other = scenario.course(scenario.load(LABS / "corridor.toml", ["lab.seed=2"]))
    assert one.mean_dbm("a1", 10) != other.mean_dbm("a1", 10)


# Each row: words of the corridor replaced (once), the key named, words of the error, of the remedy.
REPLACED = [
    ("x_m = 0\n", "", "domain.A.ap.a1.x_m", "a1 stands nowhere", "x_m and y_m"),
    ("speed_mps = 1.4\n", "", "movement.waypoint.1.speed_mps", "neither when nor", "t_s or"),
    ("speed_mps = 1.4", "speed_mps = 0", "movement.waypoint.1.speed_mps", ">= 0.01", "m/s"),
    ("speed_mps = 1.4", "speed_mps = 200", "movement.waypoint.1.speed_mps", "<= 100", "m/s"),
    ("speed_mps = 1.4", "t_s = 0.5", "movement.waypoint.1.t_s", "120 m/s", "more time"),
    ("x_m = 62\nspeed", "x_m = 2\nspeed", "movement.waypoint.1.x_m", "same place", "pause_s"),
    ("x_m = 2\n", "x_m = 2\nt_s = 4\n", "movement.waypoint.0.t_s", "begins here", "leave out"),
    ('start = "a1"', 'start = "a2"', "movement.start", "no access point 'a2'", "`a1`?"),
    ("x_m = 2\n", "x_m = 5000\n", "movement.start", "not heard where the MN begins", "nearer"),
    ("exponent = 4", "exponent = 1", "movement.propagation.exponent", ">= 1.5", "free space"),
    ('"rician"', '"foggy"', "movement.propagation.fading", "'foggy'", "fast fading"),
    (
        "correlation_m = 5",
        "correlation_m = 0",
        "movement.propagation.correlation_m",
        ">= 0.1",
        "1/e",
    ),
    ("leave_dbm = -76", "leave_dbm = -86", "movement.lost_dbm", "before the MN wants", "lower"),
    (
        "[movement.propagation]",
        '[[movement.point]]\nt_s = 0\nap = "a1"\nsignal_dbm = -50\n\n[movement.propagation]',
        "movement",
        "more than once",
        "trace",
    ),
]


@pytest.mark.parametrize(("old", "new", "key", "what", "remedy"), REPLACED)
def test_refused(tmp_path: Path, old: str, new: str, key: str, what: str, remedy: str) -> None:
    assert old in CORRIDOR
    error = refused(tmp_path, CORRIDOR.replace(old, new, 1))
    assert error.where.endswith(f": {key}")
    assert what in error.what
    assert remedy in error.remedy


def test_one_way_of_moving_is_needed(tmp_path: Path) -> None:
    error = refused(tmp_path, NO_POINTS)
    assert error.where.endswith(": movement.point")
    assert "does not say how the MN moves" in error.what
    assert "[[movement.waypoint]]" in error.remedy


def test_with_a_policy_a_trace_need_not_ask_for_a_switch(tmp_path: Path) -> None:
    policy = '[policy]\nname = "default"\n\n[capture]'
    text = TWO.replace("signal_dbm = -95", "signal_dbm = -70")
    assert "nothing makes the MN move" in refused(tmp_path, text).what
    path = tmp_path / "lab.toml"
    path.write_text(text.replace("[capture]", policy), encoding="utf-8")
    assert scenario.switches(scenario.load(path)) == ()
    unheard = text.replace("signal_dbm = -50", "signal_dbm = -95", 1).replace("[capture]", policy)
    assert "not heard where the MN begins" in refused(tmp_path, unheard).what


def test_a_model_without_a_walk(tmp_path: Path) -> None:
    error = refused(tmp_path, TWO.replace("[capture]", "[movement.propagation]\n\n[capture]"))
    assert error.where.endswith(": movement.propagation")
    assert "beside a trace" in error.what


def test_one_who_is_there_for_no_time(tmp_path: Path) -> None:
    text = CORRIDOR[: CORRIDOR.index("[[movement.waypoint]]\nx_m = 62")]
    error = refused(tmp_path, text + CORRIDOR[CORRIDOR.index("[movement.propagation]") :])
    assert error.where.endswith(": movement.waypoint")
    assert "for no time" in error.what


class TestRecorded:
    """A trace in a file of its own."""

    def lab(self, tmp_path: Path, content: str, name: str = "walk.csv") -> Path:
        (tmp_path / name).write_text(content, encoding="utf-8")
        path = tmp_path / "lab.toml"
        path.write_text(
            NO_POINTS.replace("lost_dbm = -90", f'lost_dbm = -90\ntrace = "{name}"'),
            encoding="utf-8",
        )
        return path

    def test_it_is_the_labs_own_movement_from_then_on(self, tmp_path: Path) -> None:
        lab = scenario.load(self.lab(tmp_path, TRACE))
        assert scenario.switches(lab) == scenario.switches(scenario.load(LABS / "two_domains.toml"))
        assert lab.movement.trace is None
        again = tmp_path / "again.toml"
        again.write_text(scenario.to_toml(lab), encoding="utf-8")
        assert scenario.load(again).movement == lab.movement

    @pytest.mark.parametrize(
        ("content", "what"),
        [
            ("", "no column t_s, ap, signal_dbm"),
            ("t_s,ap\n", "no column signal_dbm"),
            (TRACE + "104,a1,loud\n", "line 7: could not convert"),
            (TRACE + "nan,a1,-50\n", "line 7: nan is no number"),
            (TRACE + "5\n", "line 7"),
            (TRACE.replace("b1", "z9"), "says nothing about b1"),
            (TRACE.replace("a1", "x").replace("b1", "y"), "but about x, y"),
            (TRACE + "90000,a1,-95\n", "longer than a day"),
            (TRACE.replace("-95", "-70"), "nothing makes the MN move"),
        ],
    )
    def test_bad_traces(self, tmp_path: Path, content: str, what: str) -> None:
        path = self.lab(tmp_path, content)
        with pytest.raises(LocalError) as caught:
            scenario.load(path)
        assert caught.value.where.endswith("movement.trace")
        assert what in caught.value.what
        assert "walk.csv" in caught.value.what

    def test_what_was_recorded_of_a_policys_inputs(self, tmp_path: Path) -> None:
        second = 1_000_000_000
        rows = [line.split(",") for line in TRACE.splitlines()[1:]]
        samples = [Sample(int(t) * second, ap, float(dbm)) for t, ap, dbm in rows]
        samples.append(Sample(104 * second, "a1", None))
        steps = tuple(trace.Step(each) for each in samples)
        written = trace.write(trace.Trace(trace.Header(), steps)).decode()
        lab = scenario.load(self.lab(tmp_path, written, "walk.jsonl"))
        assert lab.movement == scenario.load(self.lab(tmp_path, TRACE)).movement
        with pytest.raises(LocalError, match="neither a trace nor") as caught:
            scenario.load(self.lab(tmp_path, TRACE, "walk.txt"))
        assert caught.value.where.endswith("movement.trace")

    @pytest.mark.parametrize("name", ["no.csv", ".", "\\u0000"])
    def test_no_such_file(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / "lab.toml"
        path.write_text(
            NO_POINTS.replace("lost_dbm = -90", f'lost_dbm = -90\ntrace = "{name}"'),
            encoding="utf-8",
        )
        with pytest.raises(LocalError, match="cannot read"):
            scenario.load(path)

    def test_columns_in_any_order_and_readings_without_a_signal(self) -> None:
        text = "signal_dbm, x, t_s, ap\n-50,?,1,a1\n\n,?,2,a1\n-60.5,?,3,a1\n"
        assert list(read_csv(text)) == [Reading(1, "a1", -50), Reading(3, "a1", -60.5)]

    def test_an_endless_line_is_passed_over(self) -> None:
        text = f"t_s,ap,signal_dbm\n{'9' * 200_000},a1,-50\n2,a1,-60\n"
        assert list(read_csv(text)) == [Reading(2, "a1", -60)]

    def test_by_name_or_bssid_from_its_own_beginning(self) -> None:
        readings = [Reading(7, "02:AA", -40), Reading(5, "B1", -50), Reading(6, "other", -1)]
        found = points(readings, {"02:aa": "a1", "b1": "b1"})
        assert found == {"a1": ((2, -40),), "b1": ((0, -50),)}

    def test_what_cannot_be_is_cut_and_level_stretches_are_thinned(self) -> None:
        levels = (9.0, -50.0, -50.0, -50.0, -200.0)
        found = points([Reading(t, "a", dbm) for t, dbm in enumerate(levels)], {"a": "a"})
        assert found == {"a": ((0, 0), (1, -50), (3, -50), (4, -110))}

    def test_nothing_at_all(self) -> None:
        with pytest.raises(BadTrace, match="about nobody"):
            points([], {"a": "a"})
