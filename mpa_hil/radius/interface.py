"""The border of the RADIUS client machine (sans-IO): what goes in, what comes out.

    client = RadiusClient(settings, random)            # mpa_hil.radius.client
    client.request(token, Ask(...), now)  ->  Transmit ...
    client.receive(packet, lane, now)     ->  Accepted | Challenged | Refused | Discarded ...
    client.expire(now)                    ->  Transmit ... | Unreachable

`mpa_hil.radius.transport.RadiusPorts` carries out every `Transmit` and feeds `receive` (UDP, or
RADIUS over TLS), so its owner sees only the other outputs. Each `request` ends in exactly one of
`Accepted`, `Challenged`, `Refused` and `Unreachable` with its token, unless `forget` comes first.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NamedTuple, Protocol

from mpa_hil.light import light
from mpa_hil.mobility.interface import Address, Discarded, Endpoint, Instant

__all__ = [
    "Accepted",
    "Ask",
    "Challenged",
    "ClientSettings",
    "Continuation",
    "Decider",
    "Discarded",
    "Endpoint",
    "Instant",
    "Lane",
    "Outcome",
    "Output",
    "RadiusClientMachine",
    "Refused",
    "Server",
    "ServerDown",
    "ServerUp",
    "Termination",
    "Transmit",
    "Transport",
    "Tuning",
    "Unreachable",
]


class Transport(Enum):
    """How packets reach a server."""

    UDP = "udp"
    """RFC 2865: datagrams, retransmitted by the client."""
    TLS = "tls"
    """RFC 6614 (RadSec): a stream, reliable by itself; never retransmitted on one connection."""


@dataclass(frozen=True, slots=True)
class Server:
    """One RADIUS server of the list, which is in the order of preference."""

    name: str
    endpoint: Endpoint
    secret: bytes = field(repr=False)
    """Shared secret; over TLS it is `radsec` (RFC 6614 s2.3)."""
    transport: Transport = Transport.UDP
    status_server: bool = False
    """While it is dead, probe it with Status-Server (RFC 5997), not with a user's request."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """Timers and caps. Back-off is RFC 5080 s2.2.1; its values are for a NAS with one server, so
    the defaults here give up on a server sooner and turn to the next."""

    first_timeout_s: float = 1.0
    """Until the first retransmission (IRT; RFC 5080 has 2 s); doubles from there, each time
    jittered by up to a tenth."""
    longest_timeout_s: float = 8.0
    """Cap of one interval (MRT; RFC 5080 has 16 s)."""
    attempts_per_server: int = 3
    """Transmissions to one server before the next one is asked."""
    duration_s: float = 30.0
    """In all, whatever is left to try (MRD of RFC 5080)."""
    dead_time_s: float = 30.0
    """How long a dead server is left alone; then one request, or a probe, tries it again."""
    probe_interval_s: float = 5.0
    """Between Status-Server probes of a dead server that answers them."""
    max_outstanding: int = 4096
    """Requests waiting for an answer, over all servers; more are refused at once. Bounds memory
    (about 2 KB each) and the sockets: one for each 256 requests to a server (RFC 2865 s2.5)."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Who asks whom."""

    servers: tuple[Server, ...]
    nas_identifier: str
    """Names this authentication agent (RFC 2865 s5.32)."""
    nas_addresses: tuple[Address, ...] = ()
    """Its addresses as servers may know it: at most one of each family."""
    nas_port_type: int | None = 5
    """Virtual: the user comes over a network, not through a port of ours (RFC 2865 s5.41)."""
    framed_mtu: int | None = 1400
    """Largest EAP packet that the way to the peer takes; the server fragments by it
    (RFC 3579 s2.4). 1500 less IP, UDP and PANA headers."""
    tuning: Tuning = Tuning()


@light
class Continuation:
    """Where an EAP conversation stands at the server: give it back with the peer's response."""

    server: int
    """Index of the server that holds it."""
    state: bytes | None
    """Its State (RFC 2865 s5.24), to be returned unchanged."""


@light
class Ask:
    """One Access-Request."""

    eap: bytes
    """The peer's EAP response, whole; split into EAP-Message attributes here."""
    identity: bytes
    """From the EAP-Response/Identity, in every request of a conversation (RFC 3579 s2.1)."""
    continuation: Continuation | None = None
    """From the `Challenged` that is answered; None starts a conversation."""
    called_station_id: str | None = None
    """E.g. the candidate target network (RFC 3580 s3.20)."""
    calling_station_id: str | None = None
    """The mobile node: its MAC address, `02-00-00-00-00-01`, or its IP address."""


