"""State machines as tables, and the diagrams drawn from them, sans-IO.

A row says: in this state, on this event, if the guard holds, do the action and be in that state.
The rows of one state and event are tried in their order. Guards and actions are methods of the
machine that the table is for, named here by their names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)


class Row(NamedTuple, Generic[S, E]):
    """One transition. `state` and `exit` as lists of states are spared by writing rows out."""

    states: tuple[S, ...]
    event: E
    guard: str
    """Empty: always."""
    action: str
    """Empty: nothing."""
    exit: S | None
    """None: stay."""


class Move(NamedTuple, Generic[S]):
    """What a row means to one machine: methods, which take the machine and its turn."""

    guard: Callable[[Any, Any], bool] | None
    action: Callable[[Any, Any], None] | None
    exit: S | None


class Table(Generic[S, E]):
    """Rows, indexed by state and event."""

    def __init__(self, rows: Sequence[Row[S, E]]) -> None:
        self.rows = tuple(rows)
        self._index: dict[tuple[S, E], tuple[Row[S, E], ...]] = {}
        for row in rows:
            for state in row.states:
                key = (state, row.event)
                self._index[key] = (*self._index.get(key, ()), row)

    def at(self, state: S, event: E) -> tuple[Row[S, E], ...]:
        """The rows to try, none where the event has no meaning."""
        return self._index.get((state, event), ())

    def bound(self, machine: type) -> dict[tuple[S, E], tuple[Move[S], ...]]:
        """The rows by state and event, with the machine's own methods in the place of names."""
        return {
            place: tuple(
                Move(
                    getattr(machine, "is_" + row.guard) if row.guard else None,
                    getattr(machine, "do_" + row.action) if row.action else None,
                    row.exit,
                )
                for row in rows
            )
            for place, rows in self._index.items()
        }

    def names(self) -> set[str]:
        """Every guard and action."""
        return {name for row in self.rows for name in (row.guard, row.action) if name}


def table_text(table: Table[S, E]) -> str:
    """The rows as a Markdown table."""
    lines = ["| state | event | if | does | then |", "|---|---|---|---|---|"]
    for row in table.rows:
        states = ", ".join(state.name for state in row.states)
        exit_ = "(stays)" if row.exit is None else row.exit.name
        words = [row.event.value, row.guard, row.action]
        cells = [states, *(word.replace("_", " ") for word in words), exit_]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def diagram_text(table: Table[S, E]) -> str:
    """The moves between states as a Mermaid state diagram."""
    edges: dict[tuple[str, str], list[str]] = {}
    for row in table.rows:
        if row.exit is None:
            continue
        for state in row.states:
            if state is not row.exit:
                events = edges.setdefault((state.name, row.exit.name), [])
                if row.event.value not in events:
                    events.append(row.event.value)
    lines = ["stateDiagram-v2", "    [*] --> INITIAL"]
    lines += [f"    {a} --> {b}: {' / '.join(events)}" for (a, b), events in edges.items()]
    return "\n".join(lines) + "\n"
