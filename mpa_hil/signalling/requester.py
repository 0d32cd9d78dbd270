"""Repeats the mobile node's requests until they are answered. Sans-IO.

One at a time: the agent acts only on what is newer than all before, so a request waits until the
one before it is answered or given up. Time-outs come from the measured round trip (RFC 6298), the
agent's own time not counted; a lost datagram costs little more than one round trip.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from mpa_hil.errors import LocalError
from mpa_hil.light import light
from mpa_hil.mobility.interface import Endpoint, Instant, Send
from mpa_hil.signalling.client import Answer, Client
from mpa_hil.signalling.message import Flags, check_size, sequence_of
from mpa_hil.signalling.values import Pair, Values, encode

_NS_PER_MS = 1_000_000
_NS_PER_US = 1_000
_STALE_BOUND = 8
"""STALE answers in a row to one request: an agent that never settles is given up."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Time-outs; replace single ones with `dataclasses.replace`. All in milliseconds."""

    first_ms: float = 100.0
    """Before any round trip is measured. RFC 6298's 1 s would cost a preparation its budget."""
    minimum_ms: float = 20.0
    """Below this, an agent that is merely busy would be asked twice."""
    maximum_ms: float = 1000.0
    """Doubling ends here: half of all datagrams may be lost, and time is short."""
    working_ms: float = 1000.0
    """After a WORKING answer: the agent lives, so repeats only guard its answer."""
    give_up_ms: float = 6000.0
    """Without a sign of life."""
    limit_ms: float = 20_000.0
    """In all, signs of life or not."""

    def __post_init__(self) -> None:
        if not 0 < self.minimum_ms <= self.first_ms <= self.maximum_ms <= self.limit_ms:
            raise LocalError("minimum, first, maximum and limit must rise", where="signalling")
        if self.working_ms <= 0 or self.give_up_ms <= 0:
            raise LocalError("every time must be positive", where="signalling")


@light
class Answered:
    """The agent acted on the request, and says this."""

    token: Hashable
    kind: int
    values: Values = field(repr=False)
    round_trip_ns: int
    """From the first datagram of this request to the answer, the agent's work included."""
    attempts: int
    """Datagrams sent for it."""


@light
class GaveUp:
    """No answer in time. Whether it was acted on is not known."""

    token: Hashable
    attempts: int


Output = Send | Answered | GaveUp


@dataclass(slots=True)
class _Asking:
    """A request that is under way, or waits."""

    token: Hashable
    kind: int
    values: tuple[Pair, ...]
    datagram: bytes = b""
    begun_ns: int = 0
    sent_ns: int = 0
    """When this datagram went out first."""
    sign_ns: int = 0
    """Last sign of life."""
    due_ns: int = 0
    attempts: int = 0
    repeated: bool = False
    working: bool = False
    stale: int = 0


