"""The mobile node's link when its supplicant dies, or when what that says is lost. Pure: a stand-in
for the control socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mpa_hil.agents import node_link
from mpa_hil.agents.config import Fields
from mpa_hil.agents.networks import Networks
from mpa_hil.agents.node_link import NodeLink
from radios.wpa_events import Notice, Overflow, Reconnected

MACS = {"a1": "02:00:00:00:0a:01", "b1": "02:00:00:00:0b:01"}
BOUND_S = 10.0


class Daemon:
    """A supplicant: what it was asked, the networks that it has, where it says that it is."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.networks = 0
        self.state, self.bssid = "SCANNING", ""
        self.on_notice: Callable[[Notice], None] = lambda _: None
        self._news: asyncio.Queue[str] = asyncio.Queue()

    async def until(self, start: str) -> None:
        """Wait for a request, from the last one waited for on."""
        async with asyncio.timeout(BOUND_S):
            while not (await self._news.get()).startswith(start):
                pass

    def answer(self, words: str) -> str:
        self.asked.append(words)
        self._news.put_nowait(words)
        if words == "ADD_NETWORK":
            self.networks += 1
            return str(self.networks - 1)
        if words == "LIST_NETWORKS":
            head = "network id / ssid / bssid / flags"
            return "\n".join([head, *(f"{n}\tx\tany\t" for n in range(self.networks))])
        if words == "STATUS":
            return f"wpa_state={self.state}\nbssid={self.bssid}"
        return "OK"

    def selected(self) -> list[str]:
        return [words for words in self.asked if words.startswith("SELECT")]


class Client:
    """As `ControlClient`."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    async def open(self) -> None:
        """It is there."""

    async def close(self) -> None:
        """And may go."""

    def on_event(self, callback: object) -> None:
        """It never says anything."""

    def on_notice(self, callback: Callable[[Notice], None]) -> None:
        self._daemon.on_notice = callback

    async def request(self, *words: object) -> str:
        return self._daemon.answer(" ".join(map(str, words)))

    async def command(self, *words: object) -> None:
        await self.request(*words)

    def request_now(self, datagram: bytes) -> asyncio.Future[str]:
        answer = asyncio.get_running_loop().create_future()
        answer.set_result(self._daemon.answer(datagram.decode()))
        return answer


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    found = Daemon()
    monkeypatch.setattr(node_link, "ControlClient", lambda _: Client(found))
    monkeypatch.setattr(node_link, "_LOOK_S", 0.01)
    return found


class Node:
    """A link, and what was heard of it."""

    def __init__(self) -> None:
        entries = {
            name: {"ssid": name, "bssid": mac, "frequency_mhz": 2412, "psk": "00" * 32}
            for name, mac in MACS.items()
        }
        networks = Networks(Fields({"networks": entries}, "node"))
        console: Any = self
        self.link = NodeLink(networks, "wlan0", console)
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self.failed: list[object] = []

    def emit(self, *_: object, **fields: object) -> None:
        self.failed.append(fields)

    async def open(self) -> None:
        await self.link.open("control", (), lambda _, told: self.heard.put_nowait(told.decode()))

    async def hears(self) -> str:
        async with asyncio.timeout(BOUND_S):
            return await self.heard.get()


def test_a_connection_that_nobody_told_of_is_seen(daemon: Daemon) -> None:
    async def run() -> str:
        node = Node()
        await node.open()
        node.link.send(node.link.staged("b1"))
        daemon.state, daemon.bssid = "COMPLETED", MACS["b1"]
        told = await node.hears()
        await node.link.close()
        assert not node.failed
        return told

    assert "CTRL-EVENT-CONNECTED" in (told := asyncio.run(run()))
    assert MACS["b1"] in told


def test_events_that_were_lost_are_made_up_for_at_once(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_link, "_LOOK_S", 2 * BOUND_S)

    async def run() -> str:
        node = Node()
        await node.open()
        node.link.send(node.link.staged("b1"))
        daemon.state, daemon.bssid = "COMPLETED", MACS["b1"]
        daemon.on_notice(Overflow(1, None))
        told = await node.hears()
        await node.link.close()
        return told

    assert MACS["b1"] in asyncio.run(run())


def test_a_new_supplicant_is_told_everything_again(daemon: Daemon) -> None:
    async def run() -> None:
        node = Node()
        await node.open()
        await node.link.monitor(-75, 2)
        node.link.send(node.link.staged("b1"))
        await daemon.until("SELECT")
        before, daemon.asked, daemon.networks = list(daemon.asked), [], 0  # it died
        daemon.on_notice(Reconnected(1, 1))
        await daemon.until("SELECT")
        await node.link.close()
        assert not node.failed
        for words in ("ADD_NETWORK", "SIGNAL_MONITOR THRESHOLD=-75 HYSTERESIS=2"):
            assert daemon.asked.count(words) == before.count(words) > 0
        assert daemon.selected() == [words for words in before if words.startswith("SELECT")]

    asyncio.run(run())


def test_one_that_was_busy_is_not(daemon: Daemon) -> None:
    async def run() -> None:
        node = Node()
        await node.open()
        daemon.on_notice(Reconnected(1, 1))
        await daemon.until("STATUS")
        await node.link.close()

    asyncio.run(run())
    assert daemon.networks == len(MACS)
