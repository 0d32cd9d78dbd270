"""Boxes for tests of single agents: namespaces, links, sockets inside, agent processes."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from ipaddress import IPv4Address
from pathlib import Path

from mpa_hil import eventlog

PATIENCE_S = 20.0
ROOT = Path(__file__).resolve().parents[2]

OPEN_SOCKET = """
import socket, sys
channel = socket.socket(fileno=0)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind((sys.argv[1], 0))
socket.send_fds(channel, [b"!"], [udp.fileno()])
"""


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (argv, done.stderr)
    return done.stdout


class Boxes:
    """Network namespaces with names of this process, and what runs in them."""

    def __init__(self, *boxes: str) -> None:
        self._names = {box: f"mpatest-{os.getpid()}-{box}" for box in boxes}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Boxes:
        for name in self._names.values():
            run("ip", "netns", "add", name)
            self._stack.callback(run, "ip", "netns", "del", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def link(self, a: str, port: str, address: str, b: str, far: str, far_address: str) -> None:
        """A veth pair between two boxes, addressed and up."""
        pair = ("type", "veth", "peer", "name", far, "netns", self._names[b])
        self.ip(a, "link", "add", port, *pair)
        for box, name, value in ((a, port, address), (b, far, far_address)):
            self.ip(box, "addr", "add", value, "dev", name)
            self.ip(box, "link", "set", name, "up")

    def ip(self, box: str, *argv: str) -> str:
        return run("ip", "-n", self._names[box], *argv)

    def inside(self, box: str, *argv: str) -> list[str]:
        return ["ip", "netns", "exec", self._names[box], *argv]

    def socket(self, box: str, address: IPv4Address) -> socket.socket:
        """A UDP socket bound in a box, for use in this process."""
        here, there = socket.socketpair()
        with here, there:
            argv = self.inside(box, sys.executable, "-c", OPEN_SOCKET, str(address))
            subprocess.run(argv, stdin=there.fileno(), check=True, timeout=60)
            _, (descriptor,), _, _ = socket.recv_fds(here, 1, 1)
        udp = socket.socket(fileno=descriptor)
        udp.settimeout(PATIENCE_S)
        self._stack.callback(udp.close)
        return udp

    def spawn(self, box: str, *argv: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            self.inside(box, sys.executable, *argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process


class Agent:
    """A running agent and its events."""

    def __init__(self, process: subprocess.Popen[bytes], secret: str = "") -> None:
        """`secret` must not be in any event."""
        self.process = process
        self._secret = secret
        self._rest = b""

    def event(self, kind: str) -> dict[str, object]:
        """The next event, which must be of this kind, and as `docs/events.md` describes it."""
        assert self.process.stdout is not None
        limit = time.monotonic() + PATIENCE_S
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self.process.stdout], [], [], limit - time.monotonic())
            assert ready, f"no {kind} in {PATIENCE_S} s"
            octets = os.read(self.process.stdout.fileno(), 65536)
            assert octets, f"the agent ended before {kind}"
            self._rest += octets
        line, self._rest = self._rest.split(b"\n", 1)
        event = json.loads(line)
        assert isinstance(event, dict)
        assert event["type"] == kind, event
        eventlog.decode(line)
        assert not self._secret or self._secret not in line.decode()
        return event

    def command(self, **command: object) -> None:
        """Write a command line."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE_S)
