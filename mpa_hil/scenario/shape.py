"""The shape of raw lab values: which keys exist, which are missing, and what each one is for.

msgspec alone would refuse the same values, but without saying what was probably meant.
"""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Iterable
from typing import Any

from msgspec import NODEFAULT, inspect

from .model import Scenario
from .source import Source, join, label

DOCUMENT = "docs/lab_file.md"


@functools.cache
def root() -> inspect.StructType:
    """The type tree of a whole lab file."""
    tree = inspect.type_info(Scenario)
    assert isinstance(tree, inspect.StructType)
    return tree


def bare(node: inspect.Type) -> inspect.Type:
    """The type without its documentation and without ``| None``."""
    if isinstance(node, inspect.Metadata):
        return bare(node.type)
    if isinstance(node, inspect.UnionType):
        return bare(next(t for t in node.types if not isinstance(t, inspect.NoneType)))
    return node


def description(node: inspect.Type) -> str:
    """What the model says about a key, or an empty string."""
    if isinstance(node, inspect.Metadata):
        text = (node.extra_json_schema or {}).get("description", "")
        return str(text) or description(node.type)
    return ""


def required(entry: inspect.Field) -> bool:
    """Whether a table without this key is refused."""
    return entry.default is NODEFAULT and entry.default_factory is NODEFAULT


def suggestion(word: str, known: Iterable[str]) -> str:
    """What to do about a word that is none of `known`: the likely one, else all of them."""
    names = list(known)
    near = difflib.get_close_matches(word.lower(), [n.lower() for n in names], n=1, cutoff=0.5)
    if near:
        return f"did you mean `{next(n for n in names if n.lower() == near[0])}`?"
    return f"known here: {', '.join(names) or 'nothing'}"


def explain(path: str) -> str:
    """What the model says about the key at a dotted path, for an error's remedy."""
    node: inspect.Type = root()
    text = ""
    for step in path.split("."):
        inner = bare(node)
        if isinstance(inner, inspect.VarTupleType):
            node = inner.item_type
            continue
        found = _field(inner, step)
        if found is None:
            break
        node, text = found.type, description(found.type)
    last = path.rsplit(".", 1)[-1]
    return f"`{last}` is {text}; see {DOCUMENT}" if text else f"see {DOCUMENT}"


def check(raw: Any, source: Source, node: inspect.Type | None = None, path: str = "") -> None:
    """Refuse unknown keys, missing keys and numbers that are not finite.

    Raises:
        LocalError: naming file, key and what was probably meant.
    """
    kind = bare(node or root())
    if isinstance(kind, inspect.StructType) and isinstance(raw, dict):
        _check_table(raw, kind, source, path)
    elif isinstance(kind, inspect.VarTupleType) and isinstance(raw, list):
        for index, item in enumerate(raw):
            check(item, source, kind.item_type, join(path, label(item, index)))
    elif isinstance(raw, float) and not math.isfinite(raw):
        raise source.error(path, f"{raw} is not a finite number", explain(path))


def _check_table(raw: dict[str, Any], kind: inspect.StructType, source: Source, path: str) -> None:
    fields = {entry.encode_name: entry for entry in kind.fields}
    for key in raw:
        if key not in fields:
            raise source.error(join(path, key), "unknown key", suggestion(key, fields))
    for key, entry in fields.items():
        where = join(path, key)
        if key in raw:
            check(raw[key], source, entry.type, where)
        elif required(entry):
            raise source.error(where, "missing", _how_to_add(path, key, entry))


def _how_to_add(path: str, key: str, entry: inspect.Field) -> str:
    text = description(entry.type)
    kind = bare(entry.type)
    if isinstance(kind, inspect.StructType):
        return f"add a table `[{join(path, key)}]`: {text}; see {DOCUMENT}"
    if isinstance(kind, inspect.VarTupleType):
        return f"add a table `[[{join(path, key)}]]`: {text}; see {DOCUMENT}"
    return f"add `{key} = ...`: {text}; see {DOCUMENT}"


def _field(node: inspect.Type, name: str) -> inspect.Field | None:
    if not isinstance(node, inspect.StructType):
        return None
    return next((entry for entry in node.fields if entry.encode_name == name), None)
