"""What the mobile node's pre-authentication returns, to be carried out in that order. Sans-IO.

`Failed` and `Ended` come after the `Remove` that they speak of.
Each output names its candidate network by realm. Keys are in `Install` alone, and do not show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from mpa_hil.authentication.service import KeyState
from mpa_hil.discovery.description import PointOfAttachment
from mpa_hil.eap.interface import Peer
from mpa_hil.mobility.interface import Endpoint
from mpa_hil.pana.interface import PacMachine

MakePac = Callable[[Endpoint], PacMachine]
"""A PANA client for the agent at that endpoint."""
MakePeer = Callable[[], Peer]
"""An EAP peer for one authentication."""


class Stage(Enum):
    """How far a preparation got."""

    AUTHENTICATING = "authenticating"
    INSTALLING = "installing keys"


class EndCause(Enum):
    """Why a preparation that had not failed is no more."""

    RELEASED = "released"
    """Nobody wants it any more."""
    HOLD_OVER = "hold over"
    """Kept for as long as was asked, and the node did not come."""
    NO_ROOM = "no room"
    """Better wanted networks need the places in the supplicant's key cache."""
    EXPIRED = "lifetime over"
    BY_AGENT = "ended by the agent"
    UNANSWERED = "agent silent"
    REFUSED = "renewal refused"


@dataclass(frozen=True, slots=True)
class Traffic:
    """What an authentication took on the wire, PANA messages as UDP payload."""

    messages_sent: int = 0
    octets_sent: int = 0
    messages_received: int = 0
    octets_received: int = 0
    round_trips: int = 0
    """How often something was sent and then something acceptable came back."""


@dataclass(frozen=True, slots=True)
class PointKey:
    """The key for one point of attachment."""

    point: PointOfAttachment
    pmkid: bytes
    pmk: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send this datagram from the network's own socket."""

    realm: str
    datagram: bytes = field(repr=False)
    destination: Endpoint


@dataclass(frozen=True, slots=True)
class Started:
    """An authentication begins, with this agent."""

    realm: str
    agent: Endpoint
    attempt: int
    """From 1."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The MPA-SA stands (T_auth of RFC 6252 C.5.3)."""

    realm: str
    method: str
    detail: str
    server: str
    """As the EAP method authenticated it."""
    traffic: Traffic
    duration_ns: int
    """From the first PANA message of this authentication, failed attempts before it included."""
    lifetime_s: int
    resumed: bool
    renewal: bool
    """It had one before; its keys are replaced."""


@dataclass(frozen=True, slots=True)
class Install:
    """Put these keys into the supplicant, then call `installed`."""

    realm: str
    keys: tuple[PointKey, ...]
    expires_ns: int
    """CLOCK_MONOTONIC; the end of the MPA-SA."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Take the keys for these points of attachment out of the supplicant."""

    realm: str
    points: tuple[PointOfAttachment, ...]


@dataclass(frozen=True, slots=True)
class PointReady:
    """What became of the key for one point of attachment, at both ends."""

    realm: str
    point: PointOfAttachment
    pmkid: bytes
    agent: KeyState
    """What the agent says of the access point."""
    supplicant: bool
    """The supplicant holds it."""
    detail: str = ""
    """Why it does not."""

    @property
    def ready(self) -> bool:
        """Only the 4-way handshake is left."""
        return self.supplicant and self.agent is KeyState.INSTALLED


@dataclass(frozen=True, slots=True)
class Prepared:
    """All keys are where they belong, or nothing more is waited for (T_conf of RFC 6252 C.5.3)."""

    realm: str
    ready: int
    """Points of attachment with the key at both ends."""
    wanted: int
    duration_ns: int
    """From `Authenticated`."""
    total_ns: int
    """From the first PANA message."""
    renewal: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """There will be no keys for this network; nothing of it is left."""

    realm: str
    stage: Stage
    reason: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """The node is at a point of attachment of this network; its agent is told."""

    realm: str
    bssid: str


@dataclass(frozen=True, slots=True)
class Serving:
    """The agent knows that the node has arrived (RFC 5873 s3)."""

    realm: str
    bssid: str
    duration_ns: int
    """From `Arrived`."""


@dataclass(frozen=True, slots=True)
class Left:
    """The node went away; the association is kept for a return (RFC 6252 C.1, C.2)."""

    realm: str
    until_ns: int
    """CLOCK_MONOTONIC."""


@dataclass(frozen=True, slots=True)
class Missed:
    """At a prepared point of attachment full EAP ran after all: its key was stale or gone."""

    realm: str
    bssid: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """Points of attachment left out or given up, so that the key cache does not overflow."""

    realm: str
    points: tuple[PointOfAttachment, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """A preparation is over, and not for a failure; keys that there were are removed."""

    realm: str
    cause: EndCause
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing more comes of this network: its socket may be closed."""

    realm: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A datagram was dropped without an answer."""

    realm: str
    reason: str
    source: Endpoint
    security: bool = False


Output = (
    Transmit
    | Started
    | Authenticated
    | Install
    | Remove
    | PointReady
    | Prepared
    | Failed
    | Arrived
    | Serving
    | Left
    | Missed
    | Dropped
    | Ended
    | Over
    | Ignored
)
Outputs = tuple[Output, ...]
