"""What a pilot's decisions came to. Sans-IO."""

from __future__ import annotations

from collections import Counter

from mpa_hil.handover import interface as do
from mpa_hil.handover.interface import Action, Outcome
from mpa_hil.handover.options import Level
from mpa_hil.policy import interface as say
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
        self._said: Counter[tuple[str, Level]] = Counter()
        """Octets for those steps."""
        self._given_up: set[str] = set()
        """Targets of which whatever is still said was for nothing."""
        self._keys: set[str] = set()
        self._keys_said: Counter[str] = Counter()
        """Octets of EAP runs ahead, by realm."""
        self._used: set[str] = set()

    def decided(self, decision: Decision) -> None:
        """The policy decided something."""
        self.counts["decisions"] += not isinstance(decision, say.Stay)
        self.counts["probes"] += isinstance(decision, say.Probe)
        self.counts["returns"] += isinstance(decision, say.Return)

    def keys(self, realm: str) -> None:
        """A network's keys are in place."""
        self.counts["authentications"] += 1
        self._keys.add(realm)

    def authenticated(self, realm: str, octets: int) -> None:
        """An EAP run ahead of a move took so much signalling."""
        self.counts["octets"] += octets
        self._keys_said[realm] += octets

    def signalled(self, target: str, level: Level, octets: int) -> None:
        """So much was said for a step of a target's preparation: CONFIGURED its address, BOUND its
        tunnel."""
        self.counts["octets"] += octets
        if target in self._given_up:
            self.counts["wasted_octets"] += octets
        else:
            self._said[target, level] += octets

    def note(self, target: str, action: Action) -> None:
        """An action is carried out for a target."""
        match action:
            case do.Configure():
                self._step(target, Level.CONFIGURED, "addresses")
            case do.CreateTunnel():
                self._step(target, Level.BOUND, "tunnels")
            case do.Finished(outcome=Outcome.MOVED):
                self._ahead.pop(target, None)
                self._forget(target)
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
        unused = self._keys - self._used
        self.counts["wasted_authentications"] += len(unused)
        self.counts["wasted_octets"] += sum(self._keys_said[realm] for realm in unused)

    def _step(self, target: str, level: Level, what: str) -> None:
        self.counts[what] += 1
        self._given_up.discard(target)
        self._ahead.setdefault(target, []).append(level)

    def _waste(self, target: str) -> None:
        for level in self._ahead.pop(target, ()):
            self.counts["wasted_addresses" if level is Level.CONFIGURED else "wasted_tunnels"] += 1
            self.counts["wasted_octets"] += self._said.pop((target, level), 0)
        self._given_up.add(target)

    def _forget(self, target: str) -> None:
        """What was said of it served."""
        for level in Level:
            self._said.pop((target, level), None)
