"""Figures of synthetic packet records: each definition by example, and what always holds."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpa_hil.traffic.codecs import CODECS, codec
from mpa_hil.traffic.figures import Window, figures, largest_gap, quantile, reordered
from mpa_hil.traffic.records import Arrival, FlowLog
from radios.errors import LocalError

MS = 1_000_000
WINDOW = Window(1000 * MS, 3000 * MS)


def log_of(
    delays_ms: list[float | None],
    spacing_ms: int = 20,
    *,
    copies: int = 1,
    shared_clock: bool = True,
    skew_ns: int = 0,
) -> FlowLog:
    """A flow whose packet i takes delays_ms[i], or is lost (None)."""
    sent = [i * spacing_ms * MS for i in range(len(delays_ms))]
    arrivals = [
        Arrival(i, sent[i], sent[i] + round(delay * MS) + skew_ns)
        for i, delay in enumerate(delays_ms)
        if delay is not None
        for _ in range(copies)
    ]
    arrivals.sort(key=lambda a: a.received_ns)
    return FlowLog(
        "voice", "downlink", spacing_ms * MS, 172, sent, arrivals, shared_clock=shared_clock
    )


def test_clean_flow() -> None:
    clean = figures(log_of([5.0] * 200), WINDOW, CODECS["g711"])
    assert (clean.sent, clean.received, clean.lost, clean.duplicated) == (200, 200, 0, 0)
    assert clean.gap_ms == 0
    assert clean.jitter_ms == 0
    assert clean.delay_p50_ms == clean.delay_max_ms == 5.0
    assert clean.mos == pytest.approx(4.41, abs=0.01)
    assert clean.recovered


def test_ten_lost_packets_make_a_gap_of_ten_spacings() -> None:
    delays: list[float | None] = [5.0] * 200
    delays[80:90] = [None] * 10
    cut = figures(log_of(delays), WINDOW, CODECS["g711"])
    assert cut.lost == 10
    assert cut.gap_ms == cut.lost_gap_ms == 200
    assert cut.gap_start_ns == 79 * 20 * MS + 5 * MS
    assert cut.gap_end_ns == 90 * 20 * MS + 5 * MS
    assert cut.sender_hole_ms == 0
    assert cut.mos is not None
    assert cut.mos < 4


def test_held_packets_are_a_gap_without_loss() -> None:
    delays: list[float | None] = [5.0] * 200
    for i in range(10):  # all released together, 200 ms after the first was sent
        delays[80 + i] = 200.0 - 20 * i
    held = figures(log_of(delays), WINDOW)
    assert held.lost == held.lost_gap_ms == held.reordered == 0
    assert held.gap_ms == 200 + 20 - 5 - 20
    assert held.late == 3  # 200, 180 and 160 ms are past the play-out deadline
    assert held.mos is None


def test_the_mean_interval_leaves_the_gap_out() -> None:
    sent = [n * 16 * MS for n in range(100)]
    arrivals = [Arrival(n, at, at + 5 * MS) for n, at in enumerate(sent) if n not in (50, 51)]
    seen = figures(FlowLog("voice", "downlink", 16 * MS, 172, sent, arrivals), Window(0, 1600 * MS))
    assert (seen.gap_ms, seen.interarrival_ms, seen.spacing_ms) == (32, 16, 16)
    few = FlowLog("voice", "downlink", 16 * MS, 172, sent, arrivals[:2])
    assert figures(few, Window(0, 1600 * MS)).interarrival_ms is None


def test_gap_outside_the_window_is_not_the_handovers() -> None:
    delays: list[float | None] = [5.0] * 200
    delays[2:20] = [None] * 18
    assert figures(log_of(delays), WINDOW).gap_ms == 0


def test_flow_that_never_comes_back() -> None:
    dead = figures(log_of([5.0] * 75 + [None] * 125), WINDOW)
    assert not dead.recovered
    assert dead.gap_ms == (3000 * MS - (74 * 20 + 5) * MS) / MS - 20
    silent = figures(log_of([None] * 200), WINDOW, CODECS["g711"])
    assert (silent.received, silent.gap_ms, silent.mos) == (0, 1980, 1.0)
    assert silent.delay_p50_ms is silent.jitter_ms is None


def test_sender_hole_is_told_from_the_networks() -> None:
    sent = [i * 20 * MS for i in range(60)] + [(i + 10) * 20 * MS for i in range(60, 150)]
    arrivals = [Arrival(i, s, s + MS) for i, s in enumerate(sent)]
    stalled = figures(FlowLog("voice", "uplink", 20 * MS, 172, sent, arrivals), WINDOW)
    assert stalled.gap_ms == stalled.sender_hole_ms == 200
    assert stalled.lost == 0


def test_waiting_time_makes_late_lost() -> None:
    delays: list[float | None] = [5.0] * 200
    delays[100] = 3001.0
    assert figures(log_of(delays), WINDOW).lost == 1


def test_clocks_that_differ_change_no_count() -> None:
    delays: list[float | None] = [5.0 + (i % 7) for i in range(200)]
    delays[80:90] = [None] * 10
    skew = 3600 * 1_000_000_000
    moved = Window(WINDOW.start_ns + skew, WINDOW.end_ns + skew)
    near = figures(log_of(delays), WINDOW)
    far = figures(log_of(delays, shared_clock=False, skew_ns=skew), moved)
    assert far.delay_p50_ms is None
    assert (far.lost, far.gap_ms, far.lost_gap_ms) == (near.lost, near.gap_ms, near.lost_gap_ms)
    assert (far.jitter_ms, far.pdv_ms) == (near.jitter_ms, near.pdv_ms)


def test_rfc_3550_jitter_by_hand() -> None:
    # One change of transit time by 16 ms: J = 1 ms, then it decays by 15/16 a packet.
    jump = figures(log_of([5.0, 21.0, 21.0]), WINDOW)
    assert jump.jitter_max_ms == 1.0
    assert jump.jitter_ms == (1.0 + 15 / 16) / 2


def test_rfc_4737_reordering_by_hand() -> None:
    # 4 arrives early: 2 and 3 are the reordered ones.
    assert reordered([Arrival(s, 0, 0) for s in (0, 1, 4, 2, 3, 5)]) == 2


def test_quantile_is_nearest_rank() -> None:
    assert quantile([1, 2, 3, 4], 0.5) == 2
    assert quantile([1, 2, 3, 4], 0.51) == 3
    assert quantile([7], 0.999) == 7


def test_codec_overrides_and_refusals() -> None:
    assert codec("g711", spacing_ms=2, payload_bytes=32).spacing_ns == 2 * MS
    assert codec("g711").udp_payload_bytes == 172
    for wrong in ({"spacing_ms": 0.0}, {"payload_bytes": 11}):
        with pytest.raises(LocalError):
            codec("g711", **wrong)  # type: ignore[arg-type]
    with pytest.raises(LocalError, match="no codec"):
        codec("g999")


delays_or_losses = st.lists(
    st.one_of(st.none(), st.floats(min_value=0.0, max_value=5000.0)), min_size=1, max_size=120
)


@given(delays_or_losses, st.integers(1, 3), st.booleans())
def test_what_always_holds(delays: list[float | None], copies: int, shared: bool) -> None:
    out = figures(log_of(delays, copies=copies, shared_clock=shared), WINDOW, CODECS["g711"])
    assert out.sent == out.received + out.lost == len(delays)
    assert out.lost >= 0
    assert out.duplicated == (copies - 1) * sum(d is not None for d in delays)
    assert 0 <= out.reordered <= max(0, out.received - 1)
    assert out.gap_ms >= 0
    assert out.mos is None or 1.0 <= out.mos <= 4.5
    if out.delay_max_ms is not None:
        assert out.delay_p50_ms is not None
        assert out.delay_p95_ms is not None
        assert out.delay_p50_ms <= out.delay_p95_ms <= out.delay_max_ms <= 3000


@given(st.lists(st.integers(0, 4000), max_size=50))
def test_largest_gap_is_in_the_window_or_touches_it(times: list[int]) -> None:
    gap = largest_gap(times, Window(1000, 3000))
    inside = sorted({t for t in times if 1000 <= t <= 3000})
    spans = [b - a for a, b in pairwise(inside)]
    assert gap.length_ns >= max(spans, default=0)
    assert gap.length_ns <= 4000
