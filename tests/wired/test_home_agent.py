"""The home agent as a process in a namespace, with real sockets, and where it can be, real tunnels.

    cn ---- home link (10.0.0.0/24) ---- ha ---- 192.0.2.0/24 ---- mn

The machines' clocks are this machine's. The test itself plays the mobile node's agent: it holds a
socket that was opened inside the node's namespace.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from agent_boxes import PATIENCE_S, Agent, Boxes, run

from mpa_hil.mobility.interface import (
    Deregistered,
    Discarded,
    Endpoint,
    Instant,
    MobileOutput,
    Registered,
    Rejected,
    Send,
)
from mpa_hil.mobility.mip4.authentication import SecurityAssociation
from mpa_hil.mobility.mip4.mobile_node import MobileNode

HOME, AGENT, CN = (IPv4Address(text) for text in ("10.0.0.100", "10.0.0.1", "10.0.0.2"))
COA_A, COA_B = IPv4Address("192.0.2.7"), IPv4Address("192.0.2.8")
KEY = "30313233343536373839616263646566"
SA = SecurityAssociation(256, bytes.fromhex(KEY))

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")

MOBILE_PATH = """
import sys
from ipaddress import IPv4Address
from mpa_hil.kernel.mobile_ip import MobileNodePath
from mpa_hil.kernel.netlink import RouteSocket
from mpa_hil.kernel.state import KernelState
with RouteSocket() as route, KernelState(route) as state:
    path = MobileNodePath(state, IPv4Address("10.0.0.100"), IPv4Address("10.0.0.1"))
    for line in sys.stdin:
        if line.strip():
            path.stage(IPv4Address(line.strip()))
            path.turn(IPv4Address(line.strip()))
        else:
            path.detach()
        print("done", flush=True)
"""


class Lab(Boxes):
    """Correspondent, home agent and mobile node."""

    def __init__(self, folder: Path) -> None:
        super().__init__("cn", "ha", "mn")
        self._folder = folder

    def __enter__(self) -> Lab:
        super().__enter__()
        self.link("cn", "home", "10.0.0.2/24", "ha", "home", "10.0.0.1/24")
        self.link("ha", "wan", "192.0.2.1/24", "mn", "wlan", "192.0.2.7/24")
        self.ip("mn", "addr", "add", "192.0.2.8/24", "dev", "wlan")
        self.ip("mn", "route", "add", "default", "via", "192.0.2.1")
        return self

    def agent(self, **changes: object) -> Agent:
        config = {
            "host": "ha",
            "address": str(AGENT),
            "home_interface": "home",
            "mobile_nodes": [{"home_address": str(HOME), "spi": 256, "key": KEY}],
            **changes,
        }
        path = self._folder / "ha.json"
        path.write_text(json.dumps(config))
        return Agent(self.spawn("ha", "-m", "mpa_hil.agents.home_agent", str(path)), secret=KEY)


class Node:
    """The mobile node's agent, as far as this test needs one."""

    def __init__(self, lab: Lab, association: SecurityAssociation = SA) -> None:
        self._lab = lab
        self._sockets: dict[IPv4Address, socket.socket] = {}
        self.machine = MobileNode(home_address=HOME, home_agent=AGENT, association=association)

    def exchange(self, outputs: tuple[MobileOutput, ...]) -> MobileOutput:
        """Send what is to be sent and return what becomes of the reply."""
        (send,) = outputs
        assert isinstance(send, Send)
        assert isinstance(send.source, IPv4Address)
        if send.source not in self._sockets:
            self._sockets[send.source] = self._lab.socket("mn", send.source)
        udp = self._sockets[send.source]
        udp.sendto(send.datagram, (str(send.destination.address), send.destination.port))
        reply, (address, port) = udp.recvfrom(2048)
        (result,) = self.machine.receive(reply, Endpoint(IPv4Address(address), port), now())
        return result


def now() -> Instant:
    return Instant(time.monotonic_ns(), time.time_ns())


def have_ipip() -> bool:
    """Whether this kernel can make an IP-in-IP device (it may have to load the module)."""
    name = f"mpaprobe{os.getpid() % 100000}"
    remote = ("local", "127.0.0.1", "remote", "127.0.0.2")
    made = subprocess.run(
        ["ip", "link", "add", name, "type", "ipip", *remote], capture_output=True, timeout=60
    )
    if made.returncode == 0:
        run("ip", "link", "del", name)
    return made.returncode == 0


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as standing:
        yield standing


def test_signalling(lab: Lab) -> None:
    agent, node = lab.agent(data_path="none"), Node(lab)
    agent.event("mip4.ready")
    registered = node.exchange(node.machine.register(COA_A, now()))
    assert isinstance(registered, Registered)
    assert registered.code == 1
    added = agent.event("mip4.binding")
    assert (added["change"], added["care_of"], added["lifetime_s"]) == ("added", str(COA_A), 1800)
    assert isinstance(node.exchange(node.machine.register(COA_B, now())), Registered)
    changed = agent.event("mip4.binding")
    assert (changed["change"], changed["previous"]) == ("changed", str(COA_A))
    assert isinstance(node.exchange(node.machine.deregister(now())), Deregistered)
    assert agent.event("mip4.binding")["reason"] == "deregistered"
    assert agent.end() == 0
    agent.event("agent.stopped")


