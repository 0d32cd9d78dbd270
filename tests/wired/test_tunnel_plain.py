"""A handover tunnel between two namespaces' kernels: hold, release, turn, and back."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tunnel_lab import NEW, Flow, TunnelLab, has, soon

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")


@pytest.fixture
def lab() -> Iterator[TunnelLab]:
    if not has("ipip"):
        pytest.skip("this kernel has no ipip: run it in the guest")
    with TunnelLab() as standing:
        yield standing


def test_there_and_held_and_arrived(lab: TunnelLab) -> None:
    inner = (NEW[4],)
    router, node = lab.router_end(inner), lab.node_end(inner)
    with lab.inside_of("b"):
        router.create()
    with lab.inside_of("mn"):
        node.create()
    flow = Flow(lab, NEW[4])
    assert flow.down(5) == flow.arrived(5), "through the tunnel"
    assert flow.up(5) == flow.arrived_far(5)
    print(lab.ip("b", "route"), lab.ip("b", "neigh"))
    router.hold()
    held = flow.down(20)
    assert flow.arrived() == []
    assert router.backlog().packets == 20
    node.turn()
    waiting = flow.up(20)
    assert flow.arrived_far() == []
    assert node.backlog().packets == 20
    lab.plug_into("")
    held += flow.down(20)
    waiting += flow.up(20)
    lab.plug_into("b")
    router.direct()
    held += flow.down(5)
    node.release()
    waiting += flow.up(5)
    assert flow.arrived(45) == held
    assert flow.arrived_far(45) == waiting
    with lab.inside_of("mn"):
        assert node.settle()
    with lab.inside_of("b"):
        assert router.settle()
    assert flow.down(5) == flow.arrived(5)
    assert flow.up(5) == flow.arrived_far(5)
    print(lab.ip("b", "link"), lab.ip("mn", "link"), lab.ip("mn", "rule"), lab.ip("mn", "route"))


def test_back(lab: TunnelLab) -> None:
    inner = (NEW[4],)
    router, node = lab.router_end(inner), lab.node_end(inner)
    with lab.inside_of("b"):
        router.create()
    with lab.inside_of("mn"):
        node.create()
    flow = Flow(lab, NEW[4])
    for _ in range(3):
        router.hold()
        node.turn()
        held, waiting = flow.down(30), flow.up(30)
        assert flow.arrived() == flow.arrived_far() == []
        router.resume()
        node.back()
        held += flow.down(5)
        waiting += flow.up(5)
        assert flow.arrived(35) == held
        assert flow.arrived_far(35) == waiting
        soon(router.restage)
        soon(node.restage)
        assert flow.down(5) == flow.arrived(5)
        assert flow.up(5) == flow.arrived_far(5)
        assert router.backlog().packets == node.backlog().packets == 0
