"""The access router's end of a PHT: tunnel, capture of the new address, hold and release.

    core -> nCoA -+- route -> PHT device ---------------------------> the node, in its old network
                  '- route -> hold device (plug) -- released -+-----> lan, to the node's MAC
                                                              '-----> PHT device (resumed)

Hold, direct and resume are messages encoded when the tunnel is made: one `send` each. A released
packet takes no second routing decision: what leaves the plug comes out at the hold device's other
end, and a filter there sends it on to the link, or into the tunnel when the switch was cancelled.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_network

from mpa_hil.kernel.filters import Match
from mpa_hil.kernel.hold import Backlog
from mpa_hil.kernel.holding import HoldDevice
from mpa_hil.kernel.netlink import NetlinkError, interface_index
from mpa_hil.kernel.objects import (
    IpAddress,
    KernelObject,
    ProxyNeighbour,
    Route,
    StaticNeighbour,
    link_layer_address,
)
from mpa_hil.kernel.state import KernelState
from mpa_hil.kernel.tunnel_end import LOOSE, TunnelEnd, strict_path_check
from mpa_hil.kernel.tunnel_plan import TunnelPlan
from radios.errors import LocalError

_ALL_NODES = IPv6Network("ff02::1")


class RouterLink:
    """The link of the candidate target network, made ready for any number of tunnels.

    Forwarding on, proxies answer without delay, reverse path filter loose. `state.close()` undoes
    it all, and the tunnels' objects with it.

    Args:
        state: the agent's ledger.
        interface: the link, `lan`.

    Raises:
        MachineError: no such interface, not root.
    """

    def __init__(self, state: KernelState, interface: str) -> None:
        self.state = state
        self.interface = interface
        self.link_layer = link_layer_address(state.route, interface)
        """The router's own address on the link."""
        self._ready: set[int] = set()
        interface_index(interface)

    def prepare(self, versions: frozenset[int]) -> None:
        """Settings for these families; repeatable."""
        state, link = self.state, self.interface
        if 4 in versions - self._ready:
            state.set("net/ipv4/ip_forward", "1")
            state.set(f"net/ipv4/neigh/{link}/proxy_delay", "0")
            if strict_path_check(link):
                state.set(f"net/ipv4/conf/{link}/rp_filter", str(LOOSE))
        if 6 in versions - self._ready:
            state.set("net/ipv6/conf/all/forwarding", "1")
            # With `all`, a neighbour's unicast probe of the address is answered, not forwarded.
            state.set("net/ipv6/conf/all/proxy_ndp", "1")
            state.set(f"net/ipv6/conf/{link}/proxy_ndp", "1")
            state.set(f"net/ipv6/neigh/{link}/proxy_delay", "0")
        self._ready |= versions


