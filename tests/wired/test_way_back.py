"""Neighbours that a node keeps over the loss of its carrier, and those that it does not."""

from __future__ import annotations

import os
import time

import pytest
from agent_boxes import PATIENCE_S, Boxes

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")

KEEP = """
import sys
from mpa_hil.agents.way_back import WayBack
from mpa_hil.kernel.netlink import RouteSocket
from mpa_hil.kernel.state import KernelState

kept = WayBack(KernelState(RouteSocket()), "air")
for line in sys.stdin:
    getattr(kept, line.strip())()
    print("done", flush=True)
"""


def test_they_outlive_the_carrier_until_they_are_let_go() -> None:
    with Boxes("node", "router") as boxes:
        boxes.link("node", "air", "192.0.2.1/24", "router", "far", "192.0.2.2/24")

        def neighbours() -> dict[str, str]:
            lines = boxes.ip("node", "-4", "neighbour", "show", "dev", "air").splitlines()
            return {line.split()[0]: line.split()[-1] for line in lines}

        def learn(last: int, state: str) -> None:
            entry = (f"192.0.2.{last}", "lladdr", f"02:00:00:00:00:0{last}", "dev", "air")
            boxes.ip("node", "neighbour", "add", *entry, "nud", state)

        learn(7, "failed")
        learn(8, "stale")
        learn(9, "permanent")
        process = boxes.spawn("node", "-c", KEEP)
        assert process.stdin is not None
        assert process.stdout is not None

        def tell(what: str) -> None:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(what.encode() + b"\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"done\n"

        tell("keep")
        learn(6, "stale")  # and not kept
        boxes.ip("router", "link", "set", "far", "down")
        limit_s = time.monotonic() + PATIENCE_S
        while "192.0.2.6" in neighbours():
            assert time.monotonic() < limit_s, "the kernel forgets what it has learnt"
        assert {neighbours()[f"192.0.2.{last}"] for last in (8, 9)} == {"PERMANENT"}
        boxes.ip("router", "link", "set", "far", "up")
        tell("let_go")
        assert "192.0.2.8" not in neighbours()
        assert neighbours()["192.0.2.9"] == "PERMANENT", "somebody else's"
