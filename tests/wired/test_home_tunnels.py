"""The care-of address changes under way, and no packet is lost: both agents' data paths.

cn ---- home link (10.0.0.0/24) ---- ha ---- 192.0.2.0/24, 5 ms ---- mn
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_boxes import Agent, Boxes, run

from tests.support.probing import PROBER, counted, go

KEY = "30313233343536373839616263646566"
HOME, CN = "10.0.0.100", "10.0.0.2"
CARE_OF = [f"192.0.2.{last}" for last in range(7, 12)]
CHANGES = 50

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")

BINDING = """
import asyncio, json, sys
from ipaddress import IPv4Address
from mpa_hil.agents.attending import Commands, attend
from mpa_hil.agents.binding import Binding
from mpa_hil.agents.config import Fields
from mpa_hil.agents.stdio import Console
from mpa_hil.kernel.netlink import RouteSocket
from mpa_hil.kernel.state import KernelState

async def serve():
    console, route = Console("mobile_node", "mn"), RouteSocket()
    state = KernelState(route)
    bound = lambda care_of: print(json.dumps({"bound": str(care_of)}), flush=True)
    failed = lambda why: print(json.dumps({"failed": why}), flush=True)
    config = json.loads(sys.argv[1])
    binding = Binding(Fields(config, "test"), state, console, bound, failed)
    async def call(fields):
        verb, care_of = fields.text("verb"), fields.text("care_of")
        if verb == "doubt":
            binding.doubt(care_of == "True")
        else:
            getattr(binding, verb)(IPv4Address(care_of))
    async def end(fields):
        await binding.deregister()
        print(json.dumps({"gone": True}), flush=True)
    commands = Commands(console, "test")
    await attend(console, commands.put, commands.obey({"call": call, "end": end}))
    binding.close()
    state.close()

asyncio.run(serve())
"""
SHOWS = (
    ("-o", "-4", "addr", "show", "up"),
    ("-4", "route", "show", "table", "all"),
    ("rule", "show"),
    ("neigh", "show", "proxy"),
)


def have(kind: str, *options: str) -> bool:
    """Whether this kernel can make such a device (it may have to load the module)."""
    name = f"mpaprobe{os.getpid() % 100000}"
    argv = ["ip", "link", "add", name, "type", kind, *options]
    made = subprocess.run(argv, capture_output=True, timeout=60).returncode == 0
    if made:
        run("ip", "link", "del", name)
    return made


class Mover:
    """The mobile node's binding in a process, told what to do."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._agent = Agent(process)
        self._process = process

    def does(self, verb: str, care_of: str) -> None:
        self._agent.command(cmd="call", verb=verb, care_of=care_of)

    def hears(self, key: str) -> object:
        """The next line with this key; events are passed over."""
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            said = json.loads(line)
            assert "failed" not in said, said
            assert said.get("type") not in ("agent.failed", "agent.refused"), said
            if key in said:
                return said[key]
        raise AssertionError(f"it ended before {key}")

    def end(self) -> None:
        self._agent.command(cmd="end")
        self.hears("gone")
        assert self._agent.end() == 0


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Boxes]:
    if not have("ipip", "local", "127.0.0.1", "remote", "127.0.0.2") or not have("dummy"):
        pytest.skip("this kernel has no ipip or no dummy: run it in the guest")
    with Boxes("cn", "ha", "mn") as boxes:
        boxes.link("cn", "home", f"{CN}/24", "ha", "home", "10.0.0.1/24")
        boxes.link("ha", "wan", "192.0.2.1/24", "mn", "wlan", f"{CARE_OF[0]}/24")
        for care_of in CARE_OF[1:]:
            boxes.ip("mn", "addr", "add", f"{care_of}/24", "dev", "wlan")
        boxes.ip("mn", "route", "add", "default", "via", "192.0.2.1")
        for box, port in (("ha", "wan"), ("mn", "wlan")):
            delay = ("tc", "qdisc", "add", "dev", port, "root", "netem", "delay", "5ms")
            run(*boxes.inside(box, *delay))
        yield boxes


