"""Where a lab's values came from, so that an error can name file and key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from radios.errors import LocalError

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


@dataclass(slots=True)
class Source:
    """A lab file and the keys laid over it.

    Attributes:
        file: the lab file as the user named it.
        overridden: dotted keys that came from ``--set``.
    """

    file: str
    overridden: set[str] = field(default_factory=set)

    def error(self, key: str, what: str, remedy: str) -> LocalError:
        """An error that names file and key, and says when the value came from ``--set``."""
        where = f"{self.file}: {key}" if key else self.file
        if any(key == over or key.startswith(over + ".") for over in self.overridden):
            where += " (from --set)"
        return LocalError(what, where=where, remedy=remedy)


def join(path: str, key: str) -> str:
    """A dotted key one step deeper."""
    return f"{path}.{key}" if path else key


def label(item: object, index: int) -> str:
    """How a list element is called in a key: by its name, or else by its place."""
    name = item.get("name") if isinstance(item, Mapping) else None
    return name if isinstance(name, str) and name else str(index)


def readable(path: str, raw: Any) -> str:
    """A msgspec path (``$.domain[0].ap[1]``) as the dotted key that ``--set`` takes."""
    key = ""
    for step in _STEP.finditer(path):
        name, index = step.groups()
        if index is None:
            key = join(key, name)
            raw = raw.get(name) if isinstance(raw, Mapping) else None
        else:
            raw = raw[int(index)] if isinstance(raw, list) else None
            key = join(key, label(raw, int(index)))
    return key
