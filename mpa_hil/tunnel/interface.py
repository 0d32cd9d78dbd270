"""What the tunnel protocol's two machines take and return. Sans-IO.

The mobile node's owner needs this file only: it makes a `node.TunnelClient`, asks with a
`TunnelWish`, sets up its end of the tunnel from the `TunnelTerms`, and fires the datagrams of a
`PreparedSwitch` when it moves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from mpa_hil.light import light
from mpa_hil.mobility.interface import Address, Discarded, Send
from mpa_hil.tunnel.flows import FlowChoice

TUNNEL_PORT = 7165
"""UDP, at the access router's address."""
MAX_INNER = 4
"""Inner addresses of one session: a care-of address of each family, and a spare of each."""


class Kind(IntEnum):
    """What is asked for; stands in the messages."""

    CREATE = 1
    """Make the tunnel for these inner addresses; proxy for them on the link (R20, R55, R59)."""
    REFRESH = 2
    """Go on for another life, perhaps from another outer address."""
    DISABLE = 3
    """Hold packets for the inner addresses from now on: the MN is about to leave its old PoA (R61,
    R23)."""
    ENABLE = 4
    """The switch failed, the MN is where it was: send what was held through the tunnel (R61)."""
    ARRIVED = 5
    """The MN is on the link: release what was held straight onto it, stop proxying (R61, R62)."""
    DELETE = 6
    """The tunnel goes, at once."""
    DETAIN = 7
    """To the *old* router: prepare to hold what comes for the MN's present address there, and to
    forward it to the new one after `ENABLE`, sent from there (R73)."""


class Protect(IntEnum):
    """How the tunnel's packets are protected."""

    PLAIN = 0
    ESP = 1
    """ESP in transport mode around IP-in-IP, AES-GCM-128 with keys from the MN-AR key (R17)."""
    WIREGUARD = 2
    """WireGuard with a preshared key from the MN-AR key (R17)."""


class Code(IntEnum):
    """Why a request was refused; stands in the messages."""

    MALFORMED = 1
    UNSUPPORTED = 2
    """This router has no such protection, address family or extra."""
    NOT_YOURS = 3
    """The inner address is not one that this MN may have here, or another MN's."""
    ADDRESS_IN_USE = 4
    """Duplicate address detection on the link found somebody with it (R96)."""
    QUOTA = 5
    """This MN, or this router, has as many sessions as it may."""
    NO_SESSION = 6
    """Nothing was created under this key, or it is over."""
    WRONG_STATE = 7
    """The request has no meaning now, such as to enable what was deleted."""
    KERNEL = 8
    """The router's kernel refused."""


@light
class TunnelWish:
    """What an MN asks for.

    Raises:
        LocalError: when it is sent, for a value that does not fit into its field.
    """

    outer: Address
    """Where the MN is now: the outer address of its end (the oCoA)."""
    inner: tuple[Address, ...]
    """The addresses to be reached inside (the nCoA; one of each family at most)."""
    mac: bytes
    """Six octets: of the interface that will be on the new link."""
    protect: Protect = Protect.PLAIN
    life_s: int = 120
    """The session is over after that, unless it is refreshed; the machine sees to that."""
    hold_ms: int = 2000
    """Nothing is held for longer."""
    hold_octets: int = 1 << 20
    hold_packets: int = 2048
    bicast: bool = False
    """Packets go both through the tunnel and onto the link, and nothing is held (R74)."""
    advertise: bool = True
    """Send a router advertisement into the tunnel once it stands (R63, R68)."""
    public: bytes = b""
    """WireGuard only: the MN's public key."""
    port: int = 0
    """WireGuard only: the MN's UDP port."""
    flows: tuple[FlowChoice, ...] = ()
    """Flows that do not wait while the MN switches, or that alone do: the first that fits (R2)."""


@light
class EspKeys:
    """Of one session: each direction with its SPI and its 20 octets (AES-128 key and salt)."""

    to_router_spi: int
    to_node_spi: int
    to_router: bytes = field(repr=False)
    to_node: bytes = field(repr=False)


@light
class WireGuardKeys:
    """Of one session."""

    peer_public: bytes
    """The router's public key, to the MN; the MN's, to the router."""
    peer_port: int
    preshared: bytes = field(repr=False)


Keys = EspKeys | WireGuardKeys | None


@light
class TunnelTerms:
    """What the router granted."""

    outer: Address
    """The MN's end."""
    router: Address
    """The router's end: the outer address there."""
    inner: tuple[Address, ...]
    life_s: int
    hold_ms: int
    hold_octets: int
    hold_packets: int
    bicast: bool
    mtu: int
    """Of the tunnel's device at the router."""
    router_mac: bytes
    """Of the router on its link, so that the MN need not ask for it (R100)."""
    keys: Keys = None


# Outputs of `node.TunnelClient`, beside Send and Discarded


@dataclass(frozen=True, slots=True)
class Created:
    """The router's end stands; also when it had lost the session and was asked anew."""

    terms: TunnelTerms


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The session goes on; `terms.outer` may be new."""

    terms: TunnelTerms


@dataclass(frozen=True, slots=True)
class Deleted:
    """The router has no session of this key any more."""


@dataclass(frozen=True, slots=True)
class Detained:
    """The old router is ready to hold what comes for us (R73)."""

    terms: TunnelTerms


@dataclass(frozen=True, slots=True)
class Done:
    """DISABLE, ENABLE or ARRIVED, asked for as an ordinary request, was carried out."""

    kind: Kind
    drained: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The router said no, and asking the same again will not help."""

    kind: Kind
    code: Code
    text: str


@dataclass(frozen=True, slots=True)
class GaveUp:
    """No answer within all attempts. After REFRESH: the session may be over."""

    kind: Kind
    attempts: int


NodeOutput = Send | Created | Refreshed | Deleted | Detained | Done | Refused | GaveUp | Discarded


# The switch itself


@light
class PreparedSwitch:
    """The datagrams of one switch, made before it. Each may be sent any number of times.

    They are good until the client asks for something else (a refresh): see
    `TunnelClient.prepare_switch`.
    """

    disable: bytes = field(repr=False)
    """Step 4, from the oCoA."""
    leave: bytes = field(repr=False)
    """The end of the uplink: through the PHT, from the nCoA, as the last packet there. It is not
    answered; the answer to `arrived` says whether it came."""
    arrived: bytes = field(repr=False)
    """Step 6, from the nCoA straight onto the link, until it is acknowledged."""
    enable: bytes = field(repr=False)
    """The way back: from the oCoA, when the switch failed."""
    delete: bytes = field(repr=False)
    """At the end."""


@light
class Ack:
    """The router's answer to a prepared datagram."""

    done: bool
    code: Code | None = None
    """Why not, when it was not done."""
    stale: bool = False
    """The router has restarted: prepare the switch anew and send again."""
    drained: bool = False
    """To `arrived`: all that went up through the tunnel has come (or the router's patience ended),
    so the MN may let its uplink go. The router answers once more when that is so."""
