"""The check of the advertised prefix after arrival, against a router's packets on a veth pair."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")

CHECK = """
import asyncio, socket, sys
from ipaddress import IPv6Address, IPv6Network
from mpa_hil.agents.prefix_check import PrefixCheck
from mpa_hil.kernel.neighbour_discovery import (
    ALL_NODES, Prefix, RouterAdvertisement, link_local, packet)

ROUTER, NODE = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
life_s, networks, address = int(sys.argv[1]), sys.argv[2].split(), IPv6Address(sys.argv[3])
prefixes = tuple(Prefix(IPv6Network(each), 600, 600) for each in networks)
said = packet(link_local(ROUTER), ALL_NODES, RouterAdvertisement(life_s, prefixes).encode())

async def main():
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    router = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    router.bind(("v1", 0x86DD))
    asked, results = 0, []
    def answer():
        nonlocal asked
        octets, (_, _, direction, *_) = router.recvfrom(2048)
        if direction != socket.PACKET_OUTGOING and octets[6:12] == NODE and octets[54] == 133:
            asked += 1
            if networks:
                router.send(bytes.fromhex("333300000001") + ROUTER + b"\\x86\\xdd" + said)
    loop.add_reader(router, answer)
    def end(other):
        results.append(other)
        ended.set()
    check = PrefixCheck("v0", NODE, address, end)
    async with asyncio.timeout(20):
        await ended.wait()
    check.close()
    print(len(results), asked > 0, asked, results[0], sep="|")

asyncio.run(main())
"""


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"mpatest-{os.getpid()}-prefix"
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


@pytest.mark.parametrize(
    ("life_s", "networks", "address", "verdict"),
    [
        (600, "2001:db8:2::/64", "2001:db8:2::7", ""),
        (600, "2001:db8:9::/64 2001:db8:2::/64", "2001:db8:2::7", ""),
        (600, "2001:db8:9::/64", "2001:db8:2::7", "2001:db8:9::/64"),
        (0, "2001:db8:9::/64", "2001:db8:2::7", ""),
        (600, "", "2001:db8:2::7", ""),
    ],
    ids=["the prefix", "one of two", "another", "no router", "silence"],
)
def test_the_prefix_that_is_advertised(
    namespace: str, life_s: int, networks: str, address: str, verdict: str
) -> None:
    """R54: the same prefix, nothing is acquired anew; another, and the address is of no use."""
    done = subprocess.run(
        [
            *("ip", "netns", "exec", namespace),
            *(sys.executable, "-c", CHECK, str(life_s), networks, address),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ends, heard, asked, told = done.stdout.rstrip("\n").split("|")
    assert (ends, told) == ("1", verdict)
    assert heard == "True", "the router was asked"
    if not life_s or not networks:
        assert int(asked) == 3, "asked as often as it may be, and then believed"
