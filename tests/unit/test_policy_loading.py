"""Policies by name, their options, the engine's guard, and the page about them."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from policy_stage import S

from mpa_hil.errors import LocalError
from mpa_hil.handover.options import Level
from mpa_hil.policy import interface as say
from mpa_hil.policy import loading, settings
from mpa_hil.policy.engine import Engine
from mpa_hil.policy.interface import Decisions, Input, Sample, Stay, Switch
from mpa_hil.policy.situation import Situation
from mpa_hil.scenario import load

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
LAB = ROOT / "lab_configs" / "two_domains.toml"
POLICY = Path(loading.__file__).parent


@dataclass(frozen=True)
class Patience:
    patience_s: float = settings.option(3.0, "how long", least=0, most=10)


class Patient:
    """A third party's."""

    Settings = Patience

    def __init__(self, own: Patience) -> None:
        if own.patience_s == 7:
            raise ValueError("not seven")

    def decide(self, event: Input, situation: Situation) -> Decisions:
        return ()

    def next_deadline(self) -> int | None:
        return None


def offer(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    point = EntryPoint("patient", value, loading.GROUP)
    monkeypatch.setattr(loading, "_others", lambda: {"patient": point})


def test_those_that_are_shipped() -> None:
    for name in loading.SHIPPED:
        chosen = loading.choose(name, {})
        assert chosen.make().next_deadline() is None
        assert settings.told(chosen.settings)


def test_one_of_an_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "test_policy_loading:Patient")
    assert loading.names() == ("default", "fixed", "naive", "patient")
    chosen = loading.choose("patient", {"patience_s": 4})
    assert chosen.settings.patience_s == 4.0
    assert Engine(chosen.make()).feed(say.Tick(1)) == ()
    with pytest.raises(LocalError, match="not seven"):
        loading.choose("patient", {"patience_s": 7}).make()


@pytest.mark.parametrize("value", ["no_such_module:X", "test_policy_loading:S", "json:loads"])
def test_a_broken_one(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    offer(monkeypatch, value)
    with pytest.raises(LocalError) as refused:
        loading.choose("patient", {})
    assert "patient" in refused.value.what
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("setting", "where", "what"),
    [
        ("policy.name=nive", "policy.name", "did you mean `naive`"),
        ("policy.options.dwel_s=1", "policy.options.dwel_s", "did you mean `dwell_s`"),
        ("policy.options.dwell_s=-1", "policy.options.dwell_s", "out of range"),
        ("policy.options.dwell_s=nan", "policy.options.dwell_s", "will not do"),
        ("policy.options.level=1.5", "policy.options.level", "will not do"),
        ("policy.options.level=true", "policy.options.level", "will not do"),
        ("policy.options.reachability_test=1", "reachability_test", "true or false"),
        ("policy.options.filter=fft", "policy.options.filter", "window, ewma, kalman, regression"),
    ],
)
def test_a_lab_file_that_asks_for_what_there_is_not(setting: str, where: str, what: str) -> None:
    with pytest.raises(LocalError) as refused:
        load(LAB, [setting])
    assert where in refused.value.where
    assert "two_domains.toml" in refused.value.where
    assert what in str(refused.value)


def test_a_lab_file_with_a_policy() -> None:
    lab = load(LAB, ["policy.name=fixed", "policy.options.dwell_s=7"])
    assert lab.policy is not None
    assert loading.choose(lab.policy.name, lab.policy.options).settings.dwell_s == 7.0
    assert load(LAB).policy is None


class Wild:
    """Decides what it was made with."""

    Settings = Patience

    def __init__(self, *decisions: say.Decision) -> None:
        self._decisions = decisions

    def decide(self, event: Input, situation: Situation) -> Decisions:
        return self._decisions if isinstance(event, say.Tick) else ()

    def next_deadline(self) -> int | None:
        return None


@pytest.mark.parametrize(
    ("decision", "why"),
    [
        (Switch("nowhere", rule="r"), "an access point that is not known"),
        (Switch("a1", rule="r"), "the node is there"),
        (say.Prepare("a1", Level.BOUND, rule="r"), "the node is there"),
        (say.Prepare("b1", Level.REACTIVE, rule="r"), "level 0 is not to be had there"),
        (say.LetGo("a1", rule="r"), "it is the access point in use"),
        (say.KeepContext("b1", -1, rule="r"), "a time of less than nothing"),
    ],
)
def test_what_makes_no_sense_is_not_obeyed(decision: say.Decision, why: str) -> None:
    made = Engine(Wild(decision, Switch("b1", rule="fine")))
    made.feed(say.Attached(S, "a1"))
    made.feed(Sample(S, "b1", -60))
    first, second = made.feed(say.Tick(S))
    assert isinstance(first, Stay)
    assert first.rule == "refused"
    assert first.inputs["why"] == why
    assert second == Switch("b1", rule="fine")


# --- the page


@pytest.mark.parametrize("name", loading.SHIPPED)
def test_the_page_lists_every_option(name: str) -> None:
    for each in settings.described(loading.find(name).Settings):
        default = str(each.default).lower() if isinstance(each.default, bool) else each.default
        assert f"| `{each.name}` | {each.kind} | `{default}` | {each.doc} |" in PAGE


def test_the_page_lists_every_rule() -> None:
    """Rules are texts in the source, some put together from a step and a reason."""
    source = "".join(path.read_text(encoding="utf-8") for path in POLICY.glob("*.py"))
    spoken = set(re.findall(r'rule ?= ?"([a-z0-9-]+)"', source))
    spoken |= set(re.findall(r'rule, \w+ = "([a-z0-9-]+)"', source))
    spoken |= set(re.findall(r'_(?:stay|go|lose)\(\s*[\w.\[\]]*,? ?"([a-z0-9-]+)"', source))
    spoken |= {
        f"{step}-{why}"
        for step in ("prepare", "configure", "bind", "switch")
        for why in ("threshold", "time-left", "rate-of-fall")
    }
    assert len(spoken) > 25
    for rule in sorted(spoken - {"missed", "r"}):
        assert f"`{rule}`" in PAGE, rule


def test_the_pages_example_works() -> None:
    example = PAGE.partition("```python\n")[2].partition("```")[0]
    made: dict[str, type] = {}
    exec(compile(example, "docs/policy.md", "exec"), made)
    kind = made["Loudest"]
    policy = Engine(kind(kind.Settings(margin_db=3.0)))  # type: ignore[attr-defined]
    policy.feed(say.Attached(S, "a1"))
    assert not policy.feed(Sample(S, "a1", -60, -92))
    assert not policy.feed(Sample(S, "b1", -58, -92))
    (decision,) = policy.feed(Sample(2 * S, "b1", -56, -92))
    assert isinstance(decision, Switch)
    assert decision.inputs == {"gain_db": 4.0, "margin_db": 3.0}


def test_a_node_loads_nothing_heavy_with_it() -> None:
    code = (
        "import sys; from mpa_hil.policy import loading, lines, conductor; from mpa_hil.policy."
        "engine import Engine; Engine(loading.choose('default', {}).make());"
        "print(*sorted({'msgspec', 'asyncio', 'click', 'importlib.metadata'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=POLICY.parents[1],
    )
    assert not done.stdout.split()
