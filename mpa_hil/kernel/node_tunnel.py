"""The mobile node's end of a PHT: the new address on a virtual interface, and the way to the next
link, which can be turned to before the link is there.

    from nCoA -- table 435 -+- PHT device -------------------------------> old link, encapsulated
                            '- hold device (plug) -- released -+---------> interface, to the next
                                                               |           router's MAC
                                                               '---------> PHT device (turned back)

The hold device's link is always up: the interface's own queue is thrown away when its link goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from mpa_hil.kernel.hold import Backlog
from mpa_hil.kernel.objects import IpAddress
from mpa_hil.kernel.state import KernelState
from mpa_hil.kernel.tunnel_plan import Protection, TunnelPlan

TABLE = 435
"""Routing table and rule priority of packets from the new address."""


@dataclass(frozen=True, slots=True)
class NextNetwork:
    """How one inner address will stand in the next network.

    Attributes:
        address: the new address with the next link's prefix length.
        router: the next default router, on that link.
        router_mac: its link-layer address, 6 octets (RFC 6252 appendix B).
    """

    address: IPv4Interface | IPv6Interface
    router: IpAddress
    router_mac: bytes


class NodeTunnel:
    """The node's end. Every method raises MachineError (NetlinkError) when the kernel refuses.

    Life::

        create -> turn -> release -> settle
            ^        '-> back -> restage -.
            '-----------------------------'     remove(): any time, any state, repeatable

    Args:
        state: the node's ledger.
        plan: this end's; `device` is by custom `mpapht`.
        interface: the physical one, which is on the old link now and will be on the next.
        networks: one for each of `plan.inner`.
    """

    def __init__(
        self,
        state: KernelState,
        plan: TunnelPlan,
        interface: str,
        networks: tuple[NextNetwork, ...],
    ) -> None:
        raise NotImplementedError

    def create(self) -> None:
        """Tunnel, inner addresses on it, rule and table for packets from them, ingress filter, hold
        device (blocked), the next router's permanent neighbour entry on `interface`.

        A socket bound to an inner address *and* to `interface` (SO_BINDTODEVICE) sends past tunnel
        and hold device straight to the next router: the notice of arrival.
        """
        raise NotImplementedError

    def turn(self) -> None:
        """Packets from the inner addresses no longer enter the tunnel but wait: one send."""
        raise NotImplementedError

    def release(self) -> None:
        """What waits and what comes goes out of `interface` to the next router: one send."""
        raise NotImplementedError

    def back(self) -> None:
        """Switch failed: what waits and what comes goes through the tunnel, in order: one send.

        Also after `release`. Call `restage` a moment later.
        """
        raise NotImplementedError

    def restage(self) -> bool:
        """After `back`: route straight into the tunnel, block the hold device for the next turn.

        Returns:
            False when packets still wait: nothing was done, call again in some milliseconds.
        """
        raise NotImplementedError

    def backlog(self) -> Backlog:
        """What the hold device has now, and its counters: of packets that it held or passed."""
        raise NotImplementedError

    def move(self, outer_local: IpAddress, protection: Protection | None = None) -> None:
        """This node's outer address has changed; see `RouterTunnel.move`."""
        raise NotImplementedError

    def settle(self) -> bool:
        """After `release`, off the critical path: the inner addresses stand on `interface` with
        their prefixes (IPv6: optimistic, RFC 4429) and the default routes lead to the next routers
        (replacing those of the main table without a metric); table, rule, hold device and tunnel
        go; the link is told (gratuitous ARP, unsolicited NA).

        These stay until `remove`. Nothing that is sent meanwhile is lost or overtaken.

        Returns:
            False when packets still wait: nothing was done, call again in some milliseconds.
        """
        raise NotImplementedError

    def announce(self) -> None:
        """Tell the link again: gratuitous ARP and unsolicited NA (the latter with Override once the
        address is no longer tentative). A small number of times is advised (RFC 5944 s4.6)."""
        raise NotImplementedError

    def remove(self) -> None:
        """Take all of it away, whatever its state; what waits is dropped. Repeatable."""
        raise NotImplementedError
