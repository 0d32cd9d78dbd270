"""What every Host must do, whatever it stands on. Subclass `HostContract` and give it a `rig`."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
import sys

import pytest
from contract_rig import (
    CONTROLLER,
    ECHO_SERVER,
    HOSTILE_ARGUMENTS,
    PATIENCE_S,
    REPOSITORY,
    Rig,
    alive,
    eventually,
    exists,
    opened,
)

from radios.errors import LocalError, MachineError, RemoteError
from rigs.host import Daemon, Host


class HostContract:
    """The suite. Everything runs in one event loop a test."""

    def test_it_is_a_host(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                assert isinstance(host, Host)
                assert host.name == "box"
                assert os.path.isabs(host.workdir)
                here = await host.run("stat", "-c", "%a %n", host.workdir)
                assert here.stdout.decode().split() == ["700", host.workdir]
                assert (await host.run("pwd")).stdout.decode().strip() == host.workdir

        asyncio.run(scenario())

    # Commands

    def test_a_command_tells_its_outcome(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                done = await host.run("sh", "-c", "echo out; echo err >&2")
                assert (done.returncode, done.stdout, done.stderr) == (0, b"out\n", b"err\n")
                assert done.argv[0] == "sh"
                failed = await host.run("sh", "-c", "exit 7", check=False)
                assert failed.returncode == 7
                killed = await host.run("sh", "-c", "kill -9 $$", check=False)
                assert killed.returncode == -signal.SIGKILL

        asyncio.run(scenario())

    def test_a_failing_command_says_what_and_where(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                with pytest.raises(RemoteError, match=r"box.*sh.*exited with 3.*too bad"):
                    await host.run("sh", "-c", "echo too bad >&2; exit 3")

        asyncio.run(scenario())

    def test_a_command_out_of_time_dies_with_its_children(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                script = "sleep 1000 & echo $! >child; echo $$ >self; wait"
                with pytest.raises(RemoteError, match=r"did not end within 0\.5 s"):
                    await host.run("sh", "-c", script, timeout_s=0.5)
                pids = [int(await host.get("self")), int(await host.get("child"))]
                assert await eventually(lambda: not any(map(alive, pids)))

        asyncio.run(scenario())

    def test_a_cancelled_command_dies(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                await host.run("mkfifo", "up")
                daemon = await host.spawn("cat", "up", name="d", stdout=True)
                lines = daemon.lines()
                running = asyncio.create_task(
                    host.run("sh", "-c", "echo $$ >up; sleep 1000; :", timeout_s=1000)
                )
                pid = int(await anext(lines))
                running.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await running
                assert await eventually(lambda: not alive(pid))

        asyncio.run(scenario())

    def test_a_command_leaves_no_children(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                done = await host.run("sh", "-c", "sleep 1000 & echo $!", timeout_s=10)
                pid = int(done.stdout)
                assert await eventually(lambda: not alive(pid))

        asyncio.run(scenario())

    def test_a_missing_program_is_the_machines_fault(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                for program in ("no-such-program", "/no/such/program", "./absent"):
                    with pytest.raises(MachineError, match=r"no-such-program|such|absent"):
                        await host.run(program)
                    with pytest.raises(MachineError):
                        await host.spawn(program, name="absent")
                assert host.daemons == ()

        asyncio.run(scenario())

    def test_octets_pass_unchanged(self, rig: Rig) -> None:
        async def scenario() -> None:
            octets = bytes(range(256)) * 8192
            async with opened(rig) as host:
                assert (await host.run("cat", stdin=octets)).stdout == octets
                # Not every program reads its input to the end.
                assert (await host.run("true", stdin=octets)).returncode == 0
                assert (await host.run("cat")).stdout == b""

        asyncio.run(scenario())

    def test_arguments_pass_unchanged(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                done = await host.run("sh", "-c", 'printf "%s\\0" "$@"', "sh", *HOSTILE_ARGUMENTS)
                expected = b"".join(
                    text.encode("utf-8", "surrogateescape") + b"\0" for text in HOSTILE_ARGUMENTS
                )
                assert done.stdout == expected
                for argv in (("echo", "a\0b"), (), ("",)):
                    with pytest.raises(LocalError):
                        await host.run(*argv)

        asyncio.run(scenario())

    def test_many_commands_at_once(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                done = await asyncio.gather(*(host.run("echo", str(n)) for n in range(30)))
                assert [int(one.stdout) for one in done] == list(range(30))

        asyncio.run(scenario())

    # Daemons

    def test_a_daemon_converses(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                script = 'echo hello; echo "log of $WHO" >&2; while read x; do echo "<$x>"; done'
                daemon = await host.spawn(
                    "sh", "-c", script, name="echo", env={"WHO": "me"}, stdin=True, stdout=True
                )
                assert isinstance(daemon.pid, int)
                assert (daemon.name, daemon.returncode) == ("echo", None)
                assert host.daemons == (daemon,)
                lines = daemon.lines()
                assert await anext(lines) == b"hello"
                await daemon.write(b"one\ntw")
                await daemon.write(b"o\n")
                assert [await anext(lines), await anext(lines)] == [b"<one>", b"<two>"]
                assert await daemon.log() == b"log of me\n"
                await daemon.stop()
                assert [line async for line in lines] == []

        asyncio.run(scenario())

    def test_a_daemon_without_pipes_logs_both_outputs(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                for turn in ("first", "second"):
                    daemon = await host.spawn(
                        "sh", "-c", f"echo {turn}; echo err >&2; cat; exit 4", name="twice"
                    )
                    assert await daemon.wait() == 4
                    assert await daemon.log() == f"{turn}\nerr\n".encode()
                    with pytest.raises(LocalError):
                        await daemon.write(b"x")
                    with pytest.raises(LocalError):
                        await anext(daemon.lines())

        asyncio.run(scenario())

    def test_a_flood_of_output_waits_for_its_reader(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                daemon = await host.spawn(
                    "seq", "-f", "%02000.0f", "1", "3000", name="flood", stdout=True
                )
                lines = daemon.lines()
                assert int(await anext(lines)) == 1
                # Other work goes on while nobody reads.
                assert (await host.run("echo", "on")).stdout == b"on\n"
                numbers = [int(line) async for line in lines]
                assert numbers == list(range(2, 3001))
                assert await daemon.wait() == 0

        asyncio.run(scenario())

    def test_a_flood_of_input_waits_for_its_reader(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                script = "read go; cat | wc -c"
                daemon = await host.spawn("sh", "-c", script, name="sink", stdin=True, stdout=True)
                writing = asyncio.create_task(daemon.write(b"go\n" + b"x" * 3_000_000))
                await asyncio.wait_for(writing, PATIENCE_S)
                await daemon.signal(signal.SIGKILL)
                assert await daemon.wait() == -signal.SIGKILL
                with pytest.raises(RemoteError, match="sink"):
                    await daemon.write(b"more")

        asyncio.run(scenario())

    def test_stop_is_gentle_first(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                script = "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done"
                daemon = await host.spawn("sh", "-c", script, name="polite", stdout=True)
                lines = daemon.lines()
                assert await anext(lines) == b"up"
                await daemon.stop()
                assert daemon.returncode == 5
                assert await anext(lines) == b"bye"
                assert host.daemons == ()
                await daemon.stop()
                await daemon.signal(signal.SIGTERM)

        asyncio.run(scenario())

    def test_stop_is_certain_in_the_end(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                script = "trap '' TERM; sleep 1000 & echo $!; while :; do wait; done"
                daemon = await host.spawn("sh", "-c", script, name="deaf", stdout=True)
                child = int(await anext(daemon.lines()))
                await daemon.stop(grace_s=0.2)
                assert daemon.returncode == -signal.SIGKILL
                assert await eventually(lambda: not alive(child))

        asyncio.run(scenario())

    def test_a_death_is_noticed(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                dead: asyncio.Queue[Daemon] = asyncio.Queue()
                host.on_death = dead.put_nowait
                stopped = await host.spawn("sleep", "1000", name="stopped")
                killed = await host.spawn("sleep", "1000", name="killed")
                await stopped.stop()
                await killed.signal(signal.SIGKILL)
                first = await asyncio.wait_for(dead.get(), PATIENCE_S)
                assert (first.name, first.returncode) == ("killed", -signal.SIGKILL)
                assert host.daemons == (killed,)
                brief = await host.spawn("sh", "-c", "exit 9", name="brief")
                second = await asyncio.wait_for(dead.get(), PATIENCE_S)
                assert (second.name, second.returncode) == ("brief", 9)
                assert await brief.wait() == 9
                living = await host.spawn("sleep", "1000", name="living")
                await host.close()
                assert living.returncode is not None
                assert dead.empty()

        asyncio.run(scenario())

    def test_a_daemons_name_is_checked(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                for name in ("", "../x", "a/b", "a b", "-x", "x" * 60):
                    with pytest.raises(LocalError):
                        await host.spawn("true", name=name)

        asyncio.run(scenario())

    # Files

    def test_files_come_and_go(self, rig: Rig) -> None:
        async def scenario() -> None:
            octets = bytes(range(256)) * 1000
            async with opened(rig) as host:
                await host.put("conf/deep/file", octets)
                assert await host.get("conf/deep/file") == octets
                assert await host.get(f"{host.workdir}/conf/deep/file") == octets
                await host.put("conf/deep/file", b"", mode=0o640)
                await host.put("script", b"#!/bin/sh\necho it runs\n", mode=0o755)
                shown = await host.run("stat", "-c", "%a", "conf/deep/file", "script")
                assert shown.stdout.split() == [b"640", b"755"]
                await host.put("secret", b"key")
                assert (await host.run("stat", "-c", "%a", "secret")).stdout == b"600\n"
                assert (await host.run("./script")).stdout == b"it runs\n"
                await host.remove("conf")
                await host.remove("conf")
                await host.remove("script")
                with pytest.raises(RemoteError, match=r"box.*conf/deep/file"):
                    await host.get("conf/deep/file")
                left = (await host.run("ls", "-A")).stdout.split()
                assert left == [b"secret"]

        asyncio.run(scenario())

    def test_paths_that_lead_astray_are_refused(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                for path in ("../x", "a/../../x", "", "a\0b"):
                    with pytest.raises(LocalError):
                        await host.put(path, b"")
                    with pytest.raises(LocalError):
                        await host.get(path)
                for path in ("/", ".", host.workdir, os.path.dirname(host.workdir)):
                    with pytest.raises(LocalError):
                        await host.remove(path)
                with pytest.raises(RemoteError, match="box"):
                    await host.put("/proc/no/such", b"")

        asyncio.run(scenario())

    # Control sockets

    def test_datagrams_reach_a_control_socket(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                await host.put("echo.py", ECHO_SERVER.encode())
                server = await host.spawn("python3", "echo.py", "control", name="echo", stdout=True)
                assert await anext(server.lines()) == b"bound"
                first, second = await host.connect("control"), await host.connect("control")
                async with asyncio.timeout(PATIENCE_S):
                    await first.send(b"abc")
                    await second.send(b"\0\xff" * 1000)
                    await first.send(b"xyz")
                    assert await second.receive() == b"\xff\0" * 1000
                    assert [await first.receive(), await first.receive()] == [b"cba", b"zyx"]
                await first.close()
                await first.close()
                await second.close()
                with pytest.raises(RemoteError):
                    await host.connect("nobody")

        asyncio.run(scenario())

    # The end

    def test_close_takes_everything_away(self, rig: Rig) -> None:
        async def scenario() -> None:
            host = await rig.create("box")
            script = "setsid -f sleep 1000; echo up; exec sleep 1000"
            daemon = await host.spawn("sh", "-c", script, name="escaping", stdout=True)
            assert await anext(daemon.lines()) == b"up"
            await host.put("some/file", b"x")
            assert rig.leftovers() != []
            await host.close()
            assert rig.leftovers() == []
            assert not exists(host.workdir)
            await host.close()
            with pytest.raises(LocalError, match="closed"):
                await host.run("true")
            with pytest.raises(LocalError, match="closed"):
                await host.spawn("true", name="late")

        asyncio.run(scenario())

    def test_one_host_a_name(self, rig: Rig) -> None:
        async def scenario() -> None:
            async with opened(rig) as host:
                with pytest.raises(MachineError):
                    await rig.create("box")
                assert (await host.run("pwd")).stdout.decode().strip() == host.workdir

        asyncio.run(scenario())

    def test_a_killed_controller_leaves_nothing(self, rig: Rig) -> None:
        script = CONTROLLER.format(recipe=rig.recipe)
        path = os.pathsep.join((str(REPOSITORY), os.environ.get("PYTHONPATH", "")))
        environment = {**os.environ, "PYTHONPATH": path}
        with subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment
        ) as controller:
            assert controller.stdout is not None
            try:
                words = shlex.split(controller.stdout.readline().decode())
            finally:
                controller.kill()
        workdir, pid = words[0], int(words[1])
        assert asyncio.run(eventually(lambda: rig.leftovers() == []))
        assert not alive(pid)
        assert not exists(workdir)
