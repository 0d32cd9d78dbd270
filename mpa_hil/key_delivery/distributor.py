"""The authentication agent's end of key delivery, one object for each recipient. Sans-IO.

It is told which keys the recipient should hold, and brings that about over whatever connections
there are: what is not acknowledged is asked for again on the next connection, after an inventory
has shown what the recipient really holds. So a restart of either side heals by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mpa_hil.errors import DecodeError
from mpa_hil.key_delivery.messages import (
    Acknowledge,
    Held,
    Hello,
    Install,
    Inventory,
    Message,
    Presence,
    Splitter,
    Withdraw,
    encode,
)
from mpa_hil.keys import Key
from mpa_hil.light import light
from mpa_hil.mobility.interface import NS_PER_S, Instant

_NS_PER_MS = 1_000_000
_MAX_LIFETIME_MS = 0xFFFFFFFF


@light
class Grant:
    """A key that a recipient is to hold, for whom, and until when."""

    key: Key
    mobile_node: str
    """Identity that the home network vouched for."""
    station: bytes
    """MAC address of the MN; empty where the key is not for 802.11."""
    expires_ns: int
    """CLOCK_MONOTONIC of the authentication agent; the end of the MSK or sooner."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How patient the authentication agent is with a recipient."""

    answer_s: float = 5.0
    """A connection on which a message stays unanswered for longer is given up."""
    audit_s: float = 30.0
    """Pause between inventories on a connection that lasts. They find a recipient that lost a key
    and a connection that died without saying so."""
    retry_s: float = 1.0
    """Pause before a key that was declined is offered again (an access point that restarts)."""


@light
class Transmit:
    """Write these octets to the connection."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Close:
    """Give the connection up."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The recipient's inventory is known; what differs from it is under way."""

    held: int
    """Keys that it had."""


@light
class Installed:
    """The recipient holds the key and has put it to use."""

    name: bytes


