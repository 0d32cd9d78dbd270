"""Commands over the guest's port, directly and through the switchboard."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from session_port import Port

from radios.errors import LocalError, RemoteError
from rigs.guest import exec_protocol as protocol
from rigs.guest import remote, serving
from rigs.guest.serving import CANNOT_RUN, COMMANDS_LIMIT, TOO_MANY
from rigs.guest.switchboard import switchboard

BIG = 3 * protocol.WINDOW + 17


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Port]:
    made = Port(tmp_path / "port")
    yield made
    made.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


class TestFrames:
    """Cutting a stream into frames."""

    def test_whole_whatever_the_pieces(self) -> None:
        line = protocol.encode("a", status=1) + protocol.encode("b", status=2)
        frames = protocol.Frames()
        found = [frame for i in range(len(line)) for frame in frames.feed(line[i : i + 1])]
        assert found == [{"id": "a", "status": 1}, {"id": "b", "status": 2}]

    @pytest.mark.parametrize(
        "garbage",
        [b"\n", b'8","status":0}\n', b"\xff\xfe\n", b"[]\n", b'{"status":0}\n', b'{"id":7}\n'],
    )
    def test_garbage_is_dropped(self, garbage: bytes) -> None:
        assert list(protocol.Frames().feed(garbage + protocol.encode("a"))) == [{"id": "a"}]

    def test_an_endless_line_is_dropped_whole(self) -> None:
        frames = protocol.Frames()
        assert not list(frames.feed(b'"' * (protocol.LINE_LIMIT + 1)))
        assert not list(frames.feed(b'{"id":"tail"}\n'))
        assert list(frames.feed(b'{"id":"a"}\n')) == [{"id": "a"}]

    def test_a_chunk_fits_one_write_to_the_port(self) -> None:
        line = protocol.encode("0" * 16, stdout=protocol.text(bytes(protocol.CHUNK)))
        assert len(line) <= (32 << 10) + 64

    def test_octets_of_nonsense_are_none(self) -> None:
        assert protocol.octets("!") == b""
        assert protocol.octets(7) == b""


@pytest.fixture(params=["direct", "switchboard"])
def way(request: pytest.FixtureRequest, port: Port, tmp_path: Path) -> object:
    """A context that gives the socket to ask at."""

    @contextlib.asynccontextmanager
    async def direct() -> AsyncIterator[Path]:
        yield port.path

    @contextlib.asynccontextmanager
    async def shared() -> AsyncIterator[Path]:
        async with switchboard(port.path, tmp_path / "exec"):
            yield tmp_path / "exec"

    return direct if request.param == "direct" else shared


Way = Callable[[], contextlib.AbstractAsyncContextManager[Path]]


class TestExecute:
    """Commands run to their end, over either socket."""

    def run(self, way: Way, *argv: str, **options: object) -> remote.Completed:
        async def ask() -> remote.Completed:
            async with way() as path:
                return await remote.execute(path, argv, **options)  # type: ignore[arg-type]

        return asyncio.run(ask())

    def test_status_and_both_outputs(self, way: Way) -> None:
        done = self.run(way, "sh", "-c", "echo out; echo err >&2; exit 7")
        assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")

    def test_environment_and_folder(self, way: Way, tmp_path: Path) -> None:
        options = {"env": {"COLOUR": "blü"}, "cwd": str(tmp_path)}
        done = self.run(way, "sh", "-c", 'echo "$COLOUR"; pwd', **options)
        assert done.stdout.decode().splitlines() == ["blü", str(tmp_path)]

    def test_a_folder_that_is_not_there(self, way: Way) -> None:
        assert self.run(way, "pwd", cwd="/nowhere").stdout == b"/\n"

    def test_no_input(self, way: Way) -> None:
        assert self.run(way, "cat").stdout == b""

    def test_much_input_and_output(self, way: Way) -> None:
        data = os.urandom(BIG)
        assert self.run(way, "cat", stdin=data).stdout == data

    def test_input_that_nobody_reads(self, way: Way) -> None:
        done = self.run(way, "sh", "-c", "exec <&-; exit 3", stdin=bytes(BIG))
        assert done.returncode == 3

    def test_ended_by_a_signal(self, way: Way) -> None:
        assert self.run(way, "sh", "-c", "kill -9 $$").returncode == 128 + signal.SIGKILL

    def test_a_program_that_is_not_there(self, way: Way) -> None:
        done = self.run(way, "no-such-program")
        assert done.returncode == CANNOT_RUN
        assert b"no-such-program" in done.stderr

    def test_what_stays_in_the_background_is_not_waited_for(self, way: Way) -> None:
        done = self.run(way, "sh", "-c", "sleep 30 & echo $!", timeout_s=10)
        os.kill(int(done.stdout), signal.SIGKILL)

    def test_a_bound_on_time(self, way: Way) -> None:
        with pytest.raises(RemoteError, match=r"sleep did not end within 0\.2 s"):
            self.run(way, "sleep", "30", timeout_s=0.2)

    def test_a_bound_on_output(self, way: Way) -> None:
        with pytest.raises(RemoteError, match="yes printed more than 100000 octets"):
            self.run(way, "yes", output_limit=100_000)

    @pytest.mark.parametrize("argv", [(), ("",), ("echo", "a\0b"), ("echo", "x" * (1 << 20))])
    def test_what_no_port_carries(self, way: Way, argv: tuple[str, ...]) -> None:
        with pytest.raises(LocalError):
            self.run(way, *argv)


def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match="nobody answers"):
        asyncio.run(remote.execute(tmp_path / "none", ["true"]))


def test_many_at_once(port: Port, tmp_path: Path) -> None:
    """Each gets its own answer, though all share one port, and a stalled one holds up nobody."""

    async def ask() -> None:
        path = tmp_path / "exec"
        async with switchboard(port.path, path):
            stalled_reader, stalled = await asyncio.open_unix_connection(str(path), limit=1)
            stalled.write(protocol.encode("stalled", argv=["yes"]))
            await stalled_reader.readexactly(1)
            script = "head -c 200000 /dev/zero | tr '\\0' {}; exit {}"
            many = [
                remote.execute(path, ["sh", "-c", script.format(letter, number)], timeout_s=20)
                for number, letter in enumerate("abcdefgh")
            ]
            for number, done in enumerate(await asyncio.gather(*many)):
                assert done.returncode == number
                assert done.stdout == "abcdefgh"[number].encode() * 200_000
            stalled.close()

    asyncio.run(ask())


def test_an_asker_that_dies_takes_its_command_along(
    port: Port, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "KILL_AFTER_S", 0.1)

    async def ask() -> None:
        path = tmp_path / "exec"
        async with switchboard(port.path, path):
            said = bytearray()
            script = "echo $$; trap '' TERM; while :; do sleep 0.05; done"
            asking = asyncio.create_task(
                remote.converse(path, ["sh", "-c", script], stdout=said.extend, stderr=said.extend)
            )
            await until(lambda: said.endswith(b"\n"))
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await until(lambda: gone(int(said)))
            assert (await remote.execute(path, ["echo", "next"])).stdout == b"next\n"

    asyncio.run(ask())


def test_half_a_request_does_not_garble_the_next(port: Port, tmp_path: Path) -> None:
    async def ask() -> None:
        for direct in (True, False):
            path = port.path if direct else tmp_path / "exec"
            async with contextlib.AsyncExitStack() as stack:
                if not direct:
                    await stack.enter_async_context(switchboard(port.path, path))
                _, writer = await asyncio.open_unix_connection(str(path))
                writer.write(protocol.encode("half", argv=["true"])[:-9])
                await writer.drain()
                writer.close()
                assert (await remote.execute(path, ["echo", "whole"])).stdout == b"whole\n"

    asyncio.run(ask())


def test_an_answer_meant_for_another_is_dropped(tmp_path: Path) -> None:
    """What a former asker left unread comes to the next one first."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked = json.loads(await reader.readline())["id"]
        writer.write(b'AAAA"}\n' + protocol.encode("former", status=9))
        writer.write(protocol.encode(asked, status=4))

    async def ask() -> int:
        server = await asyncio.start_unix_server(answer, str(tmp_path / "port"))
        async with server:
            return (await remote.execute(tmp_path / "port", ["true"])).returncode

    assert asyncio.run(ask()) == 4


