"""The control client against real hostapd and wpa_supplicant on a veth pair."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from radio_pair import RadioPair, radio_pair

from radios import wpa_events
from radios.control import (
    ControlClient,
    Disconnected,
    Event,
    NoAnswer,
    Notice,
    Reconnected,
    Refused,
    Subscription,
)
from radios.errors import MachineError, RemoteError
from radios.hostapd import Hostapd
from radios.supplicant import Supplicant


@pytest.fixture
def pair() -> Iterator[RadioPair]:
    with radio_pair() as made:
        yield made


async def notice_of(events: Subscription, kind: type[Notice], timeout_s: float = 60) -> Notice:
    async with asyncio.timeout(timeout_s):
        async for notice in events:
            if isinstance(notice, kind):
                return notice
    raise AssertionError("the subscription ended")


async def authenticate(supplicant: Supplicant, pair: RadioPair) -> Event:
    with supplicant.control.subscribe() as events:
        await supplicant.select_network(await supplicant.add_network(pair.profile))
        return await events.wait_for(lambda event: event.name == wpa_events.CONNECTED, 60)


def test_full_eap_tls_requests_and_events(pair: RadioPair) -> None:
    async def run() -> None:
        pair.start_hostapd()
        pair.start_supplicant()
        raw: list[tuple[int, bytes]] = []
        before_ns = time.monotonic_ns()
        async with (
            ControlClient(pair.hostapd_socket) as ap_control,
            ControlClient(pair.supplicant_socket) as control,
        ):
            end = control.on_event(lambda t_ns, datagram: raw.append((t_ns, datagram)))
            supplicant, hostapd = Supplicant(control), Hostapd(ap_control)
            connected = await authenticate(supplicant, pair)
            assert before_ns < connected.t_ns < time.monotonic_ns()
            names = [wpa_events.parse_event(datagram, t_ns).name for t_ns, datagram in raw]
            for name in (wpa_events.EAP_STARTED, wpa_events.EAP_METHOD, wpa_events.EAP_SUCCESS):
                assert name in names
            end()

            status = await supplicant.status()
            assert status.completed
            assert status.fields["suppPortStatus"] == "Authorized"
            (network,) = await supplicant.networks()
            assert "CURRENT" in network.flags

            (station,) = await hostapd.stations()
            assert station.address == status.address
            assert await hostapd.station(station.address) is not None
            assert await hostapd.station("02:00:00:00:00:99") is None
            assert (await hostapd.status()).fields

    asyncio.run(run())


def test_refusals_name_the_command_without_its_secret(pair: RadioPair) -> None:
    async def run() -> None:
        pair.start_supplicant()
        async with ControlClient(pair.supplicant_socket) as control:
            with pytest.raises(Refused, match="UNKNOWN COMMAND") as refusal:
                await control.request("NO_SUCH_VERB")
            assert refusal.value.command == "NO_SUCH_VERB"
            with pytest.raises(Refused) as refusal:
                await control.command("SET_NETWORK", 99, "psk", '"correct horse"')
            assert "correct" not in str(refusal.value)
            with pytest.raises(Refused):
                await Supplicant(control).add_network(
                    dataclasses.replace(pair.profile, extra=(("no_such_field", "1"),))
                )
            assert await Supplicant(control).networks() == ()

    asyncio.run(run())


def test_many_concurrent_requests_keep_their_replies(pair: RadioPair) -> None:
    async def run() -> None:
        pair.start_supplicant()
        async with ControlClient(pair.supplicant_socket) as control:
            numbers = [int(await control.request("ADD_NETWORK")) for _ in range(20)]
            for number in numbers:
                await control.command("SET_NETWORK", number, "priority", 100 + number)
            values = await asyncio.gather(
                *(control.request("GET_NETWORK", number, "priority") for number in numbers)
            )
            assert [int(value) for value in values] == [100 + number for number in numbers]

    asyncio.run(run())


def test_killed_daemon_that_returns_is_attached_again(pair: RadioPair) -> None:
    async def run() -> None:
        first = pair.start_supplicant()
        async with ControlClient(pair.supplicant_socket, keepalive_s=0.1) as control:
            with control.subscribe() as events:
                first.send_signal(signal.SIGKILL)
                first.wait()
                await notice_of(events, Disconnected)
                pair.start_supplicant()
                returned = await notice_of(events, Reconnected)
                assert isinstance(returned, Reconnected)
                assert returned.away_ns > 0
                pair.start_hostapd()
                await authenticate(Supplicant(control), pair)
                await events.wait_for(lambda event: event.name == wpa_events.CONNECTED, 60)

    asyncio.run(run())


def test_request_waits_for_a_restarting_daemon(pair: RadioPair) -> None:
    async def run() -> None:
        first = pair.start_supplicant()
        control = ControlClient(pair.supplicant_socket, events=False)
        await control.open()
        try:
            await control.ping()
            first.send_signal(signal.SIGKILL)
            first.wait()
            waiting = asyncio.create_task(control.ping())
            await asyncio.sleep(0)
            pair.start_supplicant()
            await waiting
        finally:
            await control.close()

    asyncio.run(run())


def test_daemon_that_stays_away_is_an_error_with_a_bound(pair: RadioPair) -> None:
    async def run() -> None:
        daemon = pair.start_supplicant()
        async with ControlClient(
            pair.supplicant_socket, keepalive_s=0.1, reconnect_s=1.0, timeout_s=1.0
        ) as control:
            with control.subscribe() as events:
                daemon.send_signal(signal.SIGKILL)
                daemon.wait()
                with pytest.raises(RemoteError, match="did not come back"):
                    await notice_of(events, Reconnected)
            with pytest.raises(RemoteError, match="none came within 1 s"):
                await control.ping()

    asyncio.run(run())


def test_stopped_daemon_times_out_and_late_reply_meets_nobody(pair: RadioPair) -> None:
    async def run() -> None:
        daemon = pair.start_supplicant()
        async with ControlClient(pair.supplicant_socket, keepalive_s=30) as control:
            daemon.send_signal(signal.SIGSTOP)
            with pytest.raises(NoAnswer, match="LIST_NETWORKS"):
                await control.request("LIST_NETWORKS", timeout_s=0.2)
            daemon.send_signal(signal.SIGCONT)
            await control.ping()

    asyncio.run(run())


def test_orderly_end_is_noticed_at_once(pair: RadioPair) -> None:
    async def run() -> None:
        daemon = pair.start_supplicant()
        async with ControlClient(pair.supplicant_socket, keepalive_s=60) as control:
            with control.subscribe() as events:
                await Supplicant(control).terminate()
                await notice_of(events, Disconnected)
                daemon.wait()
                pair.start_supplicant()
                await notice_of(events, Reconnected)

    asyncio.run(run())


def test_socket_files_are_private_and_removed(
    pair: RadioPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    async def run() -> list[int]:
        pair.start_supplicant()
        async with ControlClient(pair.supplicant_socket):
            return modes_in(tmp_path)

    def modes_in(folder: Path) -> list[int]:
        return [stat.S_IMODE(entry.stat().st_mode) for entry in folder.iterdir()]

    assert asyncio.run(run()) == [0o700, 0o700]
    assert modes_in(tmp_path) == []


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Without root's user, group and supplementary groups."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def test_no_permission_is_explained(pair: RadioPair) -> None:
    async def run() -> None:
        pair.start_supplicant()
        async with ControlClient(pair.supplicant_socket, events=False) as control:
            await control.ping()
        pair.folder.chmod(0o755)  # what is left to refuse is the daemon's own directory
        with nobody(), pytest.raises(MachineError, match="GROUP=netdev"):
            await ControlClient(pair.supplicant_socket).open()

    asyncio.run(run())
