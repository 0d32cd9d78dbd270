"""Virtual radios and the real daemons on them: what the kernel does with what `radios` asks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from air import Box, access_point, boxes, join, join_both, network, station
from radio_contract import RadioContract
from virtual_radios import Hwsim

from radios import hwsim, nl80211, wpa_events
from radios.control import ControlClient
from radios.errors import LocalError, MachineError, RemoteError
from radios.hostapd import Hostapd
from radios.profile import EapTls, NetworkProfile
from radios.supplicant import Supplicant, signal_change
from rigs.services import hostapd

ADDRESS = "02:00:00:00:0e:{:02x}"
RADIOS_VARIABLE = "MPA_HIL_RADIOS"
PMKID, PMK = bytes(range(16)), bytes(range(32))


@pytest.fixture
def source() -> Hwsim:
    return Hwsim()


class TestVirtualRadios(RadioContract):
    """The contract on mac80211_hwsim."""


@pytest.fixture
def radio() -> Iterator[hwsim.Radio]:
    hwsim.load_module()
    made = hwsim.create("alone", ADDRESS.format(1))
    yield made
    hwsim.remove(made)
    assert nl80211.phys() == {}


@contextlib.contextmanager
def namespace(name: str) -> Iterator[str]:
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        yield f"/run/netns/{name}"
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def test_a_radio_is_as_it_was_ordered(radio: hwsim.Radio) -> None:
    assert (radio.phy, radio.address) == ("alone", ADDRESS.format(1))
    assert nl80211.phys() == {"alone": radio.index}
    (interface,) = nl80211.interfaces()
    assert (interface.name, interface.phy) == (radio.interface, radio.index)
    assert interface.address == radio.address


def test_names_and_addresses_are_taken_once(radio: hwsim.Radio) -> None:
    with pytest.raises(LocalError, match="alone: a radio of this name"):
        hwsim.create("alone", ADDRESS.format(2))
    with pytest.raises(LocalError, match="another radio has this MAC"):
        hwsim.create("other", radio.address)
    assert list(nl80211.phys()) == ["alone"]


def test_a_radio_can_do_without_an_interface() -> None:
    hwsim.load_module()
    made = hwsim.create("bare", ADDRESS.format(3), interface=False)
    assert made.interface == ""
    hwsim.remove(made)
    hwsim.remove(made)  # gone already is fine
    assert nl80211.phys() == {}


def test_a_radio_moves_by_namespace_and_by_process(radio: hwsim.Radio) -> None:
    with namespace("radio-one") as one, namespace("radio-two"):
        nl80211.move_phy(radio.index, namespace=one)
        assert nl80211.interfaces() == ()
        with pytest.raises(MachineError):
            nl80211.move_phy(radio.index, namespace=one)  # it is not here any more
        # Onwards by the pid of a process in the target, as from another box.
        enter = ["ip", "netns", "exec"]
        with subprocess.Popen(
            [*enter, "radio-two", "sh", "-c", "echo in; exec sleep 1000"], stdout=subprocess.PIPE
        ) as target:
            assert target.stdout is not None
            assert target.stdout.readline() == b"in\n"
            move = f"nl80211.move_phy({radio.index}, pid={target.pid})"
            script = ["python3", "-c", f"from radios import nl80211; {move}"]
            subprocess.run([*enter, "radio-one", *script], check=True)
            target.kill()
        shown = subprocess.run(
            ["ip", "netns", "exec", "radio-two", "iw", "dev"], capture_output=True, check=True
        )
        assert radio.interface.encode() in shown.stdout


def test_what_cannot_be_set_is_said(radio: hwsim.Radio) -> None:
    hwsim.mount_debugfs()
    with pytest.raises(LocalError, match="-100 to -1"):
        hwsim.set_rx_rssi("alone", 0)
    with pytest.raises(MachineError, match="no such hwsim radio"):
        hwsim.set_rx_rssi("absent", -50)
    hwsim.set_rx_rssi("alone", -50)
    hwsim.set_group("alone", 5)
    folder = Path("/sys/kernel/debug/ieee80211/alone/hwsim")
    assert int((folder / "group").read_text()) == 5


async def set_signal(ap: Box, signal_dbm: int) -> None:
    """Make everybody hear an access point at this level."""
    level = hwsim.level_for(signal_dbm)
    hwsim.set_rx_rssi(ap.device.phy, level.rx_rssi_dbm)
    await ap.host.run(*hwsim.transmit_power_command(ap.device.interface, level.transmit_power_dbm))


def test_the_signal_is_what_was_set_and_its_crossing_is_reported() -> None:
    async def scenario() -> None:
        async with boxes(Hwsim(), "ap", "mn") as box:
            await hostapd.start(box["ap"].host, access_point(box["ap"], 1))
            await set_signal(box["ap"], -50)
            async with station(box["mn"]) as (supplicant, _):
                await join(supplicant, await supplicant.add_network(network(box["ap"], 1)))
                assert (await supplicant.signal_poll()).signal_dbm == -50
                await supplicant.signal_monitor(-60, 2)
                with supplicant.control.subscribe() as events:
                    await set_signal(box["ap"], -92)
                    crossed = await events.wait_for(
                        lambda event: event.name == wpa_events.SIGNAL_CHANGE, 20
                    )
                # The driver averages: the event comes when the average has sunk below.
                assert -92 <= (signal_change(crossed).signal_dbm or 0) <= -60
                assert (await supplicant.signal_poll()).signal_dbm == -92

    asyncio.run(scenario())


def test_out_of_range_nothing_is_heard() -> None:
    async def scenario() -> None:
        async with boxes(Hwsim(), "ap", "mn") as box:
            await hostapd.start(box["ap"].host, access_point(box["ap"], 1))
            async with station(box["mn"]) as (supplicant, _):
                number = await supplicant.add_network(network(box["ap"], 1))
                await join(supplicant, number)
                with supplicant.control.subscribe() as events:
                    hwsim.set_group(box["ap"].device.phy, 2)
                    hwsim.set_group(box["mn"].device.phy, 4)
                    gone = await events.wait_for(
                        lambda event: event.name == wpa_events.DISCONNECTED, 60
                    )
                assert box["ap"].device.address in gone.text
                hwsim.set_group(box["mn"].device.phy, 6)
                await join(supplicant, number)

    asyncio.run(scenario())


def test_a_key_put_into_both_ends_makes_eap_needless() -> None:
    """RFC 6252 s7.7.1: the secure association alone. Nobody answers for the AAA server here."""

    async def scenario() -> None:
        async with boxes(Hwsim(), "ap", "mn") as box:
            mn, ap = box["mn"].device.address, box["ap"].device.address
            config = access_point(box["ap"], 1, hostapd.Radius("127.0.0.1", "s" * 32, port=9))
            await hostapd.start(box["ap"].host, config)
            async with (
                station(box["mn"]) as (supplicant, _),
                ControlClient(config.control_path(box["ap"].host)) as ap_control,
            ):
                security = EapTls(
                    "mn@home.example", "/no/ca", "/no/cert", "/no/key", "home.example"
                )
                number = await supplicant.add_network(
                    NetworkProfile(ssid=b"ap", security=security, scan_frequencies_mhz=(2412,))
                )
                access = Hostapd(ap_control)
                await access.pmksa_add(mn, PMKID, PMK, lifetime_s=1000)
                await supplicant.pmksa_add(number, ap, PMKID, PMK, lifetime_s=1000)
                assert [each.pmkid for each in await supplicant.pmksa()] == [PMKID]
                started: list[bytes] = []
                end = supplicant.control.on_event(lambda _t_ns, datagram: started.append(datagram))
                (there,) = await join_both(supplicant, access, number)
                end()
                assert there.authorized
                assert not [line for line in started if b"EAP-STARTED" in line]

    asyncio.run(scenario())


def test_verbs_of_an_access_point() -> None:
    async def scenario() -> None:
        async with boxes(Hwsim(), "ap", "mn") as box:
            config = access_point(box["ap"], 1)
            await hostapd.start(box["ap"].host, config)
            async with (
                station(box["mn"]) as (supplicant, _),
                ControlClient(config.control_path(box["ap"].host)) as ap_control,
            ):
                access = Hostapd(ap_control)
                number = await supplicant.add_network(network(box["ap"], 1))
                await join(supplicant, number)
                with supplicant.control.subscribe() as events:
                    await access.deauthenticate(box["mn"].device.address)
                    await events.wait_for(lambda e: e.name == wpa_events.DISCONNECTED, 10)
                await supplicant.disconnect()
                await access.disable()
                assert (await access.status()).state == "DISABLED"
                with pytest.raises(RemoteError, match="not ENABLED"):
                    await access.require_enabled()
                await access.enable()
                await access.require_enabled()
                await join(supplicant, number)

    asyncio.run(scenario())


def test_what_a_driver_says_of_itself() -> None:
    async def scenario() -> None:
        async with boxes(Hwsim(), "mn") as box, station(box["mn"]) as (supplicant, _):
            flags = await Supplicant(supplicant.control).driver_flags()
            assert {"SME", "AP"} <= flags

    asyncio.run(scenario())


def test_the_radio_tier_takes_what_it_is_given() -> None:
    """Its tests on virtual radios, which stand in for a bench's."""
    with Hwsim().take(2) as devices:
        names = " ".join(device.interface for device in devices)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/radio"],
            env={**os.environ, RADIOS_VARIABLE: names},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout
    assert "2 passed, 1 skipped" in done.stdout
    assert "3 radios are needed" in done.stdout
