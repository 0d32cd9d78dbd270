"""The handovers that a pilot has on hand at the mobile node: one `Limb` a target."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol

from mpa_hil.agents.handover_ahead import Self, Target
from mpa_hil.agents.layer3 import Layer3
from mpa_hil.agents.moving import Moving
from mpa_hil.agents.node_link import NodeLink
from mpa_hil.agents.pilot import Pilot
from mpa_hil.agents.pilot_config import Orders
from mpa_hil.agents.pilot_limbs import Limb
from mpa_hil.agents.stdio import Console
from mpa_hil.agents.wishes import Wishes
from mpa_hil.handover import interface as do
from mpa_hil.handover.interface import Event, PhaseMark
from mpa_hil.handover.machine import Handover
from mpa_hil.handover.options import Level
from mpa_hil.handover.states import State
from mpa_hil.mobility.interface import Address
from radios.errors import MpaError

_DONE = (State.AT_OLD, State.AT_NEW)


class Node(Protocol):
    """What of the mobile node's process a pilot needs."""

    def join(self, network: str) -> None:
        """Have the supplicant join an access point."""

    def through(self, network: str) -> None:
        """Packets pass both ways on another network."""

    def phase(self, name: str, t_ns: int, outcome: str | None = None, cause: str = "") -> None:
        """Tell that a phase began (no outcome) or ended."""


class LimbSet:
    """Makes limbs when they are needed, and ends them.

    It is their `pilot_limbs.Crew` and `handover_ahead.Node`, and follows the home agent's answers
    (`layer3.BindingFollower`).
    """

    def __init__(
        self,
        pilot: Pilot,
        orders: Orders,
        node: Node,
        link: NodeLink,
        layer3: Layer3,
        moving: Moving,
        console: Console,
        interface: str,
        wishes: Wishes,
    ) -> None:
        self._pilot = pilot
        self._orders = orders
        self._node = node
        self._link = link
        self._layer3 = layer3
        self._moving = moving
        self._console = console
        self._interface = interface
        self._wishes = wishes
        self._limbs: dict[str, Limb] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def switching(self) -> bool:
        """Whether the node is between two networks."""
        return any(limb.switching for limb in self._limbs.values())

    @property
    def round_trip_ns(self) -> int:
        """To the access routers and back; 0: not known."""
        return max((limb.round_trip_ns for limb in self._limbs.values()), default=0)

    def carry(self, target: str, action: do.Action) -> None:
        """Carry an action out."""
        limb = self._limb(target, action)
        if limb is not None:
            limb.act(action)

    def marks(self) -> None:
        """Tell the phases of all."""
        for limb in tuple(self._limbs.values()):
            limb.marks()

    async def quietly(self, work: Awaitable[object]) -> None:
        """Look elsewhere, with packets held meanwhile where somebody can."""
        limb = next((each for each in self._limbs.values() if each.holds), None)
        if limb is not None:
            await limb.quietly(work)
        else:
            await work

    async def leave(self) -> None:
        """Give up what is not finished."""
        limbs, self._limbs = self._limbs, {}
        await asyncio.gather(*(limb.vacate() for limb in limbs.values() if not limb.moved))
        await asyncio.gather(*self._tasks)

    # --- limbs

    def _limb(self, target: str, action: do.Action) -> Limb | None:
        """The one that an action is for.

        A machine that has finished may have a successor already while its last actions are still
        to be carried out; one that was dropped has said that the tunnel goes.
        """
        machine, limb = self._pilot.machines.get(target), self._limbs.get(target)
        if limb is not None:
            last = isinstance(action, do.DeleteTunnel | do.Finished)
            if machine in (None, limb.machine) or limb.machine.state in _DONE or last:
                return limb
            self._background(limb.vacate())
        if not isinstance(machine, Handover):
            return None
        limb = self._limbs[target] = self._made(target, machine)
        return limb

    def _made(self, target: str, machine: Handover) -> Limb:
        orders = self._orders
        place = next(each for each in orders.places if each.candidate.ap == target)
        ca, ar = orders.agents[target]
        limits = orders.hold_ms, orders.hold_octets
        wanted = Target(target, place.realm, ca, ar, orders.options, *limits)
        own = Self(
            self,
            self._pilot.here,
            self._layer3,
            self._moving.ring,
            self._console,
            self._interface,
            self._moving.mac,
        )
        return Limb(wanted, own, self, machine)

    def _background(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(self._suffer(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _suffer(self, work: Awaitable[None]) -> None:
        try:
            await work
        except (MpaError, OSError) as error:
            self._console.emit("agent.failed", error=str(error), where="pilot")

    # --- `layer3.BindingFollower`

    def bound(self, care_of: Address) -> None:
        """The home agent has taken a care-of address."""
        for limb in tuple(self._limbs.values()):
            limb.answer_of_home(care_of)

    def binding_failed(self, what: str) -> None:
        """Refused, or not answered."""
        for limb in tuple(self._limbs.values()):
            limb.binding_failed(what)

    # --- `pilot_limbs.Crew`

    def answered(self, target: str, event: Event, cause: str) -> None:
        """See `Crew`."""
        self._pilot.feed(target, event, cause)

    def marked(self, target: str, marks: Sequence[PhaseMark]) -> None:
        """See `Crew`."""
        for mark in marks:
            if mark.phase != "switching":  # its parts are told, of the link
                self._node.phase(mark.phase, mark.t_ns, mark.outcome or None, mark.cause)
        self._pilot.marks(target, marks)

    def has_tunnel(self, without: str) -> bool:
        """See `Crew`."""
        return any(each.tunnelling for name, each in self._limbs.items() if name != without)

    def forget_keys(self, realm: str) -> None:
        """See `Crew`."""
        self._wishes.forget(realm)

    def is_ready(self, target: str, action: do.Ready) -> None:
        """See `Crew`."""
        level, cause = int(action.level), action.cause
        self._console.emit("handover.ready", network=target, level=level, cause=cause)

    def is_over(self, target: str, action: do.Finished) -> None:
        """See `Crew`."""
        self._console.emit(
            "handover.finished",
            network=target,
            outcome=action.outcome.value,
            level=int(action.level),
            cause=action.cause,
            confirmed=action.confirmed,
            unanswered=list(action.unanswered),
        )
        if action.outcome is do.Outcome.LOST:
            return
        limb = self._limbs.pop(target, None)
        if limb is not None:
            limb.end()
        address = self._layer3.address
        if action.outcome is do.Outcome.MOVED and address is not None:
            for other in self._limbs.values():
                other.move(address)

    def signalled(self, target: str, level: Level, octets: int) -> None:
        """See `pilot_limbs.Crew`."""
        self._pilot.tally.signalled(target, level, octets)

    def is_through(self, target: str) -> None:
        """See `Crew`."""
        self._pilot.through()
        self._node.through(target)

    # --- `handover_ahead.Node`

    def stage(self, network: str) -> None:
        """See `handover_ahead.Node`."""
        self._link.stage(network)

    def select(self, network: str) -> None:
        """See `handover_ahead.Node`."""
        self._node.join(network)

    def seek(self, networks: tuple[str, ...]) -> None:
        """See `handover_ahead.Node`."""
        self._link.seek(networks)

    def ready(self, action: do.Ready) -> None:
        """Told by `is_ready`."""

    def through(self) -> None:
        """Told by `is_through`."""

    def over(self, action: do.Finished) -> None:
        """Told by `is_over`."""

    def phase(self, name: str, t_ns: int, outcome: str | None = None, cause: str = "") -> None:
        """See `handover_ahead.Node`."""
        self._node.phase(name, t_ns, outcome, cause)
