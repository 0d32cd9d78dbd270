"""Steps 1 to 3 of a handover (RFC 6252 s6.3), as the mobile node carries them out ahead of the
switch: keys, address, tunnel, binding."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from mpa_hil.agents import tunnel_plans as plans
from mpa_hil.agents.detention import OldRouter
from mpa_hil.agents.keyring import KeyRing
from mpa_hil.agents.layer3 import Layer3
from mpa_hil.agents.provisioning import Output, Provisioning
from mpa_hil.agents.stdio import Console
from mpa_hil.agents.switch_path import SwitchPath
from mpa_hil.agents.uplink_told import UplinkTold
from mpa_hil.agents.way_back import WayBack
from mpa_hil.configuration import interface as configuration
from mpa_hil.handover import interface as do
from mpa_hil.handover.interface import Event
from mpa_hil.handover.options import Options
from mpa_hil.kernel.node_tunnel import NodeTunnel
from mpa_hil.mobility.interface import Address, Endpoint
from mpa_hil.tunnel import interface as tunnel
from mpa_hil.tunnel.flows import FlowChoice
from radios.errors import MpaError

TUNNEL = "mpapht"
"""The proactive handover tunnel's device at the mobile node."""
_QUEUE_S = 0.004
"""From the opening of the port until packets leave: up to 2.5 ms in the guest. A binding update
that is lost for lack of it would be repeated after a second."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to, whom to ask there, and how."""

    network: str
    """Access point, by its name in the supplicant."""
    realm: str
    ca: Endpoint
    ar: Endpoint
    options: Options
    hold_ms: int
    hold_octets: int
    hold_packets: int = 2048
    flows: tuple[FlowChoice, ...] = ()
    """Treatment of single flows at the next router."""
    old: OldRouter | None = None
    """With `Hold.OLD`: the router that is left."""


class Node(Protocol):
    """What of the mobile node a handover uses."""

    def stage(self, network: str) -> None:
        """Prepare the command for `select`."""

    def select(self, network: str) -> None:
        """Have the supplicant join an access point."""

    def seek(self, networks: tuple[str, ...]) -> None:
        """Have it join any of them."""

    def ready(self, action: do.Ready) -> None:
        """So much is prepared."""

    def through(self) -> None:
        """Packets pass both ways on the new link."""

    def over(self, action: do.Finished) -> None:
        """The handover is over."""

    def phase(self, name: str, t_ns: int, outcome: str | None = None, cause: str = "") -> None:
        """A phase began (no outcome) or ended."""


@dataclass(frozen=True, slots=True)
class Self:
    """What of the mobile node a handover works with."""

    node: Node
    origin: str
    """The access point that the node is on, by its name."""
    layer3: Layer3
    ring: KeyRing
    console: Console
    interface: str
    mac: bytes


