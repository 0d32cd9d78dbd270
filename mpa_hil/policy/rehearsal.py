"""A policy played against recorded signals, with a stand-in for the node. Sans-IO.

What happened whatever was decided (signals, candidates, measurements) comes from the recording;
what follows from decisions (how far preparations get, where the node is) is worked out from the
lead times that the recording measured. That shows when and where a policy would have gone, and what
it would have prepared for nothing. It does not show what the packets felt: for that, run the lab.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from mpa_hil.handover.options import Level

from . import interface as say
from .budget import STEP_OCTETS
from .engine import Engine
from .filters import Ewma
from .interface import Decision, Input
from .leadtimes import LeadTimes
from .readings import Noise

_NS_PER_S = 1_000_000_000
_ACQUIRING_S = 1.0
"""What a node that comes unprepared takes besides the lead times: ordinary DHCP, its first scan."""
_SCAN_NS = 70_000_000
"""A scan of one channel."""
_KEYS_NS = 3600 * _NS_PER_S
"""An MPA-SA that is let go of still lives for so long."""
_RADIO_S = 1.0
"""A link's quality, as far as its loss goes, is the mean over about this time."""


class Terms(NamedTuple):
    """What the stand-in goes by.

    Attributes:
        lost_snr_db: below it a link is lost, and none is joined.
        returns_s: a move back within it is a ping-pong.
        refused: access points that will not have the node.
        scans: one radio, so others than the serving access point are heard in scans alone.
    """

    lost_snr_db: float = 2.0
    returns_s: float = 60.0
    refused: frozenset[str] = frozenset()
    scans: bool = False


class Taken(NamedTuple):
    """A decision, and when."""

    t_ns: int
    decision: Decision


@dataclass(slots=True)
class Tally:
    """What came of it."""

    decisions: list[Taken] = field(default_factory=list)
    moves: int = 0
    ping_pongs: int = 0
    failed: int = 0
    """Switches that did not end at their target."""
    link_losses: int = 0
    full_authentications: int = 0
    """EAP runs after a switch: the target had no keys."""
    dark_ns: int = 0
    """Without a link or between two, in all."""
    levels: dict[int, int] = field(default_factory=dict)
    """Moves by the level that was ready."""
    prepared: int = 0
    """Steps that were taken ahead."""
    wasted: int = 0
    """Those of them that were let go of unused."""
    unused: dict[int, int] = field(default_factory=dict)
    """Steps by level that never served a move: let go of, or still there at the end."""
    octets: int = 0
    """Signalling for steps ahead, estimated (`budget.STEP_OCTETS`)."""
    wasted_octets: int = 0
    scans: int = 0


