"""The mobile node of Mobile IPv4 with a co-located care-of address (RFC 5944 s3.6), sans-IO.

Two things live side by side: the *binding* that the home agent last confirmed, and the *exchange*
that is under way. An exchange is one wish (bind this care-of address, renew it, forget all) and as
many requests as it takes; each request has a new identification, and only the latest one can be
answered (s3.6.2.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from mpa_hil.mobility.interface import (
    NS_PER_S,
    Address,
    Deregistered,
    Discarded,
    Endpoint,
    Expired,
    Instant,
    MobileOutput,
    Registered,
    Rejected,
    Send,
    TimedOut,
)
from mpa_hil.mobility.mip4 import identification as ids
from mpa_hil.mobility.mip4.authentication import (
    SecurityAssociation,
    mobile_home_extensions,
    sign,
    verify,
)
from mpa_hil.mobility.mip4.codes import Code, is_accepted, meaning
from mpa_hil.mobility.mip4.messages import (
    INFINITE_LIFETIME,
    MOBILE_IP_PORT,
    DecodeError,
    Flag,
    RegistrationReply,
    RegistrationRequest,
    decode,
)
from mpa_hil.mobility.mip4.tuning import Tuning
from radios.errors import LocalError


@dataclass(slots=True)
class _Binding:
    care_of: IPv4Address
    renew_ns: int | None
    expires_ns: int | None


@dataclass(slots=True)
class _Exchange:
    care_of: IPv4Address
    """The home address when all bindings are to be forgotten (s3.6.1.2)."""
    source: IPv4Address
    lifetime_s: int
    renewal: bool
    interval_s: float
    due_ns: int = 0
    sent_ns: int = 0
    identification: int = 0
    attempts: int = 0
    resynchronisations: int = 0
    simultaneous: bool = False
    """The latest request asked for what there was to be kept."""


class MobileNode:
    """A `mpa_hil.mobility.interface.MobilityProtocol` for one home address.

    Args:
        home_address: the address that sessions are bound to.
        home_agent: where requests go, to port 434.
        association: shared with the home agent.
        tuning: timers; the lifetime asked for is one of them.
        reverse_tunnel: ask that packets also leave through the tunnel (RFC 3024, T bit).
    """

    name = "mip4"

    def __init__(
        self,
        *,
        home_address: IPv4Address,
        home_agent: IPv4Address,
        association: SecurityAssociation,
        tuning: Tuning | None = None,
        reverse_tunnel: bool = True,
    ) -> None:
        self.home_address = home_address
        self.home_agent = home_agent
        self._association = association
        self._tuning = tuning or Tuning()
        self._flags = Flag.DECAPSULATION_BY_MOBILE
        if reverse_tunnel:
            self._flags |= Flag.REVERSE_TUNNEL
        self._binding: _Binding | None = None
        self._exchange: _Exchange | None = None
        self.doubtful = False
        """Ask that the bindings there were are kept beside the next one (S bit). A renewal never
        asks: it ends what is kept."""
        self.simultaneous = False
        """Whether the latest registration that was granted asked so."""
        self._clock_correction_ns = 0
        self._floor: int | None = None

    @property
    def care_of(self) -> IPv4Address | None:
        """The care-of address that the home agent has confirmed, or None."""
        return self._binding.care_of if self._binding else None

    @property
    def busy(self) -> bool:
        """Whether an exchange is under way."""
        return self._exchange is not None

    def register(self, care_of: Address, now: Instant) -> tuple[MobileOutput, ...]:
        """Bind the home address to `care_of`, from `care_of` (s3.6.1.1).

        Asking again for the address whose request is still unanswered starts the time-outs afresh,
        but never sends within one second of the last request (s3.6.3).

        Raises:
            LocalError: `care_of` is not an IPv4 address that a node can have, or is the home one.
        """
        if not isinstance(care_of, IPv4Address) or not usable(care_of):
            raise LocalError(f"{care_of} cannot be a care-of address", where="Mobile IPv4")
        if care_of == self.home_address:
            raise LocalError(
                "the home address cannot be its own care-of address",
                where="Mobile IPv4",
                remedy="at home there is nothing to register: call deregister",
            )
        current = self._exchange
        if current is not None and current.lifetime_s and current.care_of == care_of:
            current.interval_s = self._tuning.minimum_interval_s
            current.due_ns = current.sent_ns + int(current.interval_s * NS_PER_S)
            return self.expire(now)
        if self._binding and self._binding.care_of != care_of:
            self._binding.renew_ns = None  # the node has left that address
        renewal = self._binding is not None and self._binding.care_of == care_of
        return self._begin(care_of, care_of, self._tuning.lifetime_s, renewal, now)

    def deregister(self, now: Instant, *, at_home: bool = False) -> tuple[MobileOutput, ...]:
        """Ask the home agent to forget every binding (lifetime 0, care-of = home; s3.6.1.2).

        Args:
            now: the time.
            at_home: the node is on its home link and sends from its home address; otherwise from
                the care-of address that it still has.
        """
        away = self._exchange.source if self._exchange else self.care_of
        source = self.home_address if at_home or away is None else away
        return self._begin(self.home_address, source, 0, False, now)

    def abandon(self) -> None:
        """Whoever was asked gave no answer, and none is waited for any more: nothing is sent again,
        nothing renewed. What the home agent has of the node ends with its lifetime."""
        self._exchange = self._binding = None

    def receive(self, datagram: bytes, source: Endpoint, now: Instant) -> tuple[MobileOutput, ...]:
        """Digest a reply, after the checks of s3.6.2.1."""
        try:
            reply = decode(datagram)
        except DecodeError as error:
            return (Discarded(error.what, source),)
        if not isinstance(reply, RegistrationReply):
            return (Discarded("a request, where only replies are expected", source),)
        exchange = self._exchange
        if exchange is None:
            return (Discarded("a reply that nobody waits for", source),)
        if (reply.identification ^ exchange.identification) & ids.LOW_MASK:
            return (Discarded("a reply to another request", source),)
        signatures = mobile_home_extensions(reply)
        if len(signatures) != 1 or not verify(datagram, signatures[0], self._find):
            return (Discarded("a reply without one valid authenticator", source, security=True),)
        if reply.home_address != self.home_address:
            return (Discarded("a reply about another home address", source),)
        if is_accepted(reply.code):
            if reply.home_agent != self.home_agent:
                return (Discarded("a reply of another home agent", source),)
            return self._accepted(exchange, reply, now)
        return self._denied(exchange, reply, now)

    def expire(self, now: Instant) -> tuple[MobileOutput, ...]:
        """Send again, give up, renew, or note the binding's end, whichever is due."""
        outputs: list[MobileOutput] = []
        binding = self._binding
        if binding and _due(binding.expires_ns, now):
            self._binding = None
            if self._exchange and self._exchange.renewal:
                self._exchange = None
            outputs.append(Expired(self.home_address, binding.care_of))
        elif binding and _due(binding.renew_ns, now):
            binding.renew_ns = None
            if self._exchange is None:
                lifetime_s = self._tuning.lifetime_s
                outputs += self._begin(binding.care_of, binding.care_of, lifetime_s, True, now)
        exchange = self._exchange
        if exchange and _due(exchange.due_ns, now):
            spent = exchange.attempts - exchange.resynchronisations >= self._tuning.attempts
            if spent and not exchange.renewal:
                self._exchange = None
                outputs.append(TimedOut(self.home_address, exchange.care_of, exchange.attempts))
            else:
                outputs += self._send(exchange, now)
        return tuple(outputs)

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the earliest of retransmission, renewal and expiry."""
        times = [self._exchange.due_ns] if self._exchange else []
        if self._binding:
            if self._binding.expires_ns is not None:
                times.append(self._binding.expires_ns)
            if self._binding.renew_ns is not None:
                times.append(self._binding.renew_ns)
        return min(times, default=None)

    def _find(self, spi: int) -> SecurityAssociation | None:
        return self._association if spi == self._association.spi else None

    def _begin(
        self,
        care_of: IPv4Address,
        source: IPv4Address,
        lifetime_s: int,
        renewal: bool,
        now: Instant,
    ) -> tuple[MobileOutput, ...]:
        interval_s = self._tuning.minimum_interval_s
        self._exchange = _Exchange(care_of, source, lifetime_s, renewal, interval_s)
        return self._send(self._exchange, now)

    def _send(self, exchange: _Exchange, now: Instant) -> tuple[MobileOutput, ...]:
        fresh = ids.from_unix_ns(now.unix_ns + self._clock_correction_ns)
        if self._floor is not None and not ids.is_after(fresh, self._floor):
            fresh = self._floor + 1 & 0xFFFFFFFFFFFFFFFF  # s5.7.1: greater than any before
        self._floor = exchange.identification = fresh
        exchange.attempts += 1
        exchange.sent_ns = now.monotonic_ns
        exchange.due_ns = now.monotonic_ns + int(exchange.interval_s * NS_PER_S)
        ceiling_s = min(self._tuning.maximum_interval_s, exchange.lifetime_s or float("inf"))
        grown_s = min(exchange.interval_s * self._tuning.backoff_factor, ceiling_s)
        exchange.interval_s = max(grown_s, self._tuning.minimum_interval_s)
        flags = self._flags if exchange.lifetime_s else Flag(0)
        exchange.simultaneous = bool(self.doubtful and exchange.lifetime_s and not exchange.renewal)
        if exchange.simultaneous:
            flags |= Flag.SIMULTANEOUS
        request = RegistrationRequest(
            flags,
            exchange.lifetime_s,
            self.home_address,
            self.home_agent,
            exchange.care_of,
            fresh,
        )
        destination = Endpoint(self.home_agent, MOBILE_IP_PORT)
        return (Send(sign(request, self._association), destination, source=exchange.source),)

    def _accepted(
        self, exchange: _Exchange, reply: RegistrationReply, now: Instant
    ) -> tuple[MobileOutput, ...]:
        self._exchange = None
        self.simultaneous = exchange.simultaneous
        granted_s = min(reply.lifetime_s, exchange.lifetime_s)  # s3.4: the smaller counts
        if granted_s == 0:
            self._binding = None
            return (Deregistered(self.home_address, reply.code),)
        if granted_s == INFINITE_LIFETIME:
            self._binding = _Binding(exchange.care_of, None, None)
        else:  # s3.6.2.2: the lifetime runs from when the request was sent
            life_ns = granted_s * NS_PER_S
            renew_ns = exchange.sent_ns + int(life_ns * self._tuning.renew_fraction)
            self._binding = _Binding(exchange.care_of, renew_ns, exchange.sent_ns + life_ns)
        return (
            Registered(
                self.home_address,
                exchange.care_of,
                None if granted_s == INFINITE_LIFETIME else float(granted_s),
                exchange.renewal,
                reply.code,
                now.monotonic_ns - exchange.sent_ns,
                exchange.attempts,
            ),
        )

    def _denied(
        self, exchange: _Exchange, reply: RegistrationReply, now: Instant
    ) -> tuple[MobileOutput, ...]:
        if (
            reply.code == Code.HA_IDENTIFICATION
            and exchange.resynchronisations < self._tuning.resynchronisations
        ):
            # The next request leaves when its time-out is over: a second apart, as s3.6.3 wants.
            exchange.resynchronisations += 1
            correction = ids.clock_correction_ns(reply.identification, exchange.identification)
            self._clock_correction_ns += correction
            if correction < 0:
                self._floor = None
            return ()
        self._exchange = None
        hint = reply.home_agent if reply.code == Code.HA_UNKNOWN_ADDRESS else None
        return (
            Rejected(self.home_address, exchange.care_of, reply.code, meaning(reply.code), hint),
        )


def usable(address: IPv4Address) -> bool:
    """Whether a node can have this address: unicast, not 0.0.0.0, not loopback, below 240.0.0.0."""
    return not (
        address.is_multicast or address.is_unspecified or address.is_loopback or address.is_reserved
    )


def _due(deadline_ns: int | None, now: Instant) -> bool:
    return deadline_ns is not None and deadline_ns <= now.monotonic_ns
