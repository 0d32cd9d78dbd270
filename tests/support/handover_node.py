"""What the mobile node's agent does for the handover machine, without sockets and kernel: it owns
the machines that speak to the agents, the radio and the uplink, and carries out actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from handover_peers import (
    AR_KEY,
    ASSOCIATION,
    CA,
    CA_KEY,
    HOME,
    HOME_AGENT,
    MS,
    NODE_MAC,
    OLD,
    ROUTER,
)

from mpa_hil.configuration import interface as conf
from mpa_hil.configuration.client import ConfigurationClient
from mpa_hil.handover import interface as act
from mpa_hil.handover.interface import Action, Event
from mpa_hil.handover.machine import Handover
from mpa_hil.handover.options import Options
from mpa_hil.handover.states import State
from mpa_hil.mobility.interface import Endpoint, Registered, Rejected, Send, TimedOut
from mpa_hil.mobility.mip4.mobile_node import MobileNode
from mpa_hil.signalling.requester import Timing
from mpa_hil.tunnel import interface as tun
from mpa_hil.tunnel.node import NodeSettings, TunnelClient

RADIO_NS = 10 * MS
PORTS = {CA: conf.CONFIGURATION_PORT, ROUTER: tun.TUNNEL_PORT, HOME_AGENT: 434}
ALERT = NodeSettings(refresh_s=1.0, pause_s=1.0, timing=Timing(give_up_ms=1500.0))
"""A router that is dead is found out before its guardian tidies up."""


@dataclass(slots=True)
class Asking:
    """A prepared datagram that is sent until it is acknowledged."""

    what: str
    way: str
    left: int
    retry_ns: int
    well: Event | None
    ill: Event | None


class Node:
    """The mobile node's agent, as far as the machine sees it."""

    def __init__(self, world: Any, options: Options) -> None:
        self.world = world
        self.options = options
        self.handover = Handover(options)
        self.said: list[Action] = []
        self._state = self.handover.state
        self.radio = "A"
        self.there = {"A": True, "B": True}
        self.refusing = {"A": False, "B": False}
        self.tunnel = self.turned = self.direct = False
        self.waiting: list[Callable[[], None]] = []
        """Packets of the user that wait for the uplink."""
        self.on_link: IPv4Address | None = None
        self.settings: conf.Configuration | None = None
        self.sending_from: IPv4Address = OLD
        self.configurer: ConfigurationClient | None = None
        self.tunnels: TunnelClient | None = None
        self.mip = MobileNode(home_address=HOME, home_agent=HOME_AGENT, association=ASSOCIATION)
        self._prepared: tun.PreparedSwitch | None = None
        self._asking: Asking | None = None
        self._joining = 0
        self._wanted: IPv4Address | None = None
        self._tunnel_wanted = False
        self._marked = True

    @property
    def address(self) -> IPv4Address:
        """The nCoA."""
        assert self.settings is not None
        assert isinstance(self.settings.address.ip, IPv4Address)
        return self.settings.address.ip

    def of(self, kind: type[Action]) -> list[Action]:
        """What the machine said of one kind."""
        return [each for each in self.said if isinstance(each, kind)]

    def feed(self, event: Event, cause: str = "") -> None:
        """Something happened."""
        self._carry_out(self.handover.feed(event, self.world.now_ns, cause))

    def later(self, delay_ns: int, event: Event) -> None:
        """Something will happen."""
        self.world.later(delay_ns, lambda: self.feed(event))

    def reached(self, address: IPv4Address, way: str) -> bool:
        """Whether a packet for the nCoA gets here."""
        if way == "tunnel":
            return self.radio == "A" and self.tunnel
        return self.radio == "B" and (self.on_link == address or self.turned or self.direct)

    def next_deadline(self) -> int | None:
        """Of all its machines."""
        machines = (self.handover, self.configurer, self.tunnels, self.mip)
        due = [each.next_deadline() for each in machines if each is not None]
        return min((each for each in due if each is not None), default=None)

    def expire(self) -> None:
        """Do what is due."""
        now = self.world.now
        if self.configurer is not None:
            self._configurer_do(self.configurer.expire(now))
        if self.tunnels is not None:
            self._tunnels_do(self.tunnels.expire(now))
        self.mip_do(self.mip.expire(now))
        self._carry_out(self.handover.expire(now.monotonic_ns))

    def receive(self, datagram: bytes, sender: str) -> None:
        """A datagram for it."""
        now = self.world.now
        if sender == "CA" and self.configurer is not None:
            self._configurer_do(self.configurer.receive(datagram, now))
        elif sender == "HA":
            self.mip_do(self.mip.receive(datagram, Endpoint(HOME_AGENT, 434), now))
        elif self.tunnels is not None and not self._acknowledged(datagram):
            self._tunnels_do(self.tunnels.receive(datagram, now))

    # --- what the machine wants

    def _carry_out(self, actions: act.Actions) -> None:
        for action in actions:
            self.said.append(action)
            getattr(self, "_" + type(action).__name__)(action)
        if self.handover.state is not self._state:
            self._state = self.handover.state
            self.world.on_state(self._state)

    def _Authenticate(self, _: Action) -> None:
        def done() -> None:
            world = self.world
            if world.aa.alive:
                if not world.keyed:
                    world.keyed = True
                    for peer in (world.ca, world.ar):
                        if peer.alive:
                            peer.key()
                port = Endpoint(CA, PORTS[CA])
                self.configurer = ConfigurationClient(CA_KEY, port, world.dice.randbytes)
                self.feed(Event.AUTHENTICATED)

        self.world.later(60 * MS, done)

    def _ForgetKeys(self, _: Action) -> None:
        pass

    def _Configure(self, action: act.Configure) -> None:  # type: ignore[override]
        assert self.configurer is not None
        decline = self.address if action.decline else None
        wish = conf.Wish(conf.Method.DHCPV4, NODE_MAC, b"\1" + NODE_MAC, decline=decline)
        self._configurer_do(self.configurer.configure(wish, self.world.now))

    def _ReleaseAddress(self, action: act.ReleaseAddress) -> None:
        assert self.configurer is not None
        verb = self.configurer.take_over if action.how == "taken over" else self.configurer.release
        self._configurer_do(verb(self.world.now))

    def _CreateTunnel(self, action: act.CreateTunnel) -> None:
        if self.tunnels is None:
            port = Endpoint(ROUTER, PORTS[ROUTER])
            self.tunnels = TunnelClient(AR_KEY, port, self.world.dice.randbytes, ALERT)
        self._tunnel_wanted = True
        wish = tun.TunnelWish(OLD, (self.address,), NODE_MAC, bicast=action.bicast)
        self._tunnels_do(self.tunnels.create(wish, self.world.now))

    def _DeleteTunnel(self, _: Action) -> None:
        if self.tunnels is None:
            self.later(0, Event.TUNNEL_DELETED)
            return
        self.tunnel = self._tunnel_wanted = False
        self._asking = None
        self._tunnels_do(self.tunnels.delete(self.world.now))

    def _StageBinding(self, _: Action) -> None:
        pass

    def _RetireBinding(self, _: Action) -> None:
        pass

    def _Bind(self, _: Action) -> None:
        self._wanted = self.address
        self.mip_do(self.mip.register(self.address, self.world.now))

    def _Rebind(self, action: act.Rebind) -> None:
        if action.at_once:
            self.sending_from = OLD
        self._wanted = OLD
        self.mip_do(self.mip.register(OLD, self.world.now))

    def _PrepareSwitch(self, _: Action) -> None:
        self._prepare()
        self.later(50 * MS, Event.STAGED)

    def _StartHold(self, _: Action) -> None:
        self._ask(Asking("disable", "old", 3, 20 * MS, Event.HELD, Event.HOLD_FAILED))

    def _TurnUplink(self, _: Action) -> None:
        self.turned = True

    def _Leave(self, _: Action) -> None:
        self._send("leave", "tunnel")

    def _SelectNetwork(self, _: Action) -> None:
        self._join("B", Event.PORT_OPEN)

    def _ReturnToOld(self, _: Action) -> None:
        self._join("A", Event.OLD_PORT_OPEN)

    def _SeekAny(self, _: Action) -> None:
        pass

    def _Arrive(self, action: act.Arrive) -> None:
        self._marked = action.marked
        self._ask(Asking("arrived", "new", 1000, MS, Event.ARRIVED, Event.ARRIVAL_UNHEARD))

    def _ReleaseUplink(self, _: Action) -> None:
        self.sending_from = self.address
        self.direct = True
        self._let_go()

    def _TurnBack(self, _: Action) -> None:
        self._let_go()

    def _let_go(self) -> None:
        self.turned = False
        waiting, self.waiting = self.waiting, []
        for send in waiting:
            send()

    def _Resume(self, _: Action) -> None:
        self._ask(Asking("enable", "old", 50, 100 * MS, None, None))

    def _Settle(self, _: Action) -> None:
        self.tunnel = False
        self.on_link = self.address
        self.later(MS, Event.SETTLED)

    def _Acquire(self, action: act.Acquire) -> None:
        """DHCP on the link, in one step: the server is the one that the CA asked."""
        self.tunnel = False
        self.on_link = None
        self.world.later(500 * MS, self._acquired)

    def _acquired(self) -> None:
        pool, world = self.world.ca.pool, self.world
        if self.radio != "B" or self.handover.state is not State.ACQUIRING:
            return
        free = [a for a in pool if world.ca.leases.get(a, b"\1" + NODE_MAC) == b"\1" + NODE_MAC]
        usable = [a for a in free if a not in world.ar.strangers]
        if not usable:
            self.feed(Event.ACQUISITION_FAILED)
            return
        world.ca.leases[usable[0]] = b"\1" + NODE_MAC
        self.on_link = usable[0]
        interface = conf.IPv4Interface((usable[0], 24))
        self.settings = conf.Configuration(interface, ROUTER, b"", (), 3600.0, 600.0, ())
        self.sending_from = usable[0]
        self.feed(Event.ACQUIRED)

    def _LeaveNew(self, _: Action) -> None:
        self.on_link = None
        self.direct = False

    def _NotifyServing(self, _: Action) -> None:
        self.later(20 * MS if self.world.aa.alive else 3000 * MS, Event.SERVING)

    def _DropOld(self, _: Action) -> None:
        pass

    def _Ready(self, _: Action) -> None:
        pass

    def _Finished(self, _: Action) -> None:
        pass

    # --- radio

    def _join(self, which: str, opened: Event) -> None:
        self.radio = ""
        self._joining += 1
        number = self._joining

        def done() -> None:
            if number != self._joining:
                return
            if not self.there[which]:
                self.feed(Event.TARGET_VANISHED)
            elif self.refusing[which]:
                self.feed(Event.ASSOCIATION_REFUSED)
            else:
                self.radio = which
                self.feed(opened)

        self.world.later(RADIO_NS, done)

    def vanish(self, which: str) -> None:
        """An access point is gone."""
        self.there[which] = False
        if self.radio == which:
            self.radio = ""
            self.feed(Event.LINK_LOST)

    # --- the prepared exchange with the access router

    def _prepare(self) -> None:
        if self.tunnels is not None and self.tunnels.terms is not None:
            self._prepared = self.tunnels.prepare_switch(self.world.now)

    def _ask(self, asking: Asking) -> None:
        self._asking = asking
        self._again(asking)

    def _again(self, asking: Asking) -> None:
        if asking is not self._asking:
            return
        if not asking.left:
            self._answered(asking.ill)
            return
        asking.left -= 1
        self._send(asking.what, asking.way)
        self.world.later(asking.retry_ns, lambda: self._again(asking))

    def _send(self, what: str, way: str) -> None:
        source = Endpoint(OLD if way == "old" else self.address, 40000)
        to = Endpoint(ROUTER, PORTS[ROUTER])
        self.world.send_to_agent(getattr(self._prepared, what), to, source, way)

    def _acknowledged(self, datagram: bytes) -> bool:
        asking = self._asking
        if asking is None or self.tunnels is None:
            return False
        ack = self.tunnels.acknowledged(datagram, getattr(self._prepared, asking.what))
        if ack is None:
            return False
        if ack.stale:
            self._prepare()
            self._again(asking)
        elif not ack.done:
            self._answered(asking.ill)
        elif asking.what != "arrived" or ack.drained or not self._marked:
            self._answered(asking.well)
        return True

    def _answered(self, event: Event | None) -> None:
        self._asking = None
        if event is not None:
            self.feed(event)

    # --- what its own machines want

    def _configurer_do(self, outputs: tuple[conf.Output, ...]) -> None:
        for output in outputs:
            match output:
                case Send():
                    self._send_out(output)
                case conf.Configured():
                    self.settings = output.configuration
                    if not output.renewal:
                        self.feed(Event.CONFIGURED)
                case conf.Refused() | conf.GaveUp():
                    self.feed(Event.CONFIGURATION_FAILED)
                case conf.Lost():
                    self.feed(Event.LEASE_EXPIRED)
                case conf.Ended():
                    self.feed(Event.ADDRESS_RELEASED)

    def _tunnels_do(self, outputs: tuple[tun.NodeOutput, ...]) -> None:
        for output in outputs:
            match output:
                case Send():
                    self._send_out(output)
                case tun.Created() if self._tunnel_wanted:
                    self.tunnel = True
                    self.feed(Event.TUNNELLED)
                case tun.Refreshed():
                    self._prepare()
                case tun.Refused(code=tun.Code.ADDRESS_IN_USE):
                    self.feed(Event.ADDRESS_TAKEN)
                case tun.Refused(kind=tun.Kind.CREATE) | tun.GaveUp(kind=tun.Kind.CREATE):
                    self.feed(Event.TUNNEL_REFUSED)
                case tun.Refused(kind=tun.Kind.REFRESH) | tun.GaveUp(kind=tun.Kind.REFRESH):
                    self.feed(Event.TUNNEL_LOST)
                case tun.Deleted() | tun.GaveUp(kind=tun.Kind.DELETE):
                    self.feed(Event.TUNNEL_DELETED)

    def _send_out(self, send: Send) -> None:
        on_new = self.radio == "B"
        source = Endpoint(self.on_link if on_new and self.on_link else OLD, 40001)
        self.world.send_to_agent(
            send.datagram, send.destination, source, "new" if on_new else "old"
        )

    def mip_do(self, outputs: tuple[object, ...]) -> None:
        """Mobile IP's outputs."""
        for output in outputs:
            match output:
                case Send():
                    source = output.source
                    assert isinstance(source, IPv4Address)
                    way = "old" if source == OLD else "tunnel" if self.tunnel else "new"
                    if way == "tunnel" and self.turned:
                        way = "new"
                    self.world.send_to_agent(
                        output.datagram, output.destination, Endpoint(source, 40002), way
                    )
                case Registered():
                    care_of = output.care_of
                    assert isinstance(care_of, IPv4Address)
                    self.sending_from = care_of
                    if not output.renewal or care_of == self._wanted:
                        self._wanted = None
                        self.feed(Event.REBOUND if care_of == OLD else Event.BOUND)
                case Rejected() | TimedOut():
                    self.feed(Event.BINDING_FAILED)
