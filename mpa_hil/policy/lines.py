"""Inputs and decisions as JSON objects, and back. Sans-IO.

    {"kind":"sample","t_ns":12000000000,"ap":"a1","signal_dbm":-61}
    {"kind":"decided","t_ns":12000000000,"decision":"switch","target":"b1","rule":..,"inputs":{..}}

Fields at their default are left out. `tell` is for the node and costs little; `hear` trusts nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from enum import IntEnum
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

from mpa_hil.errors import DecodeError

from . import interface as say
from .interface import Decision, Input

T = TypeVar("T")
Line = dict[str, object]
INPUTS: Final[dict[str, type[Input]]] = {
    "sample": say.Sample,
    "beacon-loss": say.BeaconLoss,
    "candidate": say.CandidateSeen,
    "gone": say.CandidateGone,
    "attached": say.Attached,
    "link-lost": say.LinkLost,
    "holding": say.Holding,
    "measured": say.Measured,
    "switch-failed": say.SwitchFailed,
    "flow": say.Flow,
    "speed": say.Speed,
    "probed": say.Probed,
    "tick": say.Tick,
}
DECISIONS: Final[dict[str, type[Decision]]] = {
    "prepare": say.Prepare,
    "bind": say.Bind,
    "switch": say.Switch,
    "return": say.Return,
    "let-go": say.LetGo,
    "keep-context": say.KeepContext,
    "probe": say.Probe,
    "stay": say.Stay,
}
DECIDED = "decided"
TEXT_MOST = 1024
"""Characters in any text."""
INPUTS_MOST = 64
"""Values that a decision may have looked at."""
_TIME_MOST = 2**63 - 1
_KINDS: Final[dict[type, str]] = {kind: name for name, kind in (INPUTS | DECISIONS).items()}
_SPECIAL = frozenset({"rule", "inputs"})
_REQUIRED: Final = object()
_hints: dict[type, dict[str, Any]] = {}


def tell(event: Input) -> Line:
    """An input as it goes into a trace."""
    return {"kind": _KINDS[type(event)], **_plain(event)}


def tell_decision(decision: Decision) -> Line:
    """A decision as it goes into a trace, without its time."""
    told = _plain(decision)
    told["rule"], told["inputs"] = decision.rule, dict(decision.inputs)
    return {"decision": _KINDS[type(decision)], **told}


def hear(line: object) -> Input:
    """The input that a JSON object tells.

    Raises:
        DecodeError: it is none.
    """
    told = _object(line, "an input")
    kind = told.pop("kind", None)
    if not isinstance(kind, str) or kind not in INPUTS:
        raise DecodeError(f"{_shown(kind)} is no kind of input", remedy=_known(INPUTS))
    heard: Input = _make(INPUTS[kind], told, kind)
    return heard


def hear_decision(line: object) -> Decision:
    """The decision that a JSON object tells.

    Raises:
        DecodeError: it is none.
    """
    told = _object(line, "a decision")
    name = told.pop("decision", None)
    if not isinstance(name, str) or name not in DECISIONS:
        raise DecodeError(f"{_shown(name)} is no kind of decision", remedy=_known(DECISIONS))
    inputs = _object(told.get("inputs", {}), "a decision's inputs")
    if len(inputs) > INPUTS_MOST:
        raise DecodeError(f"{len(inputs)} inputs of one decision", remedy=f"{INPUTS_MOST} at most")
    for key, value in inputs.items():
        if not isinstance(value, int | float | str | bool | NoneType) or _too_much(value):
            raise DecodeError(f"{_shown(value)} will not do", where=f"{name}.inputs.{key[:40]}")
    heard: Decision = _make(DECISIONS[name], told, name)
    return heard


# --- out ----------------------------------------------------------------------------------------


_defaults: dict[type, tuple[tuple[str, object], ...]] = {}


def _defaults_of(kind: type) -> tuple[tuple[str, object], ...]:
    known = _defaults.get(kind)
    if known is None:
        own: tuple[Field[Any], ...] = fields(kind)
        known = _defaults[kind] = tuple(
            (entry.name, _REQUIRED if entry.default is MISSING else entry.default)
            for entry in own
            if entry.name not in _SPECIAL
        )
    return known


def _plain(value: object) -> Line:
    out: Line = {}
    for name, default in _defaults_of(type(value)):
        mine = getattr(value, name)
        if mine is not default and mine != default:
            if isinstance(mine, say.Candidate):
                mine = _plain(mine)
            out[name] = int(mine) if isinstance(mine, IntEnum) else mine
    return out


# --- in -----------------------------------------------------------------------------------------


def _make(kind: type[T], told: Line, where: str) -> T:
    entries: tuple[Field[Any], ...] = fields(kind)  # type: ignore[arg-type]
    known = {entry.name: entry for entry in entries}
    if kind not in _hints:
        _hints[kind] = get_type_hints(kind)
    hints = _hints[kind]
    values: dict[str, Any] = {}
    for key, value in told.items():
        if key not in known:
            raise DecodeError("unknown field", where=f"{where}.{key[:40]}", remedy=_known(known))
        values[key] = value if key == "inputs" else _value(value, hints[key], key, f"{where}.{key}")
    for key, entry in known.items():
        if key not in values and entry.default is MISSING and entry.default_factory is MISSING:
            raise DecodeError("missing", where=f"{where}.{key}", remedy=f'give "{key}"')
    return kind(**values)


def _value(value: object, hint: Any, name: str, where: str) -> object:
    if get_origin(hint) is UnionType:
        if value is None and NoneType in get_args(hint):
            return None
        hint = next(each for each in get_args(hint) if each is not NoneType)
    if hint is say.Candidate:
        return _make(say.Candidate, _object(value, "a candidate"), where)
    if get_origin(hint) is Literal:
        fits = value in get_args(hint)
    elif isinstance(hint, type) and issubclass(hint, IntEnum):
        if isinstance(value, int) and value in tuple(hint):
            return hint(value)
        fits = False
    elif hint is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    else:
        fits = type(value) is hint
    if not fits or _too_much(value) or (name.endswith("_ns") and not _is_time(value)):
        raise DecodeError(f"{_shown(value)} will not do", where=where, remedy=_wanted(hint))
    return value


def _object(value: object, what: str) -> Line:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise DecodeError(f"{_shown(value)} is not {what}", remedy="a JSON object is wanted")
    return dict(value)


def _is_time(value: object) -> bool:
    return isinstance(value, int) and 0 <= value <= _TIME_MOST


def _too_much(value: object) -> bool:
    if isinstance(value, str):
        return len(value) > TEXT_MOST
    if isinstance(value, float):
        return not isfinite(value)
    return isinstance(value, int) and abs(value) > _TIME_MOST


def _wanted(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return f"{names.get(hint, 'a level, 0 to 3')} is wanted"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _known(names: Mapping[str, object]) -> str:
    return f"known: {', '.join(names)}"
