"""The Host contract on a machine reached over SSH, and what is that kind's alone."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from contract_lab import unique_lab
from contract_rig import Rig, alive, eventually
from far_machine import FarMachine, far_machine, lacking
from host_contract import HostContract

from radios.errors import LocalError, MachineError, RemoteError
from rigs.host import Daemon
from rigs.ssh import SshHost, SshTarget
from rigs.sweep import leftovers, sweep

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking())

LAB = unique_lab("cs")
FAR_LAB = unique_lab("cf")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarMachine]:
    """One sshd for all tests: its loop only keeps it while they run loops of their own."""
    with asyncio.Runner() as runner:
        context = far_machine(FAR_LAB, tmp_path_factory.mktemp("ssh"))
        yield runner.run(context.__aenter__())
        runner.run(context.__aexit__(None, None, None))
    assert leftovers(FAR_LAB) == []


@pytest.fixture
def rig(machine: FarMachine) -> Iterator[Rig]:
    recipe = f"""
from rigs.ssh import SshHost, SshTarget
def create(name):
    return SshHost.create(name, {LAB!r}, {machine.target!r})
"""
    yield Rig(
        lambda name: SshHost.create(name, LAB, machine.target), lambda: leftovers(LAB), recipe
    )
    assert sweep(LAB) == []


def refused(target: SshTarget, kind: type[Exception], match: str) -> None:
    with pytest.raises(kind, match=match):
        asyncio.run(SshHost.create("box", LAB, target))


class TestSshHost(HostContract):
    def test_it_is_elsewhere(self, rig: Rig, machine: FarMachine) -> None:
        async def scenario() -> None:
            host = await rig.create("box")
            try:
                shown = (await host.run("ip", "-o", "address")).stdout.decode()
                assert machine.target.address in shown
            finally:
                await host.close()

        asyncio.run(scenario())

    def test_more_daemons_than_sessions(self, rig: Rig) -> None:
        """The sshd allows two sessions a connection; a lab's box runs more daemons than that."""

        async def scenario() -> None:
            host = await rig.create("box")
            try:
                for number in range(8):
                    await host.spawn("sleep", "1000", name=f"d{number}")
                assert len(host.daemons) == 8
            finally:
                await host.close()

        asyncio.run(scenario())

    def test_a_lost_connection_leaves_nothing(self, rig: Rig, machine: FarMachine) -> None:
        async def scenario() -> None:
            host = await rig.create("box")
            deaths: list[Daemon] = []
            host.on_death = deaths.append
            await host.put("secret", b"key")
            daemon = await host.spawn("sleep", "1000", name="plain", stdout=True)
            script = "setsid -f sleep 1001; trap '' TERM; echo up; while :; do sleep 1; done"
            stubborn = await host.spawn("sh", "-c", script, name="stubborn", stdout=True)
            assert await anext(stubborn.lines()) == b"up"
            running = asyncio.create_task(host.run("sleep", "1002", timeout_s=1000))
            asking = asyncio.create_task(anext(daemon.lines(), None))
            await host.run("true")  # all of them have reached the far end
            assert machine.kill_sessions() > 0
            with pytest.raises(RemoteError, match=r"connection was lost"):
                await running
            assert await asking is None
            assert await eventually(lambda: leftovers(LAB) == [])
            assert {one.name for one in deaths} == {"plain", "stubborn"}
            assert await daemon.wait() == -signal.SIGKILL
            assert not alive(daemon.pid)
            with pytest.raises(RemoteError, match=r"connection was lost"):
                await host.run("true")
            with pytest.raises(RemoteError, match=r"connection was lost"):
                await host.get("secret")
            with pytest.raises(RemoteError, match=r"connection was lost"):
                await host.connect("control")
            await daemon.stop()
            await host.close()

        asyncio.run(scenario())

    def test_a_killed_supervisor_takes_its_daemons_along(
        self, rig: Rig, machine: FarMachine
    ) -> None:
        async def scenario() -> None:
            host = await rig.create("box")
            daemon = await host.spawn("sleep", "1000", name="d")
            await host.put("secret", b"key")
            shown = await host.run("sh", "-c", "echo $PPID")
            with pytest.raises(RemoteError, match=r"connection was lost"):
                await host.run("kill", "-9", shown.stdout.decode().strip())
            await host.close()
            assert await eventually(lambda: not alive(daemon.pid))

        asyncio.run(scenario())
        # What it could not remove, the next run of the lab finds unowned and takes over.
        found = [line for line in leftovers(LAB) if not line.startswith("process")]
        assert found == [f"directory /run/mpa-hil/{LAB}"]

        async def again() -> None:
            host = await rig.create("box")
            assert (await host.run("ls", "-A")).stdout == b""
            await host.close()

        asyncio.run(again())

    def test_what_is_deferred_runs_at_the_end(
        self, rig: Rig, machine: FarMachine, tmp_path: Path
    ) -> None:
        async def scenario(end: Callable[[SshHost], Awaitable[None]], mark: Path) -> None:
            host = await SshHost.create("box", LAB, machine.target)
            script = f"echo first >>{mark}\n"
            await host.defer("sh", "-s", stdin=script.encode())
            await host.defer("no-such-program")
            await host.defer("sh", "-c", f"cat >>{mark}", stdin=b"second\n")
            await end(host)
            assert await eventually(lambda: leftovers(LAB) == [])

        async def lose(host: SshHost) -> None:
            machine.kill_sessions()
            await host.close()

        for end, mark in ((SshHost.close, tmp_path / "closed"), (lose, tmp_path / "lost")):
            asyncio.run(scenario(end, mark))
            assert mark.read_text() == "second\nfirst\n"

    # Errors at the beginning

    def test_nobody_there(self, rig: Rig, machine: FarMachine) -> None:
        target = dataclasses.replace(machine.target, port=machine.target.port + 1)
        refused(target, MachineError, r"box \(root@.*cannot be reached.*\n.*remedy")

    def test_no_way_there(self, rig: Rig, machine: FarMachine) -> None:
        # The /30's own network address: nobody answers for it.
        octets = machine.target.address.split(".")
        address = ".".join([*octets[:3], str(int(octets[3]) - 2)])
        target = dataclasses.replace(machine.target, address=address, connect_timeout_s=1.0)
        refused(target, MachineError, r"cannot be reached")

    def test_another_machine_answers(self, rig: Rig, machine: FarMachine) -> None:
        target = dataclasses.replace(
            machine.target, known_hosts=str(machine.folder / "wrong_hosts")
        )
        refused(target, MachineError, r"host key is not the one in")

    def test_an_unknown_machine_is_not_trusted(self, rig: Rig, machine: FarMachine) -> None:
        (machine.folder / "no_hosts").write_text("")
        target = dataclasses.replace(machine.target, known_hosts=str(machine.folder / "no_hosts"))
        refused(target, MachineError, r"host key is not the one in")

    def test_a_refused_key(self, rig: Rig, machine: FarMachine) -> None:
        target = dataclasses.replace(machine.target, keys=(str(machine.folder / "other_key"),))
        refused(target, MachineError, r"refused our key(.|\n)*ssh-copy-id")

    def test_files_that_are_not_there(self, rig: Rig, machine: FarMachine) -> None:
        missing = str(machine.folder / "missing")
        target = dataclasses.replace(machine.target, keys=(missing,))
        refused(target, LocalError, "missing cannot be read")
        target = dataclasses.replace(machine.target, known_hosts=missing)
        refused(target, LocalError, "missing cannot be read")
        target = dataclasses.replace(machine.target, keys=(str(machine.folder / "sshd_config"),))
        refused(target, LocalError, "key")

    def test_no_python_there(self, rig: Rig, machine: FarMachine) -> None:
        target = dataclasses.replace(machine.target, python="no-such-python")
        refused(target, MachineError, r"no-such-python is not installed there")

    def test_no_supervisor_there(self, rig: Rig, machine: FarMachine) -> None:
        target = dataclasses.replace(machine.target, become=("sh", "-c", "echo sorry >&2; exit 1"))
        refused(target, MachineError, r"did not start there: sorry")

    def test_noise_before_the_first_word_is_skipped(self, rig: Rig, machine: FarMachine) -> None:
        async def scenario() -> None:
            become = ("sh", "-c", 'echo "Welcome!"; exec "$@"', "sh")
            target = dataclasses.replace(machine.target, become=become)
            host = await SshHost.create("box", LAB, target)
            assert (await host.run("echo", "hi")).stdout == b"hi\n"
            await host.close()

        asyncio.run(scenario())