def test_forgery_and_garbage(lab: Lab) -> None:
    agent = lab.agent(data_path="none")
    agent.event("mip4.ready")
    forger = Node(lab, SecurityAssociation(256, b"x" * 16))
    answer = forger.exchange(forger.machine.register(COA_A, now()))
    assert isinstance(answer, Discarded), "the denial is signed with the real key"
    assert agent.event("mip4.refused")["code"] == 131
    udp = lab.socket("mn", COA_A)
    udp.sendto(b"\1\2\3", (str(AGENT), 434))
    agent.event("mip4.discarded")
    assert agent.process.stdin is not None
    agent.process.stdin.write(b'{"cmd": "bindings"}\nnonsense\n{"cmd": "jump"}\n')
    agent.process.stdin.flush()
    assert agent.event("mip4.bindings")["bindings"] == {}
    assert "JSON" in str(agent.event("agent.refused")["reason"])
    assert agent.event("agent.refused")["command"] == "jump"
    agent.process.send_signal(signal.SIGTERM)
    assert agent.process.wait(PATIENCE_S) == 0
    agent.event("agent.stopped")


def test_expiry_is_reported(lab: Lab) -> None:
    agent, node = lab.agent(data_path="none", maximum_lifetime_s=1), Node(lab)
    agent.event("mip4.ready")
    registered = node.exchange(node.machine.register(COA_A, now()))
    assert isinstance(registered, Registered)
    assert registered.lifetime_s == 1.0
    agent.event("mip4.binding")
    assert agent.event("mip4.binding")["reason"] == "expired"


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"address": "10.9.9.9"}, 3, "cannot be bound"),
        ({"addres": "10.0.0.1"}, 2, "not known"),
        ({"mobile_nodes": []}, 2, "nobody to serve"),
        (
            {"mobile_nodes": [{"home_address": "10.0.0.100", "spi": 9, "key": KEY}]},
            2,
            "not between",
        ),
        ({"home_interface": "nowhere", "data_path": "kernel"}, 3, "no packet socket"),
    ],
)
def test_bad_configuration(lab: Lab, changes: dict[str, object], status: int, text: str) -> None:
    agent = lab.agent(**{"data_path": "none", **changes})
    assert text in str(agent.event("agent.failed")["error"])
    assert agent.process.wait(PATIENCE_S) == status


def test_a_kernel_that_refuses_is_code_130(lab: Lab) -> None:
    """The acceptance is not sent when the tunnel could not be made, and the kernel is clean."""
    if have_ipip():
        pytest.skip("this kernel has ipip: nothing refuses")
    agent, node = lab.agent(), Node(lab)
    agent.event("mip4.ready")
    rejected = node.exchange(node.machine.register(COA_A, now()))
    assert isinstance(rejected, Rejected)
    assert rejected.code == 130
    assert "modprobe ipip" in str(agent.event("mip4.kernel_failed")["error"])
    assert agent.end() == 0
    assert "proxy" not in lab.ip("ha", "neigh", "show", "proxy")


def test_tunnels(lab: Lab) -> None:
    """A ping to the home address reaches the node wherever it is, and nothing stays behind."""
    if not have_ipip():
        pytest.skip("this kernel has no ipip (IP-in-IP tunnels): run it in the guest")
    before = [lab.ip("ha", *show) for show in SHOWS]
    mobile_before = [lab.ip("mn", *show) for show in SHOWS]
    agent, node = lab.agent(), Node(lab)
    agent.event("mip4.ready")
    path = lab.spawn("mn", "-c", MOBILE_PATH)

    def attach(care_of: str) -> None:
        assert path.stdin is not None
        assert path.stdout is not None
        path.stdin.write(f"{care_of}\n".encode())
        path.stdin.flush()
        assert path.stdout.readline() == b"done\n"

    def ping() -> None:
        run(*lab.inside("cn", "ping", "-c", "3", "-i", "0.2", "-W", "5", str(HOME)))

    for care_of, change in ((COA_A, "added"), (COA_B, "changed"), (COA_A, "changed")):
        attach(str(care_of))
        assert isinstance(node.exchange(node.machine.register(care_of, now())), Registered)
        assert agent.event("mip4.binding")["change"] == change
        way = lab.ip("ha", "route", "get", str(HOME))
        tunnel = next(word for word in way.split() if word.startswith("mpah0a000064"))
        assert f"remote {care_of}" in lab.ip("ha", "-d", "link", "show", tunnel)
        ping()
    assert str(HOME) in lab.ip("ha", "neigh", "show", "proxy")
    home_mac = lab.ip("ha", "-o", "link", "show", "dev", "home").split("link/ether ")[1].split()[0]
    assert home_mac in lab.ip("cn", "neigh", "show", str(HOME)), "proxy ARP answered"
    full = run(*lab.inside("cn", "ping", "-c", "1", "-s", "1400", "-W", "5", str(HOME)))
    assert "1 received" in full
    assert isinstance(node.exchange(node.machine.deregister(now())), Deregistered)
    assert agent.event("mip4.binding")["change"] == "removed"
    attach("")
    node.exchange(node.machine.register(COA_B, now()))
    assert agent.event("mip4.binding")["change"] == "added"
    assert agent.end() == 0
    assert [lab.ip("ha", *show) for show in SHOWS] == before, "bound or not, all is taken away"
    assert [lab.ip("mn", *show) for show in SHOWS] == mobile_before


SHOWS = (
    ("-o", "-4", "addr", "show", "up"),
    ("-4", "route", "show", "table", "all"),
    ("rule", "show"),
    ("neigh", "show", "proxy"),
)
