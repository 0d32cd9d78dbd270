"""A handover's dealings with the router that is left: none where it is not to hold, and no harm
where it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mpa_hil.agents.detention import OldRouter
from mpa_hil.agents.handover_ahead import Self, Target
from mpa_hil.agents.old_side import OldSide
from mpa_hil.handover.options import Hold, Options
from mpa_hil.mobility.interface import Endpoint

OLD, NEW, ROUTER = (ip_address(f"192.0.2.{n}") for n in (7, 8, 1))
ENDPOINT = Endpoint(ROUTER, 7165)


@dataclass
class Layer3:
    """What has been done with the node's addresses."""

    done: list[str] = field(default_factory=list)
    dropped: asyncio.Event = field(default_factory=asyncio.Event)
    state: object = None

    async def drop(self, first: Awaitable[None]) -> None:
        await first
        self.done.append("dropped")
        self.dropped.set()

    def retire(self, care_of: object) -> None:
        self.done.append(f"retired {care_of}")


def side(hold: Hold, router: OldRouter | None) -> tuple[OldSide, Layer3, list[dict[str, Any]]]:
    layer3, said = Layer3(), list[dict[str, Any]]()
    console = SimpleNamespace(emit=lambda kind, **fields: said.append({"type": kind, **fields}))
    ring = SimpleNamespace(keys={})
    own = SimpleNamespace(
        layer3=layer3, console=console, ring=ring, interface="wlan0", mac=bytes(6)
    )
    target = Target("b1", "b", ENDPOINT, ENDPOINT, Options(hold=hold), 100, 9000, old=router)
    return OldSide(target, cast(Self, own), OLD), layer3, said


async def gone_through(old: OldSide, layer3: Layer3) -> list[str]:
    """Each step of a switch; what was answered."""
    answers: list[str] = []
    old.begin(NEW)
    old.stage(NEW, True, lambda: answers.append("staged"))
    old.hold(lambda well: answers.append(f"held: {well}"))
    old.behind(lambda well: answers.append(f"next: {well}"))(True)
    old.forward(bytes(6))
    assert not old.forwarding
    assert old.patience_s == 0
    old.release()
    old.let_go()
    old.drop()
    await layer3.dropped.wait()
    return answers


@pytest.mark.parametrize("hold", [Hold.NEXT, Hold.OFF])
def test_nothing_where_it_is_not_to_hold(hold: Hold) -> None:
    old, layer3, said = side(hold, None)
    answers = asyncio.run(gone_through(old, layer3))
    assert answers == ["staged", "held: False", "next: True"]
    assert (layer3.done, said) == (["dropped"], [])


def test_without_a_key_the_switch_goes_on() -> None:
    """It is said, and the next router's word holds."""
    old, layer3, said = side(Hold.NEXT | Hold.OLD, OldRouter("a.example", ENDPOINT))
    answers = asyncio.run(gone_through(old, layer3))
    assert answers == ["staged", "held: False", "next: True"]
    assert layer3.done == ["dropped"]
    assert {each["type"] for each in said} == {"agent.failed"}
    assert "no key" in str(said[0]["error"])


def test_no_address_yet() -> None:
    old, _, said = side(Hold.OLD, OldRouter("a.example", ENDPOINT))
    staged: list[bool] = []
    old.stage(None, False, lambda: staged.append(True))
    assert (staged, said) == ([True], [])
