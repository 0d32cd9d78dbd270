"""Sender and receiver of downloads over TCP: one process for all of a host's, beside the endpoint.

Stands alone like `mpa_hil.traffic.endpoint` (``python3 transfer.py CONFIG``), and apart from it, so
that no reading of streams delays a packet that must leave on time. The MN connects, the CN accepts
and sends as fast as the kernel paces it, until told to stop.

Configuration is one JSON object, as the only argument::

    {"host": "mn", "output": "/run/mn/mn-tcp.flows",
     "transfers": [{"flow": "download", "role": "receive", "local": "10.0.0.10",
                    "remote": "10.9.0.2", "port": 20000, "rate_octets_s": 500000}]}

``role`` is ``receive`` (connects) or ``send`` (accepts). Commands on standard input, a line each:
``start [NS]``, ``quiet``, ``stop``, as the endpoint has them. Standard output: ``flow.ready`` once
all sockets are bound, ``flow.done`` when the record file is written, or ``flow.failed`` (exit 1).

The record file is one JSON line and then, for each transfer in turn, its ``rows``: pairs of 64-bit
numbers, the kernel's stamp (CLOCK_REALTIME, ns) of the last segment in a reading, and the octets
read. A connection that breaks says so in ``error``; the rest goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import sys
import time
from array import array

TYPE_CHECKING = False  # importing typing would cost more than the rest of the start
if TYPE_CHECKING:
    from typing import Any

FORMAT = "mpa-hil-transfers-1"

# Linux constants that the socket module of Python 3.11 does not name.
IP_FREEBIND = 15
IPV6_FREEBIND = 78
SO_MAX_PACING_RATE = 47
SO_TIMESTAMPNS_NEW = 64
TCP_TOTAL_RETRANSMISSIONS_OFFSET = 100
"""Octets into struct tcp_info (linux/tcp.h): tcpi_total_retrans."""

READING_OCTETS = 1 << 16
CHUNK = bytes(1 << 13)
"""What is given to the kernel at once: in a call that copies ten times as much, senders of measured
packets would wait for it on a lab's one processor."""
GENTLE_PIECES, GENTLE_OCTETS = 12, 1200
"""A sender begins with small pieces at its rate: the kernel does not pace a connection's first ten
segments (net/ipv4/tcp_output.c), and such a burst would be a hole in streams beside it."""
LEAST_BUFFER, LARGEST_BUFFER = 1 << 16, 1 << 22
"""Octets of send buffer: half a second's worth of the rate within these, so that it never runs dry
and little of it is left when the flow ends."""
_IN_PROGRESS = 115
_AGAIN = 11


