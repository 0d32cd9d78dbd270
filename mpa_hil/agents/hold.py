"""Hold-and-release at an access router: `python3 -m mpa_hil.agents.hold CONFIG.json`.

Configuration (JSON object):

    host          its name in the events
    bind          the address that requests are sent to
    port          4340
    interface     through which the held packets would leave
    nodes         list of {address, key (hex), limit_octets, maximum_hold_ms?, match?}; match is
                  "destination" (packets to the address, the default) or "source"

Requests are the datagrams of `hold_protocol`. Commands, for the controller and for debugging:
`{"cmd": "hold"}`, `{"cmd": "release"}`, `{"cmd": "backlog"}`, each with an optional "address"
(default: every node), and `{"cmd": "add", ...}`, `{"cmd": "remove", "address": ...}` with the
fields of a node. Standard input closed, or SIGTERM: everything is released and the interface gets
its own queueing back. A guardian process sees to that when the agent itself is killed.

Events: `hold.ready`, `hold.started`, `hold.released` (cause: request, limit, command, removal,
stop),
`hold.discarded`, `hold.failed`, `hold.backlog`.

From the request's arrival to its acknowledgement there are: one HMAC, one send of a prepared
netlink message, one HMAC, one send. Everything else (counters, events) comes afterwards.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from mpa_hil.agents.config import Fields
from mpa_hil.agents.guardian import Guardian
from mpa_hil.agents.hold_protocol import (
    KEY_OCTETS,
    MAXIMUM_HOLD_MS,
    DecodeError,
    Gate,
    HoldMessage,
    Kind,
    Outcome,
    address_of,
)
from mpa_hil.agents.loop import Loop
from mpa_hil.agents.stdio import Console, Json, main
from mpa_hil.kernel.hold import (
    PASSING_PRIORITY,
    Backlog,
    HoldQueue,
    Match,
    parse_backlog,
    release_all,
)
from mpa_hil.kernel.netlink import RouteSocket
from radios.errors import LocalError, MachineError, MpaError

_NS_PER_MS = 1_000_000
_RECEIVE_OCTETS = 512
_ZERO = Backlog(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Node:
    """One node whose packets may be held."""

    address: IPv4Address
    key: bytes
    limit_octets: int
    maximum_hold_ms: int
    match: Match

    @classmethod
    def read(cls, fields: Fields) -> Node:
        """Check one entry of the configuration.

        Raises:
            LocalError: with the key that is wrong.
        """
        node = cls(
            fields.address("address"),
            fields.key("key", KEY_OCTETS),
            fields.integer("limit_octets", 1 << 20, 1, 0xFFFFFFFF),
            fields.integer("maximum_hold_ms", 2000, 1, MAXIMUM_HOLD_MS),
            Match[fields.choice("match", ("destination", "source")).upper()],
        )
        fields.done()
        return node


@dataclass(slots=True)
class _Station:
    node: Node
    gate: Gate
    since_ns: int = 0
    """When the hold began; 0 while packets pass."""
    deadline_ns: int = 0
    before: bytes = b""
    """The plug's counters at the beginning, unparsed."""


