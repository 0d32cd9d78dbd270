"""Kernel objects on this machine's kernel, in a namespace: those that every kernel has."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")

LEDGER = """
import subprocess, sys
from ipaddress import IPv4Address, IPv4Network
from mpa_hil.kernel.rules import SourceRule
from mpa_hil.kernel.arp import ArpSocket, link_layer_of
from mpa_hil.kernel.netlink import RouteSocket
from mpa_hil.kernel.objects import Address, ProxyNeighbour, Route
from mpa_hil.kernel.state import KernelState

def ip(*argv):
    return subprocess.run(["ip", *argv], capture_output=True, text=True, check=True).stdout

home, net = IPv4Address("10.0.0.100"), IPv4Network("10.7.0.0/16")
before = [ip(*show) for show in (["addr"], ["route"], ["rule"], ["neigh", "show", "proxy"])]
with RouteSocket() as route:
    with KernelState(route) as state:
        kept = Address("v0", IPv4Address("10.0.0.1"), 24)
        objects = [kept, Address("v0", home), Route(net, "v0", IPv4Address("10.0.0.9")),
                   Route(net, "v0", table=434), SourceRule(home, 434, 434),
                   ProxyNeighbour("v0", IPv4Address("10.0.0.50"))]
        for _ in range(2):
            for wanted in objects:
                state.apply(wanted)
        assert kept not in state.objects, "it was there before"
        assert "10.0.0.100/32" in ip("addr")
        assert "via 10.0.0.9" in ip("route", "show", "proto", "109")
        assert "10.7.0.0/16" in ip("route", "show", "table", "434")
        assert "from 10.0.0.100 lookup 434" in ip("rule")
        assert "10.0.0.50" in ip("neigh", "show", "proxy")
        state.apply(Route(net, "v0", IPv4Address("10.0.0.8")))
        assert "via 10.0.0.8" in ip("route") and "10.0.0.9" not in ip("route")
        state.set("net/ipv4/ip_forward", "1")
        with KernelState(route) as other:
            other.apply(SourceRule(home, 434, 434))  # left by a crashed one: taken over
            assert ip("rule").count("lookup 434") == 1
        assert "lookup 434" not in ip("rule")
        state.remove(Route(net, "v0").key)
        state.remove(Route(net, "v0").key)
    after = [ip(*show) for show in (["addr"], ["route"], ["rule"], ["neigh", "show", "proxy"])]
    assert after == before, (before, after)
    assert open("/proc/sys/net/ipv4/ip_forward").read() == sys.argv[1]
    ip("neigh", "add", "10.0.0.7", "lladdr", "02:00:00:00:00:07", "dev", "v0")
    assert link_layer_of(route, "v0", IPv4Address("10.0.0.7")) == bytes.fromhex("020000000007")
    assert link_layer_of(route, "v0", IPv4Address("10.0.0.6")) is None
arp = ArpSocket("v0")
arp.announce(home)
arp.announce(home, bytes.fromhex("020000000007"))
arp.close()
print("ok")
"""


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"mpatest-{os.getpid()}-kernel"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for command in (
            "link add v0 type veth peer name v1",
            "link set v0 up",
            "link set v1 up",
            "addr add 10.0.0.1/24 dev v0",
        ):
            subprocess.run(["ip", "-n", name, *command.split()], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def inside(name: str, *argv: str) -> str:
    done = subprocess.run(
        ["ip", "netns", "exec", name, *argv], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ledger(namespace: str) -> None:
    forwarding = inside(namespace, "cat", "/proc/sys/net/ipv4/ip_forward")
    assert inside(namespace, sys.executable, "-c", LEDGER, forwarding) == "ok\n"


def test_the_kernel_reads_our_filter_as_we_mean_it(namespace: str) -> None:
    """The u32 filter alone, under whatever classful root this kernel has."""
    for kind in ("prio", "htb"):
        command = f"tc qdisc add dev v0 root handle 4d00: {kind}"
        argv = ["ip", "netns", "exec", namespace, *command.split()]
        if subprocess.run(argv, capture_output=True, timeout=60).returncode == 0:
            break
    else:
        pytest.skip("this kernel has neither prio nor htb")
    if kind == "htb":
        classful = "tc class add dev v0 parent 4d00: classid 4d00:2 htb rate 1gbit"
        inside(namespace, *classful.split())
    program = """
from ipaddress import IPv4Address
from mpa_hil.kernel import hold, netlink
import struct
index = netlink.interface_index("v0")
plug = hold.band_messages(index, 2, IPv4Address("192.0.2.7"), 1000, hold.Match.DESTINATION)
messages = plug.install
while struct.unpack_from("=H", messages, 4)[0] != 44:
    messages = messages[struct.unpack_from("=I", messages)[0]:]
with netlink.RouteSocket() as route:
    route.request(messages, "filter")
"""
    inside(namespace, sys.executable, "-c", program)
    shown = inside(namespace, "tc", "filter", "show", "dev", "v0")
    assert "protocol ip pref 2 u32" in shown
    assert "flowid 4d00:2" in shown or "*flowid 4d00:2" in shown
    assert f"match {struct.unpack('!I', bytes((192, 0, 2, 7)))[0]:08x}/ffffffff at 16" in shown
