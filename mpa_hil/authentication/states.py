"""The authorisation of an MPA-SA at its AA (RFC 6252 C.2, R111-R115), as a table. Sans-IO."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """What an MN with an MPA-SA may do here. Each value's meaning is in docs."""

    NONE = "none"
    """No MPA-SA."""
    HELD = "held"
    """Unauthorised, but kept: pre-authenticated and not here yet, or here before and gone."""
    AUTHORISED = "authorised"
    """Fully authorised: it is here and has proved to hold the keys."""
    GONE = "gone"
    """Over; every key is withdrawn."""

    __hash__ = object.__hash__  # Enum's own is made in Python


class Cue(Enum):
    """What changes the state."""

    PREAUTHENTICATED = "pre-authenticated"
    """PANA success with the E bit (RFC 5873)."""
    AUTHENTICATED = "authenticated"
    """PANA success without it: the MN is in this network already (R91)."""
    PROVED_HERE = "proved to be here"
    """An AUTH-protected notification, from here, that this AA serves the MN now (R61, R115)."""
    LEFT = "left"
    """It has left: seen by the access points, told by the MN from elsewhere, or by command."""
    ENDED = "ended"
    """Terminated, expired, superseded or revoked."""

    __hash__ = object.__hash__


TRANSITIONS: dict[tuple[State, Cue], State] = {
    (State.NONE, Cue.PREAUTHENTICATED): State.HELD,
    (State.NONE, Cue.AUTHENTICATED): State.AUTHORISED,
    (State.HELD, Cue.PREAUTHENTICATED): State.HELD,
    (State.HELD, Cue.PROVED_HERE): State.AUTHORISED,
    (State.HELD, Cue.AUTHENTICATED): State.AUTHORISED,
    (State.HELD, Cue.LEFT): State.HELD,
    (State.HELD, Cue.ENDED): State.GONE,
    (State.AUTHORISED, Cue.AUTHENTICATED): State.AUTHORISED,
    (State.AUTHORISED, Cue.PROVED_HERE): State.AUTHORISED,
    (State.AUTHORISED, Cue.LEFT): State.HELD,
    (State.AUTHORISED, Cue.ENDED): State.GONE,
}
"""Whatever is not here changes nothing. Only a proof of the keys leads to AUTHORISED (R115)."""


def follow(state: State, cue: Cue) -> State:
    """The state after a cue."""
    return TRANSITIONS.get((state, cue), state)


def diagram() -> str:
    """The table as a Mermaid diagram, for docs/authentication_agent.md."""
    lines = ["stateDiagram-v2", "    [*] --> none"]
    lines += [
        f"    {before.value} --> {after.value}: {cue.value}"
        for (before, cue), after in TRANSITIONS.items()
        if before is not after
    ]
    return "\n".join((*lines, "    gone --> [*]"))
