"""What a mobile node must still know when it comes back to the network that it tried to leave.

With its carrier an interface loses its neighbour cache, all but the permanent entries. Back on the
old network the node would ask for its router's link-layer address at the very moment at which the
port opens, when the kernel still throws packets away, and ask again a second later.
"""

from __future__ import annotations

from mpa_hil.kernel.netlink import RouteSocket
from mpa_hil.kernel.objects import StaticNeighbour, known_neighbours
from mpa_hil.kernel.state import KernelState


class WayBack:
    """The neighbours of one interface, kept from the preparation of a switch to its end."""

    def __init__(self, state: KernelState, interface: str) -> None:
        self._state = state
        self._interface = interface
        self._kept: dict[object, StaticNeighbour] = {}

    def keep(self) -> None:
        """Keep those that are known now, routers mostly.

        Raises:
            MachineError: the kernel refused.
        """
        with RouteSocket() as route:
            found = known_neighbours(route, self._interface)
        for address, link_layer in found:
            entry = StaticNeighbour(self._interface, address, link_layer)
            self._kept[address] = entry
            self._state.apply(entry)

    def let_go(self) -> None:
        """They grow old like any others from now on.

        Raises:
            MachineError: the kernel refused.
        """
        kept, self._kept = self._kept, {}
        for entry in kept.values():
            self._state.withdraw(entry)
