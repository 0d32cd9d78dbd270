"""What the authentication agent's machine asks its owner to do, and what it reports. Sans-IO."""

from __future__ import annotations

from dataclasses import dataclass, field

from mpa_hil.authentication.states import Cue, State
from mpa_hil.light import light
from mpa_hil.mobility.interface import Discarded, Endpoint, Send
from mpa_hil.radius.interface import Ask


@light
class SendAnswer:
    """Send this from the service port."""

    datagram: bytes = field(repr=False)
    destination: Endpoint


@light
class AskAaa:
    """Give this to the RADIUS client; its outcome comes back with `aaa_answered`."""

    session_id: int
    ask: Ask


@dataclass(frozen=True, slots=True)
class ForgetAaa:
    """Nobody waits for this any more."""

    session_id: int


@light
class ToRecipient:
    """Write these octets to the connection with a recipient of keys."""

    recipient: str
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CloseRecipient:
    """Give the connection up; another follows."""

    recipient: str
    reason: str


@light
class Started:
    """An authentication begins."""

    session_id: int
    source: Endpoint
    preauthentication: bool
    reauthentication: bool


@light
class Authenticated:
    """An MPA-SA stands, or was renewed."""

    session_id: int
    key_id: int
    mobile_node: str
    source: Endpoint
    lifetime_s: int
    duration_ns: int
    aaa_round_trips: int
    aaa_ns: int


@dataclass(frozen=True, slots=True)
class Denied:
    """An authentication failed."""

    session_id: int
    mobile_node: str
    source: Endpoint
    decider: str
    """server, client (ours, of AAA), agent, peer, nobody."""
    reason: str


@light
class StateChanged:
    """See `states`."""

    session_id: int
    mobile_node: str
    state: State
    cue: Cue
    detail: str


@dataclass(frozen=True, slots=True)
class Moved:
    """An MN proved a new address (R116)."""

    session_id: int
    mobile_node: str
    address: Endpoint
    previous: Endpoint


@light
class KeyChanged:
    """A recipient answered about a key."""

    recipient: str
    name: bytes
    change: str
    """installed, declined, withdrawn."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RecipientReady:
    """A recipient's inventory is known."""

    recipient: str
    held: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """An MN's `Prepare` was answered."""

    session_id: int
    mobile_node: str
    station: str
    installed: int
    asked: int
    duration_ns: int


AgentOutput = (
    Send
    | SendAnswer
    | AskAaa
    | ForgetAaa
    | ToRecipient
    | CloseRecipient
    | Started
    | Authenticated
    | Denied
    | StateChanged
    | Moved
    | KeyChanged
    | RecipientReady
    | Prepared
    | Discarded
)
"""In the order in which to carry them out."""
