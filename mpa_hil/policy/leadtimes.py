"""How long each step takes, measured while running, and RFC 6252 C.6's rule. Sans-IO.

C.6: pre-authentication is possible where 2 RTT + Tpsk < D / v, with the address
2 RTT + Tpsk + Tconf < D / v. Its D / v, the time that is left, is here whatever the policy predicts
it to be. What C.6 does not count (an EAP method of more round trips, tunnel, binding) is counted
once it has been measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpa_hil.handover.options import Level

from .interface import Part

_NS_PER_S = 1_000_000_000
_GAIN = 0.25
"""Weight of a new measurement in the mean and in the deviation (RFC 6298 s2 has 1/8 and 1/4; there
are few measurements here, and the path may have changed since the last)."""
_SHORTEST_NS, _LONGEST_NS = 0, 3600 * _NS_PER_S
"""What lies outside is no measurement but a clock that jumped."""
ASSUMED_S: dict[Part, float] = {
    "round_trip": 0.3,
    "keys": 0.05,
    "authentication": 0.0,
    "configuration": 1.5,
    "tunnel": 1.2,
    "binding": 0.3,
    "switch": 0.1,
}
"""Before anything was measured: a home on another continent, duplicate address detection of 1 s.
Step 1 as a whole is then what C.6 says."""


@dataclass(slots=True)
class _Estimate:
    mean_s: float
    deviation_s: float

    def add(self, took_s: float) -> None:
        off = took_s - self.mean_s
        self.mean_s += _GAIN * off
        self.deviation_s += _GAIN * (abs(off) - self.deviation_s)

    @property
    def bound_s(self) -> float:
        return self.mean_s + 2 * self.deviation_s


class LeadTimes:
    """Estimates of each part for each realm: mean plus two mean deviations."""

    def __init__(self) -> None:
        self._estimates: dict[tuple[str, Part], _Estimate] = {}

    def add(self, part: Part, took_ns: int, realm: str = "") -> None:
        """Take a measurement in; one that no clock can have shown is left out."""
        if not _SHORTEST_NS <= took_ns <= _LONGEST_NS:
            return
        took_s = took_ns / _NS_PER_S
        for where in {realm: None, "": None}:
            known = self._estimates.get((where, part))
            if known is None:
                self._estimates[where, part] = _Estimate(took_s, took_s / 4)
            else:
                known.add(took_s)

    def part_s(self, part: Part, realm: str = "") -> float:
        """How long it will take at most, as far as is known: there, else anywhere, else a guess."""
        known = self._estimates.get((realm, part)) or self._estimates.get(("", part))
        return ASSUMED_S[part] if known is None else known.bound_s

    def authentication_s(self, realm: str = "") -> float:
        """Step 1: 2 RTT + Tpsk, or what it took before if that is more."""
        rule_s = 2 * self.part_s("round_trip", realm) + self.part_s("keys", realm)
        return max(rule_s, self.part_s("authentication", realm))

    def needed_s(self, level: Level, realm: str = "", reached: int = 0) -> float:
        """From `reached` to `level`: C.6's left side, with tunnel and binding for level 3."""
        total_s = 0.0
        if reached < Level.AUTHENTICATED <= level:
            total_s += self.authentication_s(realm)
        if reached < Level.CONFIGURED <= level:
            total_s += self.part_s("configuration", realm)
        if reached < Level.BOUND <= level:
            total_s += self.part_s("tunnel", realm) + self.part_s("binding")
        return total_s

    def possible(
        self, left_s: float, realm: str = "", reached: int = 0, highest: Level = Level.BOUND
    ) -> Level:
        """The highest level that can still be reached in the time that is left."""
        for level in (Level.BOUND, Level.CONFIGURED, Level.AUTHENTICATED):
            if level <= highest and (
                level <= reached or self.needed_s(level, realm, reached) < left_s
            ):
                return level
        return Level.REACTIVE
