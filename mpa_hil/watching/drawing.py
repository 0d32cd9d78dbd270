"""A view as text for a terminal; colours by rich where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .view import Row, View

if TYPE_CHECKING:
    from rich.console import RenderableType

_BAR = 30
_MOST_DB = 60.0
_MARKS = {"prepare": "p", "configure": "c", "bind": "b", "switch": "s"}


def bar(snr_db: float | None, thresholds: dict[str, float]) -> str:
    """A bar of the SNR, 0 to 60 dB, with the first letter of each threshold where it lies."""
    filled = 0 if snr_db is None else round(_BAR * min(max(snr_db, 0.0), _MOST_DB) / _MOST_DB)
    cells = ["█" if number < filled else "·" for number in range(_BAR)]
    for step, level_db in thresholds.items():
        if 0 <= level_db < _MOST_DB:
            cells[int(_BAR * level_db / _MOST_DB)] = _MARKS.get(step, "|")
    return "".join(cells)


def draw(view: View) -> RenderableType:
    """The whole picture."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("access point", "domain", "SNR", "dB", "heard", "prepared"):
        table.add_column(name, justify="right" if name in ("dB", "heard") else "left")
    for row in view.rows():
        table.add_row(*cells(row, view), style="bold" if row.serving else "")
    log = Text("\n".join(decisions(view)), style="dim", overflow="ellipsis", no_wrap=True)
    lines: list[RenderableType] = [Text(headline(view), style="bold"), "", table, ""]
    lines += [Text(line) for line in flows(view)]
    return Group(*lines, "", log)


def headline(view: View) -> str:
    """Where the node is, and what it does."""
    here = view.here
    where = here.serving if here.linked else f"no link (was on {here.serving})"
    parts = [view.title, f"{view.t_s:8.2f} s", f"on {where}" if here.serving else "nowhere"]
    if view.policy:
        parts.append(f"policy {view.policy}")
    if view.phase:
        parts.append(view.phase)
    return "   ".join(part for part in parts if part)


def cells(row: Row, view: View) -> tuple[str, ...]:
    """One access point's."""
    thresholds = view.thresholds if row.serving else {}
    return (
        row.ap,
        row.realm,
        bar(row.snr_db, thresholds),
        "-" if row.snr_db is None else f"{row.snr_db:.1f}",
        "-" if row.age_s is None else f"{row.age_s:.1f} s",
        row.state,
    )


def flows(view: View) -> list[str]:
    """Each direction's packets."""
    return [
        f"{direction:<9} {stream.received} received, {stream.lost} lost,"
        f" largest gap {stream.gap_ms:.1f} ms"
        for direction, stream in view.streams.items()
    ]


def decisions(view: View) -> list[str]:
    """The last ones, newest first."""
    begun_ns = view.begun_ns or 0
    return [
        f"{(t_ns - begun_ns) / 1e9:8.2f} s  {type(decision).__name__.lower():<12}"
        f" {getattr(decision, 'target', ''):<12} {decision.rule}"
        for t_ns, decision in reversed(view.decided)
    ]
