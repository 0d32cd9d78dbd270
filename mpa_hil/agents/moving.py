"""Handovers by RFC 6252 at the mobile node: takes targets, keys and the supplicant's events to
`handover`, and its wishes to the supplicant."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from ipaddress import IPv4Address
from typing import Protocol

from mpa_hil.agents.config import Fields
from mpa_hil.agents.handover import HandoverShell
from mpa_hil.agents.handover_ahead import Self, Target
from mpa_hil.agents.hold_fields import read_endpoint as read_endpoint
from mpa_hil.agents.hold_fields import read_holding
from mpa_hil.agents.keyring import KeyRing
from mpa_hil.agents.layer3 import Layer3
from mpa_hil.agents.stdio import Console
from mpa_hil.handover import interface as do
from mpa_hil.handover.interface import Event
from mpa_hil.handover.options import Level, Options, Protection
from mpa_hil.keys import mac_octets
from mpa_hil.mobility.interface import Endpoint
from radios import wpa_events
from radios.errors import RemoteError

_READY_BOUND_S = 90.0
"""Longer than all of a preparation's own limits together."""
_EVENTS = {
    wpa_events.EAP_STARTED: Event.EAP_STARTED,
    wpa_events.ASSOC_REJECT: Event.ASSOCIATION_REFUSED,
    wpa_events.AUTH_REJECT: Event.ASSOCIATION_REFUSED,
    wpa_events.NETWORK_NOT_FOUND: Event.TARGET_VANISHED,
    wpa_events.SSID_TEMP_DISABLED: Event.ASSOCIATION_REFUSED,
}
_NAMES = {name.encode(): event for name, event in _EVENTS.items()}
_DISCONNECTED = wpa_events.DISCONNECTED.encode()
OUR_WISH = b"reason=3 locally_generated=1"
"""The supplicant leaves an access point because it was told to join another one; when it loses one,
it gives another reason (IEEE 802.11 s9.4.1.7)."""


class Link(Protocol):
    """What of the node's link a handover uses."""

    def stage(self, network: str) -> None:
        """Prepare the command that joins an access point."""

    def join(self, network: str) -> None:
        """Have the supplicant join it."""

    def seek(self, networks: tuple[str, ...]) -> None:
        """Have it join any of these."""

    def bssid(self, network: str) -> str:
        """An access point's, in lower case."""

    def phase(self, name: str, t_ns: int, outcome: str | None = None, cause: str = "") -> None:
        """Tell that a phase began (no outcome) or ended."""

    def through(self, network: str) -> None:
        """Packets pass both ways on another network."""


