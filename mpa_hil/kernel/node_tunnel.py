"""The mobile node's end of a PHT: the new address on a virtual interface, and the way to the next
link, which can be turned to before the link is there.

    from nCoA -- table 435 -+- PHT device -------------------------------> old link, encapsulated
                            '- hold device (plug) -- released -+---------> interface, to the next
                                                               |           router's MAC
                                                               '---------> PHT device (turned back)

The hold device's link is always up: the interface's own queue is thrown away when its link goes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from mpa_hil.kernel.announcement import Announcer
from mpa_hil.kernel.arrival import queue_works, receives
from mpa_hil.kernel.filters import Match
from mpa_hil.kernel.hold import Backlog
from mpa_hil.kernel.holding import HoldDevice
from mpa_hil.kernel.neighbour_discovery import ALL_NODES, link_local
from mpa_hil.kernel.objects import (
    NO_DAD,
    OPTIMISTIC,
    Address,
    IpAddress,
    IpNetwork,
    KernelObject,
    Route,
    StaticNeighbour,
    link_layer_address,
)
from mpa_hil.kernel.rules import SourceRule
from mpa_hil.kernel.sourcing import sourced
from mpa_hil.kernel.state import KernelState
from mpa_hil.kernel.tunnel_end import LOOSE, TunnelEnd, strict_path_check
from mpa_hil.kernel.tunnel_plan import TunnelPlan, WireGuard
from radios.errors import LocalError

TABLE = 435
"""Routing table and rule priority of packets from the new address."""
_PAST_METRIC, _THROUGH_METRIC = 4350, 4351
"""Of the routes past the hold device, and into the tunnel in spite of it: for sockets that are
bound to the interface or to the tunnel."""
_DEFAULT_METRIC6 = 512
"""Before the kernel's own 1024, which a router advertisement's default route has."""
_EVERYWHERE: dict[int, IpNetwork] = {4: IPv4Network("0.0.0.0/0"), 6: IPv6Network("::/0")}


@dataclass(frozen=True, slots=True)
class NextNetwork:
    """How one inner address will stand in the next network.

    Attributes:
        address: the new address with the next link's prefix length.
        router: the next default router, on that link.
        router_mac: its link-layer address, 6 octets (RFC 6252 appendix B).
    """

    address: IPv4Interface | IPv6Interface
    router: IpAddress
    router_mac: bytes

    @property
    def early_router(self) -> IpAddress:
        """What the routes name as next hop before the move: the link-layer address is what counts.

        IPv6 routers of two networks may well have one link-local address; one that is made of the
        link-layer address is this router's alone.
        """
        return self.router if self.address.version == 4 else link_local(self.router_mac)


class NodeTunnel:
    """The node's end. Every method raises MachineError (NetlinkError) when the kernel refuses.

    Life::

        create -> turn -> release -> settle
            ^        '-> back -> restage -.
            '-----------------------------'     remove(): any time, any state, repeatable

    Args:
        state: the node's ledger.
        plan: this end's; `device` is by custom `mpapht`.
        interface: the physical one, which is on the old link now and will be on the next.
        networks: one for each of `plan.inner`, in that order.
    """

    def __init__(
        self,
        state: KernelState,
        plan: TunnelPlan,
        interface: str,
        networks: tuple[NextNetwork, ...],
    ) -> None:
        if tuple(network.address.ip for network in networks) != plan.inner:
            raise LocalError(
                "one network for each inner address, in that order",
                where=f"tunnel {plan.device}",
            )
        self._state = state
        self._interface = interface
        self._networks = networks
        self.plan = plan
        allowed = [(Match(inner.version, source=inner), False) for inner in plan.inner]
        allowed += [(Match(inner.version, destination=inner), True) for inner in plan.inner]
        if 6 in plan.versions:
            allowed.append((Match(6, destination=ALL_NODES), True))
        anywhere = [_EVERYWHERE[version] for version in plan.versions]
        self._end = TunnelEnd(state, plan, allowed, anywhere)
        self._hold: HoldDevice | None = None
        self._announcer: Announcer | None = None
        self._announced = False
        self._is_staged = False
        self._sourced: Route | None = None

        device = plan.device
        self._into_tunnel = [self._default(network, device) for network in networks]
        self._into_hold = [
            self._default(network, plan.hold_device, network.early_router) for network in networks
        ]
        past = [
            self._default(network, interface, network.early_router, _PAST_METRIC)
            for network in networks
        ]
        past += [self._default(network, device, None, _THROUGH_METRIC) for network in networks]
        rules = [SourceRule(inner, TABLE, TABLE) for inner in plan.inner]
        known = [
            StaticNeighbour(interface, network.early_router, network.router_mac)
            for network in networks
        ]
        addresses = [
            # Deprecated: chosen by whoever asks for it only, until the binding is there.
            Address(device, inner, flags=NO_DAD, deprecated=True)
            if inner.version == 6
            else Address(device, inner)
            for inner in plan.inner
        ]
        self._staged: tuple[KernelObject, ...] = (
            *addresses,
            *self._into_tunnel,
            *known,
            *past,
            *rules,
        )
        """In the order in which they are made; undone in reverse."""
        self._standing: tuple[KernelObject, ...] = tuple(self._arrivals())

    @staticmethod
    def _default(
        network: NextNetwork, device: str, router: IpAddress | None = None, metric: int = 0
    ) -> Route:
        everywhere = _EVERYWHERE[network.address.version]
        on_link = router is not None and router.version == 4
        return Route(everywhere, device, router, table=TABLE, metric=metric, on_link=on_link)

    def _arrivals(self) -> list[KernelObject]:
        """What stands on the interface in the next network."""
        found: list[KernelObject] = []
        name = self._interface
        for network in self._networks:
            address, router = network.address, network.router
            flags = OPTIMISTIC if address.version == 6 else 0
            found.append(Address(name, address.ip, address.network.prefixlen, flags))
            found.append(StaticNeighbour(name, router, network.router_mac, permanent=False))
            source = address.ip if address.version == 4 else None
            on_link = address.version == 4
            everywhere = _EVERYWHERE[address.version]
            metric = 0 if address.version == 4 else _DEFAULT_METRIC6
            found.append(Route(everywhere, name, router, source, metric=metric, on_link=on_link))
        return found

    def create(self) -> None:
        """Tunnel, inner addresses on it, rule and table for packets from them, ingress filter, hold
        device (blocked), the next router's permanent neighbour entry on `interface`.

        A socket bound to an inner address *and* to `interface` (SO_BINDTODEVICE) sends past tunnel
        and hold device straight to the next router: the notice of arrival. One bound to an inner
        address and to the tunnel sends through that also after `turn`: the end marker.
        """
        state, name = self._state, self._interface
        self._is_staged = True
        try:
            if 4 in self.plan.versions and strict_path_check(name):
                state.set(f"net/ipv4/conf/{name}/rp_filter", str(LOOSE))
            if 6 in self.plan.versions:
                state.set(f"net/ipv6/conf/{name}/optimistic_dad", "1")
                state.set(f"net/ipv6/conf/{name}/use_optimistic", "1")
            self._prefer_source()
            self._end.create()
            own = link_layer_address(state.route, name)
            hops = tuple((each.early_router, each.router_mac) for each in self._networks)
            self._hold = HoldDevice(state, self.plan, name, own, hops)
            self._encode(self._hold)
            for wanted in self._staged:
                state.apply(wanted)
            self._announcer = Announcer(state.route, name, self.plan.inner)
        except BaseException:
            self.remove()
            raise

    def _prefer_source(self) -> None:
        """What WireGuard sends comes from the outer address, and not from the home address."""
        ends = self.plan.outer_local, self.plan.outer_remote
        if not isinstance(self.plan.protection, WireGuard):
            return
        if isinstance(ends[0], IPv6Address) and isinstance(ends[1], IPv6Address):
            self._sourced = sourced(self._state.route, self._interface, ends[1], ends[0])
            self._state.apply(self._sourced)

    def _encode(self, hold: HoldDevice) -> None:
        """Everything that the switch sends."""
        turn = [route.replace() for route in self._into_hold]
        back = [route.replace() for route in self._into_tunnel]
        self._turn_order = b"".join(turn), len(turn)
        self._release_order = hold.to_link + hold.release, 2
        self._back_order = hold.to_tunnel + hold.release, 2
        self._restage_order = b"".join(back) + hold.block + hold.to_link, 2 + len(back)

    def turn(self) -> None:
        """Packets from the inner addresses no longer enter the tunnel but wait: one send."""
        self._send(self._turn_order, "turn")

    def release(self) -> None:
        """What waits and what comes goes out of `interface` to the next router: one send."""
        self._send(self._release_order, "release onto the link")

    def passes(self) -> bool:
        """Whether `interface` lets packets out already, after an association: `release` before that
        loses them."""
        return queue_works(self._state.route, self._interface)

    def back(self) -> None:
        """Switch failed: what waits and what comes goes through the tunnel, in order: one send.

        Also after `release`. Call `restage` a moment later.
        """
        self._send(self._back_order, "release into the tunnel")

    def restage(self) -> bool:
        """After `back`: route straight into the tunnel, block the hold device for the next turn.

        Returns:
            False when packets still wait: nothing was done, call again in some milliseconds.
        """
        if self.backlog().packets:
            return False
        self._send(self._restage_order, "stage the turn again")
        return True

    def backlog(self) -> Backlog:
        """What the hold device has now, and its counters: of packets that it held or passed."""
        return self._held().backlog()

    def move(self, outer_local: IpAddress) -> None:
        """This node's outer address has changed; the keys stay."""
        plan = replace(self.plan, outer_local=outer_local)
        self._end.move(plan)
        self.plan = plan
        self._prefer_source()

    def settle(self) -> bool:
        """After `release`, off the critical path: the inner addresses stand on `interface` with
        their prefixes (IPv6: optimistic, RFC 4429) and the default routes lead to the next routers
        (replacing those of the main table without a metric); table, rule, hold device and tunnel
        go; the link is told (gratuitous ARP, unsolicited NA).

        These stay until `remove`. Nothing that is sent meanwhile is lost or overtaken.

        Returns:
            False when packets still wait, or the new addresses receive nothing yet: call again in
            some milliseconds.
        """
        if self.backlog().packets:
            return False
        if not self._announced:
            self.stand()
            self.announce()
            self._announced = True
        made = [inner for inner in self.plan.inner if isinstance(inner, IPv6Address)]
        if not receives(self._state.route, self._interface, made):
            return False
        self._unstage()
        return True

    def stand(self) -> None:
        """Put addresses and default routes in the place of whoever's stand there: `settle` does it,
        and a node that comes back from a further network."""
        for wanted in self._standing:
            self._state.apply(wanted)

    def announce(self) -> None:
        """Tell the link again: gratuitous ARP and unsolicited NA (the latter with Override once the
        address is no longer tentative). A small number of times is advised (RFC 5944 s4.6)."""
        if self._announcer is not None:
            self._announcer.announce()

    def remove(self) -> None:
        """Take all of it away, whatever its state; what waits is dropped. Repeatable.

        What a later tunnel to a further network has put in its place stays.
        """
        self._unstage()
        for standing in reversed(self._standing):
            self._state.withdraw(standing)
        if self._announcer is not None:
            self._announcer.close()
            self._announcer = None

    def _unstage(self) -> None:
        if not self._is_staged:
            return
        self._is_staged = False
        arrived = {each.key for each in self._standing}
        for standing in reversed(self._staged):
            # A router's entry that is now in use like any other stays.
            if standing.key not in arrived:
                self._state.remove(standing.key)
        if self._hold is not None:
            self._hold.remove()
            self._hold = None
        self._end.remove()
        if self._sourced is not None:
            self._state.remove(self._sourced.key)
            self._sourced = None

    def _held(self) -> HoldDevice:
        if self._hold is None:
            raise LocalError("it does not exist", where=f"tunnel {self.plan.device}")
        return self._hold

    def _send(self, order: tuple[bytes, int], what: str) -> None:
        self._held()
        self._state.route.request(order[0], f"{what}: {self.plan.device}", order[1])
