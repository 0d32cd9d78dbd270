"""The pilot's shell at the mobile node: the radio's events, keys and kernel to `agents.pilot`, and
what it wants to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from mpa_hil.agents.config import Fields
from mpa_hil.agents.layer3 import Layer3
from mpa_hil.agents.moving import OUR_WISH, Moving, named_event
from mpa_hil.agents.node_link import NodeLink
from mpa_hil.agents.pilot import Pilot
from mpa_hil.agents.pilot_config import Orders, read
from mpa_hil.agents.pilot_crew import LimbSet, Node
from mpa_hil.agents.pilot_interface import Brief
from mpa_hil.agents.sampling import Sampler
from mpa_hil.agents.stdio import Console
from mpa_hil.agents.tick import align
from mpa_hil.agents.wishes import Told, Wishes
from mpa_hil.handover import interface as do
from mpa_hil.handover.interface import Action
from mpa_hil.policy.settings import told as settings_told
from mpa_hil.sampling.settings import Settings
from radios import wpa_events
from radios.errors import LocalError, MpaError
from radios.wpa_events import parse_event

_DISCONNECTED = wpa_events.DISCONNECTED.encode()
_LAND_BOUND_S = 60.0
_HOLD_S = 600.0
"""For how long keys are kept for a network that the node is not in."""


class Piloting:
    """At most one pilot at a time, and all that it works with.

    Args:
        wishes: socket of the pre-authentication process; "": there is none, and no pilot.
    """

    def __init__(
        self,
        node: Node,
        link: NodeLink,
        layer3: Layer3,
        moving: Moving,
        console: Console,
        interface: str,
        wishes: str,
    ) -> None:
        self._node = node
        self._link = link
        self._layer3 = layer3
        self._moving = moving
        self._console = console
        self._interface = interface
        self._loop = asyncio.get_running_loop()
        self._wishes = Wishes(wishes, self._on_told) if wishes else None
        if self._wishes is not None:
            self._loop.add_reader(self._wishes.socket, self._wishes.receive)
        self._pilot: Pilot | None = None
        self._sampler: Sampler | None = None
        self._orders: Orders | None = None
        self._crew: LimbSet | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fired_ns = 0
        self._stirred = asyncio.Event()
        """The pilot has done something."""

    # --- the node's process

    @property
    def active(self) -> bool:
        """Whether a pilot has the node."""
        return self._pilot is not None

    @property
    def busy(self) -> bool:
        """Whether a switch is on its way: what is not urgent waits for its end."""
        return self._moving.busy or (self._crew is not None and self._crew.switching)

    def tell(self) -> None:
        """Tell phases and decisions, now that there is time."""
        self._moving.tell()
        if self._crew is not None:
            self._crew.marks()
        if self._pilot is not None:
            self._pilot.flush()

    async def pilot(self, fields: Fields, present: str) -> None:
        """Have a policy decide from now on: `pilot.began`."""
        if self._wishes is None:
            raise LocalError("this node was not set up for it", where="mobile_node, wishes")
        if self._pilot is not None:
            raise LocalError("there is a pilot already", where="mobile_node", remedy="land first")
        orders = self._orders = read(fields)
        if present not in orders.agents:
            raise LocalError(f"{present} is none of the places", where="pilot, places")
        brief = Brief(
            orders.chosen.name,
            settings_told(orders.chosen.settings),
            orders.places,
            present,
            orders.options,
            orders.spacing_ms,
            orders.doubt_ns,
        )
        self._pilot = pilot = Pilot(brief, orders.chosen.make(), self)
        crew = self._crew = LimbSet(
            pilot,
            orders,
            self._node,
            self._link,
            self._layer3,
            self._moving,
            self._console,
            self._interface,
            self._wishes,
        )
        self._sampler = Sampler(
            self._link,
            Settings(),
            pilot.tell,
            interface=self._interface,
            quietly=crew.quietly,
        )
        self._layer3.follow(crew)
        self._console.emit("pilot.began", policy=orders.chosen.name, network=present)
        self._sampler.start(present)
        pilot.begin()

    async def land(self, fields: Fields) -> None:
        """Decide no more, once no switch is under way: `pilot.landed`."""
        fields.done()
        pilot = self._pilot
        if pilot is None:
            raise LocalError("there is no pilot", where="mobile_node", remedy="begin one first")
        try:
            async with asyncio.timeout(_LAND_BOUND_S):
                await self._until(lambda: not pilot.switching)
                pilot.let_go()
                await self._until(lambda: not pilot.machines)
        except TimeoutError:
            self._console.emit("agent.failed", error="a handover does not end", where="pilot")
        sampler = self._sampler
        holes_ms = 0.0 if sampler is None else round(sampler.spent_ms, 3)
        await self.leave()
        counts = dict(sorted(pilot.tally.counts.items()))
        self._console.emit(
            "pilot.landed",
            network=pilot.here,
            linked=pilot.linked,
            counts=counts,
            holes_ms=holes_ms,
        )

    async def _until(self, done: Callable[[], bool]) -> None:
        while not done():
            self._stirred.clear()
            await self._stirred.wait()

    async def leave(self) -> None:
        """Give up what is not finished; no pilot is fine."""
        pilot, self._pilot = self._pilot, None
        if pilot is None:
            return
        if self._sampler is not None:
            self._sampler.stop()
            self._sampler = None
        pilot.end()
        self._layer3.follow(None)
        crew, self._crew = self._crew, None
        if crew is not None:
            await crew.leave()

    def close(self) -> None:
        """Take the socket away."""
        if self._wishes is not None:
            self._loop.remove_reader(self._wishes.socket)
            self._wishes.close()

    def receive(self, t_ns: int, datagram: bytes) -> None:
        """An event of the supplicant's."""
        pilot = self._pilot
        if pilot is None:
            return
        event = named_event(datagram)
        if event is not None:
            pilot.radio(event)
        elif _DISCONNECTED in datagram and OUR_WISH not in datagram:
            told = parse_event(datagram, t_ns)
            ap = self._named((told.address or "").lower())
            if ap:
                pilot.disconnected(ap)

    def port_open(self, datagram: bytes) -> None:
        """The supplicant is connected."""
        said = datagram.lower()
        for ap in self._link.names:
            if self._link.bssid(ap).encode() in said and self._pilot is not None:
                self._pilot.port_open(ap)
                return

    def _named(self, bssid: str) -> str:
        return next((ap for ap in self._link.names if self._link.bssid(ap) == bssid), "")

    # --- `pilot_interface.Hands`

    @property
    def looking(self) -> bool:
        """See `Hands`."""
        return self._sampler is not None and self._sampler.looking

    def now_ns(self) -> int:
        """See `Hands`."""
        return time.monotonic_ns()

    def wake(self, due_ns: int | None) -> None:
        """See `Hands`."""
        self._stirred.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due_ns is not None:
            delay_s = max(0.0, (due_ns - time.monotonic_ns()) / 1e9)
            self._timer = self._loop.call_later(delay_s, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._pilot is not None:
            self._pilot.expire()

    def carry(self, target: str, action: Action) -> None:
        """See `Hands`."""
        if not target and isinstance(action, do.ReturnToOld) and self._pilot is not None:
            self._node.join(self._pilot.here)
        elif not target:
            self._link.seek(self._link.names)
        elif self._crew is not None:
            self._crew.carry(target, action)

    def want_keys(self, realm: str) -> str:
        """See `Hands`."""
        assert self._orders is not None
        assert self._wishes is not None
        networks = next(each.networks for each in self._orders.places if each.realm == realm)
        return self._wishes.prepare(networks, self._orders.deadline_s, _HOLD_S)

    def look(self, frequency_mhz: int, target: str, *, test: bool = False) -> None:
        """See `Hands`."""
        if self._sampler is not None:
            self._sampler.look(frequency_mhz, target, test=test)

    def hold_off(self, until_ns: int) -> None:
        """See `Hands`."""
        if self._sampler is not None:
            self._sampler.hold_off(until_ns)

    def doubt(self, doubtful: bool) -> None:
        """See `Hands`."""
        try:
            self._layer3.doubt(doubtful)
        except MpaError as error:  # the binding goes on as if there were no doubt
            self._console.emit("agent.failed", error=str(error), where="pilot, doubt")

    def rest(self) -> None:
        """See `Hands`."""
        if self._sampler is not None:
            self._sampler.pause()
        if self._orders is not None and self._crew is not None and self._orders.lead_ns:
            align(self._orders.lead_ns + self._crew.round_trip_ns)
        self._fired_ns = time.monotonic_ns()
        self._loop.call_soon(self._fired)

    def serve(self, ap: str) -> None:
        """See `Hands`."""
        if self._sampler is not None:
            self._sampler.serve(ap)
            self._sampler.inquire()

    def alone(self) -> None:
        """See `Hands`."""
        if self._sampler is not None:
            self._sampler.alone()
            self._sampler.resume()

    def emit(self, kind: str, t_ns: int, fields: Mapping[str, object]) -> None:
        """See `Hands`."""
        self._console.emit(kind, t_ns, **fields)

    def _fired(self) -> None:
        """The switch has begun: what the log says of any trigger."""
        fired_ns = self._fired_ns
        self._console.emit("trigger.fired", fired_ns, rule="policy", inputs={})
        self._node.phase("decision", fired_ns, cause="policy")
        self._node.phase("decision", fired_ns, "done")

    def _on_told(self, said: Told) -> None:
        if self._pilot is not None:
            self._pilot.told(said)
