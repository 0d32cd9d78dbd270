"""What a node knows at one moment, folded from the inputs so far. Sans-IO.

`Engine` writes it, policies read it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from mpa_hil.light import light

from . import interface as say
from .interface import Candidate, Holding, Input
from .leadtimes import LeadTimes
from .readings import Noise

_MOVES_KEPT = 64
CANDIDATES_KEPT = 4096
"""More access points than a radio hears in a city; what comes after them is ignored."""
_NONE = Candidate("")


class Move(NamedTuple):
    """The node went from one access point to another."""

    t_ns: int
    old: str
    new: str


@light
class Reading:
    """A sample that says something.

    Attributes:
        snr_db: see `readings`.
    """

    t_ns: int
    ap: str
    snr_db: float


class Situation:
    """Facts, as the inputs told them."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.serving = ""
        """Access point that the node is on, or was on when its link was lost; "": none yet."""
        self.linked = False
        """It is on it."""
        self.since_ns = 0
        """When it came there."""
        self.candidates: dict[str, Candidate] = {}
        """All known access points, the serving one among them."""
        self.holdings: dict[str, Holding] = {}
        """What is prepared or kept where."""
        self.lead = LeadTimes()
        self.noise = Noise()
        self.reading: Reading | None = None
        """The present input, where it is a sample that says something."""
        self.flow: say.Flow | None = None
        self.speed_m_s: float | None = None
        self.moves: deque[Move] = deque(maxlen=_MOVES_KEPT)
        """The latest, oldest first."""
        self.successes: dict[tuple[str, str], int] = {}
        """How often a move from the one to the other ended there without an EAP run."""
        self.failures: dict[str, tuple[int, int]] = {}
        """Switches there that failed since the last success: how many, and when the last (ns)."""
        self.probed: dict[str, say.Probed] = {}
        """The latest reachability test of each."""
        self._heard: dict[str, int] = {}

    def candidate(self, ap: str) -> Candidate:
        """What is known of it; of an unknown one, nothing."""
        return self.candidates.get(ap, _NONE)

    def level(self, ap: str) -> int:
        """How far it is prepared at this moment."""
        held = self.holdings.get(ap)
        if held is None or (held.until_ns is not None and held.until_ns <= self.now_ns):
            return 0
        return held.level

    def note(self, event: Input) -> None:
        """Take an input in."""
        self.reading = None
        if event.t_ns > self.now_ns:
            self.now_ns = event.t_ns
        write = self._WRITERS.get(type(event))
        if write is not None:
            write(self, event)

    def _sample(self, event: say.Sample) -> None:
        ap, t_ns = event.ap, event.t_ns
        if not ap or t_ns < self._heard.get(ap, 0):
            return
        if ap not in self.candidates:
            if len(self.candidates) >= CANDIDATES_KEPT:
                return
            self.candidates[ap] = Candidate(ap)
        snr_db = self.noise.snr_db(event)
        if snr_db is not None:
            self._heard[ap] = t_ns
            self.reading = Reading(t_ns, ap, snr_db)

    def _seen(self, event: say.CandidateSeen) -> None:
        ap = event.candidate.ap
        if ap and (ap in self.candidates or len(self.candidates) < CANDIDATES_KEPT):
            self.candidates[ap] = event.candidate

    def _gone(self, event: say.CandidateGone) -> None:
        if event.ap != self.serving:
            self.candidates.pop(event.ap, None)
            self._heard.pop(event.ap, None)
            self.probed.pop(event.ap, None)

    def _attached(self, event: say.Attached) -> None:
        old = self.serving
        self.linked = True
        self.failures.pop(event.ap, None)
        if old == event.ap:
            return
        if event.ap not in self.candidates:
            self.candidates[event.ap] = Candidate(event.ap)
        self.serving, self.since_ns = event.ap, self.now_ns
        self.holdings.pop(event.ap, None)
        if old:
            self.moves.append(Move(self.now_ns, old, event.ap))
            if not event.full_authentication:
                way = (old, event.ap)
                self.successes[way] = self.successes.get(way, 0) + 1

    def _lost(self, event: say.LinkLost) -> None:
        if event.ap == self.serving:
            self.linked = False

    def _holding(self, event: Holding) -> None:
        if event.level or event.under_way:
            self.holdings[event.ap] = event
        else:
            self.holdings.pop(event.ap, None)

    def _measured(self, event: say.Measured) -> None:
        self.lead.add(event.part, event.took_ns, event.realm)

    def _failed(self, event: say.SwitchFailed) -> None:
        count, _ = self.failures.get(event.ap, (0, 0))
        self.failures[event.ap] = (count + 1, self.now_ns)

    def _flow(self, event: say.Flow) -> None:
        self.flow = event

    def _speed(self, event: say.Speed) -> None:
        self.speed_m_s = event.m_s if 0 <= event.m_s < 1000 else None

    def _probed(self, event: say.Probed) -> None:
        if event.ap:
            self.probed[event.ap] = event

    _WRITERS: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        say.Sample: _sample,
        say.CandidateSeen: _seen,
        say.CandidateGone: _gone,
        say.Attached: _attached,
        say.LinkLost: _lost,
        Holding: _holding,
        say.Measured: _measured,
        say.SwitchFailed: _failed,
        say.Flow: _flow,
        say.Speed: _speed,
        say.Probed: _probed,
    }
