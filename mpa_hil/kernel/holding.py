"""A device of its own for one node's packets while they wait: turning a route to it holds them.

A veth pair: at its entrance a plug, blocked from the start, as root; behind its exit a filter that
sends on whatever comes out, to the link or into the tunnel. So what waits can still be sent either
way, in order, and no classifier grows with the number of nodes. The pair's link is always up, and
so what waits outlives a wireless link that goes down.
"""

from __future__ import annotations

from mpa_hil.kernel import filters, flow_filters
from mpa_hil.kernel.devices import HoldPair, raise_quietly
from mpa_hil.kernel.hold import Backlog, parse_backlog, root_messages
from mpa_hil.kernel.netlink import interface_index
from mpa_hil.kernel.objects import IpAddress, StaticNeighbour
from mpa_hil.kernel.state import KernelState
from mpa_hil.kernel.tunnel_plan import TunnelPlan


class HoldDevice:
    """The pair, its plug and the filter at its exit, with all messages encoded.

    Args:
        state: the ledger.
        plan: names, families and limit.
        outlet: the link's name: where released packets go.
        link_layer: their source address there.
        neighbours: next hop and link-layer address, as the routes to this device will name them.

    Raises:
        MachineError: the kernel lacks veth, plug, clsact, u32 or mirred, or refuses.
    """

    def __init__(
        self,
        state: KernelState,
        plan: TunnelPlan,
        outlet: str,
        link_layer: bytes,
        neighbours: tuple[tuple[IpAddress, bytes], ...],
    ) -> None:
        self._state = state
        self.name = plan.hold_device
        self._pair = HoldPair(self.name, plan.hold_exit, link_layer, plan.effective_mtu)
        state.apply(self._pair)
        try:
            self._stage(plan, outlet, neighbours)
        except BaseException:
            self.remove()
            raise

    def _stage(
        self, plan: TunnelPlan, outlet: str, neighbours: tuple[tuple[IpAddress, bytes], ...]
    ) -> None:
        route, what = self._state.route, f"hold device {self.name}"
        index, behind = interface_index(self.name), interface_index(plan.hold_exit)
        link, tunnel = interface_index(outlet), interface_index(plan.device)
        self._plug = root_messages(
            index, plan.hold_octets, limit_packets=plan.hold_packets, blocked=True
        )
        self.to_link = filters.send_on(behind, link)
        """What leaves goes onto the link."""
        self.to_tunnel = filters.send_on(behind, tunnel)
        """What leaves goes through the tunnel."""
        self.to_both = filters.send_on(behind, tunnel, copy_to=link)
        """What leaves goes through the tunnel, and a copy of it onto the link."""
        self.release = self._plug.release
        self.block = self._plug.hold
        staged = self._plug.install + filters.entrance(behind) + self.to_link
        route.request(staged, what, 3)
        self.ungated, self.ungated_count = b"", 0
        if plan.flows:
            gates, count = flow_filters.install(index, plan.flows, tunnel, link)
            route.request(filters.entrance(index) + gates, what, 1 + count)
            self.ungated, self.ungated_count = flow_filters.flush(index), 1
        raise_quietly(self._state, plan.hold_exit, ipv6=False)
        raise_quietly(self._state, self.name, ipv6=6 in plan.versions)
        known = [StaticNeighbour(self.name, hop, mac).create() for hop, mac in neighbours]
        route.request(b"".join(known), what, len(known))

    def backlog(self) -> Backlog:
        """What waits now, and the counters."""
        entry = self._state.route.get(self._plug.read, "statistics of the plug")
        return parse_backlog(entry or bytes(20))

    def remove(self) -> None:
        """The pair and all on it go; what waits is dropped."""
        self._state.retire(self._pair.key)
