"""Whatever a policy decides in whatever order, the node ends on one network, whole.

The decisions are hypothesis's, for three targets and one that does not exist; the machines are the
real ones; what answers them says yes, no or nothing, early, late and twice.
"""

from __future__ import annotations

from handover_answers import BAD, GOOD, REPLACES
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mpa_hil.handover import interface as act
from mpa_hil.handover.interface import Action, Event
from mpa_hil.handover.options import Hold, Level, Options
from mpa_hil.handover.states import UNTIMED, State
from mpa_hil.policy import interface as say
from mpa_hil.policy.conductor import Carry, Conductor, Outputs
from mpa_hil.policy.interface import Decision

E = Event
S = 1_000_000_000
APS = ("a1", "b1", "c1", "d1")
TARGETS = st.sampled_from((*APS, "nowhere"))
RADIO = (act.SelectNetwork, act.ReturnToOld, act.SeekAny)
BINDING = (act.Bind, act.Rebind)
OPTIONS = st.builds(
    Options,
    hold=st.sampled_from((Hold.OFF, Hold.NEXT)),
    bicast=st.booleans(),
    keep_keys=st.booleans(),
)
DECISIONS: st.SearchStrategy[Decision] = st.one_of(
    st.builds(say.Prepare, TARGETS, st.sampled_from(tuple(Level)[1:]), rule=st.just("r")),
    st.builds(say.Bind, TARGETS, st.booleans(), rule=st.just("r")),
    st.builds(say.Switch, TARGETS, rule=st.just("r")),
    st.builds(say.Return, TARGETS, rule=st.just("r")),
    st.builds(say.LetGo, TARGETS, st.booleans(), rule=st.just("r")),
)


