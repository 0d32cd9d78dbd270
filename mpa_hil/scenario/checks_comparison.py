"""What must hold for a comparison."""

from __future__ import annotations

from collections.abc import Iterator

from .comparison import Check, Column, Compare
from .problem import Problem, repeated
from .schemes import SCHEMES
from .shape import suggestion

FIGURES = (
    "t_auth_ms",
    "t_conf_ms",
    "t_assoc_ms",
    "t_total_ms",
    "affecting_ms",
    "l2_ms",
    "l3_ms",
    "gap_down_ms",
    "gap_up_ms",
    "lost_down",
    "lost_up",
    "lost_all",
    "duplicated",
    "reordered",
    "eap_round_trips",
    "delay_down_ms",
    "interarrival_ms",
    "handover_interarrival_ms",
    "handover_jitter_ms",
    "buffering_ms",
    "buffered_packets",
    "buffer_dropped",
    "release_ms",
    "drain_ms",
    "hold_over_gap",
    "left_ms",
    "begun_ms",
    "level",
    "level_c6",
    "level_lead",
    "rtt_ms",
    "configuration_ms",
    "tunnel_ms",
    "binding_ms",
)
"""What can be compared; `mpa_hil.report.comparison` works them out."""


def problems(compare: Compare) -> Iterator[Problem]:
    """Everything wrong with a comparison, but for what a column's settings make of the lab."""
    if not compare.columns:
        yield Problem("compare.column", "nothing to compare", "add a table `[[compare.column]]`")
    if not compare.figures:
        yield Problem("compare.figures", "no figure", f"choose from {', '.join(FIGURES)}")
    for figure in compare.figures:
        yield from _known(figure, FIGURES, "compare.figures", "figure")
    yield from repeated((("compare.figures", f) for f in compare.figures), "figure")
    for column in compare.columns:
        yield from _column(column)
    names = tuple(column.name for column in compare.columns)
    yield from repeated(((f"compare.column.{n}.name", n) for n in names), "column name")
    for number, check in enumerate(compare.checks):
        yield from _check(f"compare.check.{number}", check, names)


def _column(column: Column) -> Iterator[Problem]:
    key = f"compare.column.{column.name}"
    if not column.name or not column.name.replace("-", "").replace("_", "").isalnum():
        yield Problem(f"{key}.name", "it cannot name a folder", "letters, digits, - and _")
    yield from _known(column.scheme, SCHEMES, f"{key}.scheme", "scheme")
    for entry in column.reference:
        figure, _, number = entry.partition("=")
        yield from _known(figure, FIGURES, f"{key}.reference", "figure")
        try:
            float(number)
        except ValueError:
            yield Problem(f"{key}.reference", f"'{entry}' has no number", "write figure=number")


def _check(key: str, check: Check, columns: tuple[str, ...]) -> Iterator[Problem]:
    yield from _known(check.figure, FIGURES, f"{key}.figure", "figure")
    for which in ("column", "of") if check.of else ("column",):
        yield from _known(getattr(check, which), columns, f"{key}.{which}", "column")


def _known(name: str, known: tuple[str, ...], key: str, what: str) -> Iterator[Problem]:
    if name not in known:
        yield Problem(key, f"unknown {what} '{name}'", suggestion(name, known))
