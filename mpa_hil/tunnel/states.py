"""One session at an access router, as a table: what each cue does in each state. Sans-IO."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class State(Enum):
    """Where packets for a session's inner addresses go."""

    CHECKING = "checking"
    """Nowhere yet: duplicate address detection runs on the link (R96)."""
    TUNNELLED = "tunnelled"
    """Through the tunnel, to where the MN is. The router proxies for its addresses (R59)."""
    HOLDING = "holding"
    """They wait, in the kernel (R18, R23, R73)."""
    BICASTING = "bicasting"
    """Both through the tunnel and onto the link; nothing is held (R74)."""
    DIRECT = "direct"
    """Straight onto the link; nothing is proxied. The tunnel still takes what is on its way up."""
    DETAINED = "detained"
    """At the old router: straight onto the link, and everything is ready to hold them (R73)."""
    GONE = "gone"
    """Nowhere else than without a session; nothing is left in the kernel."""

    __hash__ = object.__hash__


class Cue(Enum):
    """What changes the state."""

    FREE = "address free"
    TAKEN = "address in use"
    DISABLE = "disable"
    BICAST = "disable, while bicasting"
    ENABLE = "enable"
    ARRIVED = "arrived"
    """The MN says so, on the link (R61)."""
    ASSOCIATED = "associated"
    """Its access point says so (R62)."""
    LIMIT = "hold limit"
    UNCLAIMED = "hold limit at the old router"
    """Nothing is forwarded to where nobody asked for it."""
    LINGERED = "lingered"
    """It has been on the link for long enough."""
    DELETE = "delete"
    EXPIRED = "expired"
    WITHDRAWN = "key withdrawn"
    REPLACED = "replaced"
    """The same MN created it anew, otherwise."""
    EVICTED = "evicted"
    """To make room: it was the one that was not used for longest."""
    STOPPED = "stopped"
    FAILED = "the kernel refused"
    MOVED = "moved"
    """The MN's outer address is another; the state is not."""

    __hash__ = object.__hash__


class Order(Enum):
    """What the kernel must do."""

    CHECK = "check"
    """Has anybody on the link these addresses?"""
    INSTALL = "install"
    """The tunnel with its routes, proxies and staged hold."""
    PREPARE = "prepare"
    """As INSTALL, but without proxies, and packets still go straight onto the link."""
    HOLD = "hold"
    """One message: packets wait from now on."""
    DIRECT = "direct"
    """One message: what waited goes onto the link, in order, and so does what follows; nothing is
    proxied any more. The tunnel stays for stragglers on their way up."""
    BICAST = "bicast"
    """One message: packets go through the tunnel and, copied, onto the link."""
    RESTAGE = "restage"
    """After BICAST: through the tunnel alone."""
    RESUME = "resume"
    """What waited goes through the tunnel, in order, and so does what follows."""
    MOVE = "move"
    """The MN's outer address is another."""
    ADVERTISE = "advertise"
    """A router advertisement into the tunnel (R63)."""
    REMOVE = "remove"
    """All of it; what still waited goes onto the link."""

    __hash__ = object.__hash__


class Step(NamedTuple):
    """What a cue does."""

    order: Order | None
    state: State


_ENDS = (Cue.DELETE, Cue.EXPIRED, Cue.WITHDRAWN, Cue.REPLACED, Cue.EVICTED, Cue.STOPPED, Cue.FAILED)
_STANDING = (State.TUNNELLED, State.HOLDING, State.BICASTING, State.DIRECT, State.DETAINED)

TRANSITIONS: dict[tuple[State, Cue], Step] = {
    (State.CHECKING, Cue.FREE): Step(Order.INSTALL, State.TUNNELLED),
    (State.CHECKING, Cue.TAKEN): Step(None, State.GONE),
    (State.CHECKING, Cue.ASSOCIATED): Step(None, State.GONE),  # it did not wait for its tunnel
    (State.TUNNELLED, Cue.DISABLE): Step(Order.HOLD, State.HOLDING),
    (State.TUNNELLED, Cue.ENABLE): Step(None, State.TUNNELLED),
    (State.TUNNELLED, Cue.ARRIVED): Step(Order.DIRECT, State.DIRECT),
    (State.TUNNELLED, Cue.ASSOCIATED): Step(Order.DIRECT, State.DIRECT),
    (State.TUNNELLED, Cue.BICAST): Step(Order.BICAST, State.BICASTING),
    (State.BICASTING, Cue.BICAST): Step(None, State.BICASTING),
    (State.BICASTING, Cue.ENABLE): Step(Order.RESTAGE, State.TUNNELLED),
    (State.BICASTING, Cue.LIMIT): Step(Order.RESTAGE, State.TUNNELLED),
    (State.BICASTING, Cue.ARRIVED): Step(Order.DIRECT, State.DIRECT),
    (State.BICASTING, Cue.ASSOCIATED): Step(Order.DIRECT, State.DIRECT),
    (State.HOLDING, Cue.DISABLE): Step(None, State.HOLDING),
    (State.HOLDING, Cue.ENABLE): Step(Order.RESUME, State.TUNNELLED),
    (State.HOLDING, Cue.LIMIT): Step(Order.RESUME, State.TUNNELLED),
    (State.HOLDING, Cue.UNCLAIMED): Step(Order.REMOVE, State.GONE),
    (State.HOLDING, Cue.ARRIVED): Step(Order.DIRECT, State.DIRECT),
    (State.HOLDING, Cue.ASSOCIATED): Step(Order.DIRECT, State.DIRECT),
    (State.DIRECT, Cue.ARRIVED): Step(None, State.DIRECT),
    (State.DIRECT, Cue.LINGERED): Step(Order.REMOVE, State.GONE),
    (State.DETAINED, Cue.DISABLE): Step(Order.HOLD, State.HOLDING),
    (State.DETAINED, Cue.ARRIVED): Step(None, State.DETAINED),
    (State.DETAINED, Cue.ENABLE): Step(None, State.DETAINED),  # the MN proves where it will be
    **{(State.CHECKING, cue): Step(None, State.GONE) for cue in _ENDS},
    **{(state, cue): Step(Order.REMOVE, State.GONE) for state in _STANDING for cue in _ENDS},
}
"""Whatever is not here changes nothing; a request for it is refused (WRONG_STATE)."""


def follow(state: State, cue: Cue) -> Step | None:
    """What a cue does, None when it has no meaning."""
    return TRANSITIONS.get((state, cue))


def diagram() -> str:
    """The table as a Mermaid diagram, for docs/tunnel.md."""
    edges: dict[tuple[State, State], list[str]] = {}
    for (before, cue), step in TRANSITIONS.items():
        if before is not step.state and cue not in _ENDS:
            edges.setdefault((before, step.state), []).append(cue.value)
    lines = ["stateDiagram-v2", "    [*] --> checking: create", "    [*] --> detained: detain"]
    lines += [f"    {a.value} --> {b.value}: {' / '.join(cues)}" for (a, b), cues in edges.items()]
    return "\n".join((*lines, "    gone --> [*]"))
