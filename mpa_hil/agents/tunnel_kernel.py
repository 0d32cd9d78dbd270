"""Carries out in the kernel what the access router's tunnel machine orders."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network

from mpa_hil.agents.address_checks import AddressChecks
from mpa_hil.errors import MachineError, MpaError
from mpa_hil.kernel.flow_filters import FlowFilter, Way
from mpa_hil.kernel.hold import Backlog
from mpa_hil.kernel.neighbour_discovery import Prefix, RouterAdvertisement, link_local
from mpa_hil.kernel.netlink import RouteSocket, interface_index
from mpa_hil.kernel.objects import IpAddress
from mpa_hil.kernel.router_tunnel import RouterLink, RouterTunnel
from mpa_hil.kernel.state import KernelState
from mpa_hil.kernel.tunnel_advertisement import AdvertisementSocket
from mpa_hil.kernel.tunnel_plan import Esp, Plain, Protection, TunnelPlan, WireGuard
from mpa_hil.kernel.warming import warm_up
from mpa_hil.tunnel.flows import FlowChoice, Treat
from mpa_hil.tunnel.interface import Code, EspKeys, WireGuardKeys
from mpa_hil.tunnel.outputs import Act
from mpa_hil.tunnel.sessions import Session
from mpa_hil.tunnel.states import Order

DEVICE = "mpat"
"""Tunnels are `mpat` and the session's number; what holds packets, `mpaq` and `mpar` and that."""
_ROUTER_S, _PREFERRED_S, _VALID_S = 1800, 604_800, 2_592_000
"""Lifetimes that are advertised: the defaults of RFC 4861 s6.2.1."""
_NOTHING = Backlog(0, 0, 0, 0, 0)
_AGAIN_NS = 5_000_000
"""Between looks at whether what was released has left."""
_WAYS = {
    Treat.HOLD: Way.WAIT,
    Treat.PASS: Way.TUNNEL,
    Treat.BOTH: Way.BOTH,
    Treat.DROP: Way.NOWHERE,
}
_CALM_NS = 50_000_000
"""After a packet's way was turned: in a crowd the next node is about to leave, too."""
_PATIENCE_NS = 2_000_000_000
"""What has not left by then never will."""


@dataclass(slots=True)
class _Held:
    """One tunnel, and what is still to be done about packets that waited."""

    tunnel: RouterTunnel
    used: bool = False
    """Something waits or waited in the hold device: it must be given the time to leave."""
    direct: bool = False
    """It leaves onto the link."""
    before: Backlog = _NOTHING
    """The hold device's counters when it was staged last."""
    again_ns: int = 0
    """When to look whether it has; 0: nothing is under way."""
    until_ns: int = 0


