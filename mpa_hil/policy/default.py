"""The default policy: predicts, prepares in time, and does not go to and fro. Sans-IO.

What it does about each input is here, what follows from all of them in `default_rules`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from . import interface as say
from .default_rules import Rules
from .default_settings import DefaultSettings
from .interface import Decision, Decisions, Input, Level, Stay, Value
from .situation import Situation

_NS_PER_MS = 1_000_000
_MISSES_EVERY_NS = 500 * _NS_PER_MS


class Default(Rules):
    """See docs/policy.md."""

    Settings = DefaultSettings

    def decide(self, event: Input, situation: Situation) -> Decisions:
        """See `Policy`."""
        out: list[Decision] = []
        hear = self._HEARERS.get(type(event))
        if hear is not None:
            hear(self, event, situation, out)
        self._think(situation, out)
        return tuple(out)

    def next_deadline(self) -> int | None:
        """See `Policy`."""
        due = [self._contexts.next_ns(), self._escape_ns]
        if self._leaving:
            due.append(self._leaving_until_ns)
        return min((each for each in due if each is not None), default=None)

    # --- what is heard

    def _on_sample(self, event: say.Sample, here: Situation, out: list[Decision]) -> None:
        track = self._ranking.heard(here)
        if track is not None and track.ap == here.serving and here.linked:
            self._watch.read(track, here)

    def _on_beacon_loss(self, event: say.BeaconLoss, here: Situation, out: list[Decision]) -> None:
        if event.ap != here.serving or not here.linked or self._leaving:
            return
        enough = event.missed == 0 or event.missed >= self._own.beacon_loss
        best = self._ranking.best(here)
        if not enough or here.now_ns < self._missed_ns + _MISSES_EVERY_NS or not best:
            return
        self._missed_ns = here.now_ns
        if self._usable(best[0]):
            inputs: dict[str, Value] = {"missed": event.missed, "limit": self._own.beacon_loss}
            self._go(best[0], "beacon-loss", inputs | self._ranking.why(best[0], here), here, out)

    def _on_candidate(self, event: say.CandidateSeen, here: Situation, _: list[Decision]) -> None:
        self._ranking.changed(event.candidate.ap, here)

    def _on_gone(self, event: say.CandidateGone, here: Situation, out: list[Decision]) -> None:
        if event.ap == here.serving:
            return
        self._ranking.forget(event.ap)
        if event.ap == self._leaving:
            return  # the switch itself finds out
        self._lose(event.ap, "target-gone", {"heard": False}, out)

    def _on_attached(self, event: say.Attached, here: Situation, out: list[Decision]) -> None:
        old = here.moves[-1].old if here.moves and here.moves[-1].new == event.ap else ""
        if self._contexts.serving == event.ap and not self._leaving and self._escape_ns is None:
            return  # told twice
        if self._leaving and self._contexts.serving == event.ap:
            self._failed(self._leaving, "came back", here, out)
        planned, self._leaving, self._escape_ns = self._leaving or self._target, "", None
        self._target = self._bound = ""
        self._told = ("", "")
        self._watch.clear()
        self._preparations.forget(event.ap)
        moved = bool(old) and self._contexts.serving != event.ap
        inputs: dict[str, Value] = {
            "from": old,
            "planned": planned,
            "landed": event.ap,
            "full_authentication": event.full_authentication,
        }
        if moved:
            self._scanning.left(here.candidate(old).frequency_mhz, here.now_ns)
            rule = "moved" if planned in ("", event.ap) else "landed-elsewhere"
            if rule != "moved":
                out.append(Stay(event.ap, rule=rule, inputs=inputs))
            out += self._preparations.drop_all(rule, inputs)
        out += self._contexts.arrived(event.ap, old if moved else "", here.now_ns)
        self._ranking.changed_all(here)

    def _on_lost(self, event: say.LinkLost, here: Situation, out: list[Decision]) -> None:
        if event.ap != here.serving:
            return
        self._ranking.bar(event.ap, here)
        if not self._leaving:
            self._escape_ns = here.now_ns

    def _on_holding(self, event: say.Holding, here: Situation, out: list[Decision]) -> None:
        self._preparations.heard(event, here)
        self._ranking.changed(event.ap, here)
        if event.ap == self._bound and event.level < Level.CONFIGURED:
            self._bound = ""
        if event.level == 0 and not event.under_way:
            self._contexts.lost(event.ap)

    def _on_failed(self, event: say.SwitchFailed, here: Situation, out: list[Decision]) -> None:
        self._failed(event.ap, event.why, here, out)

    def _on_probed(self, event: say.Probed, here: Situation, out: list[Decision]) -> None:
        self._scanning.done(here.now_ns)
        if event.ap:
            self._ranking.changed(event.ap, here)
            if event.refuted:
                self._ranking.bar(event.ap, here)
                inputs: dict[str, Value] = {"took_ms": event.took_ns / _NS_PER_MS, "by": event.by}
                self._lose(event.ap, "unreachable", inputs, out)

    _HEARERS: ClassVar[dict[type, Callable[[Any, Any, Situation, list[Decision]], None]]] = {
        say.Sample: _on_sample,
        say.BeaconLoss: _on_beacon_loss,
        say.CandidateSeen: _on_candidate,
        say.CandidateGone: _on_gone,
        say.Attached: _on_attached,
        say.LinkLost: _on_lost,
        say.Holding: _on_holding,
        say.SwitchFailed: _on_failed,
        say.Probed: _on_probed,
    }
