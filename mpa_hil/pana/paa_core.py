"""One session at the PAA: what is kept of it, and what its transitions ask, sans-IO.

RFC 5609 s8. `is_...` are the guards of `paa_table`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from .association import SecurityAssociation, Suite
from .conversation import Conversation, Outstanding
from .interface import (
    AddressChanged,
    Endpoint,
    Instant,
    PanaOutput,
    PanaSession,
)
from .message import Message
from .numbers import AvpCode, ResultCode, TerminationCause
from .paa_table import PaaEvent, PaaState
from .settings import PaaSettings
from .transitions import Move

Origin = tuple[Endpoint, Endpoint | None]


@dataclass(slots=True)
class Turn:
    """One event on its way through a session."""

    now: Instant
    message: Message | None = None
    octets: bytes = b""
    source: Endpoint | None = None
    relay: Endpoint | None = None
    packet: bytes = b""
    msk: bytes = field(default=b"", repr=False)
    lifetime_s: int = 0
    code: ResultCode = ResultCode.SUCCESS
    cause: TerminationCause = TerminationCause.ADMINISTRATIVE
    under_new_key: bool = False
    answered: Outstanding | None = None
    """The request that the message answers."""
    round_trip_ns: int | None = None
    out: list[PanaOutput] = field(default_factory=list)

    @property
    def said(self) -> Message:
        """The message of an event that has one."""
        assert self.message is not None
        return self.message


class PaaCore:
    """The PAA's end of one session: its state and the guards over it."""

    __slots__ = (
        "_answered",
        "_code",
        "_random",
        "_settings",
        "_transcript_start",
        "conversation",
        "ends_ns",
        "established",
        "expires_ns",
        "lifetime_s",
        "next_key_id",
        "nonces",
        "origin",
        "paa_nonce",
        "pac_nonce",
        "pending_sa",
        "pinged_ns",
        "renew_ns",
        "scheduled_ns",
        "state",
        "suite",
    )

    moves: ClassVar[dict[tuple[PaaState, PaaEvent], tuple[Move[PaaState], ...]]]
    """`PAA_TABLE`, bound to the class that has the actions."""

    def __init__(
        self,
        conversation: Conversation,
        suite: Suite,
        first: tuple[bytes, bytes],
        settings: PaaSettings,
        random: Callable[[int], bytes],
    ) -> None:
        """`first` are the PAR[S] and the PAN[S], to the octet."""
        self.conversation = conversation
        self.origin: Origin = (conversation.peer, conversation.relay)
        """Where the PaC, and its relay, were when it began."""
        self.suite = suite
        self._transcript_start = first
        self._settings = settings
        self._random = random
        self.state = PaaState.INITIAL
        self.established = False
        self.pending_sa: SecurityAssociation | None = None
        """Keys that the PaC has not proved yet to have."""
        self.next_key_id = 1
        self.nonces = (b"", b"")
        """Those behind the keys in use: the PaC's and the PAA's."""
        self.pac_nonce: bytes | None = None
        self.paa_nonce = b""
        self.lifetime_s = 0
        self.expires_ns = 0
        self.ends_ns: int | None = None
        self.renew_ns: int | None = None
        self.pinged_ns: int | None = None
        self.scheduled_ns: int | None = None
        """When the agent's queue will look at this session."""
        self._answered: Outstanding | None = None
        self._code = ResultCode.SUCCESS

    @property
    def first(self) -> tuple[bytes, bytes]:
        """PAR[S] and PAN[S], which keys are made from."""
        return self._transcript_start

    def due_ns(self) -> int | None:
        """When something is to be done for this session."""
        due: int | None = self.conversation.due_ns()
        for other in (self.ends_ns, self.renew_ns):
            if other is not None and (due is None or other < due):
                due = other
        return due

    def fire(self, event: PaaEvent, turn: Turn) -> bool:
        """Take the first row whose guard holds; False if there is none."""
        for guard, action, exit_ in self.moves.get((self.state, event), ()):
            if guard is not None and not guard(self, turn):
                continue
            if exit_ is not None:
                self.state = exit_
            if action is not None:
                action(self, turn)
            return True
        return False

    def snapshot(self) -> PanaSession | None:
        """The session as it stands, None unless it is established."""
        conversation = self.conversation
        if not self.established or conversation.sa is None:
            return None
        return PanaSession(
            session_id=conversation.session_id,
            key_id=conversation.sa.key_id,
            pac=conversation.peer,
            paa=None,
            relay=conversation.relay,
            pac_nonce=self.nonces[0],
            paa_nonce=self.nonces[1],
            lifetime_s=self.lifetime_s,
            expires_ns=self.expires_ns,
            preauthentication=conversation.preauthentication,
            ip_reconfiguration=self._settings.ip_reconfiguration,
            sa=conversation.sa,
        )

    def follow(self, turn: Turn) -> None:
        """An authentic message came from elsewhere: the PaC is there now (RFC 5191 s5.6)."""
        conversation = self.conversation
        if turn.source is None or (turn.source, turn.relay) == (
            conversation.peer,
            conversation.relay,
        ):
            return
        before = conversation.peer
        conversation.peer, conversation.relay = turn.source, turn.relay
        conversation.changed = True
        session = self.snapshot()
        if session is not None:
            turn.out.append(AddressChanged(session, before))

    # --- guards

    def is_keyed(self, turn: Turn) -> bool:
        """EAP gave a key, and both nonces are there to go with it."""
        return bool(turn.msk) and self.pac_nonce is not None

    def is_protected(self, turn: Turn) -> bool:
        """There are keys in use, so the message has proved itself before it came here."""
        return self.conversation.sa is not None and not turn.under_new_key

    def is_newly_keyed(self, turn: Turn) -> bool:
        """The message has proved itself by the key that waits for confirmation."""
        return turn.under_new_key

    def is_nothing_open(self, turn: Turn) -> bool:
        """No request waits for its answer."""
        return self.conversation.outstanding is None

    def is_nonce_right(self, turn: Turn) -> bool:
        """The PaC's nonce comes in its first answer of a run and in no other (RFC 5191 s4.1)."""
        return (turn.said.value(AvpCode.NONCE) is None) == (self.pac_nonce is not None)

    def is_carries_eap(self, turn: Turn) -> bool:
        """EAP in a request of the PaC, which says that it has had the PAA's (RFC 5609 s8.4).

        Its answer to the first one must have come before, for the nonce in it.
        """
        said = turn.said
        return (
            self.pac_nonce is not None
            and said.value(AvpCode.EAP_PAYLOAD) is not None
            and said.value(AvpCode.NONCE) is None
        )
