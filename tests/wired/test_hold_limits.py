"""A full hold device: limits in packets and octets, counted drops, a long queue let go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tunnel_lab import NEW, Flow, TunnelLab, has, soon

from mpa_hil.kernel.hold import Backlog
from mpa_hil.kernel.router_tunnel import RouterTunnel

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")

LONG = 3000


@pytest.fixture(scope="module")
def lab() -> Iterator[TunnelLab]:
    if not has("ipip"):
        pytest.skip("this kernel has no ipip: run it in the guest")
    with TunnelLab() as standing:
        yield standing


def counted(router: RouterTunnel, before: Backlog, sent: int) -> bool:
    backlog = router.backlog()
    return backlog.packets + backlog.dropped - before.dropped == sent


def roomy() -> bool:
    """Whether all that is released fits into this processor's queue (docs/kernel.md)."""
    return int(Path("/proc/sys/net/core/netdev_max_backlog").read_text()) > 4 * LONG


@pytest.mark.parametrize(
    ("octets", "packets", "size", "fits"),
    [
        (100_000, 40, 100, range(40, 41)),  # small ones: the limit in packets, to the packet
        (20_000, 40, 1000, range(18, 21)),  # large ones: that in octets
        (1 << 20, LONG, 100, range(LONG, LONG + 1)),
    ],
)
def test_what_is_too_much(
    lab: TunnelLab, octets: int, packets: int, size: int, fits: range
) -> None:
    """The oldest stay and come through, in order, all of them; the rest is counted. Each time."""
    if packets == LONG and not roomy():
        pytest.skip("netdev_max_backlog is too small")
    more = {"hold_octets": octets, "hold_packets": packets}
    router = lab.router_end((NEW[4],), **more)
    node = lab.node_end((NEW[4],))
    lab.plug_into("a")
    lab.create(router, node)
    try:
        flow = Flow(lab, NEW[4])
        flow.settle()
        for _ in range(2):  # before a scan, say, and then at the switch
            before = router.backlog()
            router.hold()
            there = flow.down(packets + 20, size)
            soon(counted, router, before, len(there))
            held = router.backlog().packets
            assert held in fits
            router.resume()
            came = flow.arrived(held)
            assert came == there[:held]
            soon(router.restage)
        flow.close()
    finally:
        lab.remove(router, node)
