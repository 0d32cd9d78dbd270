"""The model of propagation has the statistics that it names, and draws the same for ever."""

from __future__ import annotations

import math
import statistics

import pytest

from mpa_hil.movement.draws import stratified, uniforms
from mpa_hil.movement.propagation import (
    Channel,
    FastFading,
    Model,
    Shadowing,
    Transmitter,
    Wall,
)

SEEDS = range(400)
HERE = Transmitter("a1", 0.0, 0.0, 20.0, 2412)


def slope(points: list[tuple[float, float]]) -> float:
    """Of the least-squares line through some points."""
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def correlation(pairs: list[tuple[float, float]]) -> float:
    return statistics.correlation(*zip(*pairs, strict=True))


class TestDraws:
    """Numbers by name."""

    def test_they_are_what_they_always_were(self) -> None:
        # Of SHAKE128; a change here changes every recorded figure.
        assert uniforms(1, "a1", "shadowing", count=2) == (0.255323856706734, 0.02686719747718752)

    def test_a_longer_row_begins_like_a_shorter_one(self) -> None:
        assert uniforms(1, "a1", count=9)[:4] == uniforms(1, "a1", count=4)

    @pytest.mark.parametrize("names", [("a", "bc"), ("ab", "c"), ("abc",), ("a", "b", "c")])
    def test_names_do_not_run_together(self, names: tuple[str, ...]) -> None:
        others = [("a", "bc"), ("ab", "c"), ("abc",), ("a", "b", "c")]
        others.remove(names)
        assert uniforms(1, *names, count=1) not in [uniforms(1, *o, count=1) for o in others]

    def test_evenly_spread_and_never_at_an_end(self) -> None:
        drawn = uniforms(7, "spread", count=20_000)
        assert min(drawn) > 0
        assert max(drawn) < 1
        assert statistics.fmean(drawn) == pytest.approx(0.5, abs=0.01)
        assert statistics.pstdev(drawn) == pytest.approx(1 / math.sqrt(12), abs=0.005)

    def test_one_in_each_part(self) -> None:
        assert [int(8 * number) for number in stratified(3, "x", count=8)] == list(range(8))


class TestPathLoss:
    """Log-distance."""

    @pytest.mark.parametrize("exponent", [2.0, 3.3, 4.0])
    def test_the_slope_is_the_exponent(self, exponent: float) -> None:
        channel = Channel(Model(exponent=exponent), 1, HERE)
        points = [(math.log10(d), channel.loss_db(d)) for d in (1, 2, 5, 10, 40, 100)]
        assert slope(points) == pytest.approx(10 * exponent)
        assert channel.loss_db(1) == channel.loss_db(0.1) == 40

    def test_the_slope_is_still_there_under_shadows(self) -> None:
        model = Model(exponent=3.5, shadowing_db=4, correlation_m=5)
        points = [
            (math.log10(d), Channel(model, seed, HERE).mean_dbm(d, 0.0))
            for seed in range(60)
            for d in (2.0, 5.0, 12.0, 30.0, 75.0)
        ]
        assert slope(points) == pytest.approx(-35, abs=1.2)

    def test_signal_is_transmit_power_less_loss(self) -> None:
        model = Model(shadowing_db=0, exponent=2, reference_loss_db=40)
        assert Channel(model, 1, HERE).mean_dbm(0, 10) == pytest.approx(20 - 40 - 20)


class TestWalls:
    """What stands between."""

    wall = Wall(5, -1, 5, 1, 7)

    @pytest.mark.parametrize(
        ("x_m", "y_m", "behind"), [(10, 0, True), (10, 3, False), (4, 0, False), (-10, 0, False)]
    )
    def test_only_what_is_behind_it_loses(self, x_m: float, y_m: float, behind: bool) -> None:
        channel = Channel(Model(walls=(self.wall, self.wall)), 1, HERE)
        assert channel.walls_db(x_m, y_m) == (14 if behind else 0)

    def test_it_is_in_the_signal(self) -> None:
        bare = Channel(Model(), 1, HERE).mean_dbm(10, 0)
        walled = Channel(Model(walls=(self.wall,)), 1, HERE).mean_dbm(10, 0)
        assert walled == pytest.approx(bare - 7)


