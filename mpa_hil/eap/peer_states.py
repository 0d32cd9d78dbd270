"""The EAP peer's transitions as data (RFC 4137 s4, figure 3), sans-IO.

RFC 4137 draws many states that last no time. What remains between two packets is how the method
stands; each pair of that and of what comes in has one action, and this table is all of them.
docs/eap.md shows it, drawn from here.
"""

from __future__ import annotations

from enum import Enum

from mpa_hil.eap.method import Standing


class Phase(Enum):
    """Where the peer is between two packets."""

    IDENTIFYING = "identifying"
    """No method yet (methodState NONE)."""
    CONTINUES = "continues"
    MAY_FAIL = "may fail"
    MAY_END = "may end"
    WON = "won"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Event(Enum):
    """What comes in."""

    REPEATED = "request repeated"
    """A request with the identifier of the last one (RFC 3748 s4.1)."""
    IDENTITY = "Identity"
    NOTIFICATION = "Notification"
    METHOD = "own method"
    """A request of the method that runs."""
    OTHER = "other method"
    """A request of any other type; before a method runs, of any method."""
    SUCCESS = "Success"
    """With the last request's identifier; any other identifier is no event at all."""
    FAILURE = "Failure"
    ACCEPTED_BELOW = "accepted below"
    REJECTED_BELOW = "rejected below"


class Action(Enum):
    """What the peer does."""

    DISCARD = "-"
    RETRANSMIT = "same response"
    IDENTIFY = "identity"
    NOTIFY = "acknowledge"
    CHOOSE = "method or Nak"
    PROCESS = "method"
    SUCCEED = "SUCCEED"
    FAIL = "FAIL"


_LETTERS: dict[str, Action] = {
    action.name[0]: action for action in Action if action is not Action.DISCARD
}
_LETTERS["-"] = Action.DISCARD
# The columns are Event's members in their order.
_ROWS = {
    # A canned Success is dropped; a Failure answers the identity (RFC 3748 s4.2).
    Phase.IDENTIFYING: "R I N - C - F - F",
    Phase.CONTINUES: "R - N P - - - - F",
    Phase.MAY_FAIL: "R - N P - - F - F",
    # No result indication yet: neither Success nor Failure may be dropped (RFC 3748 s4.2).
    Phase.MAY_END: "R - N P - S F S F",
    # Result indications exchanged: Failure must be dropped (RFC 3748 s4.2).
    Phase.WON: "R - - - - S - S F",
    Phase.SUCCEEDED: "R - - - - - - - -",
    Phase.FAILED: "R - - - - - - - -",
}

TRANSITIONS: dict[tuple[Phase, Event], Action] = {
    (phase, event): _LETTERS[letter]
    for phase, row in _ROWS.items()
    for event, letter in zip(Event, row.split(), strict=True)
}

PHASE_OF = {
    Standing.CONTINUES: Phase.CONTINUES,
    Standing.MAY_FAIL: Phase.MAY_FAIL,
    Standing.MAY_END: Phase.MAY_END,
    Standing.WON: Phase.WON,
    Standing.LOST: Phase.FAILED,
}
"""The phase that a method's step leads to."""


def markdown() -> str:
    """The table for the documentation."""
    lines = ["| phase | " + " | ".join(event.value for event in Event) + " |"]
    lines.append("|---" * (1 + len(Event)) + "|")
    for phase in Phase:
        cells = (TRANSITIONS[phase, event].value for event in Event)
        lines.append(f"| {phase.value} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
