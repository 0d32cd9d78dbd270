"""The data path of Mobile IPv6 at mobile node and home agent (RFC 6275 s10.4, s11.3, RFC 2473).

As in `mobile_ip`: a tunnel device for each care-of address, the routes moved in one message, the
device left goes on receiving. At the home agent a device takes only packets from its home address
(s10.4.5); at the node the kernel accepts type 2 routing headers for the home address at any
care-of address, and Mobility Headers are never transformed (s6.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Network

from mpa_hil.kernel import filters
from mpa_hil.kernel.devices import Encapsulation, raise_quietly
from mpa_hil.kernel.mip6_xfrm import (
    ANY,
    MOBILITY_HEADER,
    Direction,
    Extension,
    MobilityPolicy,
    MobilityState,
)
from mpa_hil.kernel.mobile_ip import GRACE_NS
from mpa_hil.kernel.mobile_ip6_direct import BYPASS_PRIORITY, listening
from mpa_hil.kernel.mobile_ip_links import (
    CARE_OF_RULE,
    CORRESPONDENT_RULE,
    HOME_DEVICE,
    HOME_TABLE,
    HomeDevice,
    sweep,
    tunnel_name,
)
from mpa_hil.kernel.netlink import interface_index
from mpa_hil.kernel.objects import (
    NO_DAD,
    Address,
    KernelObject,
    ProxyNeighbour,
    Route,
)
from mpa_hil.kernel.rules import DestinationRule, SourceRule
from mpa_hil.kernel.state import KernelState, Ledger

_EVERYWHERE = IPv6Network("::/0")
_INSIDE = frozenset({6})
_HOME_ADDRESS = 0x10
"""Address flag: a home address. The kernel takes routing headers for it, and prefers it."""
_MAIN_TABLE = 254
_SLOTS = 16


@dataclass(slots=True)
class _Served:
    names: dict[IPv6Address, str] = field(default_factory=dict)
    """Devices by care-of address, the primary one last."""
    leave_ns: dict[IPv6Address, int] = field(default_factory=dict)
    """When the devices left are to go."""


class HomeAgentPath6:
    """Captures home addresses on `home_interface` and tunnels them from `address`.

    Args:
        state: the ledger; closing it takes everything away.
        transforms: the ledger of states and policies.
        address: of the home agent, where updates come to.
        mtu: of the tunnel devices; the smallest link on the way, less 40.
    """

    def __init__(
        self,
        state: KernelState,
        transforms: Ledger,
        address: IPv6Address,
        home_interface: str,
        mtu: int = 1460,
    ) -> None:
        self._state = state
        self._address = address
        self._interface = home_interface
        self._mtu = mtu
        self._served: dict[IPv6Address, _Served] = {}
        self._users: dict[IPv6Address, IPv6Address] = {}
        self._names: set[str] = set()
        sweep(state.route, 6)
        state.set("net/ipv6/conf/all/forwarding", "1")
        # For all: only then does it answer those, too, who ask the home address itself whether it
        # is still there (they have the home agent's link-layer address for it).
        state.set("net/ipv6/conf/all/proxy_ndp", "1")
        state.set(f"net/ipv6/conf/{home_interface}/proxy_ndp", "1")
        state.set(f"net/ipv6/neigh/{home_interface}/proxy_delay", "0")
        for wanted in listening(address):
            transforms.apply(wanted)

    def tunnels(self, home: IPv6Address) -> dict[IPv6Address, str]:
        """The devices that serve a home address, by care-of address, the primary one last."""
        served = self._served.get(home)
        return dict(served.names) if served else {}

    def add(self, home: IPv6Address, care_of: IPv6Address) -> None:
        """Capture and tunnel `home`; the caller has checked that it is free, and announces it.

        Raises:
            MachineError: the kernel refused; what was made on the way is gone again.
        """
        try:
            self.stage(home, care_of)
            self._turn(home, care_of)
            self._state.apply(ProxyNeighbour(self._interface, home))
        except BaseException:
            self.remove(home)
            raise

    def change(self, home: IPv6Address, care_of: IPv6Address, now_ns: int) -> None:
        """Tunnel `home` to another care-of address; what comes from the one left is still taken.

        Raises:
            MachineError: the kernel refused, and the tunnel before is as it was.
        """
        served = self._served[home]
        left = next(reversed(served.names))
        self.stage(home, care_of)
        self._turn(home, care_of)
        if left != care_of:
            served.leave_ns[left] = now_ns + GRACE_NS

    def stage(self, home: IPv6Address, care_of: IPv6Address) -> str:
        """Take reverse-tunnelled packets from a care-of address; returns the device's name.

        Raises:
            MachineError: the kernel refused.
        """
        served = self._served.setdefault(home, _Served())
        served.leave_ns.pop(care_of, None)
        if care_of in served.names:
            return served.names[care_of]
        other = self._users.get(care_of)
        if other is not None:  # it left that address, which is this node's now
            self._drop(other, care_of)
        if len(served.names) == _SLOTS:
            self._drop(home, next(iter(served.leave_ns or served.names)))
        names = (f"{tunnel_name(home)}{slot:x}" for slot in range(_SLOTS))
        name = next(name for name in names if name not in self._names)
        self._state.apply(Encapsulation(name, self._address, care_of, _INSIDE, self._mtu))
        try:
            raise_quietly(self._state, name, ipv6=True)
            self._state.set(f"net/ipv6/conf/{name}/forwarding", "1")
            self._guard(name, home)
        except BaseException:
            self._state.remove(("link", name))
            raise
        # The primary one stays the last.
        served.names = {care_of: name, **served.names}
        self._names.add(name)
        self._users[care_of] = home
        return name

    def leave(self, home: IPv6Address, care_of: IPv6Address, now_ns: int) -> None:
        """Let a device that is not the primary one go after the time of grace."""
        served = self._served.get(home)
        if served is not None and care_of in served.names:
            served.leave_ns[care_of] = now_ns + GRACE_NS

    def remove(self, home: IPv6Address) -> None:
        """Stop capturing and tunnelling `home`."""
        self._state.remove(ProxyNeighbour(self._interface, home).key)
        self._state.remove(Route(IPv6Network(home), "").key)
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

    def _guard(self, name: str, home: IPv6Address) -> None:
        """Only packets from the home address leave the tunnel here."""
        index = interface_index(name)
        messages = (
            filters.entrance(index),
            filters.verdict(index, 1, filters.Match(6, source=home), passes=True),
            filters.verdict(index, 2, filters.Match(), passes=False),
        )
        self._state.route.request(b"".join(messages), f"guard {name}", len(messages))

    def _turn(self, home: IPv6Address, care_of: IPv6Address) -> None:
        served = self._served[home]
        name = served.names[care_of]
        self._state.apply(Route(IPv6Network(home), name))
        del served.names[care_of]
        served.names[care_of] = name

    def _drop(self, home: IPv6Address, care_of: IPv6Address) -> None:
        served = self._served[home]
        self._users.pop(care_of, None)
        served.leave_ns.pop(care_of, None)
        name = served.names.pop(care_of)
        self._names.discard(name)
        self._state.remove(("link", name))


class MobileNodePath6:
    """The home address, a tunnel to the home agent from each care-of address, and the direct way to
    correspondents that know the node's binding.

    Args:
        state: the ledger; closing it takes everything away.
        transforms: the ledger of states and policies.
        home_address: what sessions are bound to.
        home_agent: the tunnels' far end.
        correspondents: networks to which also *unbound* sockets shall speak from the home address.
        mtu: of the tunnel devices.
    """

    def __init__(
        self,
        state: KernelState,
        transforms: Ledger,
        home_address: IPv6Address,
        home_agent: IPv6Address,
        *,
        correspondents: Iterable[IPv6Network] = (),
        mtu: int = 1460,
    ) -> None:
        sweep(state.route, 6)
        self._state = state
        self._transforms = transforms
        self._home = home_address
        self._agent = home_agent
        self._mtu = mtu
        self._tunnels: set[IPv6Address] = set()
        self._networks = tuple(correspondents)
        self._stands = False

    @property
    def tunnels(self) -> frozenset[IPv6Address]:
        """The care-of addresses that have a tunnel."""
        return frozenset(self._tunnels)

    def stage(self, care_of: IPv6Address) -> None:
        """Make a tunnel between `care_of` and the home agent, which receives from now on.

        Raises:
            MachineError: the kernel refused.
        """
        if not self._stands:
            self._stand()
        if care_of in self._tunnels:
            return
        name = tunnel_name(care_of)
        self._state.apply(Encapsulation(name, care_of, self._agent, _INSIDE, self._mtu))
        raise_quietly(self._state, name, ipv6=True)
        self._state.apply(SourceRule(care_of, _MAIN_TABLE, CARE_OF_RULE))
        self._tunnels.add(care_of)

    def turn(self, care_of: IPv6Address) -> None:
        """Send through the tunnel of `care_of` from now on: one send to the kernel.

        Raises:
            MachineError: the kernel refused.
        """
        name = tunnel_name(care_of)
        self._state.apply(Route(_EVERYWHERE, name, source=self._home, table=HOME_TABLE))

    def optimise(self, correspondent: IPv6Address, care_of: IPv6Address) -> None:
        """Send to a correspondent from `care_of` directly, with the home address in an option.

        Between two care-of addresses what is sent goes through the tunnel, so no packet leaves by
        the way of one with the address of the other.

        Raises:
            MachineError: the kernel refused.
        """
        self._transforms.remove(self._direct(correspondent).key)
        wanted = self._direct_state(correspondent, care_of)
        self._transforms.apply(wanted)
        self._transforms.apply(self._direct(correspondent))

    def unoptimise(self, correspondent: IPv6Address) -> None:
        """Send to a correspondent through the tunnel; nothing to do if that is so."""
        self._transforms.remove(self._direct(correspondent).key)
        self._transforms.remove(self._direct_state(correspondent, ANY).key)

    def retire(self, care_of: IPv6Address) -> None:
        """Take the tunnel of `care_of` away; none there is fine."""
        if care_of in self._tunnels:
            self._tunnels.remove(care_of)
            self._state.remove(SourceRule(care_of, _MAIN_TABLE, CARE_OF_RULE).key)
            self._state.remove(("link", tunnel_name(care_of)))

    def detach(self) -> None:
        """Take tunnels, home address, routes, rule and transformations away."""
        self._transforms.close()
        self._state.remove(Route(_EVERYWHERE, "", table=HOME_TABLE).key)
        for care_of in self.tunnels:
            self.retire(care_of)
        for standing in reversed(self._fixed()):
            self._state.remove(standing.key)
        self._stands = False

    def _fixed(self) -> tuple[KernelObject, ...]:
        return (
            HomeDevice(),
            Address(HOME_DEVICE, self._home, flags=NO_DAD | _HOME_ADDRESS),
            SourceRule(self._home, HOME_TABLE, HOME_TABLE),
            *(DestinationRule(net, HOME_TABLE, CORRESPONDENT_RULE) for net in self._networks),
        )

    def _stand(self) -> None:
        for wanted in self._fixed():
            self._state.apply(wanted)
        for wanted in (
            MobilityState(Extension.ROUTING, ANY, self._home, ANY, any_source=True),
            MobilityPolicy(Direction.IN, ANY, self._home, Extension.ROUTING),
            MobilityPolicy(Direction.OUT, self._home, ANY, None, MOBILITY_HEADER, BYPASS_PRIORITY),
        ):
            self._transforms.apply(wanted)
        self._stands = True

    def _direct(self, correspondent: IPv6Address) -> MobilityPolicy:
        return MobilityPolicy(Direction.OUT, self._home, correspondent, Extension.HOME_ADDRESS)

    def _direct_state(self, correspondent: IPv6Address, care_of: IPv6Address) -> MobilityState:
        return MobilityState(Extension.HOME_ADDRESS, self._home, correspondent, care_of)
