"""The hold server as a process, with the kernel's real plug between two namespaces.

ar (10.1.0.1) ---- 10.1.0.0/24 ---- mn (10.1.0.7, and 10.1.0.8 for a neighbour)
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from agent_boxes import PATIENCE_S, Agent, Boxes, run

from mpa_hil.agents.hold_protocol import HoldClient, HoldMessage, Outcome

MN, NEIGHBOUR, ROUTER = (IPv4Address(text) for text in ("10.1.0.7", "10.1.0.8", "10.1.0.1"))
KEY = "30313233343536373839616263646566"
SERVER = (str(ROUTER), 4340)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")


class Lab(Boxes):
    """An access router and the node behind it."""

    def __init__(self, folder: Path) -> None:
        super().__init__("ar", "mn")
        self._folder = folder

    def __enter__(self) -> Lab:
        super().__enter__()
        self.link("ar", "lan", "10.1.0.1/24", "mn", "wlan", "10.1.0.7/24")
        self.ip("mn", "addr", "add", "10.1.0.8/24", "dev", "wlan")
        return self

    def agent(self, **changes: object) -> Agent:
        config = {
            "host": "ar",
            "bind": str(ROUTER),
            "interface": "lan",
            "nodes": [{"address": str(MN), "key": KEY, "limit_octets": 65536}],
            **changes,
        }
        path = self._folder / "hold.json"
        path.write_text(json.dumps(config))
        return Agent(self.spawn("ar", "-m", "mpa_hil.agents.hold", str(path)), secret=KEY)

    def qdiscs(self) -> str:
        return run(*self.inside("ar", "tc", "qdisc", "show", "dev", "lan"))

    def has_plug(self) -> bool:
        """Whether this kernel has prio and plug (it may have to load the modules)."""
        tc = self.inside("mn", "tc", "qdisc")
        for words in ("add dev lo root handle 1: prio", "add dev lo parent 1:1 plug limit 9"):
            if subprocess.run([*tc, *words.split()], capture_output=True, timeout=60).returncode:
                return False
        run(*tc, "del", "dev", "lo", "root")
        return True


class Traffic:
    """Numbered datagrams from the router to the node and its neighbour."""

    def __init__(self, lab: Lab) -> None:
        self._out = lab.socket("ar", ROUTER)
        self._in = {address: lab.socket("mn", address) for address in (MN, NEIGHBOUR)}
        self._sent = 0

    def send(self, count: int, address: IPv4Address = MN) -> list[bytes]:
        numbers = [str(self._sent + n).encode() for n in range(count)]
        self._sent += count
        for number in numbers:
            self._out.sendto(number, self._in[address].getsockname())
        return numbers

    def received(self, count: int = 0, address: IPv4Address = MN) -> list[bytes]:
        """What has arrived, once it is `count` datagrams at least.

        A busy machine may deliver a moment after the sender's call, in ksoftirqd.
        """
        found = []
        endpoint = self._in[address]
        endpoint.settimeout(PATIENCE_S)
        while len(found) < count:
            found.append(endpoint.recv(2048))
        endpoint.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(endpoint.recv(2048))
        return found

    def held(self) -> bool:
        """Whether nothing has arrived for the node, while its neighbour gets what is sent later."""
        return self.send(5, NEIGHBOUR) == self.received(5, NEIGHBOUR) and not self.received()


class Client:
    """The node's end on a real socket."""

    def __init__(self, lab: Lab) -> None:
        self.client = HoldClient(MN, bytes.fromhex(KEY), time.time_ns())
        self._socket = lab.socket("mn", MN)

    def ask(self, datagram: bytes) -> HoldMessage:
        self._socket.sendto(datagram, SERVER)
        reply = self.client.acknowledgement(self._socket.recv(2048), datagram)
        assert reply is not None
        return reply


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as standing:
        yield standing


@pytest.fixture
def plugged(lab: Lab) -> Lab:
    if not lab.has_plug():
        pytest.skip("this kernel has no prio or plug queueing discipline: run it in the guest")
    return lab


def test_hold_and_release(plugged: Lab) -> None:
    """Nothing arrives while held, everything in order afterwards, and a neighbour feels nothing."""
    before = plugged.qdiscs()
    agent, traffic, node = plugged.agent(), Traffic(plugged), Client(plugged)
    agent.event("hold.ready")
    assert traffic.send(3) == traffic.received(3), "a new plug lets packets pass"
    for _ in range(3):
        prepared = node.client.prepare()
        assert node.ask(prepared.hold).code == Outcome.DONE
        assert agent.event("hold.started")["address"] == str(MN)
        held = traffic.send(50)
        assert traffic.held()
        agent.command(cmd="backlog")
        assert agent.event("hold.backlog")["packets"] == 50
        assert node.ask(prepared.release).code == Outcome.DONE
        assert traffic.received(50) == held
        released = agent.event("hold.released")
        assert (released["held_packets"], released["dropped_packets"]) == (50, 0)
        assert released["cause"] == "request"
        print("answered within", released["answer_ns"], "ns")
    assert agent.end() == 0
    assert plugged.qdiscs() == before


