"""What the machines of Mobile IPv6 return beside the node's outputs of `mobility.interface`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address, IPv6Network

from mpa_hil.light import light
from mpa_hil.mobility.interface import Discarded, Endpoint
from mpa_hil.mobility.mip6.authentication import SecurityAssociation
from mpa_hil.mobility.mip6.messages import Packet


@light
class SendPacket:
    """Send this Mobility Header."""

    packet: Packet


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One mobile node that a home agent serves."""

    home_address: IPv6Address
    associations: tuple[SecurityAssociation, ...]
    """Any of them authenticates it."""
    maximum_lifetime_s: int | None = None
    care_of_networks: tuple[IPv6Network, ...] = ()
    """Where it may roam; empty: anywhere."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One entry of a binding cache (RFC 6275 s9.1)."""

    home_address: IPv6Address
    care_of: IPv6Address
    sequence: int
    lifetime_s: int
    """As granted."""
    expires_ns: int
    """Monotonic nanoseconds."""
    bid: int = 0
    """Binding identifier (RFC 5648), 0 without."""


class Removal(Enum):
    """Why a binding went."""

    DEREGISTERED = "deregistered"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    OVERWRITTEN = "overwritten"


@dataclass(frozen=True, slots=True)
class Check:
    """See whether somebody else on the home link has this address, and say so to `checked`."""

    home_address: IPv6Address


@dataclass(frozen=True, slots=True)
class Bound:
    """The bindings of a home address are these now; the primary one is the last.

    Attributes:
        before: what they were; empty: the node was at home.
        after: what they are; empty: it is at home again, or silent.
        reason: why one went, if one did.
    """

    home_address: IPv6Address
    before: tuple[Binding, ...]
    after: tuple[Binding, ...]
    reason: Removal | None = None

    @property
    def change(self) -> str:
        """In a word: added, changed, refreshed or removed."""
        if not self.before:
            return "added"
        if not self.after:
            return "removed"
        places = [[(b.bid, b.care_of) for b in bindings] for bindings in (self.before, self.after)]
        return "refreshed" if places[0] == places[1] else "changed"


@dataclass(frozen=True, slots=True)
class Refused:
    """An authentic update was refused, and nothing changed; the answer is sent beside this."""

    home_address: IPv6Address
    care_of: IPv6Address
    status: int
    why: str


CacheOutput = SendPacket | Check | Bound | Refused | Discarded
"""What home agent and correspondent return, in the order in which to carry it out."""


@dataclass(frozen=True, slots=True)
class Optimised:
    """The correspondent knows the care-of address: speak to it directly from there."""

    correspondent: IPv6Address
    care_of: IPv6Address
    lifetime_s: int


@dataclass(frozen=True, slots=True)
class Unoptimised:
    """Speak to the correspondent through the home agent, if that is not so already."""

    correspondent: IPv6Address
    reason: str


def usable(address: IPv6Address) -> bool:
    """Whether this is a unicast routable address (s6.1.7)."""
    return not (
        address.is_multicast
        or address.is_unspecified
        or address.is_loopback
        or address.is_link_local
        or address.ipv4_mapped is not None
    )


def endpoint(address: IPv6Address) -> Endpoint:
    """An address where an interface wants an endpoint: Mobility Headers have no ports."""
    return Endpoint(address, 0)
