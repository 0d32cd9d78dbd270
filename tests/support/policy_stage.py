"""A policy on a stage: signals as a test wants them, and what it decided."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from mpa_hil.policy import interface as say
from mpa_hil.policy import loading
from mpa_hil.policy.engine import Engine
from mpa_hil.policy.interface import Candidate, CandidateSeen, Decision, Input, Sample

S = 1_000_000_000
NOISE_DBM = -92.0
Level = Callable[[float], float]
"""Seconds -> SNR in dB."""


def engine(name: str = "default", **options: object) -> Engine:
    """A policy by its name."""
    return Engine(loading.choose(name, options).make())


def airs(
    seconds: float, sigma_db: float = 0.0, seed: int = 1, every_s: float = 0.1, **levels: Level
) -> Iterator[Input]:
    """Samples of access points, named as the arguments."""
    dice = random.Random(seed)
    for ap in levels:
        yield CandidateSeen(S, Candidate(ap, f"{ap[0]}.example", 2412))
    for number in range(int(seconds / every_s)):
        t_s = number * every_s
        for ap, level in levels.items():
            noise_db = dice.gauss(0, sigma_db) if sigma_db else 0.0
            yield Sample(S + int(t_s * S), ap, NOISE_DBM + level(t_s) + noise_db, NOISE_DBM)


class Stage:
    """Feeds an engine by hand and keeps what it decided."""

    def __init__(self, name: str = "default", **options: object) -> None:
        self.engine = engine(name, **options)
        self.t_s = 1.0
        self.decided: list[tuple[float, Decision]] = []
        self.levels: dict[str, float] = {}

    @property
    def now_ns(self) -> int:
        return int(self.t_s * S)

    def feed(self, *events: Input) -> list[Decision]:
        """What is decided on these."""
        out: list[Decision] = []
        for event in events:
            out += self.engine.feed(event)
        self.decided += ((self.t_s, each) for each in out)
        return out

    def hear(self, seconds: float, **levels: float) -> list[Decision]:
        """Ten readings a second; an access point that is not named stays as it was."""
        self.levels |= levels
        out: list[Decision] = []
        for _ in range(round(seconds * 10)):
            self.t_s += 0.1
            for ap, level in self.levels.items():
                sample = Sample(self.now_ns, ap, NOISE_DBM + level, NOISE_DBM)
                out += self.feed(sample)
        return out

    def slide(self, seconds: float, **ends: float) -> list[Decision]:
        """The levels go evenly to these."""
        begins = {ap: self.levels[ap] for ap in ends}
        out: list[Decision] = []
        steps = round(seconds * 10)
        for number in range(1, steps + 1):
            for ap, end in ends.items():
                self.levels[ap] = begins[ap] + (end - begins[ap]) * number / steps
            out += self.hear(0.1)
        return out

    def attached(self, ap: str, full: bool = False) -> list[Decision]:
        return self.feed(say.Attached(self.now_ns, ap, full))

    def lost(self, ap: str) -> list[Decision]:
        return self.feed(say.LinkLost(self.now_ns, ap))

    def holding(self, ap: str, level: int, **more: object) -> list[Decision]:
        return self.feed(say.Holding(self.now_ns, ap, level, **more))  # type: ignore[arg-type]

    def failed(self, ap: str, why: str = "refused") -> list[Decision]:
        return self.feed(say.SwitchFailed(self.now_ns, ap, why))

    def tick(self) -> list[Decision]:
        """Go on to when the policy wants to be asked."""
        due_ns = self.engine.next_deadline()
        assert due_ns is not None
        self.t_s = max(self.t_s, due_ns / S)
        return self.feed(say.Tick(due_ns))


def rules(decisions: list[Decision]) -> list[str]:
    """What fired, in short: "switch b1 switch-threshold"."""
    return [
        f"{type(each).__name__.lower()} {each.target} {each.rule}".replace("  ", " ")
        for each in decisions
    ]
