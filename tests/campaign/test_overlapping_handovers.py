"""Row F12: handovers that overlap, and one that is called off at every point at which it waits.

The node's pilot, conductor and handover machines under a scheduler: everything that is asked of
somebody is answered when the scheduler says so, in any order that the asked could produce. What
comes in between is served after it, or not at all; the node ends on one network, and nobody keeps
anything for it anywhere else.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from campaign import dice, runs
from handover_answers import REPLACES
from pilot_world import World, prepare

from mpa_hil.agents.wishes import Told
from mpa_hil.handover import interface as do
from mpa_hil.handover.interface import Action
from mpa_hil.policy import interface as say
from mpa_hil.policy.interface import Bind, LetGo, Switch

RADIO = (do.SelectNetwork, do.ReturnToOld, do.SeekAny)
BINDING = (do.Bind, do.Rebind)
MS = 1_000_000


class Scheduled(World):
    """Answers wait until they are let through; what was asked anew is not answered twice."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Action, Callable[[], None]]] = []
        self.tunnels: set[str] = set()
        self.addresses: set[str] = set()
        super().__init__()

    def carry(self, target: str, action: Action) -> None:
        gone = REPLACES.get(type(action), ())
        self.asked = [
            each
            for each in self.asked
            if not (each[0] == target and isinstance(each[1], gone))
            and not (isinstance(action, RADIO) and isinstance(each[1], RADIO))
            and not (isinstance(action, BINDING) and isinstance(each[1], BINDING))
        ]
        match action:
            case do.CreateTunnel():
                self.tunnels.add(target)
            case do.DeleteTunnel():
                self.tunnels.discard(target)
            case do.Configure():
                self.addresses.add(target)
            case do.DropOld():  # where it lived
                self.addresses.discard(self.pilot.here)
            case do.ReleaseAddress():
                self.addresses.discard(target)
        super().carry(target, action)
        self.asked += [(target, action, answer) for answer in self.late]
        self.late.clear()
        moving = {each[0] for each in self.asked if isinstance(each[1], RADIO)}
        assert len(moving) <= 1, "one radio, one wish"

    def want_keys(self, realm: str) -> str:
        failure = super().want_keys(realm)
        self.asked += [(realm, do.Authenticate(), answer) for answer in self.late]
        self.late.clear()
        return failure

    def answer(self, which: int = 0) -> None:
        """Let one answer through."""
        self.t_ns += 20 * MS
        self.asked.pop(which)[2]()

    def decides(self, decision: say.Decision) -> None:
        """At this moment; while the radio is being moved nobody is asked."""
        self.script.next.append(decision)
        self.pilot.tell(say.Sample(self.t_ns, self.pilot.here, -60.0))
        self.script.next.clear()

    def gives_up(self, ap: str) -> None:
        """An access point is switched off."""
        self.there[ap] = False
        if self.on == ap:
            self.on = ""
            self.pilot.disconnected(ap)

    def roams(self, ap: str) -> None:
        """The supplicant takes one that nobody asked for."""
        if self.on and self.there[ap]:
            self.asked = [each for each in self.asked if not isinstance(each[1], RADIO)]
            self.on = ap
            self.pilot.port_open(ap)

    def end(self) -> None:
        """Everything is answered and every time limit kept, and the pilot gives back the rest."""
        self.there = dict.fromkeys(self.there, True)
        for let_go in (False, True):
            if let_go:
                self.pilot.let_go()
            for _ in range(400):
                if self.asked:
                    self.answer()
                elif not self.pilot.linked and not self.pilot.switching and not self.on:
                    self.roams_home()
                elif self.due_ns is not None and self.pilot.machines:
                    self.t_ns = max(self.t_ns, self.due_ns)
                    self.pilot.expire()
                else:
                    break
            else:
                raise AssertionError("no end")

    def roams_home(self) -> None:
        """The supplicant goes on looking by itself."""
        self.on = self.pilot.here
        self.pilot.port_open(self.on)

    def is_whole(self) -> None:
        pilot = self.pilot
        assert pilot.linked
        assert not pilot.switching
        assert self.on == pilot.here == self.served
        assert not pilot.machines
        assert not self.tunnels, self.carried
        assert self.addresses <= {pilot.here}
        bindings = self.did("Bind", "Rebind")
        if bindings:
            target, kind = bindings[-1].split()
            assert kind == "Rebind" or target == pilot.here


LINE: tuple[say.Decision, ...] = (prepare("b1", 3), Bind("b1", rule="r"), Switch("b1", rule="r"))
INTRUSIONS: dict[str, Callable[[Scheduled], None]] = {
    "another switch": lambda world: world.decides(Switch("c1", rule="r")),
    "back": lambda world: world.decides(Switch("a1", rule="r")),
    "called off": lambda world: world.decides(LetGo("b1", rule="r")),
    "called off, keys too": lambda world: world.decides(LetGo("b1", keep_keys=False, rule="r")),
    "another prepared": lambda world: world.decides(prepare("c1", 3)),
    "another bound": lambda world: world.decides(Bind("c1", rule="r")),
    "the whole pilot let go": lambda world: world.pilot.let_go(),
    "the old one dies": lambda world: world.gives_up("a1"),
    "the new one dies": lambda world: world.gives_up("b1"),
    "it roams elsewhere": lambda world: world.roams("c1"),
    "the keys end": lambda world: world.pilot.told(Told("b.example", "ended", "revoked")),
}


def walked(at: int = -1, intrusion: str = "", *, chance: random.Random | None = None) -> int:
    """Prepared, bound, switched, with an intrusion before the answer number `at`; how many answers
    there were. With `chance`, answers come in any order, and further intrusions at any of them.
    """
    world, count = Scheduled(), 0
    for decision in LINE:
        world.decides(decision)
        while world.asked:
            if count == at:
                INTRUSIONS[intrusion](world)
            elif chance is not None and chance.random() < 0.15:
                INTRUSIONS[chance.choice(sorted(INTRUSIONS))](world)
            count += 1
            if world.asked:
                world.answer(0 if chance is None else chance.randrange(len(world.asked)))
    world.end()
    world.is_whole()
    return count


POINTS = walked()


def test_the_line_has_its_points() -> None:
    assert POINTS >= 10


@pytest.mark.parametrize("intrusion", INTRUSIONS)
def test_at_every_point(intrusion: str) -> None:
    for at in range(POINTS):
        walked(at, intrusion)


def test_any_number_of_them_in_any_order() -> None:
    chance = dice("F12 pilot")
    for _ in range(runs(1000)):
        walked(chance.randrange(POINTS), chance.choice(sorted(INTRUSIONS)), chance=chance)
