"""Policies by name: those shipped, and others by entry point.

A package offers one with an entry point of the group `mpa_hil.policies`; see docs/policy.md.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from mpa_hil.errors import LocalError, MpaError

from . import settings as options_
from .interface import Policy, PolicyKind

GROUP = "mpa_hil.policies"
SHIPPED = {
    "default": "mpa_hil.policy.default:Default",
    "fixed": "mpa_hil.policy.fixed:Fixed",
    "naive": "mpa_hil.policy.naive:Naive",
}
"""By name, where each is. Not entry points, so that they work from a checkout."""


class Chosen(NamedTuple):
    """A policy with its options read."""

    name: str
    kind: PolicyKind
    settings: Any

    def make(self) -> Policy:
        """An instance for one node."""
        try:
            return self.kind(self.settings)
        except MpaError:
            raise
        except Exception as error:
            raise _broken(self.name, error) from error


def names() -> tuple[str, ...]:
    """Every policy that can be had here."""
    return (*SHIPPED, *(name for name in sorted(_others()) if name not in SHIPPED))


def choose(name: str, options: Mapping[str, object], where: str = "policy") -> Chosen:
    """A policy and its settings.

    Args:
        where: what to name in errors: file and table.

    Raises:
        LocalError: no such policy, it cannot be loaded, or an option is wrong.
    """
    kind = find(name, where)
    return Chosen(name, kind, options_.make(kind.Settings, options, f"{where}.options"))


def find(name: str, where: str = "policy") -> PolicyKind:
    """A policy's class.

    Raises:
        LocalError: there is none of that name, or it cannot be loaded.
    """
    if name in SHIPPED:
        module, _, attribute = SHIPPED[name].partition(":")
        kind: PolicyKind = getattr(import_module(module), attribute)
        return kind
    others = _others()
    if name not in others:
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.5)
        raise LocalError(
            f"unknown policy '{name}'",
            where=f"{where}.name",
            remedy=f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(names())}",
        )
    try:
        found: PolicyKind = others[name].load()
    except Exception as error:
        raise _broken(name, error) from error
    if not callable(found) or not hasattr(getattr(found, "Settings", None), "__dataclass_fields__"):
        raise LocalError(
            f"the policy '{name}' is no policy: it needs a dataclass `Settings`",
            where=f"entry point {others[name].value}",
            remedy="see docs/policy.md, or ask its author",
        )
    return found


def _others() -> Mapping[str, Any]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP)}


def _broken(name: str, error: Exception) -> LocalError:
    return LocalError(
        f"the policy '{name}' cannot be loaded: {type(error).__name__}: {error}",
        where=f"entry point group {GROUP}",
        remedy="mend or uninstall the package that brings it",
    )
