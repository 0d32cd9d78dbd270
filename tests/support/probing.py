"""Two programs that count what is lost between them: numbered datagrams at a steady pace.

`PROBER` is run by a Python in a box with the arguments LOCAL REMOTE INTERVAL_US. It sends and
receives until its standard input ends, listens for a second more, and prints what it saw.
"""

from __future__ import annotations

import json
import subprocess
from typing import TypedDict

PORT = 9999
DRAIN_S = 1.0
"""Longer than anything is on its way."""

PROBER = f"""
import json, select, socket, struct, sys, time
local, remote, interval_ns = sys.argv[1], sys.argv[2], int(sys.argv[3]) * 1000
family = socket.AF_INET6 if ":" in local else socket.AF_INET
udp = socket.socket(family, socket.SOCK_DGRAM)
udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
udp.bind((local, {PORT}))
udp.setblocking(False)
print("ready", flush=True)
sys.stdin.readline()
sent = refused = late = 0
seen, twice, last = set(), 0, -1
poll = select.poll()
poll.register(udp, select.POLLIN)
poll.register(sys.stdin, select.POLLIN)
due_ns, end_ns = time.monotonic_ns(), None
while end_ns is None or time.monotonic_ns() < end_ns:
    now_ns = time.monotonic_ns()
    if end_ns is None and due_ns <= now_ns:
        try:
            udp.sendto(struct.pack("!I", sent), (remote, {PORT}))
            sent += 1
        except OSError:
            refused += 1
        due_ns = max(due_ns + interval_ns, now_ns - 20 * interval_ns)
    wait_ns = (due_ns if end_ns is None else end_ns) - time.monotonic_ns()
    for descriptor, _ in poll.poll(max(0, wait_ns / 1e6)):
        if descriptor == udp.fileno():
            try:
                while True:
                    (number,) = struct.unpack("!I", udp.recv(64))
                    twice += number in seen
                    late += number < last
                    last = max(last, number)
                    seen.add(number)
            except (BlockingIOError, ConnectionError):
                pass
        elif not sys.stdin.readline():
            poll.unregister(sys.stdin)
            end_ns = time.monotonic_ns() + int({DRAIN_S} * 1e9)
print(json.dumps(dict(sent=sent, refused=refused, seen=len(seen), twice=twice, late=late)))
"""


class Count(TypedDict):
    """What one end saw."""

    sent: int
    refused: int
    """Sendings that the kernel did not take."""
    seen: int
    twice: int
    late: int
    """Received after a later one."""


def go(*probers: subprocess.Popen[bytes]) -> None:
    """Start those that are ready."""
    for prober in probers:
        assert prober.stdout is not None
        assert prober.stdin is not None
        assert prober.stdout.readline() == b"ready\n"
    for prober in probers:
        assert prober.stdin is not None
        prober.stdin.write(b"\n")
        prober.stdin.flush()


def counted(*probers: subprocess.Popen[bytes]) -> list[Count]:
    """End them and take their counts."""
    for prober in probers:
        assert prober.stdin is not None
        prober.stdin.close()
    counts: list[Count] = []
    for prober in probers:
        assert prober.stdout is not None
        counts.append(json.loads(prober.stdout.readline()))
        prober.wait(20)
    return counts
