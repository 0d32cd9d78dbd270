"""What the agents emit is what the event log describes: read off their source.

Agents do not import the event types, so nothing else would notice a field with another name
before a run does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mpa_hil import events

ROOT = Path(__file__).parents[2] / "mpa_hil"
SOURCES = sorted({*(ROOT / "agents").glob("*.py"), ROOT / "traffic" / "endpoint.py"})
SPEAKERS = {"emit", "say"}
KNOWN = {events.tag(kind): kind for kind in events.TYPES}


def spoken(path: Path) -> Iterator[tuple[int, str, set[str], bool]]:
    """Line, type, field names and whether there may be more, of each event that a file emits."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
        if name not in SPEAKERS:
            continue
        for argument in node.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                fields = {keyword.arg for keyword in node.keywords if keyword.arg}
                open_ended = any(keyword.arg is None for keyword in node.keywords)
                yield node.lineno, argument.value, fields - {"t_ns"}, open_ended


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_event_is_described(path: Path) -> None:
    for lineno, tag, fields, open_ended in spoken(path):
        where = f"{path.name}:{lineno} {tag}"
        assert tag in KNOWN, where
        described = msgspec.structs.fields(KNOWN[tag])
        assert fields <= {field.name for field in described}, where
        if not open_ended:
            needed = {field.name for field in described if field.required}
            assert needed - {"t_ns", "host", "agent"} <= fields, where
