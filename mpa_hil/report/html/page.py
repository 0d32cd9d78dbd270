"""The page: head line, diagrams, plots, tables, checks, versions, lab file. Pure.

The page's policy forbids scripts and every request, so that a name that got past the escaping
could still do nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mpa_hil.report.grids import MISSING, Grid, count, good_runs, grids, ms
from mpa_hil.report.html import cards, dots, holes, ladder_drawing, plots
from mpa_hil.report.html.data import Trace
from mpa_hil.report.html.ladder_rows import MOST_ROWS, ladder
from mpa_hil.report.html.ladder_tables import PHASES, PhaseStyle
from mpa_hil.report.html.markup import Child, Markup, el
from mpa_hil.report.html.scene import scene
from mpa_hil.report.html.style import STYLE
from mpa_hil.report.summary import Summary
from mpa_hil.scenario import Scenario

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'"
MOST_FLOWS = 2
"""So many flows are drawn at once; the others are folded away."""
VIRTUAL = "Virtual radios: airtime, contention and retuning cost nothing here (docs/floor.md)."
_PARTS = (
    ("result", "Result"),
    ("ladder", "Ladder diagrams"),
    ("packets", "Packets round the switch"),
    ("repeats", "All runs"),
    ("tables", "Tables"),
    ("checks", "Checks and warnings"),
    ("lab", "Versions and lab file"),
)


@dataclass(frozen=True, slots=True)
class Contents:
    """What a page is made of."""

    summary: Summary
    traces: Sequence[Trace]
    """The run that is drawn of each scheme."""
    scenario: Scenario | None
    lab: str
    """The lab file's text, without secrets; empty when there is none."""
    files: Sequence[str]
    """Names of the other files of the folder."""
    notes: Sequence[str]
    """What could not be read."""


def page(contents: Contents) -> str:
    """The whole document."""
    summary = contents.summary
    title = f"{summary.lab}: handover report"
    head = el(
        "head",
        None,
        el("meta", charset="utf-8"),
        el("meta", {"http-equiv": "Content-Security-Policy"}, content=POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="generator", content="mpa-hil"),
        el("title", None, title),
        el("style", None, Markup(STYLE)),
    )
    sections = [
        _section(number, body)
        for number, body in enumerate(
            (
                cards.result(summary, contents.traces),
                _ladders(contents),
                _packets(contents),
                _repeats(contents),
                _tables(summary),
                _checks(contents),
                _lab(contents),
            )
        )
    ]
    made = "Made by mpa-hil from this folder's summary.json, events.jsonl, packets.csv and lab.toml"
    footer = el("footer", None, f"{made}; how to read it: docs/report.md.")
    body = el("body", None, _header(contents), el("main", None, sections), footer)
    return f"<!DOCTYPE html>\n{el('html', None, head, body, lang='en')}\n"


def _section(number: int, body: Iterable[Child]) -> Markup:
    name, title = _PARTS[number]
    return el("section", None, el("h2", None, title), list(body), id=name)


def _header(contents: Contents) -> Markup:
    summary = contents.summary
    described = contents.scenario.lab.description if contents.scenario else ""
    clock = {"virtual": "virtual clock", "wall": "wall clock"}.get(summary.clock, summary.clock)
    facts = [f"on the {summary.rig}", clock, f"seed {summary.seed}"]
    links = [el("a", None, title, href=f"#{name}") for name, title in _PARTS]
    return el(
        "header",
        None,
        el("h1", None, summary.lab),
        el("p", None, described) if described else None,
        el("p", None, "Handover report, ", ", ".join(facts), class_="facts"),
        el("nav", None, links),
    )


