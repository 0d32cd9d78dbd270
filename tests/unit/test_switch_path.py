"""The mobile node's exchange at the switch never leaves anybody waiting. Pure: no sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

import pytest

from mpa_hil.agents import switch_path
from mpa_hil.agents.switch_path import SwitchPath
from mpa_hil.mobility.interface import Endpoint
from mpa_hil.tunnel.interface import Ack, PreparedSwitch

ROUTER = Endpoint(IPv4Address("10.2.0.1"), 7165)
OLD, NEW = IPv4Address("10.1.0.100"), IPv4Address("10.2.0.100")
BOUND_S = 10.0
"""A hang is told as one."""


class Port:
    """A socket that remembers what was sent."""

    def __init__(self, *_: object) -> None:
        self.sent: list[bytes] = []

    def prepare(self, datagram: bytes, router: Endpoint) -> None:
        """As `DirectPort`."""

    def send(self, datagram: bytes, router: Endpoint) -> None:
        self.sent.append(datagram)

    def close(self) -> None:
        """Nothing to close."""


class Client:
    """Every answer is about what was asked last."""

    def prepare_switch(self, _: object) -> PreparedSwitch:
        return PreparedSwitch(**{name: name.encode() for name in PreparedSwitch.__annotations__})

    def acknowledged(self, datagram: bytes, sent: bytes) -> Ack | None:
        return Ack(done=True) if datagram == b"yes" else None


@pytest.fixture(autouse=True)
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch_path, "AgentPort", Port)
    monkeypatch.setattr(switch_path, "DirectPort", Port)


def ended(ask: str, meanwhile: Callable[[SwitchPath], None]) -> bool:
    """What a wait comes to, when something happens in it."""

    async def run() -> bool:
        client: Any = Client()
        direct = (NEW, "wlan0", b"", b"")
        path = SwitchPath(client, ROUTER, outer=(OLD, ""), direct=direct, through=(NEW, "mpapht"))
        path.prepare()
        waits = {"hold": lambda: path.holding(0.1, 0.0), "resume": lambda: path.resumed(0.1)}
        waiting = asyncio.ensure_future(waits[ask]())
        await asyncio.sleep(0)
        meanwhile(path)
        try:
            async with asyncio.timeout(BOUND_S):
                return await waiting
        finally:
            path.close()

    return asyncio.run(run())


@pytest.mark.parametrize("ask", ["hold", "resume"])
@pytest.mark.parametrize(
    ("meanwhile", "well"),
    [
        (lambda path: path._on_datagram(b"yes", ROUTER), True),
        (lambda path: None, False),
        (lambda path: path.close(), False),
        (lambda path: path.arrive(lambda _: None, 1.0, drained=True), False),
    ],
    ids=["answered", "unanswered", "closed", "overtaken"],
)
def test_who_waits_for_the_router_is_told(
    ask: str, meanwhile: Callable[[SwitchPath], None], well: bool
) -> None:
    """The tunnel may be lost, or the node gone, while a scan waits for packets to be held."""
    assert ended(ask, meanwhile) is well
