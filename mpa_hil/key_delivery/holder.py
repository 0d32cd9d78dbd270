"""The recipient's end of key delivery: what it holds, for whom, and how long. Sans-IO.

A key is acknowledged once it has been put to use (an access point took it), and so is a withdrawal
once it is out of use. Those steps may take time: the holder asks for one at a time (`Apply`,
`Release`) and goes on when it is told the result (`done`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from heapq import heappop, heappush

from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.key_delivery.messages import (
    NAMES_PER_MESSAGE,
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
from mpa_hil.keys import Usage
from mpa_hil.mobility.interface import Instant

_NS_PER_MS = 1_000_000


class End(Enum):
    """Why a key is held no more."""

    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a recipient takes, and from whom."""

    name: str
    """Its own name, as its certificate says it."""
    authority: str
    """Name of the one authentication agent that it obeys."""
    usages: frozenset[Usage]
    peers: frozenset[bytes]
    """What its keys must be bound to: its own addresses, or its own BSSIDs (`Key.peer`)."""
    maximum_keys: int = 900
    """More are declined. hostapd silently drops the oldest of more than 1024 PMKs, among them those
    of stations that authenticated with it directly."""


@dataclass(frozen=True, slots=True)
class HeldKey:
    """One key, and when it ends."""

    install: Install
    expires_ns: int
    """CLOCK_MONOTONIC of this box."""


@dataclass(frozen=True, slots=True)
class Transmit:
    """Write these octets to the connection."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Close:
    """Give the connection up: what came over it was not from our authentication agent's code."""

    reason: str


@dataclass(frozen=True, slots=True)
class Apply:
    """Put the key to use, then call `done`."""

    key: HeldKey


@dataclass(frozen=True, slots=True)
class Release:
    """Take the key out of use, then call `done`."""

    key: HeldKey
    end: End


@dataclass(frozen=True, slots=True)
class Refused:
    """An Install was declined; for the log."""

    name: bytes
    mobile_node: str
    reason: str


@dataclass(frozen=True, slots=True)
class Seen:
    """The MN of a key came to the network, or left it: the authentication agent has it from an
    access point, or from the MN."""

    key: HeldKey
    present: bool


Output = Transmit | Close | Apply | Release | Refused | Seen


@dataclass(frozen=True, slots=True)
class _Step:
    """An `Apply` or `Release`, and the message to acknowledge when it is done (0: none)."""

    output: Apply | Release
    sequence: int