class Moving:
    """The handovers of one node, one after the other.

    Args:
        fields: {keyring, mac}: path of the socket that keys come by, address of the interface.
    """

    def __init__(
        self, fields: Fields, interface: str, layer3: Layer3, link: Link, console: Console
    ) -> None:
        keyring, mac = fields.text("keyring"), fields.text("mac")
        fields.done()
        self._ring = KeyRing(keyring, self._on_keys)
        self._mac = mac_octets(mac)
        self._interface = interface
        self._layer3 = layer3
        self._link = link
        self._console = console
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._ring.socket, self._ring.receive)
        self._shell: HandoverShell | None = None
        self._readiness: asyncio.Future[do.Ready | do.Finished] | None = None
        self._next: tuple[str, str] | None = None
        """Where the node will be told to go, and from where."""

    @property
    def ring(self) -> KeyRing:
        """The keys towards networks' agents."""
        return self._ring

    @property
    def mac(self) -> bytes:
        """The interface's address."""
        return self._mac

    @property
    def under_way(self) -> bool:
        """Whether a handover is being prepared or carried out."""
        return self._shell is not None

    @property
    def round_trip_ns(self) -> int:
        """To the next access router and back; 0: not known, or there is none."""
        return self._shell.round_trip_ns if self._shell is not None else 0

    async def prepare(self, fields: Fields, network: str, origin: str) -> None:
        """Take a handover as far as it goes ahead of the switch: `handover.ready`.

        Raises:
            RemoteError: it did not even get to its minimum.
        """
        target = read_target(fields, network)
        fields.done()
        await self._layer3.parted()
        self._next = None
        self._readiness = self._loop.create_future()
        shell = self._begin(target, origin)
        try:
            async with asyncio.timeout(_READY_BOUND_S):
                end = await self._readiness
        except TimeoutError:
            raise RemoteError("the handover is not prepared", where=target.realm) from None
        finally:
            self._readiness = None
        shell.marks()
        if isinstance(end, do.Finished):
            raise RemoteError(f"the handover was given up: {end.cause}", where=target.realm)

    def stand_by(self, network: str, origin: str) -> None:
        """`go` may come any time now. What is prepared by then is used; where nothing is, or what
        was has been given up, the node still goes by a handover: so there is a way back."""
        self._next = network, origin
        if self._shell is None:
            self._begin(unprepared(network), origin)
        self.restage()

    def _stand_by_again(self) -> None:
        if self._next is not None and self._shell is None:
            self.stand_by(*self._next)

    def _begin(self, target: Target, origin: str) -> HandoverShell:
        own = Self(
            self,
            origin,
            self._layer3,
            self._ring,
            self._console,
            self._interface,
            self._mac,
        )
        self._shell = shell = HandoverShell(target, own)
        self._layer3.follow(shell)
        shell.feed(Event.PREPARE)
        return shell

    async def quietly(self, work: Awaitable[object]) -> None:
        """Do something for which the radio leaves its channel; see `HandoverShell.quietly`."""
        if self._shell is not None:
            await self._shell.quietly(work)
        else:
            await work

    def restage(self) -> None:
        """Make datagrams and commands of the switch anew, shortly before it."""
        if self._shell is not None:
            self._shell.restage()

    def go(self) -> None:
        """Move now, with what is ready."""
        self._next = None
        if self._shell is not None:
            self._shell.feed(Event.SWITCH_WANTED)

    def receive(self, datagram: bytes) -> None:
        """An event of the supplicant's."""
        if self._shell is None:
            return
        event = named_event(datagram)
        if event is not None:
            self._shell.feed(event)
            return
        if _DISCONNECTED in datagram and OUR_WISH not in datagram:
            here = self._shell.target.network if self._shell.there else self._shell.origin
            if self._link.bssid(here).encode() in datagram.lower():
                self._shell.feed(Event.LINK_LOST)

    def port_open(self, datagram: bytes) -> bool:
        """The supplicant is connected; whether that was a handover's matter."""
        shell = self._shell
        if shell is None:
            return False
        old = self._link.bssid(shell.origin).encode() in datagram.lower()
        shell.feed(Event.OLD_PORT_OPEN if old else Event.PORT_OPEN)
        return True

    @property
    def busy(self) -> bool:
        """Whether a switch is on its way: what is not urgent waits for its end."""
        return self._shell is not None and self._shell.switching

    def tell(self) -> None:
        """Tell phases, now that there is time."""
        if self._shell is not None:
            self._shell.marks()

    async def leave(self) -> None:
        """Give up what is not finished."""
        shell, self._shell = self._shell, None
        self._next = None
        self._layer3.follow(None)
        if shell is not None and not shell.moved:
            await shell.vacate()

    def close(self) -> None:
        """Take no more keys."""
        self._loop.remove_reader(self._ring.socket)
        self._ring.close()

    # --- what a handover says (`handover_ahead.Node`)

    def stage(self, network: str) -> None:
        """See `Link.stage`."""
        self._link.stage(network)

    def select(self, network: str) -> None:
        """See `Link.join`."""
        self._link.join(network)

    def seek(self, networks: tuple[str, ...]) -> None:
        """See `Link.seek`."""
        self._link.seek(networks)

    def through(self) -> None:
        """The access router has released, and the uplink goes directly."""
        if self._shell is not None:
            self._link.through(self._shell.target.network)

    def ready(self, action: do.Ready) -> None:
        """So much is prepared."""
        shell = self._shell
        assert shell is not None
        self._console.emit(
            "handover.ready",
            network=shell.target.network,
            level=int(action.level),
            cause=action.cause,
        )
        self._answer(action)

    def over(self, action: do.Finished) -> None:
        """The handover is over."""
        shell = self._shell
        assert shell is not None
        self._console.emit(
            "handover.finished",
            network=shell.target.network,
            outcome=action.outcome.value,
            level=int(action.level),
            cause=action.cause,
            confirmed=action.confirmed,
            unanswered=list(action.unanswered),
        )
        if action.outcome is not do.Outcome.LOST:
            self._shell = None
            self._layer3.follow(None)
            self._loop.call_soon(self._stand_by_again)
        self._answer(action)

    def phase(self, name: str, t_ns: int, outcome: str | None = None, cause: str = "") -> None:
        """A phase began (no outcome) or ended."""
        self._link.phase(name, t_ns, outcome, cause)

    def _answer(self, what: do.Ready | do.Finished) -> None:
        if self._readiness is not None and not self._readiness.done():
            self._readiness.set_result(what)

    def _on_keys(self, realm: str) -> None:
        if self._shell is not None and self._shell.target.realm == realm:
            self._shell.keys_changed()


def named_event(datagram: bytes) -> Event | None:
    """What an event of the supplicant's is to a handover that is switching; None: nothing."""
    for name, event in _NAMES.items():
        if name in datagram:
            return event
    return None


def unprepared(network: str) -> Target:
    """Where nothing is prepared, and so nobody there is asked for anything."""
    nobody = Endpoint(IPv4Address(0), 0)
    options = Options(level=Level.REACTIVE, hold=do.Hold.OFF)
    return Target(network, "", nobody, nobody, options, hold_ms=0, hold_octets=0)


def read_target(fields: Fields, network: str) -> Target:
    """The target of a `prepare` command.

    Raises:
        LocalError: with the key that is wrong.
    """
    level = Level(fields.integer("level", None, 1, 3))
    holding = read_holding(fields, level)
    options = Options(
        level=level,
        minimum=Level(fields.integer("minimum", 0, 0, 3)),
        hold=holding.hold,
        bicast=fields.truth("bicast", False),
        protection=read_protection(fields),
    )
    return Target(
        network,
        fields.text("realm"),
        read_endpoint(fields, "ca"),
        read_endpoint(fields, "ar"),
        options,
        *holding[1:],
    )


def read_protection(fields: Fields) -> Protection:
    """How the tunnel is protected."""
    chosen = fields.choice("protection", ("esp", "plain", "wireguard"))
    return "plain" if chosen == "plain" else "wireguard" if chosen == "wireguard" else "esp"