class AnyPolicy(RuleBasedStateMachine):
    """The conductor, and what is really so."""

    @initialize(options=OPTIONS)
    def begin(self, options: Options) -> None:
        self.conductor = Conductor("a1", options)
        self.now_ns = 1000 * S
        self.owner = ""
        self.asked: list[tuple[str, Action]] = []
        self.radio = "a1"
        self.there = dict.fromkeys(APS, True)
        self.home = "a1"
        self.confirmed = True
        self.told: list[say.Input] = []

    # --- the conductor's surroundings

    def carry_out(self, outputs: Outputs) -> None:
        owners = {self.owner, self.conductor.owner}
        self.owner = self.conductor.owner
        for output in outputs:
            if not isinstance(output, Carry):
                self.told.append(output)  # type: ignore[arg-type]
                continue
            target, action = output.target, output.action
            kind = type(action)
            if kind in (act.ReturnToOld, act.TurnUplink, act.TurnBack, act.Leave):
                assert target in {"", *owners} or self.conductor.here == target
            if kind is act.Bind and "" not in owners:
                assert target in owners, "the binding goes with the radio"
            gone = REPLACES.get(kind, ())
            self.asked = [
                (whose, each)
                for whose, each in self.asked
                if not (whose == target and isinstance(each, gone))
                and not (kind in RADIO and isinstance(each, RADIO))
                and not (kind in BINDING and isinstance(each, BINDING))
            ]
            if kind in GOOD:
                self.asked.append((target, action))
            if kind in RADIO:
                self.radio = ""
            if isinstance(action, act.Finished):
                self.confirmed = self.confirmed and action.confirmed
                if action.outcome is act.Outcome.STAYED:
                    self.asked = [each for each in self.asked if each[0] != target]

    def possible(self, target: str, action: Action) -> bool:
        match action:
            case act.SelectNetwork():
                return self.there.get(target, False)
            case act.ReturnToOld():
                return self.there[self.conductor.here]
            case act.PrepareSwitch() | act.Settle():
                return True
            case act.Arrive() | act.Acquire() | act.Bind(through_tunnel=False):
                return self.radio == target
        return bool(self.radio) and target in APS

    def yes_to(self, target: str, action: Action) -> None:
        match action:
            case act.SelectNetwork():
                self.radio = target
                self.carry_out(self.conductor.port_open(target, self.now_ns))
                return
            case act.ReturnToOld():
                self.radio = self.conductor.here
                self.carry_out(self.conductor.port_open(self.radio, self.now_ns))
                return
            case act.Bind():
                self.home, self.confirmed = target, True
            case act.Rebind():
                self.home, self.confirmed = self.conductor.here, True
        self.feed(target, GOOD[type(action)])

    def feed(self, target: str, event: Event) -> None:
        self.carry_out(self.conductor.feed(target, event, self.now_ns, "test"))

    # --- what happens

    @rule(decision=DECISIONS)
    def decide(self, decision: Decision) -> None:
        self.carry_out(self.conductor.obey(decision, self.now_ns))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def yes(self, data: st.DataObject) -> None:
        asked = data.draw(st.sampled_from(self.asked))
        if self.possible(*asked):
            self.asked.remove(asked)
            self.yes_to(*asked)

    @precondition(lambda self: self.asked)
    @rule()
    def all_say_yes(self) -> None:
        for _ in range(8):
            asked = next((each for each in self.asked if self.possible(*each)), None)
            if asked is None:
                break
            self.asked.remove(asked)
            self.yes_to(*asked)

    @precondition(lambda self: any(type(each) in BAD for _, each in self.asked))
    @rule(data=st.data())
    def no(self, data: st.DataObject) -> None:
        asked = data.draw(st.sampled_from([each for each in self.asked if type(each[1]) in BAD]))
        event = data.draw(st.sampled_from(BAD[type(asked[1])]))
        if event is not E.EAP_STARTED:
            self.asked.remove(asked)
        self.feed(asked[0], event)

    @rule()
    def nothing_until_the_time_is_up(self) -> None:
        due_ns = self.conductor.next_deadline()
        if due_ns is not None:
            self.now_ns = max(self.now_ns, due_ns)
            self.carry_out(self.conductor.expire(self.now_ns))

    @rule(
        which=TARGETS,
        event=st.sampled_from(
            (E.KEYS_WITHDRAWN, E.LEASE_EXPIRED, E.ADDRESS_TAKEN, E.TUNNEL_LOST, E.STAGE_WANTED)
        ),
    )
    def unasked(self, which: str, event: Event) -> None:
        self.feed(which, event)

    @rule(which=st.sampled_from(APS))
    def network_dies(self, which: str) -> None:
        self.there[which] = False
        if self.radio == which:
            self.radio = ""
            self.carry_out(self.conductor.link_lost(which, self.now_ns))

    @rule()
    def networks_come_back(self) -> None:
        self.there = dict.fromkeys(APS, True)

    @rule()
    def the_policy_is_silent(self) -> None:
        self.carry_out(self.conductor.stranded(self.now_ns))

    @rule(which=st.sampled_from(APS))
    def the_supplicant_roams_by_itself(self, which: str) -> None:
        free = not self.conductor.owner or not self.radio
        if self.there[which] and self.radio != which and free:
            self.radio = which
            self.asked = [each for each in self.asked if not isinstance(each[1], RADIO)]
            self.carry_out(self.conductor.port_open(which, self.now_ns))

    # --- what is always so

    @invariant()
    def whatever_waits_waits_for_a_bounded_time(self) -> None:
        for machine in self.conductor.machines.values():
            timed = machine.next_deadline() is not None
            assert timed == (machine.state not in UNTIMED)

    @invariant()
    def the_radio_has_one_owner(self) -> None:
        owner = self.conductor.owner
        assert not owner or owner in self.conductor.machines
        moving = {
            target
            for target, machine in self.conductor.machines.items()
            if machine.state in (State.SWITCHING, State.RETURNING, State.SEEKING)
        }
        assert moving <= {owner} | self.conductor._parked

    @invariant()
    def one_at_a_time_is_bound_ahead(self) -> None:
        bound = [
            target
            for target, machine in self.conductor.machines.items()
            if machine.state in (State.BINDING, State.BOUND)
        ]
        assert len(bound) <= 1

    @invariant()
    def nothing_is_prepared_where_the_node_is(self) -> None:
        assert self.conductor.here not in self.conductor.machines

    def teardown(self) -> None:
        """From anywhere: with everybody willing again, the node is on one network, and nothing is
        held for another."""
        if not hasattr(self, "conductor"):
            return
        self.there = dict.fromkeys(APS, True)
        conductor = self.conductor
        for _ in range(300):
            possible = [each for each in self.asked if self.possible(*each)]
            if possible:
                self.asked.remove(possible[0])
                self.yes_to(*possible[0])
            elif conductor.next_deadline() is not None:
                self.nothing_until_the_time_is_up()
            elif not conductor.linked or not self.radio:
                self.radio = conductor.here
                self.carry_out(conductor.port_open(self.radio, self.now_ns))
            else:
                break
            self.asked = [each for each in self.asked if each[0] in conductor.machines]
            self.whatever_waits_waits_for_a_bounded_time()
        assert not conductor.machines, {k: m.state for k, m in conductor.machines.items()}
        assert not conductor.owner
        assert conductor.linked
        assert self.radio == conductor.here
        if self.confirmed:
            assert self.home == conductor.here


AnyPolicy.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, derandomize=True, deadline=None
)
TestAnyPolicy = AnyPolicy.TestCase
