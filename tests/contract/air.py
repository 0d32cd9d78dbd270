"""Radios in boxes of their own, for tests of what passes between them.

`RadioSource` says where the radios come from: mac80211_hwsim in the guest, or a bench's own.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from radios import nl80211, wpa_events
from radios.control import ControlClient
from radios.hostapd import Hostapd
from radios.profile import NetworkProfile, RawPsk
from radios.replies import Station
from radios.supplicant import Supplicant
from rigs.netns import NamespaceHost
from rigs.services import hostapd, wpa_supplicant
from rigs.services.service import Service

KEY = bytes(range(32))
FREQUENCIES_MHZ = {1: 2412, 6: 2437}
_labs = itertools.count()


@dataclass(frozen=True, slots=True)
class Device:
    """A radio before it goes into a box."""

    phy: str
    index: int
    interface: str
    address: str


class RadioSource(Protocol):
    """Where radios come from."""

    def take(self, count: int) -> contextlib.AbstractContextManager[Sequence[Device]]:
        """So many radios in this namespace; given back at the end. Skips when there are fewer."""


@dataclass(frozen=True, slots=True)
class Box:
    """A namespace with a radio."""

    host: NamespaceHost
    device: Device


@contextlib.asynccontextmanager
async def boxes(source: RadioSource, *names: str) -> AsyncIterator[dict[str, Box]]:
    """Boxes with a radio each, by name; nothing of them is left."""
    lab = f"air{os.getpid()}_{next(_labs)}"
    with source.take(len(names)) as devices:
        made: dict[str, Box] = {}
        try:
            for name, device in zip(names, devices, strict=True):
                host = await NamespaceHost.create(name, lab)
                made[name] = Box(host, device)
                nl80211.move_phy(device.index, namespace=f"/run/netns/{host.namespace}")
            yield made
        finally:
            for box in made.values():
                await box.host.close()


def access_point(
    box: Box, channel: int, security: hostapd.Psk | hostapd.Radius | None = None
) -> hostapd.HostapdConfig:
    """The configuration of a box as an access point, its SSID the box's name."""
    return hostapd.HostapdConfig(
        interface=box.device.interface,
        security=security or hostapd.Psk(KEY.hex()),
        radio=hostapd.Radio(ssid=box.host.name, bssid=box.device.address, channel=channel),
    )


def network(box: Box, channel: int) -> NetworkProfile:
    """What a station needs to join `access_point(box, channel)`."""
    return NetworkProfile(
        ssid=box.host.name.encode(),
        security=RawPsk(KEY),
        scan_frequencies_mhz=(FREQUENCIES_MHZ[channel],),
    )


@contextlib.asynccontextmanager
async def station(box: Box) -> AsyncIterator[tuple[Supplicant, Service]]:
    """A running wpa_supplicant in a box, on its control socket."""
    config = wpa_supplicant.SupplicantConfig(box.device.interface)
    service = await wpa_supplicant.start(box.host, config)
    async with ControlClient(config.control_path(box.host), box.host.connect) as control:
        yield Supplicant(control), service


async def join(supplicant: Supplicant, network_id: int, timeout_s: float = 20.0) -> None:
    """Join a network and wait until the port is open."""
    with supplicant.control.subscribe() as events:
        await supplicant.select_network(network_id)
        await events.wait_for(lambda event: event.name == wpa_events.CONNECTED, timeout_s)


async def join_both(
    supplicant: Supplicant, access: Hostapd, network_id: int
) -> tuple[Station, ...]:
    """`join`, then the stations of the access point, which opens its port a moment later."""
    with access.control.subscribe() as events:
        await join(supplicant, network_id)
        await events.wait_for(lambda event: event.name == wpa_events.STATION_CONNECTED, 10)
    return await access.stations()
