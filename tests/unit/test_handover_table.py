"""The handover's table: whole, reachable, bounded in time, and in docs/handover.md as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpa_hil.handover.diagrams import page_part
from mpa_hil.handover.interface import Event
from mpa_hil.handover.machine import _LIMITS, Handover
from mpa_hil.handover.options import Options
from mpa_hil.handover.states import BETWEEN, ON_NEW, ON_OLD, TABLE, UNTIMED, State

PAGE = Path(__file__).parents[2] / "docs" / "handover.md"
TIMED = [state for state in State if state not in UNTIMED]


def test_guards_and_actions_exist_and_are_used() -> None:
    guards = {row.guard for row in TABLE.rows if row.guard}
    actions = {row.action for row in TABLE.rows if row.action}
    assert guards == {name[3:] for name in dir(Handover) if name.startswith("is_")}
    assert actions == {name[3:] for name in dir(Handover) if name.startswith("do_")}


def test_each_state_can_be_reached_and_each_event_matters() -> None:
    reached, grown = {State.AT_OLD}, True
    while grown:
        more = {row.exit for row in TABLE.rows if row.exit and reached & set(row.states)}
        grown = not more <= reached
        reached |= more
    assert reached == set(State)
    facts_only = {Event.TUNNEL_LOST, Event.LEASE_EXPIRED}
    assert {row.event for row in TABLE.rows} | facts_only == set(Event)
    assert {*ON_OLD, *ON_NEW, *BETWEEN, State.AT_NEW} == set(State)


@pytest.mark.parametrize("state", TIMED)
def test_every_wait_is_bounded_and_its_end_has_an_unconditional_row(state: State) -> None:
    assert state in _LIMITS
    assert not TABLE.at(state, Event.TIME_UP)[-1].guard


@pytest.mark.parametrize("state", list(State))
def test_no_row_is_hidden_behind_one_without_a_guard(state: State) -> None:
    for event in Event:
        rows = TABLE.at(state, event)
        assert all(row.guard for row in rows[:-1]), (state, event)
        assert len({row.guard for row in rows}) == len(rows), (state, event)


def test_wherever_the_radio_ends_up_there_is_a_way_on() -> None:
    for state in set(State) - {State.AT_NEW}:
        if state not in (*ON_NEW, State.RETURNING):
            assert not TABLE.at(state, Event.PORT_OPEN)[-1].guard, state
        if state not in ON_OLD:
            assert not TABLE.at(state, Event.OLD_PORT_OPEN)[-1].guard, state
        if state not in (State.AT_OLD, State.SWITCHING, State.LOST):
            assert not TABLE.at(state, Event.LINK_LOST)[-1].guard, state


@pytest.mark.parametrize(("gone", "limit_ms"), [(False, 5_000), (True, 20_000)])
def test_a_network_that_had_no_address_is_not_asked_for_long_again(
    gone: bool, limit_ms: int
) -> None:
    """Unless there is no way back."""
    machine = Handover(Options())
    for event in (
        Event.PREPARE,
        Event.AUTHENTICATED,
        Event.CONFIGURATION_FAILED,
        Event.STAGED,
        Event.LINK_LOST if gone else Event.SWITCH_WANTED,
        Event.PORT_OPEN,
    ):
        machine.feed(event, 7)
    assert machine.state is State.ACQUIRING
    assert machine.next_deadline() == 7 + limit_ms * 1_000_000


def test_the_page_shows_the_table_as_it_is() -> None:
    assert PAGE.read_text(encoding="utf-8").endswith(page_part())
