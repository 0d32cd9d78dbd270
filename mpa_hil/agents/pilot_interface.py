"""What a pilot works with. Sans-IO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mpa_hil.handover.interface import Action, Options
from mpa_hil.policy import interface as say


class Hands(Protocol):
    """What a pilot can do."""

    @property
    def looking(self) -> bool:
        """Whether a scan is under way: a switch would wait for it, and the router holds for it."""

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC."""

    def wake(self, due_ns: int | None) -> None:
        """Call `Pilot.expire` at that time, and at none that was said before."""

    def carry(self, target: str, action: Action) -> None:
        """Carry out an action of the handover to a target; "": of none in particular."""

    def want_keys(self, realm: str) -> str:
        """Have a network's keys prepared; "" or why not. `Pilot.told` is told the rest."""

    def look(self, frequency_mhz: int, target: str, *, test: bool = False) -> None:
        """Scan a channel; or see whether the target there answers (R83)."""

    def hold_off(self, until_ns: int) -> None:
        """A switch may be near: the radio leaves its channel for nobody but the policy."""

    def doubt(self, doubtful: bool) -> None:
        """Have packets sent to the present network too when another is bound, or not any more."""

    def rest(self) -> None:
        """Ask the radio nothing from now on: a switch begins."""

    def serve(self, ap: str) -> None:
        """The node is on an access point: ask on there."""

    def alone(self) -> None:
        """The node is on none."""

    def emit(self, kind: str, t_ns: int, fields: Mapping[str, object]) -> None:
        """Write an event."""


@dataclass(frozen=True, slots=True)
class Place:
    """An access point that the node may go to.

    Attributes:
        networks: description of its network for the pre-authentication process.
    """

    candidate: say.Candidate
    networks: str

    @property
    def realm(self) -> str:
        """Its domain."""
        return self.candidate.realm


@dataclass(frozen=True, slots=True)
class Brief:
    """What a pilot begins with.

    Attributes:
        policy: its name, for the log.
        settings: its options, for the log.
        here: access point that the node is on.
        spacing_ms: of the traffic's packets; 0: unknown.
        doubt_ns: longest time for which packets go to two networks; 0: never.
    """

    policy: str
    settings: Mapping[str, object]
    places: Sequence[Place]
    here: str
    options: Options
    spacing_ms: float = 0.0
    doubt_ns: int = 0
