"""Whatever happens in whatever order, the handover ends on one of the two networks, whole.

The node's surroundings are stand-ins that say yes, no or nothing, early, late and twice, at a
moment that hypothesis picks; radio, home agent, leases, sessions and tunnel are kept as facts,
against which the machine is held.
"""

from __future__ import annotations

from dataclasses import replace

from handover_answers import BAD, GOOD, REPLACES
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mpa_hil.handover import interface as act
from mpa_hil.handover.interface import Action, Event, Outcome
from mpa_hil.handover.machine import Handover
from mpa_hil.handover.options import Hold, Level, Options
from mpa_hil.handover.states import ON_NEW, ON_OLD, UNTIMED, State

E = Event
S = 1_000_000_000
OPTIONS = st.builds(
    Options,
    level=st.sampled_from(Level),
    minimum=st.sampled_from(Level),
    hold=st.sampled_from((Hold.OFF, Hold.NEXT, Hold.OLD, Hold.NEXT | Hold.OLD)),
    bicast=st.booleans(),
    bind_ahead=st.booleans(),
    keep_keys=st.booleans(),
)


class AnyOrder(RuleBasedStateMachine):
    """The machine, and what is really so."""

    @initialize(options=OPTIONS)
    def begin(self, options: Options) -> None:
        self.options = replace(options, minimum=min(options.minimum, options.level))
        self.machine = Handover(self.options)
        self.now_ns = 1000 * S
        self.asked: list[Action] = []
        self.radio = "A"
        self.there = {"A": True, "B": True}
        self.bound_to = "old"
        self.lease = self.session = self.tunnel = self.keys = False
        self.finished: list[act.Finished] = []
        self.staged = False
        self.rebinds = 0
        self.was_tunnelled = False

    # --- the machine's surroundings

    def feed(self, event: Event) -> None:
        self.carry_out(self.machine.feed(event, self.now_ns, "test"))

    def carry_out(self, actions: act.Actions) -> None:
        for action in actions:
            kind = type(action)
            gone = REPLACES.get(kind, ())
            self.asked = [each for each in self.asked if not isinstance(each, gone)]
            if kind in GOOD:
                self.asked.append(action)
            match action:
                case act.Configure():
                    self.lease = True  # it may have been taken without the answer coming
                case act.CreateTunnel():
                    assert self.lease
                    self.session = True
                case act.DeleteTunnel():
                    self.tunnel = False
                case act.Rebind():
                    self.rebinds += 1
                case act.Bind(through_tunnel=through):
                    assert self.staged
                    assert self.tunnel or not through
                case act.StageBinding():
                    self.staged = True
                case act.RetireBinding(old=False):
                    assert self.bound_to == "old" or not self.confirmed(actions)
                    self.staged = False
                case act.TurnUplink() | act.TurnBack():
                    assert self.tunnel
                case act.SelectNetwork() | act.ReturnToOld():
                    self.radio = ""
                case act.Finished(unanswered=unanswered):
                    self.finished.append(action)
                    if unanswered:  # the peers' own time limits do it
                        self.lease = self.session = self.was_tunnelled = False
                        self.asked.clear()

    @staticmethod
    def confirmed(actions: act.Actions) -> bool:
        return all(action.confirmed for action in actions if isinstance(action, act.Finished))

    def well(self, action: Action) -> Event:
        """What a yes does out there."""
        match action:
            case act.Authenticate():
                self.keys = True
            case act.Bind():
                self.bound_to = "new"
            case act.Rebind():
                self.bound_to = "old"
                self.rebinds = 0
            case act.CreateTunnel():
                self.tunnel = self.was_tunnelled = True
            case act.DeleteTunnel():
                self.session = self.was_tunnelled = False
            case act.ReleaseAddress():
                self.lease = False
            case act.SelectNetwork():
                self.radio = "B"
            case act.ReturnToOld():
                self.radio = "A"
        return GOOD[type(action)]

    def possible(self, action: Action) -> bool:
        """Whether a yes can come: the radio must have somebody to speak to."""
        match action:
            case act.SelectNetwork():
                return self.there["B"]
            case act.ReturnToOld():
                return self.there["A"]
            case act.PrepareSwitch() | act.Settle():
                return True
            case act.Arrive() | act.Acquire() | act.Bind(through_tunnel=False):
                return self.radio == "B"
        return bool(self.radio)

    # --- what happens

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def yes(self, data: st.DataObject) -> None:
        action = data.draw(st.sampled_from(self.asked))
        if self.possible(action):
            self.asked.remove(action)
            self.feed(self.well(action))

    @precondition(lambda self: any(type(each) in BAD for each in self.asked))
    @rule(data=st.data())
    def no(self, data: st.DataObject) -> None:
        action = data.draw(st.sampled_from([each for each in self.asked if type(each) in BAD]))
        event = data.draw(st.sampled_from(BAD[type(action)]))
        if event is not E.EAP_STARTED:
            self.asked.remove(action)
        if isinstance(action, act.CreateTunnel):
            self.session = False
        self.feed(event)

    @precondition(lambda self: any(isinstance(e, act.Bind | act.Rebind) for e in self.asked))
    @rule()
    def acted_upon_and_the_answer_lost(self) -> None:
        for action in self.asked:
            if isinstance(action, act.Bind | act.Rebind) and self.possible(action):
                self.bound_to = "new" if isinstance(action, act.Bind) else "old"

    @rule()
    def nothing_until_the_time_is_up(self) -> None:
        due_ns = self.machine.next_deadline()
        if due_ns is not None:
            assert due_ns >= self.now_ns
            self.now_ns = due_ns
            self.carry_out(self.machine.expire(self.now_ns))

    @rule(
        event=st.sampled_from(
            (E.PREPARE, E.BIND_WANTED, E.SWITCH_WANTED, E.SWITCH_WANTED, E.CANCEL, E.STAGE_WANTED)
        )
    )
    def wish(self, event: Event) -> None:
        self.feed(event)

    @rule(level=st.sampled_from(Level))
    def more_is_wanted(self, level: Level) -> None:
        level = max(level, self.machine.options.level)
        self.machine.options = replace(self.machine.options, level=level)
        self.feed(E.MORE_WANTED)

    @precondition(lambda self: self.lease)
    @rule(event=st.sampled_from((E.LEASE_EXPIRED, E.ADDRESS_TAKEN)))
    def address_gone(self, event: Event) -> None:
        if event is E.LEASE_EXPIRED:
            self.lease = False
        self.feed(event)

    @precondition(lambda self: self.session)
    @rule()
    def tunnel_lost(self) -> None:
        self.session = False
        self.feed(E.TUNNEL_LOST)

    @precondition(lambda self: self.keys)
    @rule()
    def keys_withdrawn(self) -> None:
        self.keys = False
        self.feed(E.KEYS_WITHDRAWN)

    @rule(which=st.sampled_from("AB"))
    def network_dies(self, which: str) -> None:
        self.there[which] = False
        if self.radio == which:
            self.radio = ""
            self.feed(E.LINK_LOST)

    @rule()
    def networks_come_back(self) -> None:
        self.there = {"A": True, "B": True}

    @precondition(lambda self: self.machine.state in ON_OLD)
    @rule()
    def the_supplicant_roams_by_itself(self) -> None:
        if self.there["B"] and self.radio == "A":
            self.radio = "B"
            self.feed(E.PORT_OPEN)

    @rule(event=st.sampled_from((E.TUNNEL_DELETED, E.ADDRESS_RELEASED, E.HELD, E.HOLD_FAILED)))
    def an_answer_that_nobody_waits_for(self, event: Event) -> None:
        waiting = {GOOD[type(each)] for each in self.asked}
        if event not in waiting and not (event is E.HOLD_FAILED and E.HELD in waiting):
            before = self.machine.state
            self.feed(event)
            assert self.machine.state is before

    # --- what is always so

    @invariant()
    def whatever_waits_waits_for_a_bounded_time(self) -> None:
        timed = self.machine.next_deadline() is not None
        assert timed == (self.machine.state not in UNTIMED)
        if timed:
            assert self.machine.next_deadline() - self.now_ns <= 300 * S  # type: ignore[operator]

    @invariant()
    def an_end_is_what_it_says(self) -> None:
        state = self.machine.state
        if state is State.AT_NEW:
            assert self.finished[-1].outcome is Outcome.MOVED
            assert self.bound_to == "new"
        if state is State.AT_OLD and self.finished and self.finished[-1].confirmed:
            assert self.bound_to == "old"
        ended = state in (State.AT_OLD, State.AT_NEW) and self.finished
        if ended and not self.finished[-1].unanswered:
            assert not self.session
            assert not self.tunnel
            assert state is State.AT_NEW or not self.lease
            assert state is State.AT_NEW or not self.staged

    @invariant()
    def packets_have_a_way_while_the_agents_live(self) -> None:
        """Bound for the nCoA and on A, the node keeps its end of a tunnel that stands at the router
        until the old binding is back, or was asked for as often as is worth it."""
        if self.radio == "A" and self.bound_to == "new" and self.session and self.was_tunnelled:
            tried = self.rebinds >= self.options.restore_rounds
            assert self.tunnel or tried or self.machine.state is State.RESTORING

    def teardown(self) -> None:
        """From anywhere: with everybody willing again, an end is reached, and a whole one."""
        if not hasattr(self, "machine"):
            return
        self.there = {"A": True, "B": True}
        for _ in range(60):
            if self.machine.state in UNTIMED and not self.asked:
                if self.machine.state is not State.LOST:
                    break
                self.radio = "A"
                self.feed(E.OLD_PORT_OPEN)
            elif self.asked:
                action = self.asked.pop(0)
                if self.possible(action):
                    self.feed(self.well(action))
            else:
                self.nothing_until_the_time_is_up()
            self.whatever_waits_waits_for_a_bounded_time()
            self.an_end_is_what_it_says()
        assert self.machine.state in (State.AT_OLD, State.AT_NEW)
        if self.radio:
            assert self.radio == ("A" if self.machine.state is State.AT_OLD else "B")
        assert self.machine.state not in ON_NEW


AnyOrder.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, derandomize=True, deadline=None
)
TestAnyOrder = AnyOrder.TestCase
