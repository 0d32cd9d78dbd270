"""Reference pages made from the code: ``python -m mpa_hil.reference`` writes them anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import NODEFAULT, inspect

from . import events
from .scenario import shape
from .traffic.codecs import CODECS

DOCS = Path(__file__).parent.parent / "docs"
MADE = "<!-- Made by python -m mpa_hil.reference: change the code, not this page. -->"

LAB_FILE = f"""{MADE}
# The lab file

One lab a file, in TOML. `lab_configs/` has labs that run as they stand and are commented; this
page lists every key. An unknown key, a value out of range or a contradiction between two values
is refused before anything starts, with exit status 2.

- Any value can be changed for one run: `--set key.path=value`, repeatable. An element of a list is
  called by its `name` or by its place from 0: `--set domain.B.ap.b1.channel=11`,
  `--set movement.point.2.signal_dbm=-95`.
- Delay, jitter, loss and rate of a link act on each direction: a delay of 10 ms adds 20 ms to a
  round trip.
- Relative paths count from the lab file's folder.
- Secrets and certificates left out are made anew for each run.
- The `l2-floor` needs no lab of its own: from a lab with two domains it takes the AP that the MN
  would move to, puts it in the first AP's domain and gives both a pre-shared key.
- Codecs: {", ".join(f"`{name}`" for name in CODECS)}. Capitals and dots do not matter: `G.711`.
"""

EVENT_LOG = f"""{MADE}
# The event log

`events.jsonl` has one JSON object a line, in order of time. `type` says which of those below it
is. Fields at their default may be left out; a field that is not listed is an error.
"""


def lab_file() -> str:
    """The page `docs/lab_file.md`."""
    return "\n".join((LAB_FILE, *_tables("", shape.root(), "")))


def event_log() -> str:
    """The page `docs/events.md`."""
    return "\n".join((EVENT_LOG, *_events()))


PAGES = {"lab_file.md": lab_file, "events.md": event_log}


def write(folder: Path = DOCS) -> None:
    """Write every page."""
    for name, make in PAGES.items():
        (folder / name).write_text(make(), encoding="utf-8")


def _tables(path: str, table: inspect.StructType, text: str) -> Iterator[str]:
    plain: list[inspect.Field] = []
    nested: list[tuple[str, str, inspect.StructType, str]] = []
    for entry in table.fields:
        kind = shape.bare(entry.type)
        many = isinstance(kind, inspect.VarTupleType)
        inner = shape.bare(kind.item_type) if isinstance(kind, inspect.VarTupleType) else kind
        if isinstance(inner, inspect.StructType):
            where = f"{path}.{entry.encode_name}" if path else entry.encode_name
            title = f"[[{where}]]" if many else f"[{where}]"
            note = f"{shape.description(entry.type)}"
            note += ". Required." if shape.required(entry) else ". May be left out."
            nested.append((where, title, inner, note))
        else:
            plain.append(entry)
    if plain:
        yield from ("", "| key | value | default | meaning |", "|---|---|---|---|")
        yield from (_row(entry) for entry in plain)
    for where, title, inner, note in nested:
        yield from ("", f"## `{title}`", f"{note[0].upper()}{note[1:]}")
        yield from _tables(where, inner, note)
    if not path:
        yield ""


def _row(entry: inspect.Field) -> str:
    return (
        f"| `{entry.encode_name}` | {_kind(entry.type)} | {_default(entry)} "
        f"| {shape.description(entry.type)} |"
    )


def _default(entry: inspect.Field) -> str:
    if entry.default_factory is not NODEFAULT:
        return "empty"
    if entry.default is NODEFAULT:
        return "**required**"
    if entry.default is None:
        return "left out"
    if isinstance(entry.default, bool):
        return f"`{str(entry.default).lower()}`"
    if isinstance(entry.default, tuple):
        return ", ".join(f"`{item}`" for item in entry.default) or "empty"
    return f"`{entry.default}`" if entry.default != "" else "empty"


def _kind(node: inspect.Type) -> str:
    """The type in words, with its bounds."""
    kind = shape.bare(node)
    match kind:
        case inspect.BoolType():
            return "`true` or `false`"
        case inspect.IntType() | inspect.FloatType():
            word = "whole number" if isinstance(kind, inspect.IntType) else "number"
            return word + _bounds(kind)
        case inspect.LiteralType():
            return ", ".join(f"`{value}`" for value in kind.values)
        case inspect.VarTupleType():
            return f"list of {_kind(kind.item_type)}"
        case inspect.DictType():
            return "object"
        case inspect.CustomType():
            version, _, what = kind.cls.__name__.partition("v")
            return f"{version}v{what[0]} {'subnet' if what.endswith('Network') else 'address'}"
        case _:
            return "text"


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    low = _bound("from", kind.ge) or _bound("above", kind.gt)
    high = _bound("to", kind.le) or _bound("below", kind.lt)
    return f"{low}{high}"


def _bound(word: str, value: float | None) -> str:
    """`value` without an exponent, and without a decimal part that says nothing."""
    return "" if value is None else f" {word} {int(value) if value == int(value) else value}"


def _events() -> Iterator[str]:
    common = inspect.type_info(events.Event)
    assert isinstance(common, inspect.StructType)
    yield from ("## Every event", "", "| field | value | default | meaning |", "|---|---|---|---|")
    yield from (_row(entry) for entry in common.fields)
    shared = {entry.name for entry in common.fields}
    for kind in events.TYPES:
        info = inspect.type_info(kind)
        assert isinstance(info, inspect.StructType)
        yield from ("", f"## `{events.tag(kind)}`", (kind.__doc__ or "").strip())
        own = [entry for entry in info.fields if entry.name not in shared]
        if own:
            yield from ("", "| field | value | default | meaning |", "|---|---|---|---|")
            yield from (_row(entry) for entry in own)
    yield ""


if __name__ == "__main__":
    write()
