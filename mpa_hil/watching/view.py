"""The facts of one moment, folded from what was told so far. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from mpa_hil.policy import interface as say
from mpa_hil.policy.interface import Decision, Input
from mpa_hil.policy.situation import Situation

_NS_PER_S = 1_000_000_000
_SMOOTH = 0.4
"""Weight of the newest reading."""
_KEPT = 8
"""Decisions that are shown."""
STEPS = ("prepare", "configure", "bind", "switch")
"""Those that a policy may have a threshold for, `STEP_snr_db`."""


@dataclass(slots=True)
class Heard:
    """One access point.

    Attributes:
        snr_db: smoothed.
    """

    snr_db: float
    heard_ns: int


@dataclass(slots=True)
class Stream:
    """The flow's packets in one direction, as they came.

    Attributes:
        gap_ms: largest hole between two packets so far, less their spacing.
    """

    received: int = 0
    lost: int = 0
    gap_ms: float = 0.0
    last_ns: int | None = None
    spacing_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """One access point, as it is shown.

    Attributes:
        state: "on it", or what is prepared or kept there.
    """

    ap: str
    realm: str
    snr_db: float | None
    age_s: float | None
    state: str
    serving: bool


@dataclass(slots=True)
class View:
    """All that is known at this moment.

    Attributes:
        thresholds: SNR below which the policy takes each step.
    """

    title: str = ""
    policy: str = ""
    thresholds: dict[str, float] = field(default_factory=dict)
    now_ns: int = 0
    begun_ns: int | None = None
    phase: str = ""
    here: Situation = field(default_factory=Situation)
    heard: dict[str, Heard] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    decided: deque[tuple[int, Decision]] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def opened(self, policy: str, settings: Mapping[str, object]) -> None:
        """A policy decides from now on."""
        self.policy = policy
        for step in STEPS:
            value = settings.get(f"{step}_snr_db")
            if isinstance(value, int | float):
                self.thresholds[step] = float(value)

    def passes(self, t_ns: int) -> None:
        """Time."""
        if self.begun_ns is None:
            self.begun_ns = t_ns
        self.now_ns = max(self.now_ns, t_ns)

    def hear(self, event: Input) -> None:
        """An input of the policy's."""
        self.passes(event.t_ns)
        self.here.note(event)
        reading = self.here.reading
        if reading is not None:
            known = self.heard.get(reading.ap)
            snr_db = reading.snr_db
            if known is not None:
                snr_db = known.snr_db + _SMOOTH * (snr_db - known.snr_db)
            self.heard[reading.ap] = Heard(snr_db, reading.t_ns)
        if isinstance(event, say.CandidateGone):
            self.heard.pop(event.ap, None)

    def decide(self, t_ns: int, decision: Decision) -> None:
        """A decision of the policy's."""
        self.passes(t_ns)
        self.decided.append((t_ns, decision))

    def phase_began(self, name: str) -> None:
        """A phase of a handover is under way."""
        self.phase = name

    def phase_ended(self, name: str) -> None:
        """It is over."""
        if self.phase == name:
            self.phase = ""

    def packet(self, direction: str, received_ns: int | None, spacing_ms: float) -> None:
        """A packet of the flow came, or (None) never will."""
        stream = self.streams.setdefault(direction, Stream())
        if received_ns is None:
            stream.lost += 1
            return
        stream.received += 1
        if stream.last_ns is not None:
            hole_ms = (received_ns - stream.last_ns) / 1e6 - spacing_ms
            stream.gap_ms = max(stream.gap_ms, hole_ms)
        stream.last_ns = received_ns

    @property
    def t_s(self) -> float:
        """Since the beginning."""
        return (self.now_ns - (self.begun_ns or self.now_ns)) / _NS_PER_S

    def rows(self) -> list[Row]:
        """The access points, best heard first; the one that the node is on before all."""
        here = self.here
        found = []
        for ap in sorted(here.candidates.keys() | self.heard.keys()):
            heard = self.heard.get(ap)
            serving = ap == here.serving and here.linked
            found.append(
                Row(
                    ap,
                    here.candidate(ap).realm,
                    None if heard is None else heard.snr_db,
                    None if heard is None else (self.now_ns - heard.heard_ns) / _NS_PER_S,
                    "on it" if serving else self._held(ap),
                    serving,
                )
            )
        return sorted(found, key=lambda row: (not row.serving, -(row.snr_db or -200.0), row.ap))

    def _held(self, ap: str) -> str:
        held = self.here.holdings.get(ap)
        if held is None:
            return ""
        parts = [("", "keys", "address", "bound")[held.level]] if held.level else []
        if held.tunnel and held.level < 3:
            parts.append("tunnel")
        if held.context:
            parts.append("kept")
        if held.under_way:
            parts.append("...")
        return ", ".join(part for part in parts if part)
