"""The agents of Mobile IPv6 as processes: configuration, commands, garbage from the network."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_boxes import PATIENCE_S, Agent, Boxes, run

KEY = "30313233343536373839616263646566"
NODE = {"home_address": "2001:db8:1::64", "spi": 256, "key": KEY}
GARBAGE = """
import socket
raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 135)
raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_CHECKSUM, -1)
for octets in (bytes.fromhex("3b00050000000000"), bytes.fromhex("3b0030003a000000")):
    raw.sendto(octets, ("::1", 0))
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")


@pytest.fixture
def boxes() -> Iterator[Boxes]:
    with Boxes("ha") as standing:
        switch = "/proc/sys/net/ipv6/conf/lo/disable_ipv6"
        run(*standing.inside("ha", "sh", "-c", f"echo 0 >{switch}"))
        yield standing


def start(boxes: Boxes, folder: Path, module: str, **config: object) -> Agent:
    path = folder / f"{module}.json"
    path.write_text(json.dumps({"host": "ha", "address": "::1", "data_path": "none", **config}))
    return Agent(boxes.spawn("ha", "-m", f"mpa_hil.agents.{module}", str(path)), secret=KEY)


@pytest.mark.parametrize("module", ["home_agent6", "correspondent6"])
def test_commands_and_garbage(boxes: Boxes, tmp_path: Path, module: str) -> None:
    served = {"home_interface": "lo", "mobile_nodes": [NODE]} if "home" in module else {}
    agent = start(boxes, tmp_path, module, **served)
    agent.event("mip6.ready")
    garbage = boxes.spawn("ha", "-c", GARBAGE)
    assert garbage.wait(PATIENCE_S) == 0
    agent.command(cmd="bindings")
    assert agent.event("mip6.bindings")["bindings"] == {}
    agent.command(cmd="jump")
    assert agent.event("agent.refused")["command"] == "jump"
    assert agent.end() == 0
    agent.event("agent.stopped")


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"address": "2001:db8:9::9"}, 3, "no socket"),
        ({"addres": "::1"}, 2, "not known"),
        ({"mobile_nodes": []}, 2, "nobody to serve"),
        ({"mobile_nodes": [NODE, NODE]}, 2, "there twice"),
        ({"mobile_nodes": [{**NODE, "spi": 9}]}, 2, "not between"),
        ({"mobile_nodes": [{**NODE, "home_address": "10.0.0.1"}]}, 2, "no IPv6 address"),
        ({"journal": "/nowhere/at/all"}, 2, "cannot be used"),
    ],
)
def test_bad_configuration(
    boxes: Boxes, tmp_path: Path, changes: dict[str, object], status: int, text: str
) -> None:
    config = {"home_interface": "lo", "mobile_nodes": [NODE], **changes}
    agent = start(boxes, tmp_path, "home_agent6", **config)
    assert text in str(agent.event("agent.failed")["error"])
    assert agent.process.wait(PATIENCE_S) == status


def test_a_kernel_that_lacks_it_says_so(boxes: Boxes, tmp_path: Path) -> None:
    made = subprocess.run(
        boxes.inside("ha", "sh", "-c", "ip link add mpax type ip6tnl local ::1 remote ::2"),
        capture_output=True,
    )
    if made.returncode == 0:
        pytest.skip("this kernel has ip6tnl, and so the rest")
    agent = start(boxes, tmp_path, "correspondent6", data_path="kernel")
    assert agent.event("agent.failed")["error"]
    assert agent.process.wait(PATIENCE_S) == 3
