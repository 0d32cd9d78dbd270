"""`lab up`, `status`, `exec` and `down` with the real keeper, on a rig that only pretends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from mpa_hil import lab_session, session_end, session_keeper
from mpa_hil.request import LabRequest
from mpa_hil.rig_choice import Choice
from mpa_hil.session_place import Place
from radios.errors import LocalError, MachineError, MpaError, RemoteError
from rigs.guest import image
from rigs.guest.accelerator import Accelerator

ROOT = Path(__file__).parents[2]
TWO = ROOT / "lab_configs" / "two_domains.toml"
FLOOR = ROOT / "lab_configs" / "l2_floor.toml"

KEEPER = """
import asyncio, json, os, sys, time
from mpa_hil import session_keeper

class Rig:
    def __init__(self, place, record, lock):
        self.ended = asyncio.Event()

    async def run(self, output):
        def say(kind, **fields):
            output(json.dumps({"type": f"lab.{kind}", **fields}).encode() + b"\\n")
        how = os.environ["HOW"]
        say("progress", text="boxes")
        if how == "fails":
            say("failed", what="no radio", where="mn", remedy="buy one", exit_code=3)
            return 3
        if how == "hangs":
            await asyncio.Event().wait()
        say("ready", hosts=["mn", "cn"])
        if how == "dies":
            await asyncio.sleep(0.1)
            raise session_keeper.MachineError("QEMU ended")
        if how == "is deaf":
            time.sleep(600)
        await self.ended.wait()
        return 0

    async def ask_to_end(self, *, ready):
        self.ended.set()
        return ready

session_keeper.rig_for = Rig
sys.exit(session_keeper.main())
"""


@pytest.fixture(autouse=True)
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A place of the test's own, a machine that can do all, and a keeper with a rig of lines."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "pretending_keeper.py").write_text(KEEPER)
    modules = {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path / 'modules'}"}
    (tmp_path / "xdg").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "xdg"))
    monkeypatch.setattr(lab_session, "environment", lambda: modules)
    monkeypatch.setattr(lab_session, "KEEPER", "pretending_keeper")
    monkeypatch.setattr(lab_session, "choose", chosen)
    monkeypatch.setattr(image, "find", lambda: image.Image(tmp_path))
    # Nothing of these tests is on the host itself, but a lab of somebody else's may be.
    monkeypatch.setattr(lab_session, "_sweep_host", lambda: None)
    here = Place(tmp_path / "xdg" / "mpa-hil")
    yield here
    record = here.read()
    if here.taken() and record is not None:
        os.kill(record.pid, signal.SIGKILL)


def chosen(rig: str, clock: str) -> Choice:
    assert clock in ("wall", "virtual")
    return Choice("guest", "wall", Accelerator("tcg", ""), "asked for")


def up(how: str, monkeypatch: pytest.MonkeyPatch, lab: Path = TWO) -> int:
    monkeypatch.setenv("HOW", how)
    return lab_session.up(LabRequest(lab, "guest", None, ()))


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def running(pid: int) -> bool:
    """Whether a process is more than a zombie, which a keeper of this very process becomes."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_life(
    stage: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert up("works", monkeypatch) == 0
    said = capsys.readouterr()
    assert "boxes\n" in said.err
    assert "the lab two_domains is up\n  hosts: mn cn\n" in said.out
    assert "mpa-hil lab exec cn -- ping -c 3 10.0.0.10\n" in said.out
    assert stage.request.stat().st_mode & 0o777 == 0o600

    assert lab_session.status() == 0
    said = capsys.readouterr()
    assert "the lab two_domains is up" in said.out
    assert "rig: guest, clock: wall\n  hosts: mn cn\n" in said.out

    with pytest.raises(LocalError, match="the lab two_domains is up, and there can be one"):
        up("works", monkeypatch)
    with pytest.raises(LocalError, match="choose from mn, cn"):
        lab_session.execute("nm", ("true",))

    record = stage.read()
    assert record is not None
    capsys.readouterr()
    assert lab_session.down() == 0
    assert capsys.readouterr().out == "the lab two_domains is down\n"
    assert not running(record.pid)
    assert not stage.folder.exists()


