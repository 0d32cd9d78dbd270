"""Ways through waypoints, what is heard along them, and what radios are set to."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpa_hil.movement import course as courses
from mpa_hil.movement import schedule
from mpa_hil.movement.course import Switch, Trace, Walk, steps
from mpa_hil.movement.path import BadWaypoint, Path, Waypoint
from mpa_hil.movement.propagation import Model, Transmitter

PLAIN = Model(exponent=4, shadowing_db=0)
PAIR = (Transmitter("a1", 0, 0, 20, 2412), Transmitter("b1", 40, 0, 20, 2437))
THERE = (Waypoint(2, 0), Waypoint(38, 0, speed_mps=1.8, pause_s=3), Waypoint(2, 0, t_s=43))


class TestPath:
    """Positions."""

    path = Path(THERE)

    @pytest.mark.parametrize(
        ("t_s", "x_m"),
        [(-1, 2), (0, 2), (10, 20), (20, 38), (21.5, 38), (23, 38), (33, 20), (43, 2), (99, 2)],
    )
    def test_positions(self, t_s: float, x_m: float) -> None:
        assert self.path.position(t_s) == (pytest.approx(x_m), 0)

    def test_end_and_speed(self) -> None:
        assert self.path.end_s == 43
        assert self.path.top_speed_mps == pytest.approx(1.8)

    def test_it_goes_slantwise_too(self) -> None:
        path = Path((Waypoint(0, 0), Waypoint(30, 40, speed_mps=5)))
        assert path.end_s == 10
        assert path.position(5) == (15, 20)

    def test_one_who_stays(self) -> None:
        path = Path((Waypoint(1, 2, pause_s=60),))
        assert (path.end_s, path.top_speed_mps) == (60, 0)
        assert path.position(30) == path.position(-5) == path.position(70) == (1, 2)

    @pytest.mark.parametrize(
        ("waypoints", "index", "key", "what"),
        [
            ((Waypoint(0, 0, speed_mps=1),), 0, "speed_mps", "begins here"),
            ((Waypoint(0, 0, t_s=1),), 0, "t_s", "begins here"),
            ((Waypoint(0, 0), Waypoint(1, 0)), 1, "speed_mps", "neither"),
            ((Waypoint(0, 0), Waypoint(1, 0, 3, 4)), 1, "speed_mps", "both"),
            ((Waypoint(0, 0), Waypoint(0, 0, speed_mps=4)), 1, "x_m", "same place"),
            ((Waypoint(0, 0, pause_s=5), Waypoint(9, 0, t_s=5)), 1, "t_s", "leaves the waypoint"),
            ((Waypoint(0, 0), Waypoint(900, 0, t_s=1)), 1, "t_s", "900 m/s"),
        ],
    )
    def test_bad_waypoints(
        self, waypoints: tuple[Waypoint, ...], index: int, key: str, what: str
    ) -> None:
        with pytest.raises(BadWaypoint, match=what) as caught:
            Path(waypoints)
        assert (caught.value.index, caught.value.key) == (index, key)
        assert caught.value.remedy

    @given(st.lists(st.tuples(st.integers(1, 50), st.floats(0.1, 20)), min_size=1, max_size=6))
    def test_nobody_jumps(self, legs: list[tuple[int, float]]) -> None:
        places = [Waypoint(0, 0)]
        for step_m, speed_mps in legs:
            places.append(Waypoint(places[-1].x_m + step_m, 0, speed_mps=speed_mps))
        path = Path(places)
        at = [path.position(path.end_s * n / 100)[0] for n in range(101)]
        assert at == sorted(at)
        top_m = path.top_speed_mps * path.end_s / 100 * 1.001
        assert all(b - a <= top_m for a, b in itertools.pairwise(at))


class TestTrace:
    """Signals as they are given."""

    trace = Trace({"a": [(1, -50), (3, -90)], "b": [(0, -80), (2, -40)]})

    @pytest.mark.parametrize(
        ("ap", "t_s", "dbm"),
        [
            ("a", 0, -50),
            ("a", 1, -50),
            ("a", 2, -70),
            ("a", 3, -90),
            ("a", 99, -90),
            ("b", 0.5, -70),
        ],
    )
    def test_straight_lines_and_level_ends(self, ap: str, t_s: float, dbm: float) -> None:
        assert self.trace.signal_dbm(ap, t_s) == pytest.approx(dbm)
        assert self.trace.mean_dbm(ap, t_s) == pytest.approx(dbm)

    def test_an_ap_without_points(self) -> None:
        with pytest.raises(KeyError):
            self.trace.signal_dbm("c", 0)

    def test_switch(self) -> None:
        assert courses.switches(self.trace, "a", -75, -90) == (Switch(2.25, 3.0, "a", "b"),)
        assert self.trace.end_s == 3

    def test_no_switch_without_a_fall(self) -> None:
        assert courses.switches(self.trace, "b", -75, -90) == ()


class TestWalk:
    """Signals along a path."""

    def walk(self, model: Model = PLAIN, seed: int = 1) -> Walk:
        return Walk(Path(THERE), PAIR, model, seed)

    def test_without_shadows_it_is_path_loss(self) -> None:
        walk = self.walk()
        assert walk.signal_dbm("a1", 10) == walk.mean_dbm("b1", 10) == pytest.approx(-72.04)
        assert walk.signal_dbm("a1", 0) == pytest.approx(-32.04)
        assert walk.signal_dbm("a1", 999) == walk.signal_dbm("a1", 43)

    def test_there_and_back(self) -> None:
        found = courses.switches(self.walk(), "a1", -75, -82)
        assert [(each.old, each.new) for each in found] == [("a1", "b1"), ("b1", "a1")]
        # 40 log10 d = 55 dB at 23.7 m, 1.8 m/s from 2 m.
        assert found[0].leave_s == pytest.approx((23.71 - 2) / 1.8, abs=0.05)
        assert found[0].lost_s == pytest.approx((35.48 - 2) / 1.8, abs=0.05)

    def test_seed_and_name_are_all_that_counts(self) -> None:
        model = Model(fading="rayleigh")
        one, other = self.walk(model), Walk(Path(THERE), PAIR[:1], model, 1)
        times = [0.37 * n for n in range(100)]
        forwards = [one.signal_dbm("a1", t) for t in times]
        assert [other.signal_dbm("a1", t) for t in reversed(times)] == forwards[::-1]
        assert [self.walk(model, 2).signal_dbm("a1", t) for t in times] != forwards

    def test_to_the_last_digit(self) -> None:
        walk = self.walk(Model(fading="rician"), 42)
        assert [walk.signal_dbm("a1", t) for t in (0, 10, 20)] == [-25.95, -58.79, -69.04]

    def test_after_the_end_and_before_the_beginning_nothing_changes(self) -> None:
        walk = self.walk(Model(fading="rayleigh"))
        assert walk.signal_dbm("a1", 999) == walk.signal_dbm("a1", 43)
        assert walk.signal_dbm("a1", -5) == walk.signal_dbm("a1", 0)

    def test_back_at_the_place_the_mean_is_what_it_was(self) -> None:
        walk = self.walk(Model(shadowing_db=6, fading="rayleigh"))
        assert walk.mean_dbm("a1", 10) == walk.mean_dbm("a1", 33)
        assert walk.signal_dbm("a1", 10) != walk.signal_dbm("a1", 33)

    @pytest.mark.parametrize(
        ("model", "speed_mps", "step_s"),
        [
            (PLAIN, 50, 0.1),
            (Model(correlation_m=5), 1.4, 0.1),
            (Model(correlation_m=5), 6.25, 0.08),
            (Model(correlation_m=5), 90, 0.05),
            (Model(fading="rayleigh", shadowing_db=0), 0.4, 0.061),
            (Model(fading="rayleigh"), 20, 0.05),
        ],
    )
    def test_the_step_is_fine_enough(self, model: Model, speed_mps: float, step_s: float) -> None:
        path = Path((Waypoint(0, 0), Waypoint(100, 0, speed_mps=speed_mps)))
        assert Walk(path, PAIR, model, 1).step_s == pytest.approx(step_s)

    def test_steps_begin_at_the_beginning_and_end_at_the_end(self) -> None:
        found = list(steps(self.walk()))
        assert (found[0], found[-1]) == (0, 43)
        assert found == sorted(set(found))


class TestSchedule:
    """What radios are set to."""

    range_dbm = (-100, -1)

    def test_playing_it_is_being_there(self) -> None:
        walk = Walk(Path(THERE), PAIR, Model(fading="rayleigh", shadowing_db=5), 3)
        moments = schedule.schedule(walk, -75, self.range_dbm)
        shown: dict[str, schedule.Setting] = {}
        for moment in moments:
            shown.update({each.ap: each for each in moment.settings})
            whole = schedule.at(walk, moment.t_s, -75, self.range_dbm)
            assert tuple(shown.values()) == whole.settings
            assert moment.near_dbm == whole.near_dbm
        assert moments[-1].t_s == walk.end_s
        assert len(shown) == 2

    def test_nothing_is_said_twice(self) -> None:
        still = Walk(Path((Waypoint(5, 0, pause_s=600),)), PAIR, PLAIN, 1)
        moments = schedule.schedule(still, -75, self.range_dbm)
        assert [(moment.t_s, len(moment.settings)) for moment in moments] == [(0, 2), (600, 0)]

    def test_range_goes_by_the_mean_and_the_node_is_heard_as_it_hears(self) -> None:
        trace = Trace({"a": [(0, -50), (10, -100)], "b": [(0, -100), (10, -50)]})
        early = schedule.at(trace, 0, -75, self.range_dbm)
        assert [(each.ap, each.within) for each in early.settings] == [("a", True), ("b", False)]
        assert early.near_dbm == -50
        assert schedule.at(trace, 5, -75, self.range_dbm).near_dbm is None
        assert not schedule.at(trace, 5, -75, self.range_dbm).settings[0].within

    def test_what_cannot_be_set_is_cut(self) -> None:
        trace = Trace({"a": [(0, -108.0)], "b": [(0, 0.0)]})
        levels = [each.signal_dbm for each in schedule.at(trace, 0, -110, self.range_dbm).settings]
        assert levels == [-100, -1]
