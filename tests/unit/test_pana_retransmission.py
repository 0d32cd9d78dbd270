"""Timers of RFC 5191 s9 and the round trips that they may be taken from."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from pana_pair import S

from mpa_hil.pana.retransmission import RoundTrip, Timer
from mpa_hil.pana.settings import (
    PCI_RETRANSMISSION,
    REQUEST_RETRANSMISSION,
    Retransmission,
    Timing,
)


def waits(row: Retransmission, random_octets: object, most: int = 30) -> list[float]:
    """Seconds between transmissions until the exchange fails, or the first `most` of them."""
    timer = Timer(row, row.initial_s, random_octets, 0)  # type: ignore[arg-type]
    found, before = [], 0
    while len(found) < most:
        found.append((timer.due_ns - before) / S)
        before = timer.due_ns
        if not timer.again(timer.due_ns):
            break
    return found


def middle(size: int) -> bytes:
    return b"\x7f\xff"[:size]


def test_the_parameters_are_the_rfcs() -> None:
    """RFC 5191 s9.1."""
    assert Retransmission(1, 120, 0, 0) == PCI_RETRANSMISSION
    assert Retransmission(1, 30, 10, 0) == REQUEST_RETRANSMISSION


def test_waits_double_up_to_the_maximum_and_ten_transmissions_are_all() -> None:
    found = waits(REQUEST_RETRANSMISSION, middle)
    assert [round(wait) for wait in found] == [1, 2, 4, 8, 16, 30, 30, 30, 30, 30]


def test_a_pci_is_repeated_for_ever() -> None:
    found = waits(PCI_RETRANSMISSION, middle)
    assert [round(wait) for wait in found[:9]] == [1, 2, 4, 8, 16, 32, 64, 120, 120]
    assert len(found) == 30


def test_a_duration_ends_the_exchange_too() -> None:
    assert sum(waits(Retransmission(1, 0, 0, 20), middle)) >= 20
    assert len(waits(Retransmission(1, 0, 0, 20), middle)) == 5


@given(st.integers(0, 2**32))
def test_each_wait_is_random_within_a_tenth(seed: int) -> None:
    found = waits(REQUEST_RETRANSMISSION, random.Random(seed).randbytes)
    assert 0.9 <= found[0] <= 1.1
    for before, wait in pairwise(found):
        assert 1.9 * before - 1e-6 <= wait <= 2.1 * before + 1e-6 or 27 <= wait <= 33


def test_the_first_wait_comes_from_the_round_trip_but_is_never_longer_than_set() -> None:
    timing = Timing(floor_s=0.05)
    trip = RoundTrip()
    assert trip.first_wait_s(REQUEST_RETRANSMISSION, timing) == 1
    for _ in range(40):
        trip.measured(0.040)
    assert 0.05 <= trip.first_wait_s(REQUEST_RETRANSMISSION, timing) < 0.06
    assert trip.first_wait_s(REQUEST_RETRANSMISSION, Timing(adaptive=False)) == 1
    for _ in range(40):
        trip.measured(3.0)
    assert trip.first_wait_s(REQUEST_RETRANSMISSION, timing) == 1
