"""`mpa-hil walks`: the order, what many walks come to, going on after an interruption."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from evaluation_fake import Story, raw_files, write

from mpa_hil import cli, exits, rig_choice, scenario, walking
from mpa_hil.experiment import walks as job
from mpa_hil.experiment.collect import Request
from mpa_hil.experiment.plan import RunSpec
from mpa_hil.experiment.walks import Order, Walk, seeded
from mpa_hil.policy.rehearsal import Tally
from mpa_hil.report import tables
from mpa_hil.report import walks as report
from mpa_hil.report.policies import PolicyMove, PolicySummary
from mpa_hil.report.walks import Walked
from mpa_hil.rig_choice import Choice
from mpa_hil.scenario import PolicyChoice
from radios.errors import RemoteError

LAB = Path(__file__).parents[2] / "lab_configs" / "walks.toml"
POLICIES = ("default", "naive")


def order(*walks: Walk) -> Order:
    asked = Request(scenario.load(LAB), ("policy",), 1, "guest", "virtual", "run")
    return Order(asked, walks)


def walks(seeds: int = 2) -> tuple[Walk, ...]:
    return tuple(Walk(n, PolicyChoice(name=p)) for n in range(1, seeds + 1) for p in POLICIES)


# --- the order


def test_an_order_comes_through_whole() -> None:
    told = order(*walks(1), Walk(3, PolicyChoice(name="fixed", options={"dwell_s": 1.5})))
    again = Order.from_json(told.to_json())
    assert again == told


def test_between_two_walks_only_seed_and_policy_change() -> None:
    described = scenario.load(LAB)
    one = seeded(described, Walk(7, PolicyChoice(name="naive")))
    assert (one.lab.seed, one.policy) == (7, PolicyChoice(name="naive"))
    back = msgspec.structs.replace(one, lab=described.lab, policy=described.policy)
    assert back == described


class Standing:
    """Labs that are built, what is walked on them, and which walk is the end of one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, deadly: tuple[int, ...] = ()) -> None:
        self.built = 0
        self.taken: list[tuple[int, int, str]] = []
        self.deadly = deadly
        monkeypatch.setattr(job, "standing_lab", self.standing_lab)
        monkeypatch.setattr(job, "conduct", self.conduct)
        monkeypatch.setattr(job, "describe", self.describe)

    @contextlib.asynccontextmanager
    async def standing_lab(self, first: Any, *_: Any, **__: Any) -> AsyncIterator[Any]:
        self.built += 1
        self.traced: list[Any] = []
        yield SimpleNamespace(
            scenario=first, events=[b"{}\n"], air=SimpleNamespace(retrace=self.traced.append)
        )

    async def describe(self, *_: Any) -> None:
        pass

    async def conduct(self, lab: Any, spec: RunSpec, folder: Path, _air: None) -> str:
        assert self.traced[-1] is lab.scenario, "the air of one walk, the policy of another"
        self.taken.append((self.built, lab.scenario.lab.seed, lab.scenario.policy.name))
        if len(self.taken) in self.deadly:
            raise RemoteError("a daemon died", where="mn")
        return ""


def test_all_walks_share_a_lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    labs = Standing(monkeypatch)
    asyncio.run(job.walk_all(order(*walks()), tmp_path, lambda _text: None))
    assert labs.taken == [(1, 1, "default"), (1, 1, "naive"), (1, 2, "default"), (1, 2, "naive")]


def test_a_walk_that_ends_its_lab_ends_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    labs = Standing(monkeypatch, deadly=(2, 4))
    asyncio.run(job.walk_all(order(*walks()), tmp_path, lambda _text: None))
    assert [lab for lab, *_ in labs.taken] == [1, 1, 2, 2]
    assert (tmp_path / "events.jsonl").read_bytes() == b"{}\n" * 2


# --- what they come to


def walked(seed: int, policy: str = "default", **more: Any) -> Walked:
    told: dict[str, Any] = {"linked": True, "lost": {"downlink": 0, "uplink": 0}, "gap_ms": []}
    return Walked(seed=seed, policy=policy, **{**told, **more})


