"""One handover of the mobile node by RFC 6252 s6.3: carries out what the machine decides.

The machine (`mpa_hil.handover`) knows what is to be done when; this knows addresses, keys, prepared
datagrams and kernel objects, and feeds it what happens. At the switch an event leads through one
`feed` to actions that are one system call each; phases are told later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from ipaddress import IPv6Address

from mpa_hil.agents import tunnel_plans as plans
from mpa_hil.agents.drain import Drain
from mpa_hil.agents.handover_ahead import TUNNEL, AheadSteps, Self, Target
from mpa_hil.agents.old_side import OldSide
from mpa_hil.agents.prefix_check import PrefixCheck
from mpa_hil.agents.queue_watch import QueueWatch
from mpa_hil.agents.quiet import WAITING_S, quietly
from mpa_hil.agents.rehearsal import rehearse
from mpa_hil.agents.switch_path import SwitchPath
from mpa_hil.handover import interface as do
from mpa_hil.handover.interface import Event
from mpa_hil.handover.machine import Handover
from mpa_hil.handover.states import State
from mpa_hil.kernel.arrival import receives
from mpa_hil.kernel.node_tunnel import NodeTunnel
from mpa_hil.mobility.interface import Address
from radios.errors import MpaError

_SWITCHING = frozenset({State.HOLDING, State.SWITCHING, State.ARRIVING})
_CALM_S = 0.2
"""From arrival to the end of tunnel and hold devices: what was held leaves in a burst at first."""


def _leave(_: do.Action) -> None:
    """Somebody else's: the pre-authentication process keeps its own time limits."""


