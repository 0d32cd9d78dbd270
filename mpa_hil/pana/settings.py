"""What a deployment of PANA may tune, with the RFC's figures as defaults; sans-IO.

Farther-reaching departures from RFC 5191 are not settable; those there are stand in docs/pana.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from mpa_hil.mobility.interface import Endpoint, Instant

from .association import Suite
from .numbers import Encryption, Integrity, Prf

STRONG = Suite(Prf.HMAC_SHA2_256, Integrity.HMAC_SHA2_256_128)
MANDATORY = Suite(Prf.HMAC_SHA1, Integrity.HMAC_SHA1_160)
"""What every implementation has (RFC 5191 s8.3, s8.6)."""


@dataclass(frozen=True, slots=True)
class Retransmission:
    """One row of RFC 5191 s9.1; zero means without limit."""

    initial_s: float
    """IRT: the first wait. With `adaptive`, only until a round trip has been measured."""
    maximum_s: float
    """MRT: the longest wait."""
    attempts: int
    """MRC: transmissions until the exchange counts as failed."""
    duration_s: float
    """MRD: how long the exchange may take."""


PCI_RETRANSMISSION = Retransmission(initial_s=1, maximum_s=120, attempts=0, duration_s=0)
REQUEST_RETRANSMISSION = Retransmission(initial_s=1, maximum_s=30, attempts=10, duration_s=0)


@dataclass(frozen=True, slots=True)
class Timing:
    """Timers of one side. RFC 5191 s5.2 lets a deployment choose its own retransmission timers."""

    pci: Retransmission = PCI_RETRANSMISSION
    request: Retransmission = REQUEST_RETRANSMISSION
    adaptive: bool = True
    """Take the first wait from measured round trips once there is one (RFC 6298 s2), never above
    `initial_s`: with the RFC's fixed second one lost packet costs a preparation its budget."""
    floor_s: float = 0.1
    """The shortest first wait that measurements may lead to; covers what a peer computes."""
    failed_session_s: float = 60.0
    """FAILED_SESS_TIMEOUT (RFC 5609 s7.2): an authentication that takes longer has stalled."""
    ping_interval_s: float = 1.0
    """Pings asked for sooner after the last one are not sent (RFC 5191 s4.2)."""
    linger_s: float = 30.0
    """How long a closed session still repeats its last answer, should that have been lost."""
    reauthenticate_at: float | None = None
    """Part of the session lifetime after which this side starts re-authentication by itself."""

    def __post_init__(self) -> None:
        if self.reauthenticate_at is not None and not 0 < self.reauthenticate_at < 1:
            raise ValueError("reauthenticate_at is a part of the lifetime, between 0 and 1")


@dataclass(frozen=True, slots=True)
class PacSettings:
    """A PANA client's choices."""

    timing: Timing = field(default_factory=Timing)
    suites: tuple[Suite, ...] = (STRONG, MANDATORY)
    """Acceptable pairs, best first. What is not here is refused, whatever the PAA offers."""
    encryption: Encryption | None = Encryption.AES128_CTR
    """Announced in the PCI and used when the PAA offers it too (RFC 6786)."""
    conceal: bool = False
    """Encrypt what this side sends and may be encrypted, where that was agreed: EAP within a
    re-authentication, and causes. Off, because nothing in it is secret from who saw EAP before."""
    preauthentication: bool = True
    """E bit (RFC 5873): the PAA belongs to a network that this node has not entered."""
    piggyback: bool = True
    """Carry EAP responses in PANA-Auth-Answers (RFC 5191 s4.1)."""
    eap_response_s: float = 0.5
    """How long an answer may wait for the EAP peer before it goes without EAP (RFC 5609 s7.3)."""
    nonce_octets: int = 20
    """At most 20 are advised (RFC 5191 s8.5)."""
    unsolicited: bool = False
    """Answer a PAA that starts the session itself (RFC 5191 s4.1)."""


@dataclass(frozen=True, slots=True)
class PaaSettings:
    """A PANA authentication agent's choices."""

    timing: Timing = field(default_factory=Timing)
    suites: tuple[Suite, ...] = (STRONG, MANDATORY)
    """Offered pairs, best first; see `reply_factor` for which of them reach a PaC."""
    encryption: Encryption | None = Encryption.AES128_CTR
    """Offered to a PaC whose PCI announces encryption (RFC 6786)."""
    conceal: bool = False
    """As for the PaC, and session lifetimes."""
    reply_factor: float = 3.0
    """The answer to a PCI has at most this many times its octets, so that a spoofed PCI is no
    lever. A bare PCI thus brings the first suite alone; one that announces encryption, all."""
    preauthentication: bool = True
    """Take part in RFC 5873; otherwise the E bit is answered with a cleared one."""
    serving: bool = True
    """Take part in ordinary authentication, of PaCs within this agent's own network."""
    ip_reconfiguration: bool = False
    """I bit: the PaC must take another address once it is authenticated (RFC 5191 s4.1)."""
    nonce_octets: int = 20
    relays: frozenset[IPv4Address | IPv6Address] = frozenset()
    """PANA relays whose messages are heard (RFC 6345 s3); none unless named."""
    cookie_period_s: float = 30.0
    """The secret behind stateless answers is replaced this often; an answer to a
    PANA-Auth-Request must come within one to two periods."""
    admit: Callable[[Endpoint, Instant], bool] = field(default=lambda source, now: True)
    """Asked about the PaC's address before anything else is done with a PCI: known networks,
    rate limits (RFC 5191 s4.1, RFC 5873 s6)."""
    admit_session: Callable[[Endpoint, Instant], bool] = field(default=lambda source, now: True)
    """Asked when a PaC has proved its address and a session is about to be made: the cap on
    half-open sessions."""
