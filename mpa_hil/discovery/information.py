"""The AA's information service: which networks are near, asked and answered. Sans-IO.

One question and one answer at a time over a channel that already authenticates both ends, encrypts
and keeps message borders: the MPA-SA (`asking`) or TLS. So a message has no authenticator of its
own, and nothing is sent twice. A long list comes in parts.

    both        version (1 octet), type (1), token (4): an answer repeats its question's
    question    room (2): octets that an answer may have; start (1): first network wanted;
                BSSID (6) of where the asker is, or zeros; realms wanted, each with its length (1)
    answer      status (1), total (1): networks in the whole list, start (1), networks (`wire`)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NoReturn

from mpa_hil import errors
from mpa_hil.mobility.interface import NS_PER_S

from . import wire
from .description import CandidateNetwork, Learnt, Source, is_bssid, is_realm

VERSION = 1
MAX_REALMS = wire.MAX_NETWORKS
"""In one question."""
ANSWER_ROOM = 1000
"""Octets of an answer by default: whatever carries it, it stays in one packet of 1280 octets."""
MIN_ROOM = 64

_HEAD = struct.Struct("!BBI")
_QUERY = struct.Struct("!HB6s")
_ANSWER = struct.Struct("!BBB")
_NOWHERE = bytes(6)


class DecodeError(errors.DecodeError):
    """The octets are no message of the information service."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="information service")


class Kind(IntEnum):
    """Type of a message."""

    QUERY = 1
    ANSWER = 2


class Status(IntEnum):
    """What an answer is."""

    OK = 0
    NOTHING_KNOWN = 1
    """No network fits the question."""
    UNWILLING = 2
    """The agent does not serve descriptions, or not to this node."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which networks are there?"""

    token: int
    room: int = ANSWER_ROOM
    start: int = 0
    near: str | None = None
    """BSSID of where the asker is: networks near it come first."""
    realms: tuple[str, ...] = ()
    """Only these; empty: all."""

    def encode(self) -> bytes:
        """Its octets."""
        near = bytes.fromhex(self.near.replace(":", "")) if self.near else _NOWHERE
        realms = b"".join(bytes((len(realm),)) + realm.encode() for realm in self.realms)
        head = _HEAD.pack(VERSION, Kind.QUERY, self.token)
        return head + _QUERY.pack(self.room, self.start, near) + realms


@dataclass(frozen=True, slots=True)
class Answer:
    """These are there."""

    token: int
    status: Status
    total: int = 0
    start: int = 0
    networks: tuple[CandidateNetwork, ...] = ()

    def encode(self) -> bytes:
        """Its octets."""
        head = _HEAD.pack(VERSION, Kind.ANSWER, self.token)
        return head + _ANSWER.pack(self.status, self.total, self.start) + wire.encode(self.networks)


def decode(octets: bytes) -> Query | Answer:
    """A message.

    Raises:
        errors.DecodeError: it is none.
    """
    if len(octets) < _HEAD.size:
        _refuse(f"a message of {len(octets)} octets")
    version, kind, token = _HEAD.unpack_from(octets)
    if version != VERSION:
        _refuse(f"version {version}")
    if kind not in (Kind.QUERY, Kind.ANSWER):
        _refuse(f"type {kind}")
    return (_decode_query if kind == Kind.QUERY else _decode_answer)(octets, token)


def _decode_query(octets: bytes, token: int) -> Query:
    at = _HEAD.size + _QUERY.size
    if len(octets) < at:
        _refuse("the question is cut off")
    room, start, near = _QUERY.unpack_from(octets, _HEAD.size)
    bssid = None if near == _NOWHERE else near.hex(":")
    if bssid is not None and not is_bssid(bssid):
        _refuse(f"{bssid} is no BSSID")
    if room < MIN_ROOM or start >= wire.MAX_NETWORKS:
        _refuse(f"a question from {start} on with room for {room} octets")
    realms: list[str] = []
    while at < len(octets):
        end = at + 1 + octets[at]
        realm = octets[at + 1 : end].decode("latin-1")
        if end > len(octets) or not is_realm(realm) or len(realms) == MAX_REALMS:
            _refuse("the realms of the question are broken")
        realms.append(realm)
        at = end
    return Query(token, room, start, bssid, tuple(realms))


def _decode_answer(octets: bytes, token: int) -> Answer:
    at = _HEAD.size + _ANSWER.size
    if len(octets) < at:
        _refuse("the answer is cut off")
    status, total, start = _ANSWER.unpack_from(octets, _HEAD.size)
    if status not in Status.__members__.values():
        _refuse(f"status {status}")
    networks = wire.decode(octets[at:])
    if total > wire.MAX_NETWORKS or start + len(networks) > total:
        _refuse(f"networks {start} to {start + len(networks)} of {total}")
    return Answer(token, Status(status), total, start, networks)


