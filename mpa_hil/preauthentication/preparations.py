"""Several candidate networks at once (RFC 6252 s7.2): all, or the best few. Sans-IO.

The node may land elsewhere than planned, so several networks are prepared, each bounded in time.
wpa_supplicant caches 32 PMKs and silently drops the one that ends first to take another, so the
points of attachment are counted here, and the least wanted ones are left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mpa_hil.discovery.description import CandidateNetwork, PointOfAttachment
from mpa_hil.mobility.interface import NS_PER_S, Endpoint, Instant

from .actions import Means
from .interface import Dropped, EndCause, Failed, Output, Outputs, Stage
from .link import At, Away, Change, FullEap
from .preauthentication import Preauthentication
from .states import State


@dataclass(slots=True)
class Request:
    """Networks wanted together, best first."""

    number: int
    """The later, the more wanted."""
    queue: deque[CandidateNetwork]
    best: int
    """Of them, so many are prepared; another is tried for each that fails."""
    deadline_ns: int
    hold_s: float
    begun: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Entry:
    """One network being prepared, or prepared."""

    machine: Preauthentication
    rank: tuple[int, int]
    """The lower, the more wanted: minus the number of the request, then the place in it."""


class Preparations:
    """All of one mobile node's."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._settings = means.settings
        self._entries: dict[str, Entry] = {}
        self._requests: list[Request] = []
        self._count = 0
        self._bssid: str | None = None

    # --- what the owner asks

    def prepare(
        self,
        networks: Sequence[CandidateNetwork],
        now: Instant,
        *,
        deadline_s: float,
        hold_s: float,
        best: int = 0,
    ) -> Outputs:
        """Prepare these networks, best first.

        Args:
            deadline_s: by when their keys are in place, or given up (R31).
            hold_s: how long they are kept while the node is not there.
            best: so many of them; 0: all.
        """
        self._count += 1
        out: list[Output] = []
        wanted = [network for network in networks if self._usable(network, out)]
        deadline_ns = now.monotonic_ns + round(deadline_s * NS_PER_S)
        request = Request(self._count, deque(wanted), best or len(wanted), deadline_ns, hold_s)
        self._requests.append(request)
        self._advance(request, now, out)
        return self._settle(out, now)

    def forget(self, realm: str, now: Instant) -> Outputs:
        """Give one network up; nothing if it is not known."""
        for request in self._requests:
            request.queue = deque(each for each in request.queue if each.realm != realm)
        entry = self._entries.get(realm)
        return self._settle(entry.machine.release(EndCause.RELEASED, now) if entry else (), now)

    def close(self, now: Instant) -> Outputs:
        """Give all of them up."""
        self._requests.clear()
        out: list[Output] = []
        for entry in tuple(self._entries.values()):
            out += entry.machine.release(EndCause.RELEASED, now)
        return self._settle(out, now)

    def installed(self, realm: str, results: Mapping[str, str], now: Instant) -> Outputs:
        """What the supplicant did with an `Install`, by BSSID: "" or why not."""
        entry = self._entries.get(realm)
        return self._settle(entry.machine.installed(results, now) if entry else (), now)

    def supplicant_restarted(self, now: Instant) -> Outputs:
        """The supplicant has forgotten every key; they are installed again."""
        out: list[Output] = []
        for entry in self._entries.values():
            out += entry.machine.supplicant_restarted()
        return self._settle(out, now)

    # --- what the link, the network and time bring

    def link(self, change: Change, now: Instant) -> Outputs:
        """The node went, came, or had to run full EAP."""
        out: list[Output] = []
        if isinstance(change, FullEap):
            for entry in self._at(change.bssid):
                out += entry.machine.missed(change.bssid, now)
            return self._settle(out, now)
        here = change.bssid if isinstance(change, At) else None
        before, self._bssid = self._bssid, here
        there = self._at(here) if here is not None else []
        for entry in self._at(before) if before is not None else []:
            if isinstance(change, Away) or entry not in there:
                out += entry.machine.left(now)
        for entry in there:
            assert here is not None
            out += entry.machine.arrived(here, now)
        return self._settle(out, now)

    def address_changed(self, realm: str, now: Instant) -> Outputs:
        """Towards that network's agent this node has another address now (R116)."""
        entry = self._entries.get(realm)
        return self._settle(entry.machine.address_changed(now) if entry else (), now)

    def receive(self, realm: str, datagram: bytes, source: Endpoint, now: Instant) -> Outputs:
        """A datagram came to that network's socket."""
        entry = self._entries.get(realm)
        return self._settle(entry.machine.receive(datagram, source, now) if entry else (), now)

    def expire(self, now: Instant) -> Outputs:
        """Do what is due; harmless at other times."""
        out: list[Output] = []
        for entry in tuple(self._entries.values()):
            if (entry.machine.next_deadline() or now.monotonic_ns + 1) <= now.monotonic_ns:
                out += entry.machine.expire(now)
        return self._settle(out, now)

    def next_deadline(self) -> int | None:
        """CLOCK_MONOTONIC ns of the next thing to do, or None while there is nothing."""
        times = (entry.machine.next_deadline() for entry in self._entries.values())
        return min((time for time in times if time is not None), default=None)

    # --- what there is

    @property
    def machines(self) -> tuple[Preauthentication, ...]:
        """All that are not over, best wanted first."""
        ordered = sorted(self._entries.values(), key=lambda entry: entry.rank)
        return tuple(entry.machine for entry in ordered)

    @property
    def point_count(self) -> int:
        """Places taken in the supplicant's key cache, now or soon."""
        return sum(len(entry.machine.points) for entry in self._entries.values())

    # --- requests

    def _usable(self, network: CandidateNetwork, out: list[Output]) -> bool:
        if network.preparable:
            return True
        lacking = "authentication agent" if not network.aa else "point that takes a key from EAP"
        out.append(Failed(network.realm, Stage.AUTHENTICATING, f"no {lacking} is known", 0))
        return False

    def _advance(self, request: Request, now: Instant, out: list[Output]) -> None:
        """Begin with so many of a request as are missing and may yet be done in time."""
        left_ns = request.deadline_ns - now.monotonic_ns
        while request.queue and left_ns > 0 and self._alive(request) < request.best:
            network = request.queue.popleft()
            rank = (-request.number, len(request.begun))
            request.begun.add(network.realm)
            self._begin(network, rank, left_ns / NS_PER_S, request.hold_s, now, out)

    def _alive(self, request: Request) -> int:
        return sum(
            entry.machine.state not in (State.CLOSING, State.OVER)
            for realm, entry in self._entries.items()
            if realm in request.begun
        )

    def _begin(
        self,
        network: CandidateNetwork,
        rank: tuple[int, int],
        budget_s: float,
        hold_s: float,
        now: Instant,
        out: list[Output],
    ) -> None:
        entry = self._entries.get(network.realm)
        if entry is not None and entry.machine.state is not State.CLOSING:
            entry.rank = rank
            points = self._granted(network, rank, now, out)
            out += entry.machine.extend(points, budget_s, hold_s, now)
            return
        points = self._granted(network, rank, now, out)
        if not points:
            return
        machine = Preauthentication(network, points, self._means, budget_s=budget_s, hold_s=hold_s)
        self._entries[network.realm] = Entry(machine, rank)
        out += machine.start(now)
        if self._bssid is not None and network.point(self._bssid):
            out += machine.arrived(self._bssid, now)

    # --- room

    def _granted(
        self,
        network: CandidateNetwork,
        rank: tuple[int, int],
        now: Instant,
        out: list[Output],
    ) -> tuple[PointOfAttachment, ...]:
        """The points of a network that there is room for, once the less wanted have given way."""
        worse = [
            entry
            for realm, entry in self._entries.items()
            if entry.rank > rank
            and realm != network.realm
            and entry.machine.state not in (State.SERVING, State.CLOSING, State.OVER)
        ]
        worse.sort(key=lambda entry: entry.rank, reverse=True)
        has = self._entries.get(network.realm)
        if has is None or has.machine.state is State.CLOSING:
            self._make_place(worse, now, out)
            if self._live >= self._settings.max_networks:
                out.append(Dropped(network.realm, network.points))
                return ()
        known = {point.bssid for point in has.machine.points} if has else set()
        useful = [point for point in network.points if point.takes_eap]
        wanted = [point for point in useful if point.bssid not in known]
        for entry in worse:
            lacking = self.point_count + len(wanted) - self._settings.max_points
            if lacking <= 0:
                break
            points = entry.machine.points
            out += entry.machine.keep(points[: max(0, len(points) - lacking)], now)
        room = max(0, self._settings.max_points - self.point_count)
        if wanted[room:]:
            out.append(Dropped(network.realm, tuple(wanted[room:])))
        kept = {point.bssid for point in wanted[:room]} | known
        return tuple(point for point in useful if point.bssid in kept)

    @property
    def _live(self) -> int:
        over = (State.CLOSING, State.OVER)
        return sum(entry.machine.state not in over for entry in self._entries.values())

    def _make_place(self, worse: list[Entry], now: Instant, out: list[Output]) -> None:
        while worse and self._live >= self._settings.max_networks:
            entry = worse.pop(0)
            out.append(Dropped(entry.machine.realm, entry.machine.points))
            out += entry.machine.release(EndCause.NO_ROOM, now)

    # --- ends

    def _at(self, bssid: str) -> list[Entry]:
        """The networks that an access point belongs to; more than one if descriptions err."""
        entries = self._entries.values()
        return [entry for entry in entries if entry.machine.network.point(bssid) is not None]

    def _settle(self, outputs: Iterable[Output], now: Instant) -> Outputs:
        """Forget what is over; begin with what was waiting for it."""
        out = list(outputs)
        for realm in [r for r, e in self._entries.items() if e.machine.state is State.OVER]:
            del self._entries[realm]
        for request in tuple(self._requests):
            self._advance(request, now, out)
            if not request.queue or request.deadline_ns <= now.monotonic_ns:
                self._requests.remove(request)
        return tuple(out)
