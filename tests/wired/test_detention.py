"""The router that a node leaves holds for its old address and forwards to the new one, as the
node's agent has it done: with a real access router's agent, kernel and link."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from access_router_lab import AR, AccessRouterLab, Node, access_router
from tunnel_lab import NEW, OLD, Flow, TunnelLab, has, soon

from mpa_hil.agents.detention import Detention, OldRouter
from mpa_hil.agents.keyring import AgentKeys
from mpa_hil.agents.stdio import Console
from mpa_hil.tunnel.interface import TunnelWish

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")

HERE, THERE = NEW[4], OLD[4]
"""The node lives at b, and goes to a."""
WAY = ("10.0.0.0/8", "via", "10.2.0.1")
PATIENCE_S = 20.0


class Silent:
    """A console that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, object]]] = []

    def emit(self, kind: str, **fields: object) -> None:
        self.said.append((kind, fields))


@pytest.fixture(scope="module")
def tunnels() -> Iterator[TunnelLab]:
    if not has("ipip"):
        pytest.skip("this kernel has no ipip: run it in the guest")
    with TunnelLab() as standing:
        yield standing


@pytest.fixture
def lab(tunnels: TunnelLab, tmp_path: Path) -> Iterator[AccessRouterLab]:
    tunnels.plug_into("b")
    tunnels.ip("mn", "addr", "add", f"{HERE}/24", "dev", "wlan0")
    tunnels.ip("mn", "route", "add", *WAY)
    before = [tunnels.kernel(box) for box in ("b", "mn")]
    with access_router(tunnels, tmp_path) as standing:
        standing.start()
        yield standing
    tunnels.plug_into("b")
    tunnels.ip("mn", "route", "replace", *WAY)
    soon(lambda: [tunnels.kernel(box) for box in ("b", "mn")] == before)
    tunnels.ip("mn", "route", "del", *WAY)
    tunnels.ip("mn", "addr", "del", f"{HERE}/24", "dev", "wlan0")


def inside(lab: AccessRouterLab, work: Callable[[Detention], Coroutine[Any, Any, None]]) -> None:
    """Do something with a detention, in the node's box."""
    node = Node(lab, outer=THERE)
    lab.deliver(node)
    keys = AgentKeys("b.example", time.monotonic_ns() + 10**12, {}, {AR.address: node.key})
    console = Silent()

    async def go() -> None:
        router = OldRouter("b.example", AR)
        ends, state = (HERE, THERE), lab.tunnels.state("mn")
        made = Detention(router, keys, ends, "wlan0", state, cast(Console, console))
        try:
            await work(made)
        finally:
            made.vanish()
            assert console.said == []

    with lab.tunnels.inside_of("mn"):
        asyncio.run(go())


async def told(step: Callable[[Callable[[bool], None]], None]) -> bool:
    """Take a step, and wait for what it is answered."""
    answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    step(answer.set_result)
    async with asyncio.timeout(PATIENCE_S):
        return await answer


async def come(flow: Flow, count: int) -> list[bytes]:
    """What arrives; the agent's sockets are served meanwhile."""
    return await asyncio.to_thread(flow.arrived, count)


def wish(mac: bytes) -> TunnelWish:
    return TunnelWish(THERE, (HERE,), mac, hold_ms=10_000, advertise=False)


def test_held_and_forwarded(lab: AccessRouterLab) -> None:
    """In order, all of them; the answer to a node whose packets are held gets through."""
    tunnels = lab.tunnels
    flow = Flow(tunnels, HERE)
    macs = tunnels.mac("a", "lan"), tunnels.mac("mn", "wlan0")

    async def go(detention: Detention) -> None:
        assert await told(lambda ended: detention.prepare(wish(macs[1]), ended))
        assert flow.down(5) == await come(flow, 5), "nothing is changed yet"
        assert await told(detention.hold)
        there = flow.down(10)
        assert await come(flow, 0) == []
        tunnels.plug_into("a")
        tunnels.ip("mn", "route", "del", *WAY)
        detention.forward(*macs)
        assert detention.forwarding
        there += flow.down(5)
        assert await come(flow, 15) == there
        assert flow.down(5) == await come(flow, 5), "it goes on"
        await detention.close()

    inside(lab, go)
    flow.close()
    detained, holding = lab.changed("detained"), lab.changed("holding")
    assert detained["detained"]
    assert holding["cause"] == "disable"
    forwarding = lab.changed("tunnelled")
    assert forwarding["cause"] == "enable"
    assert int(str(forwarding["held_packets"])) >= 10
    assert forwarding["dropped_packets"] == 0
    assert lab.changed("gone")["cause"] == "delete"
