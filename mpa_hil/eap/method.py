"""What an EAP method is to the peer's state machine (RFC 4137 s4.2), sans-IO.

RFC 4137 has a method report two variables, methodState and decision. Only five of their
combinations mean anything different, so `Standing` names those.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from mpa_hil.eap.interface import Cause, Failure, Random, Success


class Standing(Enum):
    """How a method stands after a request."""

    CONTINUES = "continues"
    """CONT: it cannot end here, so neither Success nor Failure is to be believed."""
    MAY_FAIL = "may fail"
    """MAY_CONT, FAIL: this peer has shown its credentials, and the server may refuse them."""
    MAY_END = "may end"
    """MAY_CONT, COND_SUCC: the server is verified, keys are there, and its word is awaited."""
    WON = "won"
    """DONE, UNCOND_SUCC: the server has said so under the method's own protection."""
    LOST = "lost"
    """DONE, FAIL."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a method made of a request."""

    standing: Standing
    data: bytes | None = None
    """Type-Data of the response; None drops the request silently."""
    failure: Failure | None = None
    """With LOST: why."""
    ignored: str = ""
    """With no data: why the request was dropped, or refused with Nak."""
    nak: bool = False
    """Answer with Nak instead: the method will not do it on these terms (RFC 5433 s10)."""


def ignore(standing: Standing, why: str) -> Step:
    """Drop a request silently; nothing has changed."""
    return Step(standing, ignored=why)


def lose(cause: Cause, reason: str, data: bytes = b"") -> Step:
    """End without success; `data` still goes to the server."""
    return Step(Standing.LOST, data, Failure(cause, reason))


class MethodRun(Protocol):
    """One run of a method."""

    def process(self, data: bytes) -> Step:
        """Digest the Type-Data of a request; raises nothing, whatever it is."""

    def succeed(self) -> Success:
        """The keys. Only called while the standing is MAY_END or WON, and once."""

    def fail(self) -> None:
        """The authentication has failed: forget what would only fail again."""


class Method(Protocol):
    """A method with its credentials, for any number of runs."""

    @property
    def type(self) -> int:
        """Its EAP type."""

    def begin(self, random: Random) -> MethodRun:
        """Start a run."""
