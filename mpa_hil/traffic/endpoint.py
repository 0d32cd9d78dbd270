"""Sender and receiver of voice-like UDP flows: one process for all flows of one host.

Stands alone on purpose: it imports nothing of this project and only light parts of the standard
library, so that it starts in milliseconds and also runs on a far machine as one copied file
(``python3 endpoint.py CONFIG``). There is no event loop: on the guest's slow virtual processor
the cost of a send must stay in the tens of microseconds, so packets are stamped, sent and kept as
raw bytes, and all decoding is left to `mpa_hil.traffic.records`.

Configuration is one JSON object, as the only argument or as the first line of standard input::

    {"host": "mn", "output": "/run/mn/flows.bin",
     "send": [{"flow": "voice-up", "local": "10.0.0.9", "remote": "10.9.0.2", "port": 20000,
               "local_port": 0, "ssrc": 1, "payload_type": 0, "clock_hz": 8000, "tos": 0,
               "spacing_ns": 20000000, "payload_bytes": 160, "start_ns": null, "count": null}],
     "receive": [{"address": "0.0.0.0", "port": 20001}],
     "realtime": false}

``start_ns`` is on this host's CLOCK_MONOTONIC; null waits for the ``start`` command. ``count``
null sends until told to stop. Then, a line each on standard input:

    ``start [NS]``  begin the waiting flows, at monotonic NS or now
    ``quiet``       stop sending, keep receiving (what is under way may still arrive)
    ``stop``        stop, write the record file, report, leave; end of input means the same

Standard output carries JSON lines: ``flow.ready`` once every socket is bound, ``flow.quiet`` when
no flow has anything left to send, ``flow.done`` with the counts, or ``flow.failed`` (exit 1).

A packet is an RTP header (RFC 3550 s5.1), then inside the codec payload the CLOCK_MONOTONIC send
stamp (8 octets, ns) and the full sequence number (4 octets), then zeros. Deadlines are absolute:
slot n of a flow is due at start + n * spacing. A sender that is late sends late; when it missed
whole slots it *skips* them and records how many, it never sends a burst that nobody asked for. A
send that the kernel refuses (no route while the address is between two networks) was still an
offered packet: it counts as sent, with its errno recorded.
"""

from __future__ import annotations

import _socket
import gc
import heapq
import json
import os
import select
import struct
import sys
import time
from array import array

TYPE_CHECKING = False  # importing typing would cost more than the rest of the start
if TYPE_CHECKING:
    from typing import Any

HEADER = struct.Struct("!BBHIIQI")
"""V/P/X/CC, M/PT, sequence, timestamp, SSRC (RFC 3550 s5.1); send stamp, full sequence number."""
ROW_BYTES = HEADER.size + 16
"""One received packet as recorded: its first 24 octets and the kernel's timespec (2 x 64 bit)."""
FORMAT = "mpa-hil-flows-1"

# Linux constants that the socket module of Python 3.11 does not name.
IP_FREEBIND = 15
IPV6_FREEBIND = 78
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33
SO_MEMINFO = 55
SO_MEMINFO_DROPS_OFFSET = 32  # eighth of the 32-bit words (SK_MEMINFO_DROPS)
SO_TIMESTAMPNS_NEW = 64  # 64-bit timespec whatever the word size; Linux 5.1 and later

SEND_BUFFER_BYTES = 8 << 20  # a radio that holds frames during a switch must not block the sender
RECEIVE_BUFFER_BYTES = 32 << 20  # some 40,000 small packets may wait until there is time for them
HOUSEKEEPING_NS = 20_000_000  # how often commands and received packets are looked after
DRAIN_MARGIN_NS = 200_000  # no reading this close before the next send is due


class Flow:
    """One flow being sent."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.address: tuple[str, int] = (config["remote"], int(config["port"]))
        self.ssrc = int(config["ssrc"])
        self.payload_type = int(config.get("payload_type", 0))
        self.clock_hz = int(config.get("clock_hz", 8000))
        self.spacing_ns = int(config["spacing_ns"])
        self.count: int | None = config.get("count")
        self.start_ns: int | None = config.get("start_ns")
        self.offset_ns = int(config.get("offset_ns", 0))  # after the common start
        if self.spacing_ns <= 0 or int(config["payload_bytes"]) < 12:
            raise ValueError(f"flow {config['flow']} needs spacing_ns > 0 and payload_bytes >= 12")
        self.packet = bytearray(12 + int(config["payload_bytes"]))
        self.slot = 0
        self.sent_ns = array("q")
        self.errors: list[list[int]] = []  # [sequence number, errno]
        self.skips: list[list[int]] = []  # [sequence number sent next, slots left out before it]
        self.socket = _open(config["local"], int(config.get("local_port", 0)))
        _enlarge(self.socket, SO_SNDBUFFORCE, _socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        tos = int(config.get("tos", 0))
        if ":" in config["local"]:
            self.socket.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_TCLASS, tos)
        else:
            self.socket.setsockopt(_socket.IPPROTO_IP, _socket.IP_TOS, tos)
        self.port = self.socket.getsockname()[1]

    def summary(self) -> dict[str, Any]:
        """The flow as the record file's header has it."""
        return {
            **self.config,
            "local_port": self.port,
            "start_ns": self.start_ns,
            "sent": len(self.sent_ns),
            "errors": self.errors,
            "skips": self.skips,
        }


