"""The data path of Mobile IPv4 at both ends, made of kernel objects (RFC 5944 s4, RFC 2003).

Home agent: proxy ARP captures the home address, a host route leads it into an IP-in-IP device of
its own, and a new care-of address is one message that moves that device's far end. The same device
takes reverse-tunnelled packets apart. Mobile node: the home address lives on the tunnel device, so
it outlasts every care-of address, and a rule routes what is sent from it back through the tunnel.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from mpa_hil.kernel.arp import ArpSocket, link_layer_of
from mpa_hil.kernel.objects import Address, KernelObject, ProxyNeighbour, Route, SourceRule, Tunnel
from mpa_hil.kernel.state import KernelState

HOME_TABLE = 434
"""Routing table and rule priority at the mobile node: the protocol's port, easy to recognise."""
_EVERYWHERE = IPv4Network("0.0.0.0/0")


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
        self.arp = ArpSocket(home_interface)
        state.set("net/ipv4/ip_forward", "1")
        # The kernel answers for others only after a random wait of up to this (0.8 s by default).
        state.set(f"net/ipv4/neigh/{home_interface}/proxy_delay", "0")

    def tunnel(self, home: IPv4Address, care_of: IPv4Address) -> Tunnel:
        """The device that serves one home address."""
        return Tunnel(f"mpa{int(home):08x}", self._address, care_of, self._mtu)

    def add(self, home: IPv4Address, care_of: IPv4Address) -> None:
        """Capture and tunnel `home`, and announce it on its link.

        Raises:
            MachineError: the kernel refused; what was made on the way is gone again.
        """
        tunnel = self.tunnel(home, care_of)
        try:
            self._state.apply(tunnel)
            self._state.apply(Route(IPv4Network(home), tunnel.name))
            self._state.apply(ProxyNeighbour(self.arp.interface, home))
        except BaseException:
            self.remove(home)
            raise
        self.arp.announce(home)

    def change(self, home: IPv4Address, care_of: IPv4Address) -> None:
        """Move the tunnel's far end: one netlink message."""
        self._state.apply(self.tunnel(home, care_of))

    def remove(self, home: IPv4Address) -> None:
        """Stop capturing and tunnelling `home`."""
        tunnel = self.tunnel(home, home)
        self._state.remove(ProxyNeighbour(self.arp.interface, home).key)
        self._state.remove(Route(IPv4Network(home), tunnel.name).key)
        self._state.remove(tunnel.key)

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


class MobileNodePath:
    """The home address on a tunnel to the home agent, whatever the care-of address.

    Args:
        state: the ledger; closing it takes everything away.
        home_address: what sessions are bound to.
        home_agent: the tunnel's far end.
        correspondents: networks to which also *unbound* sockets shall speak from the home address.
        mtu: of the tunnel device.
        name: of the tunnel device.
    """

    def __init__(
        self,
        state: KernelState,
        home_address: IPv4Address,
        home_agent: IPv4Address,
        *,
        correspondents: Iterable[IPv4Network] = (),
        mtu: int = 1480,
        name: str = "mpahome",
    ) -> None:
        self._state = state
        self._home = home_address
        self._agent = home_agent
        self._mtu = mtu
        self._name = name
        self._fixed: tuple[KernelObject, ...] = (
            Address(name, home_address),
            Route(_EVERYWHERE, name, source=home_address, table=HOME_TABLE),
            SourceRule(home_address, HOME_TABLE, HOME_TABLE),
            *(Route(network, name, source=home_address) for network in correspondents),
        )

    def tunnel(self, care_of: IPv4Address) -> Tunnel:
        """The tunnel device for a care-of address; its `replace()` is the switch, as bytes."""
        return Tunnel(self._name, care_of, self._agent, self._mtu)

    def attach(self, care_of: IPv4Address) -> None:
        """Tunnel between `care_of` and the home agent: after the first time, one message.

        Raises:
            MachineError: the kernel refused.
        """
        self._state.apply(self.tunnel(care_of))
        for wanted in self._fixed:
            self._state.apply(wanted)

    def detach(self) -> None:
        """Take tunnel, home address, routes and rule away."""
        for standing in reversed(self._fixed):
            self._state.remove(standing.key)
        self._state.remove(self.tunnel(self._agent).key)