class Transfer:
    """One download at one end."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.sends = config["role"] == "send"
        if not self.sends and config["role"] != "receive":
            raise ValueError(f"role {config['role']!r} is neither send nor receive")
        self.rate = int(config["rate_octets_s"])
        if self.rate <= 0:
            raise ValueError(f"transfer {config['flow']} needs rate_octets_s > 0")
        self.octets = 0
        self.rows = array("q")
        self.retransmissions = 0
        self.connected_ns: int | None = None
        self.gentle_left = GENTLE_PIECES
        self.next_ns = 0
        self.error = ""
        self.listener: socket.socket | None = None
        self.connection: socket.socket | None = None
        address = config["local"]
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET
        if self.sends:
            self.listener = self._bound((address, int(config["port"])))
            self.listener.listen(1)
            self.port = self.listener.getsockname()[1]
        else:
            self.port = int(config["port"])

    def _bound(self, address: tuple[str, int]) -> socket.socket:
        """A non-blocking socket bound to an address that need not be on any interface yet."""
        opened = socket.socket(self.family, socket.SOCK_STREAM)
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            opened.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
        else:
            opened.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        opened.bind(address)
        return opened

    def connect(self) -> int:
        """Begin to connect; the connection's descriptor."""
        self.connection = self._bound((self.config["local"], 0))
        self.connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS_NEW, 1)
        self._end_hard()
        try:
            self.connection.connect((self.config["remote"], self.port))
        except OSError as error:
            if error.errno != _IN_PROGRESS:
                raise
        return self.connection.fileno()

    def accept(self) -> bool:
        """Take the connection that waits; whoever comes later is sent away (False)."""
        assert self.listener is not None
        taken, _ = self.listener.accept()
        if self.connection is not None:
            taken.close()
            return False
        taken.setblocking(False)
        taken.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, self.rate)
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        size = min(max(self.rate // 2, LEAST_BUFFER), LARGEST_BUFFER)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        self.connection = taken
        self._end_hard()
        self.connected_ns = time.monotonic_ns()
        return True

    def _end_hard(self) -> None:
        """What is unsent at the end is dropped: no kernel goes on sending after the run."""
        assert self.connection is not None
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def begin_gently(self, now_ns: int) -> bool:
        """Send the next small piece; False when that is over, and `fill` may go on."""
        assert self.connection is not None
        with contextlib.suppress(BlockingIOError):
            self.octets += self.connection.send(CHUNK[:GENTLE_OCTETS])
        self.gentle_left -= 1
        self.next_ns = now_ns + GENTLE_OCTETS * 1_000_000_000 // self.rate
        return self.gentle_left > 0

    def fill(self) -> None:
        """Give the kernel all that it takes."""
        assert self.connection is not None
        while True:
            try:
                self.octets += self.connection.send(CHUNK)
            except BlockingIOError:
                return

    def read(self) -> bool:
        """Read what waits; False when the stream has ended."""
        assert self.connection is not None
        if self.connected_ns is None:
            self.connected_ns = time.monotonic_ns()
        while True:
            try:
                data, stamps, _, _ = self.connection.recvmsg(READING_OCTETS, 64)
            except BlockingIOError:
                return True
            if not data:
                return False
            seconds, rest = struct.unpack("=qq", stamps[0][2]) if stamps else (0, time.time_ns())
            self.octets += len(data)
            self.rows.append(seconds * 1_000_000_000 + rest)
            self.rows.append(len(data))

    def count(self) -> None:
        """Ask the kernel how much it had to send again."""
        if self.connection is None:
            return
        size = TCP_TOTAL_RETRANSMISSIONS_OFFSET + 4
        info = self.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size)
        if len(info) == size:
            (total,) = struct.unpack_from("=I", info, size - 4)
            self.retransmissions = max(self.retransmissions, total)

    def close(self) -> None:
        """Let go of the sockets."""
        for opened in (self.connection, self.listener):
            if opened is not None:
                opened.close()

    def summary(self) -> dict[str, Any]:
        """The transfer as the record file's header has it."""
        return {
            "flow": self.config["flow"],
            "role": self.config["role"],
            "rate_octets_s": self.rate,
            "connected_ns": self.connected_ns,
            "octets": self.octets,
            "retransmissions": self.retransmissions,
            "error": self.error,
            "rows": len(self.rows) // 2,
        }


class Station:
    """All transfers of one host, and the loop that serves them."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.host = str(config.get("host", ""))
        self.output = str(config["output"])
        self.transfers = [Transfer(entry) for entry in config["transfers"]]
        self.poll = select.poll()
        self.poll.register(0, select.POLLIN)
        self.by_descriptor: dict[int, Transfer] = {}
        self.gentle: list[Transfer] = []
        self.start_ns: int | None = None
        self.quiet_ns: int | None = None
        self.stopped = False
        self.pending = b""
        self.started_offset = clock_offset()
        for transfer in self.transfers:
            if transfer.listener is not None:
                self._watch(transfer, transfer.listener.fileno(), select.POLLIN)

    def _watch(self, transfer: Transfer, descriptor: int, events: int) -> None:
        self.by_descriptor[descriptor] = transfer
        self.poll.register(descriptor, events)

    def serve(self) -> None:
        """Move data until told to stop."""
        while not self.stopped:
            wait_ms: float | None = None
            due_ns = self.start_ns
            for transfer in self.gentle:
                due_ns = transfer.next_ns if due_ns is None else min(due_ns, transfer.next_ns)
            if due_ns is not None:
                wait_ms = (due_ns - time.monotonic_ns()) / 1e6
                if wait_ms <= 0:
                    self._act()
                    continue
            for descriptor, events in self.poll.poll(wait_ms):
                if descriptor == 0:
                    self._obey()
                else:
                    self._attend(descriptor, events)

    def _act(self) -> None:
        """Do what is due by now."""
        now_ns = time.monotonic_ns()
        if self.start_ns is not None and now_ns >= self.start_ns:
            self._connect()
        for transfer in list(self.gentle):
            if now_ns < transfer.next_ns:
                continue
            try:
                if not transfer.begin_gently(now_ns):
                    self.gentle.remove(transfer)
                    assert transfer.connection is not None
                    self._watch(transfer, transfer.connection.fileno(), select.POLLOUT)
            except OSError as error:
                self.gentle.remove(transfer)
                transfer.error = transfer.error or str(error)

    def _connect(self) -> None:
        self.start_ns = None
        for transfer in self.transfers:
            if not transfer.sends:
                try:
                    self._watch(transfer, transfer.connect(), select.POLLIN)
                except OSError as error:
                    transfer.error = str(error)

    def _attend(self, descriptor: int, events: int) -> None:
        transfer = self.by_descriptor[descriptor]
        try:
            if transfer.listener is not None and descriptor == transfer.listener.fileno():
                if transfer.accept() and self.quiet_ns is None:
                    self.gentle.append(transfer)
                return
            if events & select.POLLOUT:
                transfer.fill()
            elif not transfer.read():
                self._forget(descriptor)
        except OSError as error:
            if error.errno != _AGAIN:
                transfer.error = transfer.error or str(error)
                self._forget(descriptor)

    def _forget(self, descriptor: int) -> None:
        self.poll.unregister(descriptor)
        del self.by_descriptor[descriptor]

    def _obey(self) -> None:
        self.pending += os.read(0, 4096) or b"\nstop\n"
        *lines, self.pending = self.pending.split(b"\n")
        for line in lines:
            words = line.split()
            if not words:
                continue
            if words[0] == b"start":
                self.start_ns = int(words[1]) if len(words) > 1 else time.monotonic_ns()
            elif words[0] == b"quiet":
                self._be_quiet()
            elif words[0] == b"stop":
                self.stopped = True
            else:
                say(self.host, "flow.unknown_command", command=line.decode(errors="replace"))

    def _be_quiet(self) -> None:
        """Send no more; what the kernel has already is sent on."""
        self.quiet_ns = time.monotonic_ns()
        self.gentle.clear()
        for descriptor, transfer in list(self.by_descriptor.items()):
            if transfer.sends:
                transfer.count()
                self._forget(descriptor)
        say(self.host, "flow.quiet")

    def finish(self) -> None:
        """Write the record file."""
        for transfer in self.transfers:
            transfer.count()
            transfer.close()
        header = {
            "format": FORMAT,
            "host": self.host,
            "byteorder": sys.byteorder,
            "clock": [self.started_offset, clock_offset()],
            "quiet_ns": self.quiet_ns,
            "transfers": [transfer.summary() for transfer in self.transfers],
        }
        with open(self.output, "wb") as file:
            file.write(json.dumps(header).encode() + b"\n")
            for transfer in self.transfers:
                transfer.rows.tofile(file)
        say(self.host, "flow.done", output=self.output)


def clock_offset() -> dict[str, int]:
    """CLOCK_REALTIME less CLOCK_MONOTONIC now, ns, from the tightest of a few readings."""
    best: dict[str, int] = {}
    for _ in range(9):
        before = time.monotonic_ns()
        real = time.time_ns()
        after = time.monotonic_ns()
        if not best or after - before < best["width_ns"]:
            offset = real - (before + after) // 2
            best = {"realtime_ns": real, "offset_ns": offset, "width_ns": after - before}
    return best


def say(host: str, kind: str, **fields: Any) -> None:
    """Print one event line."""
    event = {"t_ns": time.monotonic_ns(), "host": host, "agent": "transfer", "type": kind, **fields}
    os.write(1, json.dumps(event).encode() + b"\n")


def main() -> int:
    """Run one host's transfers; exit status 0, or 1 after a ``flow.failed`` event."""
    host = ""
    try:
        config: dict[str, Any] = json.loads(sys.argv[1])
        host = str(config.get("host", ""))
        station = Station(config)
        sending = {t.config["flow"]: t.port for t in station.transfers if t.sends}
        receiving = [t.port for t in station.transfers if not t.sends]
        say(host, "flow.ready", send=sending, receive=receiving)
        station.serve()
        station.finish()
    except (OSError, IndexError, KeyError, TypeError, ValueError) as error:
        say(host, "flow.failed", error=f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
