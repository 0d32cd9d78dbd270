"""Columns of a comparison side by side, with published figures, spread and checks.

Definitions of the figures, all of one run, times in ms:

    t_auth_ms       full EAP authentication: the handover's EAP phase, or the pre-authentication
    t_conf_ms       installation of the keys in the next access points and the mobile node
    t_assoc_ms      authentication, association and 4-way handshake with the next access point
    t_total_ms      the three together
    affecting_ms    of them what lies between the old link and the new one (scanning left out)
    l2_ms l3_ms     as in summary.json
    gap_down_ms gap_up_ms lost_down lost_up duplicated reordered eap_round_trips
    lost_all                    packets of all flows, both ways
    delay_down_ms               median one-way delay of the call's packets towards the MN
    interarrival_ms             mean time between packets of the call towards the MN, the gap aside
    handover_interarrival_ms    the same over the gap: from the last before to the first after
    handover_jitter_ms          what that is beyond the packets' spacing
    buffering_ms                how long packets to the MN were held while the link switched
    buffered_packets            how many of them
    buffer_dropped              how many were too many for any buffer, ahead of the switch too
    release_ms                  port open to the release
    drain_ms                    what of buffering_ms was over when the old path had run dry
    hold_over_gap               what was not over then, as a multiple of gap_down_ms

and of one run in which a policy decided (`mpa_hil.report.preparation`), with the gaps of its first
switch:

    left_ms     from the policy's beginning until the old access point is out of range
    begun_ms    until it asked for the first preparation
    level       what was ready at the first switch (RFC 6252 C.4)
    level_c6    what C.6 allows in `left_ms`; level_lead: the measured steps in what is left of it
    rtt_ms configuration_ms tunnel_ms binding_ms    parts of the preparation, as measured
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

import msgspec

from mpa_hil.report import preparation
from mpa_hil.report.statistics import median
from mpa_hil.report.summary import Run, Scheme, Summary
from mpa_hil.scenario import Check, Column, Compare

if TYPE_CHECKING:
    from rich.table import Table

_LINK_PHASES = ("authentication", "association", "four_way")
_WIDTH = 132
_NAMES = {
    "t_auth_ms": "T_auth, full EAP",
    "t_conf_ms": "T_conf, keys installed",
    "t_assoc_ms": "T_assoc + 4-way",
    "t_total_ms": "total",
    "affecting_ms": "time affecting handover",
    "l2_ms": "L2 handover",
    "l3_ms": "L3 handover",
    "gap_down_ms": "blackout down",
    "gap_up_ms": "blackout up",
    "lost_down": "lost down",
    "lost_up": "lost up",
    "lost_all": "lost of all flows",
    "duplicated": "duplicated",
    "reordered": "reordered",
    "eap_round_trips": "round trips to the home AAA",
    "delay_down_ms": "one-way delay down",
    "interarrival_ms": "inter-packet arrival interval",
    "handover_interarrival_ms": "  the same in the handover",
    "handover_jitter_ms": "packet jitter in the handover",
    "buffering_ms": "buffering period",
    "buffered_packets": "buffered packets",
    "buffer_dropped": "too many for the buffer",
    "release_ms": "port open to release",
    "drain_ms": "  of it: the old path drains",
    "hold_over_gap": "  all else, in blackouts",
    "left_ms": "time left, D / v",
    "begun_ms": "  preparation begun after",
    "level": "level ready at the switch",
    "level_c6": "level that C.6 allows",
    "level_lead": "  that the steps' times allow",
    "rtt_ms": "round trip to the home AAA",
    "configuration_ms": "configuration",
    "tunnel_ms": "tunnel",
    "binding_ms": "binding update",
}


class Measured(msgspec.Struct, frozen=True):
    """One figure of one column over its good runs."""

    median: float
    minimum: float
    maximum: float


class ColumnResult(msgspec.Struct, frozen=True, kw_only=True):
    """One column."""

    name: str
    title: str
    scheme: str
    set: tuple[str, ...]
    runs: int
    failed: int
    figures: dict[str, Measured]
    reference: dict[str, float]
    refused: list[str]
    """Why its figures should not be quoted; empty when they may be."""
    errors: list[str]


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """One check; `passed` is None when a figure is missing."""

    text: str
    passed: bool | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """`compare.json`."""

    lab: str
    title: str
    source: str
    seed: int
    rig: str
    clock: str
    versions: dict[str, str]
    columns: list[ColumnResult]
    checks: list[CheckResult]

    @property
    def good(self) -> bool:
        """Every column measured and sound, every check passed."""
        columns = all(c.runs and not c.failed and not c.refused for c in self.columns)
        return columns and all(check.passed for check in self.checks)


def figures(run: Run) -> dict[str, float]:
    """The figures that a run has; what it has no part of is left out."""
    phases, prepared = run.phases_ms, run.preparation_ms
    link = sum(phases[name] for name in _LINK_PHASES if name in phases)
    ahead = prepared.get("authentication")
    configured = prepared.get("key_installation")
    late = phases.get("eap")
    full = ahead if ahead is not None else late
    found: dict[str, float | None] = {
        "t_auth_ms": full,
        "t_conf_ms": configured,
        "t_assoc_ms": link if phases else None,
        "t_total_ms": link + (full or 0.0) + (configured or 0.0) if phases else None,
        "affecting_ms": link + (late or 0.0) if phases else None,
        "l2_ms": run.l2_ms,
        "l3_ms": run.l3_ms,
        "gap_down_ms": run.gap_ms.downlink,
        "gap_up_ms": run.gap_ms.uplink,
        "lost_down": run.lost.downlink,
        "lost_up": run.lost.uplink,
        "lost_all": _lost_all(run),
        "duplicated": _both(run.duplicated.downlink, run.duplicated.uplink),
        "reordered": _both(run.reordered.downlink, run.reordered.uplink),
        "eap_round_trips": None if run.eap is None else run.eap.round_trips,
        **_arriving(run),
        **_buffering(run),
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def _arriving(run: Run) -> dict[str, float | None]:
    """How the call's packets came to the MN."""
    voice = run.flows.get(run.voice_flow)
    down = None if voice is None else voice.downlink
    if down is None:
        return {}
    return {
        "delay_down_ms": None if down.delay_ms is None else down.delay_ms.p50,
        "interarrival_ms": down.interarrival_ms,
        "handover_interarrival_ms": down.gap_ms + down.spacing_ms if down.recovered else None,
        "handover_jitter_ms": down.gap_ms if down.recovered else None,
    }