class HoldServer:
    """Gates, plugs and time limits of the nodes of one interface."""

    def __init__(
        self,
        queue: HoldQueue,
        console: Console,
        send: Callable[[bytes, tuple[str, int]], None],
    ) -> None:
        self._queue = queue
        self._console = console
        self._send = send
        self._stations: dict[IPv4Address, _Station] = {}

    def add(self, node: Node) -> None:
        """Stage a plug for a node.

        Raises:
            MpaError: it has one, there is no more room, or the kernel refused.
        """
        self._queue.add(node.address, node.limit_octets, node.match)
        self._stations[node.address] = _Station(node, Gate(node.key, node.address))

    def remove(self, address: IPv4Address) -> None:
        """Release a node's packets and forget it."""
        station = self._stations.pop(address, None)
        if station is not None:
            self._release(station, "removal")
            self._queue.remove(address)

    def receive(self, datagram: bytes, source: tuple[str, int]) -> None:
        """Act on a request and acknowledge it."""
        arrived_ns = time.monotonic_ns()
        address = address_of(datagram)
        station = self._stations.get(address) if address is not None else None
        if station is None:
            self._console.emit(
                "hold.discarded", reason="no message, or no such node", source=source[0]
            )
            return
        try:
            request = station.gate.receive(datagram)
        except DecodeError as error:
            self._console.emit("hold.discarded", reason=error.what, source=source[0])
            return
        if isinstance(request, bytes):
            if request:
                self._send(request, source)
            return
        self._act(station, request, source, arrived_ns)

    def hold(self, address: IPv4Address) -> None:
        """Hold on command."""
        station = self._stations[address]
        self._queue.hold(address)
        self._begin(station, station.node.maximum_hold_ms, time.monotonic_ns())
        station.before = self._queue.snapshot(address)
        self._started(station, "command")

    def release(self, address: IPv4Address, cause: str) -> None:
        """Release on command; nothing held is fine."""
        self._release(self._stations[address], cause)

    def stop(self) -> None:
        """Release everything that is held."""
        for station in self._stations.values():
            if station.since_ns:
                self._release(station, "stop")

    def backlog(self, address: IPv4Address) -> Backlog:
        """What waits for a node."""
        return self._queue.backlog(address)

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        """The nodes."""
        return tuple(self._stations)

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next release by limit."""
        held = (station.deadline_ns for station in self._stations.values() if station.since_ns)
        return min(held, default=None)

    def expire(self) -> None:
        """Release what was held for too long."""
        now_ns = time.monotonic_ns()
        for station in self._stations.values():
            if station.since_ns and station.deadline_ns <= now_ns:
                self._release(station, "limit")

    def _act(
        self, station: _Station, request: HoldMessage, source: tuple[str, int], arrived_ns: int
    ) -> None:
        address, node = station.node.address, station.node
        hold_ms = min(request.hold_ms or node.maximum_hold_ms, node.maximum_hold_ms)
        code, failure = Outcome.DONE, ""
        try:
            if request.kind == Kind.HOLD:
                self._queue.hold(address)
            else:
                self._queue.release(address)
        except MachineError as error:
            code, failure = Outcome.KERNEL_REFUSED, str(error)
        self._send(station.gate.answer(request, hold_ms, code, node.limit_octets), source)
        done_ns = time.monotonic_ns()
        os.sched_yield()  # whoever waits for the answer goes first; the rest is bookkeeping
        if failure:
            self._console.emit("hold.failed", address=address, error=failure)
        elif request.kind == Kind.HOLD:
            self._begin(station, hold_ms, arrived_ns)
            station.before = self._queue.snapshot(address)
            self._started(station, "request", answer_ns=done_ns - arrived_ns)
        else:
            self._finish(station, "request", arrived_ns, answer_ns=done_ns - arrived_ns)

    def _begin(self, station: _Station, hold_ms: int, now_ns: int) -> None:
        station.since_ns = station.since_ns or now_ns
        station.deadline_ns = now_ns + hold_ms * _NS_PER_MS

    def _started(self, station: _Station, cause: str, **more: object) -> None:
        node = station.node
        said = {"address": node.address, "limit_octets": node.limit_octets, "cause": cause}
        self._console.emit("hold.started", station.since_ns, **said, **more)

    def _release(self, station: _Station, cause: str) -> None:
        now_ns = time.monotonic_ns()
        self._queue.release(station.node.address)
        self._finish(station, cause, now_ns)

    def _finish(self, station: _Station, cause: str, now_ns: int, **more: object) -> None:
        """Count and report a release that has been done; silent when nothing was held."""
        if not station.since_ns:
            return
        held_ns = now_ns - station.since_ns
        station.since_ns = 0
        before = parse_backlog(station.before) if station.before else _ZERO
        after = self._queue.backlog(station.node.address)
        self._console.emit(
            "hold.released",
            now_ns,
            address=station.node.address,
            cause=cause,
            held_packets=after.passed_packets - before.passed_packets + after.packets,
            dropped_packets=after.dropped - before.dropped,
            held_ns=held_ns,
            **more,
        )


class HoldProcess:
    """The server on its socket, its console and its loop.

    Raises:
        MachineError: the port cannot be bound, or the kernel has no plug.
        LocalError: the interface is somebody else's.
    """

    def __init__(self, config: Json, console: Console) -> None:
        fields = Fields(config, "hold configuration")
        fields.text("host", "?")
        bind, port = fields.address("bind"), fields.integer("port", 4340, 1, 65535)
        interface = fields.text("interface")
        nodes = tuple(Node.read(entry) for entry in fields.each("nodes"))
        fields.done()
        self._console = console
        # The port comes first: who has it is the one agent, and may take over the interface.
        self._socket = _bind(bind, port)
        self._route = RouteSocket()
        self._queue = HoldQueue(self._route, interface)
        self._guardian = Guardian(lambda: _release_from_outside(interface))
        self._loop = Loop()
        self._server = HoldServer(self._queue, console, self._send)
        try:
            for node in nodes:
                self._server.add(node)
        except BaseException:
            self.close()
            raise
        self._loop.watch(self._socket, self._on_datagram)
        self._loop.watch(sys.stdin, self._on_command)
        console.emit("hold.ready", interface=interface, port=port)

    def run(self) -> None:
        """Serve until told to end."""
        self._loop.run(self._server.next_deadline, self._server.expire)

    def close(self) -> None:
        """Release everything and restore the interface."""
        try:
            self._server.stop()
        finally:
            self._queue.close()
            self._guardian.dismiss()
            self._route.close()
            self._socket.close()

    def _send(self, datagram: bytes, destination: tuple[str, int]) -> None:
        try:
            self._socket.sendto(datagram, destination)
        except OSError as error:
            reason = f"the answer could not be sent: {error.strerror}"
            self._console.emit("hold.discarded", reason=reason, source=destination[0])

    def _on_datagram(self) -> None:
        try:
            datagram, source = self._socket.recvfrom(_RECEIVE_OCTETS)
        except OSError:
            return  # an ICMP error about an earlier answer
        self._server.receive(datagram, source)

    def _on_command(self) -> None:
        for command in self._console.commands():
            try:
                self._command(command)
            except MpaError as error:
                self._console.refuse(command["cmd"], str(error))
        if self._console.closed:
            self._loop.stop()

    def _command(self, command: Json) -> None:
        verb = command["cmd"]
        rest = {name: value for name, value in command.items() if name != "cmd"}
        fields = Fields(rest, f"command {verb}")
        if verb == "add":
            self._server.add(Node.read(fields))
            return
        known = self._server.addresses
        chosen = (fields.address("address"),) if rest else known
        fields.done()
        if not set(chosen) <= set(known):
            raise LocalError("no such node", where=f"command {verb}, address")
        for address in chosen:
            if verb == "hold":
                self._server.hold(address)
            elif verb == "release":
                self._server.release(address, "command")
            elif verb == "remove":
                self._server.remove(address)
            elif verb == "backlog":
                backlog = self._server.backlog(address)
                said = {"packets": backlog.packets, "octets": backlog.octets}
                dropped = backlog.dropped
                self._console.emit("hold.backlog", address=address, dropped=dropped, **said)
            else:
                raise LocalError("no such command", where=f"command {verb}")


def _bind(address: IPv4Address, port: int) -> socket.socket:
    endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        endpoint.bind((str(address), port))
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, PASSING_PRIORITY)
    except OSError as error:
        endpoint.close()
        raise MachineError(
            f"it cannot be bound: {error.strerror}",
            where=f"UDP {address} port {port}",
            remedy="see who has it with: ss -ulnp, and that the address is set: ip addr",
        ) from error
    return endpoint


def _release_from_outside(interface: str) -> None:
    """What the guardian does: it has no plug objects, so it asks the kernel what there is."""
    with RouteSocket() as route:
        release_all(route, interface)


def serve(config: Json, console: Console) -> None:
    """Run the hold server that `config` describes, until told to end."""
    process = HoldProcess(config, console)
    try:
        process.run()
    finally:
        process.close()


if __name__ == "__main__":
    main("hold", serve)
