"""An address that the mobile node gets by DHCP in a network that it has come to unprepared, beside
the one that it came with: that one stays until the node lives here, so there is a way back."""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from mpa_hil.agents.dhcp_lease import DhcpLease
from mpa_hil.agents.stdio import Console
from mpa_hil.kernel.objects import Route
from mpa_hil.kernel.rules import SourceRule
from mpa_hil.kernel.state import KernelState
from mpa_hil.mobility.interface import Address
from rigs.services.dhcp_client import LeaseEvent, Versions

_TABLE = 436
"""Routing table and rule priority of packets from the address, while another default route stands:
one for each of two acquisitions in turn."""
_METRIC = 900
"""Of the client's own routes: before those of the client that the node began with."""
_EVERYWHERE: dict[int, IPv4Network | IPv6Network] = {
    4: IPv4Network("0.0.0.0/0"),
    6: IPv6Network("::/0"),
}


class Acquisition:
    """One address, with a DHCP client of its own. A `layer3.Residence`.

    Args:
        number: of the acquisition; two that follow each other stand side by side for a while.
        acquired: called with the address, once.
    """

    def __init__(
        self,
        interface: str,
        workdir: str,
        versions: Versions,
        number: int,
        state: KernelState,
        console: Console,
        acquired: Callable[[Address], None],
    ) -> None:
        self._interface = interface
        self._state = state
        self._console = console
        self._acquired: Callable[[Address], None] | None = acquired
        self._table = _TABLE + number % 2
        name = f"dhcpcd{number % 2}"
        self._lease = DhcpLease(interface, workdir, self._on_lease, versions, name)
        self._standing: list[Route | SourceRule] = []
        self._lease.start(rapid_commit=True, metric=_METRIC + number % 2)

    def freeze(self) -> None:
        """The node may go to another link: see `DhcpLease.freeze`."""
        self._lease.freeze()

    def thaw(self) -> None:
        """It stays."""
        self._lease.thaw()

    def forget(self) -> None:
        """Tell nobody any more."""
        self._acquired = None

    def resume(self) -> None:
        """`layer3.Residence`: nothing has taken the place of its routes, they have tables and
        metrics of their own."""

    async def vacate(self) -> None:
        """End the client, which takes address and routes away."""
        self.forget()
        for standing in reversed(self._standing):
            self._state.remove(standing.key)
        self._standing.clear()
        await self._lease.stop()

    def _on_lease(self, event: LeaseEvent) -> None:
        acquired, self._acquired = self._acquired, None
        if acquired is None:
            return  # a renewal
        address = ip_address(event.address)
        self._route(address, event.routers)
        self._console.emit(
            "dhcp.bound",
            time.monotonic_ns(),
            address=event.address,
            router=event.routers[0] if event.routers else "",
            lease_s=event.lease_s,
            dns=event.dns,
            paa=event.paa,
        )
        acquired(address)

    def _route(self, address: IPv4Address | IPv6Address, routers: tuple[str, ...]) -> None:
        """What comes from this address goes by this network's router, whatever else stands."""
        if not routers:
            return
        router = ip_address(routers[0])
        self._standing = [
            Route(
                _EVERYWHERE[address.version],
                self._interface,
                router,
                table=self._table,
                on_link=True,
            ),
            SourceRule(address, self._table, self._table),
        ]
        for wanted in self._standing:
            self._state.apply(wanted)