def _ladders(contents: Contents) -> list[Child]:
    intro = (
        "Drawn from the event log in the shape of figures 3 and 4 of RFC 6252. Times are ms from "
        "the trigger; down the page goes time, not to scale. Slanted arrows were seen leaving and "
        "arriving, two-headed ones stand for a whole exchange. Blue arrows are the packets next to "
        "the blackout; the red bars show, at the receiver, how long nothing came."
    )
    parts: list[Child] = [el("p", None, intro)]
    for trace in contents.traces:
        parts.append(_heading(trace))
        chosen = holes.switch(trace)
        between = None if chosen is None else (chosen.old, chosen.new)
        where = scene(contents.scenario, trace.scheme, between)
        drawn = ladder(trace, where)
        if drawn is None:
            parts.append(el("p", None, "The event log shows nothing of this run.", class_="dim"))
            continue
        title = f"Ladder diagram of {trace.scheme}, run {trace.place}"
        parts.append(el("div", None, ladder_drawing.draw(drawn, where, title), class_="wide"))
        if holes.trigger_ns(trace) is None:
            words = "There was no switch: times are from the first event drawn."
            parts.append(el("p", None, words, class_="dim"))
        if not drawn.dead and not _failed(trace):
            words = f"No blackout is marked: {_unmarked(trace)}."
            parts.append(el("p", None, words, class_="dim"))
        if drawn.left_out:
            words = f"{drawn.left_out} rows beyond the first {MOST_ROWS} are left out."
            parts.append(el("p", None, words, class_="dim"))
    return parts if len(parts) > 1 else [el("p", None, "No run was recorded.", class_="dim")]


def _heading(trace: Trace) -> Markup:
    failed = f"; failed: {trace.run.error or 'no reason recorded'}" if _failed(trace) else ""
    several = len(trace.run.switches)
    which = f", switch {trace.switch + 1} of {several}, the longest" if several else ""
    return el(
        "h3",
        None,
        trace.scheme,
        el("span", None, f", run {trace.place}{which} ({trace.why}{failed})", class_="dim"),
    )


def _unmarked(trace: Trace) -> str:
    """Why a diagram has no blackout."""
    streams = holes.gap_streams(trace)
    if not streams:
        return "packets.csv has none of the packets that it is measured with"
    if not all(holes.one_clock(trace, stream) for stream in streams):
        return "CN and MN share no clock, so packets have no place among the events"
    return "no packet came later after the one before it than the spacing"


def _failed(trace: Trace) -> bool:
    return not trace.run.ok


def _packets(contents: Contents) -> list[Child]:
    intro = (
        "Each flow in each direction, in the mobile node's time: an uplink packet stands where it "
        "reached the CN less the shortest transit, a lost one (red) where it was due. The grey "
        "line is on time by that transit; a packet to the right of it was held, queued, or took a "
        "longer path, such as a tunnel's. The red frame is the largest hole, which less the "
        "spacing is the blackout; colours are the phases."
    )
    parts: list[Child] = [el("p", None, intro)]
    for trace in contents.traces:
        parts.append(_heading(trace))
        if not trace.streams:
            words = "packets.csv has no packets of this run."
            parts.append(el("p", None, words, class_="dim"))
            continue
        if holes.span(trace) is None:
            words = "The event log has no switch of this run to show packets around."
            parts.append(el("p", None, words, class_="dim"))
            continue
        parts.append(_key(trace))
        parts += _flows(trace)
    return parts if len(parts) > 1 else [el("p", None, "No run was recorded.", class_="dim")]


def _flows(trace: Trace) -> list[Markup]:
    names = list(dict.fromkeys((trace.run.voice_flow, trace.run.gap_flow)))
    others = dict.fromkeys(stream.flow for stream in trace.streams if stream.flow not in names)
    shown = [_flow(trace, name) for name in names[:MOST_FLOWS]]
    folded = [_flow(trace, name) for name in others]
    if folded:
        words = f"{len(folded)} other flow{'s' if len(folded) > 1 else ''}"
        shown.append(el("details", None, el("summary", None, words), folded))
    return shown


def _flow(trace: Trace, name: str) -> Markup:
    figures = []
    for stream in trace.streams:
        seen = plots.view(trace, stream) if stream.flow == name else None
        if seen is None:
            continue
        lost = sum(one.delay_ms is None for one in seen.shown)
        gap = holes.gap_ms(trace, stream)
        told = f"{count(lost)} lost here" + ("" if gap is None else f", blackout {ms(gap)} ms")
        caption = el(
            "figcaption", None, f"{stream.flow}, {stream.direction} ", el("span", None, told)
        )
        title = f"{trace.scheme}, {stream.flow}, {stream.direction}: delay and sequence numbers"
        figures.append(el("figure", None, caption, plots.draw(seen, title)))
    return el("div", None, figures, class_="plots")


