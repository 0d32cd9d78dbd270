"""What a home agent knows: whom it serves, where they are, and what its verbs return."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network

from mpa_hil.mobility.interface import Discarded, Endpoint, Send
from mpa_hil.mobility.mip4.authentication import SecurityAssociation


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One mobile node that the home agent serves (RFC 5944 s3.8.1)."""

    home_address: IPv4Address
    associations: tuple[SecurityAssociation, ...]
    """Any of them authenticates it; the first signs denials of unknown SPIs (s3.8.2.1a)."""
    maximum_lifetime_s: int | None = None
    """Overrides the home agent's own limit."""
    care_of_networks: tuple[IPv4Network, ...] = ()
    """Where it may roam; empty: anywhere. Elsewhere code 129 (s3.8.2.3)."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One entry of the mobility binding list (s3.8.1)."""

    home_address: IPv4Address
    care_of: IPv4Address
    identification: int
    lifetime_s: int
    """As granted; 65535: without end."""
    expires_ns: int | None
    """Monotonic nanoseconds, or None for a binding without end."""
    reverse_tunnel: bool
    registered_from: Endpoint
    spi: int
    """The association that vouches for it."""


class Removal(Enum):
    """Why a binding went."""

    DEREGISTERED = "deregistered"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class BindingAdded:
    """The node was at home, now it is away: capture its address and tunnel (s4.6)."""

    binding: Binding


@dataclass(frozen=True, slots=True)
class BindingChanged:
    """The node is away somewhere else: move the tunnel's end."""

    old: Binding
    binding: Binding
    others: tuple[IPv4Address, ...] = ()
    """Where copies go from the first packet on."""


@dataclass(frozen=True, slots=True)
class BindingRefreshed:
    """The same care-of address for longer: nothing changes in the kernel."""

    binding: Binding


@dataclass(frozen=True, slots=True)
class BindingRemoved:
    """The node is at home again, or silent: stop capturing its address."""

    binding: Binding
    reason: Removal


@dataclass(frozen=True, slots=True)
class Refused:
    """A registration was denied, and nothing changed; the reply is sent beside this."""

    home_address: IPv4Address
    care_of: IPv4Address
    code: int
    meaning: str
    why: str
    """What exactly was wrong, for the log; the reply carries the code only."""
    source: Endpoint


@dataclass(frozen=True, slots=True)
class CopiesChanged:
    """What goes to the node's binding goes, copied, to these care-of addresses too (S bit)."""

    home_address: IPv4Address
    care_of: IPv4Address
    others: tuple[IPv4Address, ...]


HomeOutput = (
    Send
    | CopiesChanged
    | BindingAdded
    | BindingChanged
    | BindingRefreshed
    | BindingRemoved
    | Refused
    | Discarded
)
"""What the home agent machine returns, in the order in which to carry it out."""
