"""From a run's events to the rows of its ladder diagram. Pure; `ladder_tables` says what counts."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from mpa_hil.report.html import holes
from mpa_hil.report.html.data import Happening, Trace
from mpa_hil.report.html.holes import Hole, Phase
from mpa_hil.report.html.ladder_tables import (
    ALWAYS,
    BSSID,
    COLUMNS,
    HERE,
    RULES,
    Message,
    Note,
)
from mpa_hil.report.html.scene import Scene

MOST_ROWS = 150
"""More than any sound handover has; a storm of messages must not make a page of megabytes."""
LONGEST_TEXT = 60
_FLOWING = ("phase.started", "trigger.fired")
_PAIRED_NS = 3_000_000_000
"""A message and its arrival are looked for so far apart: no path is longer."""
_PAIR = re.compile(r"(\w+)=('[^']*'|\S+)")


@dataclass(frozen=True, slots=True)
class Arrow:
    """A message, or an exchange."""

    start_ns: int
    end_ns: int
    source: str
    target: str
    text: str
    both: bool = False
    style: str = ""
    """A CSS class: `data` for packets of the call, `strong`, or none."""
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that happened at one place."""

    t_ns: int
    column: str
    text: str
    style: str = ""
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Dead:
    """A blackout of one direction, seen at its receiver."""

    direction: str
    column: str
    start_ns: int
    end_ns: int
    gap_ms: float


@dataclass(frozen=True, slots=True)
class Reach:
    """From when on the MN can use which addresses."""

    t_ns: int
    text: str


@dataclass(frozen=True, slots=True)
class Ladder:
    """A diagram, yet without coordinates."""

    columns: tuple[str, ...]
    items: tuple[Arrow | Remark, ...]
    """In order of their beginning."""
    phases: tuple[Phase, ...]
    dead: tuple[Dead, ...]
    reach: tuple[Reach, ...]
    origin_ns: int
    """Times are told from here: the trigger, or else the first event."""
    prepared: bool
    """The handover was prepared, so that the steps of RFC 6252 apply."""
    left_out: int
    """Rows beyond `MOST_ROWS`."""


