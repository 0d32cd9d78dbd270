"""What radios must do for a lab, virtual or real. Subclass `RadioContract` and give it a `source`.

One association serves several questions: real radios are slow to bring up.
"""

from __future__ import annotations

import asyncio
import json

from air import (
    FREQUENCIES_MHZ,
    Box,
    RadioSource,
    access_point,
    boxes,
    join,
    join_both,
    network,
    station,
)

from radios.control import ControlClient
from radios.hostapd import Hostapd
from radios.supplicant import Supplicant
from rigs.services import hostapd

IN_BOX = """
import dataclasses, json, sys
from radios import nl80211
name = sys.argv[1]
print(json.dumps({
    "interfaces": [dataclasses.asdict(each) for each in nl80211.interfaces()],
    "stations": [dataclasses.asdict(each) for each in nl80211.station_signals(name)],
    "survey": [dataclasses.asdict(each) for each in nl80211.survey(name)],
    "capabilities": [
        {**dataclasses.asdict(each), "features": sorted(each.features)}
        for each in nl80211.capabilities()
    ],
}))
"""


async def kernel_view(box: Box) -> dict[str, list[dict[str, object]]]:
    """What nl80211 tells of a box's radio."""
    done = await box.host.run("python3", "-c", IN_BOX, box.device.interface)
    view = json.loads(done.stdout)
    assert isinstance(view, dict)
    return view


class RadioContract:
    """The suite; each test brings its boxes up and takes them down."""

    def test_a_station_joins_and_both_ends_agree(self, source: RadioSource) -> None:
        async def scenario() -> None:
            async with boxes(source, "ap", "mn") as box:
                config = access_point(box["ap"], 1)
                await hostapd.start(box["ap"].host, config)
                async with (
                    station(box["mn"]) as (supplicant, _),
                    ControlClient(config.control_path(box["ap"].host)) as ap_control,
                ):
                    await self.scan_finds(supplicant, box["ap"])
                    number = await supplicant.add_network(network(box["ap"], 1))
                    (there,) = await join_both(supplicant, Hostapd(ap_control), number)
                    status = await supplicant.status()
                    assert status.completed
                    assert status.bssid == box["ap"].device.address
                    assert status.frequency_mhz == FREQUENCIES_MHZ[1]
                    assert there.address == box["mn"].device.address
                    assert there.authorized
                    heard = await supplicant.signal_poll()
                    assert heard.bssid == box["ap"].device.address
                    assert -100 < (heard.signal_dbm or 0) < -5
                    await self.kernel_agrees(box["mn"], box["ap"])
                    await supplicant.disconnect()

        asyncio.run(scenario())

    async def scan_finds(self, supplicant: Supplicant, ap: Box) -> None:
        """A scan of one channel finds the access point there."""
        found = await supplicant.scan_and_wait([FREQUENCIES_MHZ[1]])
        (entry,) = [each for each in found if each.bssid == ap.device.address]
        assert entry.ssid == b"ap"
        assert any("WPA2-PSK" in flag for flag in entry.flags)
        bss = await supplicant.bss(ap.device.address)
        assert bss is not None
        assert bss.beacon_interval_tu == 100

    async def kernel_agrees(self, mn: Box, ap: Box) -> None:
        """nl80211 in the station's box knows the interface, its peer, and what the driver can."""
        view = await kernel_view(mn)
        (interface,) = view["interfaces"]
        assert interface["name"] == mn.device.interface
        assert interface["frequency_mhz"] == FREQUENCIES_MHZ[1]
        (peer,) = view["stations"]
        assert peer["bssid"] == ap.device.address
        (device,) = view["capabilities"]
        assert device["name"] == mn.device.phy
        assert set(FREQUENCIES_MHZ.values()) <= set(device["frequencies_mhz"])  # type: ignore[call-overload]
        assert "CCMP" in device["ciphers"]  # type: ignore[operator]

    def test_a_station_changes_its_access_point(self, source: RadioSource) -> None:
        async def scenario() -> None:
            async with boxes(source, "a1", "b1", "mn") as box:
                for name, channel in (("a1", 1), ("b1", 6)):
                    await hostapd.start(box[name].host, access_point(box[name], channel))
                async with station(box["mn"]) as (supplicant, _):
                    first, second = [
                        await supplicant.add_network(network(box[name], channel))
                        for name, channel in (("a1", 1), ("b1", 6))
                    ]
                    for number, name in ((first, "a1"), (second, "b1"), (first, "a1")):
                        await join(supplicant, number)
                        assert (await supplicant.status()).bssid == box[name].device.address

        asyncio.run(scenario())
