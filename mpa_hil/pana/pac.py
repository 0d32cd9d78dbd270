"""A PANA client's session with one agent (RFC 5191, RFC 5609 s7, RFC 5873), sans-IO.

This file moves the machine: what arrives, what the owner asks, what time brings. What a transition
does is in `pac_actions`, and which transitions there are in `pac_table`.
"""

from __future__ import annotations

from typing import Final

from mpa_hil.errors import LocalError

from .conversation import Conversation, Objection
from .interface import Discarded, Endpoint, Instant, Outputs, PanaSession
from .message import DecodeError, Message, decode
from .numbers import AvpCode, Flag, MessageType
from .pac_actions import PacActions
from .pac_core import Turn
from .pac_table import PAC_TABLE, PacEvent, PacState

_R: Final = int(Flag.REQUEST)
_C: Final = int(Flag.COMPLETE)
_P: Final = int(Flag.PING)
_ACCESS: Final = (PacState.OPEN, PacState.WAIT_PNA_PING)


class Pac(PacActions):
    """See `interface.PacMachine` for the verbs."""

    def start(self, now: Instant) -> Outputs:
        """Send a PANA-Client-Initiation, until the agent takes up the conversation.

        Raises:
            LocalError: it is started already.
        """
        if self.started:
            raise LocalError("this PANA client is started already", where=str(self.paa.address))
        return self._fire(PacEvent.START, Turn(now))

    # --- what arrives

    def receive(self, datagram: bytes, source: Endpoint, now: Instant) -> Outputs:
        """Digest a datagram; whatever it holds, this raises nothing."""
        if source != self.paa:
            return (Discarded("not from the PAA", source),)
        try:
            message = decode(datagram)
        except DecodeError as error:
            return (Discarded(error.what, source),)
        turn = Turn(now, message, datagram)
        if message.type == MessageType.AUTH and message.flags & _R and message.flags & Flag.START:
            return self._receive_first(turn)
        conversation = self._conversation_of(message)
        if conversation is None:
            return (Discarded(f"{message.name} of no session here", source, security=True),)
        turn.conversation = conversation
        repeated = conversation.repetition(datagram)
        if repeated is not None:
            return (repeated,) if self._may_repeat(now) else ()
        return self._receive_in(conversation, turn, message)

    def _receive_first(self, turn: Turn) -> Outputs:
        """A PAR[S] has no conversation yet, unless it carried EAP and is repeated."""
        if self.conversation is not None and self.started:
            repeated = self.conversation.repetition(turn.octets)
            if repeated is not None:
                return (repeated,)
        return self._fire(PacEvent.PAR_START, turn)

    def _conversation_of(self, message: Message) -> Conversation | None:
        conversation = self.conversation
        if conversation is None:
            candidate = self.candidates.get(message.session_id)
            return None if candidate is None else candidate.conversation
        return conversation if conversation.session_id == message.session_id else None

    def _may_repeat(self, now: Instant) -> bool:
        return self.state is not PacState.CLOSED or now.monotonic_ns < self.linger_until_ns

    def _receive_in(self, conversation: Conversation, turn: Turn, message: Message) -> Outputs:
        objection = conversation.object_to(message)
        if objection is not None:
            return self._discard(objection)
        if not self._under_new_key(message):
            opened = conversation.open(message, turn.octets, conversation.sa)
            if isinstance(opened, Objection):
                return self._discard(opened)
            turn.message = message = opened
        event = _event(message)
        if event is None:
            return self._discard(Objection(f"{message.name} is nothing for a PaC"))
        if not message.flags & _R:
            self._take_answer(conversation, turn)
        return self._fire(event, turn)

    @staticmethod
    def _take_answer(conversation: Conversation, turn: Turn) -> None:
        asked = conversation.outstanding
        if asked is not None and conversation.preauthentication:
            turn.arrival_answered = not asked.flags & Flag.PREAUTHENTICATION
        turn.round_trip_ns, follows = conversation.answered(turn.now.monotonic_ns)
        turn.out += [follows] if follows else []

    @staticmethod
    def _under_new_key(message: Message) -> bool:
        """Whether AUTH is by a key that comes into being with this very message."""
        return bool(message.flags & _R and message.flags & _C) and (
            message.value(AvpCode.KEY_ID) is not None
        )

    def _discard(self, objection: Objection) -> Outputs:
        return (Discarded(objection.reason, self.paa, objection.security),)

    # --- what EAP says

    def eap_response(self, packet: bytes, now: Instant) -> Outputs:
        """The EAP peer answers the last `EapPacket`."""
        return self._fire(PacEvent.EAP_RESPONSE, self._held_turn(now, packet=packet))

    def eap_succeeded(self, msk: bytes, now: Instant) -> Outputs:
        """The EAP peer is done and content. `msk` has 64 octets, or none without keys."""
        return self._fire(PacEvent.EAP_SUCCESS, self._held_turn(now, msk=msk))

    def eap_failed(self, now: Instant) -> Outputs:
        """The EAP peer is done and not content."""
        return self._fire(PacEvent.EAP_FAILURE, self._held_turn(now))

    def eap_discarded(self, now: Instant) -> Outputs:
        """The EAP peer ignores the last `EapPacket`; so does PANA then (RFC 3748 s4.1)."""
        return self._fire(PacEvent.EAP_DISCARD, self._held_turn(now))

    def _held_turn(self, now: Instant, *, packet: bytes = b"", msk: bytes = b"") -> Turn:
        turn = Turn(now, packet=packet, msk=msk)
        turn.conversation = self.conversation
        if self.held is not None:
            turn.conversation, turn.message, turn.octets = self.held
        return turn

    # --- what the owner asks

    def ping(self, now: Instant) -> Outputs:
        """Ask whether the agent lives; nothing if a ping is under way or was a moment ago."""
        return self._ask(PacEvent.PING, now) if self._ping_due(now) else ()

    def reauthenticate(self, now: Instant) -> Outputs:
        """Renew keys and lifetime by another EAP run; nothing while another exchange runs."""
        return self._ask(PacEvent.REAUTH, now)

    def terminate(self, now: Instant) -> Outputs:
        """End the session and tell the agent; before there is one, just stop."""
        if self.started and self.conversation_sa() is None:
            return self.abandon(now)
        return self._ask(PacEvent.TERMINATE, now)

    def became_serving(self, now: Instant) -> Outputs:
        """This node has arrived in the agent's network: tell it (RFC 5873 s3).

        While something else is under way, the agent is told when that is done.
        """
        if not self.started or self.arriving or not self._is_preauthentication():
            return ()
        self.arriving = True
        return self._ask(PacEvent.SERVING, now)

    def address_changed(self, now: Instant) -> Outputs:
        """This node's address is another: send the agent an authentic message from it."""
        return self._ask(PacEvent.MOVED, now)

    def _is_preauthentication(self) -> bool:
        conversation = self.conversation
        if conversation is None:
            return self.settings.preauthentication
        return conversation.preauthentication

    def _ask(self, event: PacEvent, now: Instant) -> Outputs:
        if not PAC_TABLE.at(self.state, event):
            return ()
        turn = Turn(now)
        turn.conversation = self.conversation
        return self._fire(event, turn)

    # --- what time brings

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next thing to do, or None while there is nothing."""
        conversation = self.conversation
        repeat = None if conversation is None else conversation.due_ns()
        initiation = None if self.initiation is None else self.initiation.due_ns
        return min(
            (
                due
                for due in (repeat, initiation, self.ends_ns, self.eap_due_ns, self.renew_ns)
                if due is not None
            ),
            default=None,
        )

    def expire(self, now: Instant) -> Outputs:
        """Do what is due at `now`; call it at `next_deadline`, harmless at other times."""
        at = now.monotonic_ns
        if self.ends_ns is not None and self.ends_ns <= at:
            return self._fire(PacEvent.SESS_TIMEOUT, self._held_turn(now))
        out: Outputs = ()
        if self.eap_due_ns is not None and self.eap_due_ns <= at:
            out += self._fire(PacEvent.EAP_RESP_TIMEOUT, self._held_turn(now))
        if self.renew_ns is not None and self.renew_ns <= at:
            self.renew_ns = None
            out += self._ask(PacEvent.REAUTH, now)
        if self.initiation is not None and self.initiation.due_ns <= at:
            out += self._repeat_initiation(now)
        conversation = self.conversation
        if conversation is not None and (conversation.due_ns() or at + 1) <= at:
            repeated = conversation.repeat(at)
            out += (repeated,) if repeated else self._ask(PacEvent.RTX_EXHAUSTED, now)
        return out

    # --- the table

    def _fire(self, event: PacEvent, turn: Turn) -> Outputs:
        """Take the first row whose guard holds; without one, nothing changes."""
        state = self.state
        for row in PAC_TABLE.at(state, event):
            if row.guard and not getattr(self, "is_" + row.guard)(turn):
                continue
            if row.exit is not None:
                self.state = row.exit
            if row.action:
                getattr(self, "do_" + row.action)(turn)
            if self.arriving and self.state in _ACCESS and event is not PacEvent.SERVING:
                self._tell_arrival(turn)
            return tuple(turn.out)
        if turn.message is None or event.name.startswith("EAP_"):
            return ()
        objection = turn.objection or Objection(f"{turn.message.name} while {state.value}")
        return (*turn.out, *self._discard(objection))

    def _tell_arrival(self, turn: Turn) -> None:
        if not self.arrival_sent:
            self.state = PacState.WAIT_PNA_PING
            self.do_send_arrival(turn)

    @property
    def session(self) -> PanaSession | None:
        """The session as it stands, None unless it is established."""
        return self.session_now()


_EVENTS: Final = {
    (MessageType.AUTH, 0): PacEvent.PAN,
    (MessageType.AUTH, _R): PacEvent.PAR,
    (MessageType.NOTIFICATION, _R | _P): PacEvent.PNR_PING,
    (MessageType.NOTIFICATION, _P): PacEvent.PNA_PING,
    (MessageType.NOTIFICATION, int(Flag.REAUTHENTICATION)): PacEvent.PNA_REAUTH,
    (MessageType.TERMINATION, _R): PacEvent.PTR,
    (MessageType.TERMINATION, 0): PacEvent.PTA,
}
_TELLING: Final = _R | _C | _P | int(Flag.REAUTHENTICATION) | int(Flag.START)


def _event(message: Message) -> PacEvent | None:
    if message.type == MessageType.AUTH and message.flags & _R and message.flags & _C:
        success = message.number(AvpCode.RESULT_CODE) == 0
        return PacEvent.PAR_SUCCESS if success else PacEvent.PAR_REFUSAL
    return _EVENTS.get((MessageType(message.type), message.flags & _TELLING))
