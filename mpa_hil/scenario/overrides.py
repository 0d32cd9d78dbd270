"""``--set key.path=value``: lay one value over the raw lab file.

A list element is named by its ``name`` (``domain.B.ap.b1.channel=6``) or by its place counted
from 0. The value is read as TOML; what is no TOML, or belongs to a text key, is taken as text.
"""

from __future__ import annotations

import tomllib
from typing import Any

from msgspec import inspect

from radios.errors import LocalError

from . import shape
from .source import label

USAGE = "write --set key.path=value, for example --set link.home.delay_ms=100"


def apply(raw: dict[str, Any], setting: str) -> str:
    """Change `raw` in place as the setting says; the dotted key that it set.

    Raises:
        LocalError: the setting is malformed, or names a key or element that does not exist.
    """
    path, separator, text = setting.partition("=")
    steps = path.strip().split(".")
    if not separator or not all(steps):
        raise LocalError("not a setting", where=f"--set {setting}", remedy=USAGE)
    where = f"--set {setting}"
    here: Any = raw
    node: inspect.Type = shape.root()
    done: list[str] = []
    for step in steps[:-1]:
        here, node, name = _enter(here, node, step, where)
        done.append(name)
    kind = shape.bare(node)
    if isinstance(kind, inspect.DictType) and isinstance(here, dict):
        here[steps[-1]] = _value(text.strip(), kind.value_type)
        return ".".join((*done, steps[-1]))
    if not isinstance(kind, inspect.StructType) or not isinstance(here, dict):
        raise LocalError(
            f"`{steps[-1]}` is not inside a table", where=where, remedy="name one key of a table"
        )
    fields = {entry.encode_name: entry for entry in kind.fields}
    if steps[-1] not in fields:
        raise LocalError(
            f"unknown key `{steps[-1]}`",
            where=where,
            remedy=shape.suggestion(steps[-1], fields),
        )
    here[steps[-1]] = _value(text.strip(), fields[steps[-1]].type)
    return ".".join((*done, steps[-1]))


def _enter(here: Any, node: inspect.Type, step: str, where: str) -> tuple[Any, inspect.Type, str]:
    """The value and type one step down, and how that step is called in errors."""
    kind = shape.bare(node)
    if isinstance(kind, inspect.StructType) and isinstance(here, dict):
        fields = {entry.encode_name: entry for entry in kind.fields}
        if step not in fields:
            raise LocalError(
                f"unknown key `{step}`", where=where, remedy=shape.suggestion(step, fields)
            )
        inner = shape.bare(fields[step].type)
        if isinstance(inner, inspect.VarTupleType):
            return here.get(step, []), fields[step].type, step
        return here.setdefault(step, {}), fields[step].type, step
    if isinstance(kind, inspect.VarTupleType) and isinstance(here, list):
        names = [label(item, index) for index, item in enumerate(here)]
        if step in names:
            index = names.index(step)
        elif step.isascii() and step.isdigit() and int(step) < len(here):
            index = int(step)
        else:
            raise LocalError(
                f"there is no `{step}`", where=where, remedy=shape.suggestion(step, names)
            )
        return here[index], kind.item_type, names[index]
    raise LocalError(f"`{step}` is not inside a table", where=where, remedy=USAGE)


def _value(text: str, node: inspect.Type) -> Any:
    try:
        # A newline would let one setting smuggle in a second key.
        value = tomllib.loads(f"value = {text}")["value"] if "\n" not in text else text
    except (ValueError, RecursionError):
        return text
    if isinstance(shape.bare(node), inspect.StrType) and not isinstance(value, str):
        return text
    return value