class Sink:
    """One receiving socket: raw rows, decoded by nobody here."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.address = config.get("address", "0.0.0.0")
        self.rows = bytearray()
        self.foreign = 0
        self.unstamped = 0
        self.socket = _open(self.address, int(config["port"]))
        self.port = self.socket.getsockname()[1]
        _enlarge(self.socket, SO_RCVBUFFORCE, _socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self.socket.setsockopt(_socket.SOL_SOCKET, SO_TIMESTAMPNS_NEW, 1)

    def drain(self, until_ns: int) -> bool:
        """Read what waits until monotonic `until_ns`; True when nothing waits any more."""
        receive = self.socket.recvmsg
        rows = self.rows
        now = time.monotonic_ns
        while now() < until_ns:
            try:
                head, stamps, _, _ = receive(HEADER.size, 64)
            except BlockingIOError:
                return True
            if len(head) < HEADER.size or head[0] != 0x80:
                self.foreign += 1
                continue
            rows += head
            if stamps:
                rows += stamps[0][2]
            else:
                self.unstamped += 1
                rows += struct.pack("=qq", *divmod(time.time_ns(), 1_000_000_000))
        return False

    def dropped(self) -> int:
        """Packets that the kernel threw away because this socket's buffer was full."""
        info = self.socket.getsockopt(_socket.SOL_SOCKET, SO_MEMINFO, 36)
        drops: int = struct.unpack_from("=I", info, SO_MEMINFO_DROPS_OFFSET)[0]
        return drops

    def summary(self) -> dict[str, Any]:
        """The socket as the record file's header has it."""
        return {
            "address": self.address,
            "port": self.port,
            "rows": len(self.rows) // ROW_BYTES,
            "foreign": self.foreign,
            "unstamped": self.unstamped,
            "dropped_by_socket": self.dropped(),
        }


