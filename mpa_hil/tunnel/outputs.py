"""What an access router's machine wants done, and what it tells. Sans-IO.

Of the verbs' results the owner carries out `Act` and `Send` in their order and at once; the others
are for the log, and may wait until nothing is urgent.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpa_hil.light import light
from mpa_hil.mobility.interface import Address, Discarded, Endpoint, Send
from mpa_hil.tunnel.interface import Code, Kind
from mpa_hil.tunnel.sessions import Asked, Session
from mpa_hil.tunnel.states import Cue, Order, State


@light
class Act:
    """Have the kernel do this, then call `RouterTunnels.acted` (`checked` for CHECK, later)."""

    order: Order
    session: Session
    cue: Cue
    state: State
    """When it is done."""
    asked: Asked | None = None
    """The request to answer then."""
    kind: Kind | None = None
    outer: Address | None = None
    """MOVE: to where."""


@light
class Changed:
    """A session's state is another. GONE: nothing of it is left."""

    session: Session
    before: State
    state: State
    cue: Cue
    held_ns: int = 0
    """From HOLDING on: how long."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request was refused."""

    owner: str
    kind: Kind | None
    code: Code
    why: str
    source: Endpoint


@dataclass(frozen=True, slots=True)
class Failed:
    """The kernel would not."""

    session: Session
    order: Order
    why: str


RouterOutput = Act | Send | Changed | Refusal | Failed | Discarded
