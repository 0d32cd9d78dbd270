"""The mobile node's end of route optimisation (RFC 6275 s11.6, s11.7.2), sans-IO.

For each correspondent: test both addresses (tokens are used as long as they last), send an update
that both tokens sign, and when it is acknowledged speak directly. While a new care-of address is
being tested the binding of the one before stays in use, as long as the owner says that it works;
whoever gives up goes back to the tunnel and has the correspondent told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from mpa_hil.mobility.interface import NS_PER_S, Discarded, Instant
from mpa_hil.mobility.mip6.authentication import authorize, binding_key, is_authorized
from mpa_hil.mobility.mip6.bindings import Optimised, SendPacket, Unoptimised, endpoint
from mpa_hil.mobility.mip6.messages import (
    COOKIE_OCTETS,
    BindingAcknowledgement,
    BindingError,
    BindingRefreshRequest,
    BindingUpdate,
    CareOfTest,
    CareOfTestInit,
    HomeTest,
    HomeTestInit,
    Packet,
    decode,
)
from mpa_hil.mobility.mip6.numbers import (
    LIFETIME_UNIT_S,
    MAX_RO_FAILURE,
    MAX_RR_BINDING_LIFETIME_S,
    MAX_TOKEN_LIFETIME_S,
    MAX_UPDATE_RATE,
    PATIENCE_S,
    REFUSED,
    ErrorStatus,
    Status,
    Tuning,
    UpdateFlag,
    meaning,
)
from mpa_hil.mobility.mip6.options import AlternateCareOf, DecodeError, NonceIndices

OptimiserOutput = SendPacket | Optimised | Unoptimised | Discarded
_NS_BETWEEN = NS_PER_S // MAX_UPDATE_RATE
_KEPT_TOKENS = 8
_STALE = frozenset({Status.EXPIRED_HOME_NONCE, Status.EXPIRED_CARE_OF_NONCE, Status.EXPIRED_NONCES})


@dataclass(frozen=True, slots=True)
class _Token:
    index: int
    token: bytes = field(repr=False)
    until_ns: int


@dataclass(slots=True)
class _Peer:
    """What is known of one correspondent."""

    sequence: int
    home_token: _Token | None = None
    care_of_tokens: dict[IPv6Address, _Token] = field(default_factory=dict)
    wanted: IPv6Address | None = None
    """The care-of address that it is to know; None: nothing is under way or wanted."""
    cookies: dict[bytes, IPv6Address | None] = field(default_factory=dict)
    """Of the tests under way: the care-of address tested, None for the home address."""
    sent: dict[int, tuple[bytes, IPv6Address, int]] = field(default_factory=dict)
    """Updates that an acknowledgement may answer: key, care-of address and when, by sequence."""
    bound: IPv6Address | None = None
    """The care-of address in use."""
    deleting: bool = False
    """It was given up, and is to forget what it may know."""
    held_until_ns: int = 0
    """So long it may have a binding, whatever the node knows of it."""
    expires_ns: int = 0
    renew_ns: int | None = None
    due_ns: int | None = None
    interval_s: float = 1.0
    failures: int = 0
    patience_ns: int = 0
    """So long a change of care-of address waits for it."""
    earliest_ns: int = 0
    """Before this nothing more is sent to it (s11.8)."""


class Optimiser:
    """Correspondents that are to be spoken to directly.

    Args:
        correspondents: those. Others are never told anything.
        random: so many octets that nobody can guess.
    """

    def __init__(
        self,
        home_address: IPv6Address,
        correspondents: Iterable[IPv6Address],
        random: Callable[[int], bytes],
        tuning: Tuning | None = None,
    ) -> None:
        self._home = home_address
        self._random = random
        self._tuning = tuning or Tuning()
        self._peers = {
            address: _Peer(int.from_bytes(random(2), "big")) for address in correspondents
        }

    def settled(self, now: Instant) -> bool:
        """Whether no correspondent sends to a care-of address before, as far as waiting helps: each
        that may know one has confirmed the present one, has forgotten it, or is silent."""
        return not any(
            peer.due_ns is not None and now.monotonic_ns < min(peer.patience_ns, peer.held_until_ns)
            for peer in self._peers.values()
        )

    def abandon(self) -> tuple[OptimiserOutput, ...]:
        """The care-of address in use is dead: back to the tunnel, until `move`."""
        outputs: list[OptimiserOutput] = []
        for address, peer in self._peers.items():
            outputs += self._leave(address, peer, "its care-of address is dead")
            peer.wanted, peer.due_ns, peer.deleting = None, None, False
        return tuple(outputs)

    def move(self, care_of: IPv6Address, now: Instant) -> tuple[OptimiserOutput, ...]:
        """The home agent knows a care-of address: tell the correspondents too."""
        outputs: list[OptimiserOutput] = []
        for address, peer in self._peers.items():
            peer.wanted, peer.failures, peer.deleting = care_of, 0, False
            peer.patience_ns = now.monotonic_ns + int(PATIENCE_S * NS_PER_S)
            peer.cookies.clear()
            outputs += self._step(address, peer, now)
        return tuple(outputs)

    def forget(self, now: Instant) -> tuple[OptimiserOutput, ...]:
        """Have all correspondents forget the node; nothing is sent again."""
        outputs: list[OptimiserOutput] = []
        for address, peer in self._peers.items():
            was = peer.bound
            outputs += self._leave(address, peer, "the node leaves")
            peer.wanted, peer.due_ns, peer.deleting = None, None, False
            token = _fresh(peer.home_token, now)
            if was is not None and token is not None:
                outputs.append(self._delete(address, peer, was, token, now))
        return tuple(outputs)

    def receive(self, packet: Packet, now: Instant) -> tuple[OptimiserOutput, ...]:
        """Digest a Mobility Header of a correspondent; whatever it holds, this raises nothing."""
        peer = self._peers.get(packet.source)
        if peer is None:
            return (Discarded("no correspondent of ours", endpoint(packet.source)),)
        try:
            message = decode(packet.header)
        except DecodeError as error:
            return (Discarded(error.what, endpoint(packet.source)),)
        match message:
            case HomeTest() | CareOfTest():
                return self._tested(packet, message, peer, now)
            case BindingAcknowledgement():
                return self._acknowledged(packet, message, peer, now)
            case BindingRefreshRequest():
                return self._refresh(packet.source, peer, now)
            case BindingError():
                return self._error(packet.source, message, peer, now)
        return (Discarded("nothing that a node is told", endpoint(packet.source)),)

    def expire(self, now: Instant) -> tuple[OptimiserOutput, ...]:
        """Send again, give up, renew, or note a binding's end, whichever is due."""
        outputs: list[OptimiserOutput] = []
        for address, peer in self._peers.items():
            if peer.patience_ns <= now.monotonic_ns:
                peer.patience_ns = 0
            if peer.bound is not None and peer.expires_ns <= now.monotonic_ns:
                outputs += self._leave(address, peer, "the binding ran out")
            if peer.renew_ns is not None and peer.renew_ns <= now.monotonic_ns:
                outputs += self._refresh(address, peer, now)
            if peer.due_ns is not None and peer.due_ns <= now.monotonic_ns:
                peer.failures += 1
                if peer.deleting and peer.held_until_ns <= now.monotonic_ns:
                    peer.due_ns, peer.deleting = None, False
                elif peer.failures > MAX_RO_FAILURE and not peer.deleting:
                    outputs += self._give_up(address, peer, "no answer", now)
                else:
                    outputs += self._step(address, peer, now)
        return tuple(outputs)

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next thing for `expire` to do, or None."""
        times: list[int] = []
        for peer in self._peers.values():
            times += [due for due in (peer.due_ns, peer.renew_ns) if due is not None]
            times += [peer.expires_ns] if peer.bound is not None else []
            times += [peer.patience_ns] if peer.patience_ns else []
        return min(times, default=None)

    def _step(self, address: IPv6Address, peer: _Peer, now: Instant) -> tuple[OptimiserOutput, ...]:
        """Send what is needed next: tests, or the update."""
        care_of = peer.wanted
        if care_of is None and not peer.deleting:
            return ()
        if now.monotonic_ns < peer.earliest_ns:
            peer.due_ns = peer.earliest_ns
            peer.failures -= 1  # a wait, not a failure
            return ()
        if peer.failures <= 0:
            peer.failures, peer.interval_s = 0, self._tuning.minimum_interval_s
        home_token = _fresh(peer.home_token, now)
        care_of_token = _fresh(peer.care_of_tokens.get(care_of), now) if care_of else None
        peer.earliest_ns = now.monotonic_ns + _NS_BETWEEN
        peer.due_ns = now.monotonic_ns + int(peer.interval_s * NS_PER_S)
        peer.interval_s = min(2 * peer.interval_s, self._tuning.maximum_interval_s)
        if home_token is not None and care_of is None:
            return (self._delete(address, peer, self._home, home_token, now),)
        if home_token is not None and care_of is not None and care_of_token is not None:
            return (self._update(address, peer, care_of, home_token, care_of_token, now),)
        outputs: list[OptimiserOutput] = []
        peer.cookies.clear()
        if home_token is None:
            cookie = self._random(COOKIE_OCTETS)
            peer.cookies[cookie] = None
            header = HomeTestInit(cookie).encode()
            outputs.append(SendPacket(Packet(header, self._home, address)))
        if care_of is not None and care_of_token is None:
            cookie = self._random(COOKIE_OCTETS)
            peer.cookies[cookie] = care_of
            header = CareOfTestInit(cookie).encode()
            outputs.append(SendPacket(Packet(header, care_of, address)))
        return tuple(outputs)

    def _update(
        self,
        address: IPv6Address,
        peer: _Peer,
        care_of: IPv6Address,
        home_token: _Token,
        care_of_token: _Token,
        now: Instant,
    ) -> SendPacket:
        peer.sequence = (peer.sequence + 1) & 0xFFFF
        key = binding_key(home_token.token, care_of_token.token)
        self._note(peer, key, care_of, now)
        lifetime_s = min(self._tuning.lifetime_s, MAX_RR_BINDING_LIFETIME_S)
        peer.held_until_ns = now.monotonic_ns + lifetime_s * NS_PER_S
        update = BindingUpdate(
            peer.sequence,
            UpdateFlag.ACKNOWLEDGE,
            lifetime_s // LIFETIME_UNIT_S,
            (NonceIndices(home_token.index, care_of_token.index),),
        )
        header = authorize(update, key, care_of, address)
        return SendPacket(Packet(header, care_of, address, home=self._home))

    def _delete(
        self, address: IPv6Address, peer: _Peer, source: IPv6Address, token: _Token, now: Instant
    ) -> SendPacket:
        """An update with lifetime 0, which only the home token has to sign."""
        peer.sequence = (peer.sequence + 1) & 0xFFFF
        key = binding_key(token.token)
        self._note(peer, key, self._home, now)
        options = (AlternateCareOf(self._home), NonceIndices(token.index, 0))
        update = BindingUpdate(peer.sequence, UpdateFlag.ACKNOWLEDGE, 0, options)
        header = authorize(update, key, self._home, address)
        home = None if source == self._home else self._home
        return SendPacket(Packet(header, source, address, home=home))

    def _note(self, peer: _Peer, key: bytes, care_of: IPv6Address, now: Instant) -> None:
        """Remember an update until it is answered."""
        peer.sent[peer.sequence] = key, care_of, now.monotonic_ns
        if len(peer.sent) > MAX_RO_FAILURE + 1:
            del peer.sent[next(iter(peer.sent))]

    def _tested(
        self, packet: Packet, message: HomeTest | CareOfTest, peer: _Peer, now: Instant
    ) -> tuple[OptimiserOutput, ...]:
        tested = peer.cookies.get(message.cookie, packet.source)
        expected = self._home if isinstance(message, HomeTest) else tested
        is_home = isinstance(message, HomeTest)
        if tested == packet.source or (tested is None) != is_home:
            return (Discarded("an answer to no test of ours", endpoint(packet.source)),)
        if packet.destination != expected or packet.home is not None or packet.via is not None:
            return (Discarded("a test that came to another address", endpoint(packet.source)),)
        del peer.cookies[message.cookie]
        until_ns = now.monotonic_ns + MAX_TOKEN_LIFETIME_S * NS_PER_S
        token = _Token(message.nonce_index, message.token, until_ns)
        if tested is None:
            peer.home_token = token
        else:
            peer.care_of_tokens[tested] = token
            if len(peer.care_of_tokens) > _KEPT_TOKENS:
                del peer.care_of_tokens[next(iter(peer.care_of_tokens))]
        if peer.cookies:
            return ()
        peer.earliest_ns = 0  # another type of message
        peer.failures = max(peer.failures, 0)
        return self._step(packet.source, peer, now)

    def _acknowledged(
        self, packet: Packet, message: BindingAcknowledgement, peer: _Peer, now: Instant
    ) -> tuple[OptimiserOutput, ...]:
        address = packet.source
        if message.status in _STALE:
            if message.sequence not in peer.sent or peer.due_ns is None:
                return (Discarded("an answer to no update of ours", endpoint(address)),)
            # Unsigned (s9.5.4), so all it can do is make us test again.
            peer.home_token = None
            peer.care_of_tokens.clear()
            return ()
        sent = peer.sent.get(message.sequence)
        candidates = [sent] if sent is not None else []
        if message.status == Status.SEQUENCE_OUT_OF_WINDOW:
            candidates = list(peer.sent.values())
        signed = any(
            is_authorized(packet.header, message, key, care_of, address)
            for key, care_of, _ in candidates
        )
        if not signed:
            return (Discarded("no right authenticator", endpoint(address), security=True),)
        if message.status == Status.SEQUENCE_OUT_OF_WINDOW:
            peer.sequence = message.sequence
            peer.earliest_ns = 0
            return self._step(address, peer, now)
        assert sent is not None
        _, care_of, sent_ns = sent
        if care_of == self._home and peer.deleting:
            peer.sent.clear()
            peer.due_ns, peer.deleting, peer.held_until_ns = None, False, 0
            return ()
        if care_of != peer.wanted:
            return (Discarded("an answer about another care-of address", endpoint(address)),)
        peer.sent.clear()
        if message.status >= REFUSED:
            return self._give_up(address, peer, meaning(message.status), now)
        lifetime_s = message.lifetime_units * LIFETIME_UNIT_S
        peer.bound, peer.due_ns, peer.failures = care_of, None, 0
        peer.expires_ns = sent_ns + lifetime_s * NS_PER_S
        peer.renew_ns = sent_ns + int(lifetime_s * self._tuning.renew_fraction * NS_PER_S)
        return (Optimised(address, care_of, lifetime_s),)

    def _refresh(
        self, address: IPv6Address, peer: _Peer, now: Instant
    ) -> tuple[OptimiserOutput, ...]:
        peer.renew_ns = None
        if peer.bound is None or peer.due_ns is not None:
            return (Discarded("nothing to refresh", endpoint(address)),)
        peer.wanted, peer.failures = peer.bound, 0
        return self._step(address, peer, now)

    def _error(
        self, address: IPv6Address, message: BindingError, peer: _Peer, now: Instant
    ) -> tuple[OptimiserOutput, ...]:
        if message.status == ErrorStatus.UNRECOGNIZED_TYPE and peer.due_ns is not None:
            return self._give_up(address, peer, "it knows no route optimisation", now)
        if message.status != ErrorStatus.UNKNOWN_BINDING or peer.bound is None:
            return (Discarded("an error about nothing of ours", endpoint(address)),)
        if message.home_address != self._home:
            return (Discarded("an error about another home address", endpoint(address)),)
        peer.wanted = peer.wanted or peer.bound
        left = self._leave(address, peer, "it has no binding")
        if peer.due_ns is not None:
            return left
        peer.failures = 0
        return left + self._step(address, peer, now)

    def _give_up(
        self, address: IPv6Address, peer: _Peer, reason: str, now: Instant
    ) -> tuple[OptimiserOutput, ...]:
        """Back to the tunnel. If it may know a care-of address it is told to forget that, until it
        says that it has: else it would go on sending to where the node is no longer."""
        outputs = self._leave(address, peer, reason) or (Unoptimised(address, reason),)
        peer.wanted, peer.due_ns, peer.failures = None, None, 0
        peer.deleting = now.monotonic_ns < peer.held_until_ns
        return outputs + self._step(address, peer, now)

    def _leave(self, address: IPv6Address, peer: _Peer, reason: str) -> tuple[OptimiserOutput, ...]:
        peer.renew_ns = None
        if peer.bound is None:
            return ()
        peer.bound = None
        return (Unoptimised(address, reason),)


def _fresh(token: _Token | None, now: Instant) -> _Token | None:
    return token if token is not None and now.monotonic_ns < token.until_ns else None
