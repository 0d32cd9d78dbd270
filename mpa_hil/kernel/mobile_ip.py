"""The data path of Mobile IPv4 at both ends, made of kernel objects (RFC 5944 s4, RFC 2003).

Home agent: proxy ARP captures the home address, a host route leads it into an IP-in-IP device, and
the same device takes reverse-tunnelled packets apart. Mobile node: the home address lives on a
device of its own, so it outlasts every care-of address, and a rule routes what is sent from it
into a tunnel.

Both make before they break: each care-of address has its own tunnel device, a change moves the
routes in one netlink message, and the device left goes on receiving what is on its way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from mpa_hil.kernel.arp import ArpSocket, link_layer_of
from mpa_hil.kernel.mobile_ip_links import (
    HOME_DEVICE,
    HOME_TABLE,
    HomeDevice,
    Receivers,
    sweep,
    tunnel_name,
)
from mpa_hil.kernel.objects import Address, KernelObject, ProxyNeighbour, Route, Tunnel
from mpa_hil.kernel.once import Once
from mpa_hil.kernel.rules import SourceRule
from mpa_hil.kernel.state import KernelState
from mpa_hil.kernel.tunnel_copies import copy_to

_EVERYWHERE = IPv4Network("0.0.0.0/0")
_SLOTS = 16
"""Devices that one home address can have at a time: its present one and those left lately."""
GRACE_NS = 2_000_000_000
"""How long a home agent goes on receiving from a care-of address that was left: longer than any
packet is on its way, retransmissions of a link layer included."""


@dataclass(slots=True)
class _Served:
    """One home address: its devices by care-of address, the present one last."""

    names: dict[IPv4Address, str] = field(default_factory=dict)
    leave_ns: dict[IPv4Address, int] = field(default_factory=dict)
    """When the devices left are to go."""
    copied: dict[IPv4Address, tuple[IPv4Address, ...]] = field(default_factory=dict)
    """Whose packets are copied, and to which others."""


class HomeAgentPath:
    """Captures home addresses on `home_interface` and tunnels them from `address`.

    Args:
        state: the ledger; closing it takes everything away.
        address: the outer source, which must be the Home Agent field of the replies (s4.2.3).
        home_interface: the link where the home addresses belong.
        mtu: of the tunnel devices; the smallest link on the way, less 20.
    """

    def __init__(
        self, state: KernelState, address: IPv4Address, home_interface: str, mtu: int = 1480
    ) -> None:
        self._state = state
        self._address = address
        self._mtu = mtu
        self._served: dict[IPv4Address, _Served] = {}
        self._users: dict[IPv4Address, IPv4Address] = {}
        """Home address by care-of address: the kernel has one device for a pair of ends."""
        self._receivers = Receivers(state, address)
        self.arp = ArpSocket(home_interface)
        sweep(state.route, 4)
        state.set("net/ipv4/ip_forward", "1")
        # The kernel answers for others only after a random wait of up to this (0.8 s by default).
        state.set(f"net/ipv4/neigh/{home_interface}/proxy_delay", "0")

    def tunnels(self, home: IPv4Address) -> dict[IPv4Address, str]:
        """The devices that serve a home address, by care-of address, the present one last."""
        served = self._served.get(home)
        return dict(served.names) if served else {}

    def add(self, home: IPv4Address, care_of: IPv4Address) -> None:
        """Capture and tunnel `home`, and announce it on its link.

        Raises:
            MachineError: the kernel refused; what was made on the way is gone again.
        """
        try:
            self._lead(home, care_of)
            self._state.apply(ProxyNeighbour(self.arp.interface, home))
        except BaseException:
            self.remove(home)
            raise
        self.arp.announce(home)

    def change(
        self,
        home: IPv4Address,
        care_of: IPv4Address,
        now_ns: int,
        others: Sequence[IPv4Address] = (),
    ) -> None:
        """Tunnel `home` to another care-of address; what comes from the one left is still taken.

        Args:
            others: care-of addresses that it has had, to which copies go.

        Raises:
            MachineError: the kernel refused, and the tunnel before is as it was.
        """
        served = self._served[home]
        left = next(reversed(served.names))
        self._lead(home, care_of, others)
        if left != care_of and left not in others:
            served.leave_ns[left] = now_ns + GRACE_NS

    def copy(self, home: IPv4Address, others: Sequence[IPv4Address], now_ns: int) -> None:
        """What goes to `home` goes, copied, to these care-of addresses too, which it has had; none:
        to its present one alone.

        Raises:
            MachineError: the kernel refused.
        """
        served = self._served[home]
        present = next(reversed(served.names))
        known = [care_of for care_of in others if care_of in served.names and care_of != present]
        self._copy(served, present, known)
        for care_of in tuple(served.copied):
            if care_of != present:
                self._copy(served, care_of, ())
        for care_of in served.names:
            if care_of in known:
                served.leave_ns.pop(care_of, None)
            elif care_of != present:
                served.leave_ns.setdefault(care_of, now_ns + GRACE_NS)

    def _copy(self, served: _Served, care_of: IPv4Address, others: Sequence[IPv4Address]) -> None:
        if served.copied.get(care_of, ()) == tuple(others):
            return
        copy_to(served.names[care_of], [served.names[other] for other in others])
        served.copied[care_of] = tuple(others)
        if not others:
            del served.copied[care_of]

    def remove(self, home: IPv4Address) -> None:
        """Stop capturing and tunnelling `home`."""
        self._state.remove(ProxyNeighbour(self.arp.interface, home).key)
        self._state.remove(Route(IPv4Network(home), "").key)
        for care_of in self.tunnels(home):
            self._drop(home, care_of)
        self._served.pop(home, None)

    def expire(self, now_ns: int) -> None:
        """Let the devices go whose time is over."""
        for home, served in self._served.items():
            for care_of in [at for at, due_ns in served.leave_ns.items() if due_ns <= now_ns]:
                self._drop(home, care_of)

    def next_deadline(self) -> int | None:
        """CLOCK_MONOTONIC nanoseconds of the next thing for `expire` to do, or None."""
        times = (due for served in self._served.values() for due in served.leave_ns.values())
        return min(times, default=None)

    def welcome(self, home: IPv4Address) -> bytes | None:
        """Announce a node that came home with its own link-layer address, if that is known.

        Returns:
            the link-layer address announced, for the repetitions, or None.
        """
        link_layer = link_layer_of(self._state.route, self.arp.interface, home)
        if link_layer is not None:
            self.arp.announce(home, link_layer)
        return link_layer

    def close(self) -> None:
        """Close the packet socket (the objects are the ledger's)."""
        self.arp.close()

    def _lead(
        self, home: IPv4Address, care_of: IPv4Address, others: Sequence[IPv4Address] = ()
    ) -> None:
        """A device for the care-of address, then the route: one message moves all packets."""
        served = self._served.setdefault(home, _Served())
        if care_of not in served.names:
            other = self._users.get(care_of)
            if other is not None:  # it left that address, which is this node's now
                self._drop(other, care_of)
            if len(served.names) == _SLOTS:
                self._drop(home, next(iter(served.leave_ns)))
            taken = set(served.names.values())
            names = (f"{tunnel_name(home)}{slot:x}" for slot in range(_SLOTS))
            name = next(name for name in names if name not in taken)
            self._state.apply(Tunnel(name, self._address, care_of, self._mtu))
            self._receivers.add(name)
            self._users[care_of] = home
        else:
            name = served.names[care_of]
        new = care_of not in served.names
        try:
            if others:  # before the first packet comes this way
                served.names.setdefault(care_of, name)
                known = [each for each in others if each in served.names and each != care_of]
                self._copy(served, care_of, known)
            self._state.apply(Route(IPv4Network(home), name))
        except BaseException:
            if new:
                served.names.pop(care_of, None)
                served.copied.pop(care_of, None)
                self._users.pop(care_of)
                self._receivers.remove(name)
                self._state.remove(("link", name))
            raise
        served.names.pop(care_of, None)
        served.names[care_of] = name
        served.leave_ns.pop(care_of, None)

    def _drop(self, home: IPv4Address, care_of: IPv4Address) -> None:
        served = self._served[home]
        self._users.pop(care_of, None)
        served.leave_ns.pop(care_of, None)
        served.copied.pop(care_of, None)
        name = served.names.pop(care_of)
        self._receivers.remove(name)
        self._state.remove(("link", name))


class MobileNodePath:
    """The home address, and a tunnel to the home agent from each care-of address.

    Args:
        state: the ledger; closing it takes everything away.
        home_address: what sessions are bound to.
        home_agent: the tunnels' far end.
        correspondents: networks to which also *unbound* sockets shall speak from the home address.
        mtu: of the tunnel devices.
    """

    def __init__(
        self,
        state: KernelState,
        home_address: IPv4Address,
        home_agent: IPv4Address,
        *,
        correspondents: Iterable[IPv4Network] = (),
        mtu: int = 1480,
    ) -> None:
        self._state = state
        self._home = home_address
        self._agent = home_agent
        self._mtu = mtu
        sweep(state.route, 4)
        self._receivers = Receivers(state, home_address)
        self._tunnels: set[IPv4Address] = set()
        self._once: Once | None = None
        self._networks = tuple(correspondents)
        self._fixed: tuple[KernelObject, ...] = (
            HomeDevice(),
            Address(HOME_DEVICE, home_address),
            SourceRule(home_address, HOME_TABLE, HOME_TABLE),
        )

    @property
    def tunnels(self) -> frozenset[IPv4Address]:
        """The care-of addresses that have a tunnel."""
        return frozenset(self._tunnels)

    def tunnel(self, care_of: IPv4Address) -> Tunnel:
        """The tunnel device for a care-of address."""
        return Tunnel(tunnel_name(care_of), care_of, self._agent, self._mtu)

    def stage(self, care_of: IPv4Address) -> None:
        """Make a tunnel between `care_of` and the home agent, which receives from now on.

        Raises:
            MachineError: the kernel refused.
        """
        for wanted in self._fixed:
            self._state.apply(wanted)
        if care_of not in self._tunnels:
            tunnel = self.tunnel(care_of)
            self._state.apply(tunnel)
            self._receivers.add(tunnel.name)
            if self._once is not None:
                self._once.add(tunnel.name)
            self._tunnels.add(care_of)

    def once(self) -> None:
        """From now on let each packet pass once, by whichever tunnels it comes; again is fine.

        Raises:
            MachineError: the kernel cannot.
        """
        if self._once is None:
            self._once = Once(self._state.route)
        for care_of in self._tunnels:
            self._once.add(self.tunnel(care_of).name)

    def close(self) -> None:
        """Close what is not the ledger's."""
        if self._once is not None:
            self._once.close()
            self._once = None

    def turn(self, care_of: IPv4Address) -> None:
        """Send through the tunnel of `care_of` from now on: one send to the kernel.

        Raises:
            MachineError: the kernel refused.
        """
        name = self.tunnel(care_of).name
        self._state.apply_all(
            Route(_EVERYWHERE, name, source=self._home, table=HOME_TABLE),
            *(Route(network, name, source=self._home) for network in self._networks),
        )

    def retire(self, care_of: IPv4Address) -> None:
        """Take the tunnel of `care_of` away; none there is fine."""
        if care_of in self._tunnels:
            self._tunnels.remove(care_of)
            self._receivers.remove(self.tunnel(care_of).name)
            self._state.remove(self.tunnel(care_of).key)

    def detach(self) -> None:
        """Take tunnels, home address, routes and rule away."""
        self._state.remove(Route(_EVERYWHERE, "", table=HOME_TABLE).key)
        for network in self._networks:
            self._state.remove(Route(network, "").key)
        for care_of in self.tunnels:
            self.retire(care_of)
        for standing in reversed(self._fixed):
            self._state.remove(standing.key)
