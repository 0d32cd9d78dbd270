"""What a pilot's decisions came to. Sans-IO."""

from __future__ import annotations

from collections import Counter

from mpa_hil.handover import interface as do
from mpa_hil.handover.interface import Action, Outcome
from mpa_hil.handover.options import Level
from mpa_hil.policy import interface as say
from mpa_hil.policy.budget import STEP_OCTETS
from mpa_hil.policy.interface import Decision

RETURN_NS = 60_000_000_000
"""A move back to where the node came from less than this before is a ping-pong."""


class Tally:
    """Counts.

    Args:
        here: access point that the node begins on.
    """

    def __init__(self, here: str) -> None:
        self.counts: Counter[str] = Counter()
        self.here = here
        self._left_ns: dict[str, int] = {}
        self._ahead: dict[str, list[Level]] = {}
        """Steps beyond keys that were taken for a target, and neither used nor given back yet."""
        self._keys: set[str] = set()
        self._used: set[str] = set()

    def decided(self, decision: Decision) -> None:
        """The policy decided something."""
        self.counts["decisions"] += not isinstance(decision, say.Stay)
        self.counts["probes"] += isinstance(decision, say.Probe)
        self.counts["returns"] += isinstance(decision, say.Return)

    def keys(self, realm: str) -> None:
        """A network's keys are in place."""
        self.counts["authentications"] += 1
        self.counts["octets"] += STEP_OCTETS[Level.AUTHENTICATED]
        self._keys.add(realm)

    def note(self, target: str, action: Action) -> None:
        """An action is carried out for a target."""
        match action:
            case do.Configure():
                self._step(target, Level.CONFIGURED, "addresses")
            case do.CreateTunnel():
                self._step(target, Level.BOUND, "tunnels")
            case do.Finished(outcome=Outcome.MOVED):
                self._ahead.pop(target, None)
            case do.Finished(outcome=Outcome.STAYED):
                self._waste(target)

    def arrived(self, ap: str, t_ns: int, *, eap: bool) -> bool:
        """The node is on an access point; whether it has moved."""
        old, self.here = self.here, ap
        if old == ap:
            return False
        self.counts["switches"] += 1
        self.counts["full_authentications"] += eap
        left_ns = self._left_ns.get(ap)
        self.counts["ping_pongs"] += left_ns is not None and t_ns - left_ns < RETURN_NS
        self._left_ns[old] = t_ns
        return True

    def failed(self) -> None:
        """A switch did not end at its target."""
        self.counts["failed"] += 1

    def use(self, realm: str) -> None:
        """The node came to a network whose keys it had."""
        self._used.add(realm)

    def end(self) -> None:
        """What is still there was for nothing, too."""
        for target in tuple(self._ahead):
            self._waste(target)
        unused = len(self._keys - self._used)
        self.counts["wasted_authentications"] += unused
        self.counts["wasted_octets"] += unused * STEP_OCTETS[Level.AUTHENTICATED]

    def _step(self, target: str, level: Level, what: str) -> None:
        self.counts[what] += 1
        self.counts["octets"] += STEP_OCTETS[level]
        self._ahead.setdefault(target, []).append(level)

    def _waste(self, target: str) -> None:
        for level in self._ahead.pop(target, ()):
            self.counts["wasted_addresses" if level is Level.CONFIGURED else "wasted_tunnels"] += 1
            self.counts["wasted_octets"] += STEP_OCTETS[level]
