"""The home agent of Mobile IPv6 (RFC 6275 s10, RFC 4285, RFC 5648), sans-IO.

Nothing is looked at for its content before its author is known: a Binding Update without a right
authenticator is dropped in silence, so it neither changes nor triggers anything. Then time stamp
and sequence number, then fields and policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv6Address

from mpa_hil.mobility.interface import NS_PER_S, Discarded, Instant
from mpa_hil.mobility.mip4 import identification as ids
from mpa_hil.mobility.mip6.authentication import SecurityAssociation, sign, verify
from mpa_hil.mobility.mip6.bindings import (
    Binding,
    Bound,
    CacheOutput,
    Check,
    Refused,
    Removal,
    SendPacket,
    Subscriber,
    endpoint,
    usable,
)
from mpa_hil.mobility.mip6.messages import (
    BindingAcknowledgement,
    BindingUpdate,
    Packet,
    UnknownType,
    decode,
    find,
)
from mpa_hil.mobility.mip6.numbers import (
    INFINITE_LIFETIME,
    LIFETIME_UNIT_S,
    ErrorStatus,
    Status,
    Tuning,
    UpdateFlag,
    is_after,
    meaning,
)
from mpa_hil.mobility.mip6.options import (
    AlternateCareOf,
    BindingId,
    DecodeError,
    NonceIndices,
    Option,
    ReplayProtection,
    Unknown,
)
from mpa_hil.mobility.mip6.refusing import ErrorSender
from mpa_hil.mobility.recorded import Recorded, calendar, expiry

MOST_BINDINGS_EACH = 8
"""Care-of addresses of one node at a time (RFC 5648 leaves it open)."""


@dataclass(slots=True)
class _Node:
    """What is known of a subscriber, bound or not."""

    subscriber: Subscriber
    floor: int
    """Time stamp of the last authentic update: nothing older or equal counts."""
    sequence: int | None = None
    """Of the last accepted one."""
    bindings: tuple[Binding, ...] = ()
    """The primary one is the last."""
    waiting: _Request | None = None
    """While the home address is being checked."""


@dataclass(frozen=True, slots=True)
class _Request:
    """An authentic update."""

    update: BindingUpdate
    packet: Packet
    home: IPv6Address
    care_of: IPv6Address
    association: SecurityAssociation
    bid: BindingId | None


class HomeAgent:
    """Bindings of the nodes it serves.

    Args:
        address: its own.
        subscribers: whom it serves.
        started: when it began to serve: time stamps before that are refused, so that a restart,
            which forgets what was accepted, opens no window for replays.
        check_addresses: whether a home address is checked on its link before the first binding
            (s10.3.1: must be).
        several: whether a node may have several bindings (RFC 5648).
        source_must_match: refuse a care-of address that is not the packet's source; with ingress
            filtering that keeps a node from pointing its traffic at somebody else.
    """

    def __init__(
        self,
        address: IPv6Address,
        subscribers: Iterable[Subscriber],
        *,
        started: Instant,
        tuning: Tuning | None = None,
        check_addresses: bool = True,
        several: bool = True,
        source_must_match: bool = True,
    ) -> None:
        self.address = address
        self._tuning = tuning or Tuning()
        self._check_addresses = check_addresses
        self._several = several
        self._source_must_match = source_must_match
        self._errors = ErrorSender(address, self._tuning.error_interval_s)
        floor = ids.from_unix_ns(started.unix_ns)
        self._calendar_ns = started.unix_ns - started.monotonic_ns
        self._ahead_ns = 0
        """Of the calendar, as in Mobile IPv4's home agent."""
        self._nodes = {entry.home_address: _Node(entry, floor) for entry in subscribers}

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """The binding cache."""
        return tuple(binding for node in self._nodes.values() for binding in node.bindings)

    def receive(self, packet: Packet, now: Instant) -> tuple[CacheOutput, ...]:
        """Digest a Mobility Header; whatever it holds, this raises nothing."""
        return self.expire(now) + self._receive(packet, now)

    def record(self, home: IPv6Address, now: Instant) -> dict[str, object]:
        """What must outlive this process of a home address; `restore` takes it."""
        node = self._nodes[home]
        return {
            "floor": node.floor,
            "sequence": -1 if node.sequence is None else node.sequence,
            "bindings": [
                {
                    "care_of": str(binding.care_of),
                    "sequence": binding.sequence,
                    "lifetime_s": binding.lifetime_s,
                    "expires_unix_ns": calendar(binding.expires_ns, now),
                    "bid": binding.bid,
                }
                for binding in node.bindings
            ],
        }

    def restore(
        self, home: IPv6Address, record: Mapping[str, object], now: Instant
    ) -> tuple[CacheOutput, ...]:
        """Go on from what an earlier process wrote down; what is over since then is left out."""
        node = self._nodes.get(home)
        if node is None:
            return ()
        try:
            read = Recorded(record)
            floor, sequence = read.number("floor"), read.number("sequence")
            bindings = tuple(
                Binding(
                    home,
                    IPv6Address(entry.text("care_of")),
                    entry.number("sequence"),
                    entry.number("lifetime_s"),
                    expiry(entry.number("expires_unix_ns"), entry.number("lifetime_s"), now),
                    entry.number("bid"),
                )
                for entry in read.each("bindings")
            )
        except ValueError as error:
            return (Discarded(f"a record that cannot be read: {error}", endpoint(home)),)
        if ids.is_after(floor, node.floor):
            node.floor = floor
            ours_ns = now.monotonic_ns + self._calendar_ns
            self._ahead_ns = max(self._ahead_ns, ids.ahead_ns(floor, ours_ns))
        node.sequence = sequence if sequence >= 0 else None
        node.bindings = tuple(b for b in bindings if b.expires_ns > now.monotonic_ns)
        return (Bound(home, (), node.bindings),) if node.bindings else ()

    def checked(self, home: IPv6Address, free: bool, now: Instant) -> tuple[CacheOutput, ...]:
        """What `Check` was about: nobody else has the address, or somebody does."""
        node = self._nodes.get(home)
        if node is None or node.waiting is None:
            return ()
        request, node.waiting = node.waiting, None
        if not free:
            return self._refuse(Status.DUPLICATE_ADDRESS, "it is in use", request, now)
        return self._accept(node, request, now)

    def withdraw(self, bound: Bound, now: Instant) -> tuple[CacheOutput, ...]:
        """Take back what could not be carried out: status 130 in place of the acceptance.

        For an agent whose kernel refused before the acknowledgement, which follows `bound` in the
        outputs, was sent; what was before stands again.
        """
        node = self._nodes.get(bound.home_address)
        if node is None or node.bindings != bound.after or not bound.after:
            return ()
        node.bindings = bound.before
        refused = bound.after[-1]
        acknowledgement = BindingAcknowledgement(Status.RESOURCES, refused.sequence, 0)
        association = node.subscriber.associations[0]
        header = sign(acknowledgement, association, refused.care_of, bound.home_address)
        answer = Packet(header, self.address, bound.home_address, via=refused.care_of)
        return (SendPacket(answer),)

    def expire(self, now: Instant) -> tuple[CacheOutput, ...]:
        """Drop the bindings whose lifetime is over; nobody is told."""
        outputs: list[CacheOutput] = []
        for home, node in self._nodes.items():
            left = tuple(b for b in node.bindings if b.expires_ns > now.monotonic_ns)
            if left != node.bindings:
                before, node.bindings = node.bindings, left
                outputs.append(Bound(home, before, left, Removal.EXPIRED))
        return tuple(outputs)

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next expiry, or None."""
        return min((binding.expires_ns for binding in self.bindings), default=None)

    def _receive(self, packet: Packet, now: Instant) -> tuple[CacheOutput, ...]:
        source = endpoint(packet.source)
        try:
            update = decode(packet.header)
        except UnknownType as error:
            said = self._errors.about(packet, ErrorStatus.UNRECOGNIZED_TYPE, now)
            return (*said, Discarded(error.what, source))
        except DecodeError as error:
            return (Discarded(error.what, source),)
        if not isinstance(update, BindingUpdate) or not update.flags & UpdateFlag.HOME:
            return (Discarded("no home registration", source),)
        home = packet.source if packet.home is None else packet.home
        node = self._nodes.get(home)
        if node is None:
            return (Discarded(f"no association with {home}", source),)
        identifiers = [o for o in update.options if isinstance(o, BindingId)]
        bid = identifiers[0] if identifiers else None
        care_of = _care_of(update, packet, bid)
        known = {entry.spi: entry for entry in node.subscriber.associations}
        association = verify(packet.header, update, known.get, care_of, home)
        if association is None:
            return (Discarded("no right authenticator", source, security=True),)
        request = _Request(update, packet, home, care_of, association, bid)
        stamp = find(update.options, ReplayProtection)
        if stamp is None:
            return self._refuse(Status.ID_REQUIRED, "no time stamp", request, now)
        if not self._is_fresh(stamp.timestamp, node.floor, now):
            why = "time stamp outside the window or not newer"
            return self._refuse(Status.ID_MISMATCH, why, request, now)
        node.floor = stamp.timestamp
        if node.sequence is not None and not is_after(update.sequence, node.sequence):
            why = f"sequence number {update.sequence} after {node.sequence}"
            return self._refuse(
                Status.SEQUENCE_OUT_OF_WINDOW, why, request, now, sequence=node.sequence
            )
        if len(identifiers) > 1:
            return self._refuse(Status.BULK_PROHIBITED, "several identifiers", request, now)
        fault = self._fault(node, request)
        if fault is not None:
            return self._refuse(*fault, request, now)
        node.sequence = update.sequence
        if update.lifetime_units == 0 or care_of == home:
            return self._deregister(node, request)
        if not node.bindings and self._check_addresses:
            first = node.waiting is None
            node.waiting = request
            return (Check(home),) if first else ()
        return self._accept(node, request, now)

    def _stamp(self, now: Instant) -> int:
        return ids.from_unix_ns(now.unix_ns + self._ahead_ns)

    def _is_fresh(self, timestamp: int, floor: int, now: Instant) -> bool:
        apart_s = abs(ids.difference_s(timestamp, self._stamp(now)))
        return ids.is_after(timestamp, floor) and apart_s <= self._tuning.timestamp_window_s

    def _fault(self, node: _Node, request: _Request) -> tuple[Status, str] | None:
        """What keeps an authentic, fresh update from being granted."""
        update, care_of, bid = request.update, request.care_of, request.bid
        if find(update.options, NonceIndices) is not None:
            return Status.UNSPECIFIED, "nonce indices in a home registration (s9.5.1)"
        if any(isinstance(o, Unknown) and o.type == BindingId.type for o in update.options):
            return Status.MALFORMED_BID, "a binding identifier of a wrong length"
        if bid is not None and (bid.bid == 0 or not self._several):
            return Status.BID_PROHIBITED, f"binding identifier {bid.bid}"
        if update.lifetime_units == 0 or care_of == request.home:
            return None
        if request.packet.home is None:
            return Status.UNSPECIFIED, "no Home Address option (s10.3.1)"
        if not usable(care_of) or care_of == self.address:
            return Status.INVALID_CARE_OF, f"{care_of} cannot be a care-of address"
        if self._source_must_match and request.packet.source != care_of:
            return Status.INVALID_CARE_OF, f"sent from {request.packet.source}"
        networks = node.subscriber.care_of_networks
        if networks and not any(care_of in network for network in networks):
            return Status.PROHIBITED, f"{care_of} is outside the networks it may visit"
        if any(b.care_of == care_of and b.home_address != request.home for b in self.bindings):
            return Status.PROHIBITED, f"{care_of} is another node's"
        overwrite = bool(update.flags & UpdateFlag.OVERWRITE)
        if bid is not None and not overwrite and any(b.bid == 0 for b in node.bindings):
            return Status.NON_BID_BINDING_EXISTS, "a binding without identifier stands"
        if not node.bindings and self._bound_nodes() >= self._tuning.maximum_bindings:
            return Status.RESOURCES, "the binding cache is full"
        if bid is not None and not overwrite and len(node.bindings) >= MOST_BINDINGS_EACH:
            return Status.RESOURCES, "it has too many bindings"
        return None

    def _bound_nodes(self) -> int:
        return sum(bool(node.bindings) for node in self._nodes.values())

    def _accept(self, node: _Node, request: _Request, now: Instant) -> tuple[CacheOutput, ...]:
        update, bid = request.update, request.bid
        limit_s = node.subscriber.maximum_lifetime_s or self._tuning.maximum_lifetime_s
        asked_s = update.lifetime_units * LIFETIME_UNIT_S
        if update.lifetime_units == INFINITE_LIFETIME:
            asked_s = limit_s
        units = max(1, min(asked_s, limit_s) // LIFETIME_UNIT_S)
        lifetime_s = units * LIFETIME_UNIT_S
        binding = Binding(
            request.home,
            request.care_of,
            update.sequence,
            lifetime_s,
            now.monotonic_ns + lifetime_s * NS_PER_S,
            bid.bid if bid is not None else 0,
        )
        before = node.bindings
        kept: tuple[Binding, ...] = ()
        if bid is not None and not update.flags & UpdateFlag.OVERWRITE:
            kept = tuple(b for b in before if b.bid != bid.bid and b.care_of != binding.care_of)
        node.bindings = (*kept, binding)
        reason = Removal.OVERWRITTEN if len(before) > len(kept) + 1 else None
        return (
            Bound(request.home, before, node.bindings, reason),
            self._acknowledge(request, Status.ACCEPTED, update.sequence, units),
        )

    def _deregister(self, node: _Node, request: _Request) -> tuple[CacheOutput, ...]:
        """All bindings, or the one with the identifier. One that is gone already is as good: its
        acknowledgement may have been lost (s10.3.2 keeps it for a while for that)."""
        before, node.waiting = node.bindings, None
        bid = request.bid
        left = tuple(b for b in before if bid is not None and b.bid != bid.bid)
        node.bindings = left
        answer = self._acknowledge(request, Status.ACCEPTED, request.update.sequence, 0)
        if left == before:
            return (answer,)
        return Bound(request.home, before, left, Removal.DEREGISTERED), answer

    def _refuse(
        self,
        status: Status,
        why: str,
        request: _Request,
        now: Instant,
        sequence: int | None = None,
    ) -> tuple[CacheOutput, ...]:
        told = request.update.sequence if sequence is None else sequence
        options: tuple[Option, ...] = ()
        if status is Status.ID_MISMATCH:
            options = (ReplayProtection(self._stamp(now)),)
        return (
            self._acknowledge(request, status, told, 0, options),
            Refused(request.home, request.care_of, status, f"{meaning(status)}: {why}"),
        )

    def _acknowledge(
        self,
        request: _Request,
        status: Status,
        sequence: int,
        units: int,
        options: tuple[Option, ...] = (),
    ) -> SendPacket:
        if request.bid is not None:
            options = (*options, replace(request.bid, status=0, care_of=None))
        message = BindingAcknowledgement(status, sequence, units, options=options)
        header = sign(message, request.association, request.care_of, request.home)
        via = None if request.packet.home is None else request.packet.source
        return SendPacket(Packet(header, self.address, request.home, via=via))


def _care_of(update: BindingUpdate, packet: Packet, bid: BindingId | None) -> IPv6Address:
    """The care-of address that an update is about (s9.5.1, RFC 5648 s5.2)."""
    if bid is not None and isinstance(bid.care_of, IPv6Address):
        return bid.care_of
    alternate = find(update.options, AlternateCareOf)
    return packet.source if alternate is None else alternate.address
