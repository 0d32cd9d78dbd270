"""summary.json: the figures of all runs, for programs. `docs/summary.md` describes every key.

Keys are a contract: one that is there keeps its name, unit and meaning; new ones may join.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar

import msgspec

from mpa_hil.report.faults import FaultSummary
from mpa_hil.report.policies import PolicySummary
from mpa_hil.report.run_parts import (
    HoldSummary,
    SwitchSummary,
    TransferSummary,
    transfer_summary,
)
from mpa_hil.report.statistics import median
from mpa_hil.report.verdict import Verdict
from mpa_hil.traffic.figures import FlowFigures
from mpa_hil.traffic.transfers import TransferFigures
from radios.errors import LocalError, RemoteError

Direction = Literal["downlink", "uplink"]
DIRECTIONS: tuple[Direction, ...] = ("downlink", "uplink")

PHASES = (
    "decision",
    "hold",
    "scan",
    "authentication",
    "association",
    "eap",
    "four_way",
    "arrival",
    "acquisition",
    "dhcp",
    "binding",
    "settling",
    "return",
    "restoration",
    "clearing",
    "seeking",
    "first_packet",
)
"""Phases of a handover in their order; a scheme has those that it goes through."""

PREPARATION = (
    "authentication",
    "key_installation",
    "configuration",
    "tunnel",
    "staging",
    "binding",
)
"""What was done ahead of a handover, over the link before it."""

EVENT_PHASES = {
    "pre-switching": "hold",
    "four-way": "four_way",
    "binding-update": "binding",
    "post-switching": "settling",
    "first-packet": "first_packet",
}
"""The event log's names for phases, where they are not the summary's keys."""

T = TypeVar("T")
U = TypeVar("U")


class PerDirection(msgspec.Struct, Generic[T], frozen=True):
    """One figure towards the MN and one from it."""

    downlink: T
    uplink: T

    def of(self, direction: Direction) -> T:
        """The figure of one direction."""
        return self.downlink if direction == "downlink" else self.uplink


class Delay(msgspec.Struct, frozen=True):
    """One-way delay, ms, by nearest rank; None where the ends share no clock."""

    p50: float | None
    p95: float | None
    max: float | None


class Signalling(msgspec.Struct, frozen=True):
    """Traffic of one signalling protocol during the handover."""

    messages: int
    bytes: int


class Eap(msgspec.Struct, frozen=True):
    """The EAP conversation of the handover."""

    messages: int
    round_trips: int | None
    """Round trips to the home AAA; None where its links were not captured."""


class FlowSummary(msgspec.Struct, frozen=True):
    """Figures of one flow in one direction (definitions: `mpa_hil.traffic.figures`)."""

    sent: int
    received: int
    lost: int
    duplicated: int
    reordered: int
    refused: int
    late: int
    gap_ms: float
    lost_gap_ms: float
    sender_hole_ms: float
    recovered: bool
    jitter_ms: float | None
    jitter_max_ms: float | None
    pdv_ms: float | None
    delay_ms: Delay
    mos: float | None
    r: float | None
    interarrival_ms: float | None = None
    spacing_ms: float = 0.0


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One handover."""

    ok: bool
    l2_ms: float | None = None
    l3_ms: float | None = None
    gap_ms: PerDirection[float | None]
    sent: PerDirection[int | None]
    received: PerDirection[int | None]
    lost: PerDirection[int | None]
    duplicated: PerDirection[int | None]
    reordered: PerDirection[int | None]
    jitter_ms: PerDirection[float | None]
    delay_ms: PerDirection[Delay]
    mos: PerDirection[float | None]
    phases_ms: dict[str, float] = {}
    preparation_ms: dict[str, float] = {}
    signalling: dict[str, Signalling] = {}
    eap: Eap | None = None
    gap_flow: str = ""
    voice_flow: str = ""
    flows: dict[str, PerDirection[FlowSummary | None]] = {}
    transfers: dict[str, TransferSummary] = {}
    """Downloads over TCP, by flow."""
    hold: dict[str, HoldSummary] = {}
    """What was held, by direction."""
    switches: list[SwitchSummary] = []
    """Each of them, where the trace asks for several."""
    error: str | None = None
    number: int = 0
    """Which run of the experiment, from 1 in order of execution; names its files. 0: unknown."""


