"""The process that puts a lab up to be looked at, with a lab that only pretends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from mpa_hil import scenario
from mpa_hil.lab import standing
from mpa_hil.lab.standing import Request
from radios.errors import MachineError, RemoteError

LABS = Path(__file__).parents[2] / "lab_configs"
TWO = scenario.load(LABS / "two_domains.toml")
FLOOR = scenario.load(LABS / "l2_floor.toml")


class FakeLab:
    """Stands, until a daemon of its own is said to have died."""

    def __init__(self) -> None:
        self.hosts = {"mn": object(), "cn": object()}
        self.died = asyncio.Event()
        self.explored = False

    async def explore(self) -> None:
        self.explored = True

    async def guard(self, work: Coroutine[Any, Any, object]) -> None:
        working = asyncio.ensure_future(work)
        dying = asyncio.ensure_future(self.died.wait())
        try:
            await asyncio.wait({working, dying}, return_when=asyncio.FIRST_COMPLETED)
            if dying.done():
                raise RemoteError("hostapd died", where="a1")
        finally:
            working.cancel()
            dying.cancel()


class Stage:
    """What was built, and what was told of it."""

    def __init__(self) -> None:
        self.built: list[tuple[str, bool, dict[str, bytes]]] = []
        self.told: list[dict[str, Any]] = []
        self.labs: list[FakeLab] = []
        self.down = False
        self.error: Exception | None = None
        self.on: dict[str, Callable[[], None]] = {}

    @contextlib.asynccontextmanager
    async def standing_lab(
        self,
        described: scenario.Scenario,
        lab_id: str,
        say: Callable[[str], None],
        *,
        floor: bool,
        pem: dict[str, bytes],
        preauthentication: bool,
    ) -> AsyncIterator[FakeLab]:
        assert scenario.is_floor(described) == floor
        self.built.append((lab_id, floor, pem))
        say("boxes")
        try:
            if self.error is not None:
                raise self.error
            self.labs.append(FakeLab())
            yield self.labs[-1]
        finally:
            self.down = True

    def tell(self, kind: str, **fields: object) -> None:
        self.told.append({"type": kind, **fields})
        act = self.on.get(kind)
        if act is not None:
            asyncio.get_running_loop().call_later(0.01, act)

    def stand(self, request: Request) -> None:
        async def run() -> None:
            async with asyncio.timeout(10):
                await standing.stand(request)

        asyncio.run(run())


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage()
    monkeypatch.setattr(standing, "standing_lab", made.standing_lab)
    monkeypatch.setattr(standing, "tell", made.tell)
    monkeypatch.setattr(standing, "LOOK_S", 0.01)
    return made


def end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_request_crosses_a_border() -> None:
    request = Request(TWO, "up", "/run/lab/end", {"mn.key": b"-----BEGIN\n"})
    assert Request.from_json(request.to_json()) == request


def test_up_until_it_is_told_to_end(stage: Stage) -> None:
    stage.on = {"ready": end}
    stage.stand(Request(TWO, "up", pem={"mn.key": b"k"}))
    assert stage.built == [("up", False, {"mn.key": b"k"})]
    assert stage.labs[0].explored
    assert [event["type"] for event in stage.told] == ["progress", "progress", "ready"]
    assert stage.told[-1]["hosts"] == ["mn", "cn"]
    assert stage.down


def test_until_its_end_file_appears(stage: Stage, tmp_path: Path) -> None:
    stage.on = {"ready": (tmp_path / "end").touch}
    stage.stand(Request(TWO, "up", str(tmp_path / "end")))
    assert stage.down


def test_told_to_end_while_it_comes_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def for_ever(_lab: FakeLab) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(FakeLab, "explore", for_ever)
    stage.on = {"progress": end}
    stage.stand(Request(TWO, "up"))
    assert all(event["type"] != "ready" for event in stage.told)
    assert stage.down


def test_a_floor_lab_is_built_as_one(stage: Stage) -> None:
    stage.on = {"ready": end}
    stage.stand(Request(FLOOR, "up"))
    assert stage.built == [("up", True, {})]


def test_a_death_is_told_and_the_rest_stands(stage: Stage) -> None:
    stage.on = {"ready": lambda: stage.labs[0].died.set(), "trouble": end}
    stage.stand(Request(TWO, "up"))
    assert stage.told[-1] == {"type": "trouble", "text": "a1: hostapd died"}
    assert stage.down


@pytest.mark.parametrize("grouped", [False, True])
def test_a_failure_is_told_with_all_it_says(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grouped: bool
) -> None:
    error = MachineError("no radios", where="mn", remedy="modprobe mac80211_hwsim")
    stage.error = ExceptionGroup("g", [error]) if grouped else error
    path = tmp_path / "request.json"
    path.write_bytes(Request(TWO, "up").to_json())
    monkeypatch.setattr("sys.argv", ["standing", str(path)])
    assert standing.main() == 3
    assert stage.told[-1] == {
        "type": "failed",
        "what": "no radios",
        "where": "mn",
        "remedy": "modprobe mac80211_hwsim",
        "exit_code": 3,
    }
    assert stage.down


def test_one_line_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    standing.tell("progress", text="line\nline")
    assert json.loads(capsys.readouterr().out) == {"type": "lab.progress", "text": "line\nline"}
