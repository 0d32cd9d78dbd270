"""Which access point is best to go to, among a thousand as fast as among three. Sans-IO.

A score changes only with a reading of its own access point, or when something is learnt that is
rare. So the scores are kept in a heap whose outdated entries are skipped when they come up: a
reading costs a few comparisons, however many access points there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from .filters import Filter
from .interface import Value
from .situation import Situation

_NS_PER_S = 1_000_000_000
TREND_MOST_DB = 6.0
"""A trend counts as this much at most: it will not go on for ever."""


class Weights(NamedTuple):
    """What a candidate's qualities are worth, in dB of SNR."""

    enough_snr_db: float
    """What is above it counts for nothing: the link cannot get better."""
    trend_s: float
    """The level is taken so far ahead along its trend."""
    load_db: float
    """A channel that is always busy costs so much."""
    cost_db: float
    """One unit of cost costs so much."""
    success_db: float
    """An earlier move that went well is worth so much; three are the most that count."""
    prepared_db: float
    """Each level of preparation that is reached there is worth so much."""
    refused_s: float
    """After a switch there that failed it is left out for so long, twice as long after two ..."""
    stale_s: float
    """Not heard for longer it is left out."""


class Track:
    """One access point's signal and score."""

    __slots__ = ("ap", "barred_ns", "filter", "heard_ns", "score_db", "version", "worth_db")

    def __init__(self, ap: str, filter_: Filter) -> None:
        self.ap = ap
        self.filter = filter_
        self.heard_ns = -1
        self.barred_ns = 0
        """Until then it is left out."""
        self.worth_db = 0.0
        """Of being there: filtered SNR, load, cost, preference. What is left is compared by it with
        what is gone to, so that what speaks for a candidate alone makes no move."""
        self.score_db = 0.0
        """As a candidate: besides, its trend, earlier successes, what is prepared there."""
        self.version = 0

    @property
    def snr_db(self) -> float:
        """Filtered."""
        return self.filter.level_db


class Ranking:
    """All access points that have been heard.

    Args:
        make_filter: a filter for one access point's signal.
    """

    def __init__(self, weights: Weights, make_filter: Callable[[], Filter]) -> None:
        self.weights = weights
        self._make_filter = make_filter
        self._stale_ns = int(weights.stale_s * _NS_PER_S)
        self._refused_ns = int(weights.refused_s * _NS_PER_S)
        self._tracks: dict[str, Track] = {}
        self._heap: list[tuple[float, str, int]] = []
        self._version = 0
        self._barred: dict[str, Track] = {}
        """Taken out of the heap until their time is over."""

    def __len__(self) -> int:
        return len(self._tracks)

    def track(self, ap: str) -> Track | None:
        """What is known of its signal."""
        return self._tracks.get(ap)

    def heard(self, situation: Situation) -> Track | None:
        """Take the present input in, where it is a sample that says something."""
        reading = situation.reading
        if reading is None:
            return None
        track = self._tracks.get(reading.ap)
        if track is None:
            track = self._tracks[reading.ap] = Track(reading.ap, self._make_filter())
        track.filter.add(reading.t_ns, reading.snr_db)
        track.heard_ns = reading.t_ns
        self._score(track, situation)
        return track

    def forget(self, ap: str) -> None:
        """It is gone."""
        self._tracks.pop(ap, None)

    def changed(self, ap: str, situation: Situation) -> None:
        """Something else than its signal is new: what it is, what is prepared there."""
        track = self._tracks.get(ap)
        if track is not None:
            self._score(track, situation)

    def changed_all(self, situation: Situation) -> None:
        """The node has moved: earlier successes count from where it is."""
        for track in self._tracks.values():
            self._score(track, situation)

    def bar(self, ap: str, situation: Situation) -> None:
        """Leave it out for a time: a switch there has failed."""
        track = self._tracks.get(ap)
        if track is not None:
            count, _ = situation.failures.get(ap, (1, 0))
            track.barred_ns = situation.now_ns + self._refused_ns * min(2 ** (count - 1), 32)

    def best(
        self,
        situation: Situation,
        count: int = 1,
        *,
        without: str = "",
        hopeless: bool = False,
    ) -> tuple[Track, ...]:
        """The best candidates, best first; the serving access point is none while it is linked.

        Args:
            without: leave this one out, too.
            hopeless: take also what is barred or has not been heard for long.
        """
        if hopeless:
            self._heap = list(self._live())
            heapify(self._heap)
        elif self._barred:
            self._readmit(situation.now_ns)
        serving = situation.serving if situation.linked else ""
        now_ns, heap = situation.now_ns, self._heap
        found: list[Track] = []
        put_back: list[tuple[float, str, int]] = []
        while heap and len(found) < count:
            entry = heappop(heap)
            track = self._tracks.get(entry[1])
            if track is None or track.version != entry[2]:
                continue
            if not hopeless and track.barred_ns > now_ns:
                self._barred[track.ap] = track
            elif hopeless or now_ns - track.heard_ns <= self._stale_ns:
                put_back.append(entry)
                if track.ap != serving and track.ap != without:
                    found.append(track)
            # What is stale comes back with its next reading.
        for entry in put_back:
            heappush(heap, entry)
        return tuple(found)

    def fresh(self, track: Track, situation: Situation) -> bool:
        """Whether it is a candidate at this moment."""
        now_ns = situation.now_ns
        return track.barred_ns <= now_ns and now_ns - track.heard_ns <= self._stale_ns

    def why(self, track: Track, situation: Situation) -> dict[str, Value]:
        """The score and what it is made of, for a decision's inputs."""
        about = situation.candidate(track.ap)
        return {
            "score_db": round(track.score_db, 2),
            "worth_db": round(track.worth_db, 2),
            "snr_db": round(track.snr_db, 2),
            "slope_db_s": round(track.filter.slope_db_s, 3),
            "load": about.load,
            "cost": about.cost,
            "preference": about.preference,
            "successes": situation.successes.get((situation.serving, track.ap), 0),
            "level": situation.level(track.ap),
        }

    def _readmit(self, now_ns: int) -> None:
        """Put those back whose time is over."""
        for track in [each for each in self._barred.values() if each.barred_ns <= now_ns]:
            del self._barred[track.ap]
            if self._tracks.get(track.ap) is track:
                self._push(track)

    def _score(self, track: Track, situation: Situation) -> None:
        weights, about = self.weights, situation.candidate(track.ap)
        worth_db = min(track.filter.level_db, weights.enough_snr_db)
        worth_db += about.preference - weights.cost_db * about.cost
        if about.load is not None:
            worth_db -= weights.load_db * about.load
        track.worth_db = worth_db
        trend_db = track.filter.slope_db_s * weights.trend_s
        score_db = worth_db + min(max(trend_db, -TREND_MOST_DB), TREND_MOST_DB)
        successes = situation.successes.get((situation.serving, track.ap))
        if successes:
            score_db += weights.success_db * min(successes, 3)
        held = situation.holdings.get(track.ap)
        if held is not None:
            score_db += weights.prepared_db * held.level
        probed = situation.probed.get(track.ap)
        if probed is not None and probed.refuted:
            score_db -= 2 * weights.load_db
        track.score_db = score_db
        self._push(track)

    def _push(self, track: Track) -> None:
        self._version += 1
        track.version = self._version
        heappush(self._heap, (-track.score_db, track.ap, track.version))
        if len(self._heap) > 3 * len(self._tracks) + 64:
            self._heap = list(self._live())
            heapify(self._heap)

    def _live(self) -> Iterator[tuple[float, str, int]]:
        for track in self._tracks.values():
            yield (-track.score_db, track.ap, track.version)
