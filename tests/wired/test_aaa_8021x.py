"""hostapd and wpa_supplicant on a wire, started by `rigs.services`, with FreeRADIUS behind them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

import pytest
from services_lab import IDENTITY, SERVER_NAME, Papers, boxes, needs, put_client

from radios.errors import MachineError, RemoteError
from rigs.links import Link
from rigs.netns import NamespaceHost
from rigs.services import freeradius, hostapd, wpa_supplicant

pytestmark = needs("freeradius", "hostapd", "wpa_supplicant")

SECRET = freeradius.new_secret()
LINKS = (
    Link("mn", "ap", a_interface="eth0", b_interface="port0"),
    Link("ap", "aaa", "10.92.1.1/24", "10.92.1.2/24"),
)
PORT = hostapd.HostapdConfig(
    interface="port0",
    security=hostapd.Radius("10.92.1.2", SECRET, own_address="10.92.1.1", nas_identifier="port"),
)
SUPPLICANT = wpa_supplicant.SupplicantConfig(interface="eth0", driver="wired")


def in_lab(scenario: Callable[[dict[str, NamespaceHost]], Awaitable[None]]) -> None:
    async def run() -> None:
        async with boxes(*LINKS) as hosts:
            await scenario(hosts)

    asyncio.run(run())


async def ask(host: NamespaceHost, path: str, *requests: str) -> None:
    channel = await host.connect(path)
    try:
        for request in requests:
            await channel.send(request.encode())
            assert b"FAIL" not in await asyncio.wait_for(channel.receive(), 60), request
    finally:
        await channel.close()


def test_a_supplicant_is_let_in_by_the_authentication_server() -> None:
    async def scenario(hosts: dict[str, NamespaceHost]) -> None:
        papers = Papers()
        await freeradius.start(
            hosts["aaa"],
            freeradius.RadiusConfig(
                clients=(freeradius.Client("port", "10.92.1.1", SECRET),),
                eap_tls=freeradius.EapTls(papers.ca.certificate, papers.server, ("home.example",)),
            ),
        )
        port = await hostapd.start(hosts["ap"], PORT)
        mn = await wpa_supplicant.start(hosts["mn"], SUPPLICANT)
        await put_client(hosts["mn"], papers.ca.certificate, papers.client)
        folder = hosts["mn"].workdir
        network = {
            "key_mgmt": "IEEE8021X",
            "eapol_flags": "0",
            "eap": "TLS",
            "identity": f'"{IDENTITY}"',
            "ca_cert": f'"{folder}/ca.pem"',
            "client_cert": f'"{folder}/mn.pem"',
            "private_key": f'"{folder}/mn.key"',
            "domain_match": f'"{SERVER_NAME}"',
        }
        await ask(
            hosts["mn"],
            SUPPLICANT.control_path(hosts["mn"]),
            "ADD_NETWORK",
            *(f"SET_NETWORK 0 {key} {value}" for key, value in network.items()),
            "ENABLE_NETWORK 0",
        )
        await mn.expect(lambda line: "CTRL-EVENT-EAP-SUCCESS" in line, what="EAP", timeout_s=60)
        await port.expect(lambda line: "authenticated" in line, what="the port", timeout_s=60)
        await ask(hosts["ap"], PORT.control_path(hosts["ap"]), "PING")

    in_lab(scenario)


RADIO = hostapd.Radio(ssid="operator ä", bssid="02:00:00:00:0a:01", channel=6, country="DE")
KEY = hostapd.Psk("0123456789abcdef" * 4)
FT = hostapd.FastTransition("a1b2")
FT_ASKING = hostapd.FastTransition(
    "a1b2", local_psk=False, key_holders=(("02:00:00:00:0b:01", "ap-b", "ab" * 32),)
)


@pytest.mark.parametrize(
    "config",
    [
        hostapd.HostapdConfig("wlan7", None, RADIO),
        hostapd.HostapdConfig("wlan7", KEY, RADIO, pmf=hostapd.Pmf.OFF),
        hostapd.HostapdConfig("wlan7", KEY, RADIO, fast_transition=FT),
        hostapd.HostapdConfig("wlan7", KEY, RADIO, fast_transition=FT_ASKING),
        hostapd.HostapdConfig("wlan7", PORT.security, RADIO, pmf=hostapd.Pmf.REQUIRED),
        hostapd.HostapdConfig(
            "wlan7",
            PORT.security,
            RADIO,
            bridge="lan",
            pmksa_caching=False,
            opportunistic_key_caching=True,
            fast_transition=FT_ASKING,
            preauthentication_interfaces=("lan",),
        ),
    ],
)
def test_hostapd_understands_every_kind_of_network(config: hostapd.HostapdConfig) -> None:
    """Without a radio it gets as far as looking for one, which is past its configuration."""

    async def scenario(hosts: dict[str, NamespaceHost]) -> None:
        with pytest.raises((MachineError, RemoteError)) as caught:
            await hostapd.start(hosts["ap"], config)
        said = (await hosts["ap"].get("hostapd.log")).decode() + str(caught.value)
        assert "Line " not in said, said
        assert "errors found in configuration" not in said
        assert "nl80211" in said or "no interface wlan7" in said, said

    in_lab(scenario)


def test_a_missing_interface_is_named() -> None:
    async def scenario(hosts: dict[str, NamespaceHost]) -> None:
        with pytest.raises(MachineError, match="host mn has no interface eth7"):
            await wpa_supplicant.start(
                hosts["mn"], wpa_supplicant.SupplicantConfig("eth7", driver="wired")
            )
        with pytest.raises(MachineError, match="host ap has no interface eth7"):
            await hostapd.start(
                hosts["ap"], hostapd.HostapdConfig(interface="eth7", security=PORT.security)
            )

    in_lab(scenario)


def test_deaths_are_noticed_and_named() -> None:
    async def scenario(hosts: dict[str, NamespaceHost]) -> None:
        services = [
            await hostapd.start(hosts["ap"], PORT),
            await wpa_supplicant.start(hosts["mn"], SUPPLICANT),
        ]
        for service in services:
            watch = asyncio.create_task(service.watch())
            await service.daemon.signal(signal.SIGKILL)
            with pytest.raises(RemoteError, match=f"{service.where}: .* ended with signal 9"):
                await asyncio.wait_for(watch, 60)

    in_lab(scenario)
