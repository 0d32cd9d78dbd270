"""Rtnetlink in small: encode messages, send them, read the kernel's answers.

Layout from linux/netlink.h and linux/rtnetlink.h; every field is in host byte order but the
addresses. The kernel carries out a message inside `send`, so its answer is already waiting when
`send` returns and reading it costs no wait.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import NamedTuple, Self

from radios.errors import MachineError

REQUEST = 0x001
ACK = 0x004
ECHO = 0x008
EXCLUSIVE = 0x200
REPLACE = 0x100
CREATE = 0x400
DUMP = 0x300

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR = struct.Struct("=i")
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_ACK_HAS_ATTRIBUTES = 0x200
_ACK_ATTRIBUTE_TEXT = 1
_NESTED = 0x8000
_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_ANSWER_TIMEOUT_S = 5.0
"""Bound on the wait for an answer; the kernel normally has it ready."""
_DUMP_INTERRUPTED = 0x10
_DUMPS = 5
"""How often a list is asked for that changes while it is read."""
_RECEIVE_OCTETS = 1 << 18
"""Longest datagram that the kernel makes for a dump is 32 KiB on the kernels in use."""


class NetlinkError(MachineError):
    """The kernel refused a message.

    Attributes:
        errno: why, as a positive error number.
    """

    def __init__(self, number: int, what: str, detail: str = "") -> None:
        text = f"the kernel refused: {os.strerror(number)}"
        super().__init__(
            f"{text} ({detail})" if detail else text, where=what, remedy=_REMEDIES.get(number, "")
        )
        self.errno = number


class Overrun(MachineError):
    """Answers are missing: what was asked for may or may not have been done."""

    def __init__(self, what: str) -> None:
        super().__init__(
            "answers of the kernel are missing, or are not of one moment",
            where=what,
            remedy="ask again; raise net.core.rmem_default if it happens often",
        )


_MODULES = "modprobe ipip, sch_prio, sch_plug, cls_u32, act_mirred"
_REMEDIES = {
    errno.EPERM: "run it as root, or with CAP_NET_ADMIN in the namespace",
    errno.EOPNOTSUPP: f"load the kernel module for it ({_MODULES})",
    errno.ENOENT: f"load the kernel module for it ({_MODULES})",
}


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four octets."""
    return _ATTRIBUTE.pack(len(payload) + 4, kind) + payload + b"\0" * (-len(payload) % 4)


def nested(kind: int, *members: bytes) -> bytes:
    """An attribute that holds attributes (unmarked, as iproute2 does for links and qdiscs)."""
    return attribute(kind, b"".join(members))


def text(kind: int, value: str) -> bytes:
    """A zero-terminated string attribute."""
    return attribute(kind, value.encode() + b"\0")


def u8(kind: int, value: int) -> bytes:
    """An attribute of one octet."""
    return attribute(kind, bytes((value,)))


def u32(kind: int, value: int) -> bytes:
    """An attribute of 32 bits in host order."""
    return attribute(kind, struct.pack("=I", value))


def message(kind: int, flags: int, body: bytes) -> bytes:
    """A whole request that asks to be acknowledged; its length is a multiple of four."""
    return _HEADER.pack(_HEADER.size + len(body), kind, flags | REQUEST | ACK, 0, 0) + body


