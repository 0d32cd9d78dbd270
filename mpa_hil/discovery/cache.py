"""The cache of candidate networks: by place, by source, and for a time (RFC 6252 s7.1). Sans-IO.

Sources contradict each other, by age or by malice. For each part of a network's description (its
AAs, its CAs, its ARs, its AA's identity, and each of its points of attachment) the most trusted
source that knows it is believed, the latest among equals. So one that nobody vouches for can add
what is missing, and change nothing.

An address of an agent holds wherever it was learnt; that a network is *near* holds at the place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from mpa_hil.mobility.interface import NS_PER_S

from .description import (
    MAX_LIFETIME_S,
    MAX_POINTS,
    CandidateNetwork,
    Learnt,
    PointOfAttachment,
    Source,
    Trust,
)

MAX_PLACES = 64
"""Places remembered; the one that was longest not used is forgotten first."""
MAX_ENTRIES = 64
"""Descriptions remembered of one place; the least trusted is forgotten first, of several the one
that expires first."""

MAX_UNVOUCHED_POINTS = 4
"""Added to a network whose agent is trusted. Each takes a place among the 32 PMKs of
wpa_supplicant until the agent has said that it knows no such point."""


class Place(NamedTuple):
    """What the mobile node knows of where it is: the access point it is on."""

    bssid: str
    ssid: bytes


class Nearness(IntEnum):
    """How a network is known to be near."""

    ANYWHERE = 0
    """Known, with no word on where it is."""
    SAME_NETWORK = 1
    """Learnt at another access point of the network that the node is in."""
    HERE = 2
    """Learnt at the very access point."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One network, put together from all that is known of it."""

    network: CandidateNetwork
    """Its `lifetime_s` is what is left, 1 s at least."""
    nearness: Nearness
    trust: Trust
    """Of the source of its AAs; of its best point while no AA is known."""
    expires_ns: int
    """CLOCK_MONOTONIC when the description expires that `trust` is about. Points that others
    told go when their own descriptions expire."""
    vouched_points: frozenset[str]
    """BSSIDs of which somebody said under authentication that they are this network's."""

    def is_at(self, place: Place) -> bool:
        """Whether a place belongs to this network: its BSSID or its SSID is one of the network's.

        Where an agent vouched for the network, only points count that were vouched for: else a liar
        could say that we are in it already.
        """
        trusted = self.trust > Trust.UNAUTHENTICATED
        return any(
            place.bssid == point.bssid or place.ssid == point.ssid
            for point in self.network.points
            if not trusted or point.bssid in self.vouched_points
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One description as it is kept."""

    place: Place | None
    """Where it was learnt; None: it holds everywhere."""
    learnt: Learnt


_Key = tuple[str, Source]


class Cache:
    """What a mobile node remembers of networks."""

    def __init__(self) -> None:
        self._places: OrderedDict[Place | None, dict[_Key, Learnt]] = OrderedDict()

    def learn(self, learnt: Iterable[Learnt], place: Place | None = None) -> None:
        """Remember descriptions.

        What the same source said of the same network at the same place before is replaced.

        Args:
            place: where the node was when it asked; None for what holds everywhere.
        """
        known = self._places.setdefault(place, {})
        self._places.move_to_end(place)
        for each in learnt:
            known[each.network.realm, each.source] = each
        while len(known) > MAX_ENTRIES:
            del known[min(known, key=lambda key: (key[1].trust, known[key].expires_ns))]
        while len(self._places) > MAX_PLACES:
            self._places.pop(next(place for place in self._places if place is not None))

    def forget(self, realm: str, source: Source | None = None) -> None:
        """Forget a network, or what one source said of it: it turned out to be wrong."""
        for known in self._places.values():
            for key in [key for key in known if key[0] == realm and source in (None, key[1])]:
                del known[key]

    def entries(self, now_ns: int) -> Iterator[Entry]:
        """Everything remembered and not expired, the places longest not used first."""
        for place, known in self._places.items():
            for each in known.values():
                if each.expires_ns > now_ns:
                    yield Entry(place, each)

    def expire(self, now_ns: int) -> None:
        """Forget what is not to be used any more."""
        for place, known in list(self._places.items()):
            for key in [key for key, each in known.items() if each.expires_ns <= now_ns]:
                del known[key]
            if not known:
                del self._places[place]

    def next_deadline(self) -> int | None:
        """CLOCK_MONOTONIC ns when the next description expires; None if there is none."""
        return min(
            (each.expires_ns for known in self._places.values() for each in known.values()),
            default=None,
        )

    def networks(self, now_ns: int, place: Place | None = None) -> tuple[Candidate, ...]:
        """Every network known, the most promising first as seen from `place`.

        The order: what somebody vouched for before what nobody did; near before far; those that can
        be prepared before those that lack an AA or a point; trusted before less trusted; then by
        realm, so that it is always the same.
        """
        found: dict[str, list[tuple[Nearness, Learnt]]] = {}
        for entry in self.entries(now_ns):
            nearness = _nearness(entry.place, place)
            found.setdefault(entry.learnt.network.realm, []).append((nearness, entry.learnt))
        owners = _owners(each for known in found.values() for _, each in known)
        merged = [_merge(realm, known, owners, now_ns) for realm, known in found.items()]
        merged.sort(key=_rank)
        return tuple(merged)

    def candidates(
        self, now_ns: int, place: Place, limit: int | None = None
    ) -> tuple[Candidate, ...]:
        """The best `limit` networks to prepare for from `place` (R30, R31); all when None.

        The network that the node is in is none of them, and neither is one that lacks an AA or a
        point of attachment.
        """
        others = (
            candidate
            for candidate in self.networks(now_ns, place)
            if candidate.network.preparable and not candidate.is_at(place)
        )
        return tuple(others)[:limit]

    def here(self, now_ns: int, place: Place) -> Candidate | None:
        """The network that the node is in, if it is known: by BSSID, else by SSID."""
        known = self.networks(now_ns, place)
        at = [each for each in known if each.is_at(place)]
        exact = (each for each in at if each.network.point(place.bssid) is not None)
        return next(exact, None) or next(iter(at), None)


def _nearness(learnt_at: Place | None, place: Place | None) -> Nearness:
    if learnt_at is None or place is None:
        return Nearness.ANYWHERE
    if learnt_at.bssid == place.bssid:
        return Nearness.HERE
    return Nearness.SAME_NETWORK if learnt_at.ssid == place.ssid else Nearness.ANYWHERE


def _better(learnt: Learnt) -> tuple[int, int]:
    return learnt.source.trust, learnt.learnt_ns


def _owners(known: Iterable[Learnt]) -> dict[str, str]:
    """Whose each BSSID is: several may claim it, the most trusted claim holds, the oldest if equal.

    Not the latest: else a liar could take away a point of a network of which no better is known.
    """
    claims: dict[str, tuple[int, int, str]] = {}
    for each in known:
        claim = (-each.source.trust, each.learnt_ns, each.network.realm)
        for point in each.network.points:
            claims[point.bssid] = min(claims.get(point.bssid, claim), claim)
    return {bssid: claim[2] for bssid, claim in claims.items()}


def _merge(
    realm: str,
    known: list[tuple[Nearness, Learnt]],
    owners: dict[str, str],
    now_ns: int,
) -> Candidate:
    ranked = sorted((each for _, each in known), key=_better, reverse=True)

    def first(part: str) -> Learnt | None:
        return next((each for each in ranked if getattr(each.network, part)), None)

    main = first("aa") or ranked[0]
    ca, ar, named = first("ca"), first("ar"), first("name")
    points: dict[str, PointOfAttachment] = {}
    vouched: set[str] = set()
    room = MAX_POINTS
    for each in ranked:
        if each.source.trust is Trust.UNAUTHENTICATED and main.source.trust > each.source.trust:
            room = min(MAX_POINTS, len(vouched) + MAX_UNVOUCHED_POINTS)
        for point in each.network.points:
            if owners[point.bssid] == realm and len(points) < room:
                points.setdefault(point.bssid, point)
                if each.source.trust > Trust.UNAUTHENTICATED:
                    vouched.add(point.bssid)
    network = CandidateNetwork(
        realm=realm,
        points=tuple(points.values()),
        aa=main.network.aa,
        ca=ca.network.ca if ca else (),
        ar=ar.network.ar if ar else (),
        aa_identity=main.network.aa_identity,
        name=named.network.name if named else "",
        lifetime_s=min(max(1, (main.expires_ns - now_ns) // NS_PER_S), MAX_LIFETIME_S),
    )
    nearness = max(nearness for nearness, _ in known)
    return Candidate(network, nearness, main.source.trust, main.expires_ns, frozenset(vouched))


def _rank(candidate: Candidate) -> tuple[bool, int, bool, int, str]:
    return (
        candidate.trust == Trust.UNAUTHENTICATED,
        -candidate.nearness,
        not candidate.network.preparable,
        -candidate.trust,
        candidate.network.realm,
    )
