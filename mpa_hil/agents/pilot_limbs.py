"""One of several handovers that a policy has on hand: as `agents.handover`, but the machine is the
conductor's, which all of them share (`mpa_hil.policy.conductor`)."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Protocol

from mpa_hil.agents.handover import HandoverShell
from mpa_hil.agents.handover_ahead import Self, Target
from mpa_hil.handover import interface as do
from mpa_hil.handover.interface import Event, PhaseMark
from mpa_hil.handover.machine import Handover
from mpa_hil.handover.options import Level
from mpa_hil.handover.states import State
from mpa_hil.mobility.interface import Address
from radios.errors import MpaError

_IN_FLIGHT_S = 0.3
"""What was sent through a tunnel still comes for so long after the home agent has taken the old
address again."""
_FREE_AGAIN_S = 0.05
_FREE_TRIES = 40


class Crew(Protocol):
    """Who has the limbs."""

    def answered(self, target: str, event: Event, cause: str) -> None:
        """An answer for a target's machine."""

    def marked(self, target: str, marks: Sequence[PhaseMark]) -> None:
        """Phases of a target's handover, to be told."""

    def has_tunnel(self, without: str) -> bool:
        """Whether another target's tunnel stands or is being made: the node has one device."""

    def forget_keys(self, realm: str) -> None:
        """Give an MPA-SA up."""

    def is_ready(self, target: str, action: do.Ready) -> None:
        """So much is prepared."""

    def is_over(self, target: str, action: do.Finished) -> None:
        """The handover is over."""

    def is_through(self, target: str) -> None:
        """Packets pass both ways on the new link."""

    def signalled(self, target: str, level: Level, octets: int) -> None:
        """So much was said, to or by a network's agent, for a step of its preparation."""


class Limb(HandoverShell):
    """What one target's handover has in hand: addresses, keys, kernel objects.

    Args:
        machine: whose actions it carries out.
    """

    def __init__(self, target: Target, own: Self, crew: Crew, machine: Handover) -> None:
        super().__init__(target, own)
        self._crew = crew
        self._machine = machine
        self._over = False
        self._tunnel_asked = self._making = False
        self._acts[do.ForgetKeys] = self._forget_keys

    @property
    def machine(self) -> Handover:
        """Whose actions it carries out."""
        return self._machine

    @property
    def tunnelling(self) -> bool:
        """Whether its tunnel stands, or is being made."""
        return self._pht is not None or self._making

    @property
    def holds(self) -> bool:
        """Whether the next router can hold packets for the node."""
        return self._path is not None

    def act(self, action: do.Action) -> None:
        """Carry an action out."""
        self._carry_out((action,))

    def answer_of_home(self, care_of: Address) -> None:
        """The home agent has taken a care-of address."""
        here = self._by_dhcp or (None if self._settings is None else self._settings.address.ip)
        if care_of in (here, self._old):
            self.bound(care_of)

    def feed(self, event: Event, cause: str = "") -> None:
        """Something happened."""
        if not self._over:
            self._crew.answered(self.target.network, event, cause)

    def marks(self) -> None:
        """Tell the phases that were gone through."""
        marks = self._machine.marks()
        if marks:
            self._crew.marked(self.target.network, marks)

    def move(self, source: Address) -> None:
        """Ask the network's agents from another address of the node's."""
        if self._agents is not None:
            self._agents.move(source)

    def end(self) -> None:
        """Be done; what peers hold was given back, or is left to their time limits."""
        self._over = True
        self._tunnel_asked = self._making = False
        self._cease()
        if not self._settled:
            self._remove_tunnel()
            if self._agents is not None:
                self._agents.close()

    async def vacate(self) -> None:
        """See `HandoverShell`."""
        self._over = True
        self._tunnel_asked = self._making = False
        await super().vacate()

    def _arm(self) -> None:
        """The conductor's time limits are kept by the pilot."""

    def _counted(self, octets: int, router: bool) -> None:
        super()._counted(octets, router)
        level = Level.BOUND if router else Level.CONFIGURED
        self._crew.signalled(self.target.network, level, octets)

    def _forget_keys(self, _: do.ForgetKeys) -> None:
        self._crew.forget_keys(self.target.realm)

    def _configure(self, action: do.Configure) -> None:
        task = self._loop.create_task(self._configure_later(action))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _configure_later(self, action: do.Configure) -> None:
        await self._layer3.parted()
        if self._over:
            return
        try:
            super()._configure(action)
        except (MpaError, OSError) as error:
            self._failed(action, error)

    def _create_tunnel(self, action: do.CreateTunnel) -> None:
        self._tunnel_asked = True
        self._create_in_turn(action, _FREE_TRIES)

    def _create_in_turn(self, action: do.CreateTunnel, tries: int) -> None:
        """Another network's tunnel may be about to go."""
        if self._over or not self._tunnel_asked:
            return
        if not self._crew.has_tunnel(self.target.network):
            self._making = True
            super()._create_tunnel(action)
        elif tries:
            again = self._create_in_turn
            self._loop.call_later(_FREE_AGAIN_S, again, action, tries - 1)
        else:
            self._tunnel_asked = False
            self.feed(Event.TUNNEL_REFUSED, "another network's tunnel stands")

    def _delete_tunnel(self, action: do.DeleteTunnel) -> None:
        standing = self._pht is not None
        self._tunnel_asked = self._making = False
        if standing and self._machine.state is State.CLEARING:
            self._loop.call_later(_IN_FLIGHT_S, self._delete_late, action)
        else:
            super()._delete_tunnel(action)

    def _delete_late(self, action: do.DeleteTunnel) -> None:
        if not self._over:
            super()._delete_tunnel(action)

    def _prepare_switch(self, action: do.PrepareSwitch) -> None:
        gc.collect()
        super()._prepare_switch(action)

    def _ready(self, action: do.Ready) -> None:
        super()._ready(action)
        self.marks()
        self._crew.is_ready(self.target.network, action)

    def _finished(self, action: do.Finished) -> None:
        super()._finished(action)
        self._crew.is_over(self.target.network, action)

    def _through(self) -> None:
        first = not self._told_through
        super()._through()
        if first:
            self._crew.is_through(self.target.network)
