"""The tables and verdict lines that a run ends with, for a terminal or as plain text.

`render` writes to a terminal in its own width with colour, and to anything else as plain text of
a fixed width, so that a log file and a test see the same characters everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from mpa_hil.report.grids import Grid, grids
from mpa_hil.report.summary import Summary

if TYPE_CHECKING:
    from rich.table import Table

PLAIN_WIDTH = 120
"""Columns of plain text: room for four schemes side by side in the phases table."""
NARROWEST = 100
"""Columns that every table of up to four schemes fits in."""


def verdict_lines(summary: Summary) -> list[str]:
    """The checks one a line, then the verdict or why it is refused; failed runs and notes first."""
    lines = [
        f"FAILED    {name}, run {number}: {run.error or 'no reason recorded'}"
        for name, scheme in summary.schemes.items()
        for number, run in enumerate(scheme.runs, 1)
        if not run.ok
    ]
    lines += [f"NOTE      {note}" for note in summary.notes]
    if summary.verdict is None:
        return lines
    marks = {True: "ok", False: "FAILED", None: "not made"}
    lines += [f"{marks[c.passed]:<10}{c.name}: {c.detail}" for c in summary.verdict.checks]
    if summary.verdict.given:
        lines.append("The figures above passed every check that was made.")
    else:
        lines.append("No verdict: do not quote the figures above.")
        lines += [f"  because of {reason}" for reason in summary.verdict.refused]
    return lines


def render(summary: Summary, out: TextIO, *, width: int | None = None) -> None:
    """Write all tables and the verdict to `out`.

    Args:
        out: a terminal gets colour and its own width; anything else plain text.
        width: columns, overriding both.
    """
    show(grids(summary), verdict_lines(summary), out, width=width)


def show(shown: Sequence[Grid], lines: Sequence[str], out: TextIO, *, width: int | None) -> None:
    """Write tables, and lines below them; as `render`."""
    from rich.console import Console
    from rich.text import Text

    terminal = out.isatty()
    console = Console(
        file=out,
        width=width if width is not None or terminal else PLAIN_WIDTH,
        force_terminal=terminal,
        color_system="auto" if terminal else None,
        highlight=False,
    )
    if width is None:  # a narrow terminal may break lines, but no digit is cut off
        console.width = max(console.width, NARROWEST)
    with console.capture() as captured:
        for grid in shown:
            console.print(_table(grid))
            console.print()
        for line in lines:
            bad = line.startswith(("FAILED", "No verdict", "  because"))
            console.print(Text(line, style="bold red" if bad else ""), soft_wrap=not terminal)
    text = captured.get()
    if not terminal:
        text = "\n".join(line.rstrip() for line in text.split("\n"))
    out.write(text)


def _table(grid: Grid) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title=escape(grid.title),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
        show_edge=False,
    )
    for number, heading in enumerate(grid.headings):
        label = number < grid.labels
        whole = label or not grid.wrap
        table.add_column(escape(heading), justify="left" if label else "right", no_wrap=whole)
    for group in grid.groups:
        for row in group:
            table.add_row(*map(escape, row.cells), style="dim" if row.dim else None)
        table.add_section()
    return table
