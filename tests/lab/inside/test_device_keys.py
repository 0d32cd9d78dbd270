"""A real access point that asks by RADIUS for each station's own key, and a real station."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_address

import pytest
from air import FREQUENCIES_MHZ, Box, access_point, boxes, join, station
from virtual_radios import Hwsim

from mpa_hil.clock import instant
from mpa_hil.mobility.interface import Endpoint, Send
from mpa_hil.radius import numbers
from mpa_hil.radius.device_keys import (
    AccessPoint,
    DeviceKeyAnswerer,
    KeyGiven,
    KeyOutput,
    KeyRefused,
    StationKey,
)
from mpa_hil.radius.packet import decode
from radios.control import ControlClient
from radios.errors import RemoteError
from radios.hostapd import Hostapd
from radios.profile import NetworkProfile, Passphrase, RawPsk
from rigs.services import hostapd

SECRET = "secret-of-the-device-keys"
PMK, OTHER = bytes(range(32)), bytes(range(100, 132))


class Answering:
    """A `DeviceKeyAnswerer` behind a socket of the access point's box."""

    def __init__(self, keys: dict[str, StationKey]) -> None:
        self.keys = keys
        self.asked: list[tuple[str, str | None, str | None]] = []
        self.requests: list[bytes] = []
        self.said: list[KeyOutput] = []
        point = AccessPoint("ap", ip_address("127.0.0.1"), SECRET.encode())
        self._machine = DeviceKeyAnswerer([point], self._find, os.urandom)

    def _find(self, mac: str, bssid: str | None, ssid: str | None) -> StationKey | None:
        self.asked.append((mac, bssid, ssid))
        return self.keys.get(mac)

    def answer(self, datagram: bytes, source: tuple[str, int]) -> bytes | None:
        self.requests.append(datagram)
        endpoint = Endpoint(ip_address(source[0]), source[1])
        reply = None
        for output in self._machine.receive(datagram, endpoint, instant()):
            if isinstance(output, Send):
                reply = output.datagram
            else:
                self.said.append(output)
        return reply


@contextlib.asynccontextmanager
async def asking_point(ap: Box, answering: Answering) -> AsyncIterator[Hostapd]:
    """hostapd that has no key of its own, beside who answers it."""
    text = hostapd.text

    def asking(config: hostapd.HostapdConfig, folder: str) -> str:
        lines = text(config, folder).splitlines()
        kept = [line for line in lines if not line.startswith("wpa_psk=")]
        return "\n".join(
            [
                *kept,
                "wpa_psk_radius=2",
                "macaddr_acl=2",
                "nas_identifier=ap",
                "own_ip_addr=127.0.0.1",
                "auth_server_addr=127.0.0.1",
                "auth_server_port=1812",
                f"auth_server_shared_secret={SECRET}",
                "",
            ]
        )

    await ap.host.run("ip", "link", "set", "lo", "up")
    config = replace(access_point(ap, 1), pmf=hostapd.Pmf.OFF)
    patch = pytest.MonkeyPatch()
    patch.setattr(hostapd, "text", asking)
    async with serve(ap, answering):
        try:
            await hostapd.start(ap.host, config)
        finally:
            patch.undo()
        async with ControlClient(config.control_path(ap.host), ap.host.connect) as control:
            yield Hostapd(control)


@contextlib.asynccontextmanager
async def serve(ap: Box, answering: Answering) -> AsyncIterator[None]:
    """The answerer's socket, inside the box's namespace and on this loop."""
    import ctypes
    import socket
    from concurrent.futures import ThreadPoolExecutor

    def make() -> socket.socket:
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = os.open(f"/run/netns/{ap.host.namespace}", os.O_RDONLY)
        try:
            if libc.setns(descriptor, 0x40000000):
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(descriptor)
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("127.0.0.1", 1812))
        made.setblocking(False)
        return made

    with ThreadPoolExecutor(1) as pool:  # the thread that enters a namespace stays in it
        port = pool.submit(make).result()

    def readable() -> None:
        datagram, source = port.recvfrom(65536)
        reply = answering.answer(datagram, source)
        if reply is not None:
            port.sendto(reply, source)

    loop = asyncio.get_running_loop()
    loop.add_reader(port, readable)
    try:
        yield
    finally:
        loop.remove_reader(port)
        port.close()


def profile(ap: Box, security: RawPsk | Passphrase) -> NetworkProfile:
    return NetworkProfile(
        ssid=ap.host.name.encode(),
        security=security,
        scan_frequencies_mhz=(FREQUENCIES_MHZ[1],),
    )


@pytest.mark.parametrize(
    ("given", "used"),
    [
        (StationKey(pmk=PMK), RawPsk(PMK)),
        (StationKey(passphrase="a pass phrase"), Passphrase("a pass phrase")),
        (StationKey(pmk=PMK, lifetime_s=3600), RawPsk(PMK)),
    ],
)
def test_a_station_joins_with_the_key_that_radius_gave(
    given: StationKey, used: RawPsk | Passphrase
) -> None:
    async def scenario() -> None:
        async with boxes(Hwsim(), "ap", "mn") as box:
            mac, bssid = box["mn"].device.address, box["ap"].device.address
            answering = Answering({mac: given})
            async with (
                asking_point(box["ap"], answering),
                station(box["mn"]) as (supplicant, _),
            ):
                network = await supplicant.add_network(profile(box["ap"], used))
                await join(supplicant, network)
                assert answering.asked == [(mac, bssid, "ap")]
                assert answering.said == [KeyGiven("ap", mac, bssid)]
                # hostapd 2.10 signs what it asks, so nothing unsigned need be answered.
                assert decode(answering.requests[0]).first(numbers.MESSAGE_AUTHENTICATOR)

    asyncio.run(scenario())


def test_a_station_with_another_key_does_not_join() -> None:
    async def scenario() -> None:
        async with boxes(Hwsim(), "ap", "mn") as box:
            answering = Answering({box["mn"].device.address: StationKey(pmk=PMK)})
            async with (
                asking_point(box["ap"], answering),
                station(box["mn"]) as (supplicant, _),
            ):
                network = await supplicant.add_network(profile(box["ap"], RawPsk(OTHER)))
                with pytest.raises(RemoteError, match="did not come"):
                    await join(supplicant, network, timeout_s=8)
                assert any(isinstance(output, KeyGiven) for output in answering.said)

    asyncio.run(scenario())


def test_an_unknown_station_is_kept_out() -> None:
    async def scenario() -> None:
        async with boxes(Hwsim(), "ap", "mn") as box:
            answering = Answering({})
            async with (
                asking_point(box["ap"], answering) as access,
                station(box["mn"]) as (supplicant, _),
            ):
                network = await supplicant.add_network(profile(box["ap"], RawPsk(PMK)))
                with pytest.raises(RemoteError, match="did not come"):
                    await join(supplicant, network, timeout_s=8)
                assert await access.stations() == ()
                assert any(isinstance(output, KeyRefused) for output in answering.said)
                assert not any(isinstance(output, KeyGiven) for output in answering.said)

    asyncio.run(scenario())