def _buffering(run: Run) -> dict[str, float | None]:
    """What was held for the MN; nothing in a run in which nothing was."""
    many: dict[str, float | None] = {}
    if run.hold:
        many["buffer_dropped"] = sum(each.dropped for each in run.hold.values())
    hold = run.hold.get("downlink") or run.hold.get("old")
    if hold is None:
        return many
    return many | {
        "buffering_ms": hold.ms,
        "buffered_packets": hold.packets,
        "release_ms": hold.release_ms,
        "drain_ms": hold.drain_ms,
        "hold_over_gap": _over_gap(run, hold.ms - (hold.drain_ms or 0.0)),
    }


def _over_gap(run: Run, waited_ms: float) -> float | None:
    """None: packets are too far apart to show the blackout."""
    gap_ms, flow = run.gap_ms.downlink, run.flows.get(run.gap_flow)
    down = None if flow is None else flow.downlink
    if gap_ms is None or down is None or gap_ms < 2 * down.spacing_ms:
        return None
    return waited_ms / gap_ms


def _lost_all(run: Run) -> int | None:
    ways = [way for flow in run.flows.values() for way in (flow.downlink, flow.uplink)]
    lost = [way.lost for way in ways if way is not None]
    return sum(lost) if lost else None


def _both(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)


def compared(described: Compare, summaries: Sequence[Summary]) -> Comparison:
    """The comparison of columns, `summaries` in their order."""
    pairs = zip(described.columns, summaries, strict=True)
    elsewhere_s = preparation.pooled([run for summary in summaries for run in summary.policy])
    columns = [
        _column(described.figures, column, summary, elsewhere_s) for column, summary in pairs
    ]
    by_name = {column.name: column for column in columns}
    first = summaries[0]
    return Comparison(
        lab=first.lab,
        title=described.title,
        source=described.source,
        seed=first.seed,
        rig=first.rig,
        clock=first.clock,
        versions=first.versions,
        columns=columns,
        checks=[_check(check, by_name) for check in described.checks],
    )


