"""For how long a node is in doubt where it will be, so that packets go to two networks (RFC 6252
s7.2, C.2). Sans-IO.

A policy says `Bind` with `doubtful`. The doubt ends when it binds without, lets go of what was
bound, or the old binding is restored; and a bounded time after it began, or after each move
meanwhile: who goes to and fro is in doubt still.
"""

from __future__ import annotations

from mpa_hil.policy import interface as say
from mpa_hil.policy.interface import Decision


class Doubt:
    """One node's.

    Args:
        limit_ns: of the time; 0: it is never in doubt.
    """

    def __init__(self, limit_ns: int) -> None:
        self._limit_ns = limit_ns
        self._until_ns: int | None = None
        self._whom = ""

    @property
    def on(self) -> bool:
        """Whether it is."""
        return self._until_ns is not None

    def decided(self, decision: Decision, now_ns: int) -> None:
        """The policy has decided something."""
        match decision:
            case say.Bind(target=target, doubtful=True) if self._limit_ns:
                self._whom, self._until_ns = target, now_ns + self._limit_ns
            case say.Bind():
                self.end()
            case say.LetGo(target=target) if target == self._whom:
                self.end()

    def moved(self, old: str, now_ns: int) -> None:
        """The node is on another access point; packets go on coming to the one it left."""
        if self.on:
            self._whom, self._until_ns = old, now_ns + self._limit_ns

    def end(self) -> None:
        """It is sure."""
        self._until_ns = None

    def expire(self, now_ns: int) -> None:
        """End it when its time is over."""
        if self._until_ns is not None and now_ns >= self._until_ns:
            self.end()

    def next_deadline(self) -> int | None:
        """CLOCK_MONOTONIC ns; None: there is no doubt."""
        return self._until_ns
