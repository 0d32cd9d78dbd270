"""A mobile node that must go goes by a handover, whatever became of what was prepared: so it has a
way back. Pure: the handover is a stand-in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mpa_hil.agents import moving
from mpa_hil.agents.config import Fields
from mpa_hil.agents.handover_ahead import Target
from mpa_hil.agents.moving import Moving
from mpa_hil.handover import interface as do
from mpa_hil.handover.interface import Event
from mpa_hil.handover.machine import Handover
from mpa_hil.handover.options import Level


class Shell:
    """Carries nothing out."""

    made: ClassVar[list[Shell]] = []

    def __init__(self, target: Target, own: object) -> None:
        self.target = target
        self.fed: list[Event] = []
        self.made.append(self)

    def feed(self, event: Event) -> None:
        self.fed.append(event)

    def restage(self) -> None:
        """Nothing is staged."""


class Anything:
    """Whatever it is asked, it does nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Shell]:
    monkeypatch.setattr(Shell, "made", [])
    monkeypatch.setattr(moving, "HandoverShell", Shell)
    return Shell.made


def finished(outcome: do.Outcome) -> do.Finished:
    return do.Finished(outcome, Level.REACTIVE, "tunnel lost")


async def node(folder: Path) -> Moving:
    fields = Fields({"keyring": str(folder / "k"), "mac": "02:00:00:00:00:10"}, "mpa")
    nobody: Any = Anything()
    return Moving(fields, "wlan0", nobody, nobody, nobody)


def test_what_is_not_prepared_is_a_handover_all_the_same(tmp_path: Path, made: list[Shell]) -> None:
    async def run() -> None:
        moves = await node(tmp_path)
        moves.stand_by("b1", "a1")
        moves.go()
        moves.close()

    asyncio.run(run())
    (shell,) = made
    assert shell.fed == [Event.PREPARE, Event.SWITCH_WANTED]
    assert (shell.target.network, shell.target.options.level) == ("b1", Level.REACTIVE)
    machine = Handover(shell.target.options)
    assert [machine.feed(event, 1) for event in shell.fed][-1] == (do.SelectNetwork(),)
    assert machine.feed(Event.ASSOCIATION_REFUSED, 2) == (do.ReturnToOld(),)


def test_one_that_was_given_up_has_a_successor(tmp_path: Path, made: list[Shell]) -> None:
    async def run() -> None:
        moves = await node(tmp_path)
        moves.stand_by("b1", "a1")
        moves.over(finished(do.Outcome.STAYED))
        await asyncio.sleep(0)
        moves.go()
        moves.over(finished(do.Outcome.STAYED))
        await asyncio.sleep(0)
        moves.close()

    asyncio.run(run())
    assert [shell.fed for shell in made] == [
        [Event.PREPARE],
        [Event.PREPARE, Event.SWITCH_WANTED],
    ]
