"""The state tables: whole, reachable, and drawn in the documentation as they are (RFC 5609)."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpa_hil.pana.diagrams import page_part
from mpa_hil.pana.paa_session import Session
from mpa_hil.pana.paa_table import PAA_TABLE, PaaEvent, PaaState
from mpa_hil.pana.pac import Pac
from mpa_hil.pana.pac_table import PAC_TABLE, PacEvent, PacState

PAGE = Path(__file__).parents[2] / "docs" / "pana.md"
MACHINES = [(PAC_TABLE, Pac, PacState, PacEvent), (PAA_TABLE, Session, PaaState, PaaEvent)]


@pytest.mark.parametrize(("table", "machine", "states", "events"), MACHINES)
def test_guards_and_actions_exist_and_are_used(table, machine, states, events) -> None:  # type: ignore[no-untyped-def]
    guards = {row.guard for row in table.rows if row.guard}
    actions = {row.action for row in table.rows if row.action}
    assert guards == {name[3:] for name in dir(machine) if name.startswith("is_")}
    unused = {name[3:] for name in dir(machine) if name.startswith("do_")} - actions
    assert unused <= set()
    assert all(hasattr(machine, "do_" + action) for action in actions)


@pytest.mark.parametrize(("table", "machine", "states", "events"), MACHINES)
def test_each_state_can_be_reached_and_left_and_each_event_matters(  # type: ignore[no-untyped-def]
    table, machine, states, events
) -> None:
    reached, grown = {states.INITIAL}, True
    while grown:
        more = {row.exit for row in table.rows if row.exit and reached & set(row.states)}
        grown = not more <= reached
        reached |= more
    assert reached == set(states)
    assert {row.event for row in table.rows} == set(events)
    for state in set(states) - {states.CLOSED, states.INITIAL}:
        assert table.at(state, events.SESS_TIMEOUT), state
        assert table.at(state, events.RTX_EXHAUSTED), state


@pytest.mark.parametrize(("table", "machine", "states", "events"), MACHINES)
def test_no_row_is_hidden_behind_one_without_a_guard(table, machine, states, events) -> None:  # type: ignore[no-untyped-def]
    for state in states:
        for event in events:
            rows = table.at(state, event)
            open_rows = [number for number, row in enumerate(rows) if not row.guard]
            first = open_rows[0] if open_rows else len(rows)
            hidden = [row for row in rows[first + 1 :] if row.states == (state,)]
            assert not hidden, (state, event)


def test_the_page_shows_the_tables_as_they_are() -> None:
    assert PAGE.read_text(encoding="utf-8").endswith(page_part())