def test_a_walk_in_the_lab() -> None:
    moves = (
        PolicyMove(new="b1", level=3, gap_ms={"downlink": 4.0, "uplink": 6.0}),
        PolicyMove(new="a1", level=None, gap_ms={}),
    )
    found = PolicySummary(
        scheme="policy",
        number=1,
        linked=True,
        switches=2,
        wasted_tunnels=1,
        lost={"downlink": 3, "uplink": 1},
        gap_ms={"downlink": 86.0, "uplink": 90.0},
        moves=moves,
    )
    made = report.measured(5, "naive", found)
    assert (made.seed, made.policy, made.rehearsed) == (5, "naive", False)
    assert (made.gap_ms, made.hole_ms) == ([6.0], 90.0)
    assert made.levels == {"3": 1, "unknown": 1}
    assert (made.switches, made.wasted_tunnels, made.lost) == (2, 1, found.lost)


def test_a_rehearsed_walk_has_no_loss_and_no_gap() -> None:
    tally = Tally(moves=2, ping_pongs=1, levels={3: 1, 2: 1}, unused={2: 1, 3: 2})
    made = report.rehearsed(5, "fixed", tally, {1: 12_000, 2: 1500, 3: 1500}, linked=True)
    assert made.rehearsed
    assert (made.lost, made.gap_ms, made.hole_ms) == (None, None, None)
    assert (made.wasted_addresses, made.wasted_tunnels, made.wasted_octets) == (1, 2, 4500)
    assert (made.levels, made.problems) == ({"2": 1, "3": 1}, ())


def test_figures_are_of_walks_but_gaps_of_switches() -> None:
    some = [
        walked(1, lost={"downlink": 4, "uplink": 1}, gap_ms=[10.0, 30.0], switches=2),
        walked(2, gap_ms=[20.0], switches=1),
        walked(3, switches=0),
        walked(1, "naive", switches=9, levels={"0": 9}),
    ]
    made = report.gathered("walks", some, POLICIES, 3, rehearsed=False)
    default, naive = made.policies
    lost, gap = default.figures["lost"], default.figures["gap_ms"]
    assert (lost.count, lost.total, lost.median, lost.maximum) == (3, 5, 0, 5)
    assert (gap.count, gap.median, gap.maximum) == (3, 20, 30)
    assert gap.p95 == pytest.approx(29)
    assert (naive.walks, naive.levels) == (1, {"0": 9})
    assert "gap_ms" not in naive.figures, "no switch of it was timed"
    assert not made.good
    assert "  2 walks are missing" in report.lines(made)


def test_all_is_well_when_all_ended_connected() -> None:
    fine = [walked(1), walked(1, "naive")]
    assert report.gathered("walks", fine, POLICIES, 1, rehearsed=False).good
    lost = walked(1, "naive", linked=False, problems=("the node is on no network",))
    made = report.gathered("walks", [walked(1), lost], POLICIES, 1, rehearsed=False)
    assert not made.good
    assert "FAILED    seed 1, naive: the node is on no network" in report.lines(made)


def shown(made: report.Walks) -> str:
    out = io.StringIO()
    tables.show([report.grid(made)], report.lines(made), out, width=None)
    return out.getvalue()


def test_the_table_has_every_policy_below_each_figure() -> None:
    some = [walked(1, gap_ms=[5.25], switches=1), walked(1, "naive", gap_ms=[7.0], switches=3)]
    text = shown(report.gathered("walks", some, POLICIES, 1, rehearsed=False))
    assert "seeds 1 to 1: measured" in text
    lines = [line.split() for line in text.splitlines()]
    at = next(number for number, line in enumerate(lines) if line[:2] == ["gap", "at"])
    assert lines[at][6:] == ["1", "-", "5.2", "5.2", "5.2", "5.2", "5.2"]
    assert lines[at + 1] == ["naive", "1", "-", "7.0", "7.0", "7.0", "7.0", "7.0"]


# --- the command


def command(*words: object) -> int:
    return exits.run(lambda: cli.body(["walks", *map(str, words)]))


def test_a_rehearsal_says_that_it_is_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(LAB, "--seeds", 3, "--rehearse") == 0
    text = capsys.readouterr().out
    assert "REHEARSED" in text
    assert "lost" not in text.replace("nothing was run", "")
    assert "gap at a switch" not in text
    assert "Loss and gaps are not given" in text
    assert not list(tmp_path.iterdir())