@dataclass(frozen=True, slots=True)
class Declined:
    """The recipient would not have the key; it is offered again after `Tuning.retry_s`."""

    name: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The recipient holds the key no more."""

    name: bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """The MN came to this recipient, or left it."""

    name: bytes
    present: bool


Output = Transmit | Close | Ready | Installed | Declined | Withdrawn | Seen


@dataclass(slots=True)
class _Wanted:
    grant: Grant
    sent: int = 0
    """Sequence number of the last Install for it on this connection; 0: none."""
    held: bool = False


class Distributor:
    """What one recipient should hold, and how far that has come.

    Args:
        sender: the name of this authentication agent, as its certificate says it.
        recipient: the recipient's name, as its certificate says it.
    """

    def __init__(self, sender: str, recipient: str, tuning: Tuning | None = None) -> None:
        self.recipient = recipient
        self._sender = sender
        self._tuning = tuning or Tuning()
        self._answer_ns = int(self._tuning.answer_s * NS_PER_S)
        self._wanted: dict[bytes, _Wanted] = {}
        self._splitter: Splitter | None = None
        self._greeted = False
        self._sequence = 0
        self._waiting: dict[int, tuple[Message, int]] = {}
        """Messages without an answer, oldest first, with when to give up."""
        self._inventory: set[bytes] = set()
        self._audit_ns: int | None = None

    @property
    def connected_now(self) -> bool:
        """Whether there is a connection on which both have said who they are."""
        return self._greeted

    @property
    def settled(self) -> bool:
        """The recipient is known to hold exactly what it should."""
        return self._greeted and not self._waiting and all(w.held for w in self._wanted.values())

    def is_held(self, name: bytes) -> bool:
        """Whether the recipient acknowledged this key."""
        wanted = self._wanted.get(name)
        return wanted is not None and wanted.held

    def install(self, grant: Grant, now: Instant) -> tuple[Output, ...]:
        """The recipient should hold this key. Again with a known name: nothing happens."""
        if grant.key.name in self._wanted:
            return ()
        wanted = self._wanted[grant.key.name] = _Wanted(grant)
        return tuple(self._offer(wanted, now)) if self._greeted else ()

    def withdraw(self, name: bytes, now: Instant) -> tuple[Output, ...]:
        """The recipient should hold this key no more."""
        wanted = self._wanted.pop(name, None)
        if wanted is None or not self._greeted:
            return ()  # the inventory of the next connection finds it
        return (self._ask(Withdraw(name), now),)

    def presence(self, name: bytes, present: bool) -> tuple[Output, ...]:
        """Tell the recipient that the MN of this key came or left. Said once: it matters now, or
        not at all."""
        if not self._greeted or not self.is_held(name):
            return ()
        self._sequence += 1
        return (Transmit(encode(self._sequence, Presence(name, present))),)

    def connected(self, now: Instant) -> tuple[Output, ...]:
        """A connection stands, and both certificates were right."""
        self._reset()
        self._splitter = Splitter()
        return (self._ask(Hello(self._sender, self.recipient), now),)

    def disconnected(self, now: Instant) -> None:
        """The connection is gone; what was under way may or may not have arrived."""
        self._reset()

    def receive(self, octets: bytes, now: Instant) -> tuple[Output, ...]:
        """Digest what came over the connection."""
        if self._splitter is None:
            return ()
        outputs: list[Output] = []
        try:
            for sequence, message in self._splitter.feed(octets):
                outputs += self._digest(sequence, message, now)
                if self._splitter is None:
                    break
        except DecodeError as error:
            outputs += self._give_up(error.what)
        return tuple(outputs)

    def expire(self, now: Instant) -> tuple[Output, ...]:
        """Do what is due; harmless at other times."""
        waiting = next(iter(self._waiting.values()), None)
        if waiting is not None and waiting[1] <= now.monotonic_ns:
            what = type(waiting[0]).__name__
            return tuple(self._give_up(f"no answer to {what} for {self._tuning.answer_s:g} s"))
        if self._audit_ns is not None and self._audit_ns <= now.monotonic_ns:
            self._audit_ns = None
            self._inventory.clear()
            over = [n for n, w in self._wanted.items() if w.grant.expires_ns <= now.monotonic_ns]
            for name in over:
                del self._wanted[name]  # the recipient's own clock ends it there
            return (self._ask(Inventory(), now),)
        return ()

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next thing to do on the connection, None without one."""
        due_ns = self._audit_ns
        for _, patience_ns in self._waiting.values():  # the first is the oldest
            return patience_ns if due_ns is None else min(due_ns, patience_ns)
        return due_ns

    def _digest(self, sequence: int, message: Message, now: Instant) -> Iterator[Output]:
        if not self._greeted and not isinstance(message, Hello):
            yield from self._give_up(f"{type(message).__name__} before Hello")
        elif isinstance(message, Acknowledge):
            asked = self._waiting.pop(sequence, None)
            if asked is not None:
                yield from self._answered(sequence, asked[0], message, now)
        elif isinstance(message, Presence):
            if message.name in self._wanted:
                yield Seen(message.name, message.present)
        elif isinstance(message, Held):
            yield from self._held(sequence, message, now)
        elif isinstance(message, Hello) and not self._greeted:
            if (message.sender, message.addressee) != (self.recipient, self._sender):
                yield from self._give_up(f"it is {message.sender!r}, not {self.recipient!r}")
                return
            self._waiting.clear()
            self._greeted = True
            self._inventory.clear()
            yield self._ask(Inventory(), now)
        else:
            yield from self._give_up(f"{type(message).__name__} from a recipient")

    def _answered(
        self, sequence: int, asked: Message, answer: Acknowledge, now: Instant
    ) -> Iterator[Output]:
        if isinstance(asked, Withdraw):
            if asked.name not in self._wanted:  # not granted anew meanwhile
                yield Withdrawn(asked.name)
        elif isinstance(asked, Install):
            wanted = self._wanted.get(asked.name)
            if wanted is None or wanted.sent != sequence:
                return
            wanted.held = answer.done
            if answer.done:
                yield Installed(asked.name)
            else:
                retry_ns = now.monotonic_ns + int(self._tuning.retry_s * NS_PER_S)
                if self._audit_ns is not None:
                    self._audit_ns = min(self._audit_ns, retry_ns)
                yield Declined(asked.name, answer.reason)

    def _held(self, sequence: int, message: Held, now: Instant) -> Iterator[Output]:
        """Compare what is there with what should be, once all of it is known.

        What was sent after the question says nothing about the answer: it is left alone.
        """
        if sequence not in self._waiting:
            return
        self._inventory.update(message.names)
        if not message.last:
            self._waiting[sequence] = (Inventory(), self._patience(now))
            return
        del self._waiting[sequence]
        self._audit_ns = now.monotonic_ns + int(self._tuning.audit_s * NS_PER_S)
        yield Ready(len(self._inventory))
        leaving = {asked.name for asked, _ in self._waiting.values() if isinstance(asked, Withdraw)}
        for name in self._inventory - self._wanted.keys() - leaving:
            yield self._ask(Withdraw(name), now)
        for name, wanted in list(self._wanted.items()):
            if wanted.sent > sequence:
                continue
            if name in self._inventory:
                if not wanted.held:
                    wanted.held = True
                    yield Installed(name)
            else:
                wanted.held = False
                yield from self._offer(wanted, now)

    def _offer(self, wanted: _Wanted, now: Instant) -> Iterator[Output]:
        grant = wanted.grant
        left_ms = (grant.expires_ns - now.monotonic_ns) // _NS_PER_MS
        if left_ms <= 0:
            return
        key = grant.key
        message = Install(
            key.name,
            key.usage,
            key.session_id,
            key.key_id,
            min(left_ms, _MAX_LIFETIME_MS),
            self.recipient,
            grant.mobile_node,
            key.peer,
            grant.station,
            key.secret,
        )
        yield self._ask(message, now)
        wanted.sent = self._sequence

    def _ask(self, message: Message, now: Instant) -> Transmit:
        self._sequence += 1
        self._waiting[self._sequence] = (message, self._patience(now))
        return Transmit(encode(self._sequence, message))

    def _patience(self, now: Instant) -> int:
        return now.monotonic_ns + self._answer_ns

    def _give_up(self, reason: str) -> Iterator[Output]:
        self._reset()
        yield Close(reason)

    def _reset(self) -> None:
        self._splitter = None
        self._greeted = False
        self._sequence = 0
        self._waiting.clear()
        self._inventory.clear()
        self._audit_ns = None
        for wanted in self._wanted.values():
            wanted.sent, wanted.held = 0, False
