"""What the EAP machines return, and their verbs: the border to whatever carries EAP (sans-IO).

EAP here knows neither PANA nor RADIUS, and it has no clock: the lower layer retransmits and gives
up (RFC 3748 s4.3, RFC 5191 s9). No verb raises for what came from a network, and none blocks.

The mobile node's side, over one PANA session::

    method = EapTls(TlsSettings(...))  # once: has the TLS context and resumable sessions
    peer = EapPeer((method,), "mn@home.example", os.urandom)  # once for each authentication
    output = peer.receive(packet)  # for each EAP packet that PANA delivers

The authentication agent's side, one object for each session::

    relay = PassThrough(os.urandom)
    packet = relay.start()  # EAP-Request/Identity, to the peer
    relay.response(packet)  # -> ToAaa | Ignored
    relay.from_aaa(AaaReply.CHALLENGE, packet)  # -> ToPeer | Succeeded | Refused | Ignored
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from mpa_hil.light import light

Random = Callable[[int], bytes]
"""Gives so many unpredictable octets: `os.urandom`, or a seeded one in a test."""

MSK_OCTETS = 64
"""Of the MSK, and of the EMSK (RFC 3748 s7.10 asks for at least 64; every method here has 64)."""


class Cause(Enum):
    """Why a peer's authentication failed, for decisions; `Failure.reason` says it in words."""

    REJECTED = "rejected"
    """The server refused this peer (EAP-Failure, a TLS alert, GPSK-Fail)."""
    SERVER_UNTRUSTED = "server untrusted"
    """This peer refused the server: certificate, name, revocation, or proof of its key."""
    NO_METHOD = "no method"
    """No method that both sides may use."""
    PROTOCOL = "protocol"
    """The other side broke the method's rules, or somebody between broke its messages."""
    LIMIT = "limit"
    """A cap on octets or round trips was hit: an attack or a broken server."""
    LOWER_LAYER = "lower layer"
    """The lower layer gave up first (RFC 4137's altReject)."""


@dataclass(frozen=True, slots=True)
class Success:
    """The peer is authenticated, so is the server, and both have these keys."""

    method: str
    """EAP-TLS, EAP-TTLS or EAP-GPSK."""
    msk: bytes = field(repr=False)
    """64 octets."""
    emsk: bytes = field(repr=False)
    """64 octets; never leaves the node (RFC 3748 s7.10)."""
    session_id: bytes
    """EAP Session-Id (RFC 5247 s1.4): method type, then the method's own identifier. No secret."""
    peer_id: str
    """As the method authenticated it (RFC 5247 s1.4), not the identity of the first response."""
    server_id: str
    detail: str = ""
    """For the event log: protocol version, ciphersuite, whether a session was resumed."""
    resumed: bool = False
    """No certificate was checked by the server this time: an earlier TLS session went on."""


@dataclass(frozen=True, slots=True)
class Failure:
    """It ended without keys."""

    cause: Cause
    reason: str
    """For the event log, printable, no secrets."""


@dataclass(frozen=True, slots=True)
class EapOutput:
    """What one packet led to. All empty: nothing to send, wait on."""

    response: bytes | None = None
    """EAP packet to send. It may come along with a `Failure`: the alert that tells the server."""
    outcome: Success | Failure | None = None
    """Given once, with the packet that decides."""
    discarded: str = ""
    """Why the packet was dropped silently (RFC 3748 s4.2); empty when it was not."""
    notification: str = ""
    """Text from the server for a human (RFC 3748 s5.2), reduced to printable ASCII."""


class Peer(Protocol):
    """One authentication at the mobile node, from first packet to outcome: `peer.EapPeer`."""

    def receive(self, packet: bytes) -> EapOutput:
        """Digest an EAP packet (Request, Success or Failure) from the authenticator.

        A repeated request gets the same response again. Success counts only once the method has
        verified the server and has keys, Failure only where the method can end.
        """

    def lower_layer_accepted(self) -> EapOutput:
        """The lower layer knows of success though EAP-Success got lost (RFC 4137 altAccept).

        Changes nothing unless the method had finished well.
        """

    def lower_layer_rejected(self, reason: str) -> EapOutput:
        """The lower layer ends it: rejection, time-out, session gone (RFC 4137 altReject).

        To be called also when a rejection below carried an EAP-Failure that `receive` dropped,
        as it must where the method cannot end (RFC 3748 s4.2).
        """


class AaaReply(Enum):
    """What kind of message the AAA server sent: it decides, not the EAP packet inside."""

    CHALLENGE = "challenge"
    ACCEPT = "accept"
    REJECT = "reject"


@light
class ToPeer:
    """A request for the peer; the lower layer repeats it until it is answered."""

    packet: bytes


@light
class ToAaa:
    """A response for the AAA server."""

    packet: bytes
    identity: str
    """For User-Name, from EAP-Response/Identity: printable UTF-8, 1 to 253 octets."""


@light
class Succeeded:
    """The AAA server accepted the peer: EAP-Success to it, and the keys for the lower layer."""

    packet: bytes
    msk: bytes = field(repr=False)
    """64 octets."""


@dataclass(frozen=True, slots=True)
class Refused:
    """No access: EAP-Failure to the peer."""

    packet: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """Dropped silently; nothing changed."""

    reason: str


class Authenticator(Protocol):
    """One session at the pass-through authenticator: `authenticator.PassThrough(random)`."""

    identity: str
    """The peer's, empty until its EAP-Response/Identity came."""

    def start(self) -> bytes:
        """The EAP-Request/Identity to begin with. Called again, it begins anew."""

    def response(self, packet: bytes) -> ToAaa | Refused | Ignored:
        """Digest an EAP packet from the peer. Only the answer to the last request counts."""

    def from_aaa(
        self, reply: AaaReply, packet: bytes | None, msk: bytes | None = None
    ) -> ToPeer | Succeeded | Refused | Ignored:
        """Digest the AAA server's answer to the last `ToAaa`.

        Args:
            packet: the EAP packet that it carried, joined from its EAP-Message attributes.
            msk: with ACCEPT, what its keys (MS-MPPE-Recv-Key, then -Send-Key) amount to.
        """

    def unreachable(self) -> Refused:
        """No AAA server answered: what to tell the peer."""
