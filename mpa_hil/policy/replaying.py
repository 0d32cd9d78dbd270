"""A trace, decided again: by the policy that was recorded, or by another. Sans-IO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mpa_hil.errors import LocalError

from . import interface as say
from . import loading, settings, trace
from .engine import Engine
from .interface import Decisions
from .rehearsal import Rehearsal, Taken, Tally, Terms

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where decisions are not what they were.

    Attributes:
        step: which input, from 1.
    """

    step: int
    t_ns: int
    recorded: Decisions
    now: Decisions


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of it.

    Attributes:
        start_ns: time of the first input.
        checked: it is the policy and the settings that were recorded, on all inputs as they were.
        difference: then the first one; None: there is none.
        tally: otherwise, what would have come of the decisions.
    """

    policy: str
    settings: Mapping[str, object]
    start_ns: int
    decisions: tuple[Taken, ...]
    checked: bool
    difference: Difference | None = None
    tally: Tally | None = None


def choose(
    recording: trace.Trace, name: str | None, options: Mapping[str, object], where: str
) -> loading.Chosen:
    """The policy to use: the one that is named, else the recorded one, else the default.

    The recorded settings are taken over where it is the recorded policy.

    Raises:
        LocalError: there is no such policy, or an option is wrong.
    """
    header = recording.header
    chosen = name or header.policy or "default"
    recorded = header.settings if chosen == header.policy else {}
    loading.choose(chosen, options, "--set")
    return loading.choose(chosen, {**recorded, **options}, where)


def replay(
    recording: trace.Trace,
    chosen: loading.Chosen,
    *,
    rehearse: bool = False,
    start: str = "",
    terms: Terms | None = None,
) -> Replay:
    """Decide again.

    Args:
        rehearse: play the node, even if it is what was recorded.
        start: access point to begin on where the recording does not say.
        terms: of a rehearsal.

    Raises:
        LocalError: nothing to decide on.
    """
    if not recording.steps:
        raise LocalError("the trace has no inputs", remedy="record one with signals in it")
    told = settings.told(chosen.settings)
    start_ns = recording.steps[0].event.t_ns
    same = chosen.name == recording.header.policy and told == dict(recording.header.settings)
    engine = Engine(chosen.make())
    if same and not rehearse:
        taken, difference = _again(engine, recording)
        return Replay(chosen.name, told, start_ns, taken, True, difference)
    tally = Rehearsal(engine, terms).run(start or _start(recording), trace.signals(recording))
    return Replay(chosen.name, told, start_ns, tuple(tally.decisions), False, tally=tally)


def _again(engine: Engine, recording: trace.Trace) -> tuple[tuple[Taken, ...], Difference | None]:
    taken: list[Taken] = []
    difference: Difference | None = None
    for number, step in enumerate(recording.steps, start=1):
        now = engine.feed(step.event)
        if now != step.decisions and difference is None:
            difference = Difference(number, step.event.t_ns, step.decisions, now)
        taken += (Taken(step.event.t_ns, each) for each in now)
    return tuple(taken), difference


def _start(recording: trace.Trace) -> str:
    """Where the node was first; else what was heard best first."""
    loudest: dict[str, float] = {}
    first_ns = recording.steps[0].event.t_ns
    for step in recording.steps:
        event = step.event
        if isinstance(event, say.Attached):
            return event.ap
        early = event.t_ns - first_ns < 2 * _NS_PER_S
        if isinstance(event, say.Sample) and early and event.signal_dbm is not None:
            loudest.setdefault(event.ap, event.signal_dbm)
    if not loudest:
        raise LocalError(
            "nobody was heard in the first two seconds", remedy="--start ACCESS-POINT says where"
        )
    return max(sorted(loudest), key=lambda ap: loudest[ap])


__all__ = ["Difference", "Replay", "choose", "replay"]