def start(lab: Boxes, folder: Path, **more: object) -> tuple[Agent, Mover]:
    config = {
        **more,
        "host": "ha",
        "address": "10.0.0.1",
        "home_interface": "home",
        "mobile_nodes": [{"home_address": HOME, "spi": 256, "key": KEY}],
    }
    path = folder / "ha.json"
    path.write_text(json.dumps(config))
    agent = Agent(lab.spawn("ha", "-m", "mpa_hil.agents.home_agent", str(path)), secret=KEY)
    agent.event("mip4.ready")
    node = {
        "home_address": HOME,
        "home_agent": "10.0.0.1",
        "spi": 256,
        "key": KEY,
        "correspondents": [f"{CN}/32"],
    }
    return agent, Mover(lab.spawn("mn", "-c", BINDING, json.dumps(node)))


@pytest.mark.parametrize(
    ("changes", "strict"), [(CHANGES, False), (10, True)], ids=["plain", "strict-path-filter"]
)
def test_no_packet_is_lost_at_a_change(
    lab: Boxes, tmp_path: Path, changes: int, strict: bool
) -> None:
    """Probes every millisecond both ways, ten of them on the way at any time."""
    if strict:
        for box in ("ha", "mn"):
            for scope in ("all", "default"):
                file = f"/proc/sys/net/ipv4/conf/{scope}/rp_filter"
                run(*lab.inside(box, "sh", "-c", f"echo 1 >{file}"))
    before = [lab.ip(box, *show) for box in ("ha", "mn") for show in SHOWS]
    agent, mover = start(lab, tmp_path)
    mover.does("register", CARE_OF[0])
    assert mover.hears("bound") == CARE_OF[0]
    probers = [
        lab.spawn(box, "-c", PROBER, here, there, "1000")
        for box, here, there in (("cn", CN, HOME), ("mn", HOME, CN))
    ]
    go(*probers)
    for number in range(changes):
        care_of = CARE_OF[(number + 1) % 5]
        mover.does("stage", care_of)
        mover.does("register", care_of)
        assert mover.hears("bound") == care_of
        if number % 5 == 4:  # all but the one left last: from there something may still come
            for old in CARE_OF[1:4]:
                mover.does("retire", old)
    cn, mn = counted(*probers)
    assert cn["refused"] == mn["refused"] == 0
    assert cn["sent"] > 8 * changes
    assert (mn["seen"], mn["twice"]) == (cn["sent"], 0), "the way to the node"
    assert (cn["seen"], cn["twice"]) == (mn["sent"], 0), "the way from the node"
    mover.end()
    assert agent.end() == 0
    assert [lab.ip(box, *show) for box in ("ha", "mn") for show in SHOWS] == before


@pytest.mark.parametrize("limit_s", [20, 0], ids=["doubtful", "sure"])
def test_in_doubt_packets_come_by_both_and_pass_once(
    lab: Boxes, tmp_path: Path, limit_s: int
) -> None:
    """R35, R79, R109: the binding of before is kept beside the next (S bit). While the next one's
    tunnel is dead nothing is lost, for what is sent there comes by the other too; when both work,
    nothing is doubled; in the end there is one again. A home agent that keeps none loses them."""
    agent, mover = start(lab, tmp_path, simultaneous_s=limit_s)
    old, new = CARE_OF[:2]
    mover.does("register", old)
    assert mover.hears("bound") == old
    agent.event("mip4.binding")
    mover.does("stage", new)
    probers = [
        lab.spawn(box, "-c", PROBER, here, there, "1000")
        for box, here, there in (("cn", CN, HOME), ("mn", HOME, CN))
    ]
    go(*probers)
    nowhere = (f"{new}/32", "dev", "home")
    for number in range(10):
        dead = bool(number % 2)
        if dead:
            lab.ip("ha", "route", "add", *nowhere)
        mover.does("doubt", "True")
        mover.does("register", new)
        if not dead:
            assert mover.hears("bound") == new
        assert agent.event("mip4.binding")["care_of"] == new
        if limit_s:
            copies = agent.event("mip4.copies")
            assert (copies["care_of"], copies["others"]) == (new, old)
        mover.does("doubt", "False")
        mover.does("register", old)
        assert mover.hears("bound") == old
        assert agent.event("mip4.binding")["care_of"] == old
        if limit_s:
            assert agent.event("mip4.copies")["others"] == ""
        if dead:
            lab.ip("ha", "route", "del", *nowhere)
    cn, mn = counted(*probers)
    print(f"{limit_s=}, to the node {mn}, from it {cn}")
    assert mn["twice"] == cn["twice"] == 0
    assert (mn["seen"] == cn["sent"]) is bool(limit_s), "the way to the node"
    assert cn["seen"] == mn["sent"], "the way from the node"
    mover.end()
    assert agent.end() == 0


