"""One DHCPv4 exchange for a mobile node that is elsewhere. Sans-IO.

To the server it is a client on the link like any other: INIT, SELECTING, REQUESTING, BOUND of RFC
2131 s4.4, with the MN's hardware address and client identifier. Three things differ, because the MN
is not there:

- Answers are wanted by broadcast, always; frames come from the agent's own link-layer address.
- A lease is renewed as after a reboot (INIT-REBOOT, s4.3.2): a renewal with `ciaddr` would be
  answered by unicast to the nCoA, which the access router sends on to the MN.
- A server that has no address left says nothing (s4.3.1). So the second DISCOVER is followed by a
  question that an authoritative server answers: if only that is answered, the pool is exhausted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from mpa_hil.configuration.acquisition import Failed, Transmit
from mpa_hil.configuration.dhcp4.message import (
    BROADCAST_FLAG,
    CLIENT_PORT,
    SERVER_PORT,
    Kind,
    Message,
    Operation,
)
from mpa_hil.configuration.dhcp4.numbers import Option
from mpa_hil.configuration.frames import broadcast_udp
from mpa_hil.configuration.interface import Code, Wish
from mpa_hil.light import light
from mpa_hil.mobility.interface import NS_PER_S, Instant

_NS_PER_MS = 1_000_000
_MAXIMUM_SIZE = 1472
_INFINITE = 0xFFFFFFFF
_WANTED = bytes(
    (
        Option.SUBNET_MASK,
        Option.ROUTER,
        Option.DNS,
        Option.LEASE_TIME,
        Option.RENEWAL_TIME,
        Option.REBINDING_TIME,
    )
)


@dataclass(frozen=True, slots=True)
class Dhcp4Timing:
    """Time-outs, in milliseconds. RFC 2131 s4.1 begins with 4 s, which is most of a preparation."""

    discover_ms: tuple[int, ...] = (1000, 2000, 3500)
    """Between DISCOVERs: a server that pings the address first takes up to 3 s (s3.1)."""
    request_ms: tuple[int, ...] = (500, 1000, 2000)
    exhausted_ms: int = 300
    """After an answer to the question that any server answers, for an OFFER still to come."""
    restarts: int = 2
    """NAKs to a REQUEST that are answered with a new DISCOVER."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What the server gave."""

    address: IPv4Interface
    server: IPv4Address
    routers: tuple[IPv4Address, ...]
    dns: tuple[IPv4Address, ...]
    lease_s: float
    """From when the REQUEST was sent (RFC 2131 s4.4.1)."""
    renew_s: float
    """T1."""
    requested_ns: int
    """Monotonic time of that REQUEST."""


@light
class Leased:
    """The exchange is over: bound, or renewed."""

    lease: Lease


Output = Transmit | Leased | Failed


class _State(Enum):
    SELECTING = "selecting"
    REQUESTING = "requesting"
    REBOOTING = "rebooting"
    OVER = "over"


