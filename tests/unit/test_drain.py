"""The link is cut once the uplink's end has left the node."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address

import pytest

from mpa_hil.agents import drain
from mpa_hil.agents.agent_port import AgentPort
from mpa_hil.agents.drain import Drain
from mpa_hil.mobility.interface import Endpoint


def test_nothing_under_way_is_not_waited_for() -> None:
    async def body() -> None:
        done: list[str] = []
        Drain().then(lambda: False, lambda: done.append("cut"))
        assert done == ["cut"]

    asyncio.run(body())


def test_it_is_looked_until_it_has_left() -> None:
    async def body() -> None:
        left, cut = [True, True, True, False], asyncio.Event()
        Drain().then(lambda: left.pop(0), cut.set)
        assert not cut.is_set()
        async with asyncio.timeout(60):
            await cut.wait()
        assert left == []

    asyncio.run(body())


def test_a_queue_that_does_not_move_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "_BOUND_S", 0.002)

    async def body() -> None:
        cut = asyncio.Event()
        Drain().then(lambda: True, cut.set)
        async with asyncio.timeout(60):
            await cut.wait()

    asyncio.run(body())


def test_what_was_called_off_is_not_done() -> None:
    async def body() -> None:
        waiting = Drain()
        waiting.then(lambda: True, lambda: pytest.fail("it was called off"))
        waiting.cancel()
        await asyncio.sleep(0.03)

    asyncio.run(body())


def test_what_has_reached_its_receiver_has_left() -> None:
    async def body() -> None:
        here = ip_address("127.0.0.1")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((str(here), 0))
            port = AgentPort(here, lambda *_: None)
            port.send(b"end", Endpoint(here, other.getsockname()[1]))
            assert other.recv(16) == b"end"
            assert not port.queued()
            port.close()

    asyncio.run(body())
