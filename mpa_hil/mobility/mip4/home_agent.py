"""The home agent of Mobile IPv4 (RFC 5944 s3.8), sans-IO.

`receive` applies the checks in the order of s3.8.2.1: association, authenticator, identification,
then fields and policy. Nothing is looked at for its content before its author is known, and no
binding changes unless every check has passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address

from mpa_hil.mobility.interface import NS_PER_S, Discarded, Endpoint, Instant, Send
from mpa_hil.mobility.mip4 import identification as ids
from mpa_hil.mobility.mip4.authentication import (
    SecurityAssociation,
    mobile_home_extensions,
    sign,
    verify,
)
from mpa_hil.mobility.mip4.beside import Beside
from mpa_hil.mobility.mip4.bindings import (
    Binding,
    BindingAdded,
    BindingChanged,
    BindingRefreshed,
    BindingRemoved,
    CopiesChanged,
    HomeOutput,
    Refused,
    Removal,
    Subscriber,
)
from mpa_hil.mobility.mip4.codes import Code, meaning
from mpa_hil.mobility.mip4.messages import (
    INFINITE_LIFETIME,
    DecodeError,
    ExtensionType,
    Flag,
    RegistrationReply,
    RegistrationRequest,
    decode,
)
from mpa_hil.mobility.mip4.mobile_node import usable
from mpa_hil.mobility.mip4.tuning import Tuning
from mpa_hil.mobility.recorded import Recorded, calendar, expiry


class HomeAgent:
    """Mobility bindings of the nodes it serves: one each, and beside it for a while others that a
    node has asked to be kept (S bit, s3.8.2.3): packets go to all of them.

    Args:
        address: its own unicast address; requests that name another get code 136.
        subscribers: whom it serves.
        started: when it began to serve. Time stamps before that are refused (code 133), so that a
            restart, which forgets what was accepted, opens no window for replays.
        tuning: window, lifetime cap and table size.
        reverse_tunnel: whether the T bit is granted (else code 137).
        source_must_match: deny (129) a co-located care-of address that is not the request's IP
            source: s3.6.1.1 demands that it is, and with ingress filtering it keeps a node from
            pointing its traffic at somebody else.
        simultaneous_s: how long a binding is kept beside a later one at the most, whatever its own
            lifetime; 0: never, and whenever one is accepted that is said (code 1, s3.8.3.2).
    """

    def __init__(
        self,
        address: IPv4Address,
        subscribers: Iterable[Subscriber],
        *,
        started: Instant,
        tuning: Tuning | None = None,
        reverse_tunnel: bool = True,
        source_must_match: bool = True,
        simultaneous_s: int = 0,
    ) -> None:
        self.address = address
        self._subscribers = {entry.home_address: entry for entry in subscribers}
        self._tuning = tuning or Tuning()
        self._reverse_tunnel = reverse_tunnel
        self._source_must_match = source_must_match
        self._bindings: dict[IPv4Address, Binding] = {}
        self._beside = Beside(simultaneous_s)
        self._accepted = Code.ACCEPTED if simultaneous_s else Code.ACCEPTED_NOT_SIMULTANEOUS
        floor = ids.from_unix_ns(started.unix_ns)
        self._calendar_ns = started.unix_ns - started.monotonic_ns
        self._ahead_ns = 0
        """Of the calendar, which was set back since a floor was written down. Nodes follow this
        agent's clock, and would be refused until the calendar is there again."""
        self._floors = dict.fromkeys(self._subscribers, floor)

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """The mobility binding list."""
        return tuple(self._bindings.values())

    def receive(self, datagram: bytes, source: Endpoint, now: Instant) -> tuple[HomeOutput, ...]:
        """Digest one datagram from port 434; whatever it holds, this raises nothing."""
        overdue = self.expire(now)
        return overdue + self._receive(datagram, source, now)

    def expire(self, now: Instant) -> tuple[HomeOutput, ...]:
        """Drop the bindings whose lifetime is over; nobody is told (s3.8)."""
        outputs: list[HomeOutput] = []
        for home in self._beside.expire(now.monotonic_ns):
            outputs += self._copies(home)
        for binding in self.bindings:
            if binding.expires_ns is not None and binding.expires_ns <= now.monotonic_ns:
                outputs += self._end(binding, Removal.EXPIRED)
        return tuple(outputs)

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next expiry, or None."""
        times = [binding.expires_ns for binding in self._bindings.values()]
        times.append(self._beside.next_deadline())
        return min((time for time in times if time is not None), default=None)

    def others(self, home_address: IPv4Address) -> tuple[IPv4Address, ...]:
        """Where copies go beside its binding, the latest last."""
        return self._beside.of(home_address)

    def record(self, home_address: IPv4Address, now: Instant) -> dict[str, object]:
        """What must outlive this process of a home address; `restore` takes it."""
        record: dict[str, object] = {"floor": self._floors[home_address], "bindings": []}
        binding = self._bindings.get(home_address)
        if binding is not None:
            ends_ns = -1 if binding.expires_ns is None else calendar(binding.expires_ns, now)
            record["bindings"] = [
                {
                    "care_of": str(binding.care_of),
                    "identification": binding.identification,
                    "lifetime_s": binding.lifetime_s,
                    "expires_unix_ns": ends_ns,
                    "reverse_tunnel": int(binding.reverse_tunnel),
                    "address": str(binding.registered_from.address),
                    "port": binding.registered_from.port,
                    "spi": binding.spi,
                }
            ]
        return record

    def restore(
        self, home_address: IPv4Address, record: Mapping[str, object], now: Instant
    ) -> tuple[HomeOutput, ...]:
        """Go on from what an earlier process wrote down; what is over since then is left out."""
        if home_address not in self._subscribers:
            return ()
        try:
            read = Recorded(record)
            floor = read.number("floor")
            bindings = [_restored(home_address, entry, now) for entry in read.each("bindings")]
        except ValueError as error:
            source = Endpoint(home_address, 0)
            return (Discarded(f"a record that cannot be read: {error}", source),)
        if ids.is_after(floor, self._floors[home_address]):
            self._floors[home_address] = floor
            ours_ns = now.monotonic_ns + self._calendar_ns  # `now` may be by another's clocks
            self._ahead_ns = max(self._ahead_ns, ids.ahead_ns(floor, ours_ns))
        known = {entry.spi for entry in self._subscribers[home_address].associations}
        for binding in (entry for entry in bindings if entry.spi in known):
            if binding.expires_ns is None or binding.expires_ns > now.monotonic_ns:
                self._bindings[home_address] = binding
                return (BindingAdded(binding),)
        return ()

    def withdraw(
        self, home_address: IPv4Address, before: Binding | None = None
    ) -> tuple[HomeOutput, ...]:
        """Take back a binding that could not be carried out: code 130 instead of the acceptance.

        For an agent whose kernel refused the tunnel before the reply was sent.

        Args:
            before: the binding that was to be replaced and still stands in the kernel; it stands
                again.
        """
        binding = self._bindings.pop(home_address, None)
        if binding is None:
            return ()
        self._beside.clear(home_address)
        reply = RegistrationReply(
            Code.HA_RESOURCES, 0, home_address, self.address, binding.identification
        )
        known = self._subscribers[home_address].associations
        association = next(entry for entry in known if entry.spi == binding.spi)
        denial = self._reply(reply, association, binding.registered_from)
        if before is not None:
            self._bindings[home_address] = before
            return (denial,)
        return BindingRemoved(binding, Removal.WITHDRAWN), denial

    def _receive(self, datagram: bytes, source: Endpoint, now: Instant) -> tuple[HomeOutput, ...]:
        try:
            request = decode(datagram)
        except DecodeError as error:
            return (Discarded(error.what, source),)
        if not isinstance(request, RegistrationRequest):
            return (Discarded("a reply, where only requests are expected", source),)
        subscriber = self._subscribers.get(request.home_address)
        signatures = mobile_home_extensions(request)
        if subscriber is None:
            return (Discarded(f"no association with {request.home_address}", source),)
        if not signatures:
            return (Discarded("no authorization-enabling extension", source, security=True),)
        associations = {entry.spi: entry for entry in subscriber.associations}
        signers = [verify(datagram, signature, associations.get) for signature in signatures]
        association = signers[0]
        if association is None or not all(signers):
            default = subscriber.associations[0]
            return self._refuse(
                Code.HA_MOBILE_AUTHENTICATION, "wrong authenticator", request, default, source, now
            )
        if any(e.type == ExtensionType.FOREIGN_HOME_AUTHENTICATION for e in request.extensions):
            # s3.8.2.1d: signed by a foreign agent that we share nothing with
            return (Discarded("an unverifiable foreign agent", source, security=True),)
        if not self._is_fresh(request, now):
            code, why = Code.HA_IDENTIFICATION, "time stamp outside the window or not newer"
            return self._refuse(code, why, request, association, source, now)
        # Accepted as a time stamp, whatever becomes of the request: it can never be used again.
        self._floors[request.home_address] = request.identification
        fault = self._fault(request, subscriber, source)
        if fault is not None:
            return self._refuse(*fault, request, association, source, now)
        return self._accept(request, subscriber, association, source, now)

    def _is_fresh(self, request: RegistrationRequest, now: Instant) -> bool:
        ours = ids.from_unix_ns(now.unix_ns + self._ahead_ns)
        apart_s = abs(ids.difference_s(request.identification, ours))
        newer = ids.is_after(request.identification, self._floors[request.home_address])
        return newer and apart_s <= self._tuning.timestamp_window_s

    def _fault(
        self, request: RegistrationRequest, subscriber: Subscriber, source: Endpoint
    ) -> tuple[Code, str] | None:
        """What keeps an authentic, fresh request from being granted."""
        if request.home_agent != self.address:
            return Code.HA_UNKNOWN_ADDRESS, f"it names home agent {request.home_agent}"
        if request.flags & (Flag.RESERVED_R | Flag.RESERVED_X):
            # s3.3 says ignore, s3.8.2.3 says MUST reject: the capital letters win.
            return Code.HA_POOR_REQUEST, "a reserved bit is set"
        care_of = request.care_of
        if not usable(care_of):
            return Code.HA_POOR_REQUEST, f"{care_of} cannot be a care-of address"
        if request.lifetime_s == 0:
            return None
        if care_of in (request.home_address, self.address):
            return Code.HA_POOR_REQUEST, "the tunnel would end where it starts"
        if not request.flags & Flag.DECAPSULATION_BY_MOBILE:
            return Code.HA_PROHIBITED, "foreign agents are not served (D bit clear)"
        if self._source_must_match and source.address != care_of:
            return Code.HA_PROHIBITED, f"sent from {source.address}, not from its care-of address"
        networks = subscriber.care_of_networks
        if networks and not any(care_of in network for network in networks):
            return Code.HA_PROHIBITED, f"{care_of} is outside the networks it may visit"
        for other in self._bindings.values():
            if other.care_of == care_of and other.home_address != request.home_address:
                return Code.HA_PROHIBITED, f"{care_of} is in use by {other.home_address}"
        if request.flags & Flag.REVERSE_TUNNEL and not self._reverse_tunnel:
            return Code.HA_REVERSE_TUNNEL, "reverse tunnels are switched off"
        full = len(self._bindings) >= self._tuning.maximum_bindings
        if full and request.home_address not in self._bindings:
            return Code.HA_RESOURCES, f"{len(self._bindings)} bindings stand already"
        return None

    def _accept(
        self,
        request: RegistrationRequest,
        subscriber: Subscriber,
        association: SecurityAssociation,
        source: Endpoint,
        now: Instant,
    ) -> tuple[HomeOutput, ...]:
        home = request.home_address
        old, copied = self._bindings.get(home), self._beside.of(home)
        outputs: list[HomeOutput] = []
        lifetime_s = min(
            request.lifetime_s, subscriber.maximum_lifetime_s or self._tuning.maximum_lifetime_s
        )
        if request.lifetime_s == 0:
            lifetime_s = 0
            self._beside.drop(home, request.care_of)
            if old is not None and request.care_of in (home, old.care_of):
                outputs += self._end(old, Removal.DEREGISTERED)
        else:
            endless = lifetime_s == INFINITE_LIFETIME
            binding = Binding(
                home,
                request.care_of,
                request.identification,
                lifetime_s,
                None if endless else now.monotonic_ns + lifetime_s * NS_PER_S,
                bool(request.flags & Flag.REVERSE_TUNNEL),
                source,
                association.spi,
            )
            self._bindings[home] = binding
            if request.flags & Flag.SIMULTANEOUS:
                self._beside.keep(old, binding.care_of, now.monotonic_ns)
            else:
                self._beside.clear(home)
            if old is None:
                outputs.append(BindingAdded(binding))
            elif old.care_of != binding.care_of:
                outputs.append(BindingChanged(old, binding, self._beside.of(home)))
            else:
                outputs.append(BindingRefreshed(binding))
        if home in self._bindings and self._beside.of(home) != copied:
            outputs += self._copies(home)
        reply = RegistrationReply(
            self._accepted, lifetime_s, home, self.address, request.identification
        )
        outputs.append(self._reply(reply, association, source))
        return tuple(outputs)

    def _end(self, binding: Binding, reason: Removal) -> tuple[HomeOutput, ...]:
        """The binding goes, and with it what stands beside it."""
        del self._bindings[binding.home_address]
        self._beside.clear(binding.home_address)
        return (BindingRemoved(binding, reason),)

    def _copies(self, home: IPv4Address) -> tuple[HomeOutput, ...]:
        binding = self._bindings.get(home)
        if binding is None:
            return ()
        return (CopiesChanged(home, binding.care_of, self._beside.of(home)),)

    def _refuse(
        self,
        code: Code,
        why: str,
        request: RegistrationRequest,
        association: SecurityAssociation,
        source: Endpoint,
        now: Instant,
    ) -> tuple[HomeOutput, ...]:
        home = request.home_address
        reply = RegistrationReply(code, 0, home, self.address, request.identification)
        if code == Code.HA_IDENTIFICATION:
            stamp = ids.mismatch(request.identification, now.unix_ns + self._ahead_ns)
            reply = replace(reply, identification=stamp)
        refused = Refused(home, request.care_of, code, meaning(code), why, source)
        return refused, self._reply(reply, association, source)

    def _reply(
        self, reply: RegistrationReply, association: SecurityAssociation, source: Endpoint
    ) -> Send:
        return Send(
            sign(reply, association),
            source,
            source=self.address,
            on_home_link=source.address == reply.home_address,
        )


def _restored(home: IPv4Address, entry: Recorded, now: Instant) -> Binding:
    ends_ns, life_s = entry.number("expires_unix_ns"), entry.number("lifetime_s")
    return Binding(
        home,
        IPv4Address(entry.text("care_of")),
        entry.number("identification"),
        life_s,
        None if ends_ns < 0 else expiry(ends_ns, life_s, now),
        bool(entry.number("reverse_tunnel")),
        Endpoint(IPv4Address(entry.text("address")), entry.number("port")),
        entry.number("spi"),
    )