def attributes(octets: bytes) -> Mapping[int, bytes]:
    """The attributes in `octets` by type; of equal types the last one stands."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(octets):
        length, kind = _ATTRIBUTE.unpack_from(octets, at)
        if length < 4:
            break
        found[kind & ~_NESTED] = octets[at + 4 : at + length]
        at += length + 3 & ~3
    return found


class NoInterface(MachineError):
    """There is no interface of that name, so nothing on it either."""


def interface_index(name: str) -> int:
    """The index of an interface in this namespace.

    Raises:
        NoInterface: there is none of that name.
    """
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise NoInterface(
            "there is no such interface in this namespace",
            where=f"interface {name}",
            remedy="ip link show",
        ) from error


class _Answer(NamedTuple):
    kind: int
    flags: int
    payload: bytes


class NetlinkSocket:
    """An open netlink socket of the namespace in which it was made. Not for two threads.

    Args:
        protocol: NETLINK_...

    Raises:
        MachineError: this kernel has no such protocol.
    """

    def __init__(self, protocol: int) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        try:
            self._socket = socket.socket(socket.AF_NETLINK, kind, protocol)
        except OSError as error:
            raise MachineError(
                f"the kernel has no netlink protocol {protocol}: {error.strerror}",
                where="netlink",
                remedy="modprobe xfrm_user, or use a kernel that has it",
            ) from error
        self._socket.settimeout(_ANSWER_TIMEOUT_S)
        self._socket.bind((0, 0))
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)

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
        """Close the socket; safe to repeat."""
        self._socket.close()

    def request(self, messages: bytes, what: str, count: int = 1) -> None:
        """Send one or more messages in one system call, and read all their answers.

        Args:
            messages: encoded with `message`, one behind the other.
            what: what they do, for the error.
            count: how many they are.

        Raises:
            NetlinkError: the kernel refused one (the others were still carried out).
        """
        self._socket.send(messages)
        refusal: NetlinkError | None = None
        while count:
            for answer in self._answers(what):
                if answer.kind == _NLMSG_ERROR:
                    count -= 1
                    refusal = refusal or _refusal(answer, what)
        if refusal is not None:
            raise refusal

    def get(self, request: bytes, what: str) -> bytes | None:
        """The object that a GET request names, or None when the kernel has none."""
        found: bytes | None = None
        self._socket.send(request)
        while True:
            for answer in self._answers(what):
                if answer.kind != _NLMSG_ERROR:
                    found = answer.payload
                    continue
                refusal = _refusal(answer, what)
                if refusal is None or refusal.errno in ABSENT:
                    return found
                raise refusal

    def dump(self, request: bytes, what: str) -> list[bytes]:
        """Every object that a DUMP request lists.

        Raises:
            Overrun: again and again, objects came and went while they were listed.
        """
        for _ in range(_DUMPS):
            try:
                return self._dump(request, what)
            except Overrun as error:
                overrun = error
        raise overrun

    def _dump(self, request: bytes, what: str) -> list[bytes]:
        found: list[bytes] = []
        self._socket.send(request)
        while True:
            for answer in self._answers(what):
                if answer.flags & _DUMP_INTERRUPTED:
                    self._drain()
                    raise Overrun(what)
                if answer.kind == _NLMSG_DONE:
                    return found
                if answer.kind == _NLMSG_ERROR:
                    refusal = _refusal(answer, what)
                    if refusal is not None:
                        raise refusal
                    continue
                found.append(answer.payload)

    def _answers(self, what: str) -> Iterator[_Answer]:
        try:
            octets = self._socket.recv(_RECEIVE_OCTETS)
        except TimeoutError:
            raise MachineError(
                f"the kernel did not answer within {_ANSWER_TIMEOUT_S:g} s", where=what
            ) from None
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self._drain()
            raise Overrun(what) from error
        at = 0
        while at + _HEADER.size <= len(octets):
            length, kind, flags, _, _ = _HEADER.unpack_from(octets, at)
            yield _Answer(kind, flags, octets[at + _HEADER.size : at + length])
            at += max(length + 3 & ~3, _HEADER.size)

    def _drain(self) -> None:
        """Forget what still comes: the next request must not take it for its own answer."""
        self._socket.settimeout(0)
        try:
            while True:
                try:
                    self._socket.recv(_RECEIVE_OCTETS)
                except BlockingIOError:
                    return
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
        finally:
            self._socket.settimeout(_ANSWER_TIMEOUT_S)


class RouteSocket(NetlinkSocket):
    """NETLINK_ROUTE: links, addresses, routes, neighbours, queueing."""

    def __init__(self) -> None:
        super().__init__(socket.NETLINK_ROUTE)


ABSENT = frozenset({errno.ENOENT, errno.ESRCH, errno.ENODEV, errno.EADDRNOTAVAIL})
"""What the kernel says when the object to remove or to read is not there."""


def _refusal(answer: _Answer, what: str) -> NetlinkError | None:
    (number,) = _ERROR.unpack_from(answer.payload)
    if number == 0:
        return None
    detail = b""
    if answer.flags & _ACK_HAS_ATTRIBUTES:
        extra = attributes(answer.payload[_ERROR.size + _HEADER.size :])
        detail = extra.get(_ACK_ATTRIBUTE_TEXT, b"").rstrip(b"\0")
    return NetlinkError(-number, what, detail.decode(errors="replace"))