class HandoverShell(AheadSteps):
    """The handover to one target."""

    def __init__(self, target: Target, own: Self) -> None:
        super().__init__(target, own)
        self._machine = Handover(target.options)
        self._timer: asyncio.TimerHandle | None = None
        self._drain = Drain()
        self._told_through = False
        self._old_side = OldSide(target, own, self._old)
        self._meanwhile = lambda: self._old_side.begin(self._new)
        self._prefix: PrefixCheck | None = None
        self._queue = QueueWatch(lambda: self._pht is None or self._pht.passes())
        self._acts: dict[type[do.Action], Callable[..., None]] = {
            do.Authenticate: self._authenticate,
            do.ForgetKeys: _leave,
            do.Configure: self._configure,
            do.ReleaseAddress: self._release_address,
            do.CreateTunnel: self._create_tunnel,
            do.DeleteTunnel: self._delete_tunnel,
            do.StageBinding: self._stage_binding,
            do.Bind: self._bind,
            do.Rebind: self._rebind,
            do.RetireBinding: self._retire,
            do.PrepareSwitch: self._prepare_switch,
            do.StartHold: self._start_hold,
            do.TurnUplink: self._turn_uplink,
            do.Leave: self._leave,
            do.SelectNetwork: self._select_network,
            do.ReturnToOld: self._return_to_old,
            do.SeekAny: self._seek_any,
            do.Arrive: self._arrive,
            do.ReleaseUplink: self._release_uplink,
            do.TurnBack: self._turn_back,
            do.Resume: self._resume,
            do.Settle: self._settle,
            do.Acquire: self._acquire,
            do.LeaveNew: self._leave_new,
            do.NotifyServing: self._notify_serving,
            do.DropOld: self._drop_old,
            do.Ready: self._ready,
            do.Finished: self._finished,
        }

    @property
    def origin(self) -> str:
        """The access point that the node comes from."""
        return self._own.origin

    @property
    def there(self) -> bool:
        """The node is on the new network."""
        return self._machine.there

    @property
    def moved(self) -> bool:
        """The node lives at the new address."""
        return self._settled

    @property
    def switching(self) -> bool:
        """Between the decision and the router's release, a bounded time (`Options`)."""
        return self._machine.state in _SWITCHING

    @property
    def round_trip_ns(self) -> int:
        """To the next access router and back; 0: not known yet."""
        return self._agents.round_trip_ns if self._agents is not None else 0

    def feed(self, event: Event, cause: str = "") -> None:
        """Something happened."""
        self._carry_out(self._machine.feed(event, time.monotonic_ns(), cause))

    def keys_changed(self) -> None:
        """The keys towards the target came, changed or went."""
        if self.target.realm in self._own.ring.keys:
            self.feed(Event.AUTHENTICATED)
        else:
            self.feed(Event.KEYS_WITHDRAWN)

    def marks(self) -> None:
        """Tell the phases that were gone through; for a moment when nothing depends on it."""
        for mark in self._machine.marks():
            if mark.phase != "switching":  # its parts are told, of the link
                self._own.node.phase(mark.phase, mark.t_ns, mark.outcome or None, mark.cause)

    def resume(self) -> None:
        """The node is back, from a network that it went on to."""
        if self._pht is not None:
            self._pht.stand()

    async def vacate(self) -> None:
        """Take everything away that this handover made, whether the node has moved or not."""
        if self._timer is not None:
            self._timer.cancel()
        self._machine = Handover(self.target.options)
        self._cease()
        self._way_back.let_go()
        self._remove_tunnel()
        await self._old_side.close()
        if self._agents is not None:
            if self._layer3.address is not None:
                self._agents.move(self._layer3.address)
            await self._agents.farewell()

    def _carry_out(self, actions: do.Actions) -> None:
        for action in actions:
            try:
                self._acts[type(action)](action)
            except (MpaError, OSError) as error:
                self._failed(action, error)
        self._arm()

    def _failed(self, action: do.Action, error: Exception) -> None:
        """The node's own kernel refused: as bad as if the peer had."""
        answers = {
            do.Configure: Event.CONFIGURATION_FAILED,
            do.CreateTunnel: Event.TUNNEL_REFUSED,
            do.Bind: Event.BINDING_FAILED,
            do.Rebind: Event.REBINDING_FAILED,
            do.StartHold: Event.HOLD_FAILED,
            do.SelectNetwork: Event.TARGET_VANISHED,
            do.ReturnToOld: Event.TARGET_VANISHED,
            do.Arrive: Event.ARRIVAL_UNHEARD,
            do.Acquire: Event.ACQUISITION_FAILED,
        }
        self._own.console.emit("agent.failed", error=str(error), where=type(action).__name__)
        if type(action) in answers:
            self.later(answers[type(action)], str(error))

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ns = self._machine.next_deadline()
        if due_ns is not None:
            delay_s = max(0.0, (due_ns - time.monotonic_ns()) / 1e9)
            self._timer = self._loop.call_later(delay_s, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._carry_out(self._machine.expire(time.monotonic_ns()))

    # --- steps 4 to 6, the switch and after it

    def restage(self) -> None:
        """Make commands and datagrams of the switch anew."""
        rehearse(self.target.options)
        self._own.node.stage(self.target.network)
        self._way_back.keep()
        if self._path is not None:
            self._path.prepare()

    async def quietly(self, work: Awaitable[object]) -> None:
        """Do something for which the radio leaves its channel, with packets held meanwhile where
        there is a next router that holds."""
        path, holds = self._path, bool(self.target.options.hold)
        if path is None or not holds:
            await work
        else:
            await quietly(work, path, lambda: self._pht, self.round_trip_ns / 1e9)

    def _prepare_switch(self, _: do.PrepareSwitch) -> None:
        self.restage()
        new = self._new if self._settings is not None else None
        self._old_side.stage(new, self._pht is not None, lambda: self.later(Event.STAGED))

    def _start_hold(self, action: do.StartHold) -> None:
        if action.hold & do.Hold.NEXT or action.bicast:
            both = action.hold & do.Hold.OLD
            ended = self._old_side.behind(self._held) if both else self._held
            bound_s, round_trip_s = self.target.options.hold_ms / 1e3, self.round_trip_ns / 1e9
            self._switch_path().hold(ended, bound_s + 2 * round_trip_s, round_trip_s)
        else:
            self._old_side.hold(self._held)
        self._layer3.freeze()  # while the answer is awaited, so that it costs the switch nothing

    def _held(self, well: bool) -> None:
        self.feed(Event.HELD if well else Event.HOLD_FAILED)

    def _turn_uplink(self, _: do.TurnUplink) -> None:
        self._uplink.turn(self._tunnel())

    def _leave(self, _: do.Leave) -> None:
        self._switch_path().leave()

    def _select_network(self, _: do.SelectNetwork) -> None:
        self._layer3.freeze()
        path, select = self._path, partial(self._own.node.select, self.target.network)
        self._drain.then(lambda: path is not None and path.leaving(), select)

    def _return_to_old(self, _: do.ReturnToOld) -> None:
        self._drain.cancel()
        self._own.node.select(self._own.origin)

    def _seek_any(self, _: do.SeekAny) -> None:
        self._drain.cancel()
        self._own.node.seek((self._own.origin, self.target.network))

    def _arrive(self, action: do.Arrive) -> None:
        if self._path is not None and self._machine.state is State.ARRIVING:
            bound_s = self.target.options.arrive_ms / 1e3
            self._queue.start()
            # A router that was not asked to hold waits for no mark, and says so at once.
            self._path.arrive(self._arrived, bound_s, drained=action.marked)
        if action.hold & do.Hold.OLD and self._settings is not None:
            self._old_side.forward(self._settings.router_mac)

    def _arrived(self, well: bool) -> None:
        self.feed(Event.ARRIVED if well else Event.ARRIVAL_UNHEARD)

    def _release_uplink(self, _: do.ReleaseUplink) -> None:
        self._queue.then(self._release)

    def _release(self) -> None:
        if self._pht is None:
            return  # taken away while it was waited
        try:
            self._uplink.release(self._tunnel())
        except MpaError as error:
            self._own.console.emit("agent.failed", error=str(error), where=TUNNEL)
        self._through()

    def _turn_back(self, _: do.TurnBack) -> None:
        self._queue.cancel()
        self._tunnel().back()
        self._again(self._tunnel().restage)

    def _resume(self, action: do.Resume) -> None:
        if action.hold & do.Hold.OLD:
            self._old_side.release()
        if self._path is not None:
            self._path.resume()

    def _settle(self, _: do.Settle) -> None:
        assert self._settings is not None
        if self._pht is None:
            self._layer3.set_up(plans.network(self._settings, None))
            self._settling = True
            self._again(self._receives, self._has_settled)
        else:
            self._settling = True
            step = partial(self._settle_tunnel, self._pht)
            calm_s = max(_CALM_S, self._old_side.patience_s)
            self._loop.call_later(calm_s, self._again, step, self._has_settled)

    def _settle_tunnel(self, pht: NodeTunnel) -> bool:
        return not self._queue.waiting and self._uplink.settle(pht)

    def _receives(self) -> bool:
        """A new IPv6 address takes nothing in for a moment, and no socket can have it."""
        made = [self._new] if isinstance(self._new, IPv6Address) else []
        return receives(self._layer3.state.route, self._own.interface, made)

    def _has_settled(self) -> None:
        self._settling, self._settled = False, True
        if self._deleting:
            self._deleting = False
            self._provisioning().delete()
        self._layer3.adopt(self._new, self)
        self._provisioning().move(self._new)
        if not isinstance(self._new, IPv6Address):
            self.later(Event.SETTLED)
            return
        own = self._own
        try:
            self._prefix = PrefixCheck(own.interface, own.mac, self._new, self._prefix_seen)
        except MpaError as error:
            own.console.emit("agent.failed", error=str(error), where="PrefixCheck")
            self.later(Event.SETTLED)

    def _prefix_seen(self, other: str) -> None:
        if other:
            self.feed(Event.ADDRESS_TAKEN, f"this link's prefix is another: {other}")
        else:
            self.feed(Event.SETTLED)

    def _cease(self) -> None:
        """Look at nothing any more."""
        self._queue.cancel()
        self._drain.cancel()
        if self._prefix is not None:
            self._prefix.close()

    def _again(self, step: Callable[[], bool], done: Callable[[], None] | None = None) -> None:
        """Do something that must wait until no packet does."""
        try:
            finished = step()
        except MpaError as error:
            self._own.console.emit("agent.failed", error=str(error), where=TUNNEL)
            return
        if not finished:
            self._loop.call_later(WAITING_S, self._again, step, done)
        elif done is not None:
            done()

    def _acquire(self, action: do.Acquire) -> None:
        if action.decline:
            self._remove_tunnel()
        self._layer3.acquire(self._acquired)

    def _acquired(self, address: Address) -> None:
        self._by_dhcp = address
        self._layer3.adopt_acquired(address)
        self.feed(Event.ACQUIRED)

    def _leave_new(self, _: do.LeaveNew) -> None:
        self._layer3.give_up()
        put, self._settling = self._settling or self._settled, False
        self._cease()
        if self._settled or self._by_dhcp is not None:
            self._settled, self._by_dhcp = False, None
            self._layer3.readopt()
        if put:
            self._remove_tunnel()
        if self._agents is not None:
            self._agents.move(self._old)

    def _notify_serving(self, _: do.NotifyServing) -> None:
        """The pre-authentication process tells B's agent as soon as it sees the new link."""
        self._through()
        self.later(Event.SERVING)

    def _retire(self, action: do.RetireBinding) -> None:
        if not (action.old and self._old_side.forwarding):  # else once nothing comes by it
            self._retire_binding(action)

    def _drop_old(self, _: do.DropOld) -> None:
        self._old_side.drop()

    def _ready(self, action: do.Ready) -> None:
        self._own.node.ready(action)

    def _finished(self, action: do.Finished) -> None:
        self.marks()
        self._way_back.let_go()
        if action.outcome is not do.Outcome.MOVED:
            self._layer3.thaw()
        if action.outcome is do.Outcome.STAYED:
            self._old_side.let_go()
        self._own.node.over(action)

    def _through(self) -> None:
        """Packets pass both ways; with a tunnel as soon as it is left, else once all is bound."""
        if not self._told_through:
            self._told_through = True
            self._own.node.through()

    def _tunnel(self) -> NodeTunnel:
        assert self._pht is not None
        return self._pht

    def _switch_path(self) -> SwitchPath:
        assert self._path is not None
        return self._path