def _column(
    wanted: Sequence[str], column: Column, summary: Summary, elsewhere_s: Mapping[str, float]
) -> ColumnResult:
    runs = summary.schemes.get(column.scheme, Scheme([], {})).runs
    piloted = [run for run in summary.policy if run.scheme == column.scheme]
    good = [figures(run) for run in runs if run.ok]
    good += [preparation.figures(run, elsewhere_s) for run in piloted if not run.problems]
    entries = (entry.partition("=") for entry in column.reference)
    refused = [] if summary.verdict is None else summary.verdict.refused
    return ColumnResult(
        name=column.name,
        title=column.title,
        scheme=column.scheme,
        set=column.set,
        runs=len(good),
        failed=len(runs) + len(piloted) - len(good),
        figures={
            name: Measured(median(values), min(values), max(values))
            for name in dict.fromkeys((*wanted, *(f for found in good for f in found)))
            if (values := [found[name] for found in good if name in found])
        },
        reference={name: float(value) for name, _, value in entries},
        refused=list(refused),
        errors=[*(r.error for r in runs if r.error), *(p for r in piloted for p in r.problems)],
    )


def _check(check: Check, columns: Mapping[str, ColumnResult]) -> CheckResult:
    one = columns[check.column].figures.get(check.figure)
    if check.at_least:
        text = f"{check.figure}: {check.column} at least {check.at_least:g}"
        if one is None:
            return CheckResult(text=f"{text}: not measured", passed=None)
        return CheckResult(text=f"{text}: {one.minimum:g}", passed=one.minimum >= check.at_least)
    if not check.of:
        text = f"{check.figure}: {check.column} at most {check.plus:g}"
        if one is None:
            return CheckResult(text=f"{text}: not measured", passed=None)
        # What must never be exceeded is asked of every run.
        worst = one.maximum
        return CheckResult(text=f"{text}: {worst:.4g}", passed=worst <= check.plus)
    other = columns[check.of].figures.get(check.figure)
    factor = "" if check.at_most == 1 else f"{check.at_most:g} x "
    plus = f" + {check.plus:g}" if check.plus else ""
    text = f"{check.figure}: {check.column} at most {factor}{check.of}{plus}"
    if one is None or other is None:
        return CheckResult(text=f"{text}: not measured", passed=None)
    bound = check.at_most * other.median + check.plus
    sizes = f"{one.median:.2f} against {bound:.2f}"
    return CheckResult(text=f"{text}: {sizes}", passed=one.median <= bound)


def table(comparison: Comparison, rows: Sequence[str]) -> Table:
    """Figures by column: the median, the reference in brackets, the range where runs differ."""
    from rich import box
    from rich.table import Table

    title = comparison.title
    if comparison.source:
        title += f"; in brackets: {comparison.source}"
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    made.show_edge = False
    made.add_column("ms, median", no_wrap=True)
    for column in comparison.columns:
        made.add_column(f"{column.title}", justify="right")
    for name in rows:
        made.add_row(_NAMES[name], *(_cell(column, name) for column in comparison.columns))
    return made


def _cell(column: ColumnResult, name: str) -> str:
    """Median and reference; below it the range, where runs differ."""
    found = column.figures.get(name)
    text = "-" if found is None else _number(found.median)
    if name in column.reference:
        text += f" ({column.reference[name]:g})"
    if found is not None and _number(found.minimum) != _number(found.maximum):
        text += f"\n{_number(found.minimum)}..{_number(found.maximum)}"
    return text


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def lines(comparison: Comparison) -> list[str]:
    """What went wrong, and the checks."""
    found = []
    for column in comparison.columns:
        found += [f"FAILED    {column.name}: {error}" for error in column.errors]
        if not column.runs:
            found.append(f"FAILED    {column.name}: no run was measured")
        found += [f"FAILED    {column.name}: {reason}" for reason in column.refused]
    marks = {True: "ok", False: "FAILED", None: "FAILED"}
    return found + [f"{marks[check.passed]:<10}{check.text}" for check in comparison.checks]


def render(comparison: Comparison, rows: Sequence[str], out: TextIO) -> None:
    """Write table and checks."""
    from rich.console import Console

    console = Console(file=out, highlight=False, width=None if out.isatty() else _WIDTH)
    with console.capture() as captured:
        console.print(table(comparison, rows))
    text = captured.get()
    if not out.isatty():
        text = "\n".join(line.rstrip() for line in text.split("\n"))
    out.write(text + "\n")
    out.writelines(f"{line}\n" for line in lines(comparison))


def encode(comparison: Comparison) -> bytes:
    """`compare.json`: indented."""
    return msgspec.json.format(msgspec.json.encode(comparison), indent=2) + b"\n"