class RouterTunnel:
    """One node's tunnel. Every method raises MachineError (NetlinkError) when the kernel refuses.

    Life::

        create -> hold -> direct -> settle
            ^        '-> resume -> restage -.
            '-------------------------------'     remove(): any time, any state, repeatable

    Args:
        link: of the network that `plan.inner` belongs to.
        plan: this end's.
        node_mac: the node's, 6 octets.
        capture: draw the inner addresses' packets to this router and into the tunnel at once. Off
            for the *old* router (RFC 6252 s7.6.1): there the node itself is on the link with its
            old address, nothing changes until `hold`, and `resume` forwards what was held to where
            the tunnel leads.
    """

    def __init__(
        self, link: RouterLink, plan: TunnelPlan, node_mac: bytes, *, capture: bool = True
    ) -> None:
        self._link = link
        self._state = link.state
        self._mac = node_mac
        self._capture = capture
        self.plan = plan
        self._proxies = [ProxyNeighbour(link.interface, inner) for inner in plan.inner]
        self._into_tunnel = [Route(_host(inner), plan.device) for inner in plan.inner]
        self._into_hold = [Route(_host(inner), plan.hold_device) for inner in plan.inner]
        networks = [_host(inner) for inner in plan.inner]
        networks += [_ALL_NODES] if 6 in plan.versions else []
        allowed = [(Match(inner.version, source=inner), True) for inner in plan.inner]
        self._end = TunnelEnd(self._state, plan, allowed, networks)
        self._hold: HoldDevice | None = None
        self._turned = False
        """The routes lead into the hold device."""

    def create(self) -> None:
        """Tunnel, ingress filter, hold device (blocked), capture: proxy ARP/ND and host routes.

        From here on packets for the inner addresses go through the tunnel. What failed halfway is
        taken away again. The check for duplicates (`address_check`) comes before.
        """
        try:
            self._link.prepare(self.plan.versions)
            self._end.create()
            neighbours = tuple((inner, self._mac) for inner in self.plan.inner)
            link = self._link
            stage = (link.interface, link.link_layer, neighbours)
            self._hold = HoldDevice(self._state, self.plan, *stage)
            self._encode(self._hold)
            wanted: tuple[KernelObject, ...] = (*self._into_tunnel, *self._proxies)
            for each in wanted if self._capture else ():
                self._state.apply(each)
        except BaseException:
            self.remove()
            raise

    def _encode(self, hold: HoldDevice) -> None:
        """Everything that the switch sends."""
        turn = [route.replace() for route in self._into_hold]
        back = [route.replace() for route in self._into_tunnel]
        silence = [proxy.remove() for proxy in self._proxies] if self._capture else []
        self._hold_order = b"".join(turn), len(turn)
        # Where the node is, every flow goes as what was held does.
        gone, count = hold.ungated, hold.ungated_count
        ends = hold.to_link + hold.release + gone + b"".join(silence)
        self._direct_order = ends, 2 + count + len(silence)
        self._unheld_order = ends + b"".join(turn), 2 + count + len(silence) + len(turn)
        if self._capture:
            gone, count = b"", 0
        self._resume_order = hold.to_tunnel + hold.release + gone, 2 + count
        self._both_order = hold.to_both + hold.release + b"".join(turn), 2 + len(turn)
        self._restage_order = b"".join(back) + hold.block + hold.to_link, 2 + len(back)

    def hold(self) -> None:
        """Packets for the node wait from now on: one send. Nothing of it comes after this call
        returns by the tunnel, but under WireGuard, which encrypts in a thread of its own."""
        self._send(self._hold_order, "hold")
        self._turned = True

    def direct(self) -> None:
        """What waits and what comes goes onto the link in order, and the proxy ends: one send.

        Also without a `hold` before it.
        """
        order = self._direct_order if self._turned else self._unheld_order
        self._send(order, "release onto the link")
        self._turned = True

    def resume(self) -> None:
        """Switch cancelled: what waits and what comes goes into the tunnel, in order: one send.

        Call `restage` a moment later.
        """
        self._send(self._resume_order, "release into the tunnel")

    def bicast(self) -> None:
        """Packets go into the tunnel and, copied, onto the link (R74): one send. `direct` ends it;
        so does `restage`, which leaves the tunnel alone."""
        self._send(self._both_order, "bicast")
        self._turned = True

    def restage(self) -> bool:
        """After `resume`: route straight into the tunnel, block the hold device for the next hold.

        Returns:
            False when packets still wait: nothing was done, call again in some milliseconds.
        """
        if self.backlog().packets:
            return False
        self._send(self._restage_order, "stage the hold again")
        self._turned = False
        return True

    def backlog(self) -> Backlog:
        """What the hold device has now, and its counters: of packets that it held or passed."""
        return self._staged().backlog()

    def move(self, outer_remote: IpAddress) -> None:
        """The node has another outer address; the keys stay."""
        plan = replace(self.plan, outer_remote=outer_remote)
        self._end.move(plan)
        self.plan = plan

    def settle(self) -> bool:
        """After `direct`, off the critical path: host routes, hold device and tunnel go; the node's
        MAC stays in the neighbour cache like any other.

        Returns:
            False when packets still wait: nothing was done, call again in some milliseconds.
        """
        if self.backlog().packets:
            return False
        lan = self._link.interface
        known = [
            StaticNeighbour(lan, inner, self._mac, permanent=False).create()
            for inner in self.plan.inner
        ]
        # Before the device goes, so that no packet is on its way to one that is not there.
        gone = [route.remove() for route in self._into_hold]
        order = b"".join((*known, *gone)), len(known) + len(gone)
        self._send(order, "the node is on the link")
        self.remove()
        return True

    def remove(self) -> None:
        """Take all of it away, whatever its state; what waits is dropped. Repeatable."""
        standing: tuple[KernelObject, ...] = (*self._proxies, *self._into_hold)
        for each in standing:
            self._state.remove(each.key)
        if self._hold is not None:
            # The ledger knows the routes as they were made; they may have been turned since.
            with contextlib.suppress(NetlinkError):
                gone = [route.remove() for route in self._into_hold]
                self._state.route.request(b"".join(gone), "routes to the hold device", len(gone))
        if self._hold is not None:
            self._hold.remove()
            self._hold = None
        self._end.remove()

    def _staged(self) -> HoldDevice:
        if self._hold is None:
            raise LocalError("it does not exist", where=f"tunnel {self.plan.device}")
        return self._hold

    def _send(self, order: tuple[bytes, int], what: str) -> None:
        self._staged()
        self._state.route.request(order[0], f"{what}: {self.plan.device}", order[1])


def _host(address: IpAddress) -> IPv4Network | IPv6Network:
    return ip_network(address)
