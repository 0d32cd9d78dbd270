"""The mobile node's pilot: what happens goes to the policy, what it decides to the handovers.

    radio, keys, home agent ──▶ Pilot ──Input──▶ policy.engine ──Decision──▶ policy.conductor
             ▲                    ▲                                               │
             └──────── Hands ◀────┴─────────────── actions, inputs ◀──────────────┘

No I/O in here: `Hands` are the node's (`agents.pilot_node`), or a test's. Every input and every
decision is written down in their order, with all that the policy looked at, so that a run's events
are a trace that can be decided again. While the radio is between two networks nothing is written
and nobody is asked: inputs of that time wait for its end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from mpa_hil.agents.doubt import Doubt
from mpa_hil.agents.pilot_interface import Brief, Hands
from mpa_hil.agents.pilot_tally import Tally
from mpa_hil.agents.wishes import Told
from mpa_hil.handover import interface as do
from mpa_hil.handover.interface import Action, Event, Level, PhaseMark
from mpa_hil.handover.states import ON_NEW, ON_OLD, State
from mpa_hil.policy import interface as say
from mpa_hil.policy import lines
from mpa_hil.policy.conductor import Carry, Conductor, Output
from mpa_hil.policy.engine import Engine
from mpa_hil.policy.interface import Decision, Input, Part

_MS = 1_000_000
_LOOK_PATIENCE_NS = 500 * _MS
_LOOK_AGAIN_NS = 5 * _MS
_BOUND_NS = 2000 * _MS
"""After a binding update a switch is near, or it was made early; later the policy has to know what
else there is."""
_PARTS: dict[str, Part] = {
    State.CONFIGURING.value: "configuration",
    State.TUNNELLING.value: "tunnel",
    State.BINDING.value: "binding",
}


class Pilot:
    """Decides and has carried out."""

    def __init__(self, brief: Brief, policy: say.Policy, hands: Hands) -> None:
        self._brief = brief
        self._hands = hands
        self._engine = Engine(policy)
        self._conductor = Conductor(brief.here, brief.options)
        self._places = {place.candidate.ap: place for place in brief.places}
        self._work: deque[Output] = deque()
        self._working = False
        self._lines: list[tuple[str, int, Mapping[str, object]]] = []
        self._kept: list[Input] = []
        """What was heard while the radio was between two networks."""
        self._keys: set[str] = set()
        """Realms whose keys are in place."""
        self._asked: set[str] = set()
        """Realms whose keys are being prepared."""
        self._known = {brief.here}
        """Access points that the supplicant holds a key for: no EAP run is needed there."""
        self._deferred: tuple[Decision, int] | None = None
        """A switch that waits for the end of a scan, and until when at most."""
        self._decided_ns = self._through_ns = 0
        self._eap = False
        self._stranded = False
        self._deciding = True
        self._ended = False
        self._phases: dict[tuple[str, str], int] = {}
        self._doubt = Doubt(brief.doubt_ns)
        self._doubting = False
        self.tally = Tally(brief.here)

    @property
    def here(self) -> str:
        """Access point that the node is on, or was on last."""
        return self._conductor.here

    @property
    def linked(self) -> bool:
        """Whether it is on it."""
        return self._conductor.linked and not self._conductor.owner

    @property
    def switching(self) -> bool:
        """The radio is being moved, or a handover is not over yet."""
        return bool(self._conductor.owner)

    @property
    def deciding(self) -> bool:
        """The policy is asked."""
        return self._deciding and not self._conductor.owner

    @property
    def machines(self) -> Mapping[str, object]:
        """The handovers that there are, by target."""
        return self._conductor.machines

    def begin(self) -> None:
        """Decide from now on."""
        brief, now_ns = self._brief, self._hands.now_ns()
        settings = dict(brief.settings)
        self._lines.append(
            ("policy.opened", now_ns, {"policy": brief.policy, "settings": settings})
        )
        for place in brief.places:
            self._work.append(say.CandidateSeen(now_ns, place.candidate))
        self._work.append(say.Flow(now_ns, True, brief.spacing_ms))
        self._work.append(say.Attached(now_ns, brief.here))
        self._run()

    def let_go(self) -> None:
        """Decide no more, and give back what is prepared; `machines` is empty when that is done."""
        self._deciding = False
        self._doubt.end()
        self._tell_doubt()
        for target in tuple(self._conductor.machines):
            decision = say.LetGo(target, rule="landed")
            self._work.extend(self._conductor.obey(decision, self._hands.now_ns()))
        self._run()

    def end(self) -> None:
        """Decide no more. What is prepared or under way is others' to give back."""
        self._ended = True
        self._doubt.end()
        self._tell_doubt()
        self._hands.wake(None)
        self.tally.end()
        self.flush()

    # --- what happens

    def tell(self, event: Input) -> None:
        """Something for the policy."""
        if self._conductor.owner:
            if not isinstance(event, say.Sample | say.BeaconLoss):  # old when the switch is over
                self._kept.append(event)
            return
        self._work.append(event)
        self._run()

    def feed(self, target: str, event: Event, cause: str = "") -> None:
        """An answer to an action that was carried out."""
        self._work.extend(self._conductor.feed(target, event, self._hands.now_ns(), cause))
        self._run()

    def radio(self, event: Event) -> None:
        """Something happened to the radio while it is being moved."""
        if event is Event.EAP_STARTED:
            self._eap = True
        self.feed(self._conductor.owner, event)

    def through(self) -> None:
        """Packets pass on the new link."""
        self._through_ns = self._hands.now_ns()

    def port_open(self, ap: str) -> None:
        """The radio is on an access point."""
        self._work.extend(self._conductor.port_open(ap, self._hands.now_ns()))
        self._run()

    def disconnected(self, ap: str) -> None:
        """The radio has lost an access point."""
        conductor, now_ns = self._conductor, self._hands.now_ns()
        owner = conductor.owner
        if owner and ap == conductor.here and conductor.machines[owner].state not in ON_OLD:
            return  # it was left: whether it is still there, a way back will show
        if ap == conductor.here:
            self._stranded = not owner
            self._work.extend(conductor.link_lost(ap, now_ns))
        elif ap == owner and conductor.machines[owner].state in ON_NEW:
            self._work.extend(conductor.feed(owner, Event.LINK_LOST, now_ns))
        self._run()

    def told(self, said: Told) -> None:
        """What became of a wish for keys."""
        realm, now_ns = said.realm, self._hands.now_ns()
        if said.what == "authenticated":
            self._measured("round_trip", said.round_trip_ns, realm)
            self.tally.authenticated(realm, said.octets)
            return
        self._asked.discard(realm)
        event = Event.AUTHENTICATED
        if said.what == "prepared":
            self._keys.add(realm)
            self._known |= {ap for ap, place in self._places.items() if place.realm == realm}
            self._measured("keys", said.duration_ns, realm)
            self._measured("authentication", said.total_ns, realm)
            self.tally.keys(realm)
        else:
            standing = realm in self._keys
            self._keys.discard(realm)
            self._known -= {ap for ap, place in self._places.items() if place.realm == realm}
            event = Event.KEYS_WITHDRAWN if standing else Event.AUTHENTICATION_FAILED
        for target in tuple(self._conductor.machines):
            if self._places[target].realm == realm:
                self._work.extend(self._conductor.feed(target, event, now_ns, said.reason))
        self._run()

    def marks(self, target: str, marks: Sequence[PhaseMark]) -> None:
        """Phases of a handover: lead times."""
        for mark in marks:
            part = _PARTS.get(mark.phase)
            if part is None:
                continue
            began_ns = self._phases.pop((target, mark.phase), None)
            if not mark.outcome:
                self._phases[target, mark.phase] = mark.t_ns
            elif mark.outcome == "done" and began_ns is not None:
                self._measured(part, mark.t_ns - began_ns, self._places[target].realm)

    def expire(self) -> None:
        """Do what is due."""
        now_ns = self._hands.now_ns()
        self._doubt.expire(now_ns)
        if not self._conductor.owner:
            self._tell_doubt()
        self._go_on(now_ns)
        self._work.extend(self._conductor.expire(now_ns))
        due_ns = self._engine.next_deadline()
        if due_ns is not None and due_ns <= now_ns and self.deciding:
            self._work.append(say.Tick(now_ns))
        self._run()

    def flush(self) -> None:
        """Write down what was noted."""
        noted, self._lines = self._lines, []
        for kind, t_ns, fields in noted:
            self._hands.emit(kind, t_ns, fields)

    # --- the work

    def _run(self) -> None:
        """Do all that follows, in order; called again from within, it only adds to it."""
        if self._working or self._ended:
            return
        self._working = True
        try:
            while self._work:
                self._do(self._work.popleft())
                if not self._work:
                    self._settle()
        finally:
            self._working = False
        if not self._conductor.owner:
            self.flush()
        self._arm()

    def _do(self, output: Output) -> None:
        match output:
            case Carry(target, action):
                self._carry(target, action)
            case say.KeepContext():
                self._keep(output)
            case say.Probe(target=target, frequency_mhz=mhz):
                self._hands.look(mhz, target, test=output.how == "reachability")
            case _:
                self._hear(cast(Input, output))

    def _settle(self) -> None:
        """Nothing more to do: what has waited for that?"""
        conductor = self._conductor
        if conductor.owner:
            return
        self._tell_doubt()
        if self._kept:
            self._work.extend(self._kept)
            self._kept.clear()
        elif self._stranded and not conductor.linked and self._deferred is None:
            self._stranded = False
            self._work.extend(conductor.stranded(self._hands.now_ns()))

    def _carry(self, target: str, action: Action) -> None:
        if isinstance(action, do.Authenticate):
            self._authenticate(target)
            return
        if isinstance(action, do.Rebind):
            self._doubt.end()
            self._tell_doubt()
        if isinstance(action, do.ForgetKeys):
            self._keys.discard(self._places[target].realm)
        self.tally.note(target, action)
        self._hands.carry(target, action)

    def _authenticate(self, target: str) -> None:
        realm, now_ns = self._places[target].realm, self._hands.now_ns()
        if realm in self._keys:
            self._work.extend(self._conductor.feed(target, Event.AUTHENTICATED, now_ns))
        elif realm not in self._asked:
            failure = self._hands.want_keys(realm)
            if failure:
                event = Event.AUTHENTICATION_FAILED
                self._work.extend(self._conductor.feed(target, event, now_ns, failure))
            else:
                self._asked.add(realm)

    # --- the policy

    def _hear(self, event: Input) -> None:
        """Take an input to the policy, and obey it."""
        if isinstance(event, say.Attached):
            event = self._arrived(event)
        elif isinstance(event, say.SwitchFailed):
            self.tally.failed()
            if not self._conductor.linked:
                self._hands.alone()
        elif isinstance(event, say.LinkLost):
            self._hands.alone()
        if not self._deciding:
            return
        now_ns = self._hands.now_ns()
        decisions = self._engine.feed(event)
        self._lines.append(("policy.input", now_ns, {"input": lines.tell(event)}))
        for decision in decisions:
            self._lines.append(("policy.decided", now_ns, lines.tell_decision(decision)))
            self.tally.decided(decision)
            self._doubt.decided(decision, now_ns)
            self._tell_doubt()
            if isinstance(decision, say.Switch | say.Return):
                self._want(decision, now_ns)
            else:
                if isinstance(decision, say.Bind):
                    self._hands.hold_off(now_ns + _BOUND_NS)
                self._work.extend(self._conductor.obey(decision, now_ns))

    def _tell_doubt(self) -> None:
        if self._doubting != self._doubt.on:
            self._doubting = self._doubt.on
            self._hands.doubt(self._doubting)

    def _arrived(self, event: say.Attached) -> say.Attached:
        """The node is on an access point; with how it came there."""
        left, here = self.tally.here, event.ap
        moved = self.tally.arrived(here, event.t_ns, eap=self._eap)
        if moved:
            self._doubt.moved(left, event.t_ns)
        if moved:
            event = replace(event, full_authentication=self._eap)
        if moved and self._decided_ns:
            took_ns = (self._through_ns or event.t_ns) - self._decided_ns
            self._work.append(say.Measured(event.t_ns, "switch", took_ns))
        if moved and event.ap in self._places:
            self.tally.use(self._places[event.ap].realm)
        self._known.add(event.ap)
        self._decided_ns = 0
        self._eap = False
        self._hands.serve(event.ap)
        return event

    def _want(self, decision: say.Switch | say.Return, now_ns: int) -> None:
        """Go, unless a scan is under way that would be in the way."""
        if self._hands.looking and self._conductor.linked:
            self._deferred = decision, now_ns + _LOOK_PATIENCE_NS
        else:
            self._go(decision, now_ns)

    def _go_on(self, now_ns: int) -> None:
        if self._deferred is None:
            return
        decision, until_ns = self._deferred
        over = not self._hands.looking or now_ns >= until_ns or not self._conductor.linked
        if over and isinstance(decision, say.Switch | say.Return):
            self._deferred = None
            self._go(decision, now_ns)

    def _go(self, decision: say.Switch | say.Return, now_ns: int) -> None:
        self._hands.rest()
        self._decided_ns, self._through_ns, self._eap = now_ns, 0, False
        self._work.extend(self._conductor.obey(decision, now_ns))

    def _keep(self, decision: say.KeepContext) -> None:
        """Its keys stay by themselves, until their time is over."""
        target, now_ns = decision.target, self._hands.now_ns()
        level = Level.AUTHENTICATED if target in self._known else Level.REACTIVE
        until_ns = now_ns + decision.for_ns
        self._work.append(
            say.Holding(now_ns, target, int(level), until_ns=until_ns, context=bool(level))
        )

    def _measured(self, part: Part, took_ns: int, realm: str) -> None:
        now_ns = self._hands.now_ns()
        if took_ns > 0:
            self.tell(say.Measured(now_ns, part, took_ns, realm))

    # --- time

    def _arm(self) -> None:
        due = [self._conductor.next_deadline()]
        if self.deciding:
            due.append(self._engine.next_deadline())
            due.append(self._doubt.next_deadline())
        if self._deferred is not None:
            due.append(self._hands.now_ns() + _LOOK_AGAIN_NS)
        self._hands.wake(min((each for each in due if each is not None), default=None))
