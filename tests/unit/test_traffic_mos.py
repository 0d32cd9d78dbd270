"""The E-model against published points."""

from __future__ import annotations

import pytest

from mpa_hil.traffic.mos import burst_ratio, delay_impairment, equipment_impairment, mos, rating


def test_default_rating_is_the_published_93_2() -> None:
    # G.107 s7.7: with all defaults the rating is R = 93.2.
    assert rating(0, 0) == pytest.approx(93.2, abs=0.05)
    assert mos(rating(0, 0)) == pytest.approx(4.41, abs=0.005)


@pytest.mark.parametrize(
    ("r", "score"), [(50, 2.58), (60, 3.10), (70, 3.60), (80, 4.02), (90, 4.34)]
)
def test_mos_of_rating_matches_annex_b_table(r: float, score: float) -> None:
    assert mos(r) == pytest.approx(score, abs=0.01)


def test_mos_stays_on_its_scale() -> None:
    assert mos(-20) == 1.0
    assert mos(3) == 1.0
    assert mos(130) == 4.5


@pytest.mark.parametrize(
    ("delay_ms", "lowest", "highest"), [(150, 88, 91), (250, 77, 82), (400, 58, 65)]
)
def test_delay_costs_what_g114_says(delay_ms: float, lowest: float, highest: float) -> None:
    assert lowest < rating(delay_ms, 0) < highest


def test_delay_impairment_never_falls() -> None:
    costs = [delay_impairment(d) for d in range(0, 600, 5)]
    assert costs == sorted(costs)


def test_loss_without_concealment_is_ruinous_and_bursts_are_worse() -> None:
    assert equipment_impairment(0, 4.3, 0.05) == pytest.approx(95 * 5 / 9.3)
    assert equipment_impairment(0, 25.1, 0.05) == pytest.approx(95 * 5 / 30.1)
    assert equipment_impairment(0, 25.1, 0.05, 4) > equipment_impairment(0, 25.1, 0.05)


def test_burst_ratio() -> None:
    assert burst_ratio([False] * 10) == 1.0
    assert burst_ratio([]) == 1.0
    assert burst_ratio([True] * 10) == 1.0
    assert burst_ratio([True, False] * 50) == 1.0  # never below one
    # ten losses in a row of a hundred: mean run 10, random loss would give 1 / 0.9
    assert burst_ratio([True] * 10 + [False] * 90) == pytest.approx(9.0)
