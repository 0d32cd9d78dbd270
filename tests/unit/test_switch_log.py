"""What is noted at a switch is told when there is time, and not before."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mpa_hil.agents import switch_log
from mpa_hil.agents.switch_log import SwitchLog

EVENT = b"<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:0b:01 completed"


class Console:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.something = asyncio.Event()

    def emit(self, kind: str, t_ns: int = 0, **fields: Any) -> None:
        self.told.append(kind)
        self.something.set()


class Handover:
    """Is busy for so many looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.told_after = -1

    @property
    def busy(self) -> bool:
        self.looks -= 1
        return self.looks >= 0

    def tell(self) -> None:
        self.told_after = self.looks


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch_log, "_FLUSH_S", 0.0)


@pytest.mark.parametrize("looks", [0, 1, 5])
def test_telling_waits_for_the_end_of_the_switch(looks: int) -> None:
    async def scenario() -> None:
        console, handover = Console(), Handover(looks)
        log = SwitchLog(console, handover)  # type: ignore[arg-type]
        log.note(1, EVENT)
        async with asyncio.timeout(10):
            await console.something.wait()
        assert console.told == ["wpa.event"]
        assert handover.told_after == -1, "told at the first look at which it was not busy"

    asyncio.run(scenario())


def test_the_end_does_not_wait() -> None:
    async def scenario() -> None:
        console, handover = Console(), Handover(1_000_000)
        log = SwitchLog(console, handover)  # type: ignore[arg-type]
        log.note(1, EVENT)
        log.flush()
        assert console.told == ["wpa.event"]
        await asyncio.sleep(0.01)
        assert handover.looks == 1_000_000, "nothing is left to look for"

    asyncio.run(scenario())
