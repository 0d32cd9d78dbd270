"""The sampler: what becomes of readings, when it looks elsewhere, and what it then says."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpa_hil.policy.interface import BeaconLoss, Probed, Sample
from mpa_hil.sampling.beacons import TU_NS, BeaconWatch
from mpa_hil.sampling.holes import Holes
from mpa_hil.sampling.merging import Merger
from mpa_hil.sampling.sampler import Look, Outputs, Poll, Sampling, Tell
from mpa_hil.sampling.settings import NS_PER_MS as MS
from mpa_hil.sampling.settings import NS_PER_S as S
from mpa_hil.sampling.settings import Settings
from radios.signal import SignalSample, sample

A, B, C, D = ("02:00:00:00:0a:01", "02:00:00:00:0b:01", "02:00:00:00:0c:01", "02:00:00:00:0d:01")
LOOK_NS = 70 * MS


def reading(
    t_ns: int, bssid: str = A, dbm: int | None = -60, noise: int | None = -92, **more: Any
) -> SignalSample:
    return sample(t_ns, bssid, more.pop("mhz", 2412), dbm, source="x", noise_dbm=noise, **more)


class TestMerging:
    """Samples from readings."""

    def merger(self) -> Merger:
        merger = Merger(20 * MS)
        merger.name(A, "a1")
        merger.name(B.upper(), "b1")
        return merger

    def test_a_reading_is_a_sample(self) -> None:
        made = self.merger().add(reading(5))
        assert made == Sample(5, "a1", -60.0, -92.0, source="x")

    @pytest.mark.parametrize("dbm", [9999, 0, -9999, None, 7, -111])
    def test_what_says_nothing(self, dbm: int | None) -> None:
        assert self.merger().add(reading(5, dbm=dbm)) is None

    def test_a_mean_will_do_where_the_newest_is_unknown(self) -> None:
        made = self.merger().add(reading(5, dbm=9999, average_dbm=0, beacon_average_dbm=-71))
        assert made is not None
        assert made.signal_dbm == -71

    def test_a_saturated_receiver_says_very_near(self) -> None:
        made = self.merger().add(reading(5, dbm=-3))
        assert made is not None
        assert made.signal_dbm == -20

    @pytest.mark.parametrize("noise", [9999, 0, None, -256, -30, -150])
    def test_a_noise_that_is_none(self, noise: int | None) -> None:
        merger = self.merger()
        first = merger.add(reading(5, noise=noise))
        assert first is not None
        assert first.noise_dbm is None
        merger.add(reading(6, noise=-95))
        later = merger.add(reading(7, dbm=-61, noise=noise))
        assert later is not None
        assert later.noise_dbm == -95

    def test_noise_is_a_channels_own_while_it_is_news(self) -> None:
        merger = self.merger()
        merger.add(reading(1, noise=-95))
        merger.add(reading(2, B, noise=-85, mhz=2437))
        here = merger.add(reading(3, dbm=-61, noise=9999))
        late = merger.add(reading(61 * S, B, noise=-80, mhz=2437))
        much_later = merger.add(reading(62 * S, noise=9999))
        assert late is not None
        assert [made.noise_dbm for made in (here, much_later) if made is not None] == [-95, -80]

    def test_nobodys_reading_still_tells_the_noise(self) -> None:
        merger = self.merger()
        assert merger.add(reading(1, "", noise=-95)) is None
        made = merger.add(reading(2, noise=9999))
        assert made is not None
        assert made.noise_dbm == -95

    def test_the_same_again_and_older_ones(self) -> None:
        merger = self.merger()
        assert merger.add(reading(100 * MS)) is not None
        assert merger.add(reading(119 * MS)) is None
        assert merger.add(reading(119 * MS, dbm=-61)) is not None
        assert merger.add(reading(110 * MS, dbm=-62)) is None
        assert merger.add(reading(140 * MS, dbm=-61)) is not None

    def test_heard_and_forgotten(self) -> None:
        merger = self.merger()
        merger.add(reading(1 * S))
        assert merger.heard_ns("a1") == 1 * S
        assert merger.heard_ns("b1") is None
        merger.forget("a1")
        assert merger.heard_ns("a1") is None
        assert merger.add(reading(4 * S)) is None


class TestHoles:
    """The budget."""

    def test_it_fills_evenly_and_not_beyond(self) -> None:
        holes = Holes(Settings(hole_ms_per_s=10, burst_ms=150, hole_ms=75))
        assert holes.when(0, away=True, asked=False) == 0
        for began in (0, 100 * MS):
            holes.spend(began, began + 75 * MS)
        due_ns = holes.when(175 * MS, away=True, asked=False)
        assert 7.3 * S < due_ns < 7.6 * S
        assert holes.when(due_ns, away=True, asked=False) == due_ns
        assert holes.when(1000 * S, away=True, asked=False) == 1000 * S
        for _ in range(2):
            holes.spend(1000 * S, 1000 * S + 75 * MS)
        assert holes.when(1000 * S, away=True, asked=False) > 1000 * S

    def test_what_is_asked_for_may_make_debts_within_bounds(self) -> None:
        holes = Holes(Settings(hole_ms_per_s=10, burst_ms=100, debt_ms=100, hole_ms=75))
        for began in (0, 75 * MS, 150 * MS):  # 100 saved up, then 50, 125 owed
            assert holes.when(began, away=True, asked=True) == began
            holes.spend(began, began + 75 * MS)
        assert 2.4 * S < holes.when(225 * MS, away=True, asked=True) < 2.8 * S
        assert holes.when(225 * MS, away=True, asked=False) > 19 * S

    def test_what_was_put_off_does_not_count(self) -> None:
        """mac80211 waits for an empty queue, on the present channel: 0.66 s for a look of 0.06."""
        holes = Holes(Settings(hole_ms_per_s=10, burst_ms=100, debt_ms=100, hole_ms=75))
        holes.spend(0, 660 * MS)
        assert holes.spent_ns == 150 * MS
        assert holes.when(660 * MS, away=True, asked=True) == 660 * MS

    def test_a_look_at_the_present_channel_costs_nothing(self) -> None:
        holes = Holes(Settings(hole_ms_per_s=0, burst_ms=0))
        assert holes.when(9, away=False, asked=False) == 9
        assert holes.when(9, away=True, asked=False) > 1000 * S
        holes.hold_off(S)
        assert holes.when(9, away=False, asked=True) == S
        holes.hold_off(2 * S, asked=False)
        assert holes.when(9, away=False, asked=True) == S
        assert holes.when(9, away=False, asked=False) == 2 * S

    def test_the_price_is_learnt(self) -> None:
        holes = Holes(Settings(hole_ms=75))
        for _ in range(40):
            holes.spend(0, 40 * MS)
        assert holes.cost_ns == pytest.approx(40 * MS, rel=0.01)
        assert holes.spent_ns == 1600 * MS


class TestBeacons:
    """A count that should rise."""

    def test_told_once_each_time_they_stay_away(self) -> None:
        watch = BeaconWatch(4)
        watch.begin(100)
        beacon = 100 * TU_NS
        assert [watch.count(n * beacon, n) for n in range(5)] == [0] * 5
        away = [watch.count((4 + n) * beacon, 4) for n in range(1, 8)]
        assert away == [0, 0, 0, 4, 0, 0, 0]
        assert watch.count(12 * beacon, 5) == 0
        assert watch.count(20 * beacon, 5) == 8

    def test_another_access_point_counts_from_anew(self) -> None:
        watch = BeaconWatch(1)
        watch.begin()
        watch.count(0, 900)
        watch.begin()
        assert watch.count(100 * S, 900) == 0
        assert watch.count(101 * S, 3) == 0  # a driver that began again


class Radio:
    """Carries out what the sampler wants, on a clock of its own."""

    def __init__(
        self, settings: Settings | None = None, there: tuple[str, ...] = (A, B, C)
    ) -> None:
        self.machine = Sampling(settings or Settings())
        self.there = there
        self.now_ns = 0
        self.told: list[object] = []
        self.looks: list[tuple[int, Look]] = []
        self.polls = self.noises = 0
        self.channels = {A: 2412, B: 2437, C: 2462, D: 2412}
        self.fails = False
        self.until_ns: int | None = None
        for name, bssid in (("a1", A), ("b1", B), ("c1", C)):
            self.machine.learn(name, bssid, self.channels[bssid])

    def do(self, outputs: Outputs) -> None:
        for output in outputs:
            match output:
                case Tell(told):
                    self.told.append(told)
                case Look():
                    assert self.until_ns is None, "one look at a time"
                    self.looks.append((self.now_ns, output))
                    self.until_ns = self.now_ns + LOOK_NS
                case Poll(noise):
                    self.polls += 1
                    self.noises += noise

    def run(self, seconds: float) -> None:
        end_ns = self.now_ns + int(seconds * S)
        for _ in range(100_000):
            due = [t for t in (self.machine.next_deadline(), self.until_ns) if t is not None]
            if not due or min(due) > end_ns:
                self.now_ns = end_ns
                return
            self.now_ns = max(self.now_ns, min(due))
            if self.until_ns is not None and self.now_ns >= self.until_ns:
                self.until_ns = None
                self.do(self.over())
            self.do(self.machine.expire(self.now_ns))
        raise AssertionError("it does not come to rest")

    def over(self) -> Outputs:
        if self.fails:
            return self.machine.look_failed(self.now_ns)
        mhz = self.looks[-1][1].frequency_mhz
        found = [b for b in self.there if self.channels[b] == mhz]
        return self.machine.looked(
            self.now_ns, tuple(reading(self.now_ns, b, -70, mhz=mhz) for b in found)
        )


def on_a(settings: Settings | None = None, **more: Any) -> Radio:
    radio = Radio(settings, **more)
    radio.machine.serve("a1", 0)
    return radio


class TestSampler:
    """All of it."""

    def test_the_present_access_point_is_asked_at_even_intervals(self) -> None:
        radio = on_a(Settings(background=False))
        radio.run(10)
        assert radio.polls == 51
        assert radio.noises == 1  # none within the guard time
        assert not radio.looks

    def test_the_noise_is_asked_for_again_after_a_look(self) -> None:
        radio = on_a(Settings(background=False, noise_s=1000))
        radio.run(2)
        assert radio.noises == 1
        radio.do(radio.machine.want(2437, "", radio.now_ns))
        radio.run(1)
        assert radio.noises == 2

    def test_alone_nothing_is_asked(self) -> None:
        radio = on_a()
        radio.machine.alone()
        assert radio.machine.next_deadline() is None
        radio.run(10)
        assert (radio.polls, radio.looks) == (0, [])

    def test_holes_stay_within_the_budget(self) -> None:
        radio = on_a(Settings(hole_ms_per_s=10, burst_ms=150))
        radio.run(600)
        spent_ms = radio.machine.holes.spent_ns / MS
        assert 0.9 * 6000 < spent_ms <= 6000 + 150 + 75
        assert {look.frequency_mhz for _, look in radio.looks} == {2437, 2462}

    def test_who_was_unheard_for_longest_comes_first(self) -> None:
        radio = on_a()
        radio.run(120)
        order = [look.frequency_mhz for _, look in radio.looks]
        assert order[:6] == [2437, 2462] * 3

    def test_no_more_often_than_it_is_news(self) -> None:
        radio = on_a(Settings(hole_ms_per_s=1000, burst_ms=1000, look_s=5, stale_s=3))
        radio.run(61)
        assert len(radio.looks) == 2 * 12
        lazy = on_a(Settings(hole_ms_per_s=1000, burst_ms=1000, look_s=1, stale_s=20))
        lazy.run(61)
        assert len(lazy.looks) == 2 * 3

    def test_who_is_heard_well_is_not_left_and_nobody_looked_for(self) -> None:
        radio = on_a(Settings(calm_db=35))
        radio.do(radio.machine.read(reading(0, dbm=-57)))
        radio.run(60)
        assert not radio.looks
        radio.do(radio.machine.want(2437, "", radio.now_ns))
        radio.run(1)
        assert [look.asked for _, look in radio.looks] == [True]
        radio.do(radio.machine.read(reading(radio.now_ns, dbm=-58)))
        radio.run(5)
        assert [look.asked for _, look in radio.looks[1:]] == [False, False]

    def test_never_within_the_guard_time(self) -> None:
        radio = on_a(Settings(guard_ms=1000))
        radio.run(0.99)
        assert not radio.looks
        radio.machine.hold_off(30 * S)
        radio.do(radio.machine.want(2437, "b1", radio.now_ns))
        radio.run(28)
        assert not radio.looks
        assert radio.told == [Probed(2490 * MS, "", False)]
        radio.run(2)
        assert radio.looks[0][0] == 30 * S

    def test_the_present_channel_is_looked_at_without_leaving(self) -> None:
        radio = on_a(Settings(hole_ms_per_s=0, burst_ms=0), there=(A, D))
        radio.machine.learn("d1", D, 2412)
        radio.run(20)
        assert radio.looks
        assert {(look.frequency_mhz, look.away) for _, look in radio.looks} == {(2412, False)}
        assert radio.machine.holes.spent_ns == 0

    def test_a_look_that_is_wanted_is_answered(self) -> None:
        radio = on_a(Settings(background=False))
        radio.run(2)
        radio.do(radio.machine.want(2462, "c1", radio.now_ns))
        radio.run(1)
        assert [look.frequency_mhz for _, look in radio.looks] == [2462]
        assert [told for told in radio.told if isinstance(told, Probed)] == [
            Probed(2 * S + LOOK_NS, "", True, LOOK_NS)
        ]

    def test_whom_it_does_not_find_it_says(self) -> None:
        radio = on_a(Settings(background=False), there=(A,))
        for _ in range(3):
            radio.run(20)
            radio.do(radio.machine.want(0, "b1", radio.now_ns))
        radio.run(1)
        assert [told.reachable for told in radio.told if isinstance(told, Probed)] == [False] * 3
        unheard = [told for told in radio.told if isinstance(told, Sample)]
        assert [(told.ap, told.signal_dbm, told.source) for told in unheard] == [
            ("b1", -100.0, "unheard")
        ]

    def test_one_miss_now_and_then_is_none(self) -> None:
        radio = on_a(Settings(background=False))
        for number in range(6):
            radio.there = (A,) if number % 2 else (A, B)
            radio.do(radio.machine.want(0, "b1", radio.now_ns))
            radio.run(20)
        assert not [s for s in radio.told if isinstance(s, Sample) and s.source == "unheard"]

    def test_one_that_cannot_be_taken_is_answered_too(self) -> None:
        radio = on_a(Settings(background=False))
        radio.fails = True
        radio.run(2)
        radio.do(radio.machine.want(2462, "", radio.now_ns))
        radio.do(radio.machine.want(2437, "", radio.now_ns))
        radio.run(1)
        assert [told.reachable for told in radio.told if isinstance(told, Probed)] == [False] * 2
        nobody = Sampling(Settings())
        assert nobody.want(0, "", 5) == (Tell(Probed(5, "", False)),)

    def test_who_answers_is_told_from_who_is_heard(self) -> None:
        radio = on_a(Settings(background=False))
        radio.run(2)
        cost_ns = radio.machine.holes.cost_ns
        for by in ("anqp", "beacon"):
            radio.do(radio.machine.want(0, "b1", radio.now_ns, test=True))
            look = radio.looks[-1][1]
            assert (look.test, look.frequency_mhz, look.away) == ("b1", 2437, True)
            radio.until_ns = None
            radio.now_ns += 3 * MS
            answers = by == "anqp"
            radio.do(radio.machine.tested(radio.now_ns, answers=answers, by=by, away_ns=2 * MS))
            assert radio.told[-1] == Probed(radio.now_ns, "b1", answers, 3 * MS, by)
        assert radio.machine.holes.spent_ns == 4 * MS, "what it cost is paid for"
        assert radio.machine.holes.cost_ns == cost_ns, "and says nothing of the next scan"
        assert radio.machine.tested(radio.now_ns, answers=True, by="anqp", away_ns=0) == ()

    def test_what_could_not_be_tested_speaks_against_nobody(self) -> None:
        radio = on_a(Settings(background=False))
        radio.run(2)
        radio.fails = True
        radio.do(radio.machine.want(2437, "b1", radio.now_ns, test=True))
        radio.do(radio.machine.want(2462, "c1", radio.now_ns, test=True))  # one at a time
        radio.run(1)
        owing = Settings(background=False, hole_ms_per_s=0, burst_ms=0, debt_ms=0, patience_ms=100)
        late = on_a(owing)
        late.run(2)
        late.machine.holes.spend(0, 5 * S)
        late.do(late.machine.want(2437, "b1", late.now_ns, test=True))
        late.run(1)
        assert not late.looks
        tested = [told for told in (*radio.told, *late.told) if isinstance(told, Probed)]
        assert [(told.ap, told.by) for told in tested] == [
            ("c1", "untested"),
            ("b1", "untested"),
            ("b1", "untested"),
        ]
        assert not any(told.refuted or told.reachable for told in tested)
        assert Probed(0, "b1", False, by="beacon").refuted

    def test_beacons_that_stay_away(self) -> None:
        radio = on_a(Settings(background=False))
        radio.do(radio.machine.counted(0, 10))
        radio.do(radio.machine.counted(S, 10))
        radio.do(radio.machine.beacons_lost(S))
        radio.machine.alone()
        radio.do(radio.machine.beacons_lost(2 * S))
        assert radio.told == [BeaconLoss(S, "a1", 9), BeaconLoss(S, "a1")]

    def test_what_is_forgotten_is_not_looked_for(self) -> None:
        radio = on_a()
        radio.machine.forget("b1")
        radio.machine.forget("c1")
        radio.run(60)
        assert not radio.looks

    def test_somebody_elses_scan_is_taken_along(self) -> None:
        radio = on_a(Settings(stale_s=30))
        radio.do(radio.machine.looked(S, (reading(S, B, -70), reading(S, C, -70))))
        radio.run(20)
        assert len(radio.told) == 2
        assert not radio.looks

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["serve", "alone", "want", "hold", "read", "count", "fail"]),
                st.integers(1, 3000),
            ),
            max_size=30,
        )
    )
    def test_whatever_happens_the_budget_holds_and_wishes_are_answered(
        self, events: list[tuple[str, int]]
    ) -> None:
        settings = Settings(hole_ms_per_s=10, burst_ms=150)
        radio = on_a(settings)
        wishes = 0
        for event, ms in events:
            radio.run(ms / 1000)
            radio.fails = event == "fail"
            if event == "serve":
                radio.machine.serve("b1" if ms % 2 else "a1", radio.now_ns)
            elif event == "alone":
                radio.machine.alone()
            elif event == "want":
                wishes += 1
                radio.do(radio.machine.want((2437, 2462, 0)[ms % 3], "", radio.now_ns))
            elif event == "hold":
                radio.machine.hold_off(radio.now_ns + ms * MS)
            elif event == "read":
                radio.do(radio.machine.read(reading(radio.now_ns, (A, B, C)[ms % 3], -ms // 30)))
            elif event == "count":
                radio.do(radio.machine.counted(radio.now_ns, ms % 7))
        radio.machine.serve("a1", radio.now_ns)
        radio.run(10)
        assert sum(isinstance(told, Probed) for told in radio.told) == wishes
        # Saved up, owed, earned, and the last look.
        most_ms = 150 + 150 + 75 + 10 * radio.now_ns / S
        assert radio.machine.holes.spent_ns <= most_ms * MS


def test_settings_can_be_told_apart() -> None:
    fields = {field.name for field in dataclasses.fields(Settings)}
    text = Settings.__doc__ or ""
    assert all(f"        {name}: " in text for name in fields)
