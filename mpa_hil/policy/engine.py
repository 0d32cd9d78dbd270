"""One node's policy with its situation: inputs in, decisions out. Sans-IO."""

from __future__ import annotations

from .interface import (
    Bind,
    Decision,
    Decisions,
    Input,
    KeepContext,
    LetGo,
    Policy,
    Prepare,
    Return,
    Stay,
    Switch,
)
from .situation import Situation

_MOVES = (Prepare, Bind, Switch, Return)
REFUSED = "refused"
"""Rule of the `Stay` that stands for a decision which makes no sense."""


class Engine:
    """Keeps the situation and asks the policy.

    A policy may be somebody else's: a decision that makes no sense, whatever the node would make of
    it, is turned into a `Stay` that says so.
    """

    def __init__(self, policy: Policy) -> None:
        self.situation = Situation()
        self._policy = policy

    def feed(self, event: Input) -> Decisions:
        """Take an input in; what is to be done now, in this order."""
        self.situation.note(event)
        decisions = self._policy.decide(event, self.situation)
        if decisions:
            return tuple(self._checked(decision) for decision in decisions)
        return ()

    def next_deadline(self) -> int | None:
        """When a `Tick` is wanted if nothing else happens; CLOCK_MONOTONIC ns."""
        return self._policy.next_deadline()

    def _checked(self, decision: Decision) -> Decision:
        why = self._nonsense(decision)
        if not why:
            return decision
        inputs = {"decision": type(decision).__name__, "its_rule": decision.rule, "why": why}
        return Stay(getattr(decision, "target", ""), rule=REFUSED, inputs=inputs)

    def _nonsense(self, decision: Decision) -> str:
        here = self.situation
        match decision:
            case Prepare(target=target, level=level):
                if not 1 <= level <= max(1, here.candidate(target).highest):
                    return f"level {int(level)} is not to be had there"
            case LetGo(target=target) if target == here.serving and here.linked:
                return "it is the access point in use"
            case KeepContext(for_ns=for_ns) if for_ns < 0:
                return "a time of less than nothing"
        if isinstance(decision, _MOVES):
            if decision.target not in here.candidates:
                return "an access point that is not known"
            if decision.target == here.serving and here.linked:
                return "the node is there"
        return ""
