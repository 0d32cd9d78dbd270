"""What the configuration agent holds for mobile nodes: table, indexes, journal. Sans-IO."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

from mpa_hil.configuration.acquisition import Acquisition, Lease
from mpa_hil.configuration.dhcp4 import message as dhcp4
from mpa_hil.configuration.dhcp6 import message as dhcp6
from mpa_hil.configuration.heard import Heard
from mpa_hil.configuration.interface import Configuration, Method, Wish
from mpa_hil.configuration.presence import Absence
from mpa_hil.configuration.record import HoldingRecord
from mpa_hil.mobility.interface import NS_PER_S, Address, Endpoint, Instant
from mpa_hil.signalling.server import Token

_MAXIMUM_LISTED = 8
"""DNS servers, and prefixes, that are passed on: what fits into one datagram."""

Place = tuple[int, bytes]
"""Family and MAC address: a node has one address of each family on a link."""


def family(method: Method) -> int:
    """4 or 6."""
    return 4 if method is Method.DHCPV4 else 6


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request whose answer depends on the exchange that is under way."""

    token: Token
    source: Endpoint


@dataclass(slots=True, eq=False)
class Holding:
    """One address, or the way to it, of one mobile node."""

    key: bytes
    """Name of the MN-CA key that it was last asked for under; empty: its key is not known yet."""
    mobile_node: str
    wish: Wish
    acquisition: Acquisition
    keep_until_ns: int
    lease: Lease | None = None
    waiting: Waiting | None = None
    absence: Absence | None = None
    """It is given back, unless the MN turns out to be on the link."""
    taken: bool = False
    """The MN is on the link and sees to the lease itself."""
    declined: Address | None = None
    """What the server was last told to be in use by somebody else."""
    cause: str = ""
    """Why it is given back."""
    due_ns: int = field(default=-1)
    """Of its newest entry in the agenda."""

    @property
    def place(self) -> Place:
        """Where it is in the table."""
        return family(self.wish.method), self.wish.mac

    @property
    def client(self) -> Place:
        """Under which identifier the server knows it."""
        return family(self.wish.method), self.wish.client_id

    @property
    def address(self) -> Address | None:
        """What is held."""
        return None if self.lease is None else self.lease.address.ip

    @property
    def busy(self) -> bool:
        """Whether an exchange is under way."""
        return self.acquisition.next_deadline() is not None

    def left_s(self, now: Instant) -> float:
        """Of the lease."""
        if self.lease is None:
            return 0.0
        spent_s = (now.monotonic_ns - self.lease.since_ns) / NS_PER_S
        return max(self.lease.life_s - spent_s, 0.0)

    def keep_s(self, now: Instant) -> float:
        """Until the agent gives it back, unless the MN is heard of."""
        return max((self.keep_until_ns - now.monotonic_ns) / NS_PER_S, 0.0)

    def expires_ns(self) -> int | None:
        """When the lease ends; None: never, or there is none."""
        if self.lease is None or math.isinf(self.lease.life_s):
            return None
        return self.lease.since_ns + int(self.lease.life_s * NS_PER_S)

    def renew_ns(self) -> int | None:
        """When to ask for more time; None: not, or already asking."""
        lease = self.lease
        if lease is None or self.busy or self.absence or math.isinf(lease.renew_s):
            return None
        return lease.since_ns + int(lease.renew_s * NS_PER_S)

    def next_deadline(self) -> int:
        """When something is to be done about it."""
        if self.taken:
            return self.expires_ns() or self.keep_until_ns
        if self.absence is not None:
            return self.absence.next_deadline()
        times = [self.acquisition.next_deadline(), self.expires_ns(), self.renew_ns()]
        if not self.cause:
            times.append(self.keep_until_ns)
        return min((each for each in times if each is not None), default=self.keep_until_ns)

    def told(self, now: Instant) -> Configuration:
        """What its MN is told; there must be a lease."""
        lease = self.lease
        assert lease is not None
        return Configuration(
            lease.address,
            lease.router,
            lease.router_mac,
            lease.dns[:_MAXIMUM_LISTED],
            self.left_s(now),
            self.keep_s(now),
            lease.link_prefixes[:_MAXIMUM_LISTED],
            lease.server,
            lease.ra,
        )


