"""A run's movement: who is told what, and in which order, by fakes that note it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mpa_hil import scenario
from mpa_hil.experiment import moving
from mpa_hil.experiment.moving import first_switch, move
from mpa_hil.experiment.plan import RunSpec, options
from mpa_hil.scenario import Scenario
from radios.errors import RemoteError

LABS = Path(__file__).parents[2] / "lab_configs"


@dataclass
class FakeNode:
    """The MN's agent: every handover takes place at once."""

    told: list[str]
    count: int = 0
    outcome: str = "moved"

    async def event(
        self, kind: str, timeout_s: float, *, since: int, matches: Callable[[Any], bool] = bool
    ) -> dict[str, Any]:
        self.told.append(kind)
        self.count += 1
        return {"outcome": self.outcome, "cause": "no reason"}


@dataclass
class FakeAir:
    told: list[str]

    async def follow(self) -> None:
        self.told.append("follow")
        await asyncio.Event().wait()


@dataclass
class FakeLab:
    scenario: Scenario
    floor: bool = False
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mobile_node = FakeNode(self.told)
        self.air = FakeAir(self.told)

    async def ask(self, cmd: str, answer: str, timeout_s: float, **fields: Any) -> None:
        await asyncio.sleep(0)
        self.told.append(f"{cmd} {fields['network']}")

    async def prepare(self, ap: str, chosen: object) -> None:
        self.told.append(f"authenticate {ap}")

    async def prepare_handover(self, ap: str, chosen: object, *, origin: str, hold: bool) -> None:
        assert origin != ap
        self.told.append(f"prepare {ap}{'' if hold else ' unheld'}")

    def frequency_mhz(self, ap: str) -> int:
        return 2412

    def layer3(self, ap: str, chosen: object, *, same_link: bool) -> dict[str, object]:
        return {}


@dataclass
class FakeEndpoint:
    told: list[str]

    @property
    def daemon(self) -> FakeEndpoint:
        return self

    async def write(self, line: bytes) -> None:
        self.told.append(line.split()[0].decode())


def described(name: str) -> Scenario:
    whole = scenario.load(LABS / name)
    measure = msgspec.structs.replace(whole.measure, warmup_s=0, cooldown_s=0)
    return msgspec.structs.replace(whole, measure=measure)


def moved(
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    *,
    name: str = "two_domains.toml",
    kind: Any = "handover",
    outcome: str = "moved",
) -> list[str]:
    monkeypatch.setattr(moving, "_ARM_AHEAD_S", 1e6)  # nobody waits for a signal to fall
    lab = FakeLab(described(name))
    lab.mobile_node.outcome = outcome
    spec = RunSpec(scheme, kind, 0, floor=False)
    chosen = options(lab.scenario, scheme)
    endpoints: Any = [FakeEndpoint(lab.told)]
    asyncio.run(move(lab, spec, chosen, endpoints))  # type: ignore[arg-type]
    return lab.told


def test_who_prepares_nothing_is_armed_before_the_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [each for each in moved(monkeypatch, "reactive") if each != "follow"]
    assert told == ["arm b1", "start", "phase.started"]


def test_who_prepares_does_so_over_the_present_link(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [each for each in moved(monkeypatch, "mpa") if each != "follow"]
    assert told == [
        *("start", "authenticate b1", "prepare b1", "arm b1"),
        *("phase.started", "handover.finished"),
    ]


def test_a_control_run_prepares_without_holding(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "prepare b1 unheld" in moved(monkeypatch, "mpa", kind="control")


def test_there_and_back_every_switch_is_prepared_after_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = moved(monkeypatch, "mpa", name="there_and_back.toml")
    steps = [each for each in told if each not in ("start", "follow")]
    once = ["authenticate {}", "prepare {}", "arm {}", "phase.started", "handover.finished"]
    assert steps == [step.format(ap) for ap in ("b1", "a1", "b1") for step in once]
    reactive = moved(monkeypatch, "reactive", name="there_and_back.toml")
    assert [each for each in reactive if each.startswith("arm")] == ["arm b1", "arm a1", "arm b1"]


def test_a_handover_that_ends_elsewhere_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RemoteError, match="stayed: no reason"):
        moved(monkeypatch, "mpa", outcome="stayed")


def test_a_run_without_a_switch_only_lets_time_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "end_s", lambda movement: 0.0)
    assert moved(monkeypatch, "mpa", kind="null") == ["start"]


def test_a_trace_that_asks_for_nothing_says_so() -> None:
    whole = described("two_domains.toml")
    still = msgspec.structs.replace(
        whole.movement, points=tuple(p for p in whole.movement.points if p.t_s < 1)
    )
    with pytest.raises(RemoteError, match="asks for no switch"):
        first_switch(msgspec.structs.replace(whole, movement=still))