class _Facts(string.Formatter):
    """Formats what is missing as nothing, and never looks into an object."""

    def get_field(
        self, field_name: str, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> tuple[object, str]:
        return kwargs.get(field_name, ""), field_name

    def format_field(self, value: object, format_spec: str) -> str:
        try:
            return format(value, format_spec)
        except (TypeError, ValueError):
            return str(value)


_FACTS = _Facts()


def ladder(trace: Trace, scene: Scene) -> Ladder | None:
    """The diagram of a run; None when its log shows nothing to draw."""
    events = _about(holes.own_events(trace), later=trace.switch > 0)
    if not events:
        return None
    trigger_ns = holes.trigger_ns(trace)
    items: list[Arrow | Remark] = []
    point, told = "", {event.type for event in events}
    for number, event in enumerate(events):
        named = scene.point(event)
        point = named or point
        item = _item(events, number, scene, point, told)
        if item is not None:
            items.append(item)
    spans = [p for p in holes.phases(events) if p.start_ns >= events[0].t_ns]
    dead = _dead(trace) if trigger_ns is not None else []
    items += [arrow for one, hole in dead for arrow in _ends(one, hole)]
    if not items and not spans:
        return None
    items.sort(key=_begin)
    kept = items if len(items) <= MOST_ROWS else items[:MOST_ROWS]
    used = {column for item in kept for column in _columns(item)}
    others = sorted(used.difference(COLUMNS))
    columns = [c for c in COLUMNS if c in used or c in ALWAYS]
    reach = _reach(events, scene, trigger_ns)
    return Ladder(
        columns=(*columns[:-1], *others, columns[-1]),
        items=tuple(kept),
        phases=tuple(spans),
        dead=tuple(one for one, _ in dead),
        reach=tuple(reach),
        origin_ns=events[0].t_ns if trigger_ns is None else trigger_ns,
        prepared=any(p.name == "pre-authentication" for p in spans),
        left_out=len(items) - len(kept),
    )


def _columns(item: Arrow | Remark) -> tuple[str, ...]:
    return (item.source, item.target) if isinstance(item, Arrow) else (item.column,)


def _about(events: Sequence[Happening], later: bool) -> list[Happening]:
    """From the first phase with traffic, the preparation's or the switch's, to the traffic's end.

    A run that never got so far is told from where its traffic was ready, or from its beginning.

    Args:
        later: it is not the run's first switch, and there is traffic from the beginning.
    """
    start, end = 0 if later else None, None
    for number, event in enumerate(events):
        if event.type in ("mobile_node.attached", "flow.ready"):
            start = number
        elif event.type in _FLOWING and start is not None:
            start = number
            break
    for number, event in enumerate(events):
        if event.type in ("flow.quiet", "flow.done", "run.finished"):
            end = number
            break
    return [e for e in events[start:end] if e.type not in ("run.started", "run.finished")]


def _item(
    events: Sequence[Happening], number: int, scene: Scene, point: str, told: AbstractSet[str]
) -> Arrow | Remark | None:
    """How an event is drawn by the first rule that fits; `told` are the types of all events."""
    event = events[number]
    facts = _facts(event)
    for rule in RULES:
        if isinstance(rule, Message) and rule.unless in told:
            continue
        if rule.type != event.type or any(str(facts.get(k)) != v for k, v in rule.when.items()):
            continue
        text = _FACTS.vformat(rule.text, (), facts).strip()
        text = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
        style = "strong" if rule.emphasis else ""
        tip = f"{event.type} of {event.agent} on {event.host}"
        if isinstance(rule, Note):
            return Remark(event.t_ns, _column(rule.at, event, scene, point), text, style, tip)
        source, target = (_column(c, event, scene, point) for c in (rule.source, rule.target))
        if source == target or not source or not target:
            return Remark(event.t_ns, target or source or "MN", text, style, tip)
        start_ns, end_ns = _times(events, number, rule, facts, scene)
        return Arrow(start_ns, end_ns, source, target, text, rule.both, style, tip)
    return None


def _facts(event: Happening) -> dict[str, object]:
    """An event's fields, with those of tables in it and what a supplicant's message names."""
    facts: dict[str, object] = {"outcome": "done"} if event.type == "phase.ended" else {}
    for key, value in event.fields.items():
        if isinstance(value, dict):
            facts.update({str(k): v for k, v in value.items()})
        elif value is not None:
            facts[key] = value
    if event.type == "wpa.event":
        pairs = _PAIR.findall(event.text("text"))
        facts = {**{key: value.strip("'") for key, value in pairs}, **facts}
    return facts


def _column(wanted: str, event: Happening, scene: Scene, point: str) -> str:
    if wanted == HERE:
        return scene.column(event)
    if wanted == BSSID:
        return point or "nPoA"
    if wanted == "router":
        return "oAR" if point == "oPoA" and "oAR" in scene.columns.values() else "AR"
    return wanted


def _times(
    events: Sequence[Happening],
    number: int,
    rule: Message,
    facts: Mapping[str, object],
    scene: Scene,
) -> tuple[int, int]:
    """When a message left and when it arrived, as far as the log tells."""
    t_ns = events[number].t_ns
    for name, unit in ((rule.lasted_ns, 1), (rule.lasted_ms, 1_000_000)):
        lasted = facts.get(name)
        if name and isinstance(lasted, int | float):
            return t_ns - round(lasted * unit), t_ns
    later = (
        e.t_ns
        for e in events[number + 1 :]
        if e.type in rule.arrives and scene.column(e) == rule.target
    )
    before = (
        e.t_ns
        for e in reversed(events[:number])
        if e.type in rule.left and scene.column(e) == rule.source
    )
    arrived_ns, left_ns = next(later, t_ns), next(before, t_ns)
    return (
        left_ns if t_ns - left_ns < _PAIRED_NS else t_ns,
        arrived_ns if arrived_ns - t_ns < _PAIRED_NS else t_ns,
    )


def _begin(item: Arrow | Remark) -> tuple[int, int]:
    """Exchanges stand where they end: what went on meanwhile comes before them."""
    if isinstance(item, Remark):
        return item.t_ns, 0
    return (item.end_ns if item.both else item.start_ns), 1


def _dead(trace: Trace) -> list[tuple[Dead, Hole]]:
    """The blackouts of both directions, as far as they can be placed."""
    found = []
    for stream in holes.gap_streams(trace):
        hole, gap = holes.blackout(trace, stream), holes.gap_ms(trace, stream)
        if hole is not None and gap is not None and gap > 0 and holes.one_clock(trace, stream):
            column = "MN" if stream.direction == "downlink" else "CN"
            one = Dead(stream.direction, column, hole.start_ns, hole.end_ns, gap)
            found.append((one, hole))
    return found


def _ends(dead: Dead, hole: Hole) -> list[Arrow]:
    """The last packet before a blackout and the first after it."""
    way = "down" if dead.direction == "downlink" else "up"
    ends = ("CN", "MN") if way == "down" else ("MN", "CN")
    texts = (f"last packet {way}, no. {hole.before.seq}", "")
    last = Arrow(hole.before.sent_ns, hole.start_ns, *ends, texts[0], style="data")
    if hole.after is None:
        return [last]
    text = f"first packet {way}, no. {hole.after.seq}: blackout {dead.gap_ms:.1f} ms"
    return [last, replace(last, start_ns=hole.after.sent_ns, end_ns=hole.end_ns, text=text)]


def _reach(events: Sequence[Happening], scene: Scene, trigger_ns: int | None) -> list[Reach]:
    """Which care-of addresses the MN can use, and since when (last column of the figures)."""
    found = [Reach(events[0].t_ns, "[oCoA]")]
    ready = ""
    """The next address, got ahead of the switch."""
    for event in events:
        phase, ended = event.text("phase"), event.type == "phase.ended"
        if ended and phase == "tunnel-setup" and event.text("outcome") in ("", "done"):
            ready = "[nCoA]"
            found.append(Reach(event.t_ns, "[oCoA, nCoA]"))
        if trigger_ns is None or event.t_ns < trigger_ns:
            continue
        name = event.text("name")
        if event.type == "wpa.event" and name in ("CTRL-EVENT-DISCONNECTED", "AUTHENTICATING"):
            found.append(Reach(event.t_ns, "none"))
        elif event.type == "wpa.event" and name == "CTRL-EVENT-CONNECTED":
            stays = not scene.candidate
            found.append(Reach(event.t_ns, "[oCoA]" if stays else ready or "none"))
        elif event.type == "dhcp.bound":
            found.append(Reach(event.t_ns, "[nCoA]"))
    return [
        one
        for one, last in zip(found, (None, *found), strict=False)
        if last is None or one.text != last.text
    ]
