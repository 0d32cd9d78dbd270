"""What a PaC's transitions do (RFC 5609 s7.4 and s7.5): `pac_table`'s actions, sans-IO."""

from __future__ import annotations

from typing import Final

from mpa_hil.mobility.interface import NS_PER_S

from . import negotiation
from .conversation import Conversation
from .cookie import PAC_SEQUENCES, SEQUENCE_MASK
from .interface import (
    Answered,
    BecameServing,
    Discarded,
    EapPacket,
    EndCause,
    Ended,
    Established,
    Instant,
    Lost,
    Outputs,
    Rejected,
    Send,
)
from .message import Avp, Message, unsigned
from .numbers import AvpCode, Flag, MessageType, ResultCode, TerminationCause
from .pac_core import Candidate, PacCore, Turn
from .pac_table import PacState
from .retransmission import Timer

_MAX_CANDIDATES: Final = 4
"""First requests that may be the genuine one; the oldest gives way, so forgeries do no harm for
longer than it takes the PAA to answer the next PCI."""


class PacActions(PacCore):
    """The steps of one client."""

    def do_send_initiation(self, turn: Turn) -> None:
        """RFC 5191 s4.1."""
        self._forget()
        self.started = True
        now_ns = turn.now.monotonic_ns
        timing = self.settings.timing
        self.initiation = Timer(timing.pci, timing.pci.initial_s, self._random, now_ns)
        self.ends_ns = now_ns + round(timing.failed_session_s * NS_PER_S)
        turn.out.append(self._initiation())

    def _initiation(self) -> Send:
        """A PCI; that it announces encryption also buys the PAA room for a longer offer."""
        flags = Flag.PREAUTHENTICATION if self.settings.preauthentication else Flag(0)
        encryption = self.settings.encryption
        announces = self.announce and encryption is not None
        avps = negotiation.offer((), encryption) if announces else ()
        message = Message(MessageType.CLIENT_INITIATION, int(flags), 0, 0, avps)
        return Send(message.encode(), self.paa)

    def _repeat_initiation(self, now: Instant) -> Outputs:
        """Until the second request comes (s4.1). An agent of RFC 5191 alone discards what it does
        not know, so each second attempt is bare while there is no answer."""
        assert self.initiation is not None
        if not self.initiation.again(now.monotonic_ns):
            attempts = self.initiation.attempts
            self._close(now)
            return (Lost(0, attempts, was_established=False),)
        if not self.candidates and self.settings.encryption is not None:
            self.announce = not self.announce
        return (self._initiation(),)

    def do_answer_start(self, turn: Turn) -> None:
        """PAN[S] with the choice of algorithms; the same again if this was answered before."""
        self.started = True
        message = turn.said
        known = self.candidates.get(message.session_id)
        if known is not None and known.first_request == turn.octets:
            turn.out.append(known.conversation.send(known.first_answer))
            return
        suite = negotiation.choose(message, self.settings.suites, self.settings.encryption)
        assert suite is not None
        now_ns = turn.now.monotonic_ns
        timing = self.settings.timing
        if self.ends_ns is None:
            self.ends_ns = now_ns + round(timing.failed_session_s * NS_PER_S)
        isn = PAC_SEQUENCES | int.from_bytes(self._random(4), "big") & SEQUENCE_MASK
        conversation = Conversation(
            message.session_id,
            self.paa,
            timing,
            self._random,
            client=True,
            conceal=self.settings.conceal,
            first_out=isn,
            next_in=None,
            preauthentication=self.settings.preauthentication,
        )
        if self.initiation is not None and self.initiation.attempts == 1:
            elapsed_ns = now_ns - self.initiation.started_ns
            conversation.round_trip.measured(elapsed_ns / NS_PER_S)
        turn.out.append(conversation.answer(message, turn.octets, negotiation.answer(suite)))
        while len(self.candidates) >= _MAX_CANDIDATES:
            del self.candidates[next(iter(self.candidates))]
        self.candidates[message.session_id] = Candidate(
            conversation, suite, turn.octets, conversation.last_answer
        )
        packet = message.value(AvpCode.EAP_PAYLOAD)
        if packet is not None:
            self._decide(conversation)
            self._pass(turn, conversation, packet)

    def _decide(self, conversation: Conversation) -> None:
        """This first exchange became the session, so the PCI has done its work."""
        if self.conversation is None:
            self.chosen = self.candidates[conversation.session_id]
            self.conversation = conversation
            self.candidates.clear()
            self.initiation = None

    # --- EAP

    def _pass(self, turn: Turn, conversation: Conversation, packet: bytes) -> None:
        turn.out.append(EapPacket(conversation.session_id, packet, first=not self._eap_begun))
        self._eap_begun = True

    def _pass_payload(self, turn: Turn) -> None:
        packet = turn.said.value(AvpCode.EAP_PAYLOAD)
        assert packet is not None
        self._pass(turn, turn.of, packet)

    def do_pass_eap(self, turn: Turn) -> None:
        """TxEAP(), and the answer waits."""
        self.held = (turn.of, turn.said, turn.octets)
        wait_ns = round(self.settings.eap_response_s * NS_PER_S)
        self.eap_due_ns = turn.now.monotonic_ns + wait_ns
        self._pass_payload(turn)

    def do_answer_and_pass_eap(self, turn: Turn) -> None:
        """TxEAP(), and the answer goes without EAP's response."""
        self._reply(turn)
        self._pass_payload(turn)

    def do_pass_result(self, turn: Turn) -> None:
        """TxEAP() with EAP's own word on the result; the answer waits for what it makes of it."""
        self.held = (turn.of, turn.said, turn.octets)
        self._pass_payload(turn)

    def _reply(self, turn: Turn, *avps: Avp, concealable: tuple[Avp, ...] = ()) -> None:
        """Answer the message of this turn; it is used up with that."""
        conversation, message = turn.of, turn.said
        self._decide(conversation)
        self._release()
        nonce = message.value(AvpCode.NONCE)
        if nonce is not None:
            self._paa_nonce = nonce
            self._pac_nonce = self._random(self.settings.nonce_octets)
            avps = (Avp(AvpCode.NONCE, self._pac_nonce), *avps)
        outstanding = conversation.outstanding
        if outstanding is not None and outstanding.type == MessageType.AUTH:
            _, follows = conversation.answered(turn.now.monotonic_ns)
            turn.out += [follows] if follows else []
        turn.out.append(
            conversation.answer(message, turn.octets, avps, concealable=concealable, sa=turn.sa)
        )

    def _release(self) -> None:
        self.held = None
        self.eap_due_ns = None

    def do_answer_eap(self, turn: Turn) -> None:
        """PAN with EAP's response."""
        payload = Avp(AvpCode.EAP_PAYLOAD, turn.packet)
        self._reply(turn, concealable=(payload,))

    def do_send_eap(self, turn: Turn) -> None:
        """PAR with EAP's response, the answer having gone already."""
        payload = Avp(AvpCode.EAP_PAYLOAD, turn.packet)
        self._request(turn, MessageType.AUTH, Flag(0), concealable=(payload,))

    def do_answer_without_eap(self, turn: Turn) -> None:
        """EAP takes its time: keep the PAA from repeating itself."""
        if self.held is not None:
            self._reply(turn)

    def do_unread(self, turn: Turn) -> None:
        """As if the last request had not come: the genuine one may still do."""
        if self.held is not None and self._paa_nonce is None:
            self._eap_begun = False
        self._release()
        turn.out.append(Discarded("ignored by EAP", self.paa, security=True))

    def do_keep_msk(self, turn: Turn) -> None:
        """EAP is done before the PAA said so (RFC 5609 s7.1.4)."""
        self._msk = turn.msk or None

    def do_keep_msk_and_answer(self, turn: Turn) -> None:
        """The same, with a request open that EAP had no response to."""
        self.do_keep_msk(turn)
        self.do_answer_without_eap(turn)

    def do_doubt(self, turn: Turn) -> None:
        """EAP is content, the message it came in is not authentic: wait for one that is."""
        self.do_keep_msk(turn)
        self._release()
        assert turn.objection is not None
        turn.out.append(Discarded(turn.objection.reason, self.paa, turn.objection.security))

    # --- results

    def do_complete(self, turn: Turn) -> None:
        """PAN[C], and the session is established."""
        conversation, message, sa = turn.of, turn.said, turn.sa
        assert sa is not None
        renewed = conversation.sa is not None
        self._reply(turn, unsigned(AvpCode.KEY_ID, sa.key_id))
        conversation.sa = sa
        self._msk = None
        self._nonces = (self._pac_nonce, self._paa_nonce or b"")
        self._established = True
        self._lifetime_s = message.number(AvpCode.SESSION_LIFETIME) or 0
        now_ns = turn.now.monotonic_ns
        self._expires_ns = self.ends_ns = now_ns + self._lifetime_s * NS_PER_S
        part = self.settings.timing.reauthenticate_at
        if part is not None:
            self.renew_ns = now_ns + round(self._lifetime_s * part * NS_PER_S)
        if not renewed:
            self._ip_reconfiguration = bool(message.flags & Flag.IP_RECONFIGURATION)
        session = self.session_now()
        assert session is not None
        turn.out.append(Established(session, reauthentication=renewed))

    def do_accept_refusal(self, turn: Turn) -> None:
        """PAN[C], and that was it."""
        code = ResultCode(turn.said.number(AvpCode.RESULT_CODE) or 0)
        key = () if turn.sa is None else (unsigned(AvpCode.KEY_ID, turn.sa.key_id),)
        authenticated = turn.sa is not None or turn.of.sa is not None
        self._reply(turn, *key)
        turn.out.append(Rejected(turn.of.session_id, code, authenticated))
        self._close(turn.now)

    def do_answer_and_give_up(self, turn: Turn) -> None:
        """The PAA says success, the EAP peer does not think so."""
        self._reply(turn)
        self.do_give_up(turn)

    def do_give_up(self, turn: Turn) -> None:
        """EAP failed on this side."""
        self._end(turn, EndCause.EAP_FAILED)

    # --- requests of this side

    def _request(
        self,
        turn: Turn,
        type_: MessageType,
        flags: Flag,
        *,
        concealable: tuple[Avp, ...] = (),
        arrival: bool = False,
    ) -> None:
        send = turn.of.request(
            type_, flags, (), turn.now.monotonic_ns, concealable=concealable, arrival=arrival
        )
        turn.out += [send] if send else []

    def do_send_ping(self, turn: Turn) -> None:
        """RFC 5191 s4.2."""
        self.pinged_ns = turn.now.monotonic_ns
        self._request(turn, MessageType.NOTIFICATION, Flag.PING)

    def do_send_arrival(self, turn: Turn) -> None:
        """A ping with the E bit cleared: the candidate PAA serves now (RFC 5873 s3)."""
        self.arrival_sent = True
        self._request(turn, MessageType.NOTIFICATION, Flag.PING, arrival=True)

    def do_send_reauthentication(self, turn: Turn) -> None:
        """RFC 5191 s4.3."""
        self.renew_ns = None
        self._request(turn, MessageType.NOTIFICATION, Flag.REAUTHENTICATION)

    def do_send_termination(self, turn: Turn) -> None:
        """RFC 5191 s4.4."""
        self._release()
        self.ends_ns = self.renew_ns = None
        cause = unsigned(AvpCode.TERMINATION_CAUSE, TerminationCause.LOGOUT)
        self._request(turn, MessageType.TERMINATION, Flag(0), concealable=(cause,))

    def do_repeat_request(self, turn: Turn) -> None:
        """From the new address, what is under way, or else a request that changes nothing.

        A ping must not be sent within a re-authentication (RFC 5191 s4.2); asking for what is under
        way already may.
        """
        conversation = turn.conversation
        if conversation is None or conversation.sa is None:
            return
        if conversation.outstanding is not None:
            turn.out.append(conversation.send(conversation.outstanding.octets))
        else:
            self._request(turn, MessageType.NOTIFICATION, Flag.REAUTHENTICATION)

    def do_pinged(self, turn: Turn) -> None:
        """The answer to a ping, or to the one that told of the arrival."""
        if not turn.arrival_answered:
            turn.out.append(Answered(turn.of.session_id, turn.round_trip_ns))
            return
        self.arriving = False
        turn.of.preauthentication = False
        session = self.session_now()
        if session is not None:
            turn.out.append(BecameServing(session))

    def do_acknowledged(self, turn: Turn) -> None:
        """Nothing to do about it."""

    def do_answer_plainly(self, turn: Turn) -> None:
        """PNA for a ping."""
        turn.out.append(turn.of.answer(turn.said, turn.octets))

    # --- re-authentication

    def _renew(self, turn: Turn) -> None:
        """A new EAP run within the session; if it stalls the session is over (RFC 5191 s4.3)."""
        self._msk = self._paa_nonce = None
        self._eap_begun = False
        self.renew_ns = None
        stalled_ns = round(self.settings.timing.failed_session_s * NS_PER_S)
        self.ends_ns = min(self._expires_ns, turn.now.monotonic_ns + stalled_ns)

    def do_expect_eap(self, turn: Turn) -> None:
        """The PAA agreed to re-authenticate."""
        self._renew(turn)

    def do_renew(self, turn: Turn) -> None:
        """The PAA re-authenticates, and its answer waits for EAP."""
        self._renew(turn)
        self.do_pass_eap(turn)

    def do_renew_and_answer(self, turn: Turn) -> None:
        """The PAA re-authenticates, and its answer goes at once."""
        self._renew(turn)
        self.do_answer_and_pass_eap(turn)

    # --- ends

    def do_answer_termination(self, turn: Turn) -> None:
        """PTA, and that was it."""
        number = turn.said.number(AvpCode.TERMINATION_CAUSE)
        turn.out.append(turn.of.answer(turn.said, turn.octets))
        known = number in set(TerminationCause)
        cause = TerminationCause(number) if known and number is not None else None
        self._end(turn, EndCause.TERMINATED_BY_PEER, cause)

    def do_terminated(self, turn: Turn) -> None:
        """The PAA confirmed."""
        self._end(turn, EndCause.TERMINATED_HERE)

    def do_time_out(self, turn: Turn) -> None:
        """The lifetime is over, or the authentication got nowhere."""
        now_ns = turn.now.monotonic_ns
        expired = self._established and now_ns >= self._expires_ns
        self._end(turn, EndCause.EXPIRED if expired else EndCause.STALLED)

    def do_lose(self, turn: Turn) -> None:
        """The PAA does not answer (RFC 5191 s5.2)."""
        outstanding = turn.of.outstanding
        attempts = 0 if outstanding is None else outstanding.timer.attempts
        turn.out.append(Lost(turn.of.session_id, attempts, self._established))
        self._close(turn.now)

    def abandon(self, now: Instant) -> Outputs:
        """Stop an authentication that has led to no keys; there is nobody to tell (s5.5)."""
        turn = Turn(now)
        turn.conversation = self.conversation
        self._end(turn, EndCause.TERMINATED_HERE)
        return tuple(turn.out)

    def _end(
        self, turn: Turn, cause: EndCause, termination: TerminationCause | None = None
    ) -> None:
        session_id = 0 if turn.conversation is None else turn.conversation.session_id
        turn.out.append(Ended(session_id, cause, termination, self._established))
        self._close(turn.now)

    def _close(self, now: Instant) -> None:
        """Disconnect(): no keys and no timers any more, only the last answer for a while."""
        conversation = self.conversation
        self._forget()
        self.state = PacState.CLOSED
        self.linger_until_ns = now.monotonic_ns + round(self.settings.timing.linger_s * NS_PER_S)
        if conversation is not None:
            conversation.stop()
            conversation.sa = None
            self.conversation = conversation
