"""Each packet once: what has come by one tunnel is dropped when it comes by another (R79).

While a home agent sends to several care-of addresses, copies of a packet come by several devices.
A filter before the network stack remembers for a while what came by which device, and lets pass
whatever is new, or came by the same device before: who sends the same again means it. It is a
program of some thirty instructions that the kernel runs for each packet (linux/bpf.h, act_bpf): no
packet comes to user space.

IPv4 only. Two packets are the same if length, identification, protocol, addresses, and the first
eight octets of what they carry are: ports, and UDP's length and checksum, or TCP's sequence number.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from socket import htons

from mpa_hil.kernel import filters
from mpa_hil.kernel.netlink import (
    CREATE,
    EXCLUSIVE,
    NetlinkError,
    RouteSocket,
    attribute,
    interface_index,
    message,
    text,
    u32,
)
from radios.errors import MachineError

WINDOW_NS = 2_000_000_000
"""A copy that is later is none: longer than a switch holds packets."""
KEPT = 16384
"""Packets that are remembered; beyond, those used least lately are forgotten."""

_SYSCALLS = {"x86_64": 321, "aarch64": 280, "riscv64": 280}
_MAP_CREATE, _PROG_LOAD = 0, 5
_LRU_HASH, _SCHED_CLS = 9, 3
_LOOKUP, _UPDATE, _NOW = 1, 2, 5
"""Functions that the kernel offers to such programs."""
_KEY_OCTETS, _VALUE_OCTETS = 28, 16
_KEY_AT, _VALUE_AT = -32, -48
"""On the program's stack."""
_INTERFACE_AT = 40
"""Of `struct __sk_buff`: the device that a packet came by."""
_PASS, _DROP = -1, 2
_WORDS = (0, 4, None, 12, 16, 20, 24)
"""Offsets in the packet; None: the protocol's octet, at 9."""
_TC = struct.Struct("=BxxxiIII")
_INGRESS, _NEW_FILTER, _PRIORITY = 0xFFFFFFF2, 44, 1
_BPF_FD, _BPF_NAME, _BPF_FLAGS, _DIRECT = 6, 7, 8, 1
_EXISTS = 17


def program(seen: int) -> bytes:
    """The instructions.

    Args:
        seen: descriptor of the map of what was seen.
    """
    out: list[bytes] = []

    def put(code: int, to: int = 0, of: int = 0, at: int = 0, value: int = 0) -> None:
        out.append(struct.pack("=BBhi", code, of << 4 | to, at, value))

    def point(register: int, at: int) -> None:
        put(0xBF, register, 10)
        put(0x07, register, value=at)

    def take_map() -> None:
        put(0x18, 1, 1, value=seen)
        put(0)

    store = [(0x30 if at is None else 0x20, 9 if at is None else at) for at in _WORDS]
    put(0xBF, 6, 1)  # r6 = packet, as the loads below want it
    put(0x30, value=0)
    put(0x55)  # options, or IPv6: not looked at (filled in below)
    first = len(out)
    for number, (code, at) in enumerate(store):
        put(code, value=at)
        put(0x63, 10, 0, _KEY_AT + 4 * number)
    put(0x85, value=_NOW)
    put(0xBF, 7, 0)  # r7 = now
    put(0x61, 8, 6, _INTERFACE_AT)  # r8 = device
    take_map()
    point(2, _KEY_AT)
    put(0x85, value=_LOOKUP)
    put(0x15, 0, at=7, value=0)  # new
    put(0x79, 1, 0, 0)
    put(0xBF, 2, 7)
    put(0x1F, 2, 1)
    put(0x25, 2, at=3, value=WINDOW_NS)  # so long ago that it is another
    put(0x61, 3, 0, 8)
    put(0x1D, 3, 8, 1)  # by the same device
    put(0x05)  # else to the end, to drop it (filled in below)
    put(0x7B, 10, 7, _VALUE_AT)
    put(0x7B, 10, 8, _VALUE_AT + 8)
    take_map()
    point(2, _KEY_AT)
    point(3, _VALUE_AT)
    put(0xB7, 4)
    put(0x85, value=_UPDATE)
    here = len(out)
    put(0xB7, 0, value=_PASS)
    put(0x95)
    put(0xB7, 0, value=_DROP)
    put(0x95)
    out[first - 1] = struct.pack("=BBhi", 0x55, 0, here - first, 0x45)
    drop = next(n for n, each in enumerate(out) if each[0] == 0x05)
    out[drop] = struct.pack("=BBhi", 0x05, 0, here + 2 - drop - 1, 0)
    return b"".join(out)


class Once:
    """The filter on some devices of this namespace; they forget it when they go.

    Args:
        route: where it is put in.

    Raises:
        MachineError: the kernel has no such programs, or not root.
    """

    def __init__(self, route: RouteSocket) -> None:
        self._route = route
        self._seen = _bpf(
            _MAP_CREATE, struct.pack("=5I", _LRU_HASH, _KEY_OCTETS, _VALUE_OCTETS, KEPT, 0)
        )
        try:
            self._program = _load(program(self._seen))
        except BaseException:
            os.close(self._seen)
            raise

    def add(self, device: str) -> None:
        """Look at what comes by a device; again is fine.

        Raises:
            MachineError: the kernel refused.
        """
        index = interface_index(device)
        try:
            self._route.request(filters.entrance(index), f"clsact: {device}")
        except NetlinkError as error:
            if error.errno != _EXISTS:
                raise
        head = _TC.pack(0, index, 1, _INGRESS, _PRIORITY << 16 | htons(3))
        options = u32(_BPF_FD, self._program) + text(_BPF_NAME, "once") + u32(_BPF_FLAGS, _DIRECT)
        wanted = head + text(1, "bpf") + attribute(2, options)
        try:
            self._route.request(
                message(_NEW_FILTER, CREATE | EXCLUSIVE, wanted), f"each packet once: {device}"
            )
        except NetlinkError as error:
            if error.errno != _EXISTS:
                raise

    def close(self) -> None:
        """Where it is in, it stays, until that device goes."""
        os.close(self._program)
        os.close(self._seen)


def _load(instructions: bytes) -> int:
    code = ctypes.create_string_buffer(instructions, len(instructions))
    license_ = ctypes.create_string_buffer(b"MIT")
    log = ctypes.create_string_buffer(1 << 16)
    wanted = struct.pack(
        "=IIQQIIQII",
        _SCHED_CLS,
        len(instructions) // 8,
        ctypes.addressof(code),
        ctypes.addressof(license_),
        1,
        len(log),
        ctypes.addressof(log),
        0,
        0,
    )
    try:
        return _bpf(_PROG_LOAD, wanted)
    except MachineError as error:
        said = log.value.decode(errors="replace").strip().split("\n")[-1]
        raise MachineError(error.what, where=said or error.where, remedy=error.remedy) from error


def _bpf(command: int, wanted: bytes) -> int:
    number = _SYSCALLS.get(platform.machine())
    if number is None:
        raise MachineError("no packet filters on this machine", where=platform.machine())
    held = ctypes.create_string_buffer(wanted + bytes(128 - len(wanted)), 128)
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.syscall(number, command, held, 128))
    if descriptor < 0:
        why = os.strerror(ctypes.get_errno())
        raise MachineError(
            f"the kernel takes no packet filter: {why}",
            where="bpf",
            remedy="run as root, on a kernel with CONFIG_BPF_SYSCALL and cls_bpf",
        )
    return descriptor
