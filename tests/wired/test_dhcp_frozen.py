"""A DHCP client that is frozen for a switch: it hears nothing of the next link, and what it had can
be taken away without it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from services_lab import boxes, needs

from rigs.links import Link
from rigs.services import dhcp_server
from rigs.services.dhcp_server import Advertised, DhcpServerConfig

pytestmark = needs("dnsmasq", "dhcpcd", "unshare")

ROOT = Path(__file__).parents[2]
LINK = Link("router", "mn", "10.93.0.1/24", a_interface="lan", b_interface="eth0")
SERVER = DhcpServerConfig(
    interface="lan",
    subnet="10.93.0.0/24",
    first="10.93.0.100",
    last="10.93.0.110",
    router="10.93.0.1",
    conflict_check=False,
    advertised=Advertised("2001:db8:93::/64"),
)
NODE = """
import asyncio, subprocess, sys
from mpa_hil.agents.dhcp_lease import DhcpLease

def ip(*argv):
    return subprocess.run(["ip", *argv], capture_output=True, text=True, check=True).stdout

def show(what):
    print("=" + what, ip("-o", "address", "show", "dev", "eth0", "scope", "global"),
          ip("route"), ip("-6", "route", "show", "dev", "eth0"), sep="\\n", flush=True)

async def main(how, version, workdir):
    bound = asyncio.Event()
    lease = DhcpLease("eth0", workdir, lambda event: bound.set(), version)
    lease.start(rapid_commit=False)
    async with asyncio.timeout(60):
        await bound.wait()
    show("bound")
    lease.freeze()
    ip("address", "add", "10.94.0.7/24", "dev", "eth0")
    ip("address", "add", "2001:db8:94::7/64", "dev", "eth0", "nodad")
    ip("route", "add", "10.96.0.0/16", "via", "10.94.0.1")
    ip("route", "add", "2001:db8:96::/48", "via", "2001:db8:94::1")
    if how == "thawed":
        lease.thaw()
    async with asyncio.timeout(60):
        await lease.stop()
    assert not lease.running
    show("stopped")

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("version", ["4", "6"])
@pytest.mark.parametrize("how", ["frozen", "thawed"])
def test_its_lease_goes_and_nothing_else(how: str, version: str, tmp_path: Path) -> None:
    async def scenario() -> str:
        async with boxes(LINK) as hosts:
            router = hosts["router"]
            for host in hosts.values():
                setting = "net.ipv6.conf.all.disable_ipv6"
                await host.run("sh", "-c", f"echo 0 >/proc/sys/{setting.replace('.', '/')}")
            await router.run("ip", "address", "add", "2001:db8:93::1/64", "dev", "lan")
            await dhcp_server.start(router, SERVER)
            argv = [sys.executable, "-c", NODE, how, version, str(tmp_path)]
            done = await hosts["mn"].run("env", f"PYTHONPATH={ROOT}", *argv, timeout_s=180)
            return done.stdout.decode()

    told = asyncio.run(scenario())
    before, after = told.split("=bound")[1].split("=stopped")
    prefix, gateway = (
        ("10.93.0.", "default via 10.93")
        if version == "4"
        else (
            "2001:db8:93:",
            "default via fe80",
        )
    )
    assert prefix in before
    assert gateway in before
    assert prefix not in after
    assert gateway not in after, (
        "the other version of IP may have a router by the kernel's own means"
    )
    for kept in ("10.94.0.7", "2001:db8:94::7", "10.96.0.0/16 via", "2001:db8:96::/48 via"):
        assert kept in after
