"""Phases of a link switch from the supplicant's events."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mpa_hil.handover.link_phases import FAILURES, LinkPhases, Mark
from radios.wpa_events import (
    ASSOCIATED,
    ASSOCIATING,
    AUTHENTICATING,
    CONNECTED,
    DISCONNECTED,
    EAP_FAILURE,
    EAP_STARTED,
    EAP_SUCCESS,
    KEYS_NEGOTIATED,
    SCAN_RESULTS,
    SCAN_STARTED,
    Event,
)

ENTERPRISE = (
    DISCONNECTED,
    SCAN_STARTED,
    SCAN_RESULTS,
    AUTHENTICATING,
    ASSOCIATING,
    ASSOCIATED,
    EAP_STARTED,
    EAP_SUCCESS,
    KEYS_NEGOTIATED,
    CONNECTED,
)


def play(names: Sequence[str], start_ns: int = 100) -> list[Mark]:
    """A switch selected at `start_ns`, one event every 10 ns from then on."""
    machine = LinkPhases()
    marks = list(machine.select(start_ns))
    for number, name in enumerate(names, 1):
        marks += machine.receive(Event(start_ns + 10 * number, 3, name, name))
    return marks


def durations(marks: Sequence[Mark]) -> dict[str, int]:
    """Time by phase, ns; raises when begins and ends do not pair up."""
    total: dict[str, int] = {}
    open_at: dict[str, int] = {}
    for mark in marks:
        if mark.outcome is None:
            assert mark.phase not in open_at
            open_at[mark.phase] = mark.t_ns
        else:
            total[mark.phase] = total.get(mark.phase, 0) + mark.t_ns - open_at.pop(mark.phase)
    return total


def test_a_full_authentication_has_every_phase_and_no_gap_between_them() -> None:
    took = durations(play(ENTERPRISE))
    assert took == {
        "scan": 40,
        "authentication": 10,
        "association": 10,
        "eap": 20,
        "four-way": 20,
    }
    assert sum(took.values()) == 100


@pytest.mark.parametrize("key", ["pre-shared", "cached"])
def test_without_eap_the_handshake_follows_association(key: str) -> None:
    names = [name for name in ENTERPRISE if name not in (EAP_STARTED, EAP_SUCCESS)]
    took = durations(play(names))
    assert "eap" not in took
    assert took["four-way"] == 20
    assert sum(took.values()) == 80


def test_leaving_the_old_network_is_no_failure_of_the_new_one() -> None:
    marks = play([DISCONNECTED, DISCONNECTED, AUTHENTICATING])
    assert [mark.outcome for mark in marks if mark.outcome] == ["done"]


def test_a_refused_authentication_goes_back_to_scanning_and_counts_both_times() -> None:
    names = [*ENTERPRISE[:7], EAP_FAILURE, DISCONNECTED, *ENTERPRISE[3:]]
    marks = play(names)
    assert [mark.phase for mark in marks if mark.outcome == "failed"] == ["eap"]
    assert marks[-1] == Mark("four-way", 100 + 10 * len(names), "done", CONNECTED)
    assert sum(durations(marks).values()) == 10 * len(names)


EVENTS = st.lists(
    st.sampled_from([*ENTERPRISE, *sorted(FAILURES), "CTRL-EVENT-REGDOM-CHANGE"]), max_size=40
)


@given(EVENTS)
@example([ASSOCIATED, ASSOCIATED, CONNECTED])
def test_whatever_comes_phases_pair_up_and_cover_the_time_until_connected(
    names: list[str],
) -> None:
    if CONNECTED in names:
        names = names[: names.index(CONNECTED) + 1]
    marks = play(names)
    took = durations(marks)
    if CONNECTED in names:
        assert sum(took.values()) == 10 * len(names)
    assert all(time >= 0 for time in took.values())
