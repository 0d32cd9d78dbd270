"""The PaC's state machine as a table (RFC 5609 s6.6 and s7.5), sans-IO.

Rows that RFC 5609 lacks, because following it to the letter loses a session, say why. RFC 5609 is
informative and RFC 5191 goes before it (RFC 5609 s4).
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from .transitions import Row, Table


class PacState(Enum):
    """RFC 5609 s7.5."""

    INITIAL = "initial"
    WAIT_PAA = "wait for the PAA"
    WAIT_EAP_MSG = "wait for EAP"
    WAIT_EAP_RESULT = "wait for EAP's word on a success"
    WAIT_EAP_RESULT_CLOSE = "wait for EAP's word on a refusal"
    OPEN = "open"
    WAIT_PNA_REAUTH = "wait for re-authentication"
    WAIT_PNA_PING = "wait for a ping's answer"
    SESS_TERM = "wait for a termination's answer"
    CLOSED = "closed"


class PacEvent(Enum):
    """What can happen to a PaC."""

    START = "start"
    PAR_START = "PAR[S]"
    PAR = "PAR"
    PAR_SUCCESS = "PAR[C] success"
    PAR_REFUSAL = "PAR[C] refusal"
    PAN = "PAN"
    PNR_PING = "PNR[P]"
    PNA_PING = "PNA[P]"
    PNA_REAUTH = "PNA[A]"
    PTR = "PTR"
    PTA = "PTA"
    EAP_RESPONSE = "EAP response"
    EAP_SUCCESS = "EAP success"
    EAP_FAILURE = "EAP failure"
    EAP_DISCARD = "EAP discards"
    EAP_RESP_TIMEOUT = "EAP is slow"
    PING = "ping"
    REAUTH = "reauthenticate"
    TERMINATE = "terminate"
    SERVING = "became serving"
    MOVED = "address changed"
    RTX_EXHAUSTED = "no answer"
    SESS_TIMEOUT = "session timeout"


_S = PacState
_E = PacEvent
_AUTHENTICATING: Final = (
    _S.WAIT_PAA,
    _S.WAIT_EAP_MSG,
    _S.WAIT_EAP_RESULT,
    _S.WAIT_EAP_RESULT_CLOSE,
)
_ACCESS: Final = (_S.OPEN, _S.WAIT_PNA_PING)
_KEYED: Final = (*_AUTHENTICATING, *_ACCESS, _S.WAIT_PNA_REAUTH)
_RUNNING: Final = (*_KEYED, _S.SESS_TERM)

PAC_TABLE: Final = Table[PacState, PacEvent](
    [
        Row((_S.INITIAL, _S.CLOSED), _E.START, "", "send_initiation", _S.INITIAL),
        Row((_S.INITIAL,), _E.PAR_START, "acceptable_with_eap", "answer_start", _S.WAIT_EAP_MSG),
        Row((_S.INITIAL,), _E.PAR_START, "acceptable", "answer_start", _S.WAIT_PAA),
        # Until the PAA goes on, any first request may be the genuine one (RFC 5191 s5.5).
        Row((_S.WAIT_PAA,), _E.PAR_START, "undecided", "answer_start", None),
        Row((_S.WAIT_PAA,), _E.PAR, "piggybacking", "pass_eap", _S.WAIT_EAP_MSG),
        Row((_S.WAIT_PAA,), _E.PAR, "carries_eap", "answer_and_pass_eap", _S.WAIT_EAP_MSG),
        Row((_S.WAIT_PAA,), _E.PAN, "", "", None),
        # The keys are known before the PAA's last word when an earlier one failed its check.
        Row((_S.WAIT_PAA,), _E.PAR_SUCCESS, "confirmed", "complete", _S.OPEN),
        Row((_S.WAIT_PAA,), _E.PAR_SUCCESS, "unkeyed", "pass_result", _S.WAIT_EAP_RESULT),
        Row((_S.WAIT_PAA,), _E.PAR_REFUSAL, "final", "accept_refusal", _S.CLOSED),
        Row((_S.WAIT_PAA,), _E.PAR_REFUSAL, "unkeyed", "pass_result", _S.WAIT_EAP_RESULT_CLOSE),
        Row((_S.WAIT_PAA,), _E.EAP_SUCCESS, "", "keep_msk", None),
        Row((_S.WAIT_PAA,), _E.EAP_FAILURE, "", "give_up", _S.CLOSED),
        Row((_S.WAIT_EAP_MSG,), _E.EAP_RESPONSE, "answer_pending", "answer_eap", _S.WAIT_PAA),
        Row((_S.WAIT_EAP_MSG,), _E.EAP_RESPONSE, "", "send_eap", _S.WAIT_PAA),
        # RFC 5609 returns to WAIT_PAA here, where the response that comes late has no row.
        Row((_S.WAIT_EAP_MSG,), _E.EAP_RESP_TIMEOUT, "", "answer_without_eap", None),
        # RFC 5609 gives up; then one forged packet ends the session (RFC 5609 s7.3).
        Row((_S.WAIT_EAP_MSG,), _E.EAP_DISCARD, "", "unread", _S.WAIT_PAA),
        Row((_S.WAIT_EAP_MSG,), _E.EAP_SUCCESS, "", "keep_msk_and_answer", _S.WAIT_PAA),
        Row((_S.WAIT_EAP_MSG,), _E.EAP_FAILURE, "", "give_up", _S.CLOSED),
        Row((_S.WAIT_EAP_RESULT,), _E.EAP_SUCCESS, "confirmed", "complete", _S.OPEN),
        Row((_S.WAIT_EAP_RESULT,), _E.EAP_SUCCESS, "", "doubt", _S.WAIT_PAA),
        Row((_S.WAIT_EAP_RESULT,), _E.EAP_FAILURE, "", "answer_and_give_up", _S.CLOSED),
        Row((_S.WAIT_EAP_RESULT_CLOSE,), _E.EAP_SUCCESS, "confirmed", "accept_refusal", _S.CLOSED),
        Row((_S.WAIT_EAP_RESULT_CLOSE,), _E.EAP_SUCCESS, "keyless", "accept_refusal", _S.CLOSED),
        Row((_S.WAIT_EAP_RESULT_CLOSE,), _E.EAP_SUCCESS, "", "doubt", _S.WAIT_PAA),
        Row((_S.WAIT_EAP_RESULT_CLOSE,), _E.EAP_FAILURE, "", "accept_refusal", _S.CLOSED),
        Row(
            (_S.WAIT_EAP_RESULT, _S.WAIT_EAP_RESULT_CLOSE),
            _E.EAP_DISCARD,
            "",
            "unread",
            _S.WAIT_PAA,
        ),
        Row((_S.OPEN,), _E.PING, "", "send_ping", _S.WAIT_PNA_PING),
        Row(_ACCESS, _E.SERVING, "", "send_arrival", _S.WAIT_PNA_PING),
        Row((_S.OPEN,), _E.MOVED, "", "send_ping", _S.WAIT_PNA_PING),
        Row((*_RUNNING,), _E.MOVED, "", "repeat_request", None),
        Row(_ACCESS, _E.REAUTH, "", "send_reauthentication", _S.WAIT_PNA_REAUTH),
        Row(_ACCESS, _E.PAR, "renews_piggybacking", "renew", _S.WAIT_EAP_MSG),
        Row(_ACCESS, _E.PAR, "renews", "renew_and_answer", _S.WAIT_EAP_MSG),
        Row((_S.WAIT_PNA_REAUTH,), _E.PNA_REAUTH, "", "expect_eap", _S.WAIT_PAA),
        Row((_S.WAIT_PNA_PING,), _E.PNA_PING, "more_waits", "pinged", None),
        Row((_S.WAIT_PNA_PING,), _E.PNA_PING, "", "pinged", _S.OPEN),
        Row(_KEYED, _E.TERMINATE, "protected", "send_termination", _S.SESS_TERM),
        Row((*_RUNNING,), _E.PNA_PING, "", "pinged", None),
        # The answer to what an address change in the middle of a re-authentication sends.
        Row((*_RUNNING,), _E.PNA_REAUTH, "", "acknowledged", None),
        Row((*_RUNNING,), _E.PNR_PING, "protected", "answer_plainly", None),
        # In SESS_TERM both ends terminate; in the states of EAP, only one that is protected.
        Row((*_RUNNING,), _E.PTR, "protected", "answer_termination", _S.CLOSED),
        Row((_S.SESS_TERM,), _E.PTA, "", "terminated", _S.CLOSED),
        Row((_S.INITIAL, *_RUNNING), _E.RTX_EXHAUSTED, "", "lose", _S.CLOSED),
        Row((_S.INITIAL, *_RUNNING), _E.SESS_TIMEOUT, "", "time_out", _S.CLOSED),
    ]
)
