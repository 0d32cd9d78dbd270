"""The correspondent's end of route optimisation (RFC 6275 s9), sans-IO.

It remembers nothing of whom it tests; what it knows of a mobile node begins with an update that
proves that its sender receives at both addresses. Each answer is about as long as its question, so
it amplifies nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address

from mpa_hil.mobility.interface import NS_PER_S, Discarded, Instant
from mpa_hil.mobility.mip6.authentication import authorize, binding_key, is_authorized
from mpa_hil.mobility.mip6.bindings import (
    Binding,
    Bound,
    CacheOutput,
    Refused,
    Removal,
    SendPacket,
    endpoint,
    usable,
)
from mpa_hil.mobility.mip6.messages import (
    BindingAcknowledgement,
    BindingRefreshRequest,
    BindingUpdate,
    CareOfTest,
    CareOfTestInit,
    HomeTest,
    HomeTestInit,
    Packet,
    UnknownType,
    decode,
    find,
)
from mpa_hil.mobility.mip6.numbers import (
    LIFETIME_UNIT_S,
    MAX_NONCE_LIFETIME_S,
    MAX_RR_BINDING_LIFETIME_S,
    ErrorStatus,
    Status,
    Tuning,
    UpdateFlag,
    is_after,
    meaning,
)
from mpa_hil.mobility.mip6.options import AlternateCareOf, DecodeError, NonceIndices
from mpa_hil.mobility.mip6.refusing import ErrorSender
from mpa_hil.mobility.mip6.tokens import Tokens

_REFRESH_BEFORE_S = 10
"""So long before a binding ends the node is asked whether it wants to keep it."""


class Correspondent:
    """A binding cache, and the tests that fill it.

    Args:
        address: its own.
        random: so many octets that nobody can guess.
    """

    def __init__(
        self,
        address: IPv6Address,
        random: Callable[[int], bytes],
        tuning: Tuning | None = None,
    ) -> None:
        self.address = address
        self._tuning = tuning or Tuning()
        self._tokens = Tokens(random)
        self._errors = ErrorSender(address, self._tuning.error_interval_s)
        self._bindings: dict[IPv6Address, Binding] = {}
        self._asked: set[IPv6Address] = set()
        self._past: dict[IPv6Address, tuple[int, int]] = {}
        """Sequence numbers of bindings that went, and until when they count: as long as what
        authorised them does (s5.2.8), so that no update is taken twice."""

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """The binding cache."""
        return tuple(self._bindings.values())

    def receive(self, packet: Packet, now: Instant) -> tuple[CacheOutput, ...]:
        """Digest a Mobility Header; whatever it holds, this raises nothing."""
        return self.expire(now) + self._receive(packet, now)

    def unknown(
        self, home: IPv6Address, care_of: IPv6Address, now: Instant
    ) -> tuple[CacheOutput, ...]:
        """A packet with a Home Address option came from where no binding says (s9.3.1)."""
        return self._errors.to(care_of, home, ErrorStatus.UNKNOWN_BINDING, now)

    def withdraw(self, bound: Bound) -> None:
        """Forget a binding that the kernel could not carry out."""
        if self._bindings.get(bound.home_address) in bound.after:
            del self._bindings[bound.home_address]

    def expire(self, now: Instant) -> tuple[CacheOutput, ...]:
        """Ask for what is about to end, and drop what has ended."""
        outputs: list[CacheOutput] = []
        for home, binding in tuple(self._bindings.items()):
            if binding.expires_ns <= now.monotonic_ns:
                outputs.append(self._drop(home, Removal.EXPIRED, now))
            elif home not in self._asked and _ask_ns(binding) <= now.monotonic_ns:
                self._asked.add(home)
                header = BindingRefreshRequest().encode()
                outputs.append(SendPacket(Packet(header, self.address, home)))
        over = [home for home, (_, until_ns) in self._past.items() if until_ns <= now.monotonic_ns]
        for home in over:
            del self._past[home]
        return tuple(outputs)

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next thing for `expire` to do, or None."""
        times = [b.expires_ns for b in self._bindings.values()]
        times += [_ask_ns(b) for home, b in self._bindings.items() if home not in self._asked]
        times += [until_ns for _, until_ns in self._past.values()]
        return min(times, default=None)

    def _receive(self, packet: Packet, now: Instant) -> tuple[CacheOutput, ...]:
        source = endpoint(packet.source)
        try:
            message = decode(packet.header)
        except UnknownType as error:
            said = self._errors.about(packet, ErrorStatus.UNRECOGNIZED_TYPE, now)
            return (*said, Discarded(error.what, source))
        except DecodeError as error:
            return (Discarded(error.what, source),)
        if isinstance(message, HomeTestInit | CareOfTestInit):
            if packet.home is not None or not usable(packet.source):
                return (Discarded("a test with a Home Address option", source),)
            return (self._test(message, packet.source, now),)
        if not isinstance(message, BindingUpdate):
            return (Discarded("nothing that a correspondent is told", source),)
        if not usable(packet.source) or (packet.home is not None and not usable(packet.home)):
            return (Discarded("no unicast routable address", source),)
        return self._update(message, packet, now)

    def _test(
        self, message: HomeTestInit | CareOfTestInit, tested: IPv6Address, now: Instant
    ) -> SendPacket:
        answer: HomeTest | CareOfTest
        if isinstance(message, HomeTestInit):
            index, token = self._tokens.home(tested, now.monotonic_ns)
            answer = HomeTest(index, message.cookie, token)
        else:
            index, token = self._tokens.care_of(tested, now.monotonic_ns)
            answer = CareOfTest(index, message.cookie, token)
        return SendPacket(Packet(answer.encode(), self.address, tested))

    def _update(
        self, update: BindingUpdate, packet: Packet, now: Instant
    ) -> tuple[CacheOutput, ...]:
        source = endpoint(packet.source)
        if update.flags & UpdateFlag.HOME:
            return (Discarded("a home registration, where there is no home agent", source),)
        home = packet.source if packet.home is None else packet.home
        alternate = find(update.options, AlternateCareOf)
        care_of = packet.source if alternate is None else alternate.address
        deletes = update.lifetime_units == 0 or care_of == home
        if deletes:
            care_of = home
        indices = find(update.options, NonceIndices)
        if indices is None:
            return (Discarded("an update without nonce indices", source, security=True),)
        home_token = self._tokens.home_again(home, indices.home, now.monotonic_ns)
        care_of_token: bytes | None = b""
        if not deletes:
            care_of_token = self._tokens.care_of_again(care_of, indices.care_of, now.monotonic_ns)
        if home_token is None or care_of_token is None:
            status = Status.EXPIRED_HOME_NONCE
            if home_token is not None:
                status = Status.EXPIRED_CARE_OF_NONCE
            elif care_of_token is None:
                status = Status.EXPIRED_NONCES
            header = BindingAcknowledgement(status, update.sequence, 0).encode()
            return (self._answer(header, packet, home),)
        key = binding_key(home_token, care_of_token)
        if not is_authorized(packet.header, update, key, care_of, self.address):
            return (Discarded("no right authenticator", source, security=True),)
        if not usable(care_of):
            return (Discarded(f"{care_of} cannot be a care-of address", source),)

        def acknowledge(status: Status, sequence: int, units: int) -> SendPacket:
            message = BindingAcknowledgement(status, sequence, units)
            return self._answer(authorize(message, key, care_of, self.address), packet, home)

        last = self._last_sequence(home)
        if last is not None and not is_after(update.sequence, last):
            status = Status.SEQUENCE_OUT_OF_WINDOW
            why = f"{meaning(status)}: {update.sequence} after {last}"
            return acknowledge(status, last, 0), Refused(home, care_of, status, why)
        full = home not in self._bindings and len(self._bindings) >= self._tuning.maximum_bindings
        if full and not deletes:
            status = Status.RESOURCES
            said = Refused(home, care_of, status, meaning(status))
            return acknowledge(status, update.sequence, 0), said
        asked = bool(update.flags & UpdateFlag.ACKNOWLEDGE)
        if deletes:
            return self._delete(home, update, now) + (
                (acknowledge(Status.ACCEPTED, update.sequence, 0),) if asked else ()
            )
        units = min(update.lifetime_units, MAX_RR_BINDING_LIFETIME_S // LIFETIME_UNIT_S)
        lifetime_s = units * LIFETIME_UNIT_S
        expires_ns = now.monotonic_ns + lifetime_s * NS_PER_S
        binding = Binding(home, care_of, update.sequence, lifetime_s, expires_ns)
        before = (self._bindings[home],) if home in self._bindings else ()
        self._bindings[home] = binding
        self._past.pop(home, None)
        self._asked.discard(home)
        bound = Bound(home, before, (binding,))
        return (bound, acknowledge(Status.ACCEPTED, update.sequence, units)) if asked else (bound,)

    def _delete(
        self, home: IPv6Address, update: BindingUpdate, now: Instant
    ) -> tuple[CacheOutput, ...]:
        outputs: tuple[CacheOutput, ...] = ()
        if home in self._bindings:
            outputs = (self._drop(home, Removal.DEREGISTERED, now),)
        self._remember(home, update.sequence, now)
        return outputs

    def _drop(self, home: IPv6Address, reason: Removal, now: Instant) -> Bound:
        binding = self._bindings.pop(home)
        self._asked.discard(home)
        self._remember(home, binding.sequence, now)
        return Bound(home, (binding,), (), reason)

    def _remember(self, home: IPv6Address, sequence: int, now: Instant) -> None:
        if home not in self._past and len(self._past) >= self._tuning.maximum_bindings:
            self._past.clear()
            self._tokens.forget()  # the RFC's last measure: all have to be tested anew
        self._past[home] = sequence, now.monotonic_ns + MAX_NONCE_LIFETIME_S * NS_PER_S

    def _last_sequence(self, home: IPv6Address) -> int | None:
        if home in self._bindings:
            return self._bindings[home].sequence
        past = self._past.get(home)
        return None if past is None else past[0]

    def _answer(self, header: bytes, packet: Packet, home: IPv6Address) -> SendPacket:
        via = None if packet.home is None else packet.source
        return SendPacket(Packet(header, self.address, home, via=via))


def _ask_ns(binding: Binding) -> int:
    early_s = min(_REFRESH_BEFORE_S, binding.lifetime_s / 4)
    return binding.expires_ns - int(early_s * NS_PER_S)
