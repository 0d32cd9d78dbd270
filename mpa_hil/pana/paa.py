"""A PANA authentication agent with all its sessions (RFC 5191, RFC 5609 s8, RFC 6345), sans-IO.

A message costs one look into a table, a deadline one push to a heap. A PANA-Client-Initiation costs
one keyed hash and leaves nothing behind (`opening`). What a session does is in `paa_session`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mpa_hil.mobility.interface import NS_PER_S

from . import preservation
from .conversation import Conversation, Objection
from .interface import (
    Discarded,
    Endpoint,
    Instant,
    Outputs,
    PanaOutput,
    PanaSession,
    Send,
)
from .message import DecodeError, Message, decode
from .numbers import AvpCode, Flag, MessageType, ResultCode, TerminationCause
from .opening import Openings
from .paa_core import Turn
from .paa_session import Session
from .paa_store import SessionStore
from .paa_table import PaaEvent, PaaState
from .relay import relayed, unwrapped
from .settings import PaaSettings

_R: Final = int(Flag.REQUEST)
_S: Final = int(Flag.START)
_C: Final = int(Flag.COMPLETE)
_E: Final = int(Flag.PREAUTHENTICATION)
_A: Final = int(Flag.REAUTHENTICATION)
_P: Final = int(Flag.PING)
_PCI_TYPE: Final = MessageType.CLIENT_INITIATION.to_bytes(2, "big")
_STALE_ATTEMPTS: Final = 3
"""A half-open session whose request went unanswered this often no longer stands in the way of its
PaC starting again, as it does after a reboot."""


class Paa:
    """See `interface.PaaMachine` for the verbs."""

    def __init__(self, settings: PaaSettings, random: Callable[[int], bytes], now: Instant) -> None:
        self._settings = settings
        self._random = random
        self._openings = Openings(settings, random, now.monotonic_ns)
        self._store = SessionStore(settings.timing.linger_s)

    @property
    def session_count(self) -> int:
        """Sessions with state, half-open ones included."""
        return len(self._store.sessions)

    @property
    def half_open_count(self) -> int:
        """Sessions that are not established yet."""
        return len(self._store.half_open)

    def session(self, session_id: int) -> PanaSession | None:
        """An established session as it stands, or None."""
        session = self._store.sessions.get(session_id)
        return None if session is None else session.snapshot()

    # --- what arrives

    def receive(self, datagram: bytes, source: Endpoint, now: Instant) -> Outputs:
        """Digest a datagram; whatever it holds, this raises nothing."""
        return self._receive(datagram, source, None, now)

    def _receive(
        self, datagram: bytes, source: Endpoint, relay: Endpoint | None, now: Instant
    ) -> Outputs:
        if datagram[6:8] == _PCI_TYPE and not self._settings.admit(source, now):
            return (Discarded("not admitted", source),)
        try:
            message = decode(datagram)
            if message.type == MessageType.RELAY:
                return self._receive_relayed(message, source, now)
        except DecodeError as error:
            return (Discarded(error.what, source),)
        if message.type == MessageType.CLIENT_INITIATION:
            return self._initiated(message, len(datagram), source, relay, now)
        session = self._store.sessions.get(message.session_id)
        if session is None:
            return self._strange(message, datagram, source, relay, now)
        turn = Turn(now, message, datagram, source, relay)
        repeated = session.conversation.repetition(datagram)
        if repeated is not None:
            return (self._answer_again(session.conversation, repeated, turn),)
        objection = self._receive_in(session, turn)
        if objection is not None:
            turn.out.append(Discarded(objection.reason, source, objection.security))
        return self._store.settle(session, turn)

    @staticmethod
    def _answer_again(conversation: Conversation, repeated: Send, turn: Turn) -> Send:
        """To where the repetition came from, if the request proved itself: a PaC that moves on
        before it has its answer repeats the request from elsewhere. Nobody is believed to be there
        for that: what was captured can be repeated by anybody."""
        elsewhere = turn.source is not None and turn.source != conversation.peer
        if conversation.sa is None or turn.relay is not None or not elsewhere:
            return repeated
        assert turn.source is not None
        return Send(conversation.last_answer, turn.source)

    def _receive_relayed(self, message: Message, relay: Endpoint, now: Instant) -> Outputs:
        if relay.address not in self._settings.relays:
            return (Discarded("relayed by a stranger", relay, security=True),)
        inner, pac = unwrapped(message)
        return self._receive(inner, pac, relay, now)

    def _receive_in(self, session: Session, turn: Turn) -> Objection | None:
        conversation = session.conversation
        message = turn.said
        objection = conversation.object_to(message)
        if objection is not None:
            return objection
        sa = conversation.sa
        if message.flags & _C and session.pending_sa is not None:
            sa = session.pending_sa
        opened = conversation.open(message, turn.octets, sa)
        if isinstance(opened, Objection):
            if session.state is not PaaState.WAIT_SUCC_PAN or not message.flags & _P:
                return opened
            opened = conversation.open(message, turn.octets, session.pending_sa)
            if isinstance(opened, Objection):
                return opened
            turn.under_new_key = True
        elif sa is None and (turn.source, turn.relay) != (conversation.peer, conversation.relay):
            return Objection("from elsewhere, without AUTH", security=True)
        return self._act(session, turn, opened)

    def _act(self, session: Session, turn: Turn, message: Message) -> Objection | None:
        conversation = session.conversation
        turn.message = message
        event = _event(message)
        if event is None:
            return Objection(f"{message.name} is nothing for a PAA")
        if message.flags & _C and session.pending_sa is not None:
            key_id = message.number(AvpCode.KEY_ID)
            if key_id != session.pending_sa.key_id:
                return Objection("another key id", security=True)
        if message.flags & _R:
            if conversation.sa is not None:
                session.follow(turn)  # first, so that the answer goes where the PaC is
            if session.fire(event, turn):
                return None
            return Objection(f"{message.name} while {session.state.value}")
        turn.answered = conversation.outstanding
        if event in (PaaEvent.PAN_EAP, PaaEvent.PAN_EMPTY) and not session.is_nonce_right(turn):
            return Objection("nonce missing or out of place", security=True)
        turn.round_trip_ns, follows = conversation.answered(turn.now.monotonic_ns)
        if conversation.sa is not None or session.pending_sa is not None:
            session.follow(turn)
        turn.out += [follows] if follows else []
        if session.fire(event, turn):
            return None
        return Objection(f"{message.name} while {session.state.value}")

    # --- beginnings

    def _initiated(
        self, message: Message, octets: int, pac: Endpoint, relay: Endpoint | None, now: Instant
    ) -> Outputs:
        """PAR[S], without keeping anything (RFC 5191 s4.1)."""
        wanted = bool(message.flags & _E)
        agreed = wanted and self._settings.preauthentication
        if not agreed and not self._settings.serving:
            return (Discarded("not this kind of authentication here", pac),)
        if self._busy_with(pac, relay):
            return (Discarded("PCI of a PaC that is being authenticated", pac),)
        announces = message.value(AvpCode.ENCRYPTION_ALGORITHM) is not None
        room = int(octets * self._settings.reply_factor) if announces else 0
        return self._open(pac, relay, now, room=room, preauthentication=agreed)

    def _open(
        self,
        pac: Endpoint,
        relay: Endpoint | None,
        now: Instant,
        *,
        room: int,
        preauthentication: bool,
    ) -> Outputs:
        octets = self._openings.first_request(
            pac,
            relay,
            self._store.sessions,
            now.monotonic_ns,
            room=room,
            preauthentication=preauthentication,
        )
        if octets is None:
            return (Discarded("too many sessions of one PaC in a short time", pac),)
        if relay is None:
            return (Send(octets, pac),)
        return (Send(relayed(octets, pac), relay),)

    def invite(self, pac: Endpoint, now: Instant, *, preauthentication: bool = False) -> Outputs:
        """Ask a PaC to start, without having been asked (RFC 5191 s4.1)."""
        return self._open(pac, None, now, room=0, preauthentication=preauthentication)

    def _busy_with(self, pac: Endpoint, relay: Endpoint | None) -> bool:
        session_id = self._store.half_open.get((pac, relay))
        if session_id is None:
            return False
        asked = self._store.sessions[session_id].conversation.outstanding
        return asked is None or asked.timer.attempts < _STALE_ATTEMPTS

    def _strange(
        self,
        message: Message,
        datagram: bytes,
        pac: Endpoint,
        relay: Endpoint | None,
        now: Instant,
    ) -> Outputs:
        """A message of no session: the answer that makes one, or a repetition after the end."""
        last_words = self._store.from_the_grave(message.session_id, datagram, now)
        if last_words is not None:
            return (last_words,)
        if message.type != MessageType.AUTH or message.flags & (_R | _S) != _S:
            return (Discarded(f"{message.name} of no session here", pac, security=True),)
        opening = self._openings.recognise(message, pac, relay, now.monotonic_ns)
        if isinstance(opening, Objection):
            return (Discarded(opening.reason, pac, opening.security),)
        if self._busy_with(pac, relay):
            return (Discarded("PAN[S] of a PaC that is being authenticated", pac),)
        if not self._settings.admit_session(pac, now):
            return (Discarded("no room for another session", pac),)
        stale = self._store.half_open.get((pac, relay))
        if stale is not None:
            self.drop(stale)
        self._openings.spend(opening)
        conversation = Conversation(
            message.session_id,
            pac,
            self._settings.timing,
            self._random,
            client=False,
            conceal=self._settings.conceal,
            first_out=message.sequence + 1,
            next_in=None,
            preauthentication=opening.ticket.preauthentication,
            relay=relay,
        )
        first = (opening.first_request, datagram)
        session = Session(conversation, opening.suite, first, self._settings, self._random)
        self._store.add(session)
        turn = Turn(now, message, datagram, pac, relay)
        session.fire(PaaEvent.PAN_START, turn)
        return self._store.settle(session, turn)

    # --- what EAP and the owner say

    def _tell(self, session_id: int, event: PaaEvent, turn: Turn) -> Outputs:
        session = self._store.sessions.get(session_id)
        if session is None or not session.fire(event, turn):
            return ()
        return self._store.settle(session, turn)

    def eap_request(self, session_id: int, packet: bytes, now: Instant) -> Outputs:
        """Carry an EAP request to the PaC."""
        return self._tell(session_id, PaaEvent.EAP_REQUEST, Turn(now, packet=packet))

    def eap_succeeded(
        self, session_id: int, packet: bytes, msk: bytes, lifetime_s: int, now: Instant
    ) -> Outputs:
        """Carry EAP-Success to the PaC and establish keys.

        Without an MSK there is nothing to protect the session with, and it is refused with
        AUTHORIZATION_REJECTED (RFC 5609 s6.1).
        """
        turn = Turn(now, packet=packet, msk=msk, lifetime_s=lifetime_s)
        return self._tell(session_id, PaaEvent.EAP_SUCCESS, turn)

    def eap_failed(
        self, session_id: int, packet: bytes, code: ResultCode, now: Instant, *, msk: bytes = b""
    ) -> Outputs:
        """Carry EAP-Failure, or EAP-Success with a refusal of service, to the PaC.

        With an `msk` the refusal is protected by it (RFC 5191 s4.1); `packet` may be empty.
        """
        turn = Turn(now, packet=packet, msk=msk, code=code)
        return self._tell(session_id, PaaEvent.EAP_FAILURE, turn)

    def eap_discarded(self, session_id: int, now: Instant) -> Outputs:
        """EAP ignores the PaC's last packet; the last request is open again."""
        return self._tell(session_id, PaaEvent.EAP_DISCARD, Turn(now))

    def eap_timed_out(self, session_id: int, now: Instant) -> Outputs:
        """EAP or the AAA server is silent: end the session without a word (RFC 5191 s4.1)."""
        return self._tell(session_id, PaaEvent.EAP_TIMEOUT, Turn(now))

    def ping(self, session_id: int, now: Instant) -> Outputs:
        """Ask whether the PaC lives; nothing if a ping is under way or was a moment ago."""
        session = self._store.sessions.get(session_id)
        interval_ns = self._settings.timing.ping_interval_s * NS_PER_S
        pinged_ns = None if session is None else session.pinged_ns
        if pinged_ns is not None and now.monotonic_ns - pinged_ns < interval_ns:
            return ()
        return self._tell(session_id, PaaEvent.PING, Turn(now))

    def reauthenticate(self, session_id: int, now: Instant) -> Outputs:
        """Renew keys and lifetime by another EAP run; nothing while another exchange runs."""
        return self._tell(session_id, PaaEvent.REAUTH, Turn(now))

    def terminate(self, session_id: int, cause: TerminationCause, now: Instant) -> Outputs:
        """End an established session and tell the PaC."""
        return self._tell(session_id, PaaEvent.TERMINATE, Turn(now, cause=cause))

    def drop(self, session_id: int) -> None:
        """Forget a session at once and without a word, in whatever state it is."""
        self._store.drop(session_id)

    # --- what time brings

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next thing to do, or None while there is nothing."""
        return self._store.next_deadline()

    def expire(self, now: Instant) -> Outputs:
        """Do what is due at `now`; call it at `next_deadline`, harmless at other times."""
        out: list[PanaOutput] = []
        for session in self._store.due(now.monotonic_ns):
            turn = Turn(now)
            self._do_due(session, turn)
            out += self._store.settle(session, turn)
        return tuple(out)

    @staticmethod
    def _do_due(session: Session, turn: Turn) -> None:
        at = turn.now.monotonic_ns
        conversation = session.conversation
        if session.ends_ns is not None and session.ends_ns <= at:
            session.fire(PaaEvent.SESS_TIMEOUT, turn)
            return
        repeat_ns = conversation.due_ns()
        if repeat_ns is not None and repeat_ns <= at:
            repeated = conversation.repeat(at)
            if repeated is None:
                session.fire(PaaEvent.RTX_EXHAUSTED, turn)
                return
            turn.out.append(repeated)
        if session.renew_ns is not None and session.renew_ns <= at:
            session.renew_ns = None
            session.fire(PaaEvent.REAUTH, turn)

    # --- outliving the process

    def preserve(self, session_id: int, now: Instant) -> dict[str, object] | None:
        """An established session as plain values (str, int, bool, None), keys included.

        Whoever stores it guards it like the keys it holds. None unless it is established.
        """
        session = self._store.sessions.get(session_id)
        return None if session is None else preservation.preserve(session, now)

    def restore(self, preserved: Mapping[str, object], now: Instant) -> PanaSession | None:
        """Take up a session again; None if its lifetime is over or its id is taken.

        Raises:
            DecodeError: not what `preserve` writes.
        """
        session = preservation.restore(preserved, self._settings, self._random, now)
        if session is None or session.conversation.session_id in self._store.sessions:
            return None
        self._store.add(session)
        return session.snapshot()


_EVENTS: Final = {
    (MessageType.AUTH, _C): PaaEvent.PAN_COMPLETE,
    (MessageType.AUTH, _R): PaaEvent.PAR,
    (MessageType.NOTIFICATION, _R | _P): PaaEvent.PNR_PING,
    (MessageType.NOTIFICATION, _R | _A): PaaEvent.PNR_REAUTH,
    (MessageType.NOTIFICATION, _P): PaaEvent.PNA_PING,
    (MessageType.TERMINATION, _R): PaaEvent.PTR,
    (MessageType.TERMINATION, 0): PaaEvent.PTA,
}
_TELLING: Final = _R | _S | _C | _A | _P


def _event(message: Message) -> PaaEvent | None:
    telling = message.flags & _TELLING
    if message.type == MessageType.AUTH and not telling:
        carries = message.value(AvpCode.EAP_PAYLOAD) is not None
        return PaaEvent.PAN_EAP if carries else PaaEvent.PAN_EMPTY
    return _EVENTS.get((MessageType(message.type), telling))
