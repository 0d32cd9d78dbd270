"""The command line: what it hands on, how it ends, and how little it loads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import mpa_hil
from mpa_hil import cli, exits, preflight
from mpa_hil.request import LabRequest, RunRequest
from radios.errors import LocalError, MachineError, RemoteError

ROOT = Path(__file__).parents[2]
TWO = str(ROOT / "lab_configs" / "two_domains.toml")
FLOOR = str(ROOT / "lab_configs" / "l2_floor.toml")
PLENTY = 1 << 40


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder to work in, room on its disk, and no signal handlers left behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(preflight.check_request, "__defaults__", (lambda _folder: PLENTY,))
    monkeypatch.delenv(exits.DEBUG, raising=False)
    monkeypatch.setattr(exits.Signals, "install", lambda self: None)


def module(monkeypatch: pytest.MonkeyPatch, name: str, **contents: object) -> None:
    """Put a module of this project's in place of the real one."""
    fake = types.ModuleType(f"mpa_hil.{name}")
    fake.__dict__.update(contents)
    monkeypatch.setitem(sys.modules, f"mpa_hil.{name}", fake)
    monkeypatch.setattr(mpa_hil, name, fake, raising=False)


def command(*arguments: str) -> int:
    return exits.run(lambda: cli.body(list(arguments)))


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[RunRequest]:
    """The requests that `run` came to."""
    requests: list[RunRequest] = []

    def run(request: RunRequest) -> int:
        requests.append(request)
        return 0

    module(monkeypatch, "launch", run=run)
    return requests


def launching(monkeypatch: pytest.MonkeyPatch, body: Callable[[], int]) -> None:
    module(monkeypatch, "launch", run=lambda _request: body())


