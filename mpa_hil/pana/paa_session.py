"""What a session's transitions do at the PAA (RFC 5609 s8.3 and s8.4): `do_...`, sans-IO."""

from __future__ import annotations

from typing import Final

from mpa_hil.mobility.interface import NS_PER_S

from .association import SecurityAssociation, Transcript
from .interface import (
    Answered,
    BecameServing,
    EapPacket,
    EndCause,
    Ended,
    Established,
    Lost,
    Rejected,
    SessionStarted,
)
from .message import Avp, unsigned
from .numbers import AvpCode, Flag, MessageType, ResultCode, TerminationCause
from .paa_core import PaaCore, Turn
from .paa_table import PAA_TABLE

_I: Final = int(Flag.IP_RECONFIGURATION)
_C: Final = int(Flag.COMPLETE)


class Session(PaaCore):
    """The PAA's end of one session."""

    __slots__ = ()

    # --- EAP

    def do_begin(self, turn: Turn) -> None:
        """The PaC has proved its address."""
        self._limit(turn)
        self._start_eap(turn, reauthentication=False)

    def _limit(self, turn: Turn) -> None:
        stalled_ns = round(self._settings.timing.failed_session_s * NS_PER_S)
        self.ends_ns = turn.now.monotonic_ns + stalled_ns
        if self.established:
            self.ends_ns = min(self.ends_ns, self.expires_ns)

    def _start_eap(self, turn: Turn, *, reauthentication: bool) -> None:
        conversation = self.conversation
        self.pac_nonce = None
        self.paa_nonce = b""
        turn.out.append(
            SessionStarted(
                conversation.session_id,
                conversation.peer,
                conversation.relay,
                reauthentication=reauthentication,
                preauthentication=conversation.preauthentication,
            )
        )

    def _auth_flags(self) -> int:
        configure = self._settings.ip_reconfiguration and not self.established
        return _I if configure else 0

    def _request(
        self,
        turn: Turn,
        type_: MessageType,
        flags: int,
        avps: tuple[Avp, ...] = (),
        *,
        concealable: tuple[Avp, ...] = (),
        sa: SecurityAssociation | None = None,
    ) -> None:
        send = self.conversation.request(
            type_, flags, avps, turn.now.monotonic_ns, concealable=concealable, sa=sa
        )
        turn.out += [send] if send else []

    def do_send_eap(self, turn: Turn) -> None:
        """PAR with an EAP request; the first of a run with the PAA's nonce (RFC 5191 s4.1)."""
        self._answered = None
        nonce: tuple[Avp, ...] = ()
        if not self.paa_nonce:
            self.paa_nonce = self._random(self._settings.nonce_octets)
            nonce = (Avp(AvpCode.NONCE, self.paa_nonce),)
        payload = Avp(AvpCode.EAP_PAYLOAD, turn.packet)
        self._request(turn, MessageType.AUTH, self._auth_flags(), nonce, concealable=(payload,))

    def do_take_answer(self, turn: Turn) -> None:
        """The PaC has the request and will answer EAP in one of its own."""
        nonce = turn.said.value(AvpCode.NONCE)
        if nonce is not None:
            self.pac_nonce = nonce

    def do_pass_answer(self, turn: Turn) -> None:
        """TxEAP() with what came in a PAN."""
        self.do_take_answer(turn)
        self._answered = turn.answered
        self._pass(turn)

    def do_pass_request(self, turn: Turn) -> None:
        """TxEAP() with what came in a PAR of the PaC, which also acknowledges the PAA's."""
        conversation = self.conversation
        if conversation.outstanding is not None:
            _, follows = conversation.answered(turn.now.monotonic_ns)
            turn.out += [follows] if follows else []
        self._answered = None
        turn.out.append(conversation.answer(turn.said, turn.octets))
        self._pass(turn)

    def _pass(self, turn: Turn) -> None:
        packet = turn.said.value(AvpCode.EAP_PAYLOAD)
        assert packet is not None
        turn.out.append(EapPacket(self.conversation.session_id, packet))

    def do_ask_again(self, turn: Turn) -> None:
        """EAP ignored the answer: the request counts as unanswered."""
        asked, self._answered = self._answered, None
        if asked is not None and self.conversation.outstanding is None:
            asked.timer.due_ns = turn.now.monotonic_ns
            self.conversation.outstanding = asked

    # --- results

    def _keys(self, turn: Turn) -> SecurityAssociation:
        par, pan = self._transcript_start
        assert self.pac_nonce is not None
        transcript = Transcript(par, pan, self.pac_nonce, self.paa_nonce)
        key_id = self.next_key_id
        self.next_key_id += 1
        session_id = self.conversation.session_id
        return SecurityAssociation.establish(self.suite, session_id, key_id, turn.msk, transcript)

    def do_send_success(self, turn: Turn) -> None:
        """PAR[C] under the new key (RFC 5191 s4.1, s5.3)."""
        sa = self.pending_sa = self._keys(turn)
        self.lifetime_s = turn.lifetime_s
        self._request(
            turn,
            MessageType.AUTH,
            _C | self._auth_flags(),
            (
                unsigned(AvpCode.RESULT_CODE, ResultCode.SUCCESS),
                Avp(AvpCode.EAP_PAYLOAD, turn.packet),
                unsigned(AvpCode.KEY_ID, sa.key_id),
            ),
            concealable=(unsigned(AvpCode.SESSION_LIFETIME, turn.lifetime_s),),
            sa=sa,
        )

    def do_send_refusal(self, turn: Turn) -> None:
        """PAR[C] that says no, under a key if EAP gave one (RFC 5191 s4.1)."""
        self._code = turn.code or ResultCode.AUTHORIZATION_REJECTED
        avps = [unsigned(AvpCode.RESULT_CODE, self._code)]
        if turn.packet:
            avps.append(Avp(AvpCode.EAP_PAYLOAD, turn.packet))
        if self.is_keyed(turn):
            self.pending_sa = self._keys(turn)
            avps.append(unsigned(AvpCode.KEY_ID, self.pending_sa.key_id))
        self._request(
            turn,
            MessageType.AUTH,
            _C | self._auth_flags(),
            tuple(avps),
            sa=self.pending_sa,
        )

    def do_establish(self, turn: Turn) -> None:
        """The PaC holds the key: both sides are sure of each other."""
        sa, self.pending_sa = self.pending_sa, None
        assert sa is not None
        assert self.pac_nonce is not None
        renewed = self.established
        self.established = True
        self.conversation.sa = sa
        self.conversation.changed = True
        self.nonces = (self.pac_nonce, self.paa_nonce)
        now_ns = turn.now.monotonic_ns
        self.expires_ns = self.ends_ns = now_ns + self.lifetime_s * NS_PER_S
        part = self._settings.timing.reauthenticate_at
        self.renew_ns = None
        if part is not None:
            self.renew_ns = now_ns + round(self.lifetime_s * part * NS_PER_S)
        session = self.snapshot()
        assert session is not None
        turn.out.append(Established(session, reauthentication=renewed))

    def do_establish_and_pong(self, turn: Turn) -> None:
        """The same, said by a ping."""
        self.conversation.stop()
        self.do_establish(turn)
        self.follow(turn)
        self.do_pong(turn)

    def do_refused(self, turn: Turn) -> None:
        """The PaC has taken note."""
        authenticated = self.conversation.sa is not None or self.pending_sa is not None
        turn.out.append(Rejected(self.conversation.session_id, self._code, authenticated))

    # --- access phase

    def do_send_ping(self, turn: Turn) -> None:
        """RFC 5191 s4.2."""
        self.pinged_ns = turn.now.monotonic_ns
        self._request(turn, MessageType.NOTIFICATION, Flag.PING)

    def do_pinged(self, turn: Turn) -> None:
        """The PaC lives."""
        turn.out.append(Answered(self.conversation.session_id, turn.round_trip_ns))

    def do_pong(self, turn: Turn) -> None:
        """PNA for a ping; one with the E bit cleared says that the PaC has come (RFC 5873 s3)."""
        conversation = self.conversation
        arrived = conversation.preauthentication and not (turn.said.flags & Flag.PREAUTHENTICATION)
        if arrived:
            conversation.preauthentication = False
        turn.out.append(conversation.answer(turn.said, turn.octets))
        session = self.snapshot()
        if arrived and session is not None:
            turn.out.append(BecameServing(session))

    def do_answer_plainly(self, turn: Turn) -> None:
        """PNA that says no more than that the request came."""
        turn.out.append(self.conversation.answer(turn.said, turn.octets))

    def do_agree_to_renew(self, turn: Turn) -> None:
        """PNA first, EAP then (RFC 5191 s4.3)."""
        self.do_answer_plainly(turn)
        self.do_renew(turn)

    def do_renew(self, turn: Turn) -> None:
        """EAP anew within the session."""
        self.renew_ns = None
        self._limit(turn)
        self._start_eap(turn, reauthentication=True)

    # --- ends

    def do_send_termination(self, turn: Turn) -> None:
        """RFC 5191 s4.4."""
        self.ends_ns = self.renew_ns = None
        cause = unsigned(AvpCode.TERMINATION_CAUSE, turn.cause)
        self._request(turn, MessageType.TERMINATION, 0, concealable=(cause,))

    def do_answer_termination(self, turn: Turn) -> None:
        """PTA, and that was it."""
        turn.out.append(self.conversation.answer(turn.said, turn.octets))
        number = turn.said.number(AvpCode.TERMINATION_CAUSE)
        known = number in set(TerminationCause)
        cause = TerminationCause(number) if known and number is not None else None
        self._end(turn, EndCause.TERMINATED_BY_PEER, cause)

    def do_terminated(self, turn: Turn) -> None:
        """The PaC confirmed."""
        self._end(turn, EndCause.TERMINATED_HERE)

    def do_give_up(self, turn: Turn) -> None:
        """EAP or AAA is silent: so is PANA (RFC 5191 s4.1)."""
        self._end(turn, EndCause.EAP_FAILED)

    def do_time_out(self, turn: Turn) -> None:
        """The lifetime is over, or the authentication got nowhere."""
        expired = self.established and turn.now.monotonic_ns >= self.expires_ns
        self._end(turn, EndCause.EXPIRED if expired else EndCause.STALLED)

    def do_lose(self, turn: Turn) -> None:
        """The PaC does not answer (RFC 5191 s5.2)."""
        outstanding = self.conversation.outstanding
        attempts = 0 if outstanding is None else outstanding.timer.attempts
        turn.out.append(Lost(self.conversation.session_id, attempts, self.established))

    def _end(
        self, turn: Turn, cause: EndCause, termination: TerminationCause | None = None
    ) -> None:
        turn.out.append(Ended(self.conversation.session_id, cause, termination, self.established))


Session.moves = PAA_TABLE.bound(Session)