def test_nothing_is_up(stage: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab_session.status() == 0
    assert lab_session.down() == 0
    assert capsys.readouterr().out == "no lab is up\nno lab is up\n"
    with pytest.raises(LocalError) as caught:
        lab_session.execute("mn", ("true",))
    assert str(caught.value) == "no lab is up\n  remedy: mpa-hil lab up LAB"
    assert not stage.folder.exists()


def test_a_failure_is_passed_on(stage: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MachineError) as caught:
        up("fails", monkeypatch)
    assert str(caught.value) == "mn: no radio\n  remedy: buy one"
    eventually(lambda: not stage.folder.exists())


def test_a_lab_that_ended_by_itself(
    stage: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    up("dies", monkeypatch)
    eventually(lambda: not stage.taken())
    capsys.readouterr()
    lab_session.status()
    assert "no lab is up\nthe last one ended by itself: QEMU ended\n" in capsys.readouterr().out
    with pytest.raises(LocalError, match="no lab is up; the last one ended by itself: QEMU ended"):
        lab_session.execute("mn", ("true",))
    # It is in nobody's way.
    assert up("works", monkeypatch) == 0
    assert stage.last_words() == ""
    lab_session.down()
    assert not stage.folder.exists()


def test_what_a_killed_keeper_left(
    stage: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    up("works", monkeypatch)
    record = stage.read()
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    eventually(lambda: not stage.taken())
    with pytest.raises(LocalError, match="no lab is up"):
        lab_session.execute("mn", ("true",))
    assert up("works", monkeypatch) == 0
    record = stage.read()
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    eventually(lambda: not stage.taken())
    assert lab_session.down() == 0
    assert not stage.folder.exists()


def test_a_keeper_that_does_not_obey(stage: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_end, "DOWN_BOUND_S", 0.2)
    up("is deaf", monkeypatch)
    assert lab_session.down() == 0
    assert not stage.folder.exists()


def test_a_process_that_has_nothing_to_do_with_it(
    stage: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number in a record is not believed: its process may have gone, and another come."""
    monkeypatch.setattr(session_end, "DOWN_BOUND_S", 0.1)
    monkeypatch.setattr(session_end, "KILL_BOUND_S", 0.1)
    up("works", monkeypatch)
    record = stage.read()
    assert record is not None
    with subprocess.Popen(["sleep", "600"]) as bystander:
        stage.write(msgspec.structs.replace(record, pid=bystander.pid))
        with pytest.raises(MachineError, match="would not end"):
            lab_session.down()
        assert bystander.poll() is None
        bystander.kill()
    stage.write(record)
    lab_session.down()


@pytest.mark.parametrize("how", ["Ctrl-C", "lab down"])
def test_interrupted_while_it_comes_up(
    stage: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    how: str,
) -> None:
    def interrupt(text: str) -> None:
        if text == "boxes":
            if how == "Ctrl-C":
                raise KeyboardInterrupt
            record = stage.read()
            assert record is not None
            os.kill(record.pid, signal.SIGTERM)  # what `lab down` does first

    monkeypatch.setattr(lab_session, "_say", interrupt)
    with pytest.raises(KeyboardInterrupt if how == "Ctrl-C" else RemoteError) as caught:
        up("hangs", monkeypatch)
    if how == "lab down":
        assert "keeper ended early" in str(caught.value)
    assert not stage.folder.exists()


def test_killed_while_it_comes_up(stage: Place, tmp_path: Path) -> None:
    """`up` is gone without a word: its keeper does not go on for nobody."""
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from mpa_hil import lab_session\nfrom mpa_hil.request import LabRequest\n"
        "from mpa_hil.rig_choice import Choice\nfrom rigs.guest import image\n"
        "from rigs.guest.accelerator import Accelerator\n"
        f"lab_session.environment = lambda: {lab_session.environment()!r}\n"
        "lab_session.KEEPER = 'pretending_keeper'\n"
        "lab_session._sweep_host = lambda: None\n"
        "lab_session.choose = lambda *a: Choice('guest', 'wall', Accelerator('tcg', ''), '')\n"
        f"image.find = lambda: image.Image(Path({str(tmp_path)!r}))\n"
        f"lab_session.up(LabRequest(Path({str(TWO)!r}), 'guest', None, ()))\n"
    )
    environment = {**os.environ, "HOW": "hangs", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stderr=subprocess.PIPE
    ) as starting:
        assert starting.stderr is not None
        while starting.stderr.readline() != b"boxes\n":
            assert starting.poll() is None
        record = stage.read()
        assert record is not None
        assert record.pid != starting.pid
        assert lab_session.status() == 0
        with pytest.raises(LocalError, match="still being put up"):
            lab_session.execute("mn", ("true",))
        starting.kill()
    eventually(lambda: not stage.folder.exists())
    eventually(lambda: not running(record.pid))


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (LabRequest(Path("nowhere.toml"), "guest", None, ()), "no such lab file"),
        (LabRequest(TWO, "bench", None, ()), "a lab on a bench cannot be left running"),
        (LabRequest(TWO, "guest", None, ("lab.sed=1",)), "unknown key"),
    ],
)
def test_refused_before_anything_starts(stage: Place, request_: LabRequest, error: str) -> None:
    with pytest.raises(LocalError, match=error):
        lab_session.up(request_)
    assert not stage.folder.exists()


def test_a_machine_that_can_carry_none(stage: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_rig: str, _clock: str) -> Choice:
        raise MachineError("no virtual machine runs here")

    monkeypatch.setattr(lab_session, "choose", refuse)
    with pytest.raises(MpaError, match="no virtual machine runs here"):
        up("works", monkeypatch)
    assert not stage.folder.exists()


def test_the_floors_own_address_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert up("works", monkeypatch, FLOOR) == 0
    assert "mpa-hil lab exec cn -- ping -c 3 10." in capsys.readouterr().out
    lab_session.down()


def test_the_bounds_fit_into_each_other() -> None:
    assert session_end.DOWN_BOUND_S > session_keeper.END_BOUND_S