class Exchange:
    """From the first message to a lease or none.

    Args:
        wish: for whom, and what.
        mac: the agent's own, of its interface on the link.
        random: source of transaction identifiers.
    """

    def __init__(
        self,
        wish: Wish,
        mac: bytes,
        random: Callable[[int], bytes],
        timing: Dhcp4Timing = Dhcp4Timing(),
    ) -> None:
        self._wish = wish
        self._mac = mac
        self._random = random
        self._timing = timing
        self._state = _State.OVER
        self._xid = 0
        """Of the exchange; the question that any server answers has the next number."""
        self._offer: Message | None = None
        self._address: IPv4Address | None = None
        self._begun_ns = 0
        self._sent_ns = 0
        self._due_ns: int | None = None
        self._tries = 0
        self._restarts = 0
        self._alive = False

    def begin(self, now: Instant) -> tuple[Output, ...]:
        """Ask for a lease."""
        self._state, self._tries = _State.SELECTING, 0
        self._new_transaction(now)
        return self._try(now)

    def renew(self, address: IPv4Address, now: Instant) -> tuple[Output, ...]:
        """Ask for more time."""
        self._state, self._tries, self._address = _State.REBOOTING, 0, address
        self._new_transaction(now)
        return self._try(now)

    def release(self, address: IPv4Address, server: IPv4Address) -> Transmit:
        """Give an address back; nobody answers (RFC 2131 s4.4.6)."""
        return self._parting(Kind.RELEASE, address, {Option.SERVER_ID: server.packed})

    def decline(self, address: IPv4Address, server: IPv4Address) -> Transmit:
        """Say that the address is in use by somebody else (RFC 2131 s4.4.4)."""
        options = {
            Option.SERVER_ID: server.packed,
            Option.REQUESTED_ADDRESS: address.packed,
        }
        return self._parting(Kind.DECLINE, None, options)

    def receive(self, message: Message, now: Instant) -> tuple[Output, ...]:
        """Digest a message of a server; what does not fit changes nothing."""
        fits = message.operation is Operation.REPLY and message.mac == self._wish.mac
        if not fits or message.xid & ~1 != self._xid or self._state is _State.OVER:
            return ()
        if message.xid != self._xid:
            if self._state is _State.SELECTING and not self._alive:
                self._alive = True
                self._due_ns = now.monotonic_ns + self._timing.exhausted_ms * _NS_PER_MS
            return ()
        if message.kind is Kind.OFFER and self._state is _State.SELECTING:
            return self._offered(message, now)
        if message.kind is Kind.ACK and self._state in (_State.REQUESTING, _State.REBOOTING):
            return self._acknowledged(message)
        if message.kind is Kind.NAK and self._state in (_State.REQUESTING, _State.REBOOTING):
            return self._refused(message, now)
        return ()

    def expire(self, now: Instant) -> tuple[Output, ...]:
        """Repeat, or give up; harmless at other times."""
        if self._due_ns is None or self._due_ns > now.monotonic_ns:
            return ()
        if self._alive:
            return self._fail(Code.POOL_EXHAUSTED, "the server has no address left")
        return self._try(now)

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next repeat, None when it is over."""
        return self._due_ns

    def _try(self, now: Instant) -> tuple[Output, ...]:
        timing = self._timing
        selecting = self._state is _State.SELECTING
        waits = timing.discover_ms if selecting else timing.request_ms
        if self._tries >= len(waits):
            what = "no DHCP server answers" if selecting else "the DHCP server fell silent"
            return self._fail(Code.NO_SERVER, what)
        self._due_ns = now.monotonic_ns + waits[self._tries] * _NS_PER_MS
        self._tries += 1
        self._sent_ns = now.monotonic_ns
        if not selecting:
            return (self._transmit(self._request(now)),)
        discover = self._transmit(self._discover(now))
        return (discover,) if self._tries == 1 else (discover, self._transmit(self._question(now)))

    def _offered(self, message: Message, now: Instant) -> tuple[Output, ...]:
        server, mask = message.address(Option.SERVER_ID), message.options.get(Option.SUBNET_MASK)
        if server is None or mask is None or not _is_host(message.yours):
            return ()
        self._offer, self._address = message, message.yours
        self._state, self._tries, self._alive = _State.REQUESTING, 0, False
        return self._try(now)

    def _acknowledged(self, message: Message) -> tuple[Output, ...]:
        server = message.address(Option.SERVER_ID)
        lease_s = message.seconds_in(Option.LEASE_TIME)
        if message.yours != self._address or server is None or not lease_s:
            return ()
        try:
            mask = IPv4Address(message.options.get(Option.SUBNET_MASK, b""))
            length = IPv4Network((0, str(mask))).prefixlen
        except ValueError:
            return ()
        self._end()
        life_s = math.inf if lease_s == _INFINITE else float(lease_s)
        renew_s = message.seconds_in(Option.RENEWAL_TIME) or life_s / 2
        lease = Lease(
            IPv4Interface((message.yours, length)),
            server,
            message.addresses(Option.ROUTER),
            message.addresses(Option.DNS),
            life_s,
            min(float(renew_s), life_s / 2),
            self._sent_ns,
        )
        return (Leased(lease),)

    def _refused(self, message: Message, now: Instant) -> tuple[Output, ...]:
        said = message.options.get(Option.MESSAGE, b"").decode(errors="replace")
        if self._state is _State.REBOOTING:
            return self._fail(Code.LEASE_LOST, f"the DHCP server refused it: {said}")
        offer = self._offer
        if offer is not None and _server(offer) != _server(message):
            return ()  # another server, which knows nothing of this offer
        if self._restarts == self._timing.restarts:
            return self._fail(Code.SERVER_REFUSED, f"the DHCP server refused: {said}")
        self._restarts += 1
        return self.begin(now)

    def _fail(self, code: Code, text: str) -> tuple[Output, ...]:
        self._end()
        return (Failed(code, text),)

    def _end(self) -> None:
        self._state, self._due_ns = _State.OVER, None

    def _new_transaction(self, now: Instant) -> None:
        self._xid = int.from_bytes(self._random(4), "big") & ~1
        self._begun_ns, self._alive, self._offer = now.monotonic_ns, False, None

    def _transmit(self, message: Message) -> Transmit:
        payload = message.encode()
        return Transmit(broadcast_udp(self._mac, CLIENT_PORT, SERVER_PORT, payload))

    def _discover(self, now: Instant) -> Message:
        options: dict[int, bytes] = {}
        wanted = self._wish.wanted
        if wanted is not None:
            options[Option.REQUESTED_ADDRESS] = wanted.packed
        return self._message(Kind.DISCOVER, options, now)

    def _request(self, now: Instant) -> Message:
        assert self._address is not None
        options: dict[int, bytes] = {Option.REQUESTED_ADDRESS: self._address.packed}
        if self._offer is not None:
            options[Option.SERVER_ID] = self._offer.options[Option.SERVER_ID]
        return self._message(Kind.REQUEST, options, now)

    def _question(self, now: Instant) -> Message:
        """A request for an address that is no host's, which an authoritative server refuses."""
        nobody = {int(Option.REQUESTED_ADDRESS): IPv4Address("127.0.0.1").packed}
        return replace(self._message(Kind.REQUEST, nobody, now), xid=self._xid + 1)

    def _message(self, kind: Kind, options: dict[int, bytes], now: Instant) -> Message:
        options[Option.CLIENT_ID] = self._wish.client_id
        options[Option.MAXIMUM_SIZE] = _MAXIMUM_SIZE.to_bytes(2, "big")
        options[Option.PARAMETERS] = _WANTED
        if self._wish.hostname:
            options[Option.HOSTNAME] = self._wish.hostname.encode()
        seconds = min((now.monotonic_ns - self._begun_ns) // NS_PER_S, 0xFFFF)
        return Message(
            Operation.REQUEST,
            self._xid,
            self._wish.mac,
            kind,
            options,
            BROADCAST_FLAG,
            seconds,
        )

    def _parting(
        self, kind: Kind, client: IPv4Address | None, options: dict[Option, bytes]
    ) -> Transmit:
        """RELEASE is for unicast (RFC 2131 s4.4.6), but the agent cannot speak from the nCoA."""
        said = {int(number): value for number, value in options.items()}
        message = Message(
            Operation.REQUEST,
            int.from_bytes(self._random(4), "big"),
            self._wish.mac,
            kind,
            {Option.CLIENT_ID: self._wish.client_id, **said},
            client=client or IPv4Address(0),
        )
        return self._transmit(message)


def _server(message: Message) -> bytes | None:
    return message.options.get(Option.SERVER_ID)


def _is_host(address: IPv4Address) -> bool:
    return not (address.is_unspecified or address.is_multicast or address.is_loopback)
