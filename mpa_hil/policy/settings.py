"""Options of a policy: a frozen dataclass whose fields say what they mean and how far they go.

Standard library only: the mobile node reads its policy's options with it, too.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import Field, asdict, field, fields
from math import isfinite
from typing import Any, Literal, NamedTuple, TypeVar, cast, get_args, get_origin, get_type_hints

from mpa_hil.errors import LocalError

T = TypeVar("T")
Scalar = bool | int | float | str


def option(
    default: Scalar, doc: str, *, least: float | None = None, most: float | None = None
) -> Any:
    """A field of a policy's `Settings`.

    Args:
        doc: what it means, in a few words, with its unit where the name has none.
        least: smallest value allowed.
        most: greatest value allowed.
    """
    return field(default=default, metadata={"doc": doc, "least": least, "most": most})


class Option(NamedTuple):
    """One option, described."""

    name: str
    kind: str
    default: Scalar
    doc: str


def make(settings: type[T], options: Mapping[str, object], where: str) -> T:
    """The settings that a lab file or a command line asks for.

    Args:
        settings: the policy's `Settings`.
        options: by name.
        where: what to name in errors: file and key.

    Raises:
        LocalError: unknown option, wrong type, or out of range.
    """
    hints = get_type_hints(settings)
    known: dict[str, Field[Any]] = {entry.name: entry for entry in _fields(settings)}
    values: dict[str, object] = {}
    for name, value in options.items():
        if name not in known:
            raise LocalError("unknown option", where=f"{where}.{name}", remedy=_near(name, known))
        values[name] = _value(value, hints[name], known[name], f"{where}.{name}")
    return settings(**values)


def told(settings: object) -> dict[str, Scalar]:
    """Every option with its value, for a trace's header."""
    return asdict(settings)  # type: ignore[call-overload,no-any-return]


def described(settings: type[Any]) -> Iterator[Option]:
    """Every option, for people."""
    hints = get_type_hints(settings)
    for entry in _fields(settings):
        kind = _kind(hints[entry.name])
        bounds = _bounds(entry)
        yield Option(
            entry.name,
            f"{kind} {bounds}" if bounds else kind,
            cast(Scalar, entry.default),
            str(entry.metadata.get("doc", "")),
        )


def _fields(settings: type[Any]) -> tuple[Field[Any], ...]:
    return fields(settings)


def _value(value: object, hint: Any, entry: Field[Any], where: str) -> object:
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        if value not in choices:
            raise LocalError(f"{value!r} is none of its values", where=where, remedy=_kind(hint))
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint or (isinstance(value, float) and not isfinite(value)):
        raise LocalError(
            f"{value!r} will not do", where=where, remedy=f"give {_kind(hint)} {_bounds(entry)}"
        )
    least, most = entry.metadata.get("least"), entry.metadata.get("most")
    if isinstance(value, int | float) and (
        (least is not None and value < least) or (most is not None and value > most)
    ):
        raise LocalError(
            f"{value} is out of range", where=where, remedy=f"give {_kind(hint)} {_bounds(entry)}"
        )
    return value


def _kind(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return ", ".join(get_args(hint))
    return {bool: "true or false", int: "whole number", float: "number", str: "text"}[hint]


def _bounds(entry: Field[Any]) -> str:
    least, most = entry.metadata.get("least"), entry.metadata.get("most")
    low = f"from {least:g}" if least is not None else ""
    high = f"to {most:g}" if most is not None else ""
    return f"{low} {high}".strip()


def _near(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known) or 'none'}"
