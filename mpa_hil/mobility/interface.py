"""What every mobility management protocol (MMP, RFC 6252 s4.1) offers at the mobile node.

A protocol keeps a session alive by telling somebody (a home agent, a correspondent, a registrar)
where the mobile node now is: its care-of address. The machines behind this interface do no I/O:
an agent hands them datagrams and the time, and carries out what they return.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple, Protocol

from mpa_hil.light import light

Address = IPv4Address | IPv6Address
NS_PER_S = 1_000_000_000


class Instant(NamedTuple):
    """One moment on both clocks: lifetimes run on the first, time stamps are of the second."""

    monotonic_ns: int
    """CLOCK_MONOTONIC: never steps, so it alone decides what has expired."""
    unix_ns: int
    """CLOCK_REALTIME: shared with the peer (more or less), so it alone goes into messages."""


class Endpoint(NamedTuple):
    """A UDP endpoint."""

    address: Address
    port: int


@light
class Send:
    """Send this datagram (UDP payload)."""

    datagram: bytes
    destination: Endpoint
    source: Address | None = None
    """The source address that it must carry, or None to leave it to the routing table."""
    on_home_link: bool = False
    """Past any tunnel, straight onto the home link (RFC 5944 s3.8.3.1)."""


@dataclass(frozen=True, slots=True)
class Registered:
    """The binding now stands: packets for the home address reach the care-of address."""

    home_address: Address
    care_of: Address
    lifetime_s: float | None
    """Seconds granted, counted from when the request left; None: without end."""
    renewal: bool
    """The same care-of address was bound before, so nothing in the kernel has to change."""
    code: int
    round_trip_ns: int
    """From the request that was answered to its reply."""
    attempts: int
    """Requests sent until the answer came, the answered one included."""


@dataclass(frozen=True, slots=True)
class Deregistered:
    """The peer forgot the binding, as asked."""

    home_address: Address
    code: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """The peer said no, and asking the same again will not help."""

    home_address: Address
    care_of: Address
    code: int
    meaning: str
    hint: Address | None = None
    """The address to ask instead, when the peer named one."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """No answer within all attempts."""

    home_address: Address
    care_of: Address
    attempts: int


@dataclass(frozen=True, slots=True)
class Expired:
    """The binding ran out before it could be renewed."""

    home_address: Address
    care_of: Address


@light
class Discarded:
    """A datagram was dropped without an answer; an agent logs it, nothing else changes."""

    reason: str
    source: Endpoint
    security: bool = False
    """It failed authentication or was replayed: worth a security log line."""


MobileOutput = Send | Registered | Deregistered | Rejected | TimedOut | Expired | Discarded
"""What a machine at the mobile node returns, in the order in which to carry it out."""


class MobilityProtocol(Protocol):
    """The mobile node's end of one protocol. No verb blocks, and none reads a clock."""

    name: str

    def register(self, care_of: Address, now: Instant) -> tuple[MobileOutput, ...]:
        """Bind the home address to `care_of`, which replaces what was bound or pending before."""

    def deregister(self, now: Instant) -> tuple[MobileOutput, ...]:
        """Ask for the binding to be forgotten (the node is at home again, or leaves)."""

    def receive(self, datagram: bytes, source: Endpoint, now: Instant) -> tuple[MobileOutput, ...]:
        """Digest a datagram; whatever it holds, this raises nothing."""

    def expire(self, now: Instant) -> tuple[MobileOutput, ...]:
        """Do what is due at `now`; call it at `next_deadline`, harmless at other times."""

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next thing to do, or None while there is nothing."""