class AheadSteps(ABC):
    """Addresses, keys, tunnel and binding of one handover.

    Args:
        own: the node.
    """

    def __init__(self, target: Target, own: Self) -> None:
        self.target = target
        self._own = own
        self._layer3 = own.layer3
        self._loop = asyncio.get_running_loop()
        self._agents: Provisioning | None = None
        self._settings: configuration.Configuration | None = None
        self._pht: NodeTunnel | None = None
        self._uplink = UplinkTold(own.console)
        self._path: SwitchPath | None = None
        assert own.layer3.address is not None
        self._old: Address = own.layer3.address
        self._way_back = WayBack(own.layer3.state, own.interface)
        self._by_dhcp: Address | None = None
        """The new address, had by ordinary means after the move."""
        self._secret = b""
        self.signalled = 0
        """Octets to and from the network's agents ahead of the switch."""
        self._settling = self._settled = self._deleting = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._meanwhile: Callable[[], None] = lambda: None
        """What else can be asked for while the access router makes its tunnel."""

    @abstractmethod
    def feed(self, event: Event, cause: str = "") -> None:
        """Something happened."""

    def later(self, event: Event, cause: str = "") -> None:
        """As `feed`, once what is being carried out is done."""
        self._loop.call_soon(self.feed, event, cause)

    def _authenticate(self, _: do.Authenticate) -> None:
        if self.target.realm in self._own.ring.keys:
            self.later(Event.AUTHENTICATED)

    def _provisioning(self) -> Provisioning:
        if self._agents is None:
            keys = self._own.ring.keys[self.target.realm]
            ca, ar = self.target.ca, self.target.ar
            said = self._on_agents, self._counted
            self._agents = Provisioning(keys, ca, ar, self._old, *said)
        return self._agents

    def _counted(self, octets: int, router: bool) -> None:
        """A datagram went to or came from the configuration agent or the access router."""
        self.signalled += octets

    def _configure(self, action: do.Configure) -> None:
        declined = self._new if action.decline and self._settings is not None else None
        self._provisioning().configure(plans.wish(self._own.mac, self._old, declined))

    def _release_address(self, action: do.ReleaseAddress) -> None:
        if action.how == "taken over":
            self._provisioning().take_over()
        else:
            self._provisioning().release()

    def _create_tunnel(self, action: do.CreateTunnel) -> None:
        self._secret = plans.secret(action.protection)
        wish = plans.tunnel_wish(self._old, self._new, self._own.mac, action, self._secret)
        target = self.target
        wish = replace(
            wish,
            hold_ms=target.hold_ms,
            hold_octets=target.hold_octets,
            hold_packets=target.hold_packets,
            flows=target.flows,
        )
        self._provisioning().create(wish)
        self._meanwhile()

    def _created(self, terms: tunnel.TunnelTerms) -> None:
        """The router's end stands: make this one."""
        assert self._settings is not None
        try:
            self._remove_tunnel()
            self._pht = NodeTunnel(
                self._layer3.state,
                plans.plan(TUNNEL, terms, self._secret),
                self._own.interface,
                (plans.network(self._settings, terms),),
            )
            self._pht.create()
            self._path = SwitchPath(
                self._provisioning().tunnel,
                self.target.ar,
                outer=(self._old, ""),
                direct=(
                    self._new,
                    self._own.interface,
                    terms.router_mac or self._settings.router_mac,
                    self._own.mac,
                ),
                through=(self._new, TUNNEL),
            )
        except (MpaError, OSError) as error:
            self._own.console.emit("agent.failed", error=str(error), where=TUNNEL)
            self.feed(Event.TUNNEL_REFUSED, str(error))
            return
        self.feed(Event.TUNNELLED)

    def _remove_tunnel(self) -> None:
        if self._path is not None:
            self._path.close()
            self._path = None
        if self._pht is not None:
            self._pht.remove()
            self._pht = None

    def _delete_tunnel(self, _: do.DeleteTunnel) -> None:
        """After the move this end goes by itself as it settles, and its addresses stay; the other
        end goes after it."""
        if not (self._settling or self._settled):
            self._remove_tunnel()
        elif self._path is not None:
            self._path.close()
            self._path = None
        if self._settling:
            self._deleting = True
        else:
            self._provisioning().delete()

    def _on_agents(self, output: Output) -> None:
        """What configuration agent and access router answered."""
        match output:
            case configuration.Configured():
                self._settings = output.configuration
                if not output.renewal:
                    self.feed(Event.CONFIGURED)
            case configuration.Refused() | configuration.GaveUp():
                self.feed(Event.CONFIGURATION_FAILED, str(output))
            case configuration.Lost():
                self.feed(Event.LEASE_EXPIRED, output.reason)
            case configuration.Ended():
                self.feed(Event.ADDRESS_RELEASED)
            case tunnel.Created():
                self._created(output.terms)
            case tunnel.Refreshed() if self._path is not None:
                self._path.prepare()  # what was prepared before is worthless now
            case tunnel.Refused(code=tunnel.Code.ADDRESS_IN_USE):
                self.feed(Event.ADDRESS_TAKEN, output.text)
            case tunnel.Refused(kind=tunnel.Kind.CREATE):
                self.feed(Event.TUNNEL_REFUSED, output.text)
            case tunnel.GaveUp(kind=tunnel.Kind.CREATE):
                self.feed(Event.TUNNEL_REFUSED, "no answer")
            case tunnel.Refused(kind=tunnel.Kind.REFRESH):
                self.feed(Event.TUNNEL_LOST, output.text)
            case tunnel.GaveUp(kind=tunnel.Kind.REFRESH):
                self.feed(Event.TUNNEL_LOST, "no answer")
            case tunnel.Deleted() | tunnel.GaveUp() | tunnel.Refused():
                self.feed(Event.TUNNEL_DELETED)

    def _stage_binding(self, _: do.StageBinding) -> None:
        self._layer3.stage(self._new)

    def _bind(self, action: do.Bind) -> None:
        if action.through_tunnel or self._pht is not None:
            self._layer3.register(self._new)
        else:
            self._loop.call_later(_QUEUE_S, self._register)

    def _register(self) -> None:
        """On B; the kernel has put the interface's queue to work by now (`direct_port`)."""
        try:
            self._layer3.announce(self._new)
            self._layer3.register(self._new)
        except MpaError as error:
            self.feed(Event.BINDING_FAILED, str(error))

    def _rebind(self, action: do.Rebind) -> None:
        self._layer3.register(self._old, at_once=action.at_once)

    def _retire_binding(self, action: do.RetireBinding) -> None:
        self._layer3.retire(self._old if action.old else self._new)

    def bound(self, care_of: Address) -> None:
        """See `BindingFollower`."""
        self.feed(Event.REBOUND if care_of == self._old else Event.BOUND)

    def binding_failed(self, what: str) -> None:
        """See `BindingFollower`."""
        self.feed(Event.BINDING_FAILED, what)

    @property
    def _new(self) -> Address:
        if self._by_dhcp is not None:
            return self._by_dhcp
        assert self._settings is not None
        return self._settings.address.ip
