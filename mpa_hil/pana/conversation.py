"""What both sides of a session share: numbers, repetition, protection (RFC 5191 s5), sans-IO.

A conversation knows nothing of states. It numbers and repeats the requests of its side, one at a
time and the next ones waiting; remembers the last answer; and judges what arrives by everything
but the state it arrives in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from mpa_hil.mobility.interface import NS_PER_S, Endpoint, Send

from .association import SecurityAssociation
from .crypto import aes_ctr, counter_block
from .message import Avp, DecodeError, Message, encode_avps, revealed
from .numbers import AvpCode, Flag, MessageType
from .relay import relayed
from .retransmission import RoundTrip, Timer
from .settings import Timing

_R: Final = int(Flag.REQUEST)
_E: Final = int(Flag.PREAUTHENTICATION)
_SEQUENCES: Final = 1 << 32
_PARTS: Final = int(Flag.START | Flag.COMPLETE | Flag.REAUTHENTICATION | Flag.PING | _E)
"""Flags in which an answer equals its request."""
CATCH_UP: Final = 8
"""How many requests a restored session may have missed between writing and dying."""


class Objection(NamedTuple):
    """Why a message is discarded."""

    reason: str
    security: bool = False


class Draft(NamedTuple):
    """A request that waits for its number."""

    type: MessageType
    flags: int
    avps: tuple[Avp, ...]
    concealable: tuple[Avp, ...]
    sa: SecurityAssociation | None
    arrival: bool
    """The E bit is cleared although the PAA does not serve yet: this tells it to (RFC 5873 s3)."""


class Outstanding:
    """The request that is not answered yet."""

    __slots__ = ("flags", "octets", "sequence", "timer", "type")

    def __init__(self, message: Message, octets: bytes, timer: Timer) -> None:
        self.type = message.type
        self.flags = message.flags
        self.sequence = message.sequence
        self.octets = octets
        self.timer = timer


class Conversation:
    """One PANA session, as far as both of its ends look alike."""

    __slots__ = (
        "_client",
        "_conceal",
        "_random",
        "_timing",
        "_was_preauthentication",
        "catch_up",
        "changed",
        "first_out",
        "last_answer",
        "last_request",
        "next_in",
        "next_out",
        "outstanding",
        "peer",
        "preauthentication",
        "relay",
        "round_trip",
        "sa",
        "session_id",
        "waiting",
    )

    def __init__(
        self,
        session_id: int,
        peer: Endpoint,
        timing: Timing,
        random: Callable[[int], bytes],
        *,
        client: bool,
        conceal: bool,
        first_out: int,
        next_in: int | None,
        preauthentication: bool,
        relay: Endpoint | None = None,
    ) -> None:
        self.session_id = session_id
        self.peer = peer
        self.relay = relay
        """The PANA relay between a PAA and its PaC (RFC 6345 s2)."""
        self.first_out = first_out
        self.next_out = first_out
        self.next_in = next_in
        """None until the first request of the peer, whose number is random (RFC 5191 s5.2)."""
        self.catch_up = 0
        """How far a request's number may be ahead; not zero only just after a restart."""
        self.preauthentication = preauthentication
        self._was_preauthentication = preauthentication
        self.outstanding: Outstanding | None = None
        self.waiting: deque[Draft] = deque()
        self.last_request = b""
        self.last_answer = b""
        self.sa: SecurityAssociation | None = None
        self.round_trip = RoundTrip()
        self.changed = False
        """Something that outlives a restart is another now."""
        self._timing = timing
        self._random = random
        self._client = client
        self._conceal = conceal

    # --- sending

    def request(
        self,
        type_: MessageType,
        flags: int,
        avps: tuple[Avp, ...],
        now_ns: int,
        *,
        concealable: tuple[Avp, ...] = (),
        sa: SecurityAssociation | None = None,
        arrival: bool = False,
    ) -> Send | None:
        """Send a request, or keep it until the one before it is answered (RFC 5191 s5.2).

        Args:
            type_: of the message.
            flags: besides R and E.
            avps: in the clear.
            concealable: encrypted where that was agreed and is wanted, and put first.
            sa: to protect it with, if not the one in use.
            arrival: clear the E bit.
            now_ns: monotonic.
        """
        if self.outstanding is not None:
            self.waiting.append(Draft(type_, flags, avps, concealable, sa, arrival))
            return None
        return self._dispatch(now_ns, type_, flags, avps, concealable, sa, arrival)

    def _dispatch(
        self,
        now_ns: int,
        type_: MessageType,
        flags: int,
        avps: tuple[Avp, ...],
        concealable: tuple[Avp, ...],
        sa: SecurityAssociation | None,
        arrival: bool,
    ) -> Send:
        sequence = self.next_out
        self.next_out = (sequence + 1) % _SEQUENCES
        flags |= _R
        if self.preauthentication and not arrival:
            flags |= _E
        message, octets = self._compose(type_, flags, sequence, avps, concealable, sa)
        row = self._timing.request
        timer = Timer(row, self.round_trip.first_wait_s(row, self._timing), self._random, now_ns)
        self.outstanding = Outstanding(message, octets, timer)
        self.changed = True
        return self.send(octets)

    def answer(
        self,
        message: Message,
        octets: bytes,
        avps: tuple[Avp, ...] = (),
        *,
        concealable: tuple[Avp, ...] = (),
        sa: SecurityAssociation | None = None,
    ) -> Send:
        """Answer a request, which counts as received from here on."""
        self.next_in = (message.sequence + 1) % _SEQUENCES
        self.catch_up = 0
        self.changed = True
        _, self.last_answer = self._compose(
            message.type, message.flags & _PARTS, message.sequence, avps, concealable, sa
        )
        self.last_request = octets
        return self.send(self.last_answer)

    def _compose(
        self,
        type_: int,
        flags: int,
        sequence: int,
        avps: tuple[Avp, ...],
        concealable: tuple[Avp, ...],
        sa: SecurityAssociation | None,
    ) -> tuple[Message, bytes]:
        sa = sa or self.sa
        if concealable:
            if self._conceal and sa is not None and sa.suite.encryption is not None:
                veiled = self._cipher(sa, sequence, encode_avps(concealable), sent=True)
                avps = (Avp(AvpCode.ENCRYPTION_ENCAP, veiled), *avps)
            else:
                avps = (*concealable, *avps)
        message = Message(type_, flags, self.session_id, sequence, avps)
        return message, message.encode() if sa is None else message.sealed(sa)

    def _cipher(
        self, sa: SecurityAssociation, sequence: int, octets: bytes, *, sent: bool
    ) -> bytes:
        by_client = self._client if sent else not self._client
        key = sa.pac_encryption_key if by_client else sa.paa_encryption_key
        return aes_ctr(key, counter_block(sa.key_id, self.session_id, sequence), octets)

    def send(self, octets: bytes) -> Send:
        """To the peer, through the relay if there is one."""
        if self.relay is None:
            return Send(octets, self.peer)
        return Send(relayed(octets, self.peer), self.relay)

    # --- timers

    def due_ns(self) -> int | None:
        """When the outstanding request is to be repeated."""
        return None if self.outstanding is None else self.outstanding.timer.due_ns

    def repeat(self, now_ns: int) -> Send | None:
        """Say the outstanding request again; None once the exchange has failed."""
        if self.outstanding is None or not self.outstanding.timer.again(now_ns):
            return None
        return self.send(self.outstanding.octets)

    def answered(self, now_ns: int) -> tuple[int | None, Send | None]:
        """The outstanding request has been answered.

        Returns:
            The round trip in nanoseconds (None after repetitions: Karn's rule), and the request
            that waited for this.
        """
        outstanding = self.outstanding
        self.outstanding = None
        elapsed: int | None = None
        if outstanding is not None and outstanding.timer.attempts == 1:
            elapsed = now_ns - outstanding.timer.started_ns
            self.round_trip.measured(elapsed / NS_PER_S)
        follows = self._dispatch(now_ns, *self.waiting.popleft()) if self.waiting else None
        return elapsed, follows

    def stop(self) -> None:
        """Ask nothing any more."""
        self.outstanding = None
        self.waiting.clear()

    # --- receiving

    def repetition(self, octets: bytes) -> Send | None:
        """The remembered answer, if this is the last request over again (RFC 5191 s5.2).

        It goes where the session's peer is known to be.
        """
        return self.send(self.last_answer) if octets == self.last_request else None

    def object_to(self, message: Message) -> Objection | None:
        """Judge a message by its numbers and the E bit (RFC 5191 s5.5, RFC 5873 s3)."""
        if message.flags & _R:
            return self._object_to_request(message)
        asked = self.outstanding
        if asked is None or message.sequence != asked.sequence:
            return Objection("answers nothing that was asked")
        if message.type != asked.type or (message.flags ^ asked.flags) & _PARTS:
            return Objection("answers another question", security=True)
        return None

    def _object_to_request(self, message: Message) -> Objection | None:
        sequence = message.sequence
        if self.next_in is None:
            if (sequence - self.first_out) % _SEQUENCES < self._spoken():
                return Objection("reflected", security=True)
        elif (sequence - self.next_in) % _SEQUENCES > self.catch_up:
            return Objection("out of sequence")
        if bool(message.flags & _E) == self.preauthentication:
            return None
        if self._converts(message):
            return None
        return Objection("wrong E bit", security=True)

    def _spoken(self) -> int:
        return (self.next_out - self.first_out) % _SEQUENCES

    def _converts(self, message: Message) -> bool:
        """A request whose E bit differs because the PAA starts to serve (RFC 5873 s3).

        At the PAA that is the client's notification itself. At the client it is what the PAA sent
        before it had that notification, or before the client had its answer; those carry AUTH.
        """
        if not self._client:
            ping = message.type == MessageType.NOTIFICATION and message.flags & Flag.PING
            return bool(ping) and not message.flags & _E
        if message.flags & _E:
            return self._was_preauthentication
        asked = self.outstanding
        return asked is not None and not asked.flags & _E

    def open(
        self, message: Message, octets: bytes, sa: SecurityAssociation | None
    ) -> Message | Objection:
        """Check AUTH under `sa`, and lay open what is encrypted (RFC 5191 s5.5, RFC 6786 s5)."""
        if sa is None:
            if message.value(AvpCode.AUTH) is not None:
                return Objection("AUTH before there is a key", security=True)
            return message
        value = message.value(AvpCode.AUTH)
        if value is None:
            return Objection("no AUTH", security=True)
        if len(value) != sa.auth_octets or not sa.authentic(octets):
            return Objection("wrong AUTH", security=True)
        veiled = message.value(AvpCode.ENCRYPTION_ENCAP)
        if veiled is None:
            return message
        if sa.suite.encryption is None:
            return Objection("encrypted, though that was not agreed", security=True)
        try:
            return revealed(message, self._cipher(sa, message.sequence, veiled, sent=False))
        except DecodeError as error:
            return Objection(error.what, security=True)
