"""An IPv4 lease and the router's link-layer address. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

from mpa_hil.configuration.acquisition import Acquired, Failed, Lease, Output, Transmit
from mpa_hil.configuration.dhcp4.exchange import Dhcp4Timing, Exchange, Leased
from mpa_hil.configuration.dhcp4.exchange import Lease as Lease4
from mpa_hil.configuration.dhcp4.exchange import Output as ExchangeOutput
from mpa_hil.configuration.dhcp4.message import Message
from mpa_hil.configuration.frames import ArpReply, arp_probe
from mpa_hil.configuration.heard import Heard
from mpa_hil.configuration.interface import Code, Wish
from mpa_hil.mobility.interface import Instant

_NS_PER_MS = 1_000_000
RESOLVE_MS = (100, 200, 400)
"""Between questions for the router's link-layer address. It is one hop away."""
_MAXIMUM_ROUTERS = 3
"""Of the server's list that are tried."""


class Acquisition4:
    """See `Acquisition`; arguments as those of `Exchange`."""

    def __init__(
        self,
        wish: Wish,
        mac: bytes,
        random: Callable[[int], bytes],
        timing: Dhcp4Timing,
    ) -> None:
        self._exchange = Exchange(wish, mac, random, timing)
        self._mac = mac
        self._renewing: Lease | None = None
        self._leased: Lease4 | None = None
        """Had, and its routers not yet resolved."""
        self._routers: list[IPv4Address] = []
        self._tries = 0
        self._due_ns: int | None = None

    def begin(self, now: Instant) -> tuple[Output, ...]:
        """See `Acquisition`."""
        self._renewing = self._leased = self._due_ns = None
        return self._digest(self._exchange.begin(now), now)

    def renew(self, lease: Lease, now: Instant) -> tuple[Output, ...]:
        """See `Acquisition`."""
        assert isinstance(lease.address.ip, IPv4Address)
        self._renewing, self._leased, self._due_ns = lease, None, None
        return self._digest(self._exchange.renew(lease.address.ip, now), now)

    def release(self, lease: Lease) -> tuple[Transmit, ...]:
        """See `Acquisition`."""
        address, server = lease.address.ip, lease.server
        assert isinstance(address, IPv4Address)
        assert isinstance(server, IPv4Address)
        return (self._exchange.release(address, server),)

    def decline(self, lease: Lease) -> tuple[Transmit, ...]:
        """See `Acquisition`."""
        address, server = lease.address.ip, lease.server
        assert isinstance(address, IPv4Address)
        assert isinstance(server, IPv4Address)
        return (self._exchange.decline(address, server),)

    def receive(self, heard: Heard, now: Instant) -> tuple[Output, ...]:
        """See `Acquisition`."""
        if isinstance(heard, Message):
            return self._digest(self._exchange.receive(heard, now), now)
        if isinstance(heard, ArpReply) and self._leased and heard.address == self._routers[0]:
            return self._resolved(self._leased, heard.mac)
        return ()

    def expire(self, now: Instant) -> tuple[Output, ...]:
        """See `Acquisition`."""
        if self._leased is None:
            return self._digest(self._exchange.expire(now), now)
        if self._due_ns is not None and self._due_ns <= now.monotonic_ns:
            return self._resolve(self._leased, now)
        return ()

    def next_deadline(self) -> int | None:
        """See `Acquisition`."""
        return self._exchange.next_deadline() if self._leased is None else self._due_ns

    def _digest(self, outputs: tuple[ExchangeOutput, ...], now: Instant) -> tuple[Output, ...]:
        made: list[Output] = []
        for output in outputs:
            if not isinstance(output, Leased):
                made.append(output)
            elif self._renewing is not None:
                made.append(Acquired(_renewed(self._renewing, output.lease)))
            else:
                self._leased, self._tries = output.lease, 0
                self._routers = list(output.lease.routers[:_MAXIMUM_ROUTERS])
                made += self._resolve(output.lease, now)
        return tuple(made)

    def _resolve(self, leased: Lease4, now: Instant) -> tuple[Output, ...]:
        if self._tries >= len(RESOLVE_MS):
            self._tries = 0
            del self._routers[0]
        if not self._routers:
            self._leased = self._due_ns = None
            back = self._exchange.release(leased.address.ip, leased.server)
            what = ", ".join(map(str, leased.routers)) or "none is named"
            return (back, Failed(Code.NO_ROUTER, f"no default router on the link: {what}"))
        self._due_ns = now.monotonic_ns + RESOLVE_MS[self._tries] * _NS_PER_MS
        self._tries += 1
        return (Transmit(arp_probe(self._mac, self._routers[0])),)

    def _resolved(self, leased: Lease4, router_mac: bytes) -> tuple[Output, ...]:
        self._leased = self._due_ns = None
        lease = Lease(
            leased.address,
            self._routers[0],
            router_mac,
            leased.dns,
            leased.lease_s,
            leased.renew_s,
            leased.requested_ns,
            (leased.address.network,),
            leased.server,
        )
        return (Acquired(lease),)


def _renewed(lease: Lease, leased: Lease4) -> Lease:
    return replace(
        lease, life_s=leased.lease_s, renew_s=leased.renew_s, since_ns=leased.requested_ns
    )
