"""The control client through the relay, as over SSH, against a real wpa_supplicant."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from radio_pair import RadioPair, radio_pair

from radios.control import ControlClient, Disconnected, Reconnected
from radios.errors import RemoteError
from radios.relay_channel import RelayClient, far_command
from radios.supplicant import Supplicant


@pytest.fixture
def pair() -> Iterator[RadioPair]:
    with radio_pair() as made:
        yield made


@contextlib.asynccontextmanager
async def relay_in(folder: Path) -> AsyncIterator[tuple[RelayClient, asyncio.subprocess.Process]]:
    """A relay process whose socket files are made under `folder`."""
    argv, script = far_command()
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(folder)},
        cwd="/",
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(script)
    stdout = process.stdout
    client = RelayClient(process.stdin.write, lambda: stdout.read(65536), "far-host")
    try:
        yield client, process
    finally:
        await client.close()
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 60)


def test_requests_events_and_restart_through_the_relay(pair: RadioPair, tmp_path: Path) -> None:
    async def run() -> None:
        first = pair.start_supplicant()
        pair.start_hostapd()
        async with relay_in(tmp_path) as (relay, _):
            control = ControlClient(pair.supplicant_socket, relay.connect, keepalive_s=0.1)
            await control.open()
            with control.subscribe() as events:
                supplicant = Supplicant(control)
                await supplicant.select_network(await supplicant.add_network(pair.profile))
                await events.wait_for(lambda event: event.name == "CTRL-EVENT-CONNECTED", 60)
                assert (await supplicant.status()).completed
                first.send_signal(signal.SIGKILL)
                first.wait()
                seen = [type(await events.next())]
                while Disconnected not in seen:
                    seen.append(type(await events.next()))
                pair.start_supplicant()
                while Reconnected not in seen:
                    seen.append(type(await events.next()))
                assert not (await supplicant.status()).completed
            await control.close()

    asyncio.run(run())
    assert list(tmp_path.iterdir()) == []


def test_request_is_sent_again_when_the_daemon_was_replaced(
    pair: RadioPair, tmp_path: Path
) -> None:
    async def run() -> None:
        first = pair.start_supplicant()
        async with relay_in(tmp_path) as (relay, _):
            control = ControlClient(pair.supplicant_socket, relay.connect, events=False)
            await control.open()
            await control.ping()
            first.send_signal(signal.SIGKILL)
            first.wait()
            pair.start_supplicant()
            await control.ping()
            await control.close()

    asyncio.run(run())


def test_killed_relay_is_an_error_with_a_bound(pair: RadioPair, tmp_path: Path) -> None:
    async def run() -> None:
        pair.start_supplicant()
        async with relay_in(tmp_path) as (relay, process):
            control = ControlClient(pair.supplicant_socket, relay.connect, reconnect_s=0.3)
            await control.open()
            process.kill()
            await process.wait()
            with pytest.raises(RemoteError, match="far-host"):
                await control.ping()
            await control.close()

    asyncio.run(run())


def test_absent_socket_is_named_with_its_host(tmp_path: Path) -> None:
    async def run() -> None:
        async with relay_in(tmp_path) as (relay, _):
            with pytest.raises(RemoteError, match="far-host:/no/such/socket"):
                await relay.connect("/no/such/socket")

    asyncio.run(run())