class TunnelKernel:
    """The tunnels of one router, by session number.

    Args:
        interface: the link.
        networks: its prefixes; those of IPv6 are advertised into tunnels.
        check_ms: how long the owner of an address has to say that it is.

    Raises:
        MachineError: no such interface, not root, or the kernel lacks something.
    """

    def __init__(
        self,
        interface: str,
        networks: tuple[IPv4Network | IPv6Network, ...],
        check_ms: int,
    ) -> None:
        self._route = RouteSocket()
        self._state = KernelState(self._route)
        self._link = RouterLink(self._state, interface)
        self.mac: bytes = self._link.link_layer
        """The router's, on the link."""
        self._checks = AddressChecks(interface, check_ms)
        self._networks = networks
        self._tunnels: dict[int, _Held] = {}
        self._leaving: dict[int, _Held] = {}
        """Taken away but for packets on their way out."""
        self._busy = False
        """Something is to be finished."""
        self._holding: set[int] = set()
        self._turned_ns = 0
        self.link: int = interface_index(interface)
        """Its index."""

    @property
    def urgent(self) -> bool:
        """Whether an MN is between two links, or was just now. To make or to remove a device takes
        the kernel some ten milliseconds, in which nothing can be released: that waits meanwhile."""
        return bool(self._holding) or time.monotonic_ns() < self._turned_ns + _CALM_NS

    def warm_up(self, own: Iterable[IpAddress], *, protected: bool) -> None:
        """Have the kernel load what a tunnel takes: the first is as quick as any other then.

        Args:
            own: the router's addresses.
            protected: with ESP.
        """
        warm_up(self._link, own, protected=protected)

    def act(self, act: Act) -> str:
        """Carry one out; why not, or an empty text."""
        number, order = act.session.number, act.order
        try:
            if order is Order.HOLD:
                held = self._tunnels[number]
                if held.used:
                    self._restage(held, held.until_ns)
                held.tunnel.hold()
                held.used = True
                self._holding.add(number)
            elif order is Order.BICAST:
                held = self._tunnels[number]
                held.tunnel.bicast()
                held.used = True
            elif order is Order.RESTAGE:
                held = self._tunnels[number]
                self._look_again(held)
                self._restage(held, time.monotonic_ns())
            elif order is Order.DIRECT:
                held = self._tunnels[number]
                if not held.used:
                    held.tunnel.hold()  # nothing was announced; both in a row lose nothing either
                held.tunnel.direct()
                held.used, held.direct, held.again_ns = True, True, 0
                self._holding.discard(number)
                self._turned_ns = time.monotonic_ns()
            elif order is Order.RESUME:
                held = self._tunnels[number]
                held.tunnel.resume()
                self._look_again(held)
                self._holding.discard(number)
            elif order in (Order.INSTALL, Order.PREPARE):
                self._install(act.session)
            elif order is Order.MOVE and act.outer is not None:
                self._tunnels[number].tunnel.move(act.outer)
            elif order is Order.REMOVE:
                self._remove(number)
            elif order is Order.ADVERTISE:
                self._advertise(act.session)
        except KeyError:
            return f"there is no tunnel {number}"
        except (MpaError, ValueError, OSError) as error:
            return str(error)
        return ""

    def check(self, session: Session, checked: Callable[[Code | None], None]) -> None:
        """Has anybody on the link the session's addresses? `checked` is called later, once."""

        def known(free: bool) -> None:
            checked(None if free else Code.ADDRESS_IN_USE)

        try:
            self._checks.start(session.wish.inner, session.wish.mac, known)
        except MpaError:
            asyncio.get_running_loop().call_soon(checked, Code.KERNEL)

    def counts(self, number: int) -> tuple[int, int]:
        """Packets that a session's hold device took since it was staged (those that followed what
        it released too), and packets that were too many for it."""
        held = self._tunnels.get(number) or self._leaving.get(number)
        if held is None:
            return 0, 0
        try:
            after, before = held.tunnel.backlog(), held.before
        except MpaError:
            return 0, 0
        passed = after.passed_packets + after.packets - before.passed_packets
        return max(passed, 0), max(after.dropped - before.dropped, 0)

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next thing to finish, None while there is nothing."""
        busy = (*self._tunnels.values(), *self._leaving.values()) if self._busy else ()
        return min((held.again_ns for held in busy if held.again_ns), default=None)

    def expire(self, now_ns: int) -> None:
        """Finish what is due."""
        for held in self._tunnels.values():
            if 0 < held.again_ns <= now_ns:
                held.again_ns = 0  # if the kernel refuses, the next HOLD is refused too
                with contextlib.suppress(MpaError):
                    self._restage(held, now_ns)
        for number, held in tuple(self._leaving.items()):
            if self.urgent and now_ns < held.until_ns:
                held.again_ns = now_ns + _AGAIN_NS
            elif held.again_ns <= now_ns:
                try:
                    self._settle(number, held, now_ns)
                except MpaError:
                    self._leaving.pop(number, None)  # `close` and the next agent's sweep remain
                break  # one at a time: whoever has something to say is heard in between
        self._busy = bool(self._leaving) or any(h.again_ns for h in self._tunnels.values())

    def close(self, keep: bool) -> None:
        """End; unless it is to be kept, everything goes."""
        if not keep:
            for held in (*self._tunnels.values(), *self._leaving.values()):
                with contextlib.suppress(MpaError):
                    held.tunnel.remove()
            self._state.close()
        self._checks.close()
        self._route.close()

    def _install(self, session: Session) -> None:
        for number, left in tuple(self._leaving.items()):
            # Its names are needed, or what it would remove is also the new one's.
            if number == session.number or {*left.tunnel.plan.inner} & {*session.wish.inner}:
                del self._leaving[number]
                left.tunnel.remove()
        wish = session.wish
        plan = TunnelPlan(
            f"{DEVICE}{session.number}",
            session.router,
            wish.outer,
            wish.inner,
            _protection(session),
            session.mtu,
            wish.hold_octets,
            wish.hold_packets,
            tuple(_flow(choice, session.detained) for choice in wish.flows),
        )
        tunnel = RouterTunnel(self._link, plan, wish.mac, capture=not session.detained)
        tunnel.create()
        self._tunnels[session.number] = _Held(tunnel)

    def _remove(self, number: int) -> None:
        """What waited is given the time to leave, onto the link."""
        self._holding.discard(number)
        held = self._tunnels.pop(number, None)
        if held is None:
            return
        if not held.used or held.again_ns:
            held.tunnel.remove()
            return
        if not held.direct:
            held.tunnel.direct()
        self._look_again(held)
        self._leaving[number] = held

    def _advertise(self, session: Session) -> None:
        """As the router would on its link, so that the MN learns in time what it will find there
        (R54, R63, R68)."""
        inner = [address for address in session.wish.inner if isinstance(address, IPv6Address)]
        found = [each for each in self._networks if isinstance(each, IPv6Network)]
        prefixes = tuple(
            Prefix(network, _VALID_S, _PREFERRED_S)
            for network in found
            if any(address in network for address in inner)
        )
        if not prefixes:
            return
        said = RouterAdvertisement(_ROUTER_S, prefixes, mtu=session.mtu, link_layer=self.mac)
        with contextlib.closing(AdvertisementSocket(f"{DEVICE}{session.number}")) as tunnel:
            tunnel.send(link_local(self.mac), said)

    def _look_again(self, held: _Held) -> None:
        now_ns = time.monotonic_ns()
        held.again_ns, held.until_ns = now_ns + _AGAIN_NS, now_ns + _PATIENCE_NS
        self._busy = True

    def _restage(self, held: _Held, now_ns: int) -> None:
        """After RESUME: ready to hold again, once everything has left."""
        before = held.tunnel.backlog()
        if held.tunnel.restage():
            held.used, held.again_ns, held.before = False, 0, before
        elif now_ns >= held.until_ns:
            held.again_ns = 0
            raise MachineError("what was held does not leave", where=f"hold device of {DEVICE}")
        else:
            held.again_ns = now_ns + _AGAIN_NS

    def _settle(self, number: int, held: _Held, now_ns: int) -> None:
        if held.tunnel.settle():
            del self._leaving[number]
        elif now_ns >= held.until_ns:
            del self._leaving[number]
            held.tunnel.remove()
        else:
            held.again_ns = now_ns + _AGAIN_NS


def _protection(session: Session) -> Protection:
    keys = session.keys
    if isinstance(keys, EspKeys):
        return Esp(keys.to_router_spi, keys.to_node_spi, keys.to_router, keys.to_node)
    if isinstance(keys, WireGuardKeys):
        private, peer = session.private, keys.peer_public
        return WireGuard(private, peer, keys.preshared, session.port, keys.peer_port)
    return Plain()


def _flow(choice: FlowChoice, detained: bool) -> FlowFilter:
    way = Way.LINK if detained and choice.treat is Treat.PASS else _WAYS[choice.treat]
    ports = choice.own_port, choice.peer_port
    return FlowFilter(way, choice.protocol, choice.own, ports[0], choice.peer, ports[1])


def key_pair() -> tuple[bytes, bytes]:
    """A new private key for WireGuard (X25519), and the public one."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    key = X25519PrivateKey.generate()
    return key.private_bytes_raw(), key.public_key().public_bytes_raw()
