"""Events of pre-authentication in the candidate network: the AA, and those that it gives keys to.

Keys appear by name, never by value.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from .base import Event

Session = Annotated[int, Meta(description="PANA session identifier", ge=0)]
Node = Annotated[str, Meta(description="identity of the MN; empty while not known")]
Name = Annotated[str, Meta(description="name of the key, 40 hexadecimal digits")]
Use = Annotated[Literal["MN_CA", "MN_AR", "PMK"], Meta(description="what the key is for")]
Reason = Annotated[str, Meta(description="why; empty when nothing went wrong")]


class AaReady(Event, frozen=True, kw_only=True, tag="aa.ready"):
    """The authentication agent listens."""

    realm: Annotated[str, Meta(description="of the network that it serves")]
    addresses: Annotated[tuple[str, ...], Meta(description="its own")]
    port: Annotated[int, Meta(description="UDP port of PANA", ge=0, le=65535)] = 716
    restored: Annotated[int, Meta(description="MPA-SAs taken over from before", ge=0)] = 0
    dropped: Annotated[int, Meta(description="MPA-SAs from before that were over", ge=0)] = 0


class AaStarted(Event, frozen=True, kw_only=True, tag="aa.started"):
    """An MN proved its address and is asked for its identity: an authentication begins."""

    session: Session
    source: Annotated[str, Meta(description="address and port of the MN")]
    preauthentication: Annotated[bool, Meta(description="E bit (RFC 5873)")] = False
    reauthentication: Annotated[bool, Meta(description="renews a session")] = False


class AaAuthenticated(Event, frozen=True, kw_only=True, tag="aa.authenticated"):
    """An MPA-SA stands: both sides proved to hold its keys."""

    session: Session
    key_id: Annotated[int, Meta(description="of the MSK within the session", ge=0)]
    mobile_node: Node
    source: Annotated[str, Meta(description="address and port of the MN")]
    lifetime_s: Annotated[int, Meta(description="of the MPA-SA, s", ge=0)]
    duration_ms: Annotated[float, Meta(description="since `aa.started`, ms", ge=0)]
    aaa_round_trips: Annotated[int, Meta(description="exchanges with the AAA server", ge=0)] = 0
    aaa_ms: Annotated[float, Meta(description="of the duration, waiting for AAA, ms", ge=0)] = 0.0


class AaRefused(Event, frozen=True, kw_only=True, tag="aa.refused"):
    """An authentication failed; nothing is installed anywhere."""

    session: Session
    mobile_node: Node = ""
    source: Annotated[str, Meta(description="address and port of the MN")] = ""
    decider: Annotated[str, Meta(description="who refused: server, client, agent, peer, nobody")]
    reason: Reason = ""


class AaState(Event, frozen=True, kw_only=True, tag="aa.state"):
    """The authorisation of an MPA-SA changed (RFC 6252 C.2)."""

    session: Session
    mobile_node: Node = ""
    state: Annotated[
        Literal["held", "authorised", "gone"], Meta(description="what it is from now on")
    ]
    cause: Annotated[str, Meta(description="what changed it")]


class AaAddress(Event, frozen=True, kw_only=True, tag="aa.address"):
    """An MN proved a new address under its MPA-SA."""

    session: Session
    mobile_node: Node = ""
    address: Annotated[str, Meta(description="the new one, with port")]
    previous: Annotated[str, Meta(description="the one before")]


class AaKey(Event, frozen=True, kw_only=True, tag="aa.key"):
    """A recipient confirmed that it holds a key or holds it no more, or declined it."""

    recipient: Annotated[str, Meta(description="name in the recipient's certificate")]
    key: Name
    change: Annotated[
        Literal["installed", "declined", "withdrawn"], Meta(description="what it says")
    ]
    reason: Reason = ""


class AaPrepared(Event, frozen=True, kw_only=True, tag="aa.prepared"):
    """An MN's request for keys in points of attachment was answered."""

    session: Session
    mobile_node: Node = ""
    station: Annotated[str, Meta(description="MAC address that it will associate with")]
    installed: Annotated[int, Meta(description="PoAs that hold its PMK", ge=0)]
    asked: Annotated[int, Meta(description="PoAs that it asked for", ge=0)]
    duration_ms: Annotated[float, Meta(description="from question to answer, ms", ge=0)]


class AaRecipient(Event, frozen=True, kw_only=True, tag="aa.recipient"):
    """The connection to a recipient of keys came up, with an inventory, or broke."""

    recipient: Annotated[str, Meta(description="name in its certificate")]
    up: Annotated[bool, Meta(description="keys can be delivered")]
    held: Annotated[int, Meta(description="keys in its inventory", ge=0)] = 0
    reason: Reason = ""