def test_a_hold_ends_by_itself(plugged: Lab) -> None:
    agent, traffic, node = plugged.agent(), Traffic(plugged), Client(plugged)
    agent.event("hold.ready")
    reply = node.ask(node.client.prepare(hold_ms=300).hold)
    assert reply.hold_ms == 300
    agent.event("hold.started")
    held = traffic.send(5)
    assert traffic.held()
    released = agent.event("hold.released")
    assert released["cause"] == "limit"
    assert traffic.received(5) == held
    held_ns = released["held_ns"]
    assert isinstance(held_ns, int)
    assert held_ns >= 300_000_000


def test_the_limit_drops_and_counts(plugged: Lab) -> None:
    node = {"address": str(MN), "key": KEY, "limit_octets": 500}
    agent, traffic = plugged.agent(nodes=[node]), Traffic(plugged)
    agent.event("hold.ready")
    agent.command(cmd="hold")
    agent.event("hold.started")
    sent = traffic.send(50)
    agent.command(cmd="release")
    released = agent.event("hold.released")
    (held, dropped) = (released["held_packets"], released["dropped_packets"])
    assert isinstance(held, int)
    assert 0 < held < 50
    assert dropped == 50 - held
    assert traffic.received(held) == sent[:held]


def test_nodes_come_and_go(plugged: Lab) -> None:
    agent, traffic = plugged.agent(nodes=[]), Traffic(plugged)
    agent.event("hold.ready")
    agent.command(cmd="add", address=str(MN), key=KEY)
    agent.command(cmd="hold", address=str(MN))
    agent.event("hold.started")
    held = traffic.send(4)
    agent.command(cmd="remove", address=str(MN))
    assert agent.event("hold.released")["cause"] == "removal"
    assert traffic.received(4) == held
    agent.command(cmd="hold", address=str(MN))
    assert "no such node" in str(agent.event("agent.refused")["reason"])
    agent.command(cmd="add", address=str(MN), key=KEY)
    agent.command(cmd="backlog")
    agent.event("hold.backlog")


def test_killed_while_holding(plugged: Lab) -> None:
    """SIGKILL of the agent: the guardian lets the packets go and the interface is as before."""
    before = plugged.qdiscs()
    agent, traffic, node = plugged.agent(), Traffic(plugged), Client(plugged)
    agent.event("hold.ready")
    node.ask(node.client.prepare().hold)
    agent.event("hold.started")
    held = traffic.send(7)
    assert traffic.held()
    monitor = subprocess.Popen(
        plugged.inside("ar", "tc", "monitor"), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    try:
        agent.process.kill()
        agent.process.wait(PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        assert monitor.stdout is not None
        while plugged.qdiscs() != before:
            ready, _, _ = select.select([monitor.stdout], [], [], deadline - time.monotonic())
            assert ready, "the guardian did nothing"
            os.read(monitor.stdout.fileno(), 65536)
    finally:
        monitor.kill()
        monitor.communicate()
    assert traffic.received(7) == held


def test_an_uncaring_world(plugged: Lab) -> None:
    """Garbage, a wrong key and a replay change nothing; a repeated request is answered again."""
    agent, traffic, node = plugged.agent(), Traffic(plugged), Client(plugged)
    agent.event("hold.ready")
    stranger = plugged.socket("mn", NEIGHBOUR)
    wrong = HoldClient(MN, b"x" * 16, 1 << 62).prepare()
    for datagram in (b"", b"MPAH", wrong.hold):
        stranger.sendto(datagram, SERVER)
        agent.event("hold.discarded")
    prepared = node.client.prepare()
    first = node.ask(prepared.hold)
    agent.event("hold.started")
    assert node.ask(prepared.hold) == first
    node.ask(prepared.release)
    agent.event("hold.released")
    stranger.sendto(prepared.hold, SERVER)
    assert "replayed" in str(agent.event("hold.discarded")["reason"])
    assert traffic.send(3) == traffic.received(3)


def test_somebody_elses_queueing_is_left_alone(plugged: Lab) -> None:
    run(*plugged.inside("ar", "tc", "qdisc", "add", "dev", "lan", "root", "handle", "7:", "prio"))
    agent = plugged.agent()
    assert "already" in str(agent.event("agent.failed")["error"])
    assert agent.process.wait(PATIENCE_S) == 2
    assert "prio 7:" in plugged.qdiscs()


def test_a_kernel_without_plug_says_so(lab: Lab) -> None:
    if lab.has_plug():
        pytest.skip("this kernel has prio and plug: nothing refuses")
    agent = lab.agent()
    failed = agent.event("agent.failed")
    assert "modprobe" in str(failed["remedy"])
    assert agent.process.wait(PATIENCE_S) == 3


def test_bad_configuration(lab: Lab) -> None:
    for changes, text in (
        ({"nodes": [{"address": "x", "key": KEY}]}, "no IPv4 address"),
        ({"nodes": [{"address": str(MN), "key": "00"}]}, "fewer than 16"),
        ({"interfaces": "lan"}, "not known"),
    ):
        agent = lab.agent(**changes)
        assert text in str(agent.event("agent.failed")["error"])
        assert agent.process.wait(PATIENCE_S) == 2


def test_sockets_are_where_they_should_be(lab: Lab) -> None:
    """The test's own ground: a datagram really crosses from one namespace to the other."""
    traffic = Traffic(lab)
    assert traffic.send(2) == traffic.received(2)
    with pytest.raises(OSError, match="assign"), socket.socket(type=socket.SOCK_DGRAM) as here:
        here.bind((str(MN), 0))
