"""The node's end of Mobile IPv4 as a process has it, without a kernel and without a home agent."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address
from typing import Any, cast

import pytest

from mpa_hil.agents import binding
from mpa_hil.agents.config import Fields
from mpa_hil.clock import instant
from mpa_hil.mobility.interface import Instant
from mpa_hil.mobility.mip4.authentication import SecurityAssociation
from mpa_hil.mobility.mip4.mobile_node import MobileNode
from mpa_hil.mobility.mip6.mobile_node import MobileNode as MobileNode6
from tests.support.mip6_world import AGENT, SA
from tests.support.mip6_world import HOME as HOME6

HOME = {
    "home_address": "10.0.0.10",
    "home_agent": "127.0.0.1",
    "spi": 256,
    "key": "00" * 16,
    "correspondents": [],
}
CARE_OF = IPv4Address("10.1.0.7")
"""Nobody's: nothing can be sent from it, which is as good as lost."""
_NODE4 = MobileNode(
    home_address=IPv4Address("10.0.0.10"),
    home_agent=IPv4Address("10.0.0.1"),
    association=SecurityAssociation(256, bytes(16)),
)
_NODE6 = MobileNode6(home_address=HOME6, home_agent=AGENT, association=SA, random=bytes)


class Path:
    """What the kernel would have."""

    def __init__(self, *_: object, **__: object) -> None:
        self.tunnels: frozenset[IPv4Address] = frozenset()
        self.turned: list[IPv4Address] = []
        self.detached = False

    def stage(self, care_of: IPv4Address) -> None:
        self.tunnels |= {care_of}

    def turn(self, care_of: IPv4Address) -> None:
        self.turned.append(care_of)

    def detach(self) -> None:
        self.detached = True

    def close(self) -> None:
        pass


class Console:
    """Counts requests."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def emit(self, kind: str, *_: object, **__: object) -> None:
        self.said.append(kind)


def test_who_has_left_says_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """No home agent answers: with the wait for it, everything ends."""
    monkeypatch.setattr(binding, "MobileNodePath", Path)

    async def scenario() -> None:
        console = Console()
        made = binding.Binding(
            Fields(dict(HOME), "binding"),
            cast("Any", None),
            cast("Any", console),
            on_bound=lambda _: None,
            on_failure=lambda _: None,
        )
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "call_later", lambda *_: pytest.fail("it is to be said again"))
        machine = cast("Any", made)._machine
        machine.register(CARE_OF, instant())
        assert machine.next_deadline() is not None
        await made.deregister(timeout_s=0.01)
        assert machine.next_deadline() is None
        assert cast("Any", made)._path.detached
        made.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("node", [_NODE4, _NODE6], ids=["mip4", "mip6"])
def test_nothing_is_sent_again_to_whom_nobody_waits_for(node: MobileNode | MobileNode6) -> None:
    now = Instant(1_000_000_000, 1_700_000_000_000_000_000)
    assert node.deregister(now)
    due_ns = node.next_deadline()
    assert due_ns is not None
    assert node.expire(Instant(due_ns, now.unix_ns + due_ns)), "unanswered, it is said again"
    node.abandon()
    assert not node.busy
    assert node.next_deadline() is None
    assert node.expire(Instant(100 * due_ns, now.unix_ns + due_ns)) == ()