class Scheme(msgspec.Struct, frozen=True):
    """All runs of one scheme."""

    runs: list[Run]
    median: dict[str, Any]


class CheckSummary(msgspec.Struct, frozen=True):
    """One condition of the verdict."""

    name: str
    passed: bool | None
    detail: str


class VerdictSummary(msgspec.Struct, frozen=True):
    """Whether the figures may be believed."""

    given: bool
    refused: list[str]
    checks: list[CheckSummary]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    lab: str
    seed: int
    rig: str
    clock: str
    versions: dict[str, str]
    schemes: dict[str, Scheme]
    verdict: VerdictSummary | None = None
    faults: list[FaultSummary] = []
    """Runs in which something went wrong on purpose."""
    policy: list[PolicySummary] = []
    """Runs in which a policy decided about handovers."""
    notes: list[str] = []
    """What was amiss with the data and was passed over, and with which run."""


def flow_summary(figures: FlowFigures) -> FlowSummary:
    """The figures of one flow as they are stored."""
    return FlowSummary(
        sent=figures.sent,
        received=figures.received,
        lost=figures.lost,
        duplicated=figures.duplicated,
        reordered=figures.reordered,
        refused=figures.refused,
        late=figures.late,
        gap_ms=figures.gap_ms,
        lost_gap_ms=figures.lost_gap_ms,
        sender_hole_ms=figures.sender_hole_ms,
        recovered=figures.recovered,
        jitter_ms=figures.jitter_ms,
        jitter_max_ms=figures.jitter_max_ms,
        pdv_ms=figures.pdv_ms,
        delay_ms=Delay(figures.delay_p50_ms, figures.delay_p95_ms, figures.delay_max_ms),
        mos=figures.mos,
        r=figures.r,
        interarrival_ms=figures.interarrival_ms,
        spacing_ms=figures.spacing_ms,
    )


def make_run(
    flows: Mapping[str, Mapping[str, FlowFigures]],
    *,
    voice_flow: str,
    gap_flow: str,
    ok: bool = True,
    l2_ms: float | None = None,
    l3_ms: float | None = None,
    phases_ms: Mapping[str, float] | None = None,
    preparation_ms: Mapping[str, float] | None = None,
    signalling: Mapping[str, Signalling] | None = None,
    eap: Eap | None = None,
    transfers: Mapping[str, TransferFigures] | None = None,
    hold: Mapping[str, HoldSummary] | None = None,
    switches: Sequence[SwitchSummary] = (),
    error: str | None = None,
    number: int = 0,
) -> Run:
    """A RUN from the figures of its flows.

    Args:
        flows: figures by flow name, then by direction ("downlink", "uplink"). A flow may go one
            way only: figures of the other are None.
        voice_flow: the flow whose counts, jitter, delay and MOS stand at the top.
        gap_flow: the flow whose gap stands at the top: the one with the finest spacing.
        phases_ms: with ``remainder`` and ``total``, see `complete_phases`.
        preparation_ms: what was done ahead, by `PREPARATION`; no part of the total.

    Raises:
        LocalError: a flow named was not measured.
    """
    for name in (voice_flow, gap_flow):
        if not flows.get(name):
            raise LocalError(f"flow {name!r} was not measured")
    stored = {
        name: PerDirection(*(flow_summary(ways[d]) if d in ways else None for d in DIRECTIONS))
        for name, ways in flows.items()
    }
    voice, gaps = stored[voice_flow], stored[gap_flow]
    ways = (voice.downlink, voice.uplink)
    return Run(
        ok=ok,
        l2_ms=l2_ms,
        l3_ms=l3_ms,
        gap_ms=_each(gaps, lambda flow: flow.gap_ms),
        sent=_each(voice, lambda flow: flow.sent),
        received=_each(voice, lambda flow: flow.received),
        lost=_each(voice, lambda flow: flow.lost),
        duplicated=_each(voice, lambda flow: flow.duplicated),
        reordered=_each(voice, lambda flow: flow.reordered),
        jitter_ms=_each(voice, lambda flow: flow.jitter_ms),
        delay_ms=PerDirection(*(w.delay_ms if w else Delay(None, None, None) for w in ways)),
        mos=_each(voice, lambda flow: flow.mos),
        phases_ms=dict(phases_ms or {}),
        preparation_ms=dict(preparation_ms or {}),
        signalling=dict(signalling or {}),
        eap=eap,
        gap_flow=gap_flow,
        voice_flow=voice_flow,
        flows=stored,
        transfers={name: transfer_summary(one) for name, one in (transfers or {}).items()},
        hold=dict(hold or {}),
        switches=list(switches),
        error=error,
        number=number,
    )


