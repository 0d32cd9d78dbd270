"""Frames of one link, in an asyncio loop: the configuration agent's ears and mouth there."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import socket
import struct
from collections.abc import Callable

from mpa_hil.errors import MachineError

_ETH_P_ALL = 0x0003
_SO_ATTACH_FILTER = 26
_SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP, _PACKET_MR_ALLMULTI = 1, 2
_BURST = 64
_LONGEST = 2048

_LOAD_HALF, _LOAD_BYTE, _HEADER_LENGTH, _LOAD_HALF_INDEXED = 0x28, 0x30, 0xB1, 0x48
_EQUAL, _RETURN = 0x15, 0x06
_FILTER = (
    # Label, operation, operand, where to go if equal, where if not. What other nodes send is
    # flooded to this port too, and is not for Python.
    ("", _LOAD_HALF, 12, "", ""),
    ("", _EQUAL, 0x0806, "arp", ""),
    ("", _EQUAL, 0x0800, "ipv4", ""),
    ("", _EQUAL, 0x86DD, "ipv6", "no"),
    ("arp", _LOAD_HALF, 20, "", ""),
    ("", _EQUAL, 2, "yes", "no"),  # replies
    ("ipv4", _LOAD_BYTE, 23, "", ""),
    ("", _EQUAL, 17, "", "no"),
    ("", _HEADER_LENGTH, 14, "", ""),
    ("", _LOAD_HALF_INDEXED, 16, "", ""),
    ("", _EQUAL, 68, "yes", "no"),  # UDP to the DHCP client's port
    ("ipv6", _LOAD_BYTE, 20, "", ""),
    ("", _EQUAL, 58, "icmpv6", ""),
    ("", _EQUAL, 17, "", "no"),
    ("", _LOAD_HALF, 56, "", ""),
    ("", _EQUAL, 546, "yes", "no"),  # UDP to the DHCPv6 client's port
    ("icmpv6", _LOAD_BYTE, 54, "", ""),
    ("", _EQUAL, 134, "yes", ""),  # router advertisements,
    ("", _EQUAL, 135, "yes", ""),  # neighbour solicitations
    ("", _EQUAL, 136, "yes", "no"),  # and advertisements
    ("no", _RETURN, 0, "", ""),
    ("yes", _RETURN, _LONGEST, "", ""),
)


class LinkFrames:
    """All that is sent and heard on one interface.

    Args:
        on_frame: called with each frame that concerns a configuration agent.
        done: called after a burst of them.

    Raises:
        MachineError: no such link, or no CAP_NET_RAW.
    """

    def __init__(
        self, interface: str, on_frame: Callable[[bytes], None], done: Callable[[], None]
    ) -> None:
        self._on_frame = on_frame
        self._done = done
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        try:
            self._socket = socket.socket(socket.AF_PACKET, kind, 0)  # 0: deaf until it is filtered
        except OSError as error:
            raise _fault(interface, error) from error
        try:
            _attach(self._socket)
            self._socket.bind((interface, _ETH_P_ALL))
            index = socket.if_nametoindex(interface)
            membership = struct.pack("iHH8x", index, _PACKET_MR_ALLMULTI, 0)
            self._socket.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
        except OSError as error:
            self._socket.close()
            raise _fault(interface, error) from error
        self.mac: bytes = self._socket.getsockname()[4]
        """The interface's own address."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._readable)

    def send(self, frame: bytes) -> None:
        """Send. What cannot be sent is lost, as on the link; machines repeat what matters."""
        with contextlib.suppress(OSError):
            self._socket.send(frame)

    def close(self) -> None:
        """Close it; safe to repeat."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _readable(self) -> None:
        for _ in range(_BURST):
            try:
                frame, (_, _, direction, *_) = self._socket.recvfrom(_LONGEST)
            except BlockingIOError:
                break
            except OSError:
                continue  # the link went down: it comes up again, or the agent is ended
            if direction != socket.PACKET_OUTGOING:
                self._on_frame(frame)
        self._done()


def _attach(packets: socket.socket) -> None:
    """Have the kernel drop what `_FILTER`, as classic BPF, does not let through."""
    places = {label: at for at, (label, *_) in enumerate(_FILTER) if label}
    program = b""
    for at, (_, operation, operand, yes, no) in enumerate(_FILTER):
        jumps = [places[label] - at - 1 if label else 0 for label in (yes, no)]
        program += struct.pack("HBBI", operation, *jumps, operand)
    buffer = ctypes.create_string_buffer(program)
    head = struct.pack("HxxxxxxP", len(_FILTER), ctypes.addressof(buffer))
    packets.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, head)


def _fault(interface: str, error: OSError) -> MachineError:
    return MachineError(
        f"no packet socket: {error.strerror}",
        where=f"interface {interface}",
        remedy="run it as root, and check the name with: ip link show",
    )
