"""The mobile node's six-step handover (RFC 6252 s6.3), sans-IO.

The table is in `states`, what it asks in `situation`, what it does here. At the switch itself
(`SWITCH_WANTED`, `HELD`, `PORT_OPEN`, `ARRIVED`) a step is a few look-ups: phases are only noted,
and worked out by `marks`.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from . import interface as act
from .interface import Action, Actions, Event, Outcome, PhaseMark
from .options import Hold, Level, Options
from .situation import Situation, Turn
from .states import FAILURES, TABLE, UNTIMED, WISHES, State

_NS_PER_MS = 1_000_000
_TURN_UPLINK, _LEAVE, _SELECT = act.TurnUplink(), act.Leave(), act.SelectNetwork()
_RELEASE_UPLINK, _SETTLE = act.ReleaseUplink(), act.Settle()
_GIVING_BACK: Final = frozenset({Event.TUNNEL_DELETED, Event.ADDRESS_RELEASED})
_ANSWERS: Final = frozenset({*_GIVING_BACK, Event.SETTLED, Event.SERVING})
_QUIET: Final = frozenset({*UNTIMED, State.PREPARED, State.BOUND})
"""No phases: nothing is under way."""
_LIMITS: Final = {
    State.AUTHENTICATING: "authenticate_ms",
    State.CONFIGURING: "configure_ms",
    State.TUNNELLING: "tunnel_ms",
    State.STAGING: "stage_ms",
    State.PREPARED: "keep_ms",
    State.BINDING: "bind_ms",
    State.BOUND: "keep_ms",
    State.HOLDING: "hold_ms",
    State.SWITCHING: "switch_ms",
    State.ARRIVING: "arrive_ms",
    State.ACQUIRING: "acquire_ms",
    State.BINDING_THERE: "bind_ms",
    State.SETTLING: "settle_ms",
    State.RETURNING: "return_ms",
    State.RESTORING: "restore_ms",
    State.CLEARING: "clear_ms",
    State.SEEKING: "seek_ms",
}


class Handover(Situation):
    """One handover of one mobile node to one target.

    It begins on A with A's binding. After STAYED it can begin again; after MOVED it is over.
    """

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.state = State.AT_OLD
        self._limits_ns = {
            state: getattr(options, name) * _NS_PER_MS for state, name in _LIMITS.items()
        }
        self._limit_ns = 0
        self._deadline_ns: int | None = None
        self._out: list[Action] = []
        self._noted: list[tuple[State, State, Turn]] = []
        self._try_old = False

    def feed(self, event: Event, now_ns: int, cause: str = "") -> Actions:
        """Digest what happened at `now_ns` (CLOCK_MONOTONIC); what is to be done now."""
        fact = self.FACTS.get(event)
        if fact is not None:
            fact(self)
        elif event in _ANSWERS:
            self._awaited.discard(event)
        turn = Turn(event, now_ns, cause)
        for guard, action, exit_ in _MOVES.get((self.state, event), ()):
            if guard is None or guard(self, turn):
                return self._go(action, exit_, turn)
        return ()

    def expire(self, now_ns: int) -> Actions:
        """Do what is due; harmless at any time."""
        if self._deadline_ns is None or now_ns < self._deadline_ns:
            return ()
        self._deadline_ns = None
        return self.feed(Event.TIME_UP, now_ns, self.state.value)

    def next_deadline(self) -> int | None:
        """CLOCK_MONOTONIC ns of the present wait's end; None: nothing is waited for."""
        return self._deadline_ns

    def marks(self) -> tuple[PhaseMark, ...]:
        """The phases that began and ended since the last call, in order."""
        noted, self._noted = self._noted, []
        marks = []
        for before, after, (event, t_ns, cause) in noted:
            told = f"{event.value}: {cause}" if cause else event.value
            if before not in _QUIET:
                marks.append(PhaseMark(_phase(before), t_ns, _outcome(event), told))
            if after not in _QUIET:
                marks.append(PhaseMark(_phase(after), t_ns, "", told))
        return tuple(marks)

    def _go(self, action: Any, exit_: State | None, turn: Turn) -> Actions:
        self._out = []
        self._limit_ns = 0
        if not self._why and (turn.event in FAILURES or turn.event is Event.CANCEL):
            self._why = f"{turn.event.value}: {turn.cause}" if turn.cause else turn.event.value
        if action is not None:
            action(self, turn)
        if exit_ is not None:
            limit_ns = self._limit_ns or self._limits_ns.get(exit_, 0)
            self._deadline_ns = turn.now_ns + limit_ns if limit_ns else None
            self._noted.append((self.state, exit_, turn))
            self.state = exit_
        elif self._limit_ns:
            self._deadline_ns = turn.now_ns + self._limit_ns
        return tuple(self._out)

    # --- steps 1 to 3

    def do_authenticate(self, turn: Turn) -> None:
        self._keys_asked = True
        self._out.append(act.Authenticate())

    def do_configure(self, turn: Turn) -> None:
        self._address_asked = True
        self._addresses += 1
        self._out.append(act.Configure())

    def do_reconfigure(self, turn: Turn) -> None:
        """The access router found the address in use, so it made no tunnel."""
        self._tunnel_asked = self._duplicate = False
        self._addresses += 1
        self._out.append(act.Configure(decline=True))

    def do_create_tunnel(self, turn: Turn) -> None:
        self._configured = self._tunnel_asked = True
        self._tunnels += 1
        wanted = self.options
        self._out.append(act.CreateTunnel(wanted.protection, wanted.hold, wanted.bicast))

    def do_drop_tunnel(self, turn: Turn) -> None:
        self._delete_tunnel()
        self.do_stage(turn)

    def do_drop_address(self, turn: Turn) -> None:
        """An address that was not refused for good is kept: on B it may be leased again."""
        self._refused_address = turn.event is Event.CONFIGURATION_FAILED
        self._delete_tunnel()
        if self._duplicate:
            self._release_address()
        self.do_stage(turn)

    def do_stage(self, turn: Turn) -> None:
        self._out.append(act.PrepareSwitch(self.options.hold, self.options.bicast))

    def do_stage_configured(self, turn: Turn) -> None:
        self._configured = True
        self.do_stage(turn)

    def do_stage_tunnelled(self, turn: Turn) -> None:
        self._tunnelled = True
        self.do_stage(turn)

    def do_delete_unwanted(self, turn: Turn) -> None:
        self._out.append(act.DeleteTunnel())

    def do_be_ready(self, turn: Turn) -> None:
        self._reached = max(self._reached, self.level)
        self._out.append(act.Ready(self.level, self._why))

    do_be_bound = do_be_ready

    def do_bind(self, turn: Turn) -> None:
        self._bind(through_tunnel=True)

    def do_bind_in_haste(self, turn: Turn) -> None:
        self.do_bind(turn)
        self.do_hasten(turn)

    def do_hasten(self, turn: Turn) -> None:
        self._hasty = True
        self._limit_ns = self.options.hurried_bind_ms * _NS_PER_MS

    # --- steps 4 to 6

    def do_hold(self, turn: Turn) -> None:
        self._held = self._places()
        self._holding = True
        self._out.append(act.StartHold(self._held, self._bicasts()))

    def do_switch(self, turn: Turn) -> None:
        self._left_with = self.level
        self._hasty = False
        asked_next = self._tunnelled and (self._held & Hold.NEXT or self._bicasts())
        self._deaf = self.state is State.HOLDING and turn.event in FAILURES and bool(asked_next)
        if self._tunnelled:
            self._turned = True
            self._out.append(_TURN_UPLINK)
            self._marked = turn.event is not Event.LINK_LOST
            if self._marked:
                self._out.append(_LEAVE)
        self._out.append(_SELECT)
        if not self._tunnelled:
            self._delete_tunnel()
        if not self._keys:
            self.do_allow_for_eap(turn)

    def do_allow_for_eap(self, turn: Turn) -> None:
        self._limit_ns = self.options.eap_ms * _NS_PER_MS

    def do_arrive(self, turn: Turn) -> None:
        self._on_new = True
        if not self._turned:  # the supplicant came here by itself
            self._turned = True
            self._out.append(_TURN_UPLINK)
        self._out.append(act.Arrive(self._held, self._marked))
        if self.is_hopeless(turn):
            self._limit_ns = self.options.deaf_ms * _NS_PER_MS

    def do_settle(self, turn: Turn) -> None:
        self._put_on_link()
        self._finish_there()

    def do_settle_and_bind(self, turn: Turn) -> None:
        arriving = self.state is State.ARRIVING
        self._put_on_link()
        if not arriving and self._held & Hold.OLD:
            self._out.append(act.Arrive(Hold.OLD))
        self._bind(through_tunnel=False)
        if arriving and turn.event is not Event.ARRIVED and not self._old_gone:
            self._limit_ns = self.options.prove_ms * _NS_PER_MS

    def do_acquire(self, turn: Turn) -> None:
        """The nCoA was never had, or is lost."""
        lost = turn.event is not Event.PORT_OPEN
        if lost:
            self._addresses += 1
            if self._duplicate:
                self._release_address()
        self._release_uplink()
        self._delete_tunnel()
        self._awaited.discard(Event.SETTLED)
        self._on_new = self._acquired = True
        if self._refused_address and not self._old_gone:
            self._limit_ns = self.options.acquire_again_ms * _NS_PER_MS
        self._out.append(act.Acquire(decline=lost))

    def do_bind_there(self, turn: Turn) -> None:
        if self._held & Hold.OLD:
            self._out.append(act.Arrive(Hold.OLD))
        self._bind(through_tunnel=False)

    def do_settle_bound(self, turn: Turn) -> None:
        if self._acquired and self._address_asked:
            self._release_address("taken over")
        self._finish_there()

    def do_live_there(self, turn: Turn) -> None:
        self._out += [act.RetireBinding(old=True), act.DropOld()]
        self._finish(Outcome.MOVED, self._left_with, confirmed=self._bound)

    # --- the way back

    def do_return(self, turn: Turn) -> None:
        self._out.append(act.ReturnToOld())

    def do_seek(self, turn: Turn) -> None:
        """In turn; first the one that was not tried last, unless A is known to be gone."""
        if self.state is not State.SEEKING:
            self._try_old = self.state is not State.RETURNING and not self._old_gone
        self._out.append(act.ReturnToOld() if self._try_old else _SELECT)
        self._try_old = not self._try_old
        self._tries += 1
        self._limit_ns = self.options.seek_ms * _NS_PER_MS

    def do_lose(self, turn: Turn) -> None:
        self._out.append(act.SeekAny())
        confirmed = self._bound or not self._binding_moved
        self._finish(Outcome.LOST, self._left_with, confirmed=confirmed)

    def do_restore(self, turn: Turn) -> None:
        self._come_home()
        self._rounds = 0
        self.do_restore_again(turn)

    def do_restore_again(self, turn: Turn) -> None:
        self._rounds += 1
        self._asked_for_new = self._bound = False
        self._limit_ns = self._limits_ns[State.RESTORING]
        self._out.append(act.Rebind(at_once=not self._tunnelled))

    def do_clear(self, turn: Turn) -> None:
        self._come_home()
        self._delete_tunnel()
        self._release_address("declined" if self._duplicate else "released")

    def do_stay(self, turn: Turn) -> None:
        self._come_home()
        if self._binding_staged:
            self._out.append(act.RetireBinding(old=False))
        keep = self.options.keep_keys and self.state is not State.AUTHENTICATING
        if self._keys_asked and not keep:
            self._out.append(act.ForgetKeys())
        level = max(self._left_with, self._reached)
        self._finish(Outcome.STAYED, level, confirmed=not self._binding_moved)
        keys = self._keys and keep
        self._forget_all()
        self._keys = self._keys_asked = keys

    # --- parts

    def _bind(self, *, through_tunnel: bool) -> None:
        if not self._binding_staged:
            self._binding_staged = True
            self._out.append(act.StageBinding())
        self._asked_for_new = self._binding_moved = True
        self._bound = False
        self._out.append(act.Bind(through_tunnel))

    def _delete_tunnel(self) -> None:
        self._tunnelled = False
        if self._tunnel_asked:
            self._tunnel_asked = False
            self._awaited.add(Event.TUNNEL_DELETED)
            self._out.append(act.DeleteTunnel())

    def _release_address(
        self, how: Literal["released", "declined", "taken over"] = "declined"
    ) -> None:
        self._configured = False
        if self._address_asked:
            self._address_asked = self._duplicate = False
            self._awaited.add(Event.ADDRESS_RELEASED)
            self._out.append(act.ReleaseAddress(how))

    def _release_uplink(self) -> None:
        if self._turned:
            self._turned = False
            self._out.append(_RELEASE_UPLINK)

    def _put_on_link(self) -> None:
        self._on_new = True
        self._release_uplink()
        self._tunnelled = False
        self._awaited.add(Event.SETTLED)
        self._out.append(_SETTLE)

    def _finish_there(self) -> None:
        self._delete_tunnel()
        self._awaited.add(Event.SERVING)
        self._out.append(act.NotifyServing())

    def _come_home(self) -> None:
        """On A, whatever happened on the way to B and there."""
        self._hasty = False
        if self._on_new:
            self._on_new = self._acquired = False
            self._out.append(act.LeaveNew())
        if self._turned and self._tunnelled:
            self._out.append(act.TurnBack())
        if self._holding and (self._tunnelled or self._held & Hold.OLD):
            self._out.append(act.Resume(self._held))
        self._turned = self._marked = self._holding = False
        self._held = Hold.OFF
        self._awaited &= _GIVING_BACK

    def _finish(self, outcome: Outcome, level: Level, *, confirmed: bool) -> None:
        unanswered = tuple(sorted(event.value for event in self._awaited))
        self._out.append(act.Finished(outcome, level, self._why, confirmed, unanswered))


_MOVES: Final = TABLE.bound(Handover)


def _phase(state: State) -> str:
    return State.BINDING.value if state is State.BINDING_THERE else state.value


def _outcome(event: Event) -> Literal["done", "failed", "skipped"]:
    if event in WISHES:
        return "skipped"
    return "failed" if event in FAILURES else "done"
