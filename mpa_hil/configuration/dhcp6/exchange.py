"""One DHCPv6 exchange for a mobile node that is elsewhere. Sans-IO.

SOLICIT, ADVERTISE, REQUEST, REPLY with the MN's DUID and IAID (RFC 8415 s18.2), from the agent's
own link-local address. Unlike in DHCPv4, a server without addresses says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address

from mpa_hil.configuration.acquisition import Failed, Transmit
from mpa_hil.configuration.dhcp6.message import (
    ALL_SERVERS,
    CLIENT_PORT,
    SERVER_PORT,
    Association,
    Kind,
    Message,
    Option,
    Options,
    Status,
    address_option,
    status_in,
)
from mpa_hil.configuration.frames6 import multicast_udp
from mpa_hil.configuration.interface import Code, Wish
from mpa_hil.light import light
from mpa_hil.mobility.interface import Instant

_NS_PER_MS = 1_000_000
_INFINITE = 0xFFFFFFFF
_MAXIMUM_ELAPSED = 0xFFFF
"""In hundredths of a second (RFC 8415 s21.9)."""


@dataclass(frozen=True, slots=True)
class Dhcp6Timing:
    """Time-outs, in milliseconds: RFC 8415 s7.6 begins with 1 s too, and waits that second for
    better servers; here the first that offers an address is asked for it."""

    solicit_ms: tuple[int, ...] = (1000, 2000, 3500)
    request_ms: tuple[int, ...] = (1000, 2000)


@dataclass(frozen=True, slots=True)
class Lease6:
    """What the server gave."""

    address: IPv6Address
    server_id: bytes
    dns: tuple[IPv6Address, ...]
    lease_s: float
    """From when the request was sent: the valid lifetime."""
    renew_s: float
    requested_ns: int


@light
class Leased6:
    """The exchange is over: bound, or renewed."""

    lease: Lease6


Output = Transmit | Leased6 | Failed


class _State(Enum):
    SOLICITING = Kind.SOLICIT
    REQUESTING = Kind.REQUEST
    RENEWING = Kind.RENEW
    OVER = None


class Exchange6:
    """From the first message to an address or none.

    Args:
        wish: for whom, and what.
        mac: the agent's own, of its interface on the link.
        random: source of transaction identifiers.
    """

    def __init__(
        self, wish: Wish, mac: bytes, random: Callable[[int], bytes], timing: Dhcp6Timing
    ) -> None:
        self._wish = wish
        self._mac = mac
        self._random = random
        self._timing = timing
        self._state = _State.OVER
        self._xid = 0
        self._server_id = b""
        self._address: IPv6Address | None = None
        self._begun_ns = 0
        self._sent_ns = 0
        self._due_ns: int | None = None
        self._tries = 0
        self._none = ""
        """What a server without addresses said."""

    def begin(self, now: Instant) -> tuple[Output, ...]:
        """Ask for an address."""
        wanted = self._wish.wanted
        self._address = wanted if isinstance(wanted, IPv6Address) else None
        self._none = ""
        return self._enter(_State.SOLICITING, now)

    def renew(self, address: IPv6Address, server_id: bytes, now: Instant) -> tuple[Output, ...]:
        """Ask for more time."""
        self._address, self._server_id = address, server_id
        return self._enter(_State.RENEWING, now)

    def part(self, kind: Kind, address: IPv6Address, server_id: bytes) -> Transmit:
        """RELEASE or DECLINE; the answer is not waited for."""
        xid = int.from_bytes(self._random(3), "big")
        association = Association(self._wish.association, options=(address_option(address),))
        options = (
            (int(Option.CLIENT_ID), self._wish.client_id),
            (int(Option.SERVER_ID), server_id),
            (int(Option.ELAPSED), bytes(2)),
            association.encode(),
        )
        return self._transmit(Message(kind, xid, options))

    def receive(self, message: Message, now: Instant) -> tuple[Output, ...]:
        """Digest a message of a server; what does not fit changes nothing."""
        server_id = message.option(Option.SERVER_ID)
        fits = message.option(Option.CLIENT_ID) == self._wish.client_id and server_id
        if message.xid != self._xid or not fits:
            return ()
        if message.kind is Kind.ADVERTISE and self._state is _State.SOLICITING:
            return self._advertised(message, server_id, now)
        replies = (_State.REQUESTING, _State.RENEWING)
        if message.kind is Kind.REPLY and self._state in replies and server_id == self._server_id:
            return self._replied(message)
        return ()

    def expire(self, now: Instant) -> tuple[Output, ...]:
        """Repeat, or give up; harmless at other times."""
        if self._due_ns is None or self._due_ns > now.monotonic_ns:
            return ()
        return self._try(now)

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next repeat, None when it is over."""
        return self._due_ns

    def _enter(self, state: _State, now: Instant) -> tuple[Output, ...]:
        self._state, self._tries, self._begun_ns = state, 0, now.monotonic_ns
        self._xid = int.from_bytes(self._random(3), "big")
        return self._try(now)

    def _try(self, now: Instant) -> tuple[Output, ...]:
        timing = self._timing
        soliciting = self._state is _State.SOLICITING
        waits = timing.solicit_ms if soliciting else timing.request_ms
        if soliciting and self._none and self._tries > 1:
            return self._fail(Code.POOL_EXHAUSTED, self._none)
        if self._tries >= len(waits):
            what = "no DHCPv6 server answers" if soliciting else "the DHCPv6 server fell silent"
            return self._fail(Code.NO_SERVER, what)
        self._due_ns = now.monotonic_ns + waits[self._tries] * _NS_PER_MS
        self._tries += 1
        self._sent_ns = now.monotonic_ns
        kind = self._state.value
        assert kind is not None
        return (self._transmit(Message(kind, self._xid, self._options(now))),)

    def _advertised(self, message: Message, server_id: bytes, now: Instant) -> tuple[Output, ...]:
        association = message.association(self._wish.association)
        offered = association.addresses() if association is not None else ()
        if not offered:
            code, text = status_in(message.options)
            if association is not None and code == Status.SUCCESS:
                code, text = status_in(association.options)
            if code == Status.NO_ADDRESSES:
                # Another server may have some: its answer is waited for, but not long.
                self._none = text or "the server has no address left"
                soon_ns = now.monotonic_ns + self._timing.solicit_ms[0] * _NS_PER_MS // 4
                self._due_ns = min(self._due_ns or soon_ns, soon_ns)
                self._tries = max(self._tries, 2)
            return ()
        self._server_id, self._address = server_id, offered[0][0]
        return self._enter(_State.REQUESTING, now)

    def _replied(self, message: Message) -> tuple[Output, ...]:
        association = message.association(self._wish.association)
        code, text = status_in(message.options)
        if association is not None and code == Status.SUCCESS:
            code, text = status_in(association.options)
        renewing = self._state is _State.RENEWING
        if code == Status.NO_ADDRESSES:
            return self._fail(Code.POOL_EXHAUSTED, text or "the server has no address left")
        if code != Status.SUCCESS:
            refused = Code.LEASE_LOST if renewing else Code.SERVER_REFUSED
            return self._fail(refused, f"the DHCPv6 server refused: {code} {text}")
        for address, preferred_s, valid_s in association.addresses() if association else ():
            if address == self._address or not renewing:
                return self._leased(message, address, preferred_s, valid_s, association)
        lost = Code.LEASE_LOST if renewing else Code.SERVER_REFUSED
        return self._fail(lost, "the DHCPv6 server's answer has no address")

    def _leased(
        self,
        message: Message,
        address: IPv6Address,
        preferred_s: int,
        valid_s: int,
        association: Association | None,
    ) -> tuple[Output, ...]:
        self._end()
        life_s = math.inf if valid_s == _INFINITE else float(valid_s)
        renew_s = association.renew_s if association is not None else 0
        half_s = min(preferred_s or valid_s, valid_s) / 2
        lease = Lease6(
            address,
            self._server_id,
            message.addresses(Option.DNS),
            life_s,
            math.inf if math.isinf(life_s) else min(float(renew_s) or half_s, half_s),
            self._sent_ns,
        )
        return (Leased6(lease),)

    def _fail(self, code: Code, text: str) -> tuple[Output, ...]:
        self._end()
        return (Failed(code, text),)

    def _end(self) -> None:
        self._state, self._due_ns = _State.OVER, None

    def _options(self, now: Instant) -> Options:
        elapsed = min((now.monotonic_ns - self._begun_ns) // (10 * _NS_PER_MS), _MAXIMUM_ELAPSED)
        inner = () if self._address is None else (address_option(self._address),)
        options: list[tuple[int, bytes]] = [(Option.CLIENT_ID, self._wish.client_id)]
        if self._state is not _State.SOLICITING:
            options.append((Option.SERVER_ID, self._server_id))
        return (
            *options,
            (Option.ELAPSED, elapsed.to_bytes(2, "big")),
            (Option.ORDER, int(Option.DNS).to_bytes(2, "big")),
            Association(self._wish.association, options=inner).encode(),
        )

    def _transmit(self, message: Message) -> Transmit:
        ports = (CLIENT_PORT, SERVER_PORT)
        return Transmit(multicast_udp(self._mac, ALL_SERVERS, ports, message.encode()))
