"""What an authentic answer means for the one who asked, sans-IO.

Where the packet and the EAP message in it contradict each other, nobody gets in (RFC 3579 s2.6.3);
nor on an acceptance that brings no keys, because there would be nothing to protect what follows.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from mpa_hil.errors import DecodeError
from mpa_hil.radius import numbers
from mpa_hil.radius.hiding import master_session_key
from mpa_hil.radius.interface import (
    Accepted,
    Challenged,
    Continuation,
    Decider,
    Refused,
    Termination,
)
from mpa_hil.radius.numbers import Code
from mpa_hil.radius.packet import Packet

_EAP_REQUEST, _EAP_SUCCESS, _EAP_FAILURE = 1, 3, 4
_EAP_HEADER_OCTETS = 4
_MAX_TEXT = 500
"""Characters of a server's Reply-Message that are kept: it goes into logs."""

_ERROR_CAUSES = {
    401: "unsupported attribute",
    402: "missing attribute",
    403: "NAS identification mismatch",
    404: "invalid request",
    406: "unsupported extension",
    501: "administratively prohibited",
    502: "request not routable (proxy)",
    503: "session context not found",
    505: "other proxy processing error",
    506: "resources unavailable",
}
"""RFC 5176 s3.5; those that an authentication may be told."""


Said = dict[int, list[bytes]]
"""The values of an answer's attributes, by type."""


@dataclass(slots=True)  # not frozen: one is made for each answer, and that costs half
class Circumstances:
    """Of the request that was answered."""

    token: Hashable
    server: int
    server_name: str
    secret: bytes = field(repr=False)
    authenticator: bytes
    origin: int | None
    """The server that the conversation began with."""
    round_trip_ns: int
    attempts: int


def judge(answer: Packet, asked: Circumstances) -> Accepted | Challenged | Refused:
    """The outcome of a request; `answer` is authentic and an accept, challenge or reject."""
    said: Said = {}
    for kind, value in answer.attributes:
        if kind in said:
            said[kind].append(value)
        else:
            said[kind] = [value]
    eap = b"".join(said.get(numbers.EAP_MESSAGE, ()))
    try:
        if answer.code == _CHALLENGE:
            return _challenged(said, eap, asked)
        if answer.code == _ACCEPT:
            return _accepted(answer, said, eap, asked)
    except DecodeError as error:
        return _refused(said, eap, asked, f"{_NAMES[answer.code]} with {error.what}", by_us=True)
    return _refused(said, eap, asked, "rejected by the server")


_CHALLENGE, _ACCEPT = int(Code.ACCESS_CHALLENGE), int(Code.ACCESS_ACCEPT)
_NAMES = {_CHALLENGE: "challenge", _ACCEPT: "acceptance"}


def _challenged(said: Said, eap: bytes, asked: Circumstances) -> Challenged:
    if not eap:
        raise _contradiction("no EAP message")
    if eap[0] != _EAP_REQUEST or not _whole(eap):
        raise _contradiction("an EAP message that is no request")
    return Challenged(
        token=asked.token,
        eap=eap,
        continuation=Continuation(asked.server, _at_most_one(said, numbers.STATE)),
        patience_s=_number(said, numbers.SESSION_TIMEOUT),
        reply_message=reply_message(said),
        server=asked.server_name,
        round_trip_ns=asked.round_trip_ns,
        attempts=asked.attempts,
    )


def _accepted(answer: Packet, said: Said, eap: bytes, asked: Circumstances) -> Accepted:
    if not eap:
        raise _contradiction("no EAP-Success")
    if eap[0] == _EAP_FAILURE:
        raise _contradiction("EAP-Failure in it")
    if eap[0] != _EAP_SUCCESS or len(eap) != _EAP_HEADER_OCTETS or not _whole(eap):
        raise _contradiction("an EAP message that is no EAP-Success")
    service = _number(said, numbers.SERVICE_TYPE)
    if service not in (None, numbers.SERVICE_FRAMED):
        # RFC 2865 s5.6: a service that is not provided is a rejection.
        raise _contradiction(f"service type {service}, which is not provided here")
    timeout = _number(said, numbers.SESSION_TIMEOUT)
    if timeout == 0:
        raise _contradiction("a session of 0 seconds")
    action = _number(said, numbers.TERMINATION_ACTION)
    return Accepted(
        token=asked.token,
        eap=eap,
        msk=master_session_key(answer, asked.secret, asked.authenticator),
        session_timeout_s=timeout,
        termination=Termination.RADIUS_REQUEST if action == 1 else Termination.DEFAULT,
        classes=tuple(said.get(numbers.CLASS, ())),
        user_name=_at_most_one(said, numbers.USER_NAME),
        reply_message=reply_message(said),
        server=asked.server_name,
        round_trip_ns=asked.round_trip_ns,
        attempts=asked.attempts,
    )


def _refused(
    said: Said, eap: bytes, asked: Circumstances, reason: str, *, by_us: bool = False
) -> Refused:
    failure = len(eap) == _EAP_HEADER_OCTETS and eap[0] == _EAP_FAILURE and _whole(eap)
    causes = [value for value in said.get(numbers.ERROR_CAUSE, ()) if len(value) == 4]
    cause = int.from_bytes(causes[0], "big") if causes else None
    words = reply_message(said)
    details = [words] if words else []
    if cause is not None:
        details.append(_ERROR_CAUSES.get(cause, f"error cause {cause}"))
    return Refused(
        token=asked.token,
        eap=eap if failure else None,
        reason=f"{reason}: {'; '.join(details)}" if details else reason,
        decider=Decider.CLIENT if by_us else Decider.SERVER,
        reply_message=words,
        error_cause=cause,
        server=asked.server_name,
        moved=asked.origin is not None and asked.origin != asked.server,
    )


def reply_message(said: Said) -> str:
    """The server's words to the user, fit for one line of a log: control characters dropped."""
    if numbers.REPLY_MESSAGE not in said:
        return ""
    text = b" ".join(said[numbers.REPLY_MESSAGE]).decode("utf-8", "replace")
    return "".join(c for c in text if c.isprintable())[:_MAX_TEXT]


def _whole(eap: bytes) -> bool:
    """Whether the EAP header tells the size that came (RFC 3748 s4)."""
    return len(eap) >= _EAP_HEADER_OCTETS and eap[2] << 8 | eap[3] == len(eap)


def _number(said: Said, kind: int) -> int | None:
    value = _at_most_one(said, kind)
    if value is None:
        return None
    if len(value) != 4:
        raise _contradiction(f"attribute {kind}, a number, in {len(value)} octets")
    return int.from_bytes(value, "big")


def _at_most_one(said: Said, kind: int) -> bytes | None:
    """The value of an attribute that may be there once (RFC 2865 s5.44)."""
    values = said.get(kind)
    if values is None:
        return None
    if len(values) > 1:
        raise _contradiction(f"attribute {kind} {len(values)} times")
    return values[0]


def _contradiction(what: str) -> DecodeError:
    return DecodeError(what, where="RADIUS answer", remedy="look at the server's configuration")
