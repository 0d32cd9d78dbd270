"""How far each candidate is to be prepared: C.4's levels, C.6's rule, the budget. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isinf

from .budget import Budget, Limits
from .interface import Decision, Holding, LetGo, Level, Prepare, Stay, Value
from .situation import Situation

_NS_PER_S = 1_000_000_000
_RETRY_DOUBLINGS = 6
_PATIENCE_S = 2.0
"""A step that takes longer than twice its lead time and this is not waited for."""
_OVERDUE_S = 0.1
"""What is overdue is expected within this."""


class Preparations:
    """What has been asked for, and what may be asked next.

    Args:
        factor: a lead time counts as so many times what was measured.
        margin_s: and so much is added to it.
        retry_s: after a preparation that failed; doubles.
    """

    def __init__(self, limits: Limits, factor: float, margin_s: float, retry_s: float) -> None:
        self.asked: dict[str, int] = {}
        """Level by target, for all that are not kept contexts."""
        self._asked_ns: dict[str, int] = {}
        self._budget = Budget(limits)
        self._factor = factor
        self._margin_s = margin_s
        self._retry_ns = int(retry_s * _NS_PER_S)
        self._failed: dict[str, tuple[int, int]] = {}
        """By target: how often in a row, and until when it is left alone."""

    # --- C.6

    def ahead_s(self, situation: Situation, reached: Level) -> float:
        """For all that is to be done ahead from that level on, wherever, with factor and margin."""
        return self._safe(situation.lead.needed_s(Level.BOUND, "", reached))

    def waits_s(self, situation: Situation, target: str) -> float:
        """Until the next step there is done, about; 0: none is under way, or it is overdue."""
        asked, held = self.asked.get(target, 0), situation.holdings.get(target)
        reached = situation.level(target)
        staged = held is not None and held.tunnel and not held.under_way
        if asked <= reached or staged:
            return 0.0
        realm = situation.candidate(target).realm
        needed_s = situation.lead.needed_s(Level(reached + 1), realm, reached)
        since_ns = self._asked_ns.get(target, 0)
        if held is not None and held.t_ns > since_ns:
            since_ns = held.t_ns
        left_s = needed_s - (situation.now_ns - since_ns) / _NS_PER_S
        return max(left_s, _OVERDUE_S) if left_s > -needed_s - _PATIENCE_S else 0.0

    def _safe(self, needed_s: float) -> float:
        return needed_s * self._factor + self._margin_s

    def possible(self, situation: Situation, target: str, left_s: float, wanted: Level) -> Level:
        """What of `wanted` can still be reached there in the time that is left (C.6).

        Without factor and margin: what does not get done after all is done after the switch.
        """
        realm, reached = situation.candidate(target).realm, situation.level(target)
        return situation.lead.possible(left_s, realm, reached, wanted)

    # --- what to ask for

    def prepare(
        self,
        situation: Situation,
        target: str,
        wanted: Level,
        left_s: float,
        rule: str,
        why: Callable[[], dict[str, Value]],
    ) -> Decision | None:
        """Ask for as much as can be had and is not asked for yet.

        Args:
            left_s: until the link is lost, as predicted.
            rule: of the decision, unless it is C.6's.
            why: further inputs of the decision.
        """
        reached = situation.level(target)
        have = max(reached, self.asked.get(target, 0))
        if wanted <= have:
            return None
        failures, until_ns = self._failed.get(target, (0, 0))
        if situation.now_ns < until_ns:
            return None
        highest = Level(max(0, min(situation.candidate(target).highest, 3)))
        wanted = min(wanted, highest)
        possible = self.possible(situation, target, left_s, wanted)
        level = self._budget.allowed(situation, target, possible) if possible > have else possible
        if level <= have:
            if possible < wanted and reached == 0 and have == 0:
                inputs = why() | self._told(situation, target, left_s, wanted)
                return Stay(target, rule="c6-too-late", inputs=inputs)
            return None
        inputs = why() | self._told(situation, target, left_s, wanted)
        inputs |= {"possible": int(possible), "allowed": int(level), "failures": failures}
        self._budget.spend(situation.now_ns, have, level)
        self.asked[target] = level
        self._asked_ns[target] = situation.now_ns
        return Prepare(target, level, rule="c6-level" if possible < wanted else rule, inputs=inputs)

    def _told(
        self, situation: Situation, target: str, left_s: float, wanted: Level
    ) -> dict[str, Value]:
        lead, realm = situation.lead, situation.candidate(target).realm
        return {
            "wanted": int(wanted),
            "reached": situation.level(target),
            "left_s": None if isinf(left_s) else round(left_s, 3),
            "round_trip_s": round(lead.part_s("round_trip", realm), 4),
            "keys_s": round(lead.part_s("keys", realm), 4),
            "authentication_s": round(lead.authentication_s(realm), 4),
            "configuration_s": round(lead.part_s("configuration", realm), 4),
            "tunnel_s": round(lead.part_s("tunnel", realm), 4),
            "binding_s": round(lead.part_s("binding"), 4),
        }

    # --- what became of it

    def heard(self, event: Holding, situation: Situation) -> None:
        """A target's preparation has changed."""
        asked = self.asked.get(event.ap)
        if asked is None or event.under_way or event.context:
            return
        if event.level >= asked or (asked == Level.BOUND and event.tunnel):
            self._failed.pop(event.ap, None)
            return
        count, _ = self._failed.get(event.ap, (0, 0))
        wait_ns = self._retry_ns * 2 ** min(count, _RETRY_DOUBLINGS)
        self._failed[event.ap] = (count + 1, situation.now_ns + wait_ns)
        if event.level:
            self.asked[event.ap] = event.level
        else:
            del self.asked[event.ap]

    def drop(self, target: str, rule: str, inputs: dict[str, Value]) -> Iterator[LetGo]:
        """Let go of it, if anything was asked for."""
        if self.asked.pop(target, None) is not None:
            yield LetGo(target, rule=rule, inputs=inputs)

    def drop_all(
        self, rule: str, inputs: dict[str, Value], *, without: str = ""
    ) -> Iterator[LetGo]:
        """Let go of everything but one."""
        for target in sorted(self.asked):
            if target != without:
                yield from self.drop(target, rule, inputs)

    def forget(self, target: str) -> None:
        """The node is there now."""
        self.asked.pop(target, None)
        self._failed.pop(target, None)
