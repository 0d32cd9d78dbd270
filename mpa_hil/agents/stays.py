"""What stands on the interface of networks whose address was known before the node came there, and
which no tunnel has put there: the present network's, and the one's before.

Each has a default route, so that of a network that the node goes on to takes its place. Sans-IO but
for the ledger.
"""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from typing import Protocol

from mpa_hil.kernel.objects import OPTIMISTIC, Address, KernelObject, Route, StaticNeighbour
from mpa_hil.mobility.interface import Address as IpAddress

_EVERYWHERE: dict[int, IPv4Network | IPv6Network] = {
    4: IPv4Network("0.0.0.0/0"),
    6: IPv6Network("::/0"),
}


class Kernel(Protocol):
    """What of `kernel.state.Ledger` this needs."""

    def apply(self, wanted: KernelObject) -> None:
        """Have it, in the place of whatever has its key."""

    def withdraw(self, wanted: KernelObject) -> None:
        """Take it out, unless something else has taken its place."""


class Stays:
    """Every method raises MachineError when the kernel refuses.

    Life: `settle` where nothing was before, or `come` and then `adopt`; then `drop` what was
    before, or go `back` to it.
    """

    def __init__(self, state: Kernel, interface: str) -> None:
        self._state = state
        self._interface = interface
        self._coming: tuple[KernelObject, ...] = ()
        self._here: tuple[KernelObject, ...] = ()
        self._left: tuple[KernelObject, ...] = ()

    def settle(
        self, address: IPv4Interface | IPv6Interface, router: IpAddress, router_mac: bytes
    ) -> None:
        """Be there; after the first time there is nothing left to do: it outlives the link."""
        if not self._here:
            self._here = self._put(address, router, router_mac)

    def come(
        self, address: IPv4Interface | IPv6Interface, router: IpAddress, router_mac: bytes
    ) -> None:
        """Be ready on the network that the node has come to; an IPv6 address is optimistic."""
        self._withdraw(self._coming, but=self._here)
        flags = OPTIMISTIC if address.version == 6 else 0
        self._coming = self._put(address, router, router_mac, flags)

    def adopt(self) -> None:
        """The node lives there now, or wherever else it went; what was here is kept."""
        self._withdraw(self._left, but=(*self._here, *self._coming))
        self._left, self._here, self._coming = self._here, self._coming, ()

    def back(self) -> None:
        """The node lives where it did before."""
        self._withdraw(self._here, but=self._left)
        self._here, self._left = self._left, ()
        for wanted in self._here:
            self._state.apply(wanted)

    def drop(self) -> None:
        """It stays where it is."""
        self._withdraw(self._left, but=self._here)
        self._left = ()

    def clear(self) -> None:
        """Nothing stands any more."""
        for some in (self._coming, self._here, self._left):
            self._withdraw(some)
        self._coming = self._here = self._left = ()

    def _put(
        self,
        address: IPv4Interface | IPv6Interface,
        router: IpAddress,
        router_mac: bytes,
        flags: int = 0,
    ) -> tuple[KernelObject, ...]:
        wanted: tuple[KernelObject, ...] = (
            Address(self._interface, address.ip, address.network.prefixlen, flags),
            Route(_EVERYWHERE[address.version], self._interface, gateway=router),
            StaticNeighbour(self._interface, router, router_mac),
        )
        for each in wanted:
            self._state.apply(each)
        return wanted

    def _withdraw(self, some: tuple[KernelObject, ...], but: tuple[KernelObject, ...] = ()) -> None:
        """Two networks may have something in common: two access points of one link do."""
        for standing in reversed(some):
            if standing not in but:
                self._state.withdraw(standing)
