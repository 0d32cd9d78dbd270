"""What a mobile node's agent leaves in the kernel when it is killed: nothing that holds packets."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest
from agent_boxes import PATIENCE_S, Boxes

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")

WATCHED = """
import sys
from mpa_hil.agents.node_watch import NodeWatch
watch = NodeWatch()
print(watch.swept, flush=True)
sys.stdin.readline()
watch.dismiss()
"""
TUNNEL, HOLD, OTHERS = "mpapht", "mpaqht", "mpahome"


@pytest.fixture
def boxes() -> Iterator[Boxes]:
    with Boxes("node") as standing:
        yield standing


def make(boxes: Boxes) -> None:
    """Devices and rules as a handover has them; what the devices are does not matter here."""
    for name in (TUNNEL, HOLD, OTHERS):
        boxes.ip("node", "link", "add", name, "type", "veth", "peer", "name", f"p{name}")
    for version in ("-4", "-6"):
        for table, protocol in ((435, 109), (436, 109), (434, 109), (435, 4)):
            rule = ("priority", f"{table * 10 + protocol % 10}", "table", f"{table}")
            boxes.ip("node", version, "rule", "add", *rule, "protocol", f"{protocol}")


def left(boxes: Boxes) -> tuple[set[str], int]:
    """Devices, and how many rules of ours."""
    links = boxes.ip("node", "-o", "link", "show").splitlines()
    names = {line.split()[1].partition("@")[0].rstrip(":") for line in links}
    rules = boxes.ip("node", "-4", "rule", "show") + boxes.ip("node", "-6", "rule", "show")
    return names & {TUNNEL, HOLD, OTHERS}, sum("lookup 43" in line for line in rules.splitlines())


def until(met: Callable[[], bool]) -> None:
    limit_s = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < limit_s
        time.sleep(0.01)


def test_a_killed_agent_leaves_nothing_that_holds(boxes: Boxes) -> None:
    """The home tunnel, and what somebody else has made, stays."""
    process = boxes.spawn("node", "-c", WATCHED)
    assert process.stdout is not None
    assert process.stdout.readline() == b"0\n"
    make(boxes)
    assert left(boxes) == ({TUNNEL, HOLD, OTHERS}, 8)
    process.kill()
    until(lambda: left(boxes) == ({OTHERS}, 4))


def test_an_agent_that_starts_takes_it_away(boxes: Boxes) -> None:
    """Should the guardian have been killed as well; and one that ends by itself keeps its own."""
    make(boxes)
    process = boxes.spawn("node", "-c", WATCHED)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == b"2\n"
    assert left(boxes) == ({OTHERS}, 4)
    make_again = (TUNNEL, "type", "veth", "peer", "name", "again")
    boxes.ip("node", "link", "add", *make_again)
    process.stdin.write(b"\n")
    process.stdin.flush()
    assert process.wait(PATIENCE_S) == 0
    assert left(boxes)[0] == {OTHERS, TUNNEL}