class InformationService:
    """The agent's side. It answers whoever its channel lets through.

    Args:
        networks: what it knows, its own network included.
        neighbours: realms near each BSSID, nearest first; where it says nothing, the order is that
            of `networks`.
    """

    def __init__(
        self,
        networks: Iterable[CandidateNetwork],
        neighbours: Mapping[str, Sequence[str]] | None = None,
        *,
        room: int = ANSWER_ROOM,
    ) -> None:
        self._networks = tuple(networks)
        self._neighbours = dict(neighbours or {})
        self._room = room
        """Octets of its own channel; an answer is never longer."""

    def answer(self, octets: bytes) -> bytes | None:
        """The answer to a message; None when it is no question. Raises nothing."""
        try:
            query = decode(octets)
        except errors.DecodeError:
            return None
        if not isinstance(query, Query):
            return None
        found = self._select(query)
        if len(found) <= query.start:
            return Answer(query.token, Status.NOTHING_KNOWN).encode()
        room = min(query.room, self._room) - _HEAD.size - _ANSWER.size
        part = wire.fitting(found[query.start :], room)
        return Answer(query.token, Status.OK, len(found), query.start, part).encode()

    def _select(self, query: Query) -> tuple[CandidateNetwork, ...]:
        wanted = set(query.realms)
        found = [each for each in self._networks if not wanted or each.realm in wanted]
        if query.near is not None and (near := self._neighbours.get(query.near)):
            rank = {realm: number for number, realm in enumerate(near)}
            found.sort(key=lambda network: rank.get(network.realm, len(rank)))
        return tuple(found[: wire.MAX_NETWORKS])


@dataclass(frozen=True, slots=True)
class InformationSettings:
    """How the asker asks."""

    timeout_s: float = 10.0
    """For the whole list. The channel repeats what is lost; this bounds an agent gone silent."""
    room: int = ANSWER_ROOM


@dataclass(frozen=True, slots=True)
class SendQuery:
    """Send this through the channel."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Obtained:
    """The whole list, each with its source: the network's own agent, or another."""

    learnt: tuple[Learnt, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """There will be no list."""

    reason: str


InformationOutput = SendQuery | Obtained | Failed


class InformationClient:
    """The mobile node's side of one channel.

    Args:
        realm: of the agent at the other end, as authentication proved it.
        random: yields so many random octets.
    """

    def __init__(
        self,
        realm: str,
        random: Callable[[int], bytes],
        settings: InformationSettings | None = None,
    ) -> None:
        self._realm = realm
        self._random = random
        self._settings = settings or InformationSettings()
        self._pending: Query | None = None
        self._asked_ns = 0
        self._total = 0
        self._parts: list[CandidateNetwork] = []

    @property
    def busy(self) -> bool:
        """Whether a list is under way."""
        return self._pending is not None

    def ask(
        self, now_ns: int, *, near: str | None = None, realms: Sequence[str] = ()
    ) -> tuple[InformationOutput, ...]:
        """Ask for the list; one that was under way is forgotten.

        Args:
            now_ns: CLOCK_MONOTONIC.
            near: BSSID of where the node is.
            realms: only these networks; empty: all.

        Raises:
            errors.LocalError: no BSSID, or no realm.
        """
        if near is not None and not is_bssid(near):
            raise errors.LocalError(f"{near!r} is no BSSID")
        if len(realms) > MAX_REALMS or not all(map(is_realm, realms)):
            raise errors.LocalError(f"{tuple(realms)} are not up to {MAX_REALMS} realms")
        self._asked_ns = now_ns
        self._parts = []
        self._total = 0
        token = int.from_bytes(self._random(4), "big")
        return self._send(Query(token, self._settings.room, 0, near, tuple(realms)))

    def receive(self, octets: bytes, now_ns: int) -> tuple[InformationOutput, ...]:
        """Digest what came through the channel; what answers nothing is passed over."""
        try:
            answer = decode(octets)
        except errors.DecodeError as error:
            return self._fail(error.what) if self._pending else ()
        query = self._pending
        if query is None or not isinstance(answer, Answer):
            return ()
        if (answer.token, answer.start) != (query.token, query.start):
            return ()
        if answer.status is not Status.OK:
            return self._fail(answer.status.name.lower().replace("_", " "))
        if not answer.networks:
            return self._fail("a network too large for one answer")
        if self._parts and answer.total != self._total:
            return self._fail("the list changed while it was read")
        self._total = answer.total
        self._parts += answer.networks
        if len(self._parts) < self._total:
            start = len(self._parts)
            return self._send(Query(query.token, query.room, start, query.near, query.realms))
        self._pending = None
        return (Obtained(self._learnt()),)

    def expire(self, now_ns: int) -> tuple[InformationOutput, ...]:
        """Give up if the time for it has come; call it at `next_deadline`."""
        deadline = self.next_deadline()
        return self._fail("no answer in time") if deadline and now_ns >= deadline else ()

    def next_deadline(self) -> int | None:
        """CLOCK_MONOTONIC ns, or None while nothing is asked."""
        if self._pending is None:
            return None
        return self._asked_ns + round(self._settings.timeout_s * NS_PER_S)

    def _send(self, query: Query) -> tuple[InformationOutput, ...]:
        self._pending = query
        return (SendQuery(query.encode()),)

    def _fail(self, reason: str) -> tuple[InformationOutput, ...]:
        self._pending = None
        return (Failed(reason),)

    def _learnt(self) -> tuple[Learnt, ...]:
        return tuple(
            Learnt(
                network,
                Source.OWN_AA if network.realm == self._realm else Source.OTHER_AA,
                self._asked_ns,
            )
            for network in {network.realm: network for network in self._parts}.values()
        )


def _refuse(what: str) -> NoReturn:
    raise DecodeError(what)