def _open(address: str, port: int) -> _socket.socket:
    """A non-blocking UDP socket bound to an address that need not be on any interface yet."""
    if ":" in address:
        opened = _socket.socket(_socket.AF_INET6, _socket.SOCK_DGRAM)
        opened.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
        opened.setsockopt(_socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    else:
        opened = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
        opened.setsockopt(_socket.IPPROTO_IP, IP_FREEBIND, 1)
    opened.setblocking(False)
    opened.bind((address, port))
    return opened


def _enlarge(which: _socket.socket, force: int, polite: int, size: int) -> None:
    """Set a buffer size beyond the system's limit where we may, up to it where we may not."""
    try:
        which.setsockopt(_socket.SOL_SOCKET, force, size)
    except PermissionError:
        which.setsockopt(_socket.SOL_SOCKET, polite, size)


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


class Endpoint:
    """All flows and sinks of one host, and the loop that serves them."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.host = str(config.get("host", ""))
        self.output = str(config["output"])
        self.flows = [Flow(entry) for entry in config.get("send", [])]
        self.sinks = [Sink(entry) for entry in config.get("receive", [])]
        self.due: list[tuple[int, int]] = []
        self.stopped = False
        self.pending = b""
        self.commands = select.poll()
        self.commands.register(0, select.POLLIN)
        self.started_offset = clock_offset()
        for index, flow in enumerate(self.flows):
            if flow.start_ns is not None:
                heapq.heappush(self.due, (flow.start_ns, index))

    def obey(self, wait_ms: int) -> None:
        """Wait up to `wait_ms` for commands and carry them out."""
        if not self.commands.poll(wait_ms):
            return
        self.pending += os.read(0, 4096) or b"\nstop\n"
        *lines, self.pending = self.pending.split(b"\n")
        for line in lines:
            words = line.split()
            if not words:
                continue
            if words[0] == b"start":
                self.start(int(words[1]) if len(words) > 1 else time.monotonic_ns())
            elif words[0] == b"quiet":
                self.due.clear()
                say(self.host, "flow.quiet")
            elif words[0] == b"stop":
                self.stopped = True
                return
            else:
                say(self.host, "flow.unknown_command", command=line.decode(errors="replace"))

    def start(self, start_ns: int) -> None:
        """Begin every flow that waits for the command."""
        for index, flow in enumerate(self.flows):
            if flow.start_ns is None:
                flow.start_ns = start_ns + flow.offset_ns
                heapq.heappush(self.due, (flow.start_ns, index))

    def send(self, index: int, due_ns: int, now: int) -> None:
        """Send the packet of one flow that was due at `due_ns`, and arm its next slot."""
        flow = self.flows[index]
        sequence = len(flow.sent_ns)
        spacing_ns = flow.spacing_ns
        if now - due_ns >= spacing_ns:
            missed = (now - due_ns) // spacing_ns
            flow.skips.append([sequence, missed])
            flow.slot += missed
            due_ns += missed * spacing_ns
        HEADER.pack_into(
            flow.packet,
            0,
            0x80,
            flow.payload_type,
            sequence & 0xFFFF,
            flow.slot * spacing_ns * flow.clock_hz // 1_000_000_000 & 0xFFFFFFFF,
            flow.ssrc,
            now,
            sequence & 0xFFFFFFFF,
        )
        try:
            flow.socket.sendto(flow.packet, flow.address)
        except OSError as error:
            flow.errors.append([sequence, error.errno or 0])
        flow.sent_ns.append(now)
        flow.slot += 1
        if flow.count is None or sequence + 1 < flow.count:
            heapq.heapreplace(self.due, (due_ns + spacing_ns, index))
            return
        heapq.heappop(self.due)
        if not self.due:
            say(self.host, "flow.quiet")

    def serve(self) -> None:
        """Send on time, read when there is time, until told to stop."""
        clock = time.monotonic_ns
        due = self.due
        chores_at = clock()
        backlog = False
        while not self.stopped:
            now = clock()
            if due:
                next_due, index = due[0]
                if now >= next_due:
                    self.send(index, next_due, now)
                    continue
            else:
                next_due = now + HOUSEKEEPING_NS
            if now >= chores_at:
                self.obey(0)
                backlog = True
                chores_at = now + HOUSEKEEPING_NS
            elif backlog and next_due - now > DRAIN_MARGIN_NS:
                backlog = not all(s.drain(next_due - DRAIN_MARGIN_NS) for s in self.sinks)
            elif due:
                time.sleep(((next_due if next_due < chores_at else chores_at) - now) / 1e9)
            else:
                self.obey(HOUSEKEEPING_NS // 1_000_000)

    def finish(self) -> None:
        """Read what is left, write the record file, report the counts."""
        for sink in self.sinks:
            sink.drain(time.monotonic_ns() + 5_000_000_000)
        header = {
            "format": FORMAT,
            "host": self.host,
            "byteorder": sys.byteorder,
            "clock": [self.started_offset, clock_offset()],
            "send": [flow.summary() for flow in self.flows],
            "receive": [sink.summary() for sink in self.sinks],
        }
        with open(self.output, "wb") as file:
            file.write(json.dumps(header).encode() + b"\n")
            for flow in self.flows:
                flow.sent_ns.tofile(file)
            for sink in self.sinks:
                file.write(sink.rows)
        say(
            self.host,
            "flow.done",
            output=self.output,
            sent={flow.config["flow"]: len(flow.sent_ns) for flow in self.flows},
            refused={flow.config["flow"]: len(flow.errors) for flow in self.flows},
            skipped={flow.config["flow"]: sum(s for _, s in flow.skips) for flow in self.flows},
            received={sink.port: len(sink.rows) // ROW_BYTES for sink in self.sinks},
            dropped={sink.port: sink.dropped() for sink in self.sinks},
        )


def say(host: str, kind: str, **fields: Any) -> None:
    """Print one event line."""
    event = {"t_ns": time.monotonic_ns(), "host": host, "agent": "endpoint", "type": kind, **fields}
    os.write(1, json.dumps(event).encode() + b"\n")


def _configuration() -> dict[str, Any]:
    """The configuration; reads no octet of standard input beyond its line."""
    if len(sys.argv) > 1:
        line = sys.argv[1].encode()
    else:
        line = b""
        while not line.endswith(b"\n"):
            octet = os.read(0, 1)
            if not octet:
                raise ValueError("standard input ended before the configuration line did")
            line += octet
    config: dict[str, Any] = json.loads(line)
    return config


def _be_punctual(realtime: bool) -> bool:
    """No garbage collection pauses, no timer slack, SCHED_FIFO where asked for.

    False where the kernel keeps its timer slack (50 us): each packet's lateness is recorded anyway.

    Raises:
        OSError: SCHED_FIFO was asked for and is not allowed here.
    """
    gc.disable()
    if realtime:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        with open("/proc/self/timerslack_ns", "w") as slack:
            slack.write("1")
    except OSError:
        return False
    return True


def main() -> int:
    """Run one endpoint; exit status 0, or 1 after a ``flow.failed`` event."""
    host = ""
    try:
        config = _configuration()
        host = str(config.get("host", ""))
        endpoint = Endpoint(config)
        punctual = _be_punctual(bool(config.get("realtime", False)))
        sending = {flow.config["flow"]: flow.port for flow in endpoint.flows}
        receiving = [sink.port for sink in endpoint.sinks]
        say(host, "flow.ready", no_timer_slack=punctual, send=sending, receive=receiving)
        endpoint.serve()
        endpoint.finish()
    except (OSError, KeyError, ValueError) as error:
        say(host, "flow.failed", error=f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
