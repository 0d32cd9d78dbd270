"""Traces out of runs' event logs."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.events import AnyEvent
from mpa_hil.events.policy import PolicyDecided, PolicyInput, PolicyOpened

from . import lines, trace
from .interface import Decision, Input

_EVERY_EVENT = frozenset({"t_ns", "host", "agent", "scheme", "repeat"})


def from_events(
    events: Iterable[AnyEvent], where: str, scheme: str = "", repeat: int | None = None
) -> trace.Trace:
    """The first trace in a log; of that scheme and repeat, if they are given.

    Raises:
        LocalError: there is none, or what the log has of it is damaged.
    """
    opened: PolicyOpened | None = None
    told: list[Input | tuple[int, Decision]] = []
    try:
        for event in events:
            if not isinstance(event, PolicyOpened | PolicyInput | PolicyDecided):
                continue
            wanted = scheme in ("", event.scheme) and repeat in (None, event.repeat)
            if isinstance(event, PolicyOpened):
                if opened is not None and wanted:
                    break
                opened = event if wanted else opened
            elif opened is None or (event.scheme, event.repeat) != (opened.scheme, opened.repeat):
                continue
            elif isinstance(event, PolicyInput):
                told.append(lines.hear(event.input))
            else:
                told.append((event.t_ns, _decision(event)))
        steps = trace.joined(told)
    except DecodeError as error:
        place = f"{where}, {error.where}" if error.where else where
        raise LocalError(error.what, where=place, remedy=error.remedy) from error
    if opened is None:
        which = f" of {scheme}" if scheme else ""
        raise LocalError(
            f"no policy decided in this run{which}",
            where=where,
            remedy="run a lab with a `[policy]` table, or choose --scheme and --repeat",
        )
    note = f"{opened.scheme} {opened.repeat}".strip()
    return trace.Trace(trace.Header(opened.policy, opened.settings, note), steps)


def _decision(event: PolicyDecided) -> Decision:
    defaults = {field.name: field.default for field in structs.fields(event)}
    told = {
        name: value
        for name, value in structs.asdict(event).items()
        if name not in _EVERY_EVENT and value != defaults[name]
    }
    return lines.hear_decision(told)
