"""The keeper of a standing lab, on a rig that does as the test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mpa_hil.session_keeper import Keeper, described, failure
from mpa_hil.session_place import Place, Record
from mpa_hil.session_rigs import Output
from radios.errors import LocalError, MachineError, MpaError, RemoteError

RECORD = Record(pid=1, lab="two", file="/two.toml", rig="guest", clock="wall", lab_id="up")
READY = {"type": "lab.ready", "hosts": ["mn", "cn"]}


class FakeRig:
    """Prints its lines, then ends with its status, or when asked, or never."""

    def __init__(self, *lines: dict[str, Any] | str, status: int | None = None) -> None:
        self.lines = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        self.status = status
        self.obeys = True
        self.raises: Exception | None = None
        self.asked: list[bool] = []
        self.forced = False
        self._ended = asyncio.Event()

    async def run(self, output: Output) -> int:
        for line in self.lines:
            # In two pieces, as a serial line may bring it.
            output(line[:3].encode())
            output(f"{line[3:]}\n".encode())
        if self.raises is not None:
            raise self.raises
        if self.status is not None:
            return self.status
        try:
            await self._ended.wait()
        except asyncio.CancelledError:
            self.forced = True
            raise
        return 0

    async def ask_to_end(self, *, ready: bool) -> bool:
        self.asked.append(ready)
        if self.obeys:
            self._ended.set()
        return ready


class Stage:
    """A keeper with its rig, its place and what it told."""

    def __init__(self, folder: Path, rig: FakeRig, **bounds: float) -> None:
        self.told: list[dict[str, Any]] = []
        self.place = Place(folder)
        self.rig = rig
        self.tell: Callable[[dict[str, Any]], None] = self.told.append
        limits = {"silence_s": 5.0, "end_bound_s": 5.0, **bounds}
        self.keeper = Keeper(self.place, RECORD, rig, lambda m: self.tell(m), **limits)

    async def keep(self, stop_when: Callable[[], bool] | None = None) -> MpaError | None:
        keeping = asyncio.create_task(self.keeper.keep())
        async with asyncio.timeout(5):
            while stop_when is not None:
                await asyncio.sleep(0.001)
                if stop_when():
                    self.keeper.stop()
                    break
            return await keeping


def test_up_and_stopped_in_order(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = Stage(tmp_path, FakeRig({"type": "lab.progress", "text": "boxes"}, READY))
        assert await stage.keep(lambda: stage.keeper.ready) is None
        assert stage.told == [{"type": "progress", "text": "boxes"}, {"type": "ready"}]
        record = stage.place.read()
        assert record is not None
        assert record.ready
        assert record.hosts == ("mn", "cn")
        assert stage.rig.asked == [True]
        assert not stage.rig.forced

    asyncio.run(scenario())


def test_a_lab_that_will_not_end_is_forced(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = Stage(tmp_path, FakeRig(READY), end_bound_s=0.05)
        stage.rig.obeys = False
        assert await stage.keep(lambda: stage.keeper.ready) is None
        assert stage.rig.forced

    asyncio.run(scenario())


def test_one_that_is_not_up_yet_is_forced_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = Stage(tmp_path, FakeRig({"type": "lab.progress", "text": "boxes"}))
        stage.rig.obeys = False
        assert await stage.keep(lambda: bool(stage.told)) is None
        assert stage.rig.asked == [False]
        assert stage.rig.forced

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", [LocalError, RemoteError, MachineError])
def test_its_failure_keeps_its_kind(tmp_path: Path, kind: type[MpaError]) -> None:
    error = kind("no radio", where="mn", remedy="buy one")
    failed = {**described(error), "type": "lab.failed"}

    async def scenario() -> None:
        ended = await Stage(tmp_path, FakeRig(failed, status=error.exit_code)).keep()
        assert type(ended) is kind
        assert str(ended) == str(error)

    asyncio.run(scenario())


def test_its_machines_failure_is_passed_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        rig = FakeRig()
        rig.raises = MachineError("QEMU ended")
        assert await Stage(tmp_path, rig).keep() is rig.raises

    asyncio.run(scenario())


def test_a_defect_is_told_as_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        rig = FakeRig()
        rig.raises = ValueError("odd")
        ended = await Stage(tmp_path, rig).keep()
        assert ended is not None
        assert ended.what == "unexpected ValueError: odd"

    asyncio.run(scenario())
    assert "Traceback" in capfd.readouterr().err


def test_an_end_that_nobody_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = Stage(tmp_path, FakeRig(READY, "Traceback", "  odd {}", '{"type": 5}', status=1))
        ended = await stage.keep()
        assert stage.keeper.ready
        assert ended is not None
        assert "ended by itself with status 1" in ended.what
        assert ended.what.endswith('\n    Traceback\n      odd {}\n    {"type": 5}')

    asyncio.run(scenario())


def test_a_silent_lab_counts_as_hung(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = Stage(tmp_path, FakeRig(), silence_s=0.05)
        ended = await stage.keep()
        assert ended is not None
        assert "said nothing for 0.05 s" in ended.what
        assert stage.rig.forced

    asyncio.run(scenario())


def test_a_lab_that_is_up_may_be_silent(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = Stage(tmp_path, FakeRig(READY), silence_s=0.02)
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        assert await stage.keep(lambda: loop.time() > started_s + 0.1) is None
        assert not stage.rig.forced

    asyncio.run(scenario())


def test_trouble_is_noted_and_the_lab_stands(tmp_path: Path) -> None:
    async def scenario() -> None:
        rig = FakeRig(READY, {"type": "lab.trouble", "text": "hostapd died"})
        stage = Stage(tmp_path, rig)
        assert await stage.keep(lambda: stage.keeper.ready) is None
        record = stage.place.read()
        assert record is not None
        assert record.trouble == "hostapd died"

    asyncio.run(scenario())


def gone(_message: dict[str, Any]) -> None:
    raise BrokenPipeError


def test_it_ends_when_nobody_waits_for_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = Stage(tmp_path, FakeRig({"type": "lab.progress", "text": "boxes"}))
        stage.tell = gone
        assert await stage.keep() is None
        assert stage.rig.forced

    asyncio.run(scenario())


def test_it_stays_when_nobody_listens_any_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = Stage(tmp_path, FakeRig(READY, {"type": "lab.progress", "text": "more"}, status=4))
        stage.tell = gone
        ended = await stage.keep()
        assert ended is not None
        assert "status 4" in ended.what

    asyncio.run(scenario())


def test_an_error_without_particulars() -> None:
    assert str(failure({"what": "odd", "exit_code": 77})) == "odd"
