"""The PAA's state machine for one session as a table (RFC 5609 s6.6 and s8.4), sans-IO.

Rows that RFC 5609 lacks, because following it to the letter loses a session, say why.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from .transitions import Row, Table


class PaaState(Enum):
    """RFC 5609 s8.4. INITIAL is where no session has been made yet: nothing is kept there."""

    INITIAL = "initial"
    WAIT_EAP_MSG = "wait for EAP"
    WAIT_PAN_OR_PAR = "wait for the PaC"
    WAIT_SUCC_PAN = "wait for a success's answer"
    WAIT_FAIL_PAN = "wait for a refusal's answer"
    OPEN = "open"
    WAIT_PNA_PING = "wait for a ping's answer"
    SESS_TERM = "wait for a termination's answer"
    CLOSED = "closed"

    __hash__ = object.__hash__  # Enum's own is made in Python, and each message needs a dozen


class PaaEvent(Enum):
    """What can happen to a session at the PAA."""

    PAN_START = "PAN[S]"
    PAN_EAP = "PAN with EAP"
    PAN_EMPTY = "PAN without EAP"
    PAN_COMPLETE = "PAN[C]"
    PAR = "PAR"
    PNR_PING = "PNR[P]"
    PNR_REAUTH = "PNR[A]"
    PNA_PING = "PNA[P]"
    PTR = "PTR"
    PTA = "PTA"
    EAP_REQUEST = "EAP request"
    EAP_SUCCESS = "EAP success"
    EAP_FAILURE = "EAP failure"
    EAP_DISCARD = "EAP discards"
    EAP_TIMEOUT = "EAP timeout"
    PING = "ping"
    REAUTH = "reauthenticate"
    TERMINATE = "terminate"
    RTX_EXHAUSTED = "no answer"
    SESS_TIMEOUT = "session timeout"

    __hash__ = object.__hash__


_S = PaaState
_E = PaaEvent
_AUTHENTICATING: Final = (_S.WAIT_EAP_MSG, _S.WAIT_PAN_OR_PAR, _S.WAIT_SUCC_PAN)
_ACCESS: Final = (_S.OPEN, _S.WAIT_PNA_PING)
_RUNNING: Final = (*_AUTHENTICATING, _S.WAIT_FAIL_PAN, *_ACCESS, _S.SESS_TERM)

PAA_TABLE: Final = Table[PaaState, PaaEvent](
    [
        # What a PCI brings about needs no session: `cookie`. This is where there is one.
        Row((_S.INITIAL,), _E.PAN_START, "", "begin", _S.WAIT_EAP_MSG),
        Row((_S.WAIT_EAP_MSG,), _E.EAP_REQUEST, "", "send_eap", _S.WAIT_PAN_OR_PAR),
        Row((_S.WAIT_EAP_MSG,), _E.EAP_SUCCESS, "keyed", "send_success", _S.WAIT_SUCC_PAN),
        Row((_S.WAIT_EAP_MSG,), _E.EAP_SUCCESS, "", "send_refusal", _S.WAIT_FAIL_PAN),
        Row((_S.WAIT_EAP_MSG,), _E.EAP_FAILURE, "", "send_refusal", _S.WAIT_FAIL_PAN),
        Row((_S.WAIT_EAP_MSG,), _E.EAP_TIMEOUT, "", "give_up", _S.CLOSED),
        # RFC 5609 gives up; then one forged packet ends the session.
        Row((_S.WAIT_EAP_MSG,), _E.EAP_DISCARD, "", "ask_again", _S.WAIT_PAN_OR_PAR),
        Row((_S.WAIT_PAN_OR_PAR,), _E.PAN_EAP, "nonce_right", "pass_answer", _S.WAIT_EAP_MSG),
        Row((_S.WAIT_PAN_OR_PAR,), _E.PAN_EMPTY, "nonce_right", "take_answer", None),
        Row((_S.WAIT_PAN_OR_PAR,), _E.PAR, "carries_eap", "pass_request", _S.WAIT_EAP_MSG),
        # PANA repeats requests itself; EAP's repetition is of use only when nothing is open.
        Row((_S.WAIT_PAN_OR_PAR,), _E.EAP_REQUEST, "nothing_open", "send_eap", None),
        Row((_S.WAIT_PAN_OR_PAR,), _E.EAP_FAILURE, "", "give_up", _S.CLOSED),
        Row((_S.WAIT_PAN_OR_PAR,), _E.EAP_TIMEOUT, "", "give_up", _S.CLOSED),
        Row((_S.WAIT_SUCC_PAN,), _E.PAN_COMPLETE, "", "establish", _S.OPEN),
        # A client that pings under the new key has had the last request: its answer was lost, and
        # it may have moved since.
        Row((_S.WAIT_SUCC_PAN,), _E.PNR_PING, "newly_keyed", "establish_and_pong", _S.OPEN),
        Row((_S.WAIT_FAIL_PAN,), _E.PAN_COMPLETE, "", "refused", _S.CLOSED),
        Row(_ACCESS, _E.PNR_REAUTH, "", "agree_to_renew", _S.WAIT_EAP_MSG),
        Row(_ACCESS, _E.REAUTH, "", "renew", _S.WAIT_EAP_MSG),
        # Both sides wanted to renew; without an answer the PaC would discard every PAR (RFC 5191
        # s4.3) until it gives up.
        Row(_AUTHENTICATING, _E.PNR_REAUTH, "protected", "answer_plainly", None),
        Row((_S.OPEN,), _E.PING, "", "send_ping", _S.WAIT_PNA_PING),
        Row((_S.WAIT_PNA_PING,), _E.PNA_PING, "", "pinged", _S.OPEN),
        Row(_RUNNING, _E.PNA_PING, "", "pinged", None),
        Row(_RUNNING, _E.PNR_PING, "protected", "pong", None),
        Row(_ACCESS, _E.TERMINATE, "", "send_termination", _S.SESS_TERM),
        Row(_AUTHENTICATING, _E.TERMINATE, "protected", "send_termination", _S.SESS_TERM),
        Row(_RUNNING, _E.PTR, "protected", "answer_termination", _S.CLOSED),
        Row((_S.SESS_TERM,), _E.PTA, "", "terminated", _S.CLOSED),
        Row(_RUNNING, _E.RTX_EXHAUSTED, "", "lose", _S.CLOSED),
        Row(_RUNNING, _E.SESS_TIMEOUT, "", "time_out", _S.CLOSED),
    ]
)