def test_the_guest_goes_away(port: Port, tmp_path: Path) -> None:
    async def ask() -> None:
        path = tmp_path / "exec"
        async with switchboard(port.path, path):
            said = bytearray()
            asking = asyncio.create_task(
                remote.converse(
                    path, ["sh", "-c", "echo; sleep 30"], stdout=said.extend, stderr=said.extend
                )
            )
            await until(lambda: bool(said))
            port.drop()
            with pytest.raises(RemoteError, match="went away"):
                await asking

    asyncio.run(ask())


def test_a_bound_on_commands(port: Port, tmp_path: Path) -> None:
    async def ask() -> None:
        path = tmp_path / "exec"
        async with switchboard(port.path, path):
            _, writer = await asyncio.open_unix_connection(str(path))
            for number in range(COMMANDS_LIMIT):
                writer.write(protocol.encode(f"{number}", argv=["sleep", "30"]))
            await writer.drain()
            done = await remote.execute(path, ["true"])
            while done.returncode == 0:  # the other asker's may not all have come yet
                done = await remote.execute(path, ["true"])
            assert done.returncode == TOO_MANY
            assert b"commands run already" in done.stderr
            writer.close()

    asyncio.run(ask())


def test_the_switchboard_leaves_no_socket(port: Port, tmp_path: Path) -> None:
    async def once() -> None:
        async with switchboard(port.path, tmp_path / "exec"):
            assert (tmp_path / "exec").stat().st_mode & 0o777 == 0o600

    asyncio.run(once())
    assert not (tmp_path / "exec").exists()
