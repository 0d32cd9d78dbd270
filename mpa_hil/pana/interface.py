"""What PANA's machines return, and the verbs of both, sans-IO.

`PacMachine` is one client with one agent; `PaaMachine` is one agent with all its clients. Both know
EAP only as octets: whoever owns them passes packets on to an EAP peer or a pass-through
authenticator and tells them what came of it.

At the client, each `EapPacket` is answered by exactly one of `eap_response`, `eap_succeeded`,
`eap_failed` and `eap_discarded`, at once or later. At the agent, each `SessionStarted` and each
`EapPacket` is answered, at once or later, by exactly one of `eap_request`, `eap_succeeded`,
`eap_failed`, `eap_discarded` and `eap_timed_out`. A verb for a session that has ended meanwhile
does nothing. Outputs are to be carried out in their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from mpa_hil.light import light
from mpa_hil.mobility.interface import Discarded, Endpoint, Instant, Send

from .association import SecurityAssociation
from .numbers import ResultCode, TerminationCause

__all__ = [
    "AddressChanged",
    "Answered",
    "BecameServing",
    "Changed",
    "Discarded",
    "EapPacket",
    "EndCause",
    "Ended",
    "Endpoint",
    "Established",
    "Instant",
    "Lost",
    "PaaMachine",
    "PacMachine",
    "PanaOutput",
    "PanaSession",
    "Rejected",
    "Send",
    "SessionStarted",
]


class EndCause(Enum):
    """Why a session is no more."""

    TERMINATED_HERE = "terminated here"
    """This side asked and the peer confirmed."""
    TERMINATED_BY_PEER = "terminated by peer"
    EXPIRED = "session lifetime over"
    STALLED = "authentication stalled"
    """No result within `failed_session_s`."""
    EAP_FAILED = "EAP failed"
    """The local EAP machine gave up, without a word from the peer."""


@light
class PanaSession:
    """An authenticated session, as it stands at the moment of the output that carries it."""

    session_id: int
    key_id: int
    pac: Endpoint | None
    """Where the PaC is; None at the PaC itself."""
    paa: Endpoint | None
    """Where the PAA is; None at the PAA itself."""
    relay: Endpoint | None
    """The PANA relay in between (RFC 6345), as the PAA sees it."""
    pac_nonce: bytes
    paa_nonce: bytes
    lifetime_s: int
    """Granted, counted from `Established`."""
    expires_ns: int
    """Monotonic nanoseconds."""
    preauthentication: bool
    """The E bit: the PAA does not serve the PaC yet (RFC 5873)."""
    ip_reconfiguration: bool
    """The I bit: once this PAA serves it the PaC needs another address."""
    sa: SecurityAssociation


@light
class SessionStarted:
    """At the PAA: a PaC that can be reached at `source` wants EAP; ask for its identity."""

    session_id: int
    source: Endpoint
    relay: Endpoint | None
    reauthentication: bool
    """The session is established already, and its lifetime is to be renewed."""
    preauthentication: bool


@light
class EapPacket:
    """Give this packet to EAP."""

    session_id: int
    packet: bytes
    first: bool = False
    """At the PaC: it opens a new conversation, so a new EAP peer starts with it."""


@light
class Established:
    """Both sides hold the keys and have proved it to each other."""

    session: PanaSession
    reauthentication: bool


@dataclass(frozen=True, slots=True)
class Rejected:
    """The PAA said no, and the session is over."""

    session_id: int
    code: ResultCode
    authenticated: bool
    """The refusal carried a right AUTH AVP; otherwise anybody on the path may have said it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over; keys that came of it have no business any more."""

    session_id: int
    cause: EndCause
    termination: TerminationCause | None = None
    """What the message that ended it gave as cause."""
    was_established: bool = True


@dataclass(frozen=True, slots=True)
class Lost:
    """The peer did not answer any attempt, so the session is over (RFC 5191 s5.2)."""

    session_id: int
    attempts: int
    was_established: bool = True


@dataclass(frozen=True, slots=True)
class Answered:
    """The peer answered a ping: it lives and holds the session's keys."""

    session_id: int
    round_trip_ns: int | None
    """None when the ping had to be repeated."""


@dataclass(frozen=True, slots=True)
class BecameServing:
    """Both sides know that the PaC now is in this PAA's network (RFC 5873 s3)."""

    session: PanaSession


@dataclass(frozen=True, slots=True)
class AddressChanged:
    """At the PAA: an authentic message came from a new address of the PaC (RFC 5191 s5.6)."""

    session: PanaSession
    before: Endpoint


@light
class Changed:
    """At the PAA: what `PaaMachine.preserve` would write of this session is another now."""

    session_id: int


PanaOutput = (
    Send
    | SessionStarted
    | EapPacket
    | Established
    | Rejected
    | Ended
    | Lost
    | Answered
    | BecameServing
    | AddressChanged
    | Changed
    | Discarded
)
Outputs = tuple[PanaOutput, ...]


