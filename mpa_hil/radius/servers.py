"""What the client knows of one server: whether it lives, and which identifiers are free, sans-IO.

An identifier has one octet, so a source port carries 256 requests at most (RFC 2865 s2.5). A lane
is one source port, or one TLS connection; another is opened when all are full. Identifiers return
to the back of the queue, so the one used again is the one unused for longest, and a late answer to
its former owner fails the check of its authenticator in any case.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

from mpa_hil.radius.interface import Lane, Server

IDENTIFIERS = 256
"""RFC 2865 s3."""


@dataclass(slots=True, eq=False)
class Request:
    """One request that waits for its answer."""

    token: Hashable
    code: int
    body: bytes
    """Its attributes, encoded, all but the Message-Authenticator: the same to every server."""
    started_ns: int
    ends_ns: int
    """When to give up, whatever is left to try."""
    origin: int | None
    """The server that holds the conversation."""
    server: int = -1
    lane: Lane | None = None
    """None: it has no identifier now."""
    identifier: int = 0
    authenticator: bytes = b""
    packet: bytes = b""
    tried: int = 0
    """Bit set of the servers that it went to in this round through the list."""
    asked: int = 0
    """Bit set of the servers that it went to at all."""
    remade: bool = False
    """Its connection broke once, and it was sent on another to the same server."""
    trial: bool = False
    """It finds out whether a dead server lives again: one transmission must do."""
    here: int = 0
    """Transmissions to the present server."""
    attempts: int = 0
    """Transmissions in all."""
    sent_ns: int = 0
    """First transmission to the present server."""
    interval_ns: int = 0
    due_ns: int = 0
    """When something must happen; deadlines in the heap that are not this one are stale."""


@dataclass(slots=True)
class _LaneState:
    lane: Lane
    waiting: dict[int, Request] = field(default_factory=dict)
    free: deque[int] = field(default_factory=lambda: deque(range(IDENTIFIERS)))
    answered: bool = False


class ServerState:
    """Life, lanes and requests of one server."""

    def __init__(self, index: int, server: Server) -> None:
        self.index = index
        self.server = server
        self.dead_until_ns: int | None = None
        """None: it lives, as far as is known."""
        self.heard_ns = -1
        """When it last gave an authentic answer."""
        self.trial: Request | None = None
        """The user's request that finds out whether it lives again."""
        self.probe: Request | None = None
        """The Status-Server request that does so instead."""
        self._lanes: dict[int, _LaneState] = {}
        self._next_lane = 0

    @property
    def alive(self) -> bool:
        """Whether requests may go to it without further thought."""
        return self.dead_until_ns is None

    def may_try(self, now_ns: int) -> bool:
        """Whether a request may find out if the dead server lives again."""
        return (
            self.dead_until_ns is not None
            and now_ns >= self.dead_until_ns
            and self.trial is None
            and not self.server.status_server
        )

    def enlist(self, request: Request) -> None:
        """Give the request a lane and an identifier here."""
        for state in self._lanes.values():
            if state.free:
                break
        else:
            state = _LaneState(Lane(self.index, self._next_lane))
            self._lanes[self._next_lane] = state
            self._next_lane += 1
        request.server = self.index
        request.lane = state.lane
        request.identifier = state.free.popleft()
        state.waiting[request.identifier] = request

    def release(self, request: Request) -> None:
        """Take them back; nothing to do when the lane was lost meanwhile."""
        if self.trial is request:
            self.trial = None
        lane, request.lane = request.lane, None
        state = self._lanes.get(lane.number) if lane is not None else None
        if state is not None and state.waiting.pop(request.identifier, None) is not None:
            state.free.append(request.identifier)

    def find(self, number: int, identifier: int) -> Request | None:
        """Who waits for this identifier."""
        state = self._lanes.get(number)
        return None if state is None else state.waiting.get(identifier)

    def heard(self, number: int, now_ns: int) -> None:
        """An authentic answer came."""
        self.heard_ns = now_ns
        if (state := self._lanes.get(number)) is not None:
            state.answered = True

    def drop_lane(self, number: int) -> tuple[bool, tuple[Request, ...]]:
        """Forget a lane: whether it ever carried an answer, and who was waiting."""
        state = self._lanes.pop(number, None)
        if state is None:
            return True, ()
        waiting = tuple(state.waiting.values())
        for request in waiting:
            request.lane = None
            if self.trial is request:
                self.trial = None
        return state.answered, waiting

    def waiting(self) -> Iterator[Request]:
        """Every request that waits here."""
        for state in self._lanes.values():
            yield from state.waiting.values()