class AaServer(Event, frozen=True, kw_only=True, tag="aa.server"):
    """A AAA server answers no more, or again."""

    server: Annotated[str, Meta(description="its name")]
    up: Annotated[bool, Meta(description="it answers")]
    reason: Reason = ""


class AaDiscarded(Event, frozen=True, kw_only=True, tag="aa.discarded"):
    """Datagrams that were dropped without an answer; at most one event a second and reason."""

    reason: Annotated[str, Meta(description="why")]
    source: Annotated[str, Meta(description="where the first of them came from")]
    count: Annotated[int, Meta(description="how many since the last event", ge=1)] = 1
    security: Annotated[bool, Meta(description="forged, replayed or tampered with")] = False


class AaDeviceKey(Event, frozen=True, kw_only=True, tag="aa.device_key"):
    """An access point asked for a station's key by RADIUS."""

    access_point: Annotated[str, Meta(description="who asked")]
    station: Annotated[str, Meta(description="MAC address of the station")]
    bssid: Annotated[str, Meta(description="where the station wants to associate")] = ""
    given: Annotated[bool, Meta(description="it got the key")]
    reason: Reason = ""


class AaStore(Event, frozen=True, kw_only=True, tag="aa.store"):
    """The file of MPA-SAs could not be used as it should."""

    reason: Reason


class SessionEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One MPA-SA, as `aa.sessions` lists it."""

    session: int
    mobile_node: str
    state: str
    address: str
    station: str
    left_s: float
    keys: dict[str, bool]


class AaSessions(Event, frozen=True, kw_only=True, tag="aa.sessions"):
    """Answer to the command `sessions`."""

    half_open: Annotated[int, Meta(description="authentications under way", ge=0)]
    established: Annotated[int, Meta(description="MPA-SAs in all", ge=0)]
    sessions: Annotated[
        tuple[SessionEntry, ...], Meta(description="MPA-SAs, their keys by name: confirmed or not")
    ]


class KeysReady(Event, frozen=True, kw_only=True, tag="keys.ready"):
    """A recipient of keys listens for its authentication agent."""

    role: Annotated[Literal["ca", "ar", "ep"], Meta(description="what it takes keys for")]
    name: Annotated[str, Meta(description="in its certificate")]
    port: Annotated[int, Meta(description="TCP port of key delivery", ge=0, le=65535)]


class KeysAuthority(Event, frozen=True, kw_only=True, tag="keys.authority"):
    """The authentication agent connected or went, or somebody else was sent away."""

    up: Annotated[bool, Meta(description="it is connected")]
    reason: Reason = ""


class KeysHeld(Event, frozen=True, kw_only=True, tag="keys.held"):
    """A key is held, and in use."""

    key: Name
    usage: Use
    mobile_node: Node
    session: Session
    lifetime_s: Annotated[float, Meta(description="left, s", ge=0)]
    peer: Annotated[str, Meta(description="BSSID or address that it is bound to")]
    station: Annotated[str, Meta(description="MAC address of the MN, for a PMK")] = ""


class KeysReleased(Event, frozen=True, kw_only=True, tag="keys.released"):
    """A key is held no more, and out of use."""

    key: Name
    usage: Use
    mobile_node: Node
    cause: Annotated[Literal["withdrawn", "expired", "stopped"], Meta(description="what ended it")]
    reason: Reason = ""


class KeysRefused(Event, frozen=True, kw_only=True, tag="keys.refused"):
    """A key was declined."""

    key: Name
    mobile_node: Node
    reason: Reason


class KeyEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One key, as `keys.list` lists it."""

    key: str
    usage: str
    mobile_node: str
    session: int
    left_s: float
    peer: str
    station: str


class KeysList(Event, frozen=True, kw_only=True, tag="keys.list"):
    """Answer to the command `keys`."""

    keys: Annotated[tuple[KeyEntry, ...], Meta(description="what is held, by name")]


class EpAccessPoint(Event, frozen=True, kw_only=True, tag="ep.access_point"):
    """The access point's daemon answers, or does not."""

    bssid: Annotated[str, Meta(description="of the access point")]
    up: Annotated[bool, Meta(description="it answers")]
    reinstalled: Annotated[int, Meta(description="keys put back into it", ge=0)] = 0
    reason: Reason = ""


class EpStation(Event, frozen=True, kw_only=True, tag="ep.station"):
    """A station whose key is held here was connected, or went."""

    bssid: Annotated[str, Meta(description="of the access point")]
    station: Annotated[str, Meta(description="its MAC address")]
    mobile_node: Node
    present: Annotated[bool, Meta(description="it is connected")]
