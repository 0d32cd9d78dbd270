"""Events as an agent writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

import pytest

from mpa_hil.agents.stdio import Console


class _Number(IntEnum):
    SEVEN = 7


Read = Callable[[], list[dict[str, object]]]


@pytest.fixture
def read(capfd: pytest.CaptureFixture[str]) -> Read:
    """What has been written to standard output since the last call, line by line."""
    return lambda: [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_every_kind_of_value_is_json(read: Read) -> None:
    values = {
        "text": 'a "quoted" \\ line\nand ä',
        "number": -12345678901234567890,
        "part": 1.25,
        "tiny": 1e-300,
        "yes": True,
        "no": False,
        "nothing": None,
        "several": [1, "two", 3.5],
        "inside": {"a": [{}]},
    }
    Console("an agent", 'a "host"').emit("its.kind", t_ns=5, **values)
    head = {"t_ns": 5, "host": 'a "host"', "agent": "an agent", "type": "its.kind"}
    assert read() == [head | values]


def test_other_values_are_written_as_json_has_them_or_as_text(
    read: Read,
) -> None:
    Console("a", "h").emit("k", number=_Number.SEVEN, path=Path("/x"), much=float("inf"))
    (event,) = read()
    assert (event["number"], event["path"], event["much"]) == (7, "/x", float("inf"))


def test_events_of_one_round_are_written_together(
    read: Read,
) -> None:
    later: list[Callable[[], None]] = []
    console = Console("a", "h")
    console.collect(later.append)
    console.emit("k", number=1)
    console.emit("k", number=2)
    assert read() == []
    later.pop()()
    assert [event["number"] for event in read()] == [1, 2]
    assert later == []
    console.emit("k", number=3)
    console.collect(None)
    console.emit("k", number=4)
    assert [event["number"] for event in read()] == [3, 4]