def test_rehearsed_walks_repeat_and_differ(capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for _ in range(2):
        assert command(LAB, "--seeds", 4, "--rehearse", "--policy", "naive", "--json") == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    made = json.loads(told[0])
    assert [each["seed"] for each in made["walks"]] == [1, 2, 3, 4]
    assert len({(each["switches"], each["wasted_octets"]) for each in made["walks"]}) > 1
    assert all("gap_ms" not in each or each["gap_ms"] is None for each in made["walks"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((LAB, "--policy", "naiv"), "did you mean `naive`?"),
        ((LAB.with_name("two_domains.toml"),), "give it waypoints"),
        ((LAB, "--rig", "bench"), "bench"),
        ((LAB, "--set", "movement.waypoint.1.speed_mps=1000"), "speed_mps"),
        ((LAB, "--seeds", 0), "0 is not in the range"),
    ],
)
def test_what_cannot_be_walked(
    words: tuple[object, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*words) == 2
    assert said in capsys.readouterr().err


class Guest:
    """Stands in for the guest: leaves records of the first `most` walks of each order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int = 100) -> None:
        self.orders: list[tuple[Walk, ...]] = []
        self.most = most
        monkeypatch.setattr(walking.guest_job, "run", self.run)
        chosen = Choice("guest", "virtual", "for the test", None)
        monkeypatch.setattr(rig_choice, "choose", lambda *_: chosen)
        for name in ("check_image_space", "check_guest_space"):
            monkeypatch.setattr(walking.preflight, name, lambda: None)

    def run(
        self, _module: str, told: bytes, _choice: Choice, out: Path, *_: Any, **__: Any
    ) -> None:
        taken = Order.from_json(told).walks
        self.orders.append(taken)
        story = Story("policy", kind="policy", probe_ms=100)
        files = raw_files(*(story for _ in taken[: self.most]))
        write({name: data for name, data in files.items() if not name.endswith(".pcap")}, out)


def test_what_was_walked_is_not_walked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = (LAB, "--seeds", 3, "--policy", "naive", "--out", tmp_path / "out", "--boot", 2)
    guest = Guest(monkeypatch, most=1)
    assert command(*words) == 1, "two of three were interrupted"
    assert [[walk.seed for walk in one] for one in guest.orders] == [[1, 2], [3]]
    guest.orders.clear()
    command(*words)
    assert [[walk.seed for walk in one] for one in guest.orders] == [[2]]
    guest.orders.clear()
    command(*words)
    assert not guest.orders
    made = json.loads((tmp_path / "out" / "walks.json").read_bytes())
    assert [walk["seed"] for walk in made["walks"]] == [1, 2, 3]
    assert {path.name for path in (tmp_path / "out" / "003-naive").iterdir()} == {
        "walk.json",
        "events.jsonl",
        "logs",
    }
    assert (tmp_path / "out" / "003-naive" / "logs" / "mn-wpa_supplicant.log").is_file()
    assert "FAILED    seed 2, naive: nobody said where it ended" in capsys.readouterr().out


def test_a_long_campaign_is_taken_in_parts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    guest = Guest(monkeypatch)
    words = (LAB, "--seeds", 2, "--out", tmp_path / "out", "--most")
    assert command(*words, 4) == 1
    assert [(walk.seed, walk.choice.name) for walk in guest.orders[0]] == [
        *((1, name) for name in ("default", "fixed", "naive")),
        (2, "default"),
    ]
    assert "  1 walks are missing" in capsys.readouterr().out
    guest.orders.clear()
    command(*words, 0)
    assert not guest.orders
    command(*words, 4)
    assert [(walk.seed, walk.choice.name) for walk in guest.orders[0]] == [
        (2, "fixed"),
        (2, "naive"),
    ]


def test_walks_of_two_labs_share_no_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    guest = Guest(monkeypatch)
    words = (LAB, "--seeds", 1, "--out", tmp_path / "out")
    command(*words)
    guest.orders.clear()
    assert command(*words, "--set", "movement.waypoint.1.speed_mps=2") == 2
    assert "holds walks of another lab" in capsys.readouterr().err
    assert not guest.orders