class Requester:
    """The requests of one MN to one agent.

    Args:
        client: makes them.
        destination: the agent's port.
        timing: time-outs.
    """

    def __init__(self, client: Client, destination: Endpoint, timing: Timing = Timing()) -> None:
        self.client = client
        self.destination = destination
        self._timing = timing
        self._queue: deque[_Asking] = deque()
        self._smoothed_ns = 0.0
        self._variation_ns = 0.0
        self._backoff = 1

    @property
    def round_trip_ns(self) -> float:
        """Smoothed round trip without the agent's own time; 0: none measured."""
        return self._smoothed_ns

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return bool(self._queue)

    def ask(
        self, token: Hashable, kind: int, values: Iterable[Pair], now: Instant
    ) -> tuple[Output, ...]:
        """Send a request, or queue it behind those under way.

        Args:
            token: comes back in `Answered` or `GaveUp`.

        Raises:
            LocalError: it does not fit into one datagram.
        """
        asking = _Asking(token, kind, tuple(values))
        check_size(encode(asking.values))
        self._queue.append(asking)
        return self._begin(now) if self._queue[0] is asking else ()

    def cancel(self, token: Hashable, now: Instant) -> tuple[Output, ...]:
        """Ask no more for it; whether it was acted on is not known."""
        head = self._queue[0] if self._queue else None
        self._queue = deque(asking for asking in self._queue if asking.token != token)
        if self._queue and self._queue[0] is not head:
            return self._begin(now)
        return ()

    def receive(self, datagram: bytes, now: Instant) -> tuple[Output, ...]:
        """Digest a datagram from the agent; what is none of ours changes nothing."""
        answer = self.client.answer(datagram)
        return () if answer is None else self.digest(answer, now)

    def digest(self, answer: Answer, now: Instant) -> tuple[Output, ...]:
        """As `receive`, of an answer that the caller has had recognised by the client."""
        asking = self._queue[0] if self._queue else None
        if asking is None or sequence_of(asking.datagram) != answer.sequence:
            return ()
        self._measure(asking, answer, now)
        asking.sign_ns = now.monotonic_ns
        if answer.flags & Flags.STALE:
            asking.stale += 1
            if asking.stale >= _STALE_BOUND:
                return self._end(GaveUp(asking.token, asking.attempts), now)
            return (self._send_anew(asking, now),)
        if answer.flags & Flags.WORKING:
            asking.working = True
            asking.due_ns = self._due(asking, now)
            return ()
        taken_ns = now.monotonic_ns - asking.begun_ns
        answered = Answered(asking.token, answer.kind, answer.values, taken_ns, asking.attempts)
        return self._end(answered, now)

    def expire(self, now: Instant) -> tuple[Output, ...]:
        """Do what is due; harmless at other times."""
        outputs: list[Output] = []
        while self._queue:
            asking = self._queue[0]
            if self._over_ns(asking) <= now.monotonic_ns:
                outputs += self._end(GaveUp(asking.token, asking.attempts), now)
                continue
            if asking.due_ns <= now.monotonic_ns:
                asking.attempts += 1
                asking.repeated = True
                if not asking.working:
                    self._backoff = min(self._backoff * 2, 1 << 16)
                asking.due_ns = self._due(asking, now)
                outputs.append(Send(asking.datagram, self.destination))
            break
        return tuple(outputs)

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next repeat or end, None while nothing is under way."""
        if not self._queue:
            return None
        asking = self._queue[0]
        return min(asking.due_ns, self._over_ns(asking))

    def _begin(self, now: Instant) -> tuple[Output, ...]:
        asking = self._queue[0]
        asking.begun_ns = asking.sign_ns = now.monotonic_ns
        return (self._send_anew(asking, now),)

    def _send_anew(self, asking: _Asking, now: Instant) -> Send:
        asking.datagram = self.client.request(asking.kind, asking.values)
        asking.sent_ns = now.monotonic_ns
        asking.attempts += 1
        asking.repeated = asking.working = False
        asking.due_ns = self._due(asking, now)
        return Send(asking.datagram, self.destination)

    def _end(self, output: Answered | GaveUp, now: Instant) -> tuple[Output, ...]:
        self._queue.popleft()
        return (output, *(self._begin(now) if self._queue else ()))

    def _over_ns(self, asking: _Asking) -> int:
        timing = self._timing
        silence_ns = asking.sign_ns + int(timing.give_up_ms * _NS_PER_MS)
        return min(silence_ns, asking.begun_ns + int(timing.limit_ms * _NS_PER_MS))

    def _due(self, asking: _Asking, now: Instant) -> int:
        timing = self._timing
        if asking.working:
            return now.monotonic_ns + int(timing.working_ms * _NS_PER_MS)
        if self._smoothed_ns:
            wait_ms = (self._smoothed_ns + 4 * self._variation_ns) / _NS_PER_MS
            wait_ms = max(wait_ms, timing.minimum_ms)
        else:
            wait_ms = timing.first_ms
        return now.monotonic_ns + int(min(wait_ms * self._backoff, timing.maximum_ms) * _NS_PER_MS)

    def _measure(self, asking: _Asking, answer: Answer, now: Instant) -> None:
        """RFC 6298 s2; of a repeated request it is not known which copy was answered (s3), so it
        only serves as a first, too long, guess."""
        sample_ns = now.monotonic_ns - asking.sent_ns - answer.held_us * _NS_PER_US
        if asking.repeated and self._smoothed_ns:
            return
        sample_ns = max(sample_ns, 1)
        self._backoff = 1
        if not self._smoothed_ns:
            self._smoothed_ns, self._variation_ns = float(sample_ns), sample_ns / 2
            return
        deviation = abs(self._smoothed_ns - sample_ns)
        self._variation_ns = 0.75 * self._variation_ns + 0.25 * deviation
        self._smoothed_ns = 0.875 * self._smoothed_ns + 0.125 * sample_ns