class PacMachine(Protocol):
    """A PANA client's conversation with one agent."""

    def start(self, now: Instant) -> Outputs:
        """Send a PANA-Client-Initiation, until the agent takes up the conversation.

        A machine whose session is over may be started again.

        Raises:
            LocalError: it is started already.
        """

    def receive(self, datagram: bytes, source: Endpoint, now: Instant) -> Outputs:
        """Digest a datagram; whatever it holds, this raises nothing."""

    def eap_response(self, packet: bytes, now: Instant) -> Outputs:
        """The EAP peer answers the last `EapPacket`."""

    def eap_succeeded(self, msk: bytes, now: Instant) -> Outputs:
        """The EAP peer is done and content. `msk` has 64 octets, or none without keys."""

    def eap_failed(self, now: Instant) -> Outputs:
        """The EAP peer is done and not content."""

    def eap_discarded(self, now: Instant) -> Outputs:
        """The EAP peer ignores the last `EapPacket`; so does PANA then (RFC 3748 s4.1)."""

    def ping(self, now: Instant) -> Outputs:
        """Ask whether the agent lives; nothing if a ping is under way or was a moment ago."""

    def reauthenticate(self, now: Instant) -> Outputs:
        """Renew keys and lifetime by another EAP run; nothing while another exchange runs."""

    def terminate(self, now: Instant) -> Outputs:
        """End the session and tell the agent."""

    def became_serving(self, now: Instant) -> Outputs:
        """This node has arrived in the agent's network: tell it (RFC 5873 s3)."""

    def address_changed(self, now: Instant) -> Outputs:
        """This node's address is another: send the agent an authentic message from it."""

    def expire(self, now: Instant) -> Outputs:
        """Do what is due at `now`; call it at `next_deadline`, harmless at other times."""

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next thing to do, or None while there is nothing."""

    @property
    def session(self) -> PanaSession | None:
        """The session as it stands, None unless it is established."""


class PaaMachine(Protocol):
    """A PANA authentication agent with all its sessions."""

    def receive(self, datagram: bytes, source: Endpoint, now: Instant) -> Outputs:
        """Digest a datagram; whatever it holds, this raises nothing."""

    def invite(self, pac: Endpoint, now: Instant, *, preauthentication: bool = False) -> Outputs:
        """Ask a PaC to start, without having been asked (RFC 5191 s4.1)."""

    def eap_request(self, session_id: int, packet: bytes, now: Instant) -> Outputs:
        """Carry an EAP request to the PaC."""

    def eap_succeeded(
        self, session_id: int, packet: bytes, msk: bytes, lifetime_s: int, now: Instant
    ) -> Outputs:
        """Carry EAP-Success to the PaC and establish keys.

        Without an MSK there is nothing to protect the session with, and it is refused with
        AUTHORIZATION_REJECTED (RFC 5609 s6.1).
        """

    def eap_failed(
        self, session_id: int, packet: bytes, code: ResultCode, now: Instant, *, msk: bytes = b""
    ) -> Outputs:
        """Carry EAP-Failure, or EAP-Success with a refusal of service, to the PaC.

        With an `msk` the refusal is protected by it (RFC 5191 s4.1); `packet` may be empty.
        """

    def eap_discarded(self, session_id: int, now: Instant) -> Outputs:
        """EAP ignores the PaC's last packet; the last request is open again."""

    def eap_timed_out(self, session_id: int, now: Instant) -> Outputs:
        """EAP or the AAA server is silent: end the session without a word (RFC 5191 s4.1)."""

    def ping(self, session_id: int, now: Instant) -> Outputs:
        """Ask whether the PaC lives; nothing if a ping is under way or was a moment ago."""

    def reauthenticate(self, session_id: int, now: Instant) -> Outputs:
        """Renew keys and lifetime by another EAP run; nothing while another exchange runs."""

    def terminate(self, session_id: int, cause: TerminationCause, now: Instant) -> Outputs:
        """End an established session and tell the PaC."""

    def drop(self, session_id: int) -> None:
        """Forget a session at once and without a word, in whatever state it is."""

    def expire(self, now: Instant) -> Outputs:
        """Do what is due at `now`; call it at `next_deadline`, harmless at other times."""

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next thing to do, or None while there is nothing."""

    def session(self, session_id: int) -> PanaSession | None:
        """An established session as it stands, or None."""

    def preserve(self, session_id: int, now: Instant) -> dict[str, object] | None:
        """An established session as plain values (str, int, bool, None), keys included.

        Whoever stores it guards it like the keys it holds. None unless it is established.
        """

    def restore(self, preserved: Mapping[str, object], now: Instant) -> PanaSession | None:
        """Take up a session again; None if its lifetime is over or its id is taken.

        Raises:
            DecodeError: not what `preserve` writes.
        """

    @property
    def session_count(self) -> int:
        """Sessions with state, half-open ones included."""

    @property
    def half_open_count(self) -> int:
        """Sessions that are not established yet."""