def test_a_doubt_ends_by_itself(lab: Boxes, tmp_path: Path) -> None:
    """Whether the node says so, or never again."""
    agent, mover = start(lab, tmp_path, simultaneous_s=2)
    filters = "for d in $(ls /sys/class/net); do tc filter show dev $d egress; done"
    show = lab.inside("ha", "sh", "-c", filters)
    for care_of in CARE_OF[:2]:
        mover.does("doubt", "True")
        mover.does("register", care_of)
        assert mover.hears("bound") == care_of
        agent.event("mip4.binding")
    assert agent.event("mip4.copies")["others"] == CARE_OF[0]
    assert "mirred" in run(*show)
    assert agent.event("mip4.copies")["others"] == "", "the home agent's own limit"
    assert "mirred" not in run(*show)
    mover.does("register", CARE_OF[2])
    assert agent.event("mip4.binding")["care_of"] == CARE_OF[2]
    assert agent.event("mip4.copies")["others"] == CARE_OF[1]
    mover.does("doubt", "False")
    assert agent.event("mip4.binding")["change"] == "refreshed"
    assert agent.event("mip4.copies")["others"] == "", "it is sure of where it is"
    mover.end()
    assert agent.event("mip4.binding")["change"] == "removed"
    assert agent.end() == 0


def test_an_address_that_died_is_replaced_at_once(lab: Boxes, tmp_path: Path) -> None:
    """`register` alone: one tunnel afterwards, at the node; two for a while at the home agent."""
    agent, mover = start(lab, tmp_path)
    for care_of in CARE_OF[:2]:
        mover.does("register", care_of)
        assert mover.hears("bound") == care_of
        agent.event("mip4.binding")
        run(*lab.inside("cn", "ping", "-c", "1", "-W", "5", HOME))
    assert lab.ip("mn", "-o", "link", "show", "type", "ipip").count("mpah") == 1
    assert lab.ip("ha", "-o", "link", "show", "type", "ipip").count("mpah") == 2
    run(*lab.inside("mn", "sh", "-c", "sleep 2.5"))
    assert lab.ip("ha", "-o", "link", "show", "type", "ipip").count("mpah") == 1
    run(*lab.inside("cn", "ping", "-c", "1", "-W", "5", HOME))
    mover.end()
    assert agent.event("mip4.binding")["change"] == "removed"
    assert agent.end() == 0


def test_what_a_killed_home_agent_left_is_swept(lab: Boxes, tmp_path: Path) -> None:
    agent, mover = start(lab, tmp_path)
    mover.does("register", CARE_OF[0])
    mover.hears("bound")
    agent.process.kill()
    agent.process.wait(20)
    assert "mpah" in lab.ip("ha", "link")
    path = tmp_path / "ha.json"
    again = Agent(lab.spawn("ha", "-m", "mpa_hil.agents.home_agent", str(path)), secret=KEY)
    again.event("mip4.ready")
    assert "mpah" not in lab.ip("ha", "link")
    mover.does("stage", CARE_OF[1])
    mover.does("register", CARE_OF[1])
    assert mover.hears("bound") == CARE_OF[1]
    run(*lab.inside("cn", "ping", "-c", "1", "-W", "5", HOME))
    mover.end()
    assert again.event("mip4.binding")["change"] == "added"
