"""A pilot in a world of its own: a scripted policy, the real handover machines, and hands whose
actions bring what a list says."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from mpa_hil.agents.pilot import Pilot
from mpa_hil.agents.pilot_interface import Brief, Place
from mpa_hil.agents.wishes import Told
from mpa_hil.handover import interface as do
from mpa_hil.handover.interface import Action, Event, Hold, Level, Options
from mpa_hil.policy import interface as say
from mpa_hil.policy.interface import (
    Decision,
    Decisions,
    Input,
    Prepare,
)
from mpa_hil.policy.situation import Situation

S = 1_000_000_000
E = Event
GOOD: dict[type[Action], Event] = {
    do.Configure: E.CONFIGURED,
    do.CreateTunnel: E.TUNNELLED,
    do.PrepareSwitch: E.STAGED,
    do.Bind: E.BOUND,
    do.Rebind: E.REBOUND,
    do.StartHold: E.HELD,
    do.Arrive: E.ARRIVED,
    do.Acquire: E.ACQUIRED,
    do.Settle: E.SETTLED,
    do.NotifyServing: E.SERVING,
    do.DeleteTunnel: E.TUNNEL_DELETED,
    do.ReleaseAddress: E.ADDRESS_RELEASED,
}


class Script:
    """Decides what it is told to, on the next input."""

    def __init__(self) -> None:
        self.next: deque[Decision] = deque()
        self.heard: list[Input] = []
        self.on: dict[type[Input], Callable[[Input], Decisions]] = {}

    def decide(self, event: Input, situation: Situation) -> Decisions:
        self.heard.append(event)
        answer = self.on.get(type(event))
        if answer is not None:
            return answer(event)
        if isinstance(event, say.Sample) and self.next:
            return (self.next.popleft(),)
        return ()

    def next_deadline(self) -> int | None:
        return None

    def last(self, kind: type[Input]) -> Any:
        return next(event for event in reversed(self.heard) if isinstance(event, kind))


class World:
    """The hands, and what is really there."""

    def __init__(self, policy: say.Policy | None = None, hold: Hold = Hold.NEXT) -> None:
        self.t_ns = 1000 * S
        self.looking = False
        self.resting = self.doubting = False
        self.doubts: list[tuple[int, bool]] = []
        """After how many actions the node began to be in doubt, or was sure."""
        self.quiet_ns = 0
        self.due_ns: int | None = None
        self.carried: list[tuple[str, str]] = []
        self.looks: list[tuple[int, str, bool]] = []
        self.wanted: list[str] = []
        self.events: list[tuple[str, Mapping[str, object]]] = []
        self.answers = dict(GOOD)
        self.late: deque[Callable[[], None]] = deque()
        self.there = {"a1": True, "b1": True, "c1": True}
        self.refuses: set[str] = set()
        self.eap = False
        self.served = ""
        self.on = "a1"
        self.keys_fail = ""
        self.script = Script()
        places = tuple(
            Place(say.Candidate(ap, f"{ap[0]}.example", 2412 + 5 * number), "00")
            for number, ap in enumerate(self.there)
        )
        options = Options(hold=hold, bind_ahead=False, seek_tries=2)
        brief = Brief("script", {}, places, "a1", options, doubt_ns=3 * S)
        self.pilot = Pilot(brief, policy or self.script, self)
        self.pilot.begin()

    # --- `Hands`

    def now_ns(self) -> int:
        return self.t_ns

    def wake(self, due_ns: int | None) -> None:
        self.due_ns = due_ns

    def carry(self, target: str, action: Action) -> None:
        self.carried.append((target, type(action).__name__))
        match action:
            case do.SelectNetwork():
                self.late.append(lambda: self.join(target))
            case do.SeekAny():
                found = [ap for ap, there in self.there.items() if there]
                self.late += [lambda: self.join(found[0])] if found else []
            case do.ReturnToOld():
                self.late.append(lambda: self.join(self.pilot.here))
            case _:
                event = self.answers.get(type(action))
                if event is not None:
                    answer = event
                    self.late.append(lambda: self.pilot.feed(target, answer))

    def want_keys(self, realm: str) -> str:
        if self.keys_fail == "no way":
            return "no way"
        self.wanted.append(realm)
        if self.keys_fail:
            self.late.append(lambda: self.pilot.told(Told(realm, "failed", self.keys_fail)))
        else:
            self.late.append(lambda: self.keys(realm))
        return ""

    def look(self, frequency_mhz: int, target: str, *, test: bool = False) -> None:
        self.looks.append((frequency_mhz, target, test))

    def hold_off(self, until_ns: int) -> None:
        self.quiet_ns = until_ns

    def doubt(self, doubtful: bool) -> None:
        assert doubtful != self.doubting, "told once"
        self.doubting = doubtful
        self.doubts.append((len(self.carried), doubtful))

    def rest(self) -> None:
        self.resting = True

    def serve(self, ap: str) -> None:
        self.resting = False
        self.served = ap

    def alone(self) -> None:
        self.served = ""

    def emit(self, kind: str, t_ns: int, fields: Mapping[str, object]) -> None:
        assert not self.pilot.switching, "written while the radio is between two networks"
        self.events.append((kind, json.loads(json.dumps(dict(fields)))))

    # --- the world

    def keys(self, realm: str) -> None:
        self.pilot.told(Told(realm, "authenticated", round_trip_ns=30_000_000))
        self.pilot.told(Told(realm, "prepared", total_ns=400_000_000, duration_ns=5_000_000))

    def join(self, ap: str) -> None:
        left, self.on = self.on, ""
        if left:
            self.pilot.disconnected(left)
        if not self.there[ap]:
            self.pilot.radio(E.TARGET_VANISHED)
        elif ap in self.refuses:
            self.pilot.radio(E.ASSOCIATION_REFUSED)
        else:
            if self.eap:
                self.pilot.radio(E.EAP_STARTED)
            self.on = ap
            self.pilot.port_open(ap)

    def lose(self) -> None:
        """The present access point is gone."""
        left, self.on = self.on, ""
        self.there[left] = False
        self.pilot.disconnected(left)

    def run(self, seconds: float = 30.0) -> None:
        """Let everything that answers answer, and time pass until nothing is due in that time."""
        end_ns = self.t_ns + int(seconds * S)
        for _ in range(2000):
            if self.late:
                self.t_ns += 1_000_000
                self.late.popleft()()
            elif self.due_ns is not None and self.due_ns <= end_ns:
                self.t_ns = max(self.t_ns, self.due_ns)
                self.pilot.expire()
            else:
                return
        raise AssertionError("no end")

    def decide(self, *decisions: Decision, run: bool = True) -> None:
        for decision in decisions:
            self.script.next.append(decision)
            self.pilot.tell(say.Sample(self.t_ns, "a1", -60.0))
            if run:
                self.run(2.0)

    def did(self, *names: str) -> list[str]:
        """Targets and actions of those names, in order."""
        return [f"{target} {name}" for target, name in self.carried if name in names]

    def held(self, ap: str) -> tuple[int, bool, bool]:
        for event in reversed(self.script.heard):
            if isinstance(event, say.Holding) and event.ap == ap:
                return event.level, event.tunnel, event.context
        return 0, False, False


def prepare(ap: str, level: int) -> Prepare:
    return Prepare(ap, Level(level), rule="r")
