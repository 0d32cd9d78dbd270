"""What a mobile node asks a configuration agent for, and what comes of it. Sans-IO."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from ipaddress import (
    IPv4Interface,
    IPv4Network,
    IPv6Interface,
    IPv6Network,
)

from mpa_hil.errors import LocalError
from mpa_hil.light import light
from mpa_hil.mobility.interface import Address, Send

CONFIGURATION_PORT = 7164
"""UDP, at the configuration agent's address."""

Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network


class Method(IntEnum):
    """How the address is to be had (RFC 6252 s7.3.1)."""

    DHCPV4 = 1
    """A lease of the network's DHCP server (RFC 2131)."""
    DHCPV6 = 2
    """A non-temporary address of its DHCPv6 server (RFC 8415); stateful."""
    STATELESS = 3
    """Its router's advertisement, from which the MN makes the address (RFC 4862)."""
    IPV6 = 4
    """What the router's advertisement says: stateful if its M flag is set, else stateless."""


class Code(IntEnum):
    """Why a request was refused."""

    POOL_EXHAUSTED = 1
    """The server has no address left."""
    NO_SERVER = 2
    """No server, or no router, answers on the candidate network's link."""
    QUOTA = 3
    """This MN has, or asks for, too much."""
    IN_USE_BY_ANOTHER = 4
    """Client identifier or MAC address are those of another MN."""
    LEASE_LOST = 5
    """There is no lease (any more): it ran out, was taken back, or never was."""
    SERVER_REFUSED = 6
    """The server said no, and not for lack of addresses."""
    UNSUPPORTED = 7
    """This agent does not do that method."""
    MALFORMED = 8
    """The request is none of the protocol's."""
    BUSY = 9
    """Too many exchanges are under way: ask again later."""
    NO_ROUTER = 10
    """There are addresses, but the default router does not answer on the link, or there is none."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the MN wants.

    Raises:
        LocalError: a MAC address or identifier of a length that cannot be.
    """

    method: Method
    mac: bytes
    """Of the interface that will join the candidate network; 6 octets."""
    client_id: bytes
    """What the MN's own DHCP client will say after the move, so the server keeps one binding (R51):
    option 61 of DHCPv4 (`ethernet_client_id`), or the DUID of DHCPv6 (`duid_ll`). Unused by
    STATELESS."""
    iaid: int | None = None
    """Of DHCPv6 (RFC 8415 s12); as with the identifier, the MN's own client's. None: the last four
    octets of the MAC address, as dhcpcd has it."""
    hostname: str = ""
    wanted: Address | None = None
    """The address that it would like best, say from an earlier visit."""
    decline: Address | None = None
    """An address got before that was found in use on the link: not this one (RFC 2131 s4.4.4)."""

    def __post_init__(self) -> None:
        if len(self.mac) != 6 or not len(self.client_id) <= 128:
            raise LocalError("a MAC address has 6 octets, a client identifier at most 128")
        if self.method in (Method.DHCPV4, Method.DHCPV6, Method.IPV6) and len(self.client_id) < 2:
            raise LocalError("a client identifier has at least 2 octets (RFC 2132 s9.14)")
        if not 0 <= self.association < 1 << 32 or len(self.hostname.encode()) > 63:
            raise LocalError("an IAID has 32 bits, a host name at most 63 octets")

    @property
    def association(self) -> int:
        """The IAID."""
        return int.from_bytes(self.mac[-4:], "big") if self.iaid is None else self.iaid


def ethernet_client_id(mac: bytes) -> bytes:
    """Option 61 as dhcpcd and most others send it: hardware type 1 and the address."""
    return b"\1" + mac


def duid_ll(mac: bytes) -> bytes:
    """DUID based on the link-layer address (RFC 8415 s11.4)."""
    return b"\0\3\0\1" + mac


@dataclass(frozen=True, slots=True)
class Configuration:
    """All that the MN needs to be on the candidate network's link."""

    address: Interface
    """The nCoA with the prefix length of the link."""
    router: Address
    router_mac: bytes
    """6 octets, for the neighbour entry (RFC 6252 B); empty: it could not be resolved."""
    dns: tuple[Address, ...]
    lease_s: float
    """Left of the lease, from when the answer came in; infinite leases are `math.inf`."""
    keep_s: float
    """How long the agent keeps it without another word of the MN."""
    link_prefixes: tuple[Network, ...]
    """On-link prefixes; after the move the MN compares them with what it sees there (R54)."""
    server: Address | None = None
    """The DHCP server, None for stateless addresses."""
    ra: bytes = field(default=b"", repr=False)
    """The router advertisement as it was on the link (ICMPv6, from its type on); IPv6 only."""


@light
class Configured:
    """The nCoA is the MN's."""

    configuration: Configuration
    renewal: bool
    """The same address as before, for longer."""
    round_trip_ns: int
    """From the first request to the answer, the DHCP exchange included."""
    attempts: int


@light
class Refused:
    """The agent said no. What was had before the request is unaffected, unless LEASE_LOST."""

    code: Code
    text: str
    """For people."""


@light
class Lost:
    """The nCoA is not the MN's any longer: it may be given to another."""

    address: Address
    reason: str


class Ending(Enum):
    """How the MN and the agent part."""

    RELEASED = "released"
    """The lease was given back."""
    TAKEN_OVER = "taken over"
    """The MN is on the link and sees to the lease itself (R50)."""


@light
class Ended:
    """The agent has nothing more to do with the address."""

    address: Address | None
    """None: none was held."""
    ending: Ending
    confirmed: bool
    """False: the agent did not answer; its own time limit will do it."""


@light
class GaveUp:
    """No answer. A lease may have been taken: it ends by its agent's time limit."""

    attempts: int


Output = Send | Configured | Refused | Lost | Ended | GaveUp
