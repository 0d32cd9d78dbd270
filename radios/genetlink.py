"""Generic netlink with the standard library: messages to octets and back, and one request.

pyroute2 costs seconds to import in the guest and takes hwsim's positive answers (a new radio's
number, in the error field) for errors; setting up a lab needs neither. Reading the kernel's large
nested dumps is pyroute2's part (`radios.nl80211`).

Layout: include/uapi/linux/netlink.h and genetlink.h; host byte order.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from radios.errors import MachineError, MpaError, RemoteError

NETLINK_GENERIC = 16
CONTROLLER = 0x10
"""GENL_ID_CTRL: the family that knows the other families' numbers."""
GET_FAMILY = 3
FAMILY_ID = 1
FAMILY_NAME = 2
FAMILY_GROUPS = 7
GROUP_NAME, GROUP_ID = 1, 2

REQUEST, ACKNOWLEDGE = 0x1, 0x4
DUMP = 0x300
ERROR, DONE = 2, 3

TIMEOUT_S = 5.0
"""Bound of a kernel answer; moving a radio between namespaces takes tens of milliseconds."""

_SOL_NETLINK, _ADD_MEMBERSHIP, _DROP_MEMBERSHIP = 270, 1, 2
_HEADER = struct.Struct("=IHHII")
_GENERIC = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR = struct.Struct("=i")
_TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER

Attribute = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Message:
    """One netlink message: its type (a family's number), sequence number and payload."""

    kind: int
    sequence: int
    payload: bytes


def u32(value: int) -> bytes:
    """A 32-bit attribute value."""
    return struct.pack("=I", value)


def text(value: str) -> bytes:
    """A zero-terminated string value."""
    return value.encode() + b"\0"


def encode_attributes(attributes: Sequence[Attribute]) -> bytes:
    """Attributes one after the other, each padded to four octets."""
    encoded = bytearray()
    for kind, value in attributes:
        encoded += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value
        encoded += bytes(-len(encoded) % 4)
    return bytes(encoded)


def encode_request(
    family: int,
    command: int,
    attributes: Sequence[Attribute],
    sequence: int,
    version: int = 1,
    flags: int = ACKNOWLEDGE,
) -> bytes:
    """A request that the kernel acknowledges, or (DUMP) answers with a list."""
    body = _GENERIC.pack(command, version, 0) + encode_attributes(attributes)
    size = _HEADER.size + len(body)
    return _HEADER.pack(size, family, REQUEST | flags, sequence, 0) + body


def decode_messages(data: bytes) -> list[Message]:
    """The messages of one datagram; ValueError when a length is wrong."""
    messages = []
    while data:
        if len(data) < _HEADER.size:
            raise ValueError("a netlink message shorter than its header")
        size, kind, _flags, sequence, _port = _HEADER.unpack_from(data)
        if not _HEADER.size <= size <= len(data):
            raise ValueError(f"a netlink message of {size} octets in {len(data)}")
        messages.append(Message(kind, sequence, data[_HEADER.size : size]))
        data = data[(size + 3) & ~3 :]
    return messages


def decode_attributes(data: bytes) -> dict[int, bytes]:
    """Attributes by type, the last of each; ValueError when a length is wrong."""
    found = {}
    while data:
        if len(data) < _ATTRIBUTE.size:
            raise ValueError("a netlink attribute shorter than its header")
        size, kind = _ATTRIBUTE.unpack_from(data)
        if not _ATTRIBUTE.size <= size <= len(data):
            raise ValueError(f"a netlink attribute of {size} octets in {len(data)}")
        found[kind & _TYPE_MASK] = data[_ATTRIBUTE.size : size]
        data = data[(size + 3) & ~3 :]
    return found


def generic_attributes(message: Message) -> dict[int, bytes]:
    """The attributes of a generic netlink message."""
    return decode_attributes(message.payload[_GENERIC.size :])


