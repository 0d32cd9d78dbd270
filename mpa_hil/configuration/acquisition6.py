"""An IPv6 address: what the router advertises, and where it says so, a DHCPv6 lease. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv6Address, IPv6Interface

from mpa_hil.configuration.acquisition import Acquired, Failed, Lease, Output, Transmit
from mpa_hil.configuration.advertisement import Advertisement
from mpa_hil.configuration.dhcp6.exchange import Dhcp6Timing, Exchange6, Lease6, Leased6
from mpa_hil.configuration.dhcp6.exchange import Output as ExchangeOutput
from mpa_hil.configuration.dhcp6.message import Kind, Message
from mpa_hil.configuration.frames6 import RouterAdvertised, router_solicitation
from mpa_hil.configuration.heard import Heard
from mpa_hil.configuration.interface import Code, Method, Wish
from mpa_hil.configuration.routers import Routers
from mpa_hil.mobility.interface import Instant

_NS_PER_MS = 1_000_000
SOLICIT_MS = (1000, 2000, 3000)
"""Between router solicitations; a router answers within half a second (RFC 4861 s6.2.6)."""


class Acquisition6:
    """See `Acquisition`; arguments as those of `Exchange6`, and the link's routers."""

    def __init__(
        self,
        wish: Wish,
        mac: bytes,
        random: Callable[[int], bytes],
        timing: Dhcp6Timing,
        routers: Routers,
    ) -> None:
        self._wish = wish
        self._mac = mac
        self._exchange = Exchange6(wish, mac, random, timing)
        self._routers = routers
        self._renewing: Lease | None = None
        self._advertised: RouterAdvertised | None = None
        self._tries = 0
        self._due_ns: int | None = None

    def begin(self, now: Instant) -> tuple[Output, ...]:
        """See `Acquisition`."""
        self._renewing = None
        return self._look(now)

    def renew(self, lease: Lease, now: Instant) -> tuple[Output, ...]:
        """See `Acquisition`."""
        self._renewing = lease
        if lease.server is None:
            return self._look(now)
        assert isinstance(lease.address.ip, IPv6Address)
        outputs = self._exchange.renew(lease.address.ip, lease.server_id, now)
        return self._digest(outputs)

    def release(self, lease: Lease) -> tuple[Transmit, ...]:
        """See `Acquisition`."""
        return self._part(Kind.RELEASE, lease)

    def decline(self, lease: Lease) -> tuple[Transmit, ...]:
        """See `Acquisition`. Of an address that the MN made itself no server knows."""
        return self._part(Kind.DECLINE, lease)

    def receive(self, heard: Heard, now: Instant) -> tuple[Output, ...]:
        """See `Acquisition`."""
        if isinstance(heard, Message):
            return self._digest(self._exchange.receive(heard, now))
        if isinstance(heard, RouterAdvertised) and self._due_ns is not None:
            return self._found(heard, now)
        return ()

    def expire(self, now: Instant) -> tuple[Output, ...]:
        """See `Acquisition`."""
        if self._due_ns is None:
            return self._digest(self._exchange.expire(now))
        return self._solicit(now) if self._due_ns <= now.monotonic_ns else ()

    def next_deadline(self) -> int | None:
        """See `Acquisition`."""
        return self._exchange.next_deadline() if self._due_ns is None else self._due_ns

    def _look(self, now: Instant) -> tuple[Output, ...]:
        known = self._routers.fresh(now)
        if known is not None:
            return self._found(known, now)
        self._tries = 0
        return self._solicit(now)

    def _solicit(self, now: Instant) -> tuple[Output, ...]:
        if self._tries >= len(SOLICIT_MS):
            self._due_ns = None
            return (Failed(Code.NO_ROUTER, "no IPv6 router advertises itself on the link"),)
        self._due_ns = now.monotonic_ns + SOLICIT_MS[self._tries] * _NS_PER_MS
        self._tries += 1
        return (Transmit(router_solicitation(self._mac)),)

    def _found(self, advertised: RouterAdvertised, now: Instant) -> tuple[Output, ...]:
        said = advertised.advertisement
        if not said.lifetime_s:
            return ()  # of a router that is none any more
        self._advertised, self._due_ns = advertised, None
        stateful = self._wish.method is Method.DHCPV6
        if self._wish.method is Method.IPV6:
            stateful = said.managed
        if stateful:
            return self._digest(self._exchange.begin(now))
        made = said.address_for(self._wish.mac)
        if made is None:
            what = "the router advertises no prefix to make an address from"
            return (Failed(Code.UNSUPPORTED, what),)
        if self._wish.decline == made.ip:
            return (Failed(Code.SERVER_REFUSED, f"{made.ip} is in use, and there is no other"),)
        lease = _lease(made, advertised, said.dns, said.valid_s(made.ip), now.monotonic_ns)
        return (Acquired(lease),)

    def _digest(self, outputs: tuple[ExchangeOutput, ...]) -> tuple[Output, ...]:
        made: list[Output] = []
        for output in outputs:
            if not isinstance(output, Leased6):
                made.append(output)
            elif self._renewing is not None:
                made.append(Acquired(_renewed(self._renewing, output.lease)))
            else:
                made.append(Acquired(self._leased(output.lease)))
        return tuple(made)

    def _leased(self, leased: Lease6) -> Lease:
        advertised = self._advertised
        assert advertised is not None
        said = advertised.advertisement
        address = IPv6Interface((leased.address, _length(said, leased.address)))
        lease = _lease(
            address, advertised, leased.dns or said.dns, leased.lease_s, leased.requested_ns
        )
        return replace(
            lease,
            renew_s=leased.renew_s,
            server=advertised.router,
            server_id=leased.server_id,
        )

    def _part(self, kind: Kind, lease: Lease) -> tuple[Transmit, ...]:
        if lease.server is None:
            return ()
        assert isinstance(lease.address.ip, IPv6Address)
        return (self._exchange.part(kind, lease.address.ip, lease.server_id),)


def _lease(
    address: IPv6Interface,
    advertised: RouterAdvertised,
    dns: tuple[IPv6Address, ...],
    life_s: float,
    since_ns: int,
) -> Lease:
    said = advertised.advertisement
    return Lease(
        address,
        advertised.router,
        advertised.router_mac,
        dns,
        life_s,
        life_s / 2,
        since_ns,
        said.on_link,
        ra=said.octets,
    )


def _renewed(lease: Lease, leased: Lease6) -> Lease:
    return replace(
        lease, life_s=leased.lease_s, renew_s=leased.renew_s, since_ns=leased.requested_ns
    )


def _length(said: Advertisement, address: IPv6Address) -> int:
    """DHCPv6 gives no prefix length: that of the on-link prefix, or the address is alone."""
    return max((each.prefixlen for each in said.on_link if address in each), default=128)
