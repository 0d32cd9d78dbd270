"""A box's messages, lost, doubled, late or spoilt on purpose, or the moment that a process dies.

    python3 -m mpa_hil.agents.faults CONFIG.json

Configuration: {host}. Commands:

    arm {signal, what, skip, times, for_ms, pids}    fault.armed
    release {}            let the packet go on that `what` = "wait" holds
    disarm {}             let all packets go on                            fault.disarmed

`signal` is {hook, transport, end, port} as `mpa_hil.kernel.packet_queue.Selection` has it, and
which of these packets are meant, by their payload: `form`, a list of "OFFSET MASK VALUE" (one octet
each), or `dhcp`, a message type; `after`, such a list too, is of a packet to that port that must
have come before. Of those that are meant, the first `skip` pass; then `times` get it:

    lose duplicate delay corrupt    that message itself (delay: by for_ms)
    kill                            SIGKILL to the processes `pids`, then it goes on
    stop                            SIGSTOP, and SIGCONT for_ms later; it goes on at once
    wait                            it waits for `release`: the controller does what there is to do

Each time `fault.injected` is told. Packets are looked at before this box's own programs see them
(hook in), or before they leave it (hook out). IPv4.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal as signals
import socket
from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Literal

from mpa_hil.agents.attending import Commands, Verb, attend
from mpa_hil.agents.config import Fields
from mpa_hil.agents.stdio import Console, Json, main
from mpa_hil.kernel.packet_queue import TRANSPORTS, Packet, PacketQueue, Selection

_WHAT = ("lose", "duplicate", "delay", "corrupt", "kill", "stop", "wait")
_DHCP_OPTIONS = 240
_DHCP_TYPE, _DHCP_PAD, _DHCP_END = 53, 0, 255
_DHCP_YOUR_ADDRESS = slice(16, 20)


def payload_at(octets: bytes) -> int:
    """Where the payload of an IPv4 packet begins, behind UDP's or TCP's header; 0: not known."""
    if len(octets) < 20 or octets[0] >> 4 != 4:
        return 0
    at = (octets[0] & 15) * 4
    if octets[9] == TRANSPORTS["udp"]:
        return at + 8
    if octets[9] == TRANSPORTS["tcp"] and len(octets) > at + 12:
        return at + (octets[at + 12] >> 4) * 4
    return 0


def dhcp_type(message: bytes) -> int:
    """A DHCP message's type (RFC 2132 s9.6); 0: none is named."""
    at = _DHCP_OPTIONS
    while at + 2 < len(message) and message[at] != _DHCP_END:
        if message[at] == _DHCP_TYPE:
            return message[at + 2]
        at += 1 if message[at] == _DHCP_PAD else 2 + message[at + 1]
    return 0


def spoilt(octets: bytes) -> bytes:
    """The packet with its last octet inverted; over UDP with no checksum that would tell."""
    changed = bytearray(octets)
    changed[-1] ^= 0xFF
    at = (octets[0] & 15) * 4
    if octets[9] == TRANSPORTS["udp"]:
        changed[at + 6 : at + 8] = b"\0\0"
    return bytes(changed)


class _Form:
    """Which payloads are meant."""

    def __init__(self, fields: Fields, key: str) -> None:
        self._octets = [_octet(fields, key, text) for text in fields.texts(key)]

    @property
    def wanted(self) -> bool:
        """Whether it says anything."""
        return bool(self._octets)

    def fits(self, payload: bytes) -> bool:
        """Whether this is one."""
        return bool(payload) and all(
            at < len(payload) and payload[at] & mask == value for at, mask, value in self._octets
        )


def _octet(fields: Fields, key: str, text: str) -> tuple[int, int, int]:
    try:
        at, mask, value = map(int, text.split())
    except ValueError:
        raise fields.fault(key, f"{text!r} is not three numbers") from None
    return at, mask, value


