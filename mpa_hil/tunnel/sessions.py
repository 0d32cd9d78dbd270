"""What an access router knows of each session, and how it finds them. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from mpa_hil.mobility.interface import Address, Endpoint, Instant
from mpa_hil.signalling.server import Token
from mpa_hil.tunnel.interface import Keys, TunnelWish
from mpa_hil.tunnel.states import State

NEVER = 1 << 62
"""Later than everything."""


@dataclass(slots=True)
class Asked:
    """A request that waits for its answer."""

    token: Token
    source: Endpoint


@dataclass(slots=True, eq=False)
class Session:
    """One tunnel, or one detention at the old router."""

    number: int
    """Small and free to be used again; names the devices in the kernel."""
    owner: str
    """Identity that the home network vouched for."""
    key: bytes
    """Name of the MN-AR key that rules it."""
    wish: TunnelWish
    """As granted; `outer` follows the MN."""
    router: Address
    """The router's end."""
    mtu: int
    state: State
    detained: bool = False
    """At the old router: holds for the MN's address here, forwards to where it is."""
    nonce: bytes = field(default=b"", repr=False)
    """The router's."""
    spi: int = 0
    """ESP: of packets to the router."""
    keys: Keys = field(default=None, repr=False)
    private: bytes = field(default=b"", repr=False)
    """WireGuard: the router's own."""
    public: bytes = b""
    port: int = 0
    asked: Asked | None = None
    """CREATE without an answer yet."""
    arrival: Asked | None = None
    """ARRIVED, answered, but not yet with the news that the uplink is drained."""
    leave: bytes = b""
    """The end mark to expect; empty: none."""
    drained: bool = True
    held_since_ns: int = 0
    used_ns: int = 0
    """Last time that the MN asked for something."""
    expires_ns: int = NEVER
    hold_ns: int = NEVER
    linger_ns: int = NEVER
    drain_ns: int = NEVER
    orphan_ns: int = NEVER
    """Restored after a restart, and over then unless its key comes again."""

    @property
    def next_ns(self) -> int:
        """When it wants to be looked at."""
        return min(self.expires_ns, self.hold_ns, self.linger_ns, self.drain_ns, self.orphan_ns)


class Sessions:
    """All of them, by number, key, owner and inner address, and in order of time."""

    def __init__(self) -> None:
        self._by_number: dict[int, Session] = {}
        self._by_key: dict[bytes, Session] = {}
        self._by_owner: dict[str, set[int]] = {}
        self._by_inner: dict[Address, int] = {}
        self._by_leave: dict[bytes, int] = {}
        self._free: list[int] = []
        self._highest = 0
        self._agenda: list[tuple[int, int]] = []
        self.hold_octets = 0
        """Granted to all together."""

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._by_number.values()))

    def get(self, number: int) -> Session | None:
        """By number."""
        return self._by_number.get(number)

    def under(self, key: bytes) -> Session | None:
        """The one that a key rules."""
        return self._by_key.get(key)

    def of(self, owner: str) -> tuple[Session, ...]:
        """All of one MN."""
        return tuple(self._by_number[number] for number in sorted(self._by_owner.get(owner, ())))

    def with_inner(self, address: Address) -> Session | None:
        """Whose inner address it is."""
        number = self._by_inner.get(address)
        return None if number is None else self._by_number[number]

    def with_leave(self, datagram: bytes) -> Session | None:
        """Which session expects this end mark."""
        number = self._by_leave.get(datagram)
        return None if number is None else self._by_number[number]

    def new_number(self) -> int:
        """The number for the next session."""
        if self._free:
            return heappop(self._free)
        self._highest += 1
        return self._highest

    def add(self, session: Session) -> None:
        """Take it in; its number, key and inner addresses must be free."""
        number = session.number
        if number > self._highest:  # restored
            for skipped in range(self._highest + 1, number):
                heappush(self._free, skipped)
            self._highest = number
        elif number in self._free:
            self._free.remove(number)
            heapify(self._free)
        self._by_number[number] = session
        self._by_key[session.key] = session
        self._by_owner.setdefault(session.owner, set()).add(number)
        for address in session.wish.inner:
            self._by_inner[address] = number
        self.hold_octets += session.wish.hold_octets
        self.plan(session)

    def remove(self, session: Session) -> None:
        """Forget it."""
        if self._by_number.pop(session.number, None) is None:
            return
        if self._by_key.get(session.key) is session:
            del self._by_key[session.key]
        mine = self._by_owner[session.owner]
        mine.discard(session.number)
        if not mine:
            del self._by_owner[session.owner]
        for address in session.wish.inner:
            if self._by_inner.get(address) == session.number:
                del self._by_inner[address]
        self.hold_octets -= session.wish.hold_octets
        heappush(self._free, session.number)

    def rule(self, session: Session, key: bytes) -> None:
        """Another key of the same MN rules it from now on."""
        if self._by_key.get(session.key) is session:
            del self._by_key[session.key]
        session.key = key
        self._by_key[key] = session

    def expect(self, session: Session, leave: bytes) -> None:
        """Wait for this end mark; empty: for none."""
        self._by_leave.pop(session.leave, None)
        session.leave = leave
        if leave:
            self._by_leave[leave] = session.number

    def plan(self, session: Session) -> None:
        """Look at it when it wants; to be called whenever one of its times is changed."""
        if session.next_ns < NEVER:
            heappush(self._agenda, (session.next_ns, session.number))
        if len(self._agenda) > 8 * len(self._by_number) + 64:
            self._agenda = [(each.next_ns, each.number) for each in self._by_number.values()]
            heapify(self._agenda)

    def due(self, now: Instant) -> Iterator[Session]:
        """What wants to be looked at, each once."""
        while self._agenda and self._agenda[0][0] <= now.monotonic_ns:
            _, number = heappop(self._agenda)
            session = self._by_number.get(number)
            if session is None:
                continue
            if session.next_ns <= now.monotonic_ns:
                yield session
            elif session.next_ns < NEVER:
                heappush(self._agenda, (session.next_ns, number))

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next look, or None."""
        return self._agenda[0][0] if self._agenda else None

    def longest_unused(self) -> Session | None:
        """The one to give way: never one whose packets are held."""
        idle = (s for s in self._by_number.values() if s.state is not State.HOLDING)
        return min(idle, key=lambda session: session.used_ns, default=None)
