"""The states of one preparation as a table. Sans-IO.

INITIAL and OVER apart, a preparation has a PANA session in each state but PAUSING, and keys in
CONFIRMING, PREPARED and SERVING.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from mpa_hil.pana.transitions import Row, Table


class State(Enum):
    """Where one candidate network stands."""

    INITIAL = "initial"
    AUTHENTICATING = "authenticating"
    PAUSING = "pausing"
    """Between two attempts."""
    CONFIRMING = "confirming"
    """The MPA-SA stands; both ends are being given the keys."""
    PREPARED = "prepared"
    """The node may come, or come back."""
    SERVING = "serving"
    """The node is there."""
    CLOSING = "closing"
    """The keys are removed; the agent is being told."""
    OVER = "over"


class Event(Enum):
    """What can happen to it."""

    START = "start"
    ESTABLISHED = "session established"
    ATTEMPT_FAILED = "attempt failed"
    RETRY_DUE = "retry due"
    CONFIRMED = "keys accounted for"
    TIME_UP = "time is up"
    ARRIVED = "node arrives"
    LEFT = "node leaves"
    HOLD_OVER = "hold over"
    RELEASED = "released"
    FORGOTTEN = "agent has forgotten"
    SESSION_OVER = "session over"


_S = State
_E = Event
_TRYING: Final = (_S.AUTHENTICATING, _S.PAUSING)
KEYED: Final = (_S.CONFIRMING, _S.PREPARED, _S.SERVING)
"""States with an MPA-SA and its keys."""

TABLE: Final = Table[State, Event](
    [
        Row((_S.INITIAL,), _E.START, "", "begin", _S.AUTHENTICATING),
        Row((_S.INITIAL,), _E.RELEASED, "", "stop", _S.OVER),
        Row((_S.AUTHENTICATING,), _E.ESTABLISHED, "", "install", _S.CONFIRMING),
        Row((_S.AUTHENTICATING,), _E.ATTEMPT_FAILED, "may_retry", "pause", _S.PAUSING),
        Row((_S.AUTHENTICATING,), _E.ATTEMPT_FAILED, "", "fail", _S.OVER),
        Row((_S.PAUSING,), _E.RETRY_DUE, "", "begin", _S.AUTHENTICATING),
        Row(_TRYING, _E.TIME_UP, "", "fail_late", _S.OVER),
        Row(_TRYING, _E.RELEASED, "", "stop", _S.OVER),
        Row((_S.CONFIRMING,), _E.CONFIRMED, "any_ready", "account", _S.PREPARED),
        Row((_S.CONFIRMING,), _E.CONFIRMED, "", "fail_keyless", _S.CLOSING),
        Row((_S.CONFIRMING,), _E.TIME_UP, "any_ready", "account", _S.PREPARED),
        Row((_S.CONFIRMING,), _E.TIME_UP, "", "fail_keyless", _S.CLOSING),
        # A node that comes before all is confirmed finds the key or runs EAP: no reason to stop.
        Row((_S.CONFIRMING, _S.PREPARED), _E.ARRIVED, "", "arrive", _S.SERVING),
        Row((_S.SERVING,), _E.ARRIVED, "", "arrive", None),
        Row((_S.SERVING,), _E.LEFT, "", "hold", _S.PREPARED),
        Row(KEYED, _E.ESTABLISHED, "", "install", None),
        Row((_S.PREPARED,), _E.CONFIRMED, "any_ready", "account", None),
        Row((_S.PREPARED,), _E.CONFIRMED, "", "fail_keyless", _S.CLOSING),
        Row((_S.PREPARED,), _E.TIME_UP, "any_ready", "account", None),
        Row((_S.PREPARED,), _E.TIME_UP, "", "fail_keyless", _S.CLOSING),
        Row((_S.SERVING,), _E.CONFIRMED, "", "account", None),
        Row((_S.SERVING,), _E.TIME_UP, "", "account", None),
        Row((_S.PREPARED, _S.SERVING), _E.FORGOTTEN, "", "begin_anew", _S.AUTHENTICATING),
        Row((_S.PREPARED,), _E.HOLD_OVER, "", "close", _S.CLOSING),
        Row(KEYED, _E.RELEASED, "", "close", _S.CLOSING),
        Row(KEYED, _E.SESSION_OVER, "", "lose", _S.OVER),
        Row((_S.CLOSING,), _E.SESSION_OVER, "", "finish", _S.OVER),
        Row((_S.CLOSING,), _E.TIME_UP, "", "finish", _S.OVER),
    ]
)