class Rehearsal:
    """One node, one policy.

    Args:
        engine: with the policy.
        events: signals and measurements in order of time; the first access point that is heard, or
            `start`, is where the node begins.
    """

    def __init__(self, engine: Engine, terms: Terms | None = None) -> None:
        self.tally = Tally()
        self._engine = engine
        self._terms = terms or Terms()
        self._lead = LeadTimes()
        self._noise = Noise()
        self._air: dict[str, Ewma] = {}
        self._latest: dict[str, say.Sample] = {}
        self._now_ns = 0
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._here = ""
        self._linked = False
        self._dark_since_ns: int | None = None
        self._going = ""
        self._left: dict[str, int] = {}
        self._levels: dict[str, int] = {}
        self._tunnels: set[str] = set()
        self._ahead: dict[str, list[Level]] = {}
        """Steps taken there and neither used nor let go of yet."""
        self._working: dict[str, int] = {}
        """By target: number of the preparation under way; another number makes it void."""

    def run(self, start: str, events: Iterable[Input]) -> Tally:
        """Play everything."""
        begun = False
        for event in events:
            if not begun:
                begun, self._now_ns = True, event.t_ns
                self._here, self._linked = start, True
                self._tell(say.Attached(event.t_ns, start))
            self._pass(event.t_ns)
            self._now_ns = max(self._now_ns, event.t_ns)
            self._radio(event)
            if not (self._terms.scans and isinstance(event, say.Sample) and self._unheard(event)):
                self._tell(event)
        self._light()
        for steps in self._ahead.values():
            self._unused(steps)
        return self.tally

    @property
    def linked(self) -> bool:
        """Whether the node is on a network, and stays there."""
        return self._linked and not self._going

    def _unused(self, steps: Iterable[Level]) -> None:
        for step in steps:
            self.tally.unused[int(step)] = self.tally.unused.get(int(step), 0) + 1

    # --- time

    def _pass(self, until_ns: int) -> None:
        """Let happen what is due before the next recorded event."""
        while True:
            deadline = self._engine.next_deadline()
            ours = self._due[0][0] if self._due else None
            if ours is not None and ours <= until_ns and (deadline is None or ours <= deadline):
                self._now_ns, _, act = heapq.heappop(self._due)
                act()
            elif deadline is not None and deadline < until_ns:
                self._now_ns = max(self._now_ns, deadline)
                self._tell(say.Tick(self._now_ns))
                if self._engine.next_deadline() == deadline:
                    return  # it was told and wants it all the same
            else:
                return

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        self._count += 1
        due_ns = self._now_ns + int(seconds * _NS_PER_S)
        heapq.heappush(self._due, (due_ns, self._count, act))

    def _tell(self, event: Input) -> None:
        for decision in self._engine.feed(event):
            self.tally.decisions.append(Taken(self._now_ns, decision))
            self._obey(decision)

    # --- the radio

    def _radio(self, event: Input) -> None:
        match event:
            case say.Sample():
                snr_db = self._noise.snr_db(event)
                if snr_db is not None:
                    self._air.setdefault(event.ap, Ewma(_RADIO_S)).add(event.t_ns, snr_db)
            case say.CandidateGone(ap=ap):
                self._air.pop(ap, None)
            case say.Measured():
                self._lead.add(event.part, event.took_ns, event.realm)
        if self._linked and not self._going and not self._heard(self._here):
            self._linked = False
            self._dark()
            self.tally.link_losses += 1
            self._tell(say.LinkLost(self._now_ns, self._here, "out of range"))

    def _unheard(self, sample: say.Sample) -> bool:
        """Whether the radio was elsewhere; what it would have heard is kept for the next scan."""
        self._latest[sample.ap] = sample
        return sample.ap != self._here or bool(self._going)

    def _scan(self, frequency_mhz: int) -> None:
        self.tally.scans += 1
        for ap in sorted(self._latest):
            channel = self._engine.situation.candidate(ap).frequency_mhz
            if frequency_mhz in (0, channel) and self._heard(ap) and ap != self._here:
                self._tell(replace(self._latest[ap], t_ns=self._now_ns, source="scan"))
        self._tell(say.Probed(self._now_ns, "", True, _SCAN_NS))

    def _heard(self, ap: str) -> bool:
        air = self._air.get(ap)
        if air is None:
            return ap == self._here  # nothing is known yet
        return air.level_db > self._terms.lost_snr_db

    def _dark(self) -> None:
        if self._dark_since_ns is None:
            self._dark_since_ns = self._now_ns

    def _light(self) -> None:
        if self._dark_since_ns is not None:
            self.tally.dark_ns += self._now_ns - self._dark_since_ns
            self._dark_since_ns = None

    # --- the node

    def _obey(self, decision: Decision) -> None:
        match decision:
            case say.Prepare(target=target, level=level):
                self._working[target] = number = self._working.get(target, 0) + 1
                self._after(0, lambda: self._prepare(target, level, number))
            case say.Bind(target=target):
                number = self._working.get(target, 0)
                binding_s = self._lead.part_s("binding")
                self._after(binding_s, lambda: self._bound(target, number))
            case say.Switch(target=target) | say.Return(target=target) if not self._going:
                self._leave(target)
            case say.LetGo(target=target, keep_keys=keep_keys):
                self._let_go(target, keep_keys)
            case say.KeepContext(target=target, for_ns=for_ns):
                kept = max(1, self._levels.get(target, 1))
                until_ns = self._now_ns + for_ns
                self._after(0, lambda: self._holding(target, kept, context=True, until_ns=until_ns))
            case say.Probe(how="scan", frequency_mhz=frequency) if self._terms.scans:
                self._after(_SCAN_NS / _NS_PER_S, lambda: self._scan(frequency))
            case say.Probe(target=target, how="reachability"):
                took_ns = _NS_PER_S // 20
                reachable = self._heard(target) and target not in self._terms.refused
                self._after(
                    took_ns / _NS_PER_S,
                    lambda: self._tell(say.Probed(self._now_ns, target, reachable, took_ns)),
                )

    def _realm(self, ap: str) -> str:
        return self._engine.situation.candidate(ap).realm

    def _prepare(self, target: str, level: Level, number: int) -> None:
        """Take the next step there."""
        if self._working.get(target) != number or (target == self._here and self._linked):
            return
        reached = self._levels.get(target, 0)
        done_there = reached >= level or (reached == 2 and target in self._tunnels)
        step = None if done_there else Level(reached + 1)
        self._holding(target, reached, under_way=step is not None)
        if step is None:
            return
        lead, realm = self._lead, self._realm(target)
        took_s = {
            Level.AUTHENTICATED: lead.authentication_s(realm),
            Level.CONFIGURED: lead.part_s("configuration", realm),
            Level.BOUND: lead.part_s("tunnel", realm),
        }[step]

        def done() -> None:
            if self._working.get(target) != number:
                return
            self.tally.prepared += 1
            self.tally.octets += STEP_OCTETS[step]
            self._ahead.setdefault(target, []).append(step)
            if step is Level.BOUND:
                self._tunnels.add(target)
            else:
                self._levels[target] = int(step)
            self._prepare(target, level, number)

        self._after(took_s, done)

    def _bound(self, target: str, number: int) -> None:
        standing = target in self._tunnels and self._working.get(target) == number
        if standing and self._linked and target != self._here:
            self._holding(target, Level.BOUND)

    def _holding(
        self,
        target: str,
        level: int,
        *,
        under_way: bool = False,
        context: bool = False,
        until_ns: int | None = None,
    ) -> None:
        if target == self._here and self._linked:
            return
        self._levels[target] = level
        if not level:
            self._tunnels.discard(target)
        tunnel = target in self._tunnels
        told = say.Holding(self._now_ns, target, level, under_way, until_ns, context, tunnel)
        self._tell(told)

    def _let_go(self, target: str, keep_keys: bool) -> None:
        self._working[target] = self._working.get(target, 0) + 1
        kept = 1 if keep_keys and self._levels.get(target, 0) else 0
        for step in self._ahead.pop(target, []):
            if step > kept:
                self.tally.wasted += 1
                self.tally.wasted_octets += STEP_OCTETS[step]
                self._unused((step,))
            else:
                self._ahead.setdefault(target, []).append(step)
        self._tunnels.discard(target)
        self._after(0, lambda: self._holding(target, kept, until_ns=self._now_ns + _KEYS_NS))

    # --- the switch

    def _leave(self, target: str) -> None:
        self._going = target
        self._working[target] = self._working.get(target, 0) + 1
        self._dark()
        level = self._levels.get(target, 0)
        takes_s, realm = self._lead.part_s("switch"), self._realm(target)
        if level < Level.AUTHENTICATED:
            takes_s += self._lead.authentication_s(realm)
        if level < Level.CONFIGURED:
            takes_s += _ACQUIRING_S
        if level < Level.BOUND and target not in self._tunnels:
            takes_s += self._lead.part_s("binding")
        self._after(takes_s, lambda: self._arrive(target, level))

    def _arrive(self, target: str, level: int) -> None:
        self._going = ""
        if not self._heard(target) or target in self._terms.refused:
            self._come_back(target)
            return
        old, self._here, self._linked = self._here, target, True
        self._light()
        if old != target:
            self._moved(old, target, level)
        self._tell(say.Attached(self._now_ns, target, full_authentication=level == 0))

    def _moved(self, old: str, new: str, level: int) -> None:
        tally = self.tally
        tally.moves += 1
        tally.levels[level] = tally.levels.get(level, 0) + 1
        tally.full_authentications += level == 0
        left_ns = self._left.get(new)
        if left_ns is not None and self._now_ns - left_ns < self._terms.returns_s * _NS_PER_S:
            tally.ping_pongs += 1
        self._left[old] = self._now_ns
        self._ahead.pop(new, None)
        self._levels.pop(new, None)
        self._tunnels.discard(new)
        self._levels[old] = Level.CONFIGURED

    def _come_back(self, target: str) -> None:
        self.tally.failed += 1
        self._linked = self._heard(self._here)
        why = "refused" if target in self._terms.refused else "vanished"
        if self._linked:
            self._light()
        else:
            self._tell(say.LinkLost(self._now_ns, self._here, "out of range"))
        self._tell(say.SwitchFailed(self._now_ns, target, why))
