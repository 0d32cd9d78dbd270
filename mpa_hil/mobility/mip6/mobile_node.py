"""The mobile node's home registration in Mobile IPv6 (RFC 6275 s11.7, RFC 4285), sans-IO.

As `mip4.mobile_node`: verbs `register` and `deregister`, retransmission with back-off, renewal in
time; each sending has a sequence number and a time stamp of its own. A care-of address may have a
binding identifier (RFC 5648): then it is one of several.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from mpa_hil.mobility.interface import (
    NS_PER_S,
    Address,
    Deregistered,
    Discarded,
    Expired,
    Instant,
    MobileOutput,
    Registered,
    Rejected,
    TimedOut,
)
from mpa_hil.mobility.mip4 import identification as ids
from mpa_hil.mobility.mip6.authentication import SecurityAssociation, sign, verify
from mpa_hil.mobility.mip6.bindings import SendPacket, endpoint, usable
from mpa_hil.mobility.mip6.messages import (
    BindingAcknowledgement,
    BindingUpdate,
    Packet,
    decode,
    find,
)
from mpa_hil.mobility.mip6.numbers import (
    LIFETIME_UNIT_S,
    REFUSED,
    Status,
    Tuning,
    UpdateFlag,
    meaning,
)
from mpa_hil.mobility.mip6.options import (
    AlternateCareOf,
    BindingId,
    DecodeError,
    Option,
    RefreshAdvice,
    ReplayProtection,
)
from radios.errors import LocalError

NodeOutput = MobileOutput | SendPacket
_FORGOTTEN = 8
"""Sequence numbers of sendings that an acknowledgement may still answer."""


@dataclass(slots=True)
class _Exchange:
    care_of: IPv6Address
    """To be bound; the home address to forget everything."""
    source: IPv6Address
    """From which it is sent."""
    units: int
    renewal: bool
    interval_s: float
    overwrite: bool = False
    sequences: dict[int, int] = field(default_factory=dict)
    """When each was sent."""
    attempts: int = 0
    resynchronisations: int = 0
    due_ns: int = 0


@dataclass(slots=True)
class _Binding:
    care_of: IPv6Address
    expires_ns: int
    renew_ns: int | None


class MobileNode:
    """One home address at one home agent.

    Args:
        random: so many octets that nobody can guess; for the first sequence number.
    """

    name = "mip6"

    def __init__(
        self,
        *,
        home_address: IPv6Address,
        home_agent: IPv6Address,
        association: SecurityAssociation,
        random: Callable[[int], bytes],
        tuning: Tuning | None = None,
    ) -> None:
        self.home_address = home_address
        self.home_agent = home_agent
        self._association = association
        self._tuning = tuning or Tuning()
        self._sequence = int.from_bytes(random(2), "big")
        self._binding: _Binding | None = None
        self._exchange: _Exchange | None = None
        self._identifiers: dict[IPv6Address, int] = {}
        self._clock_correction_ns = 0
        self._floor: int | None = None

    @property
    def care_of(self) -> IPv6Address | None:
        """The care-of address that the home agent has confirmed last, or None."""
        return self._binding.care_of if self._binding else None

    @property
    def busy(self) -> bool:
        """Whether an exchange is under way."""
        return self._exchange is not None

    def register(
        self, care_of: Address, now: Instant, *, bid: int = 0, overwrite: bool = False
    ) -> tuple[NodeOutput, ...]:
        """Bind the home address to `care_of`, from `care_of`.

        Args:
            bid: register it beside the others that have one; 0: in place of all.
            overwrite: in place of all, with an identifier.

        Raises:
            LocalError: `care_of` is no unicast routable IPv6 address, or is the home one.
        """
        if not isinstance(care_of, IPv6Address) or not usable(care_of):
            raise LocalError(f"{care_of} cannot be a care-of address", where="Mobile IPv6")
        if care_of == self.home_address:
            raise LocalError("the home address cannot be its own care-of address", where=self.name)
        if not bid or overwrite:
            self._identifiers.clear()
        if bid:
            self._identifiers[care_of] = bid
        renewal = self._binding is not None and self._binding.care_of == care_of
        if self._binding is not None and not renewal:
            self._binding.renew_ns = None  # the node has left that address, or is about to
        units = self._tuning.lifetime_s // LIFETIME_UNIT_S
        return self._begin(care_of, care_of, units, renewal, now, overwrite=overwrite)

    def deregister(self, now: Instant) -> tuple[NodeOutput, ...]:
        """Ask the home agent to forget every binding."""
        away = self._exchange.source if self._exchange else self.care_of
        self._identifiers.clear()
        source = self.home_address if away is None else away
        return self._begin(self.home_address, source, 0, False, now)

    def abandon(self) -> None:
        """Whoever was asked gave no answer, and none is waited for any more: nothing is sent again,
        nothing renewed. What the home agent has of the node ends with its lifetime."""
        self._exchange = self._binding = None

    def receive(self, packet: Packet, now: Instant) -> tuple[NodeOutput, ...]:
        """Digest a Binding Acknowledgement of the home agent (s11.7.3)."""
        source = endpoint(packet.source)
        try:
            message = decode(packet.header)
        except DecodeError as error:
            return (Discarded(error.what, source),)
        exchange = self._exchange
        if not isinstance(message, BindingAcknowledgement) or exchange is None:
            return (Discarded("nothing that the node waits for", source),)
        if not self._is_authentic(packet, message, exchange):
            return (Discarded("no right authenticator", source, security=True),)
        if message.status == Status.SEQUENCE_OUT_OF_WINDOW:
            return self._resynchronise(exchange, message, now)
        sent_ns = exchange.sequences.get(message.sequence)
        if sent_ns is None:
            return (Discarded("an answer to another update", source),)
        identifier = find(message.options, BindingId)
        status = message.status
        if identifier is not None and identifier.status:
            status = identifier.status
        if status == Status.ID_MISMATCH:
            return self._set_clock(exchange, message, now)
        if status >= REFUSED:
            self._exchange = None
            return (Rejected(self.home_address, exchange.care_of, status, meaning(status)),)
        return self._accepted(exchange, message, status, sent_ns, now)

    def expire(self, now: Instant) -> tuple[NodeOutput, ...]:
        """Send again, give up, renew, or note the binding's end, whichever is due."""
        outputs: list[NodeOutput] = []
        binding = self._binding
        if binding and binding.expires_ns <= now.monotonic_ns:
            self._binding = None
            if self._exchange and self._exchange.renewal:
                self._exchange = None
            outputs.append(Expired(self.home_address, binding.care_of))
        elif binding and binding.renew_ns is not None and binding.renew_ns <= now.monotonic_ns:
            binding.renew_ns = None
            if self._exchange is None:
                units = self._tuning.lifetime_s // LIFETIME_UNIT_S
                outputs += self._begin(binding.care_of, binding.care_of, units, True, now)
        exchange = self._exchange
        if exchange and exchange.due_ns <= now.monotonic_ns:
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
            times.append(self._binding.expires_ns)
            if self._binding.renew_ns is not None:
                times.append(self._binding.renew_ns)
        return min(times, default=None)

    def _is_authentic(
        self, packet: Packet, message: BindingAcknowledgement, exchange: _Exchange
    ) -> bool:
        if packet.source != self.home_agent or packet.destination != self.home_address:
            return False

        def find_association(spi: int) -> SecurityAssociation | None:
            return self._association if spi == self._association.spi else None

        signed = {exchange.care_of, exchange.source}
        return any(
            verify(packet.header, message, find_association, care_of, self.home_address)
            for care_of in signed
        )

    def _begin(
        self,
        care_of: IPv6Address,
        source: IPv6Address,
        units: int,
        renewal: bool,
        now: Instant,
        *,
        overwrite: bool = False,
    ) -> tuple[NodeOutput, ...]:
        first = self._binding is None and units > 0
        interval_s = self._tuning.first_interval_s if first else self._tuning.minimum_interval_s
        self._exchange = _Exchange(care_of, source, units, renewal, interval_s, overwrite)
        return self._send(self._exchange, now)

    def _send(self, exchange: _Exchange, now: Instant) -> tuple[NodeOutput, ...]:
        self._sequence = (self._sequence + 1) & 0xFFFF
        stamp = ids.from_unix_ns(now.unix_ns + self._clock_correction_ns)
        if self._floor is not None and not ids.is_after(stamp, self._floor):
            stamp = self._floor + 1 & 0xFFFFFFFFFFFFFFFF
        self._floor = stamp
        exchange.sequences[self._sequence] = now.monotonic_ns
        if len(exchange.sequences) > _FORGOTTEN:
            del exchange.sequences[next(iter(exchange.sequences))]
        exchange.attempts += 1
        exchange.due_ns = now.monotonic_ns + int(exchange.interval_s * NS_PER_S)
        exchange.interval_s = min(2 * exchange.interval_s, self._tuning.maximum_interval_s)
        flags = UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME
        bid = self._identifiers.get(exchange.care_of, 0)
        options: tuple[Option, ...] = (ReplayProtection(stamp),)
        if bid:
            if exchange.overwrite:
                flags |= UpdateFlag.OVERWRITE
            options = (BindingId(bid, care_of=exchange.care_of), *options)
        else:
            options = (AlternateCareOf(exchange.care_of), *options)
        update = BindingUpdate(self._sequence, flags, exchange.units, options)
        header = sign(update, self._association, exchange.care_of, self.home_address)
        home = None if exchange.source == self.home_address else self.home_address
        return (SendPacket(Packet(header, exchange.source, self.home_agent, home=home)),)

    def _accepted(
        self,
        exchange: _Exchange,
        message: BindingAcknowledgement,
        status: int,
        sent_ns: int,
        now: Instant,
    ) -> tuple[NodeOutput, ...]:
        self._exchange = None
        units = min(message.lifetime_units, exchange.units)
        if units == 0:
            self._binding = None
            return (Deregistered(self.home_address, status),)
        life_ns = units * LIFETIME_UNIT_S * NS_PER_S
        renew_ns = int(life_ns * self._tuning.renew_fraction)
        advice = find(message.options, RefreshAdvice)
        if advice is not None and advice.interval_units:
            renew_ns = min(renew_ns, advice.interval_units * LIFETIME_UNIT_S * NS_PER_S)
        # The lifetime runs from when the update was sent.
        self._binding = _Binding(exchange.care_of, sent_ns + life_ns, sent_ns + renew_ns)
        return (
            Registered(
                self.home_address,
                exchange.care_of,
                float(units * LIFETIME_UNIT_S),
                exchange.renewal,
                status,
                now.monotonic_ns - sent_ns,
                exchange.attempts,
            ),
        )

    def _resynchronise(
        self, exchange: _Exchange, message: BindingAcknowledgement, now: Instant
    ) -> tuple[NodeOutput, ...]:
        """The home agent has seen a later number: go on from there (s11.7.3)."""
        if exchange.resynchronisations >= self._tuning.resynchronisations:
            self._exchange = None
            status = message.status
            return (Rejected(self.home_address, exchange.care_of, status, meaning(status)),)
        exchange.resynchronisations += 1
        self._sequence = message.sequence
        exchange.sequences.clear()
        return self._send(exchange, now)

    def _set_clock(
        self, exchange: _Exchange, message: BindingAcknowledgement, now: Instant
    ) -> tuple[NodeOutput, ...]:
        """The home agent's clock is another: go by that (RFC 4285 s6)."""
        stamp = find(message.options, ReplayProtection)
        if stamp is None or exchange.resynchronisations >= self._tuning.resynchronisations:
            self._exchange = None
            status = message.status
            return (Rejected(self.home_address, exchange.care_of, status, meaning(status)),)
        exchange.resynchronisations += 1
        apart_s = ids.difference_s(stamp.timestamp, ids.from_unix_ns(now.unix_ns))
        self._clock_correction_ns = int(apart_s * NS_PER_S)
        self._floor = None
        return self._send(exchange, now)
