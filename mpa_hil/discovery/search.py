"""What to ask where the mobile node is, and what the answers add to the cache. Sans-IO.

`look` says what to ask the access point; each answer goes to its verb, which may ask for more: an
access point of nobody known is asked for its operator, and a network without an AA for its AA's
address. Every question is asked at most once between two looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from mpa_hil.mobility.interface import Address
from radios.neighbor_report import NeighborReport

from . import dhcp, nearby
from .cache import Cache, Candidate, Place
from .description import CandidateNetwork, Learnt, Source

MAX_SSIDS = 8
"""Asked for at one look; each is a frame each way, and a second when nobody answers."""
MAX_STRANGERS = 4
"""Access points of nobody known that are asked at one look."""
AGENT_LABEL = "aa"
"""Host name of an AA within its realm, where its description says no other name."""


@dataclass(frozen=True, slots=True)
class AskReport:
    """Ask the present access point for neighbours with this SSID; answer by `reported`."""

    ssid: bytes


@dataclass(frozen=True, slots=True)
class AskAnqp:
    """Ask an access point for `nearby.QUERY`; answer by `told`."""

    bssid: str


@dataclass(frozen=True, slots=True)
class AskName:
    """Ask DNS; answer by `named`."""

    realm: str
    name: str


Question = AskReport | AskAnqp | AskName


class Search:
    """The questions of one mobile node.

    Times are CLOCK_MONOTONIC in nanoseconds. Verbs that take `asked_ns` want the moment of the
    question, from which its answer ages.
    """

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self._place: Place | None = None
        self._asked: set[Question] = set()
        self._strangers: dict[str, NeighborReport] = {}

    def look(self, place: Place, now_ns: int) -> tuple[Question, ...]:
        """Begin anew at a place: what to ask there."""
        self._place = place
        self._asked.clear()
        self._strangers.clear()
        return self._fresh((AskAnqp(place.bssid),)) + self._reports(now_ns) + self._names(now_ns)

    def here(self, place: Place, now_ns: int) -> tuple[Question, ...]:
        """Begin anew at a place: what to ask to know the agent of the network that we are in."""
        self._place = place
        self._asked.clear()
        self._strangers.clear()
        own = self.cache.here(now_ns, place)
        return () if own is None else self._fresh(_agents_of([own.network]))

    def reported(
        self, reports: Iterable[NeighborReport], asked_ns: int, now_ns: int
    ) -> tuple[Question, ...]:
        """The present access point's neighbours."""
        matched = nearby.matched(reports, self._known(now_ns))
        self._learn(matched.networks, Source.NEIGHBOR_REPORT, asked_ns)
        for stranger in matched.strangers:
            if len(self._strangers) < MAX_STRANGERS and stranger.ssid:
                self._strangers.setdefault(stranger.bssid, stranger)
        return self._fresh(AskAnqp(bssid) for bssid in self._strangers) + self._names(now_ns)

    def told(
        self, bssid: str, told: nearby.Told, asked_ns: int, now_ns: int
    ) -> tuple[Question, ...]:
        """What an access point said of itself and of others."""
        self._learn(told.networks, Source.ANQP, asked_ns)
        stranger = self._strangers.get(bssid)
        point = nearby.reported_point(stranger) if stranger is not None else None
        if point is not None and told.domain_names:
            network = CandidateNetwork(told.domain_names[0], (point,))
            self._learn((network,), Source.ANQP, asked_ns)
        more = self.reported(told.reports, asked_ns, now_ns) if told.reports else ()
        return more + self._reports(now_ns) + self._names(now_ns)

    def named(self, question: AskName, addresses: Iterable[Address], asked_ns: int) -> None:
        """The addresses of a network's AA; they hold wherever the question was asked."""
        network = dhcp.described(question.realm, addresses)
        if network is not None:
            told = replace(network, aa_identity=question.name)
            self.cache.learn((Learnt(told, Source.DNS, asked_ns),))

    def leased(
        self, agents: Iterable[Address], place: Place, now_ns: int, *, lifetime_s: int | None
    ) -> None:
        """The AAs that DHCP named where we are (RFC 5192): they are those of this network."""
        own = self.cache.here(now_ns, place)
        if own is None:
            return
        network = dhcp.described(own.network.realm, agents, lifetime_s=lifetime_s)
        if network is not None:
            self.cache.learn((Learnt(network, Source.DHCP, now_ns),), place)

    def candidates(self, now_ns: int, limit: int | None = None) -> tuple[Candidate, ...]:
        """The best networks to prepare for from where the last look was."""
        return () if self._place is None else self.cache.candidates(now_ns, self._place, limit)

    def _known(self, now_ns: int) -> list[CandidateNetwork]:
        return [each.network for each in self.cache.networks(now_ns, self._place)]

    def _learn(self, networks: Iterable[CandidateNetwork], source: Source, asked_ns: int) -> None:
        self.cache.learn((Learnt(each, source, asked_ns) for each in networks), self._place)

    def _reports(self, now_ns: int) -> tuple[Question, ...]:
        """Neighbours of each SSID that other networks have, as far as they are known by now."""
        if self._place is None:
            return ()
        own = self.cache.here(now_ns, self._place)
        ssids: dict[bytes, None] = {}
        for candidate in self.cache.networks(now_ns, self._place):
            if own is None or candidate.network.realm != own.network.realm:
                ssids.update(dict.fromkeys(point.ssid for point in candidate.network.points))
        room = MAX_SSIDS - sum(isinstance(each, AskReport) for each in self._asked)
        unasked = [ask for ssid in ssids if (ask := AskReport(ssid)) not in self._asked]
        return self._fresh(unasked[: max(0, room)])

    def _names(self, now_ns: int) -> tuple[Question, ...]:
        return self._fresh(_agents_of(each for each in self._known(now_ns) if each.points))

    def _fresh(self, questions: Iterable[Question]) -> tuple[Question, ...]:
        fresh = tuple(each for each in questions if each not in self._asked)
        self._asked.update(fresh)
        return fresh


def _agents_of(networks: Iterable[CandidateNetwork]) -> Iterator[AskName]:
    """Questions for the agents of those networks that lack one."""
    for network in networks:
        if not network.aa:
            name = network.aa_identity or f"{AGENT_LABEL}.{network.realm}"
            yield AskName(network.realm, name)
