"""The RADIUS client of the authentication agent (RFC 2865, RFC 3579), sans-IO.

Constant work for each message: requests are found by lane and identifier, deadlines are in a heap.
Nothing that comes in changes anything unless it carries both authenticators of the server that was
asked; what fails them is dropped, and the genuine answer may still come.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from heapq import heappop, heappush

from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.mobility.interface import NS_PER_S
from mpa_hil.radius import numbers
from mpa_hil.radius.asking import Asking
from mpa_hil.radius.interface import (
    Ask,
    ClientSettings,
    Decider,
    Discarded,
    Instant,
    Lane,
    Output,
    Refused,
    ServerDown,
    ServerUp,
    Transmit,
    Transport,
    Unreachable,
)
from mpa_hil.radius.numbers import Code
from mpa_hil.radius.packet import (
    decode,
    fault_of_answer,
    signed_request,
)
from mpa_hil.radius.servers import Request, ServerState
from mpa_hil.radius.verdict import Circumstances, judge

_PROBE = object()
"""Token of Status-Server probes."""
_ANSWERS = frozenset((Code.ACCESS_ACCEPT, Code.ACCESS_REJECT, Code.ACCESS_CHALLENGE))
_JITTER = 0.1
"""RAND of RFC 5080 s2.2.1: up to this part of an interval, either way."""


class RadiusClient:
    """Implements `mpa_hil.radius.interface.RadiusClientMachine`.

    Args:
        random: so many octets that nobody can foresee (authenticators, jitter).

    Raises:
        LocalError: settings that cannot be.
    """

    def __init__(self, settings: ClientSettings, random: Callable[[int], bytes]) -> None:
        self._tuning = settings.tuning
        self._random = random
        self._asking = Asking(settings)
        self._servers = tuple(ServerState(i, server) for i, server in enumerate(settings.servers))
        self._waiting: dict[Hashable, Request] = {}
        self._heap: list[tuple[int, int, Request]] = []
        self._pushes = 0

    @property
    def outstanding(self) -> int:
        """Requests that wait for an answer."""
        return len(self._waiting)

    def request(self, token: Hashable, ask: Ask, now: Instant) -> tuple[Output, ...]:
        """Ask; see the interface.

        Raises:
            LocalError: a station id that no attribute holds, or a continuation of other settings.
        """
        self.forget(token)
        if len(self._waiting) >= self._tuning.max_outstanding:
            return (Unreachable(token, f"{len(self._waiting)} requests wait already"),)
        body = self._asking.body(ask)
        if isinstance(body, str):
            return (_unaskable(token, body),)
        ends = now.monotonic_ns + int(self._tuning.duration_s * NS_PER_S)
        origin = ask.continuation.server if ask.continuation else None
        if origin is not None and not 0 <= origin < len(self._servers):
            raise LocalError(
                f"there is no RADIUS server {origin}",
                where="continuation",
                remedy="give back what this client gave",
            )
        request = Request(token, Code.ACCESS_REQUEST, body, now.monotonic_ns, ends, origin)
        self._waiting[token] = request
        return self._send_to(self._choose(request, now), request, now)

    def receive(self, packet: bytes, lane: Lane, now: Instant) -> tuple[Output, ...]:
        """Digest what came in on a lane; see the interface."""
        state = self._servers[lane.server]
        source = state.server.endpoint
        try:
            answer = decode(packet)
        except DecodeError as error:
            return (Discarded(error.what, source, security=True),)
        request = state.find(lane.number, answer.identifier)
        if request is None:
            return (Discarded("an answer that nobody waits for", source),)
        # FreeRADIUS does not sign answers to Status-Server. They open nothing to anybody, so what
        # the Response Authenticator promises is enough there.
        fault = fault_of_answer(
            answer,
            request.authenticator,
            state.server.secret,
            must_be_signed=request.token is not _PROBE,
        )
        if fault is None and answer.code not in _ANSWERS:
            fault = f"code {answer.code} is no answer"
        if fault is None and answer.first(numbers.PROXY_STATE) is not None:
            # None was sent, so none may return (RFC 2865 s5.33): the room in which Blast-RADIUS
            # puts its collision.
            fault = "a Proxy-State that is not ours"
        if fault is not None:
            return (Discarded(fault, source, security=True),)
        state.heard(lane.number, now.monotonic_ns)
        outputs = self._revived(state)
        self._finish(request)
        if request.token is _PROBE:
            return outputs
        asked = Circumstances(
            token=request.token,
            server=state.index,
            server_name=state.server.name,
            secret=state.server.secret,
            authenticator=request.authenticator,
            origin=request.origin,
            round_trip_ns=now.monotonic_ns - request.started_ns,
            attempts=request.attempts,
        )
        return (*outputs, judge(answer, asked))

    def lane_lost(self, lane: Lane, reason: str, now: Instant) -> tuple[Output, ...]:
        """A connection broke; see the interface. One that had answered before is made anew once;
        one that never did is a server that is not there."""
        state = self._servers[lane.server]
        answered, orphans = state.drop_lane(lane.number)
        if not orphans:
            return ()
        outputs: list[Output] = []
        if not answered and state.alive:
            outputs += self._bury(state, reason, now)
        for request in orphans:
            if request.token is _PROBE:
                continue
            again = answered and not request.remade
            request.remade = True
            target = state.index if again else self._choose(request, now)
            if target is None:
                outputs.append(self._give_up(request, reason))
            else:
                outputs += self._send_to(target, request, now)
        return tuple(outputs)

    def forget(self, token: Hashable) -> None:
        """Nobody waits any more; see the interface."""
        request = self._waiting.get(token)
        if request is not None:
            self._finish(request)

    def expire(self, now: Instant) -> tuple[Output, ...]:
        """Do what is due; see the interface."""
        outputs: list[Output] = []
        while self._heap and self._heap[0][0] <= now.monotonic_ns:
            due, _, request = heappop(self._heap)
            if request.due_ns != due:
                continue
            request.due_ns = 0
            if request.token is _PROBE:
                outputs += self._probe(request, now)
            else:
                outputs += self._overdue(request, now)
        return tuple(outputs)

    def next_deadline(self) -> int | None:
        """See the interface."""
        heap = self._heap
        while heap and heap[0][2].due_ns != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    # Where a request goes

    def _choose(self, request: Request, now: Instant) -> int | None:
        """The server to send to: the one that holds the conversation, the first that lives, one
        that may live again, and when none does, the first that was not asked yet."""
        origin = request.origin
        if not request.tried:
            state = self._servers[origin or 0]
            if state.alive:
                return state.index
        fresh = [state for state in self._servers if not request.tried >> state.index & 1]
        for state in fresh:
            if state.index == origin and state.alive:
                return origin
        for state in fresh:
            if state.alive:
                return state.index
            if state.may_try(now.monotonic_ns):
                request.trial = True
                state.trial = request
                return state.index
        return fresh[0].index if fresh else None

    def _send_to(self, index: int | None, request: Request, now: Instant) -> tuple[Output, ...]:
        """First transmission to a server: a packet of its own (RFC 2865 s2.5)."""
        assert index is not None
        state = self._servers[index]
        state.enlist(request)
        request.tried |= 1 << index
        request.asked |= 1 << index
        request.here = 0
        request.sent_ns = now.monotonic_ns
        request.authenticator = self._random(numbers.AUTHENTICATOR_OCTETS)
        request.packet = signed_request(
            request.code,
            request.identifier,
            request.authenticator,
            request.body,
            state.server.secret,
        )
        first = self._tuning.first_timeout_s
        if state.server.transport is Transport.TLS:
            # A stream does not lose packets: wait for as long as the retransmissions would take.
            first *= 2**self._tuning.attempts_per_server - 1
        request.interval_ns = self._jittered(first)
        return self._transmit(request, now)

    def _transmit(self, request: Request, now: Instant) -> tuple[Output, ...]:
        request.here += 1
        request.attempts += 1
        self._schedule(request, min(now.monotonic_ns + request.interval_ns, request.ends_ns))
        assert request.lane is not None
        return (Transmit(request.lane, request.packet),)

    # What happens when no answer comes

    def _overdue(self, request: Request, now: Instant) -> tuple[Output, ...]:
        state = self._servers[request.server]
        over = now.monotonic_ns >= request.ends_ns
        spent = over or request.trial or request.here >= self._attempts(state)
        outputs: list[Output] = []
        if spent and state.heard_ns < request.sent_ns:
            outputs += self._bury(state, f"silent to {request.here} transmissions", now)
        if over:
            return (*outputs, self._give_up(request, "no answer in time"))
        if not state.alive or (spent and request.origin != state.index):
            target = self._other(request, state, now)
            if target is not None:
                state.release(request)
                return (*outputs, *self._send_to(target, request, now))
        if state.server.transport is Transport.TLS:
            self._schedule(request, request.ends_ns)
            return tuple(outputs)
        # RFC 5080 s2.2.1: twice as long, jittered, up to a cap; the packet stays the same octets,
        # so that the server knows it for the same request (RFC 2865 s2.5).
        cap = self._tuning.longest_timeout_s
        request.interval_ns = self._jittered(min(2 * request.interval_ns / NS_PER_S, cap))
        return (*outputs, *self._transmit(request, now))

    def _other(self, request: Request, state: ServerState, now: Instant) -> int | None:
        """The server to turn to; after the last one of the list the round starts again. A server
        that lives keeps a conversation that it holds, because no other may know its State."""
        request.trial = False
        target = self._choose(request, now)
        if target is None and not state.alive:
            request.tried = 1 << state.index
            target = self._choose(request, now)
        return target

    def _attempts(self, state: ServerState) -> int:
        udp = state.server.transport is Transport.UDP
        return self._tuning.attempts_per_server if udp else 1

    def _give_up(self, request: Request, why: str) -> Unreachable:
        names = [s.server.name for s in self._servers if request.asked >> s.index & 1]
        self._finish(request)
        times = f"{request.attempts} transmission{'s' * (request.attempts != 1)}"
        return Unreachable(request.token, f"{why}: {', '.join(names)} ({times})")

    # Life and death of servers

    def _bury(self, state: ServerState, why: str, now: Instant) -> tuple[Output, ...]:
        tuning = self._tuning
        was_alive = state.alive
        state.dead_until_ns = now.monotonic_ns + self._jittered(tuning.dead_time_s)
        if not was_alive:
            return ()
        if state.server.status_server:
            probe = Request(_PROBE, Code.STATUS_SERVER, self._asking.name, 0, 0, None)
            probe.server = state.index
            state.probe = probe
            self._schedule(probe, now.monotonic_ns + self._jittered(tuning.probe_interval_s))
        return (ServerDown(state.server.name, why),)

    def _probe(self, probe: Request, now: Instant) -> tuple[Output, ...]:
        """One Status-Server, never retransmitted (RFC 5997 s4.2): the next one is a new packet."""
        state = self._servers[probe.server]
        state.release(probe)
        if state.alive or state.probe is not probe:
            return ()
        interval = self._jittered(self._tuning.probe_interval_s)
        probe.ends_ns = now.monotonic_ns + interval
        outputs = self._send_to(state.index, probe, now)
        self._schedule(probe, probe.ends_ns)
        return outputs

    def _revived(self, state: ServerState) -> tuple[Output, ...]:
        if state.alive:
            return ()
        state.dead_until_ns = None
        return (ServerUp(state.server.name),)

    # Housekeeping

    def _finish(self, request: Request) -> None:
        self._servers[request.server].release(request)
        request.due_ns = 0
        request.packet = request.body = b""
        if request.token is not _PROBE:
            del self._waiting[request.token]

    def _schedule(self, request: Request, due_ns: int) -> None:
        self._pushes += 1
        request.due_ns = due_ns
        heappush(self._heap, (due_ns, self._pushes, request))

    def _jittered(self, seconds: float) -> int:
        part = int.from_bytes(self._random(4), "big") / 2**32
        return int(seconds * (1 - _JITTER + 2 * _JITTER * part) * NS_PER_S)


def _unaskable(token: Hashable, what: str) -> Refused:
    return Refused(
        token=token,
        eap=None,
        reason=f"{what} cannot be put into a RADIUS request",
        decider=Decider.CLIENT,
        reply_message="",
        error_cause=None,
        server="",
        moved=False,
    )