class TestRun:
    """`mpa-hil run`."""

    def test_defaults(self, launched: list[RunRequest]) -> None:
        assert command("run", TWO) == 0
        [request] = launched
        assert request == RunRequest(
            lab=Path(TWO),
            schemes=(),
            repeat=1,
            rig="auto",
            clock=None,
            seed=None,
            out=request.out,
            json=False,
            overrides=(),
        )
        assert request.out.parent == Path("runs")
        assert request.out.name.startswith("two_domains-")
        assert not request.out.exists()

    def test_everything(self, launched: list[RunRequest], tmp_path: Path) -> None:
        line = f"run {TWO} --scheme l2-floor --scheme reactive --repeat 3 --rig auto --clock"
        line += f" virtual --seed 7 --out {tmp_path / 'out'} --json"
        line += " --set lab.seed=4 --set link.home.delay_ms=1"
        assert command(*line.split()) == 0
        assert launched == [
            RunRequest(
                lab=Path(TWO),
                schemes=("l2-floor", "reactive"),
                repeat=3,
                rig="auto",
                clock="virtual",
                seed=7,
                out=tmp_path / "out",
                json=True,
                overrides=("lab.seed=4", "link.home.delay_ms=1"),
            )
        ]

    def test_a_failed_experiment_is_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        launching(monkeypatch, lambda: 1)
        assert command("run", TWO) == 1

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["run"], ["Missing argument 'LAB'", "mpa-hil run --help"]),
            (["run", TWO, "--rig", "moon"], ["'moon' is not one of", "mpa-hil run --help"]),
            (["run", TWO, "--repeat", "0"], ["not in the range", "mpa-hil run --help"]),
            (["run", TWO, "--seed", "-1"], ["not in the range", "mpa-hil run --help"]),
            (["fly"], ["No such command 'fly'", "mpa-hil --help"]),
            (["run", "nowhere.toml"], ["nowhere.toml: there is no such lab file", "remedy:"]),
            (["run", TWO, "--set", "x"], ["--set x: not a setting", "key.path=value"]),
            (["run", TWO, "--set", "domain.B.ap.b1.channel=99"], ["b1.channel", "99", "1 to 13"]),
            (["run", TWO, "--scheme", "reactiv"], ["--scheme reactiv", "did you mean `reactive`?"]),
            (["run", FLOOR, "--scheme", "reactive"], ["no second domain", "two_domains.toml"]),
            (["run", TWO, "--rig", "bench"], ["host.mn", "must be a machine", "[[host]]"]),
            (["run", TWO, "--rig", "host", "--clock", "virtual"], ["only the guest", "wall"]),
            (["run", TWO, "--out", "file"], ["--out file: not a folder", "remedy:"]),
            (["run", TWO, "--out", "old"], ["--out old: holds a run already", "remedy:"]),
            (
                ["lab", "up", TWO, "--set", "a.b=1"],
                ["--set a.b=1: unknown key `a`", "did you mean"],
            ),
            (["agent", "nobody", "x"], ["nobody: there is no such agent", "hold, home_agent"]),
        ],
    )
    def test_bad_input_starts_nothing(
        self,
        arguments: list[str],
        words: list[str],
        launched: list[RunRequest],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        Path("file").touch()
        Path("old").mkdir()
        Path("old/summary.json").touch()
        assert command(*arguments) == 2
        said = capsys.readouterr()
        assert said.err.startswith("error: ")
        assert "Traceback" not in said.err
        assert not said.out
        assert not launched
        for word in words:
            assert word in said.err


class TestPreflight:
    """What is checked about the machine before a run."""

    def test_full_disk(self, tmp_path: Path) -> None:
        with pytest.raises(MachineError) as caught:
            preflight.check_out(tmp_path / "a" / "b", lambda _folder: 5 << 20)
        assert caught.value.exit_code == 3
        assert caught.value.where == str(tmp_path)
        assert "5 MiB free, 200 MiB needed" in caught.value.what
        assert "--out" in caught.value.remedy

    def test_no_room_for_the_image(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MPA_HIL_CACHE", str(tmp_path / "cache"))
        with pytest.raises(MachineError, match="building the guest image") as caught:
            preflight.check_image_space(lambda _folder: 1 << 30)
        assert caught.value.where == str(tmp_path)
        assert "MPA_HIL_CACHE" in caught.value.remedy

    def test_room_is_measured_where_the_folder_will_be(self, tmp_path: Path) -> None:
        asked: list[Path] = []

        def free(folder: Path) -> int:
            asked.append(folder)
            return PLENTY

        preflight.check_out(tmp_path / "new" / "run", free)
        assert asked == [tmp_path]

    def test_below_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(MachineError, match="may not write") as caught:
            preflight.check_out(tmp_path / "file" / "run", lambda _folder: PLENTY)
        assert "--out" in caught.value.where

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_folder_of_somebody_elses(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        with pytest.raises(MachineError, match="may not write"):
            preflight.check_out(tmp_path / "run", lambda _folder: PLENTY)

    def test_schemes_once_each_in_the_order_asked(self) -> None:
        lab = preflight.scenario.load(TWO)
        chosen = preflight.choose_schemes(lab, ("l2-floor", "reactive", "l2-floor"))
        assert chosen == ("l2-floor", "reactive")
        assert preflight.choose_schemes(lab, ()) == lab.lab.schemes


class TestLab:
    """`mpa-hil lab`."""

    def test_hands_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[tuple[Any, ...]] = []

        def up(request: LabRequest) -> int:
            calls.append(("up", request))
            return 0

        def execute(host: str, argv: Sequence[str]) -> int:
            calls.append(("exec", host, tuple(argv)))
            return 5

        module(
            monkeypatch,
            "lab_session",
            up=up,
            execute=execute,
            down=lambda: calls.append(("down",)) or 0,
            status=lambda: calls.append(("status",)) or 0,
        )
        assert command("lab", "up", TWO, "--rig", "guest", "--set", "lab.seed=2") == 0
        assert command("lab", "exec", "mn", "--", "ip", "-br", "address", "--help") == 5
        assert command("lab", "status") == 0
        assert command("lab", "down") == 0
        assert calls == [
            ("up", LabRequest(Path(TWO), "guest", None, ("lab.seed=2",))),
            ("exec", "mn", ("ip", "-br", "address", "--help")),
            ("status",),
            ("down",),
        ]


class TestExits:
    """Exit statuses and messages."""

    @pytest.mark.parametrize(
        ("error", "status", "said"),
        [
            (LocalError("w", where="f: k", remedy="r"), 2, "error: f: k: w\n  remedy: r\n"),
            (RemoteError("hostapd died", where="b1"), 1, "error: b1: hostapd died\n"),
            (MachineError("no kvm"), 3, "error: no kvm\n"),
            (
                ExceptionGroup("g", [ValueError(), ExceptionGroup("h", [MachineError("deep")])]),
                3,
                "error: deep\n",
            ),
            (ValueError("odd"), 1, "error: unexpected ValueError: odd\n"),
            (ExceptionGroup("g", [ValueError("odd")]), 1, "error: unexpected ValueError: odd\n"),
        ],
    )
    def test_errors(
        self,
        error: Exception,
        status: int,
        said: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def fail() -> int:
            raise error

        launching(monkeypatch, fail)
        assert command("run", TWO) == status
        assert capsys.readouterr().err.startswith(said)

    def test_traceback_on_request(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv(exits.DEBUG, "1")
        assert command("run", "nowhere.toml") == 2
        assert "Traceback" in capsys.readouterr().err

    def test_interrupted(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def interrupt() -> int:
            raise KeyboardInterrupt

        launching(monkeypatch, interrupt)
        assert command("run", TWO) == 130
        assert "interrupted by SIGINT" in capsys.readouterr().err

    def test_interrupted_inside_a_task_group(self) -> None:
        def interrupt() -> int:
            raise BaseExceptionGroup("g", [KeyboardInterrupt()])

        assert exits.run(interrupt) == 130

    def test_help_and_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert command("--help") == 0
        text = capsys.readouterr().out
        for word in ("run", "lab", "doctor", "agent", "Exit status"):
            assert word in text
        assert command("--version") == 0
        assert command() == 2


TEARDOWN = """
import asyncio, sys
from mpa_hil import exits

async def main():
    try:
        print("up", flush=True)
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        print("down", flush=True)

sys.exit(exits.run(lambda: asyncio.run(main()) or 0))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_after_its_teardown(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TEARDOWN], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert out == b"down\n"
    assert err == f"error: interrupted by {number.name}\n".encode()
    assert process.returncode == 128 + number


def test_a_reader_that_went_away_is_no_defect() -> None:
    program = "import sys\nfrom mpa_hil import cli\nsys.argv = ['mpa-hil', '--help']\ncli.main()"
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert ended.returncode == 1
    assert ended.stderr == b""


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\nfrom mpa_hil import cli\n"
        "status = cli.body(['--help'])\n"
        "heavy = {'asyncio', 'asyncssh', 'cryptography', 'msgspec', 'pyroute2', 'rich', 'scapy',"
        " 'tomllib'}\n"
        "print(sorted(heavy & set(sys.modules)), status, file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True)
    assert ended.stderr.decode().strip() == "[] 0"


def test_an_agent_by_itself() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "mpa_hil", "agent", "home-agent", "/nowhere.json"],
        cwd=ROOT,
        capture_output=True,
    )
    assert ended.returncode == 2
    assert b'"agent.failed"' in ended.stdout
