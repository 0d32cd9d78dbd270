"""A mobile node made of the real policy, conductor and handover machines, in a pure surrounding:
signals are a function of time, peers and the supplicant answer after a while, access points die.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

from handover_answers import GOOD, REPLACES
from policy_stage import NOISE_DBM, engine

from mpa_hil.handover import interface as act
from mpa_hil.handover.interface import Action, Event
from mpa_hil.handover.options import Options
from mpa_hil.policy import interface as say
from mpa_hil.policy.conductor import Carry, Conductor, Outputs
from mpa_hil.policy.interface import Candidate, Decision, Input

S = 1_000_000_000
LOST_SNR_DB = 5.0
RADIO = (act.SelectNetwork, act.ReturnToOld, act.SeekAny)
BINDING = (act.Bind, act.Rebind)
LATENCY_S: dict[type[Action], float] = {
    act.Authenticate: 0.6,
    act.Configure: 1.0,
    act.CreateTunnel: 1.0,
    act.Bind: 0.2,
    act.Rebind: 0.2,
    act.Acquire: 1.0,
    act.PrepareSwitch: 0.1,
    act.SelectNetwork: 0.02,
    act.ReturnToOld: 0.02,
}
STRANDED_S = 3.0
Air = Callable[[float], dict[str, float]]
"""Seconds -> SNR of each access point in dB."""


class World:
    """One node, from the access point "a1" on.

    Args:
        air: what is heard.
        policy: its name.
    """

    def __init__(self, air: Air, policy: str = "default", seed: int = 1, **options: object) -> None:
        self.engine = engine(policy, **options)
        self.conductor = Conductor("a1", Options())
        self.dice = random.Random(f"policy world {seed}")
        self.now_ns = 1000 * S
        self.begun_ns = self.now_ns
        self.dead: set[str] = set()
        self.refusing: set[str] = set()
        self.radio, self.home = "a1", "a1"
        self.air = air
        self.decided: list[Decision] = []
        self.carried: list[Carry] = []
        self.arrivals: list[str] = []
        self.on_carry: Callable[[Carry], None] = lambda carry: None
        self.dark_ns = 0
        self._asked: list[tuple[str, Action, int]] = []
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._lost_ns: int | None = None
        for ap in air(0):
            self.tell(say.CandidateSeen(self.now_ns, Candidate(ap, f"{ap[0]}.example")))
        self.tell(say.Attached(self.now_ns, "a1"))

    # --- time

    @property
    def t_s(self) -> float:
        return (self.now_ns - self.begun_ns) / S

    def run(self, seconds: float) -> None:
        """Ten readings a second, and what falls due between them."""
        for _ in range(round(seconds * 10)):
            self._until(self.now_ns + S // 10)
            if not self.radio:
                self.dark_ns += S // 10
            for ap, snr_db in self.air(self.t_s).items():
                if ap not in self.dead:
                    noisy = NOISE_DBM + snr_db + self.dice.gauss(0, 1)
                    self.tell(say.Sample(self.now_ns, ap, noisy, NOISE_DBM))
            if self.radio and not self.hears(self.radio):
                gone, self.radio = self.radio, ""
                self.obey(self.conductor.link_lost(gone, self.now_ns))
            if self.conductor.linked or self.conductor.owner:
                self._lost_ns = None
            elif self._lost_ns is None:
                self._lost_ns = self.now_ns
            elif self.now_ns - self._lost_ns > STRANDED_S * S:
                self._lost_ns = None
                self.obey(self.conductor.stranded(self.now_ns))

    def rest(self, seconds: float) -> None:
        """Time passes without readings."""
        self._until(self.now_ns + int(seconds * S))

    def _until(self, end_ns: int) -> None:
        while True:
            due = [(self._agenda[0][0], 0)] if self._agenda else []
            deadline = self.conductor.next_deadline()
            if deadline is not None:
                due.append((deadline, 1))
            tick = self.engine.next_deadline()
            if tick is not None:
                due.append((tick, 2))
            if not due or min(due)[0] > end_ns:
                break
            at_ns, which = min(due)
            self.now_ns = max(self.now_ns, at_ns)
            if which == 0:
                heapq.heappop(self._agenda)[2]()
            elif which == 1:
                self.obey(self.conductor.expire(self.now_ns))
            else:
                self.tell(say.Tick(self.now_ns))
                if self.engine.next_deadline() == tick:
                    break
        self.now_ns = max(self.now_ns, end_ns)

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (self.now_ns + int(seconds * S), self._count, do))

    def hears(self, ap: str) -> bool:
        return ap not in self.dead and self.air(self.t_s).get(ap, -99) > LOST_SNR_DB

    # --- the node

    def tell(self, event: Input) -> None:
        if isinstance(event, say.Attached):
            self.arrivals.append(event.ap)
        for decision in self.engine.feed(event):
            self.decided.append(decision)
            self.obey(self.conductor.obey(decision, self.now_ns))

    def obey(self, outputs: Outputs) -> None:
        for output in outputs:
            if isinstance(output, Carry):
                self._carry(output)
            elif not isinstance(output, say.Reasoned):
                self.tell(output)

    def _carry(self, carry: Carry) -> None:
        self.carried.append(carry)
        self.on_carry(carry)
        target, action = carry.target, carry.action
        gone = REPLACES.get(type(action), ())
        self._asked = [
            each
            for each in self._asked
            if not (each[0] == target and isinstance(each[1], gone))
            and not (isinstance(action, RADIO) and isinstance(each[1], RADIO))
            and not (isinstance(action, BINDING) and isinstance(each[1], BINDING))
        ]
        if isinstance(action, RADIO):
            self.radio = ""
        if type(action) in GOOD or isinstance(action, act.SeekAny):
            self._count += 1
            asked = (target, action, self._count)
            self._asked.append(asked)
            self.after(LATENCY_S.get(type(action), 0.01), lambda: self._answer(asked))

    def _answer(self, asked: tuple[str, Action, int]) -> None:
        if asked not in self._asked:
            return
        target, action, _ = asked
        if isinstance(action, act.SeekAny) and not any(map(self.hears, self.air(self.t_s))):
            self.after(0.5, lambda: self._answer(asked))
            return
        self._asked.remove(asked)
        match action:
            case act.SelectNetwork():
                self._join(target, target)
            case act.ReturnToOld():
                self._join(target, self.conductor.here)
            case act.SeekAny():
                self._join(target, next(filter(self.hears, self.air(self.t_s))))
            case act.Authenticate() | act.Configure() if target in self.refusing:
                self._feed(
                    target,
                    Event.AUTHENTICATION_FAILED
                    if isinstance(action, act.Authenticate)
                    else Event.CONFIGURATION_FAILED,
                )
            case _ if self.radio:
                if isinstance(action, act.Bind):
                    self.home = target
                elif isinstance(action, act.Rebind):
                    self.home = self.conductor.here
                self._feed(target, GOOD[type(action)])

    def _join(self, target: str, ap: str) -> None:
        if self.hears(ap) and ap not in self.refusing:
            self.radio = ap
            self.obey(self.conductor.port_open(ap, self.now_ns))
        else:
            event = Event.ASSOCIATION_REFUSED if ap in self.refusing else Event.TARGET_VANISHED
            self._feed(target, event)

    def _feed(self, target: str, event: Event) -> None:
        self.obey(self.conductor.feed(target, event, self.now_ns))

    # --- afterwards

    def is_whole(self) -> None:
        """Linked, with the binding where it is, and nobody but the policy's targets hold
        anything."""
        assert self.radio
        assert self.radio == self.conductor.here
        assert self.conductor.linked
        assert not self.conductor.owner
        held = self.engine.situation.holdings
        assert set(self.conductor.machines) <= set(held) | {self.conductor.here}
        bound = [ap for ap, machine in self.conductor.machines.items() if machine.level == 3]
        assert self.home in (self.radio, *bound)
