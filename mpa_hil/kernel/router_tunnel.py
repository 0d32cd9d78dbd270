"""The access router's end of a PHT: tunnel, capture of the new address, hold and release.

    core -> nCoA -+- route -> PHT device ---------------------------> the node, in its old network
                  '- route -> hold device (plug) -- released -+-----> lan, to the node's MAC
                                                              '-----> PHT device (resumed)

Hold, direct and resume are messages encoded when the tunnel is made: one `send` each. A released
packet takes no second routing decision: what leaves the plug comes out at the hold device's other
end, and a filter there sends it on to the link, or into the tunnel when the switch was cancelled.
"""

from __future__ import annotations

from mpa_hil.kernel.hold import Backlog
from mpa_hil.kernel.objects import IpAddress
from mpa_hil.kernel.state import KernelState
from mpa_hil.kernel.tunnel_plan import Protection, TunnelPlan


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
        raise NotImplementedError


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
    """

    def __init__(self, link: RouterLink, plan: TunnelPlan, node_mac: bytes) -> None:
        raise NotImplementedError

    def create(self) -> None:
        """Tunnel, ingress filter, hold device (blocked), capture: proxy ARP/ND and host routes.

        From here on packets for the inner addresses go through the tunnel. What failed halfway is
        taken away again. The check for duplicates (`address_check`) comes before.
        """
        raise NotImplementedError

    def hold(self) -> None:
        """Packets for the node wait from now on: one send. Nothing of it comes after this call
        returns by the tunnel, but under WireGuard, which encrypts in a thread of its own."""
        raise NotImplementedError

    def direct(self) -> None:
        """What waits and what comes goes onto the link in order, and the proxy ends: one send."""
        raise NotImplementedError

    def resume(self) -> None:
        """Switch cancelled: what waits and what comes goes into the tunnel, in order: one send.

        Call `restage` a moment later.
        """
        raise NotImplementedError

    def restage(self) -> bool:
        """After `resume`: route straight into the tunnel, block the hold device for the next hold.

        Returns:
            False when packets still wait: nothing was done, call again in some milliseconds.
        """
        raise NotImplementedError

    def backlog(self) -> Backlog:
        """What the hold device has now, and its counters: of packets that it held or passed."""
        raise NotImplementedError

    def move(self, outer_remote: IpAddress, protection: Protection | None = None) -> None:
        """The node has another outer address.

        Args:
            protection: fresh ESP keys, which a new address needs; None keeps WireGuard's or Plain.

        Raises:
            LocalError: ESP without fresh keys.
        """
        raise NotImplementedError

    def settle(self) -> bool:
        """After `direct`, off the critical path: host routes, hold device and tunnel go; the node's
        MAC stays in the neighbour cache like any other.

        Returns:
            False when packets still wait: nothing was done, call again in some milliseconds.
        """
        raise NotImplementedError

    def remove(self) -> None:
        """Take all of it away, whatever its state; what waits is dropped. Repeatable."""
        raise NotImplementedError
