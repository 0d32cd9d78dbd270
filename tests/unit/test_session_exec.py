"""Commands in the hosts of a standing lab, without a lab."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from session_port import Port

from mpa_hil import session_exec
from mpa_hil.session_place import Place, Record
from radios.errors import LocalError, MachineError, RemoteError

RECORD = Record(
    pid=1,
    lab="two",
    file="/two.toml",
    rig="guest",
    clock="wall",
    lab_id="up",
    ready=True,
    hosts=("mn", "A-router"),
)


def test_unknown_host() -> None:
    session_exec.check_host(RECORD, "mn")
    with pytest.raises(LocalError) as caught:
        session_exec.check_host(RECORD, "nm")
    assert str(caught.value) == (
        "nm: the lab two has no such host\n  remedy: choose from mn, A-router"
    )


def test_entering_a_host_of_the_guest() -> None:
    command = session_exec.command_in_guest("up", "A-router", ("ip", "-br", "a"))
    assert command == ["nsenter", "--net=/run/netns/mpa-up-A-router", "--", "ip", "-br", "a"]
    assert session_exec.workdir("up", "A-router") == "/run/mpa-hil/up/A-router"


class Input:
    """Standard input replaced."""

    def __init__(self) -> None:
        self._kept = os.dup(0)

    def be(self, descriptor: int) -> None:
        os.dup2(descriptor, 0)

    def restore(self) -> None:
        os.dup2(self._kept, 0)
        os.close(self._kept)


@pytest.fixture
def stdin() -> Iterator[Input]:
    made = Input()
    yield made
    made.restore()


def read_all() -> bytes:
    async def collect() -> bytes:
        return b"".join([piece async for piece in session_exec.read_input()])

    return asyncio.run(collect())


class TestInput:
    """What is handed on as the command's input."""

    def test_a_pipe(self, stdin: Input) -> None:
        reading, writing = os.pipe()
        stdin.be(reading)
        os.write(writing, b"words")
        os.close(writing)
        assert session_exec.has_input()
        assert read_all() == b"words"

    def test_a_socket(self, stdin: Input) -> None:
        ours, theirs = socket.socketpair()
        stdin.be(ours.fileno())
        theirs.sendall(b"words")
        theirs.close()
        assert session_exec.has_input()
        assert read_all() == b"words"
        ours.close()

    def test_a_file(self, stdin: Input, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(bytes(200_000))
        with (tmp_path / "file").open("rb") as file:
            stdin.be(file.fileno())
            assert session_exec.has_input()
            assert read_all() == bytes(200_000)

    def test_none_of_a_terminal_or_null(self, stdin: Input) -> None:
        leading, following = os.openpty()
        stdin.be(following)
        assert not session_exec.has_input()
        with open(os.devnull) as null:
            stdin.be(null.fileno())
            assert not session_exec.has_input()
        os.close(leading)
        os.close(following)

    def test_none_when_it_is_closed(self, stdin: Input) -> None:
        os.close(0)
        assert not session_exec.has_input()


class TestInGuest:
    """Through the port, with the command itself on this machine."""

    @pytest.fixture(autouse=True)
    def no_namespace(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def plain(_lab_id: str, _host: str, argv: Sequence[str]) -> list[str]:
            return list(argv)

        monkeypatch.setattr(session_exec, "command_in_guest", plain)

    def test_passed_through(
        self, tmp_path: Path, stdin: Input, capfdbinary: pytest.CaptureFixture[bytes]
    ) -> None:
        reading, writing = os.pipe()
        stdin.be(reading)
        os.write(writing, b"in\n")
        os.close(writing)
        port = Port(tmp_path / "exec")
        script = 'cat; echo "$MPA_HIL_LAB"; echo err >&2; kill -TERM $$'
        status = session_exec.in_guest(Place(tmp_path), RECORD, "mn", ("sh", "-c", script))
        port.close()
        assert status == 128 + signal.SIGTERM
        assert tuple(capfdbinary.readouterr()) == (b"in\nup\n", b"err\n")

    def test_nobody_there(self, tmp_path: Path) -> None:
        with pytest.raises(RemoteError, match="nobody answers"):
            session_exec.in_guest(Place(tmp_path), RECORD, "mn", ("true",))


class TestOnHost:
    """In a namespace of this machine."""

    def test_it_becomes_the_command(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        became: list[tuple[str, list[str], dict[str, str], str]] = []

        def become(path: str, argv: list[str], environment: dict[str, str]) -> None:
            became.append((path, argv, environment, os.getcwd()))

        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(os, "execve", become)
        monkeypatch.setattr(session_exec, "workdir", lambda _lab_id, _host: str(tmp_path))
        monkeypatch.chdir("/")
        session_exec.on_host(RECORD, "mn", ("sh", "-c", "true"))
        [(path, argv, environment, folder)] = became
        assert os.path.basename(path) == "nsenter"
        assert argv[1:] == ["--net=/run/netns/mpa-up-mn", "--", "sh", "-c", "true"]
        assert environment["MPA_HIL_LAB"] == "up"
        assert folder == str(tmp_path)

    def test_it_takes_root(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        with pytest.raises(MachineError, match="takes root"):
            session_exec.on_host(RECORD, "mn", ("true",))

    def test_a_program_that_is_not_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(session_exec, "workdir", lambda _lab_id, _host: str(tmp_path))
        with pytest.raises(MachineError, match="no-such-program is not installed"):
            session_exec.on_host(RECORD, "mn", ("no-such-program",))