class Holdings:
    """All of them, found by place, client identifier, key and mobile node."""

    def __init__(self) -> None:
        self._places: dict[Place, Holding] = {}
        self._clients: dict[Place, Holding] = {}
        self._nodes: dict[str, list[Holding]] = {}
        self.listening: set[Holding] = set()
        """Those with an exchange, or a question to the link, under way."""
        self._agenda: list[tuple[int, int, Holding]] = []
        self._number = 0
        self._noted: dict[int, Place] = {}

    def __iter__(self) -> Iterator[Holding]:
        return iter(tuple(self._places.values()))

    def __len__(self) -> int:
        return len(self._places)

    def add(self, holding: Holding) -> None:
        """Its place and its identifier must be free."""
        assert holding.place not in self._places
        self._places[holding.place] = holding
        if holding.wish.client_id:
            self._clients[holding.client] = holding
        self._nodes.setdefault(holding.mobile_node, []).append(holding)

    def remove(self, holding: Holding) -> None:
        """Forget it; forgotten ones too."""
        if self._places.get(holding.place) is not holding:
            return
        del self._places[holding.place]
        self.note(holding)
        self.listening.discard(holding)
        if self._clients.get(holding.client) is holding:
            del self._clients[holding.client]
        ours = self._nodes[holding.mobile_node]
        ours.remove(holding)
        if not ours:
            del self._nodes[holding.mobile_node]

    def at(self, place: Place) -> Holding | None:
        """By family and MAC address."""
        return self._places.get(place)

    def called(self, client: Place) -> Holding | None:
        """By family and client identifier."""
        return self._clients.get(client)

    def of(self, mobile_node: str) -> tuple[Holding, ...]:
        """By mobile node."""
        return tuple(self._nodes.get(mobile_node, ()))

    def note(self, holding: Holding) -> None:
        """Its lease came, changed or went: a matter for the journal."""
        version, mac = holding.place
        self._noted[version << 48 | int.from_bytes(mac, "big")] = holding.place

    def changes(self, now: Instant) -> tuple[tuple[int, HoldingRecord | None], ...]:
        """What was noted since the last call."""
        if not self._noted:
            return ()
        noted, self._noted = self._noted, {}
        made = []
        for number, place in noted.items():
            holding = self._places.get(place)
            record = None
            if holding is not None and holding.lease is not None and not holding.taken:
                node, wish = holding.mobile_node, holding.wish
                record = HoldingRecord.of(node, wish, holding.lease, now)
            made.append((number, record))
        return tuple(made)

    def concerned(self, said: Heard) -> tuple[Holding, ...]:
        """Who waits for what was heard on the link."""
        if not isinstance(said, dhcp4.Message | dhcp6.Message):
            return tuple(self.listening)
        if isinstance(said, dhcp4.Message):
            holding = self.at((4, said.mac))
        else:
            holding = self.called((6, said.option(dhcp6.Option.CLIENT_ID)))
        return (holding,) if holding is not None and holding in self.listening else ()

    def settle(self, holding: Holding) -> None:
        """After any change of it: agenda, and whether it listens to the link."""
        if self._places.get(holding.place) is not holding:
            return
        if holding.busy or holding.absence is not None:
            self.listening.add(holding)
        else:
            self.listening.discard(holding)
        due_ns = holding.next_deadline()
        if due_ns != holding.due_ns:
            holding.due_ns = due_ns
            self._number += 1
            heappush(self._agenda, (due_ns, self._number, holding))

    def due(self, now: Instant) -> Iterator[Holding]:
        """What is to be looked at, each once."""
        while self._agenda and self._agenda[0][0] <= now.monotonic_ns:
            due_ns, _, holding = heappop(self._agenda)
            if holding.due_ns == due_ns and self._places.get(holding.place) is holding:
                holding.due_ns = -1
                yield holding

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next that is due."""
        while self._agenda:
            due_ns, _, holding = self._agenda[0]
            if holding.due_ns == due_ns and self._places.get(holding.place) is holding:
                return due_ns
            heappop(self._agenda)
        return None
