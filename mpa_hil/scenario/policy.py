"""Who decides when the MN moves and where to, as a lab file says it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, field

from mpa_hil.policy import loading
from radios.errors import LocalError

from .network import Table
from .problem import Problem

OptionValue = bool | int | float | str


class PolicyChoice(Table, frozen=True, kw_only=True):
    """A policy and its options."""

    name: Annotated[
        str,
        Meta(
            description="`default`, `fixed`, `naive`, or one that an installed package offers"
            " (docs/policy.md)"
        ),
    ] = "default"
    options: Annotated[
        dict[str, OptionValue],
        Meta(description="its options by name, `[policy.options]`; docs/policy.md lists them"),
    ] = field(default_factory=dict)

    def __hash__(self) -> int:
        """Scenarios are keys of caches, and a dict has no hash of its own."""
        return hash((self.name, frozenset(self.options.items())))


def problems(choice: PolicyChoice) -> Iterator[Problem]:
    """What is wrong with the choice."""
    try:
        loading.choose(choice.name, choice.options)
    except LocalError as error:
        yield Problem(error.where, error.what, error.remedy)
