"""A scenario as a lab file again: ``lab.toml`` as run, every default written out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from .loading import encode
from .model import Scenario
from .source import join


def to_toml(scenario: Scenario, *, secrets: bool | None = None) -> str:
    """The lab file that loads as this scenario.

    Args:
        secrets: write the user's static secrets too; None: as ``[capture] keys`` says. Without
            them the file still runs: secrets left out are drawn anew.
    """
    if not (scenario.capture.keys if secrets is None else secrets):
        scenario = _without_secrets(scenario)
    raw = msgspec.json.decode(encode(scenario))
    return "\n".join(_table("", raw)).lstrip("\n") + "\n"


def _without_secrets(scenario: Scenario) -> Scenario:
    replace = msgspec.structs.replace
    home = scenario.home
    return replace(
        scenario,
        home=replace(
            home,
            agent=replace(home.agent, key=None),
            aaa=replace(home.aaa, radius_secret=None),
        ),
        domains=tuple(
            replace(domain, aps=tuple(replace(ap, psk=None) for ap in domain.aps))
            for domain in scenario.domains
        ),
    )


def _table(path: str, table: Mapping[str, Any]) -> Iterator[str]:
    """Plain keys first: in TOML whatever follows a sub-table's header belongs to it."""
    nested: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, dict) or (isinstance(value, list) and _are_tables(value)):
            nested.append((join(path, key), value))
        elif value is not None and not (value == [] and not path):
            yield f"{key} = {_value(value)}"
    for where, value in nested:
        if isinstance(value, dict):
            yield from ("", f"[{where}]")
            yield from _table(where, value)
        else:
            for item in value:
                yield from ("", f"[[{where}]]")
                yield from _table(where, item)


def _are_tables(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(item, dict) for item in value)


def _value(value: Any) -> str:
    """One TOML value; JSON's strings, numbers and booleans are TOML's as well.

    JSON leaves DEL bare, which TOML forbids.
    """
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