class Holder:
    """The keys of one recipient. They outlive connections, not the process."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._keys: dict[bytes, HeldKey] = {}
        self._slots: dict[tuple[bytes, bytes], bytes] = {}
        """Which key is in use for a peer and station: there, a newer one replaces the older."""
        self._expiries: list[tuple[int, bytes]] = []
        self._splitter: Splitter | None = None
        self._greeted = False
        self._sequence = 0
        self._queue: deque[tuple[int, Message | End, bytes]] = deque()
        self._step: _Step | None = None

    @property
    def keys(self) -> tuple[HeldKey, ...]:
        """Everything held."""
        return tuple(self._keys.values())

    def in_use(self, peer: bytes, station: bytes) -> HeldKey | None:
        """The key in use between a point of attachment and a station."""
        name = self._slots.get((peer, station))
        return None if name is None else self._keys.get(name)

    def connected(self, now: Instant) -> tuple[Output, ...]:
        """The authentication agent connected, and both certificates were right."""
        self.disconnected()
        self._splitter = Splitter()
        return ()

    def disconnected(self) -> None:
        """The connection is gone. Keys stay; a step under way ends, unacknowledged."""
        self._splitter = None
        self._greeted = False
        self._sequence = 0
        self._queue = deque(item for item in self._queue if isinstance(item[1], End))
        if self._step is not None:
            self._step = _Step(self._step.output, 0)

    def receive(self, octets: bytes, now: Instant) -> tuple[Output, ...]:
        """Digest what came over the connection."""
        if self._splitter is None:
            return ()
        try:
            for sequence, message in self._splitter.feed(octets):
                self._queue.append((sequence, message, b""))
        except DecodeError as error:
            self.disconnected()
            return (Close(error.what),)
        return tuple(self._go_on(now))

    def done(self, failure: str, now: Instant) -> tuple[Output, ...]:
        """The last `Apply` or `Release` was carried out, or not.

        Args:
            failure: why not; empty when it was.
        """
        step, self._step = self._step, None
        if step is None:
            raise LocalError("no step of key delivery is under way")
        outputs: list[Output] = []
        install = step.output.key.install
        if isinstance(step.output, Apply):
            if failure:
                outputs.append(Refused(install.name, install.mobile_node, failure))
            else:
                self._keep(step.output.key)
        else:
            # A key that could not be taken out is not kept either: its own expiry ends it there.
            self._forget(install)
        if step.sequence:
            reason = failure.encode()[:255].decode(errors="ignore")
            outputs.append(self._answer(step.sequence, Acknowledge(not failure, reason)))
        return (*outputs, *self._go_on(now))

    def expire(self, now: Instant) -> tuple[Output, ...]:
        """End what is over; harmless at other times."""
        while self._expiries and self._expiries[0][0] <= now.monotonic_ns:
            expires_ns, name = heappop(self._expiries)
            key = self._keys.get(name)
            if key is not None and key.expires_ns == expires_ns:
                self._queue.append((0, End.EXPIRED, name))
        return tuple(self._go_on(now))

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next expiry, None while there is none."""
        return self._expiries[0][0] if self._expiries else None

    def presence(self, key: HeldKey, present: bool) -> tuple[Output, ...]:
        """Tell the authentication agent that the MN of this key came or left."""
        if not self._greeted:
            return ()
        self._sequence += 1
        return (Transmit(encode(self._sequence, Presence(key.install.name, present))),)

    def _go_on(self, now: Instant) -> Iterator[Output]:
        while self._step is None and self._queue:
            sequence, message, name = self._queue.popleft()
            if isinstance(message, End):
                yield from self._release(0, name, message)
            else:
                yield from self._digest(sequence, message, now)

    def _digest(self, sequence: int, message: Message, now: Instant) -> Iterator[Output]:
        terms = self._terms
        if isinstance(message, Hello) and not self._greeted:
            if (message.sender, message.addressee) != (terms.authority, terms.name):
                yield from self._give_up(f"{message.sender!r} calls {message.addressee!r}")
                return
            self._greeted = True
            self._sequence += 1
            yield Transmit(encode(self._sequence, Hello(terms.name, terms.authority)))
        elif not self._greeted:
            yield from self._give_up(f"{type(message).__name__} before Hello")
        elif isinstance(message, Install):
            yield from self._install(sequence, message, now)
        elif isinstance(message, Withdraw):
            yield from self._release(sequence, message.name, End.WITHDRAWN)
        elif isinstance(message, Inventory):
            yield from self._inventory(sequence)
        elif isinstance(message, Presence):
            key = self._keys.get(message.name)
            if key is not None:
                yield Seen(key, message.present)
        else:
            yield from self._give_up(f"{type(message).__name__} from an authentication agent")

    def _install(self, sequence: int, message: Install, now: Instant) -> Iterator[Output]:
        fault = self._fault(message)
        if fault:
            yield Refused(message.name, message.mobile_node, fault)
            yield self._answer(sequence, Acknowledge(False, fault))
        elif message.name in self._keys:
            yield self._answer(sequence, Acknowledge(True))
        else:
            expires_ns = now.monotonic_ns + message.lifetime_ms * _NS_PER_MS
            self._step = _Step(Apply(HeldKey(message, expires_ns)), sequence)
            yield self._step.output

    def _fault(self, message: Install) -> str:
        terms = self._terms
        known = self._keys.get(message.name)
        if message.recipient != terms.name:
            return f"the key is for {message.recipient}"
        if message.usage not in terms.usages:
            return f"keys for {message.usage.name} have no use here"
        if message.peer not in terms.peers:
            return "the key is bound to another peer"
        if (message.usage is Usage.PMK) != (len(message.station) == 6):
            return "a PMK, and nothing else, needs the station's address"
        if known is not None:
            same = known.install.secret == message.secret
            return "" if same else "another key has that name"
        rival = self.in_use(message.peer, message.station) if message.station else None
        if rival is not None and rival.install.mobile_node != message.mobile_node:
            return "another mobile node has that station address"
        if len(self._keys) >= terms.maximum_keys:
            return f"{terms.maximum_keys} keys are held already"
        return "" if message.lifetime_ms else "its lifetime is over"

    def _release(self, sequence: int, name: bytes, end: End) -> Iterator[Output]:
        key = self._keys.get(name)
        if key is None:
            if sequence:
                yield self._answer(sequence, Acknowledge(True))
            return
        self._step = _Step(Release(key, end), sequence)
        yield self._step.output

    def _inventory(self, sequence: int) -> Iterator[Output]:
        names = tuple(self._keys)
        for start in range(0, max(len(names), 1), NAMES_PER_MESSAGE):
            part = names[start : start + NAMES_PER_MESSAGE]
            yield self._answer(sequence, Held(part, start + NAMES_PER_MESSAGE >= len(names)))

    def _keep(self, key: HeldKey) -> None:
        install = key.install
        self._keys[install.name] = key
        self._slots[install.peer, install.station] = install.name
        heappush(self._expiries, (key.expires_ns, install.name))

    def _forget(self, install: Install) -> None:
        self._keys.pop(install.name, None)
        if self._slots.get((install.peer, install.station)) == install.name:
            del self._slots[install.peer, install.station]
        if len(self._expiries) > 2 * len(self._keys) + 64:
            # Withdrawn keys leave their expiry behind; now and then the heap is made anew.
            self._expiries = sorted((k.expires_ns, n) for n, k in self._keys.items())

    def _answer(self, sequence: int, message: Message) -> Transmit:
        return Transmit(encode(sequence, message))

    def _give_up(self, reason: str) -> Iterator[Output]:
        self.disconnected()
        yield Close(reason)