class GenericNetlink:
    """One family's socket; a context manager. Acts in the network namespace that it is opened in.

    Args:
        family: name, such as "nl80211".
        module: the kernel module that brings it, for the remedy.
        port: the socket's netlink port; 0 lets the kernel choose.

    Raises:
        MachineError: the kernel has no such family.
    """

    def __init__(self, family: str, module: str, port: int = 0) -> None:
        self.family = family
        self._sequence = 0
        self._groups: dict[bytes, int] = {}
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self._socket.settimeout(TIMEOUT_S)
        try:
            self._socket.bind((port, 0))
            self._number = self._resolve(family)
        except OSError as error:
            self._socket.close()
            if error.errno == errno.ENOENT:
                raise MachineError(
                    f"this kernel has no {family} netlink family",
                    remedy=f"modprobe {module} (as root); where it cannot load, use the guest rig",
                ) from error
            raise kernel_error(error, f"netlink family {family}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def request(self, command: int, attributes: Sequence[Attribute]) -> int:
        """Send one command and wait for its acknowledgement.

        Returns:
            the acknowledgement's number: 0, or what some commands answer there.

        Raises:
            OSError: the kernel refused; `kernel_error` makes it the project's error.
        """
        code, _ = self._exchange(self._number, command, attributes)
        return code

    def inquire(self, command: int, attributes: Sequence[Attribute]) -> list[Message]:
        """Send one command that is answered by messages; raises as `request` does."""
        _, answers = self._exchange(self._number, command, attributes)
        return answers

    def dump(self, command: int, attributes: Sequence[Attribute]) -> list[Message]:
        """Have a list told; raises as `request` does."""
        _, answers = self._exchange(self._number, command, attributes, DUMP)
        return answers

    def join(self, group: str) -> socket.socket:
        """Hear what the family tells everybody: the socket, to wait on; `heard` reads it. It asks
        nothing from then on.

        Raises:
            OSError: the kernel refused.
        """
        self._socket.setblocking(False)
        self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, self._groups[group.encode()])
        return self._socket

    def leave(self, group: str) -> None:
        """Hear no more; what was heard and not read is thrown away."""
        number = self._groups[group.encode()]
        self._socket.setsockopt(_SOL_NETLINK, _DROP_MEMBERSHIP, number)
        self.heard()

    def heard(self) -> list[Message]:
        """What was told meanwhile; does not wait."""
        found: list[Message] = []
        while True:
            try:
                datagram = self._socket.recv(1 << 16)
            except BlockingIOError:
                return found
            found += (each for each in decode_messages(datagram) if each.kind == self._number)

    def _resolve(self, family: str) -> int:
        _, answers = self._exchange(CONTROLLER, GET_FAMILY, [(FAMILY_NAME, text(family))])
        for answer in answers:
            attributes = generic_attributes(answer)
            if FAMILY_ID in attributes:
                listed = decode_attributes(attributes.get(FAMILY_GROUPS, b"")).values()
                for group in map(decode_attributes, listed):
                    (number,) = struct.unpack("=I", group[GROUP_ID])
                    self._groups[group[GROUP_NAME].rstrip(b"\0")] = int(number)
                return int(struct.unpack("=H", attributes[FAMILY_ID])[0])
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))

    def _exchange(
        self,
        family: int,
        command: int,
        attributes: Sequence[Attribute],
        flags: int = ACKNOWLEDGE,
    ) -> tuple[int, list[Message]]:
        self._sequence += 1
        request = encode_request(family, command, attributes, self._sequence, flags=flags)
        self._socket.send(request)
        answers: list[Message] = []
        while True:
            for message in decode_messages(self._socket.recv(1 << 16)):
                if message.sequence != self._sequence:
                    continue
                if message.kind == DONE:
                    return 0, answers
                if message.kind != ERROR:
                    answers.append(message)
                    continue
                (code,) = _ERROR.unpack_from(message.payload)
                if code < 0:
                    raise OSError(-code, os.strerror(-code))
                return code, answers


def kernel_error(error: OSError, where: str) -> MpaError:
    """The project's error for what the kernel refused at `where`."""
    if error.errno in (errno.EPERM, errno.EACCES):
        return MachineError("only root may do this to a radio", where=where, remedy="run as root")
    if error.errno in (errno.ENODEV, errno.ENOENT):
        return MachineError(
            "there is no such radio or interface in this network namespace",
            where=where,
            remedy="list what is there with `iw dev`, and look in the other namespaces",
        )
    if isinstance(error, TimeoutError):
        return RemoteError(f"the kernel did not answer within {TIMEOUT_S:g} s", where=where)
    return RemoteError(f"the kernel refused: {error.strerror or error}", where=where)
