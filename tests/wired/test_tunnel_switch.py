"""A handover tunnel between two namespaces' kernels: hold, release, turn and back, of each kind and
mix of families. Every packet is there afterwards, once, in order; of the objects none is."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tunnel_lab import NEIGHBOUR, Flow, TunnelLab, has, soon

from mpa_hil.kernel.node_tunnel import NodeTunnel
from mpa_hil.kernel.router_tunnel import RouterTunnel

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")

MIXES = [(4, (4,)), (4, (6,)), (4, (4, 6)), (6, (6,)), (6, (4,)), (6, (4, 6))]


@pytest.fixture(scope="module")
def lab() -> Iterator[TunnelLab]:
    if not has("ipip"):
        pytest.skip("this kernel has no ipip: run it in the guest")
    with TunnelLab() as standing:
        for version in (4, 6):
            Flow(standing, NEIGHBOUR[version], "nb").settle()
        yield standing


def waits(end: RouterTunnel | NodeTunnel, packets: int) -> bool:
    return end.backlog().packets == packets


@pytest.mark.parametrize("kind", ["plain", "esp", "wireguard"])
@pytest.mark.parametrize(("outer", "families"), MIXES)
def test_switch(lab: TunnelLab, kind: str, outer: int, families: tuple[int, ...]) -> None:
    """Through the tunnel, held, link away, link in the next network, direct; a switch that fails
    comes first, and a neighbour is served all the while."""
    lab.plug_into("a")
    before = lab.kernel("b"), lab.kernel("mn")
    router, node = lab.ends(kind, outer, families)
    lab.create(router, node)
    try:
        flows = [Flow(lab, address) for address in router.plan.inner]
        others = [Flow(lab, NEIGHBOUR[flow.version], "nb") for flow in flows]
        for flow in flows:
            flow.settle()
        for arrives in (False, True):
            router.hold()
            node.turn()
            down = [flow.down(20) for flow in flows]
            up = [flow.up(20) for flow in flows]
            soon(waits, router, 20 * len(flows))
            soon(waits, node, 20 * len(flows))
            assert [flow.arrived() + flow.arrived_far() for flow in flows] == [[]] * len(flows)
            assert [flow.down(5) for flow in others] == [flow.arrived(5) for flow in others]
            if arrives:
                lab.plug_into("")
                down = [old + flow.down(5) for old, flow in zip(down, flows, strict=True)]
                up = [old + flow.up(5) for old, flow in zip(up, flows, strict=True)]
                lab.plug_into("b")
            for act in (router.direct, node.release) if arrives else (router.resume, node.back):
                act()
            down = [old + flow.down(5) for old, flow in zip(down, flows, strict=True)]
            up = [old + flow.up(5) for old, flow in zip(up, flows, strict=True)]
            for flow, there, back in zip(flows, down, up, strict=True):
                assert flow.arrived(len(there)) == there
                assert flow.arrived_far(len(back)) == back
            if not arrives:
                soon(router.restage)
                soon(node.restage)
                for flow in flows:
                    assert flow.down(5) == flow.arrived(5)
                    assert flow.up(5) == flow.arrived_far(5)
        with lab.inside_of("mn"):
            soon(node.settle)
        with lab.inside_of("b"):
            soon(router.settle)
        for flow in flows:
            assert flow.down(5) == flow.arrived(5)
            assert flow.up(5) == flow.arrived_far(5)
            flow.close()
        for flow in others:
            flow.close()
    finally:
        lab.remove(router, node)
    assert (lab.kernel("b"), lab.kernel("mn")) == before