class Lane(NamedTuple):
    """One source port towards one server (or one TLS connection): 256 identifiers."""

    server: int
    number: int


@light
class Transmit:
    """Send this packet to the lane's server. A lane is opened by its first packet."""

    lane: Lane
    packet: bytes = field(repr=False)


class Termination(IntEnum):
    """Termination-Action (RFC 2865 s5.29): what to do when Session-Timeout is over."""

    DEFAULT = 0
    """End the session."""
    RADIUS_REQUEST = 1
    """Authenticate again, and keep the session meanwhile (RFC 3580 s3.17)."""


@light
class Accepted:
    """The server let the user in: EAP-Success and both keys were there and whole."""

    token: Hashable
    eap: bytes
    """EAP-Success, for the peer."""
    msk: bytes = field(repr=False)
    """64 octets: MS-MPPE-Recv-Key, then MS-MPPE-Send-Key (RFC 5216 s2.3, RFC 3748 s7.10)."""
    session_timeout_s: int | None
    """Longest that the session may last (RFC 2865 s5.27); None: not limited."""
    termination: Termination
    classes: tuple[bytes, ...]
    """Class attributes, unchanged (RFC 2865 s5.25)."""
    user_name: bytes | None
    """The name that the server wants the session to have (RFC 2865 s5.1)."""
    reply_message: str
    server: str
    """Name of the server that answered."""
    round_trip_ns: int
    """From the first transmission to the answer."""
    attempts: int
    """Transmissions until the answer came, the answered one included."""


@light
class Challenged:
    """The conversation goes on."""

    token: Hashable
    eap: bytes
    """EAP-Request, for the peer."""
    continuation: Continuation
    """For the `Ask` with the peer's response."""
    patience_s: int | None
    """How long the peer may take (Session-Timeout in a challenge, RFC 3579 s2.2 and s3.3)."""
    reply_message: str
    server: str
    round_trip_ns: int
    attempts: int


class Decider(Enum):
    """Who said no."""

    SERVER = "server"
    """Access-Reject."""
    CLIENT = "client"
    """The server's answer was authentic, but must not be acted on; `reason` says why."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The user is not let in. The conversation is over."""

    token: Hashable
    eap: bytes | None
    """EAP-Failure, for the peer; None: the answer had none, make one."""
    reason: str
    decider: Decider
    reply_message: str
    error_cause: int | None
    """Error-Cause (RFC 5176 s3.5), where the server sent one."""
    server: str
    moved: bool
    """The server is not the one that the conversation began with, which died: a conversation
    begun anew may fare better."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No server answered, or there was no room to ask."""

    token: Hashable
    reason: str


@dataclass(frozen=True, slots=True)
class ServerDown:
    """A server answers no more; requests go to the others."""

    server: str
    reason: str


@dataclass(frozen=True, slots=True)
class ServerUp:
    """It answers again."""

    server: str


Outcome = Accepted | Challenged | Refused | Unreachable
Output = Transmit | Outcome | ServerDown | ServerUp | Discarded
"""What the machine returns, in the order in which to carry it out."""


class RadiusClientMachine(Protocol):
    """No verb blocks, reads a clock or raises for what came from the network."""

    def request(self, token: Hashable, ask: Ask, now: Instant) -> tuple[Output, ...]:
        """Ask the first server that lives, or the one that the conversation is with.

        Args:
            token: the asker's name for it, given back in the outcome; a second request with the
                token of one that waits replaces that.
        """

    def receive(self, packet: bytes, lane: Lane, now: Instant) -> tuple[Output, ...]:
        """Digest what came in on a lane."""

    def lane_lost(self, lane: Lane, reason: str, now: Instant) -> tuple[Output, ...]:
        """A lane's connection broke or could not be made (TLS): its requests go elsewhere."""

    def forget(self, token: Hashable) -> None:
        """Nobody waits for it any more; harmless when there is no such request."""

    def expire(self, now: Instant) -> tuple[Output, ...]:
        """Do what is due; harmless at other times."""

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next thing to do, or None while there is nothing."""
