"""The agent that makes faults in a box's messages, on real packets between two boxes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from agent_boxes import Agent, Boxes

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")

NODE, ROUTER = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
QUEUES = (
    "from mpa_hil.kernel.packet_queue import *;PacketQueue((Selection('in', 'udp', 'source', 9),))"
)
LATE_MS = 300


class Wire:
    """A node's socket, a router's, and the agent at the router."""

    def __init__(self, boxes: Boxes, folder: Path) -> None:
        boxes.link("node", "near", f"{NODE}/24", "router", "far", f"{ROUTER}/24")
        self.boxes = boxes
        self.node, self.router = boxes.socket("node", NODE), boxes.socket("router", ROUTER)
        self.port = self.router.getsockname()[1]
        config = folder / "faults.json"
        config.write_text(json.dumps({"host": "router"}))
        process = boxes.spawn("router", "-m", "mpa_hil.agents.faults", str(config))
        self.agent = Agent(process)
        self.agent.event("fault.ready")

    def arm(self, what: str, *, hook: str = "in", **more: object) -> None:
        sought = {
            "hook": hook,
            "transport": "udp",
            "end": "destination" if hook == "in" else "source",
            "port": self.port,
            "form": more.pop("form", ["0 255 109"]),  # begins with m
            "after": more.pop("after", []),
        }
        self.agent.command(cmd="arm", signal=sought, what=what, **more)
        self.agent.event("fault.armed")

    def send(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self.node.sendto(datagram, (str(ROUTER), self.port))

    def got(self, count: int) -> list[bytes]:
        return [self.router.recv(99) for _ in range(count)]


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    asked = subprocess.run(
        ("unshare", "-n", sys.executable, "-c", QUEUES), capture_output=True, timeout=60
    )
    if asked.returncode:
        pytest.skip("this kernel queues no packets for user space (nft_queue): run it in the guest")
    with Boxes("node", "router") as boxes:
        yield Wire(boxes, tmp_path_factory.mktemp("faults"))


def test_what_is_not_meant_passes(wire: Wire) -> None:
    wire.arm("lose")
    wire.send(b"other", b"")
    assert wire.got(2) == [b"other", b""]


def test_one_is_lost_and_the_next_passes(wire: Wire) -> None:
    wire.arm("lose")
    wire.send(b"m1", b"m2")
    assert wire.agent.event("fault.injected")["octets"] == 2
    assert wire.got(1) == [b"m2"]


def test_the_second_and_the_third_are_lost(wire: Wire) -> None:
    wire.arm("lose", skip=1, times=2)
    wire.send(b"m1", b"m2", b"m3", b"m4")
    assert wire.got(2) == [b"m1", b"m4"]
    for _ in range(2):
        wire.agent.event("fault.injected")


def test_one_comes_twice(wire: Wire) -> None:
    wire.arm("duplicate")
    wire.send(b"m1", b"m2")
    assert sorted(wire.got(3)) == [b"m1", b"m1", b"m2"]
    wire.agent.event("fault.injected")


def test_one_is_spoilt(wire: Wire) -> None:
    wire.arm("corrupt")
    wire.send(b"m1", b"m2")
    assert wire.got(2) == [b"m" + bytes((ord("1") ^ 255,)), b"m2"]
    wire.agent.event("fault.injected")


def test_one_is_late(wire: Wire) -> None:
    wire.arm("delay", for_ms=LATE_MS)
    wire.send(b"m1", b"m2")
    assert wire.got(2) == [b"m2", b"m1"]
    wire.agent.event("fault.injected")


def test_one_waits_for_the_controller(wire: Wire) -> None:
    wire.arm("wait")
    wire.send(b"m1", b"m2")
    wire.agent.event("fault.injected")
    assert wire.got(1) == [b"m2"]
    wire.agent.command(cmd="release")
    assert wire.got(1) == [b"m1"]


def test_an_answer_is_lost_once_the_question_was_seen(wire: Wire) -> None:
    wire.arm("lose", hook="out", form=["0 255 97"], after=["0 255 113"])
    back = wire.node.getsockname()
    wire.router.sendto(b"a1", back)
    assert wire.node.recv(99) == b"a1"
    wire.send(b"q")
    assert wire.got(1) == [b"q"]
    wire.router.sendto(b"a2", back)
    wire.agent.event("fault.injected")
    wire.router.sendto(b"a3", back)
    assert wire.node.recv(99) == b"a3"


def test_a_process_dies_before_the_message_reaches_it(wire: Wire) -> None:
    victim = subprocess.Popen(("sleep", "1000"))
    wire.arm("kill", pids=[victim.pid])
    wire.send(b"m1")
    wire.agent.event("fault.injected")
    assert victim.wait(20) == -signal.SIGKILL
    assert wire.got(1) == [b"m1"]


def test_a_process_stops_for_a_while(wire: Wire) -> None:
    victim = subprocess.Popen(("sleep", "1000"))
    wire.arm("stop", pids=[victim.pid], for_ms=LATE_MS)
    wire.send(b"m1")
    wire.agent.event("fault.injected")
    for wanted in (os.CLD_STOPPED, os.CLD_CONTINUED):
        seen = os.waitid(os.P_PID, victim.pid, os.WSTOPPED | os.WCONTINUED)
        assert seen is not None
        assert seen.si_code == wanted
    victim.kill()
    victim.wait(20)
    assert wire.got(1) == [b"m1"]


def test_with_the_agent_its_rules_go(wire: Wire) -> None:
    """The last test: the agent is killed while it holds a message."""
    wire.arm("wait", times=1000)
    wire.send(b"m1")
    wire.agent.event("fault.injected")
    wire.agent.process.kill()
    wire.agent.process.wait(20)
    wire.send(b"m2")
    assert b"m2" in wire.got(1)
