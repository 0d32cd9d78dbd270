"""Policies on whole walks, with a stand-in for the node: where to, how often, at what cost."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import sin, tau

import pytest
from hypothesis import given
from hypothesis import settings as tuned
from hypothesis import strategies as st
from policy_stage import S, airs, engine

from mpa_hil.policy import interface as say
from mpa_hil.policy import loading
from mpa_hil.policy.interface import Input, KeepContext, Measured, Return
from mpa_hil.policy.rehearsal import Rehearsal, Tally, Terms


def play(
    events: Iterable[Input], name: str = "default", terms: Terms | None = None, **options: object
) -> Tally:
    return Rehearsal(engine(name, **options), terms).run("a1", events)


def crossing(seconds: float = 40, **more: float) -> Iterable[Input]:
    return airs(
        seconds + 10,
        more.get("sigma_db", 2.0),
        int(more.get("seed", 1)),
        a1=lambda t: max(0, 45 - 45 * t / seconds),
        b1=lambda t: min(45, 45 * t / seconds),
    )


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_walk_from_one_to_the_other(seed: int) -> None:
    tally = play(crossing(seed=seed))
    assert tally.moves == 1
    assert tally.levels == {3: 1}
    assert (tally.link_losses, tally.full_authentications, tally.failed) == (0, 0, 0)
    assert tally.dark_ns <= 0.2 * S
    assert tally.wasted == 0


def test_what_never_serves_a_move_is_told_by_level() -> None:
    """Turned back half way: prepared, let go of, and its keys never used."""
    play_ = Rehearsal(engine())
    tally = play_.run("a1", airs(60, a1=lambda t: 45 - t if t < 25 else 20 + (t - 25)))
    assert tally.moves == 0
    played = play(airs(60, a1=lambda t: 45 - t if t < 25 else t - 5, b1=lambda t: 18))
    assert played.moves == 0
    assert played.unused[1] == 1, "the keys are kept, and of no use"
    assert sum(played.unused.values()) == played.prepared
    assert play_.linked


def swinging(period_s: float, sigma_db: float) -> Iterable[Input]:
    """By 3 dB to each side, where the two are equal."""
    return airs(300, sigma_db, a1=lambda t: 15 + 3 * sin(tau * t / period_s), b1=lambda t: 15)


@pytest.mark.parametrize(("period_s", "sigma_db"), [(2, 0), (10, 0), (30, 0), (10, 2), (60, 2)])
def test_a_swing_of_three_db_causes_hardly_any_moves(period_s: float, sigma_db: float) -> None:
    """No more than a fifth of the naive policy's."""
    naive = play(swinging(period_s, sigma_db), "naive").moves
    default = play(swinging(period_s, sigma_db)).moves
    assert naive >= 10
    assert default <= naive / 5


def test_a_sawtooth_is_dwelt_through() -> None:
    """Every 4 s the other is better by 14 dB: between two moves there is a dwell each time."""
    events = list(
        airs(200, a1=lambda t: 26 - 14 * (t % 8 >= 4), b1=lambda t: 12 + 14 * (t % 8 >= 4))
    )
    tally = play(events, dwell_s=10.0)
    moves = [
        each.t_ns for each in tally.decisions if isinstance(each.decision, say.Switch | Return)
    ]
    assert 2 <= len(moves) <= 20
    assert all(after - before >= 10 * S for before, after in pairwise(moves))
    assert play(events, "naive").moves >= 49


def test_a_return_costs_no_authentication() -> None:
    def a1(t_s: float) -> float:
        return 45 - 0.9 * (t_s if t_s < 40 else 80 - t_s)

    tally = play(airs(80, 1.0, a1=a1, b1=lambda t: 54 - a1(t)))
    assert tally.moves == 2
    assert tally.full_authentications == 0
    assert any(isinstance(each.decision, Return) for each in tally.decisions)
    assert any(isinstance(each.decision, KeepContext) for each in tally.decisions)
    authentications = [
        each
        for each in tally.decisions
        if isinstance(each.decision, say.Prepare) and each.decision.inputs["reached"] == 0
    ]
    assert {each.decision.target for each in authentications} == {"b1"}


@pytest.mark.parametrize("name", loading.SHIPPED)
def test_whoever_decides_the_node_ends_connected(name: str) -> None:
    """Though b1 refuses: c1 is in range at the end."""
    events = list(
        airs(60, 2.0, a1=lambda t: 40 - t, b1=lambda t: t - 15, c1=lambda t: 0.8 * t - 15)
    )
    play_ = Rehearsal(engine(name), Terms(refused=frozenset({"b1"})))
    tally = play_.run("a1", events)
    assert play_._linked
    assert play_._here == "c1"
    assert tally.failed >= 1


@pytest.mark.parametrize("name", loading.SHIPPED)
def test_everything_gone_and_back(name: str) -> None:
    def level(t_s: float) -> float:
        return -10 if 10 <= t_s < 30 else 30

    play_ = Rehearsal(engine(name))
    tally = play_.run("a1", airs(60, 1.0, a1=level, b1=level))
    assert play_._linked
    assert 15 * S < tally.dark_ns < 40 * S


def test_the_faster_the_less_is_prepared() -> None:
    """C.6, with lead times as they were measured: 2 RTT + Tpsk = 1.1 s, + Tconf = 2.1 s."""
    reached = {}
    for seconds in (4, 8, 60):
        lead = [
            Measured(S, part, int(took_s * S))
            for part, took_s in (
                ("round_trip", 0.5),
                ("keys", 0.1),
                ("configuration", 1.0),
                ("tunnel", 1.0),
                ("binding", 0.5),
            )
            for _ in range(9)
        ]
        tally = play([*lead, *crossing(seconds, sigma_db=0.0)])
        reached[seconds] = max(tally.levels)
    assert reached[60] == 3
    assert reached[4] <= reached[8] <= reached[60]
    assert reached[4] < 3


@given(
    st.sampled_from(sorted(loading.SHIPPED)),
    st.lists(
        st.tuples(st.sampled_from(("a1", "b1", "c1")), st.floats(-10, 60), st.integers(0, 2 * S)),
        min_size=1,
        max_size=120,
    ),
    st.sets(st.sampled_from(("b1", "c1"))),
)
@tuned(max_examples=60, deadline=None)
def test_no_signal_breaks_a_policy(
    name: str, readings: list[tuple[str, float, int]], refused: set[str]
) -> None:
    """Nor is anything decided that makes no sense: the engine would say `refused`."""
    now_ns, events = S, []
    for ap, level, step_ns in readings:
        now_ns += step_ns
        events.append(say.Sample(now_ns, ap, -92 + level, -92))
    play_ = Rehearsal(engine(name), Terms(refused=frozenset(refused)))
    tally = play_.run("a1", events)
    assert not [each for each in tally.decisions if each.decision.rule == "refused"]
    assert len(tally.decisions) < 40 * len(events)


def test_a_rehearsal_is_always_the_same() -> None:
    one, two = play(crossing()), play(crossing())
    assert one.decisions == two.decisions
