"""The configuration agent on its link: what it hears and says there, whoever asked. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable

from mpa_hil.configuration.acquisition import Acquisition, Transmit
from mpa_hil.configuration.acquisition6 import Acquisition6
from mpa_hil.configuration.dhcp4.acquisition import Acquisition4
from mpa_hil.configuration.frames6 import (
    NeighbourSolicited,
    RouterAdvertised,
    link_local,
    neighbour_advertisement,
    router_solicitation,
)
from mpa_hil.configuration.heard import Heard, hear
from mpa_hil.configuration.interface import Method, Wish
from mpa_hil.configuration.presence import Absence
from mpa_hil.configuration.reports import AgentSettings
from mpa_hil.configuration.routers import Routers
from mpa_hil.errors import DecodeError
from mpa_hil.mobility.interface import Address, Instant


class Link:
    """See the module.

    Args:
        mac: the link-layer address of the agent's interface.
        random: `os.urandom`.
    """

    def __init__(self, settings: AgentSettings, mac: bytes, random: Callable[[int], bytes]) -> None:
        self._settings = settings
        self._mac = mac
        self._address = link_local(mac)
        self._random = random
        self._routers = Routers()

    def begin(self) -> tuple[Transmit, ...]:
        """Ask who is a router here, before any mobile node wants to know."""
        if self._settings.methods <= {Method.DHCPV4}:
            return ()
        return (Transmit(router_solicitation(self._mac)),)

    def heard(self, frame: bytes, now: Instant) -> Heard | Transmit | None:
        """What a frame says, or what to answer at once, or None: it concerns nobody here."""
        try:
            said = hear(frame)
        except DecodeError:
            return None
        if isinstance(said, NeighbourSolicited):
            if said.target != self._address or said.source.is_unspecified:
                return None
            return Transmit(neighbour_advertisement(self._mac, said))
        if isinstance(said, RouterAdvertised):
            self._routers.heard(said, now)
        return said

    def acquisition(self, wish: Wish) -> Acquisition:
        """The way to what an MN wants."""
        settings, common = self._settings, (wish, self._mac, self._random)
        if wish.method is Method.DHCPV4:
            return Acquisition4(*common, settings.dhcp4)
        return Acquisition6(*common, settings.dhcp6, self._routers)

    def absence(self, address: Address, node_mac: bytes) -> Absence:
        """The question whether an MN is here."""
        return Absence(address, node_mac, self._mac)
