"""What the ways to an address have in common, as the configuration agent sees them. Sans-IO."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from mpa_hil.configuration.heard import Heard
from mpa_hil.configuration.interface import Code, Interface, Network
from mpa_hil.light import light
from mpa_hil.mobility.interface import Address, Instant


@dataclass(frozen=True, slots=True)
class Lease:
    """An address and what goes with it on the link."""

    address: Interface
    router: Address
    router_mac: bytes
    dns: tuple[Address, ...]
    life_s: float
    """From `since_ns` on."""
    renew_s: float
    """The same: when to ask for more time (T1)."""
    since_ns: int
    """Monotonic."""
    link_prefixes: tuple[Network, ...]
    server: Address | None = None
    """None: stateless, no server knows of it."""
    server_id: bytes = field(default=b"", repr=False)
    """What the server is called in its own protocol, where that is not its address."""
    ra: bytes = field(default=b"", repr=False)


@light
class Transmit:
    """Put this frame onto the link."""

    frame: bytes = field(repr=False)


@light
class Acquired:
    """There is an address, or more time for it."""

    lease: Lease


@light
class Failed:
    """There is none, and the attempt is over."""

    code: Code
    text: str


Output = Transmit | Acquired | Failed


class Acquisition(Protocol):
    """One MN's way to one address. No verb raises anything."""

    def begin(self, now: Instant) -> tuple[Output, ...]:
        """Get an address: `Acquired` or `Failed` will come."""

    def renew(self, lease: Lease, now: Instant) -> tuple[Output, ...]:
        """Get more time for it: the same."""

    def release(self, lease: Lease) -> tuple[Transmit, ...]:
        """Give it back."""

    def decline(self, lease: Lease) -> tuple[Transmit, ...]:
        """Say that somebody else uses it."""

    def receive(self, heard: Heard, now: Instant) -> tuple[Output, ...]:
        """Digest what was heard on the link."""

    def expire(self, now: Instant) -> tuple[Output, ...]:
        """Do what is due."""

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds; None: nothing is under way."""