def _each(
    flow: PerDirection[FlowSummary | None], pick: Callable[[FlowSummary], U | None]
) -> PerDirection[U | None]:
    """One figure of a flow in both directions; None for the way that it does not go."""
    return PerDirection(
        *(None if way is None else pick(way) for way in (flow.downlink, flow.uplink))
    )


def failed_run(error: str, number: int = 0) -> Run:
    """A run that ended before anything could be measured."""
    nothing, unknown = PerDirection[int | None](0, 0), PerDirection[float | None](None, None)
    no_delay = Delay(None, None, None)
    return Run(
        ok=False,
        gap_ms=unknown,
        sent=nothing,
        received=nothing,
        lost=nothing,
        duplicated=nothing,
        reordered=nothing,
        jitter_ms=unknown,
        delay_ms=PerDirection(no_delay, no_delay),
        mos=unknown,
        error=error,
        number=number,
    )


def complete_phases(phases_ms: Mapping[str, float], total_ms: float) -> dict[str, float]:
    """Phases in their order with what they leave unexplained: they add up to ``total``.

    Phases may be called as in the summary or as in the event log. The remainder may be negative
    when phases overlap; it is shown, not hidden.

    Raises:
        LocalError: a phase that is not one of `PHASES`.
    """
    named = {EVENT_PHASES.get(name, name): value for name, value in phases_ms.items()}
    unknown = set(named) - set(PHASES)
    if unknown:
        raise LocalError(f"no phases are called {', '.join(sorted(unknown))}")
    ordered = {name: named[name] for name in PHASES if name in named}
    remainder = round(total_ms - sum(ordered.values()), 6)  # to the nanosecond
    return {**ordered, "remainder": remainder, "total": total_ms}


def make_scheme(runs: Sequence[Run]) -> Scheme:
    """A scheme's runs with their median."""
    return Scheme(list(runs), median_of(runs))


def median_of(runs: Sequence[Run]) -> dict[str, Any]:
    """The median of every number in the runs that are ok, in the same shape as a RUN.

    A number that some runs lack is the median of those that have it; truth values and text are
    left out, and so are the per-flow details and the runs' numbers.
    """
    plain = [msgspec.to_builtins(run) for run in runs if run.ok]
    for run in plain:
        del run["flows"], run["number"]
    merged = _median_leaves(plain)
    return merged if isinstance(merged, dict) else {}


def _median_leaves(values: Sequence[Any]) -> Any:
    """The median of numbers, or a dictionary of medians key by key; None for anything else."""
    mappings = [v for v in values if isinstance(v, dict)]
    if mappings:
        keys = dict.fromkeys(key for mapping in mappings for key in mapping)
        leaves = {key: _median_leaves([m[key] for m in mappings if key in m]) for key in keys}
        return {key: leaf for key, leaf in leaves.items() if leaf is not None}
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    return median(numbers) if numbers else None


def verdict_summary(verdict: Verdict) -> VerdictSummary:
    """A verdict as it is stored."""
    checks = [CheckSummary(c.name, c.passed, c.detail) for c in verdict.checks]
    return VerdictSummary(not verdict.refused, list(verdict.refused), checks)


def encode(summary: Summary) -> bytes:
    """The file's octets: indented JSON, keys in their documented order."""
    return msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"


def decode(data: bytes, where: str = "summary.json") -> Summary:
    """Read a summary; keys that are not known are passed over.

    Raises:
        RemoteError: not JSON, or a required key is missing or of another type.
    """
    try:
        return msgspec.json.decode(data, type=Summary)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        remedy = "was it written by another version?"
        raise RemoteError(f"not a summary ({error})", where=where, remedy=remedy) from None
