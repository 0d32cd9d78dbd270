"""The mobile node's end of protected signalling under one key. Sans-IO.

`requester.Requester` does all that a preparation needs. What must go out at the switch itself is
made ahead by `prepare` and recognised by `answer`, which costs one HMAC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field
from typing import Protocol as Structural

from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.light import light
from mpa_hil.signalling.message import (
    MAXIMUM_SEQUENCE,
    NAME_OCTETS,
    UNKNOWN_EPOCH,
    Flags,
    Message,
    Protocol,
    authentic,
    decode,
    direction_keys,
    mac_of,
)
from mpa_hil.signalling.values import Pair, Values, encode

NEXT_SEQUENCE = 255
"""Value of a STALE answer: the least sequence number (8 octets) that would be acted on."""
_REMEMBERED = 64
"""Requests whose answers are recognised; more than any MN has under way."""


class NamedSecret(Structural):
    """What of a key matters here: `mpa_hil.keys.Key`, or an `Install` of it."""

    @property
    def name(self) -> bytes: ...

    @property
    def secret(self) -> bytes: ...


@light
class Answer:
    """An authentic answer to a request of ours."""

    sequence: int
    """Of the request (`message.sequence_of`)."""
    kind: int
    flags: Flags
    held_us: int
    """Microseconds that the agent took for it."""
    values: Values = field(repr=False)

    @property
    def final(self) -> bool:
        """Whether the request was acted on: neither STALE nor WORKING."""
        return self.flags == Flags.ANSWER


class Client:
    """Numbers and protects requests, recognises their answers.

    The agent acts on a request only if no later one has reached it: what was prepared is void once
    a newer request was sent, and then the answer is STALE.

    Args:
        key: MN-CA or MN-AR key.
        protocol: what is spoken under it.
        random: source of the first sequence number (`os.urandom`): a restarted MN must not use
            those of before.
    """

    def __init__(
        self, key: NamedSecret, protocol: Protocol, random: Callable[[int], bytes]
    ) -> None:
        self._name = key.name[:NAME_OCTETS]
        self._keys = direction_keys(key.secret, key.name, protocol)
        self._protocol = protocol
        self._epoch = UNKNOWN_EPOCH
        # A quarter of all numbers: it never comes to the end, wherever it starts.
        self._sequence = int.from_bytes(random(8), "big") >> 2
        self._macs: dict[int, bytes] = {}

    @property
    def acquainted(self) -> bool:
        """Whether the agent's epoch is known; before that every request costs a round trip more."""
        return self._epoch != UNKNOWN_EPOCH

    def request(self, kind: int, values: Iterable[Pair] = ()) -> bytes:
        """A new request.

        Raises:
            LocalError: it does not fit into one datagram.
        """
        self._sequence += 1
        message = Message(
            self._protocol,
            kind,
            Flags(0),
            self._name,
            self._epoch,
            self._sequence,
            0,
            encode(values),
        )
        datagram = message.seal(self._keys.request)
        if len(self._macs) >= _REMEMBERED:
            del self._macs[next(iter(self._macs))]
        self._macs[self._sequence] = mac_of(datagram)
        return datagram

    def prepare(self, kind: int, values: Iterable[Pair] = ()) -> bytes:
        """As `request`, for later.

        Raises:
            LocalError: the agent has not answered anything yet, so it would not act on it.
        """
        if not self.acquainted:
            raise LocalError("nothing can be prepared before the agent's first answer")
        return self.request(kind, values)

    def answer(self, datagram: bytes) -> Answer | None:
        """The answer in a datagram; None: it is no authentic answer to a request of ours.

        A STALE one makes the requests after it right; the one that it answers is to be made anew.
        """
        try:
            message = decode(datagram)
        except DecodeError:
            return None
        mac = self._macs.get(message.sequence)
        ours = message.name == self._name and message.protocol == self._protocol
        if mac is None or not ours or not message.flags & Flags.ANSWER:
            return None
        if not authentic(datagram, self._keys.answer, mac):
            return None
        try:
            values = message.values()
            if message.flags & Flags.STALE:
                following = values.number(NEXT_SEQUENCE, 8)
                if following >= MAXIMUM_SEQUENCE >> 1:
                    return None
                self._epoch = message.epoch
                self._sequence = max(self._sequence, following)
        except DecodeError:
            return None
        return Answer(message.sequence, message.kind, message.flags, message.held_us, values)
