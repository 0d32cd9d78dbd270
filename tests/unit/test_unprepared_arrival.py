"""A node that comes to a network without a tunnel to it tells the link before it binds there. Pure:
who would do it is a stand-in."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address
from typing import Any

import pytest

from mpa_hil.agents.handover_ahead import AheadSteps, Self
from mpa_hil.agents.moving import unprepared
from mpa_hil.handover import interface as do
from mpa_hil.handover.interface import Event
from radios.errors import MachineError

OLD, NEW = IPv4Address("10.1.0.100"), IPv4Address("10.2.0.100")


class Layer3:
    """Says what was wanted of it."""

    address, state = OLD, None

    def __init__(self, refuses: str) -> None:
        self.asked: list[str] = []
        self._refuses = refuses

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if what == self._refuses:
            raise MachineError("no", where="here")

    def announce(self, address: IPv4Address) -> None:
        self._ask(f"announce {address}")

    def register(self, address: IPv4Address) -> None:
        self._ask(f"register {address}")


class Steps(AheadSteps):
    """What the machine would hear."""

    def __init__(self, layer3: Any) -> None:
        nobody: Any = None
        own = Self(nobody, "a1", layer3, nobody, nobody, "wlan0", b"")
        super().__init__(unprepared("b1"), own)
        self._by_dhcp = NEW
        self.heard: list[Event] = []

    def feed(self, event: Event, cause: str = "") -> None:
        self.heard.append(event)


@pytest.mark.parametrize(
    ("refuses", "asked", "heard"),
    [
        ("", [f"announce {NEW}", f"register {NEW}"], []),
        (f"announce {NEW}", [f"announce {NEW}"], [Event.BINDING_FAILED]),
    ],
)
def test_the_link_is_told_first(refuses: str, asked: list[str], heard: list[Event]) -> None:
    async def run() -> tuple[list[str], list[Event]]:
        layer3 = Layer3(refuses)
        steps = Steps(layer3)
        steps._bind(do.Bind(through_tunnel=False))
        due = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.05, due.set_result, None)
        await due
        return layer3.asked, steps.heard

    assert asyncio.run(run()) == (asked, heard)
