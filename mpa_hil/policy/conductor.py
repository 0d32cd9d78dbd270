"""From a policy's decisions to handover machines, one a target, and back. Sans-IO.

A policy may prepare several targets at once, change its mind, or want two switches; a handover
machine (`handover.machine`) knows one target. The conductor keeps that whole:

- one radio: one machine at most, the owner, moves the node; a second switch waits for its end;
- one binding: a second `Bind` waits until the first one's machine has restored the old binding;
- wherever the node lands, planned or not, the machine of that access point takes it on with what it
  has; all others are brought to their end and give back what they hold, without touching radio or
  binding.

What comes out is, in order: `Carry` (an action of a machine, for the shell), decisions that no
machine knows (`KeepContext`, `Probe`), and inputs for the policy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from mpa_hil.handover import interface as act
from mpa_hil.handover.interface import Action, Event, Level, Options, Outcome
from mpa_hil.handover.machine import Handover
from mpa_hil.handover.situation import Turn
from mpa_hil.handover.states import ON_OLD, UNTIMED, State

from . import interface as say
from .interface import Decision, Input

_PREPARING: Final = (State.AUTHENTICATING, State.CONFIGURING, State.TUNNELLING, State.STAGING)
_BINDING: Final = (State.BINDING, State.BOUND, State.HOLDING, State.RESTORING)
_NS_PER_MS = 1_000_000
_NOT_JOINED: Final = (Event.ASSOCIATION_REFUSED, Event.TARGET_VANISHED)
_MOVING: Final = (
    act.SelectNetwork,
    act.ReturnToOld,
    act.SeekAny,
    act.TurnUplink,
    act.TurnBack,
    act.Leave,
    act.Resume,
)
"""Not done for a machine that has no say in where the node is."""


@dataclass(frozen=True, slots=True)
class Carry:
    """To be carried out for this target's handover; answers go to `feed` under the same target.

    An empty target: for no handover, the node is to have any link (`SeekAny`) or the one it had.
    """

    target: str
    action: Action


Output = Carry | Decision | Input
Outputs = tuple[Output, ...]


class Conductor:
    """All handovers of one node.

    Args:
        here: access point that the node is on.
        options: of each handover; the level is the policy's.
    """

    def __init__(self, here: str, options: Options) -> None:
        self.here = here
        self.linked = True
        self.owner = ""
        """Whose machine has the radio."""
        self.machines: dict[str, Handover] = {}
        self._options = replace(options, bind_ahead=False, minimum=Level.REACTIVE)
        self._tried = ""
        self._try_until_ns: int | None = None
        """An access point is being tried, and no handover's own time limits bound that."""
        self._waiting_switch = ""
        self._waiting_bind = ""
        self._raised: dict[str, Level] = {}
        """To be prepared so far once what is being cleared away is gone."""
        self._retired: set[str] = set()
        """The node lives elsewhere for good: these only give back what they hold."""
        self._parked: set[str] = set()
        """Had the radio, and the node is elsewhere, or nowhere: how they end depends on where the
        next one ends. The home agent may know their address."""
        self._eap_seen = self._eap = False
        """An EAP run since the node left; and whether there was one when it landed."""
        self._told: dict[str, tuple[int, bool, bool]] = {}
        self._keys: set[str] = set()
        """Targets whose keys were left to their own time limit."""
        self._out: list[Output] = []

    # --- in

    def obey(self, decision: Decision, now_ns: int) -> Outputs:
        """Carry out a decision."""
        match decision:
            case say.Prepare(target=target, level=level) if target != self.here:
                self._prepare(target, level, now_ns)
            case say.Bind(target=target):
                self._bind(target, now_ns)
            case say.Switch(target=target) | say.Return(target=target):
                self._switch(target, now_ns)
            case say.LetGo(target=target, keep_keys=keep_keys):
                self._let_go(target, keep_keys, now_ns)
            case say.KeepContext() | say.Probe():
                self._out.append(decision)
        return self._settle(now_ns)

    def feed(self, target: str, event: Event, now_ns: int, cause: str = "") -> Outputs:
        """An answer to a `Carry`, or what else happened to this target's handover. Where the radio
        is, `port_open` and `link_lost` tell instead."""
        if event in _NOT_JOINED and self._try_until_ns is not None and target in ("", self._tried):
            self._give_up_trying(now_ns, event.value)
        elif target:
            self._eap_seen = self._eap_seen or event is Event.EAP_STARTED
            self._feed(target, event, now_ns, cause)
        return self._settle(now_ns)

    def port_open(self, ap: str, now_ns: int) -> Outputs:
        """The radio is on an access point, wanted or not."""
        self._try_until_ns = None
        if self.owner == ap:
            self._land(ap, now_ns)
        elif ap == self.here:
            back, self.linked = not self.linked, True
            if back and not self.owner:
                self._out.append(say.Attached(now_ns, ap))
            if self.owner:
                self._feed(self.owner, Event.OLD_PORT_OPEN, now_ns)
            else:
                self._unpark(now_ns)
        else:
            self._land_elsewhere(ap, now_ns)
        return self._settle(now_ns)

    def link_lost(self, ap: str, now_ns: int) -> Outputs:
        """The present access point is gone. Where to go, the policy says next; if it does not,
        `stranded`."""
        if self.owner:
            self._feed(self.owner, Event.LINK_LOST, now_ns)
        elif ap == self.here and self.linked:
            self.linked = False
            self._out.append(say.LinkLost(now_ns, ap))
        return self._settle(now_ns)

    def stranded(self, now_ns: int) -> Outputs:
        """There is no link, and the policy has not said where to go: where most is prepared, else
        anywhere."""
        if not (self.linked or self.owner or self._try_until_ns):
            ready = [each for each in self.machines if each not in self._retired]
            if ready:
                target = max(sorted(ready), key=lambda each: self.machines[each].level)
                self._switch(target, now_ns)
            else:
                self._out.append(Carry("", act.SeekAny()))
        return self._settle(now_ns)

    def expire(self, now_ns: int) -> Outputs:
        """Do what is due. While one machine moves the node, the others' time limits wait: they
        would touch the binding."""
        if self._try_until_ns is not None and now_ns >= self._try_until_ns:
            self._give_up_trying(now_ns, "no answer")
        for target in list(self.machines):
            machine = self.machines.get(target)
            if machine is not None and self._runs(target):
                self._take(target, machine, machine.expire(now_ns), now_ns)
        return self._settle(now_ns)

    def next_deadline(self) -> int | None:
        """CLOCK_MONOTONIC ns."""
        due = [each.next_deadline() for name, each in self.machines.items() if self._runs(name)]
        due.append(self._try_until_ns)
        return min((each for each in due if each is not None), default=None)

    def _try(self, target: str, action: Action, now_ns: int) -> None:
        self._tried = target
        self._try_until_ns = now_ns + self._options.return_ms * _NS_PER_MS
        self._out.append(Carry("" if target == self.here else target, action))

    def _give_up_trying(self, now_ns: int, why: str) -> None:
        self._try_until_ns = None
        self._out.append(say.SwitchFailed(now_ns, self._tried, why))

    def _runs(self, target: str) -> bool:
        """Whether its time limits count."""
        if target in self._parked:
            return False
        return not self.owner or target == self.owner or target in self._retired

    # --- decisions

    def _prepare(self, target: str, level: Level, now_ns: int) -> None:
        machine = self.machines.get(target)
        if machine is None:
            self._begin(target, level, now_ns)
        elif self.owner:
            return
        elif machine.state is State.CLEARING:
            self._raised[target] = level
        elif machine.state in _PREPARING or machine.state is State.PREPARED:
            # What was wanted and could not be had is not wanted again for that.
            before = machine.level if machine.state is State.PREPARED else machine.options.level
            machine.options = replace(machine.options, level=max(level, before))
            self._feed(target, Event.MORE_WANTED, now_ns)

    def _begin(self, target: str, level: Level, now_ns: int) -> Handover:
        machine = Handover(replace(self._options, level=level))
        self.machines[target] = machine
        self._retired.discard(target)
        if level > Level.REACTIVE:
            self._take(target, machine, machine.feed(Event.PREPARE, now_ns), now_ns)
        return machine

    def _bind(self, target: str, now_ns: int) -> None:
        if self.owner or target not in self.machines or target in self._retired:
            return
        bound = self._bound_but(target)
        if bound:
            self._waiting_bind = target
            self._feed(bound, Event.CANCEL, now_ns, "another is to be bound")
        else:
            self._feed(target, Event.BIND_WANTED, now_ns)

    def _switch(self, target: str, now_ns: int) -> None:
        if target == self.here and self.linked:
            return
        if self.owner:
            if target != self.owner:
                self._waiting_switch = target
            return
        if target == self.here:
            self._try(target, act.ReturnToOld(), now_ns)
            return
        if target in self._parked:
            self._try(target, act.SelectNetwork(), now_ns)
            return
        machine = self.machines.get(target) or self._begin(target, Level.REACTIVE, now_ns)
        self._try_until_ns = None
        self._waiting_bind, self._eap_seen = "", False
        self._retired.discard(target)
        self.owner = target
        if not self.linked:
            self._feed(target, Event.LINK_LOST, now_ns)
        if machine.state in ON_OLD and machine.state is not State.HOLDING:
            self._feed(target, Event.SWITCH_WANTED, now_ns)

    def _let_go(self, target: str, keep_keys: bool, now_ns: int) -> None:
        self._raised.pop(target, None)
        if target == self._waiting_bind:
            self._waiting_bind = ""
        machine = self.machines.get(target)
        if target == self.owner:
            return
        if machine is None:
            if not keep_keys and target in self._keys:
                self._keys.discard(target)
                self._out.append(Carry(target, act.ForgetKeys()))
                self._hold(target, now_ns)
            return
        machine.options = replace(machine.options, keep_keys=keep_keys)
        self._feed(target, Event.CANCEL, now_ns, "let go")

    # --- where the node is

    def _land_elsewhere(self, ap: str, now_ns: int) -> None:
        planned, self.owner = self.owner, ""
        if planned:
            self._out.append(say.SwitchFailed(now_ns, planned, "landed elsewhere"))
            self._parked.add(planned)
            self._feed(planned, Event.LINK_LOST, now_ns)
        if ap not in self.machines:
            self._begin(ap, Level.REACTIVE, now_ns)
        self.owner = ap
        self._retired.discard(ap)
        self._parked.discard(ap)
        self._land(ap, now_ns)

    def _land(self, ap: str, now_ns: int) -> None:
        keys = self.machines[ap].level >= Level.AUTHENTICATED or ap in self._keys
        self._eap, self._eap_seen = self._eap_seen or not keys, False
        self._feed(ap, Event.PORT_OPEN, now_ns)

    def _unpark(self, now_ns: int) -> None:
        """The node is where it was before them."""
        for target in sorted(self._parked):
            self._parked.discard(target)
            self._feed(target, Event.OLD_PORT_OPEN, now_ns)

    def _retire_but(self, target: str, now_ns: int) -> None:
        """The node lives elsewhere now: all others end."""
        self._raised.clear()
        self._waiting_bind = ""
        for other in list(self.machines):
            if other != target:
                self._parked.discard(other)
                self._retired.add(other)
                machine = self.machines[other]
                event = Event.CANCEL if machine.state in ON_OLD else Event.OLD_PORT_OPEN
                self._feed(other, event, now_ns, "the node is elsewhere")
                if machine.state is State.AT_OLD:
                    self.machines.pop(other, None)

    # --- machines

    def _feed(self, target: str, event: Event, now_ns: int, cause: str = "") -> None:
        machine = self.machines.get(target)
        if machine is not None:
            self._take(target, machine, machine.feed(event, now_ns, cause), now_ns)

    def _take(self, target: str, machine: Handover, actions: act.Actions, now_ns: int) -> None:
        """Pass a machine's actions on, and see where it stands."""
        retired = target in self._retired
        still = retired or target in self._parked
        for action in actions:
            match action:
                case act.Finished():
                    self._out.append(Carry(target, action))
                    self._finished(target, machine, action, now_ns)
                    return
                case act.Rebind() if retired:
                    # The binding is another machine's now.
                    self._take(target, machine, machine.feed(Event.REBOUND, now_ns), now_ns)
                case _ if not (still and isinstance(action, _MOVING)):
                    self._out.append(Carry(target, action))
        self._hold(target, now_ns)

    def _finished(self, target: str, machine: Handover, end: act.Finished, now_ns: int) -> None:
        owned = target == self.owner
        if owned:
            self.owner = ""
        if end.outcome is Outcome.LOST:
            self._parked.add(target)
            if owned:
                self.linked = False
                self._out += (
                    say.SwitchFailed(now_ns, target, end.cause or "lost"),
                    say.LinkLost(now_ns, self.here),
                )
            return
        if end.outcome is Outcome.MOVED:
            old, self.here, self.linked = self.here, target, True
            del self.machines[target]
            self._told.pop(target, None)
            if old != target:
                self._keys.add(old)
            self._retire_but(target, now_ns)
            self._out.append(say.Attached(now_ns, target, full_authentication=self._eap))
            return
        raised = self._raised.pop(target, None)
        self._retired.discard(target)
        del self.machines[target]
        if owned:
            self.linked = True
            self._out += (
                say.SwitchFailed(now_ns, target, end.cause or "refused"),
                say.Attached(now_ns, self.here),
            )
            self._unpark(now_ns)
        if machine.level >= Level.AUTHENTICATED:
            self._keys.add(target)
        else:
            self._keys.discard(target)
        if raised is not None and not self.owner and target != self.here:
            self._begin(target, raised, now_ns)
        self._hold(target, now_ns)

    def _bound_but(self, target: str) -> str:
        for other, machine in self.machines.items():
            if other != target and other not in self._retired and machine.state in _BINDING:
                return other
        return ""

    def _settle(self, now_ns: int) -> Outputs:
        """Do what has waited for the end of something."""
        if self._waiting_switch and not self.owner:
            target, self._waiting_switch = self._waiting_switch, ""
            self._switch(target, now_ns)
        if self._waiting_bind and not self.owner and not self._bound_but(self._waiting_bind):
            target, self._waiting_bind = self._waiting_bind, ""
            self._feed(target, Event.BIND_WANTED, now_ns)
        out, self._out = tuple(self._out), []
        return out

    def _hold(self, target: str, now_ns: int) -> None:
        """Tell the policy what is held there, if it is not what it was told last."""
        machine = self.machines.get(target)
        if target in (self.here, self.owner, *self._retired, *self._parked):
            return
        level, under_way, tunnel = int(target in self._keys), False, False
        if machine is not None and machine.state not in UNTIMED:
            level = int(machine.level)
            under_way = machine.state in (*_PREPARING, State.BINDING)
            tunnel = machine.is_tunnelled(Turn(Event.TIME_UP, now_ns, ""))
        if self._told.get(target, (0, False, False)) != (level, under_way, tunnel):
            self._told[target] = (level, under_way, tunnel)
            self._out.append(say.Holding(now_ns, target, level, under_way=under_way, tunnel=tunnel))
