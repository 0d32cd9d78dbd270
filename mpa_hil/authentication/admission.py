"""Whom an AA listens to at all: known networks, rates, half-open sessions. Sans-IO.

Nothing here grows with what is received. A spoofed PANA-Client-Initiation costs its source some of
its tokens in two tables of fixed size, and nothing else; only a source that has proved its address
(the answer to a stateless PANA-Auth-Request) is remembered by name, and then up to a cap.
"""

from __future__ import annotations

from array import array
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import IPv4Network, IPv6Network

from mpa_hil.mobility.interface import NS_PER_S, Address, Endpoint, Instant

_ROWS = 2


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    """Caps and rates; the defaults let one MN be clumsy and no one be a nuisance."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Neighbouring networks that pre-authentication is accepted from (RFC 5873 s6); empty: all."""
    initiations_per_s: float = 5.0
    """PANA-Client-Initiations of one source that are answered in the long run."""
    initiations_burst: float = 10.0
    """... and at once. An IPv6 source is its /64, which one node has to itself."""
    slots: int = 1 << 15
    """Counters in each of two tables, of 16 octets. A source shares its counters with others; it
    is held back only when both are exhausted, so with this many sources flooding, few."""
    half_open: int = 1024
    """Authentications under way, in all."""
    half_open_per_source: int = 8
    """... of one address."""
    failures: int = 5
    """Failed authentications of one address within `failures_s`, after which it has to wait."""
    failures_s: float = 60.0
    remembered_sources: int = 4096
    """Addresses whose failures are remembered; the oldest are forgotten first."""


class RateLimiter:
    """Token buckets for any number of sources in fixed memory.

    Each source has one bucket in each of two tables, at places that depend on a secret, and is
    refused when the fuller of the two has no token. Whoever floods empties its own two.
    """

    def __init__(self, rate_per_s: float, burst: float, slots: int, secret: bytes) -> None:
        self._rate_per_ns = rate_per_s / NS_PER_S
        self._burst = burst
        self._slots = slots
        self._secret = secret
        self._tokens = [array("d", [burst]) * slots for _ in range(_ROWS)]
        self._seen_ns = [array("q", [0]) * slots for _ in range(_ROWS)]

    def take(self, source: bytes, now_ns: int) -> bool:
        """Whether this source has a token left; takes it."""
        digest = int.from_bytes(blake2b(source, digest_size=8, key=self._secret).digest(), "big")
        best, places = 0.0, []
        for tokens, seen_ns in zip(self._tokens, self._seen_ns, strict=True):
            digest, place = divmod(digest, self._slots)
            level = tokens[place] + (now_ns - seen_ns[place]) * self._rate_per_ns
            level = min(level, self._burst)
            tokens[place], seen_ns[place] = level, now_ns
            best = max(best, level)
            places.append(place)
        if best < 1.0:
            return False
        for tokens, place in zip(self._tokens, places, strict=True):
            tokens[place] = max(tokens[place] - 1.0, 0.0)
        return True


class Admission:
    """The gate in front of the PAA: `admit` and `admit_session` are its settings' callbacks."""

    def __init__(self, settings: AdmissionSettings, random: Callable[[int], bytes]) -> None:
        self._settings = settings
        self._limiter = RateLimiter(
            settings.initiations_per_s, settings.initiations_burst, settings.slots, random(16)
        )
        self._half_open: dict[int, Address] = {}
        self._per_source: dict[Address, int] = {}
        self._failures: OrderedDict[Address, tuple[int, int]] = OrderedDict()
        """Count and monotonic time of the first failure, by address."""
        self.turned_away: Counter[str] = Counter()
        """How many were refused, by reason; for the log."""

    def admit(self, source: Endpoint, now: Instant) -> bool:
        """Whether a PANA-Client-Initiation is answered (RFC 5191 s4.1, RFC 5873 s6)."""
        address = source.address
        networks = self._settings.networks
        if networks and not any(address in network for network in networks):
            return self._refuse("not from a known network")
        packed = address.packed
        if not self._limiter.take(packed[:8] if len(packed) == 16 else packed, now.monotonic_ns):
            return self._refuse("too many initiations")
        if self._failures and self._barred(address, now):
            return self._refuse("too many failures")
        return True

    def admit_session(self, source: Endpoint, now: Instant) -> bool:
        """Whether a source that has proved its address gets a session."""
        if len(self._half_open) >= self._settings.half_open:
            return self._refuse("too many half-open sessions")
        if self._per_source.get(source.address, 0) >= self._settings.half_open_per_source:
            return self._refuse("too many half-open sessions of one source")
        if self._failures and self._barred(source.address, now):
            return self._refuse("too many failures")
        return True

    def started(self, session_id: int, source: Endpoint) -> None:
        """A session is half-open."""
        if session_id not in self._half_open:
            self._half_open[session_id] = source.address
            self._per_source[source.address] = self._per_source.get(source.address, 0) + 1

    def finished(self, session_id: int, now: Instant, *, failed: bool) -> None:
        """It is half-open no more; harmless for one that was not."""
        address = self._half_open.pop(session_id, None)
        if address is None:
            return
        left = self._per_source.pop(address) - 1
        if left:
            self._per_source[address] = left
        if not failed:
            if self._failures:
                self._failures.pop(address, None)
            return
        count, since_ns = self._failures.pop(address, (0, now.monotonic_ns))
        if now.monotonic_ns - since_ns > self._settings.failures_s * NS_PER_S:
            count, since_ns = 0, now.monotonic_ns
        self._failures[address] = (count + 1, since_ns)
        while len(self._failures) > self._settings.remembered_sources:
            self._failures.popitem(last=False)

    def _barred(self, address: Address, now: Instant) -> bool:
        count, since_ns = self._failures.get(address, (0, 0))
        if count < self._settings.failures:
            return False
        if now.monotonic_ns - since_ns > self._settings.failures_s * NS_PER_S:
            del self._failures[address]
            return False
        return True

    def _refuse(self, reason: str) -> bool:
        self.turned_away[reason] += 1
        return False
