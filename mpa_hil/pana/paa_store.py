"""The sessions of a PAA: by id, by origin, by when they are due; and their graves; sans-IO.

One heap entry per session in the usual case: an entry that has become too early is put back when it
comes up, so moving a deadline further away costs nothing.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from mpa_hil.mobility.interface import NS_PER_S, Send

from .interface import Changed, Instant, Outputs
from .paa_core import Origin, Turn
from .paa_session import Session
from .paa_table import PaaState

_MAX_TOMBSTONES: Final = 10_000
"""Closed sessions that still repeat their last answer; about a kilobyte each."""


class Tombstone(NamedTuple):
    """What a closed session may still have to say: its last answer, if that was lost."""

    ends_ns: int
    request: bytes
    answer: Send


class SessionStore:
    """Where sessions live, in O(log n) per event."""

    def __init__(self, linger_s: float) -> None:
        self.sessions: dict[int, Session] = {}
        self.half_open: dict[Origin, int] = {}
        """Sessions without keys, by where their PaC is."""
        self._linger_ns = round(linger_s * NS_PER_S)
        self._deadlines: list[tuple[int, int]] = []
        self._tombstones: dict[int, Tombstone] = {}
        self._burials: deque[tuple[int, int]] = deque()

    def add(self, session: Session) -> None:
        """Take in a session."""
        session_id = session.conversation.session_id
        self.sessions[session_id] = session
        if session.established:
            self._schedule(session)
        else:
            self.half_open[session.origin] = session_id

    def settle(self, session: Session, turn: Turn) -> Outputs:
        """After an event: put the session where it belongs now, and say what became of it."""
        conversation = session.conversation
        if session.state is PaaState.CLOSED:
            self._bury(session, turn.now)
            return tuple(turn.out)
        if session.established:
            self._open(session)
            if conversation.changed:
                turn.out.append(Changed(conversation.session_id))
        conversation.changed = False
        self._schedule(session)
        return tuple(turn.out)

    def drop(self, session_id: int) -> None:
        """Forget a session at once."""
        session = self.sessions.pop(session_id, None)
        if session is not None:
            self._open(session)

    def _open(self, session: Session) -> None:
        """It is half-open no longer."""
        if self.half_open.get(session.origin) == session.conversation.session_id:
            del self.half_open[session.origin]

    # --- after the end

    def _bury(self, session: Session, now: Instant) -> None:
        conversation = session.conversation
        self.drop(conversation.session_id)
        self._decay(now)
        if conversation.last_answer and self._linger_ns:
            ends_ns = now.monotonic_ns + self._linger_ns
            answer = conversation.send(conversation.last_answer)
            tombstone = Tombstone(ends_ns, conversation.last_request, answer)
            self._tombstones[conversation.session_id] = tombstone
            self._burials.append((ends_ns, conversation.session_id))

    def _decay(self, now: Instant) -> None:
        burials = self._burials
        while burials and (burials[0][0] <= now.monotonic_ns or len(burials) >= _MAX_TOMBSTONES):
            ends_ns, session_id = burials.popleft()
            tombstone = self._tombstones.get(session_id)
            if tombstone is not None and tombstone.ends_ns == ends_ns:
                del self._tombstones[session_id]

    def from_the_grave(self, session_id: int, datagram: bytes, now: Instant) -> Send | None:
        """A closed session's last answer, for the request that it was given to."""
        tombstone = self._tombstones.get(session_id)
        if tombstone is None or tombstone.request != datagram:
            return None
        return tombstone.answer if now.monotonic_ns < tombstone.ends_ns else None

    # --- time

    def _schedule(self, session: Session) -> None:
        due = session.due_ns()
        if due is not None and (session.scheduled_ns is None or due < session.scheduled_ns):
            session.scheduled_ns = due
            heapq.heappush(self._deadlines, (due, session.conversation.session_id))

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the earliest entry."""
        return self._deadlines[0][0] if self._deadlines else None

    def due(self, now_ns: int) -> Iterator[Session]:
        """Sessions with something to do; each is to be settled before the next is asked for."""
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= now_ns:
            at, session_id = heapq.heappop(deadlines)
            session = self.sessions.get(session_id)
            if session is None or session.scheduled_ns != at:
                continue
            session.scheduled_ns = None
            due = session.due_ns()
            if due is not None and due <= now_ns:
                yield session
            else:
                self._schedule(session)