def _key(trace: Trace) -> Markup:
    """What the colours mean."""
    span = holes.span(trace)
    names = dict.fromkeys(
        phase.name
        for phase in holes.phases(trace.events)
        if span and phase.end_ns >= span[0] and phase.start_ns <= span[1]
    )
    styles = [PHASES.get(name, PhaseStyle(name, "slate")) for name in names]
    entries = [
        el("li", None, el("i", style=f"--c:var(--{style.colour})"), style.label) for style in styles
    ]
    return el("ul", None, entries, class_="key")


def _repeats(contents: Contents) -> list[Child]:
    summary = contents.summary
    drawn = dots.gaps(summary)
    if drawn is None:
        return [el("p", None, "No run was measured.", class_="dim")]
    parts: list[Child] = []
    runs = [good_runs(scheme) for scheme in summary.schemes.values()]
    most = max(max(len(found), *(len(run.switches) for run in found)) for found in runs if found)
    if most == 1:
        words = "One run of each scheme: nothing can be said of the spread. Use --repeat 20."
        parts.append(el("p", None, words, class_="dim"))
    else:
        words = (
            "One dot a run, or a switch where a run has several, in order of execution from top to "
            "bottom; the stroke is the median, the band its 95 % confidence interval (from six "
            "dots on)."
        )
        parts.append(el("p", None, words))
    return [*parts, el("div", None, drawn, class_="wide")]


def _tables(summary: Summary) -> list[Child]:
    return [el("div", None, _table(grid), class_="wide") for grid in grids(summary)]


def _table(grid: Grid) -> Markup:
    def cells(name: str, texts: Sequence[str]) -> list[Markup]:
        return [
            el(name, None, text, class_="l" if number < grid.labels else None)
            for number, text in enumerate(texts)
        ]

    groups = [
        el(
            "tbody",
            None,
            [
                el("tr", None, cells("td", row.cells), class_="sub" if row.dim else None)
                for row in g
            ],
        )
        for g in grid.groups
        if g
    ]
    head = el("thead", None, el("tr", None, cells("th", grid.headings)))
    return el("table", None, el("caption", None, grid.title), head, groups)


def _checks(contents: Contents) -> list[Child]:
    summary = contents.summary
    lines: list[Markup] = []
    for name, scheme in summary.schemes.items():
        for number, run in enumerate(scheme.runs, 1):
            if not run.ok:
                reason = run.error or "no reason recorded"
                lines.append(_line("failed", "bad", f"{name}, run {number}: {reason}"))
    if summary.verdict is not None:
        marks = {True: ("ok", "good"), False: ("failed", "bad"), None: ("not made", "open")}
        for check in summary.verdict.checks:
            lines.append(_line(*marks[check.passed], f"{check.name}: {check.detail}"))
    else:
        lines.append(_line("not made", "open", "no check was made"))
    lines += [_line("note", "open", note) for note in (*summary.notes, *contents.notes)]
    lines.append(_line("note", "open", VIRTUAL))
    return [el("ul", None, lines, class_="checks")]


def _line(mark: str, kind: str, text: str) -> Markup:
    return el("li", None, el("span", None, mark, class_=f"mark {kind}"), " ", text)


def _lab(contents: Contents) -> list[Child]:
    versions = sorted(contents.summary.versions.items())
    rows = [
        el(
            "tr",
            None,
            el("td", None, name, class_="l"),
            el("td", None, text or MISSING, class_="l"),
        )
        for name, text in versions
    ]
    table = el("table", None, el("caption", None, "Versions"), el("tbody", None, rows))
    parts: list[Child] = [
        el("div", None, table, class_="wide") if rows else "No versions were recorded."
    ]
    if contents.lab:
        words = "The lab file as run, with every default (secrets left out)"
        parts.append(el("details", None, el("summary", None, words), el("pre", None, contents.lab)))
    else:
        parts.append(el("p", None, "The folder has no lab.toml.", class_="dim"))
    if contents.files:
        entries = [el("li", None, name) for name in contents.files]
        words = f"{len(entries)} other files of the run's folder"
        parts.append(el("details", None, el("summary", None, words), el("ul", None, entries)))
    return parts
