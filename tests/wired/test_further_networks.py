"""What a mobile node's kernel has after moving on from one prepared network to a further one, and
back: always what the present one needs, on this machine's kernel, in a namespace."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")

MOVES = """
import subprocess
from ipaddress import ip_address, ip_interface
from mpa_hil.kernel.netlink import RouteSocket
from mpa_hil.kernel.node_tunnel import NextNetwork, NodeTunnel
from mpa_hil.kernel.state import KernelState
from mpa_hil.kernel.tunnel_plan import Plain, TunnelPlan

MAC = bytes.fromhex("020000000001")

def ip(*argv):
    return subprocess.run(["ip", *argv], capture_output=True, text=True, check=True).stdout

def end(state, address, router):
    network = NextNetwork(ip_interface(address), ip_address(router), MAC)
    outer = ip_address("10.9.0.1"), ip_address("10.9.0.2")
    inner = (network.address.ip,)
    plan = TunnelPlan("mpapht", *outer, inner, Plain(), 1400, 1 << 20)
    return NodeTunnel(state, plan, "v0", (network,))

def there(address, router):
    version = "-6" if ":" in address else "-4"
    routes = ip(version, "route", "show", "default")
    assert routes.count("default") == 1, routes
    assert f"via {router} " in routes, routes
    assert address in ip("addr"), address

def gone(address):
    assert f" {address}/" not in ip("addr"), address

def moves(first, second):
    with RouteSocket() as route, KernelState(route) as state:
        a, b = end(state, *first), end(state, *second)
        a.stand()
        there(*first)
        b.stand()
        there(*second)
        a.stand()  # it did not come to that after all
        b.remove()
        there(*first)
        gone(second[0].partition("/")[0])
        b.stand()
        a.remove()
        a.remove()
        there(*second)
        gone(first[0].partition("/")[0])
        b.remove()
        gone(second[0].partition("/")[0])
    assert "default" not in ip("-4", "route") + ip("-6", "route")

moves(("10.1.0.7/24", "10.1.0.1"), ("10.2.0.7/24", "10.2.0.1"))
moves(("fd00:1::7/64", "fe80::1"), ("fd00:2::7/64", "fe80::2"))
print("ok")
"""


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"mpatest-{os.getpid()}-further"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for command in (
            "link add v0 type veth peer name v1",
            "link set v0 up",
            "link set v1 up",
        ):
            subprocess.run(["ip", "-n", name, *command.split()], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def test_on_and_back(namespace: str) -> None:
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, sys.executable, "-c", MOVES],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ok\n"
