"""The head of the page: the verdict, and the schemes side by side. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from mpa_hil.report.grids import MISSING, count, good_runs, ms
from mpa_hil.report.html import dots
from mpa_hil.report.html.data import Trace
from mpa_hil.report.html.markup import Child, Markup, el
from mpa_hil.report.statistics import median, spread
from mpa_hil.report.summary import Direction, Run, Scheme, Summary

_CARD = 350
"""A card is no wider than that, pixels."""


def result(summary: Summary, traces: Sequence[Trace]) -> list[Child]:
    """Verdict, one card a scheme, and where the time went."""
    parts: list[Child] = [_verdict(summary)]
    if not summary.schemes:
        return [*parts, el("p", None, "No scheme was run.", class_="dim")]
    cards = [_card(name, scheme) for name, scheme in summary.schemes.items()]
    look = f"max-width:{_CARD * len(cards)}px"
    parts.append(el("div", None, cards, class_="cards", style=look))
    bars = [line for trace in traces if (line := _bar(trace)) is not None]
    if bars:
        words = "Where the time of a handover went, each of the runs drawn below at its own scale"
        parts += [el("p", None, words, class_="dim"), bars]
    return parts


def _verdict(summary: Summary) -> Markup:
    if summary.verdict is None:
        said, kind = "No check was made of these figures.", "open"
        return el("div", None, el("b", None, said), class_=f"verdict {kind}")
    if summary.verdict.given:
        made = [check for check in summary.verdict.checks if check.passed]
        names = ", ".join(check.name for check in made) or "none could be made"
        said = "These figures passed every check that was made: "
        return el("div", None, el("b", None, said), f"{names}.", class_="verdict good")
    reasons = [el("li", None, reason) for reason in summary.verdict.refused]
    return el(
        "div",
        None,
        el("b", None, "No verdict: do not quote these figures."),
        el("ul", None, reasons),
        class_="verdict bad",
    )


def _card(name: str, scheme: Scheme) -> Markup:
    runs, every = good_runs(scheme), len(scheme.runs)
    failed = f", {every - len(runs)} failed" if every > len(runs) else ""
    told = f"{len(runs)} run{'' if len(runs) == 1 else 's'}{failed}"
    down, up = (_middle(runs, way) for way in ("downlink", "uplink"))
    rows = [
        ("blackout up", MISSING if up is None else f"{ms(up)} ms"),
        ("lost down", _lost(runs, "downlink")),
        ("lost up", _lost(runs, "uplink")),
        ("MOS down / up", f"{_mos(runs, 'downlink')} / {_mos(runs, 'uplink')}"),
        *_extras(runs),
        ("measured", told),
    ]
    return el(
        "div",
        None,
        el("h3", None, name),
        el(
            "div",
            None,
            ms(down),
            el("small", None, " ms") if down is not None else None,
            class_="big",
        ),
        el("div", None, "blackout down", class_="dim"),
        el("dl", None, [[el("dt", None, key), el("dd", None, text)] for key, text in rows]),
        class_="card",
    )


def _extras(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """What only some labs and schemes have."""
    found = []
    places = ("downlink", "held down"), ("old", "held at the old router"), ("uplink", "held up")
    for way, name in places:
        held = [run.hold[way] for run in runs if way in run.hold]
        if held:
            took = ms(median([one.ms for one in held]))
            packets = count(median([one.packets for one in held]))
            many = "" if packets == "0" else f"{packets} packets, "
            most = max(one.dropped for one in held)
            lost = f", {most} too many" if most else ""
            found.append((name, f"{many}{took} ms{lost}"))
    stalls = [one.stall_ms for run in runs for one in run.transfers.values()]
    if stalls:
        found.append(("download stall", f"{ms(median(stalls))} ms"))
    switches = sum(len(run.switches) for run in runs)
    if switches:
        found.append(("switches", count(switches)))
    return found


def _middle(runs: Sequence[Run], direction: str) -> float | None:
    way: Direction = "downlink" if direction == "downlink" else "uplink"
    found = spread([run.gap_ms.of(way) for run in runs])
    return found.median if found else None


def _lost(runs: Sequence[Run], way: Direction) -> str:
    lost = spread([run.lost.of(way) for run in runs])
    sent = spread([run.sent.of(way) for run in runs])
    if lost is None or sent is None:
        return MISSING
    return f"{count(lost.median)} of {count(sent.median)}"


def _mos(runs: Sequence[Run], way: Direction) -> str:
    found = spread([run.mos.of(way) for run in runs])
    return ms(found.median if found else None, 2)


def _bar(trace: Trace) -> Markup | None:
    total_ms = trace.run.phases_ms.get("total")
    drawn = dots.bar(trace.run.phases_ms)
    if drawn is None or total_ms is None:
        return None
    name = el("b", None, trace.scheme)
    return el("div", None, name, drawn, el("span", None, f"{ms(total_ms)} ms"), class_="bar-line")