class TestShadowing:
    """A Gaussian field."""

    model = Model(shadowing_db=6, correlation_m=8)

    def fields(self) -> list[Shadowing]:
        return [Shadowing(self.model, seed, "a1") for seed in SEEDS]

    def test_mean_and_deviation(self) -> None:
        drawn = [field.db(x, x / 3) for field in self.fields() for x in (0.0, 100.0, 1000.0)]
        assert statistics.fmean(drawn) == pytest.approx(0, abs=0.5)
        assert statistics.pstdev(drawn) == pytest.approx(6, rel=0.05)

    def test_it_is_gaussian(self) -> None:
        drawn = [field.db(x, 0) / 6 for field in self.fields() for x in (0.0, 300.0, 600.0, 900.0)]
        within = [sum(abs(d) < k for d in drawn) / len(drawn) for k in (1, 2, 3)]
        assert within == pytest.approx([0.683, 0.954, 0.997], abs=0.025)

    @pytest.mark.parametrize("distance_m", [2.0, 8.0, 16.0])
    @pytest.mark.parametrize("angle", [0.0, 1.0])
    def test_autocorrelation(self, distance_m: float, angle: float) -> None:
        dx, dy = distance_m * math.cos(angle), distance_m * math.sin(angle)
        pairs = [
            (field.db(x, 0), field.db(x + dx, dy))
            for field in self.fields()
            for x in (0.0, 200.0, 400.0)
        ]
        assert correlation(pairs) == pytest.approx(math.exp(-distance_m / 8), abs=0.06)

    def test_access_points_and_seeds_have_nothing_in_common(self) -> None:
        for other in (
            lambda seed: Shadowing(self.model, seed, "b1"),
            lambda seed: Shadowing(self.model, seed + 1000, "a1"),
        ):
            pairs = [
                (Shadowing(self.model, seed, "a1").db(3, 4), other(seed).db(3, 4)) for seed in SEEDS
            ]
            assert abs(correlation(pairs)) < 0.15

    def test_the_same_place_has_the_same_shadow(self) -> None:
        field = Shadowing(self.model, 1, "a1")
        first = field.db(3, 4)
        field.db(50, 60)
        assert field.db(3, 4) == first == Shadowing(self.model, 1, "a1").db(3, 4)


def bessel_j0(z: float) -> float:
    """By its integral."""
    steps = 2000
    turns = (math.pi * (n + 0.5) / steps for n in range(steps))
    return math.fsum(math.cos(z * math.sin(turn)) for turn in turns) / steps


class TestFading:
    """Waves from all round."""

    def powers(self, model: Model) -> list[float]:
        return [
            abs(FastFading(model, seed, HERE).gain(x, 0, 0, 10 + x)) ** 2
            for seed in SEEDS
            for x in (0.0, 5.0, 10.0)
        ]

    def test_rayleigh_power_is_exponential(self) -> None:
        powers = self.powers(Model(fading="rayleigh"))
        assert statistics.fmean(powers) == pytest.approx(1, abs=0.07)
        for level in (0.1, 0.5, 1.0, 2.0):
            below = sum(power < level for power in powers) / len(powers)
            assert below == pytest.approx(1 - math.exp(-level), abs=0.04)

    @pytest.mark.parametrize("k_db", [0.0, 6.0])
    def test_rician_power(self, k_db: float) -> None:
        k = 10 ** (k_db / 10)
        powers = self.powers(Model(fading="rician", rician_k_db=k_db))
        assert statistics.fmean(powers) == pytest.approx(1, abs=0.07)
        assert statistics.pvariance(powers) == pytest.approx((2 * k + 1) / (k + 1) ** 2, rel=0.15)

    @pytest.mark.parametrize("wavelengths", [0.1, 0.25, 0.383, 0.6])
    def test_coherence_goes_by_way(self, wavelengths: float) -> None:
        """Clarke: the field's autocorrelation is J0(2 pi d / wavelength)."""
        model = Model(fading="rayleigh", surroundings_mps=0)
        assert self.coherence(model, wavelengths * HERE.wavelength_m, 0.0) == (
            pytest.approx(bessel_j0(math.tau * wavelengths), abs=0.06)
        )

    @pytest.mark.parametrize("wavelengths", [0.1, 0.383, 0.6])
    def test_who_stands_still_fades_by_what_moves_around(self, wavelengths: float) -> None:
        model = Model(fading="rayleigh", surroundings_mps=0.5)
        assert self.coherence(model, 0.0, wavelengths * HERE.wavelength_m / 0.5) == (
            pytest.approx(bessel_j0(math.tau * wavelengths), abs=0.06)
        )

    def test_where_nothing_moves_nothing_fades(self) -> None:
        still = FastFading(Model(fading="rayleigh", surroundings_mps=0), 1, HERE)
        assert still.db(1, 2, 0, 10) == still.db(1, 2, 100, 10)

    def coherence(self, model: Model, way_m: float, time_s: float) -> float:
        products = [
            fading.gain(x, 0, 0, 10) * fading.gain(x + way_m, 0, time_s, 10).conjugate()
            for fading in (FastFading(model, seed, HERE) for seed in SEEDS)
            for x in (0.0, 3.0, 7.0, 11.0)
        ]
        return statistics.fmean(product.real for product in products)

    def test_none_is_none(self) -> None:
        assert Channel(Model(fading="none"), 1, HERE).fade_db(1, 2, 3) == 0
