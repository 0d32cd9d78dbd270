"""Values that are made for each message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def light(cls: type[T]) -> type[T]:
    """A frozen dataclass with slots, to all who read it and to the type checker.

    At run time it is not frozen: that makes each one cost half (Python sets every field of a frozen
    one through `object.__setattr__`), and an authentication takes fifty of them.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
