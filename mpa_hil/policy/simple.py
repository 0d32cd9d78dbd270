"""What the two policies without foresight have in common. Sans-IO."""

from __future__ import annotations

from . import interface as say
from .interface import Decision, Decisions, Input, LetGo, Level, Prepare, Probe, Switch, Value
from .ranking import Ranking, Track, Weights
from .situation import Situation

_NS_PER_S = 1_000_000_000
_STALE_S = 15.0
_REFUSED_S = 2.0
_BOUND_NS = 30 * _NS_PER_S
"""A switch whose end is not told within it has failed."""
_AGAIN_NS = _NS_PER_S
"""Without a link, everything is tried once in such a time."""
SIGNAL_ONLY = Weights(1000.0, 0.0, 0.0, 0.0, 0.0, 0.0, _REFUSED_S, _STALE_S)
"""Nothing but the signal counts."""


class Simple:
    """Prepares one target, goes there, and starts over; what is lost is lost.

    Args:
        ranking: with filters of its own.
        level: to which the target is prepared; 0: not at all.
        scan_every_s: looks around so often when nobody was heard for as long; 0: never.
    """

    def __init__(self, ranking: Ranking, level: int, scan_every_s: float) -> None:
        self.ranking = ranking
        self._level = level
        self._scan_ns = int(scan_every_s * _NS_PER_S)
        self._due_ns = 0
        """When it may look around again."""
        self._target = ""
        self._leaving = ""
        self._leaving_until_ns = 0
        self._again_ns: int | None = None

    def react(self, here: Situation, track: Track, best: Track, out: list[Decision]) -> None:
        """The node is on `track`, and of all others `best` is heard best."""
        raise NotImplementedError

    def missed(
        self, event: say.BeaconLoss, here: Situation, best: Track, out: list[Decision]
    ) -> None:
        """Beacons of the access point that it is on stay away; nothing, if not overridden."""

    def looks_around(self, track: Track) -> bool:
        """Whether others are of interest, on this access point."""
        return True

    def decide(self, event: Input, situation: Situation) -> Decisions:
        """See `Policy`."""
        out: list[Decision] = []
        match event:
            case say.Sample():
                self.ranking.heard(situation)
            case say.BeaconLoss(ap=ap) if ap == situation.serving and situation.linked:
                best = self.ranking.best(situation)
                if best and not self._leaving:
                    self.missed(event, situation, best[0], out)
            case say.CandidateGone(ap=ap) if ap != situation.serving:
                self.ranking.forget(ap)
            case say.Attached():
                self._leaving, self._again_ns = "", None
                self.let_go("moved", {"landed": event.ap}, out, but=event.ap)
                self._target = ""
            case say.LinkLost(ap=ap) if ap == situation.serving:
                self.ranking.bar(ap, situation)
                self._again_ns = situation.now_ns
            case say.SwitchFailed(ap=ap) if ap == self._leaving:
                self._fail(situation)
        if self._leaving and situation.now_ns >= self._leaving_until_ns:
            self._fail(situation)
        if situation.serving and not self._leaving:
            self._move(situation, out)
        return tuple(out)

    def next_deadline(self) -> int | None:
        """See `Policy`."""
        return self._leaving_until_ns if self._leaving else self._again_ns

    def prepare(
        self, target: Track, rule: str, inputs: dict[str, Value], here: Situation
    ) -> Decisions:
        """Prepare this one instead of any other."""
        if target.ap == self._target:
            return ()
        out: list[Decision] = []
        self.let_go("outranked", inputs, out)
        self._target = target.ap
        level = Level(max(0, min(self._level, here.candidate(target.ap).highest)))
        if level:
            out.append(Prepare(target.ap, level, rule=rule, inputs=inputs))
        return tuple(out)

    def go(self, target: Track, rule: str, inputs: dict[str, Value], here: Situation) -> Switch:
        """Switch there."""
        self._leaving, self._again_ns = target.ap, None
        self._leaving_until_ns = here.now_ns + _BOUND_NS
        return Switch(target.ap, rule=rule, inputs=inputs)

    def let_go(
        self, rule: str, inputs: dict[str, Value], out: list[Decision], *, but: str = ""
    ) -> None:
        """Nothing is prepared any more."""
        if self._target and self._target != but and self._level:
            out.append(LetGo(self._target, rule=rule, inputs=inputs))
        self._target = ""

    def _fail(self, here: Situation) -> None:
        self.ranking.bar(self._leaving, here)
        self._leaving = self._target = ""
        if not here.linked:
            self._again_ns = here.now_ns

    def _move(self, here: Situation, out: list[Decision]) -> None:
        best = self.ranking.best(here)
        if here.linked:
            track = self.ranking.track(here.serving)
            if track is not None and best:
                self.react(here, track, best[0], out)
            if track is not None and not self._leaving:
                self._look(here, track, best[0] if best else None, out)
            return
        if not best and self._again_ns is not None and here.now_ns >= self._again_ns:
            self._again_ns = here.now_ns + _AGAIN_NS
            best = self.ranking.best(here, hopeless=True)
        if best:
            inputs: dict[str, Value] = {"snr_db": round(best[0].snr_db, 2)}
            out.append(self.go(best[0], "link-lost", inputs, here))

    def _look(self, here: Situation, track: Track, best: Track | None, out: list[Decision]) -> None:
        """Have a look around if it is time."""
        now_ns, every_ns = here.now_ns, self._scan_ns
        old = best is None or now_ns - best.heard_ns > every_ns
        if every_ns and old and now_ns >= self._due_ns and self.looks_around(track):
            self._due_ns = now_ns + every_ns
            inputs: dict[str, Value] = {
                "serving_snr_db": round(track.snr_db, 2),
                "heard_s": None if best is None else (now_ns - best.heard_ns) / _NS_PER_S,
            }
            out.append(Probe("scan", rule="scan", inputs=inputs))
