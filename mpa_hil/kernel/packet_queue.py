"""Packets that enter or leave a box, handed to this process for a verdict (nftables and NFQUEUE).

Layouts from linux/netfilter/nf_tables.h and nfnetlink_queue.h; numbers in attributes are in network
byte order. The rules are in a table that belongs to the socket that made it: when the process ends,
however it does, the kernel takes them away. While nobody listens, packets pass.
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mpa_hil.kernel.netlink import NetlinkError, NetlinkSocket, attribute, attributes, message

NETLINK_NETFILTER = 12
Hook = Literal["in", "out"]
"""Packets for this box, or of this box."""
_HOOKS: dict[str, int] = {"in": 1, "out": 3}
TRANSPORTS = {"udp": 17, "tcp": 6}

_TABLES, _QUEUE = 10, 3
_BEGIN, _END = 0x10, 0x11
_NEW_TABLE, _NEW_CHAIN, _NEW_RULE = 0, 3, 6
_CREATE, _APPEND, _REQUEST = 0x400, 0x800, 1
_INET = 1
_OWNER = 2
_TABLE, _CHAIN = "mpafaults", {"in": "entering", "out": "leaving"}
_BEFORE_OTHERS = -300
_PORT_AT = {"source": 0, "destination": 2}
_LAYER4, _TRANSPORT_HEADER, _EQUAL, _REGISTER = 16, 2, 0, 1
_BYPASS = 1
_GENERAL = struct.Struct("!BBH")
_HEADER = struct.Struct("=IHHII")
_PACKET_HEADER = struct.Struct("!IHB")
_WHOLE_PACKET = struct.pack("!IB", 0xFFFF, 2)
_PACKET, _VERDICT, _CONFIG = 0, 1, 2
_DROP, _ACCEPT = 0, 1
_RECEIVE_OCTETS = 1 << 17


@dataclass(frozen=True, slots=True)
class Selection:
    """Which packets are wanted.

    Attributes:
        hook: coming in or going out.
        transport: "udp" or "tcp".
        end: which port is compared.
    """

    hook: Hook
    transport: str
    end: Literal["source", "destination"]
    port: int


class Packet(NamedTuple):
    """One that waits for its verdict."""

    number: int
    hook: Hook
    octets: bytes
    """From the IP header on."""


class PacketQueue:
    """The packets that fit any of some selections.

    Args:
        number: of the queue, one of its own in the namespace.

    Raises:
        MachineError: the kernel has no nftables or no NFQUEUE, or privilege is missing.
    """

    def __init__(self, selections: tuple[Selection, ...], number: int = 435) -> None:
        self._number = number
        self._tables = NetlinkSocket(NETLINK_NETFILTER)
        self._queue = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER
        )
        try:
            self._queue.bind((0, 0))
            self._configure(attribute(1, struct.pack("!BxH", 1, 0)))
            self._configure(attribute(2, _WHOLE_PACKET))
            self._make_rules(selections)
        except BaseException:
            self.close()
            raise
        self._queue.setblocking(False)

    def fileno(self) -> int:
        """Readable when a packet waits."""
        return self._queue.fileno()

    def receive(self) -> list[Packet]:
        """The packets that wait now."""
        found: list[Packet] = []
        while True:
            try:
                octets = self._queue.recv(_RECEIVE_OCTETS)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno == errno.ENOBUFS:  # what did not fit has passed
                    continue
                raise
            found += _packets(octets)

    def accept(self, packet: Packet, changed: bytes | None = None) -> None:
        """Let a packet go on its way, perhaps with other content."""
        self._verdict(packet, _ACCEPT, changed)

    def drop(self, packet: Packet) -> None:
        """Throw a packet away."""
        self._verdict(packet, _DROP, None)

    def close(self) -> None:
        """Give the rules back; packets that still wait go on. Safe to repeat."""
        self._tables.close()
        self._queue.close()

    def _verdict(self, packet: Packet, verdict: int, changed: bytes | None) -> None:
        body = attribute(2, struct.pack("!II", verdict, packet.number))
        if changed is not None:
            body += attribute(10, changed)
        head = _GENERAL.pack(0, 0, self._number)
        self._queue.send(_plain(_QUEUE << 8 | _VERDICT, head + body))

    def _configure(self, body: bytes) -> None:
        kind = _QUEUE << 8 | _CONFIG
        self._queue.send(message(kind, 0, _GENERAL.pack(0, 0, self._number) + body))
        answer = self._queue.recv(_RECEIVE_OCTETS)
        (number,) = struct.unpack_from("=i", answer, _HEADER.size)
        if number:
            raise NetlinkError(-number, "packet queue", "modprobe nfnetlink_queue")

    def _make_rules(self, selections: tuple[Selection, ...]) -> None:
        wanted = [_tables(_NEW_TABLE, _CREATE, _text(1, _TABLE), attribute(2, _u32(_OWNER)))]
        for hook in dict.fromkeys(selection.hook for selection in selections):
            place = attribute(1, _u32(_HOOKS[hook])) + attribute(
                2, struct.pack("!i", _BEFORE_OTHERS)
            )
            parts = (_text(1, _TABLE), _text(3, _CHAIN[hook]), _nest(4, place), _text(7, "filter"))
            wanted.append(_tables(_NEW_CHAIN, _CREATE, *parts))
        wanted += [self._rule(selection) for selection in dict.fromkeys(selections)]
        batch = _plain(_BEGIN, _GENERAL.pack(0, 0, _TABLES))
        batch += b"".join(wanted) + _plain(_END, _GENERAL.pack(0, 0, _TABLES))
        self._tables.request(batch, "packet queue", len(wanted))

    def _rule(self, selection: Selection) -> bytes:
        transport = bytes((TRANSPORTS[selection.transport],))
        port = struct.pack("!H", selection.port)
        expressions = (
            _expression("meta", attribute(1, _u32(_REGISTER)), attribute(2, _u32(_LAYER4))),
            _equals(transport),
            _expression(
                "payload",
                attribute(1, _u32(_REGISTER)),
                attribute(2, _u32(_TRANSPORT_HEADER)),
                attribute(3, _u32(_PORT_AT[selection.end])),
                attribute(4, _u32(len(port))),
            ),
            _equals(port),
            _expression(
                "queue",
                attribute(1, struct.pack("!H", self._number)),
                attribute(2, struct.pack("!H", 1)),
                attribute(3, struct.pack("!H", _BYPASS)),
            ),
        )
        parts = (_text(1, _TABLE), _text(2, _CHAIN[selection.hook]), _nest(4, *expressions))
        return _tables(_NEW_RULE, _CREATE | _APPEND, *parts)


def _packets(octets: bytes) -> list[Packet]:
    found = []
    at = 0
    while at + _HEADER.size <= len(octets):
        length, kind, _, _, _ = _HEADER.unpack_from(octets, at)
        if kind == _QUEUE << 8 | _PACKET:
            body = attributes(octets[at + _HEADER.size + _GENERAL.size : at + length])
            number, _, hook = _PACKET_HEADER.unpack_from(body[1])
            found.append(Packet(number, "in" if hook == _HOOKS["in"] else "out", body[10]))
        at += max(length + 3 & ~3, _HEADER.size)
    return found


def _plain(kind: int, body: bytes) -> bytes:
    """A request that is not acknowledged."""
    return (
        _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST, 0, 0)
        + body
        + b"\0" * (-len(body) % 4)
    )


def _tables(kind: int, flags: int, *parts: bytes) -> bytes:
    return message(_TABLES << 8 | kind, flags, _GENERAL.pack(_INET, 0, 0) + b"".join(parts))


def _u32(value: int) -> bytes:
    return struct.pack("!I", value)


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def _nest(kind: int, *members: bytes) -> bytes:
    return attribute(kind | 0x8000, b"".join(members))


def _expression(name: str, *parts: bytes) -> bytes:
    return _nest(1, _text(1, name), _nest(2, *parts))


def _equals(value: bytes) -> bytes:
    data = _nest(3, attribute(1, value))
    return _expression("cmp", attribute(1, _u32(_REGISTER)), attribute(2, _u32(_EQUAL)), data)
