"""Flows that each have their own treatment while a node switches: the kernel's filters before the
hold device's queue."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tunnel_lab import CN, NEW, OLD, ROUTER_A, Flow, Ip, TunnelLab, encapsulated, has, soon
from tunnel_lab import datagram as udp

from mpa_hil.kernel.flow_filters import FlowFilter, Way
from mpa_hil.kernel.node_tunnel import NodeTunnel
from mpa_hil.kernel.router_tunnel import RouterTunnel

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")

UDP = 17


@pytest.fixture(scope="module")
def lab() -> Iterator[TunnelLab]:
    if not has("ipip"):
        pytest.skip("this kernel has no ipip: run it in the guest")
    with TunnelLab() as standing:
        yield standing


def waits(router: RouterTunnel, packets: int) -> bool:
    return router.backlog().packets == packets


def away(lab: TunnelLab, address: Ip) -> NodeTunnel:
    """The node's end, so that there is something to bind to."""
    node = lab.node_end((address,))
    with lab.inside_of("mn"):
        node.create()
    return node


def captured(lab: TunnelLab, address: Ip, flows: tuple[FlowFilter, ...]) -> RouterTunnel:
    """The router's."""
    router = lab.router_end((address,), flows=flows)
    with lab.inside_of("b"):
        router.create()
    return router


def port(flow: Flow) -> int:
    number: int = flow.near.getsockname()[1]
    return number


@pytest.mark.parametrize("version", [4, 6])
def test_each_flow_its_own_way(lab: TunnelLab, version: int) -> None:
    """Five flows: one waits, one goes on, one is thrown away, one by its sender, one by default;
    on the next link all go the same way again, and nothing is left."""
    lab.plug_into("a")
    before = lab.kernel("b")
    node = away(lab, NEW[version])
    flows = [Flow(lab, NEW[version]) for _ in range(5)]
    held, on, thrown, by_sender, other = flows
    chosen = (
        FlowFilter(Way.WAIT, UDP, own_port=port(held)),
        FlowFilter(Way.TUNNEL, UDP, own_port=port(on)),
        FlowFilter(Way.NOWHERE, UDP, own_port=port(thrown), peer=CN[version]),
        FlowFilter(Way.TUNNEL, UDP, peer=CN[version], peer_port=by_sender.far.getsockname()[1]),
        FlowFilter(Way.NOWHERE, UDP, peer=NEW[version]),  # nobody's
    )
    router = captured(lab, NEW[version], chosen)
    try:
        for flow in flows:
            flow.settle()
        router.hold()
        sent = [flow.down(10) for flow in flows]
        assert on.arrived(10) == sent[1]
        assert by_sender.arrived(10) == sent[3]
        soon(waits, router, 20)
        assert [flow.arrived() for flow in (held, thrown, other)] == [[], [], []]
        node.turn()
        lab.plug_into("b")
        router.direct()
        node.release()
        assert held.arrived(10) == sent[0]
        assert other.arrived(10) == sent[4]
        for flow in flows:
            assert flow.down(5) == flow.arrived(5)
            flow.close()
    finally:
        lab.remove(router, node)
    assert lab.kernel("b") == before


@pytest.mark.parametrize("version", [4, 6])
def test_inside_the_home_agents_tunnel(lab: TunnelLab, version: int) -> None:
    """What comes as IP in IP is known by what is inside; a fragment has no ports."""
    lab.plug_into("a")
    home = OLD[version] + 90
    chosen = (
        FlowFilter(Way.WAIT, UDP, own=home, own_port=5004),
        FlowFilter(Way.WAIT, UDP, own=home, peer=CN[version], peer_port=9),
        FlowFilter(Way.NOWHERE),
    )
    node = away(lab, NEW[version])
    router = captured(lab, NEW[version], chosen)
    inside = {4: 4, 6: 41}[version]
    via = lab.mac("core", "ra")
    try:
        router.hold()
        for number, (to, source) in enumerate(
            (
                ((home, 5004), ROUTER_A[version]),  # the first fits
                ((home, 5005), ROUTER_A[version]),  # neither: thrown away
                ((home, 5005), CN[version]),  # the second fits: its sender's port is 9
                ((home + 1, 5004), CN[version]),  # not this home address
            )
        ):
            packet = udp(source, to, b"%d" % number)
            whole = encapsulated(ROUTER_A[version], NEW[version], inside, packet)
            lab.inject("a", "wan", via, whole)
        soon(waits, router, 2)
        lab.inject("a", "wan", via, udp(ROUTER_A[version], (NEW[version], 5004), b"direct"))
        soon(waits, router, 3)
    finally:
        lab.remove(router, node)


def test_copies(lab: TunnelLab) -> None:
    """A flow that goes both ways while another waits (R74)."""
    lab.plug_into("a")
    node = away(lab, NEW[4])
    held, both = (Flow(lab, NEW[4]) for _ in range(2))
    chosen = (FlowFilter(Way.WAIT, UDP, own_port=port(held)), FlowFilter(Way.BOTH))
    router = captured(lab, NEW[4], chosen)
    try:
        held.settle()
        both.settle()
        router.hold()
        there = held.down(5)
        assert both.down(5) == both.arrived(5), "by the tunnel"
        node.turn()
        lab.plug_into("b")
        node.release()
        assert both.down(5) == both.arrived(5), "on the link"
        assert held.arrived() == []
        router.direct()
        assert held.arrived(5) == there
        held.close()
        both.close()
    finally:
        lab.remove(router, node)
