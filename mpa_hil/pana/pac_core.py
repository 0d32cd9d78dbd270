"""What a PaC keeps, and what its transitions ask (RFC 5609 s7.3-7.5), sans-IO.

`is_...` are the guards of `pac_table`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from mpa_hil.mobility.interface import NS_PER_S

from . import negotiation
from .association import SecurityAssociation, Suite, Transcript
from .conversation import Conversation, Objection
from .interface import (
    Endpoint,
    Instant,
    PanaOutput,
    PanaSession,
)
from .message import Message
from .numbers import AvpCode, Flag
from .pac_table import PacState
from .retransmission import Timer
from .settings import PacSettings

_EAP_SUCCESS: Final = 3
_EAP_FAILURE: Final = 4


@dataclass(slots=True)
class Turn:
    """One event on its way through the machine."""

    now: Instant
    message: Message | None = None
    octets: bytes = b""
    packet: bytes = b""
    msk: bytes = field(default=b"", repr=False)
    conversation: Conversation | None = None
    sa: SecurityAssociation | None = None
    """What a guard derived."""
    objection: Objection | None = None
    round_trip_ns: int | None = None
    arrival_answered: bool = False
    out: list[PanaOutput] = field(default_factory=list)

    @property
    def of(self) -> Conversation:
        """The conversation of an event that has one."""
        assert self.conversation is not None
        return self.conversation

    @property
    def said(self) -> Message:
        """The message of an event that has one."""
        assert self.message is not None
        return self.message


@dataclass(slots=True)
class Candidate:
    """A first exchange that may become the session (RFC 5191 s4.1)."""

    conversation: Conversation
    suite: Suite
    first_request: bytes
    first_answer: bytes


class PacCore:
    """One client's state and the guards over it."""

    def __init__(
        self, paa: Endpoint, settings: PacSettings, random: Callable[[int], bytes], now: Instant
    ) -> None:
        """Nothing is sent before `start`; `now` is only the time of making."""
        self.paa = paa
        self.settings = settings
        self.state = PacState.INITIAL
        self.linger_until_ns = now.monotonic_ns
        self._random = random
        self._forget()

    def _forget(self) -> None:
        self.started = False
        self.announce = self.settings.encryption is not None
        self.initiation: Timer | None = None
        self.candidates: dict[int, Candidate] = {}
        self.chosen: Candidate | None = None
        self.conversation: Conversation | None = None
        self.held: tuple[Conversation, Message, bytes] | None = None
        """A request whose answer waits for EAP."""
        self.ends_ns: int | None = None
        self.eap_due_ns: int | None = None
        self.renew_ns: int | None = None
        self.pinged_ns: int | None = None
        self.arriving = False
        self.arrival_sent = False
        self._established = False
        self._lifetime_s = 0
        self._expires_ns = 0
        self._ip_reconfiguration = False
        self._eap_begun = False
        self._msk: bytes | None = None
        self._pac_nonce = b""
        self._nonces = (b"", b"")
        self._paa_nonce: bytes | None = None

    # --- guards

    def is_acceptable(self, turn: Turn) -> bool:
        """A first request that this client may answer with a choice of algorithms."""
        message = turn.said
        e = bool(message.flags & Flag.PREAUTHENTICATION)
        if not (self.started or self.settings.unsolicited):
            turn.objection = Objection("unsolicited")
        elif e != self.settings.preauthentication:
            turn.objection = Objection("the PAA does not agree on the E bit", security=True)
        elif negotiation.choose(message, self.settings.suites, None) is None:
            turn.objection = Objection("no acceptable algorithms on offer", security=True)
        return turn.objection is None

    def is_acceptable_with_eap(self, turn: Turn) -> bool:
        """The PAA saves a round trip (RFC 5609 s8.2, OPTIMIZED_INIT)."""
        if turn.said.value(AvpCode.EAP_PAYLOAD) is None:
            return False
        return self.is_acceptable(turn)

    def is_undecided(self, turn: Turn) -> bool:
        """No request but first ones came so far."""
        if self.conversation is not None or turn.said.value(AvpCode.EAP_PAYLOAD) is not None:
            return False
        return self.is_acceptable(turn)

    def is_carries_eap(self, turn: Turn) -> bool:
        """EAP, and the PAA's nonce in the first request of a run and no other (s4.1)."""
        message = turn.said
        nonce = message.value(AvpCode.NONCE) is not None
        return message.value(AvpCode.EAP_PAYLOAD) is not None and nonce == (self._paa_nonce is None)

    def is_piggybacking(self, turn: Turn) -> bool:
        """The answer may wait for EAP's response."""
        return self.settings.piggyback and self.is_carries_eap(turn)

    def is_renews(self, turn: Turn) -> bool:
        """The PAA's first request of a re-authentication (s4.3)."""
        message = turn.said
        return None not in (message.value(AvpCode.EAP_PAYLOAD), message.value(AvpCode.NONCE))

    def is_renews_piggybacking(self, turn: Turn) -> bool:
        """The same, and its answer may wait for EAP's response."""
        return self.settings.piggyback and self.is_renews(turn)

    def is_unkeyed(self, turn: Turn) -> bool:
        """EAP has not had its say yet, and the result is one that it can have a say on."""
        message = turn.said
        packet = message.value(AvpCode.EAP_PAYLOAD)
        if packet is None or self._msk is not None:
            return False
        if message.value(AvpCode.KEY_ID) is not None:
            return packet[0] == _EAP_SUCCESS
        return packet[0] in (_EAP_SUCCESS, _EAP_FAILURE)

    def is_keyless(self, turn: Turn) -> bool:
        """EAP succeeded and gave no key, so nothing can protect the refusal."""
        return not turn.msk and turn.said.value(AvpCode.KEY_ID) is None

    def is_confirmed(self, turn: Turn) -> bool:
        """The PAA's last request is authentic under the keys that both sides just made (s5.3).

        This is where tampering with anything before shows.
        """
        message, msk = turn.said, turn.msk or self._msk
        key_id = message.number(AvpCode.KEY_ID)
        chosen = self._candidate_of(turn.of)
        if not msk or key_id is None or chosen is None or self._paa_nonce is None:
            turn.objection = Objection("a result without keys", security=True)
            return False
        transcript = Transcript(
            chosen.first_request, chosen.first_answer, self._pac_nonce, self._paa_nonce
        )
        sa = SecurityAssociation.establish(
            chosen.suite, turn.of.session_id, key_id, msk, transcript
        )
        opened = turn.of.open(message, turn.octets, sa)
        if isinstance(opened, Objection):
            turn.objection = opened
            return False
        turn.message, turn.sa = opened, sa
        return True

    def is_final(self, turn: Turn) -> bool:
        """A refusal that EAP need not be asked about."""
        message = turn.said
        if message.value(AvpCode.KEY_ID) is not None:
            return self._msk is not None and self.is_confirmed(turn)
        if turn.of.sa is None and self._msk is not None:
            turn.objection = Objection("a refusal without AUTH after EAP's success", security=True)
            return False
        return self._msk is not None or message.value(AvpCode.EAP_PAYLOAD) is None

    def is_answer_pending(self, turn: Turn) -> bool:
        """The last request has no answer yet."""
        return self.held is not None

    def is_protected(self, turn: Turn) -> bool:
        """There are keys, so the message has proved itself before it came here."""
        return turn.of.sa is not None

    def is_more_waits(self, turn: Turn) -> bool:
        """Another request of this side follows the one answered now."""
        return turn.of.outstanding is not None

    # --- what it is at

    def _candidate_of(self, conversation: Conversation) -> Candidate | None:
        if conversation is self.conversation:
            return self.chosen
        return self.candidates.get(conversation.session_id)

    def conversation_sa(self) -> SecurityAssociation | None:
        """The keys in use."""
        return None if self.conversation is None else self.conversation.sa

    def _ping_due(self, now: Instant) -> bool:
        if self.pinged_ns is None:
            return True
        return now.monotonic_ns - self.pinged_ns >= self.settings.timing.ping_interval_s * NS_PER_S

    def session_now(self) -> PanaSession | None:
        """The session as it stands, None unless it is established."""
        conversation = self.conversation
        if conversation is None or conversation.sa is None or not self._established:
            return None
        return PanaSession(
            session_id=conversation.session_id,
            key_id=conversation.sa.key_id,
            pac=None,
            paa=self.paa,
            relay=None,
            pac_nonce=self._nonces[0],
            paa_nonce=self._nonces[1],
            lifetime_s=self._lifetime_s,
            expires_ns=self._expires_ns,
            preauthentication=conversation.preauthentication,
            ip_reconfiguration=self._ip_reconfiguration,
            sa=conversation.sa,
        )
