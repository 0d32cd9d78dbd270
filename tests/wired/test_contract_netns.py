"""The Host contract on network namespaces, and what is theirs alone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from contract_lab import unique_lab
from contract_rig import REPOSITORY, Rig, alive, eventually
from host_contract import HostContract

from radios.errors import LocalError, MachineError
from rigs.netns import NamespaceHost, command_in
from rigs.sweep import leftovers, sweep

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces take root")

LAB = unique_lab("cn")
RECIPE = f"""
from rigs.netns import NamespaceHost
def create(name):
    return NamespaceHost.create(name, {LAB!r})
"""


@pytest.fixture
def rig() -> Iterator[Rig]:
    yield Rig(lambda name: NamespaceHost.create(name, LAB), lambda: leftovers(LAB), RECIPE)
    assert sweep(LAB) == []


class TestNamespaceHost(HostContract):
    def test_it_has_a_network_of_its_own(self, rig: Rig) -> None:
        async def scenario() -> None:
            host = await NamespaceHost.create("box", LAB)
            try:
                names = (await host.run("ip", "-o", "link")).stdout.decode().splitlines()
                assert len(names) == 1
                assert "lo: <LOOPBACK,UP" in names[0]
                argv = command_in(LAB, "box", "ip", "-o", "link")
                shown = await asyncio.to_thread(subprocess.check_output, argv, text=True)
                assert shown.splitlines() == names
            finally:
                await host.close()

        asyncio.run(scenario())

    def test_daemons_die_even_with_guard_and_controller(self, rig: Rig) -> None:
        """The parent-death signal needs no guard; what the guard would have removed, sweep does."""
        script = f"""
import asyncio, os
{RECIPE}
async def main():
    host = await create("victim")
    daemon = await host.spawn("sh", "-c", "echo up; exec sleep 1000", name="d", stdout=True)
    await anext(daemon.lines())
    print(host._guard.pid, daemon.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        with subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment
        ) as controller:
            assert controller.stdout is not None
            try:
                guard, daemon = map(int, controller.stdout.readline().split())
                os.kill(guard, signal.SIGKILL)
            finally:
                controller.kill()
        assert asyncio.run(eventually(lambda: not alive(daemon)))
        found = sweep(LAB)
        assert f"namespace mpa-{LAB}-victim" in found
        assert f"directory /run/mpa-hil/{LAB}" in found
        assert leftovers(LAB) == []

    def test_sweep_ends_a_living_lab_for_good(self, rig: Rig) -> None:
        """Also its guard, which would else remove the next lab of the same name."""

        async def scenario() -> None:
            first = await NamespaceHost.create("box", LAB)
            daemon = await first.spawn("sleep", "1000", name="d")
            await asyncio.to_thread(sweep, LAB)
            assert await daemon.wait() == -signal.SIGKILL
            second = await NamespaceHost.create("box", LAB)
            await first.close()
            assert (await second.run("echo", "here")).stdout == b"here\n"
            await second.close()

        asyncio.run(scenario())

    def test_sweep_leaves_others_alone(self, rig: Rig) -> None:
        async def scenario() -> None:
            other = await NamespaceHost.create("box", f"{LAB}0")
            try:
                assert sweep(LAB) == []
                assert (await other.run("echo", "here")).stdout == b"here\n"
            finally:
                await other.close()
            assert leftovers(f"{LAB}0") == []

        asyncio.run(scenario())

    @pytest.mark.parametrize(
        ("name", "lab"),
        [("", LAB), ("a/b", LAB), ("-x", LAB), ("a", ""), ("a", "x-y"), ("a", "..")],
        ids=lambda text: text if text != LAB else "lab",  # the same in every test process
    )
    def test_names_are_checked(self, rig: Rig, name: str, lab: str) -> None:
        with pytest.raises(LocalError):
            asyncio.run(NamespaceHost.create(name, lab))

    def test_an_unusable_run_directory_is_told(self, rig: Rig) -> None:
        with pytest.raises(MachineError, match=r"cannot be made"):
            asyncio.run(NamespaceHost.create("box", LAB, "/proc/nowhere"))
        assert leftovers(LAB) == []