class _Fault:
    """One that is armed."""

    def __init__(self, fields: Fields, console: Console) -> None:
        wanted = fields.inner("signal")
        hook: Literal["in", "out"] = "in" if wanted.choice("hook", ("in", "out")) == "in" else "out"
        end = wanted.choice("end", ("destination", "source"))
        transport = wanted.choice("transport", ("udp", "tcp"))
        port = wanted.integer("port", None, 1, 65535)
        self._selection = Selection(
            hook, transport, "source" if end == "source" else "destination", port
        )
        self._dhcp = wanted.integer("dhcp", 0, 0, 255)
        self._form, self._after = _Form(wanted, "form"), _Form(wanted, "after")
        self._awaited = self._after.wanted
        before = Selection("in", transport, "destination", port)
        wanted.done()
        self._what = fields.choice("what", _WHAT)
        self._skip = fields.integer("skip", 0, 0, 1000)
        self._times = fields.integer("times", 1, 1, 1000)
        self._for_s = fields.integer("for_ms", 2000, 1, 600_000) / 1000
        self._pids = fields.integers("pids")
        fields.done()
        self._console = console
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Packet] = []
        self._later: list[asyncio.TimerHandle] = []
        self._queue = PacketQueue(
            (self._selection, before) if self._awaited else (self._selection,)
        )
        self._loop.add_reader(self._queue, self._receive)

    def release(self) -> None:
        """Let go on what waits."""
        waiting, self._waiting = self._waiting, []
        for packet in waiting:
            self._queue.accept(packet)

    def close(self) -> None:
        """Let everything go on, and look at nothing more."""
        for timer in self._later:
            timer.cancel()
        self._resume()
        self._loop.remove_reader(self._queue)
        with contextlib.suppress(OSError):
            self.release()
        self._queue.close()

    def _receive(self) -> None:
        for packet in self._queue.receive():
            payload = packet.octets[payload_at(packet.octets) or len(packet.octets) :]
            if self._awaited and packet.hook == "in" and self._after.fits(payload):
                self._awaited = False
            if self._awaited or not self._times or not self._is_meant(packet, payload):
                self._queue.accept(packet)
            elif self._skip:
                self._skip -= 1
                self._queue.accept(packet)
            else:
                self._times -= 1
                self._inject(packet, payload)

    def _is_meant(self, packet: Packet, payload: bytes) -> bool:
        if packet.hook != self._selection.hook or not self._form.fits(payload):
            return False
        return not self._dhcp or dhcp_type(payload) == self._dhcp

    def _inject(self, packet: Packet, payload: bytes) -> None:
        if self._what == "lose":
            self._queue.drop(packet)
        elif self._what == "corrupt":
            self._queue.accept(packet, spoilt(packet.octets))
        elif self._what == "duplicate":
            self._queue.accept(packet)
            _send_again(packet.octets)
        elif self._what in ("delay", "wait"):
            self._waiting.append(packet)
            if self._what == "delay":
                self._later.append(self._loop.call_later(self._for_s, self.release))
        else:
            self._signal(signals.SIGKILL if self._what == "kill" else signals.SIGSTOP)
            if self._what == "stop":
                self._later.append(self._loop.call_later(self._for_s, self._resume))
            self._queue.accept(packet)
        address = ""
        if packet.octets[9] == TRANSPORTS["udp"] and dhcp_type(payload):
            address = str(IPv4Address(payload[_DHCP_YOUR_ADDRESS]))
        self._console.emit("fault.injected", what=self._what, octets=len(payload), address=address)

    def _signal(self, number: int) -> None:
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _resume(self) -> None:
        if self._what == "stop":
            self._signal(signals.SIGCONT)


def _send_again(octets: bytes) -> None:
    """A second copy of a packet: it comes by again, and then passes."""
    destination = str(IPv4Address(octets[16:20]))
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        with contextlib.suppress(OSError):
            raw.sendto(octets, (destination, 0))


class FaultProcess:
    """One fault at a time."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._fault: _Fault | None = None

    async def arm(self, fields: Fields) -> None:
        """Wait for the message."""
        self._end()
        self._fault = _Fault(fields, self._console)
        self._console.emit("fault.armed")

    async def release(self, fields: Fields) -> None:
        """See `_Fault.release`."""
        fields.done()
        if self._fault is not None:
            self._fault.release()

    async def disarm(self, fields: Fields) -> None:
        """Let all packets go on."""
        fields.done()
        self._end()
        self._console.emit("fault.disarmed")

    def close(self) -> None:
        """At the end."""
        self._end()

    def _end(self) -> None:
        if self._fault is not None:
            self._fault.close()
            self._fault = None


async def _serve(config: Json, console: Console) -> None:
    fields = Fields(config, "faults configuration")
    fields.text("host", "?")
    fields.done()
    process = FaultProcess(console)
    commands = Commands(console, "the faults agent")
    verbs: Mapping[str, Verb] = {
        "arm": process.arm,
        "release": process.release,
        "disarm": process.disarm,
    }
    console.emit("fault.ready")
    try:
        await attend(console, commands.put, commands.obey(verbs))
    finally:
        process.close()


def serve(config: Json, console: Console) -> None:
    """Run until told to end."""
    asyncio.run(_serve(config, console))


if __name__ == "__main__":
    main("faults", serve)
