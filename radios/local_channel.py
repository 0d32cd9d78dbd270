"""Datagram channels to control sockets of this machine: AF_UNIX, SOCK_DGRAM, asyncio.

A wpa daemon answers to the address that a command came from, so each channel binds a socket file of
its own: unpredictable name, in a directory of mode 0700, removed on close.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import socket
import tempfile
import time
from collections import deque
from pathlib import Path

from radios.errors import LocalError, MachineError, MpaError, RemoteError
from radios.prompt import Receiver, Undelivered

MAX_DATAGRAM_OCTETS = 65536
"""Largest reply taken; the daemons' own reply buffers are 4 to 64 KiB."""

RECEIVE_BUFFER_OCTETS = 1 << 20
"""Room for a burst of events while Python is busy (the kernel may grant less)."""

_MAX_PATH_OCTETS = 107
"""sockaddr_un.sun_path without its terminator (unix(7))."""

_GONE = frozenset({errno.ECONNREFUSED, errno.ENOENT, errno.ENOTCONN, errno.EPIPE, errno.ECONNRESET})


def socket_error(error: OSError, path: str) -> MpaError:
    """The project's error for a failed use of the control socket `path`."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return MachineError(
            "this user may not open the control socket",
            where=path,
            remedy="run as root, or put `ctrl_interface=DIR=... GROUP=netdev` "
            "(wpa_supplicant) or `ctrl_interface_group=netdev` (hostapd) into the daemon's "
            "configuration and add the user to that group",
        )
    if error.errno in _GONE:
        return Undelivered(
            f"no daemon listens on the control socket ({os.strerror(error.errno or 0)})",
            where=path,
            remedy="check that the daemon runs and that ctrl_interface names this directory",
        )
    return RemoteError(f"the control socket failed: {error.strerror or error}", where=path)


async def local_connector(path: str) -> LocalChannel:
    """Open a channel to the control socket `path` (a `radios.channel.Connector`).

    Raises:
        LocalError: the path is too long for a unix socket.
        MachineError: no permission.
        RemoteError: nobody listens there.
    """
    return LocalChannel(path)


class LocalChannel:
    """A connected datagram socket; both a `DatagramChannel` and a `PromptChannel`."""

    def __init__(self, path: str) -> None:
        if len(os.fsencode(path)) > _MAX_PATH_OCTETS:
            raise LocalError(
                f"a control socket path longer than {_MAX_PATH_OCTETS} octets",
                where=path,
                remedy="use a shorter ctrl_interface directory",
            )
        self.path = path
        self._loop = asyncio.get_running_loop()
        self._outgoing: deque[bytes] = deque()
        self._incoming: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._receiver: Receiver | None = None
        self._lost: RemoteError | None = None
        self._buffer = memoryview(bytearray(MAX_DATAGRAM_OCTETS + 1))
        self._queue_limit = _kernel_queue_length()
        self._directory = _private_folder()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_OCTETS)
            local = str(Path(self._directory, "s"))
            self._socket.bind(local)
            self._share(local)
            self._socket.connect(path)
        except OSError as error:
            self._release()
            raise socket_error(error, path) from error
        self._loop.add_reader(self._socket, self._readable)

    def _share(self, local: str) -> None:
        """Let a daemon that dropped its privileges answer: the socket file goes to its owner.

        Sending to a unix socket needs write permission on its file and search permission on its
        directory. Only root can give the file away; the directory's name stays unguessable.
        """
        owner = os.stat(self.path)
        if os.geteuid() == 0 and owner.st_uid != 0:
            os.chown(local, owner.st_uid, owner.st_gid)
            os.chown(self._directory, owner.st_uid, owner.st_gid)

    async def send(self, datagram: bytes) -> None:
        """Send one datagram; raises RemoteError when nobody listens there."""
        self.send_now(datagram)

    def send_now(self, datagram: bytes) -> None:
        """Send within this call; a full far queue delays it until there is room."""
        if self._lost:
            raise self._lost
        if self._outgoing:
            self._outgoing.append(datagram)
            return
        try:
            self._socket.send(datagram)
        except BlockingIOError:
            self._outgoing.append(datagram)
            self._loop.add_writer(self._socket, self._writable)
        except OSError as error:
            raise self._fail(error) from error

    async def receive(self) -> bytes:
        """The next datagram; raises RemoteError once the far end is known to be gone."""
        while not self._incoming:
            if self._lost:
                raise self._lost
            self._waiter = self._loop.create_future()
            await self._waiter
        return self._incoming.popleft()

    def start(self, receiver: Receiver) -> None:
        """Deliver to `receiver` from now on, in place of `receive`."""
        self._receiver = receiver
        while self._incoming:
            receiver.datagram(time.monotonic_ns(), self._incoming.popleft())

    async def close(self) -> None:
        """Release the socket and its file; safe to call twice."""
        if self._lost is None:
            self._lost = RemoteError("the channel is closed", where=self.path)
        self._wake()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
        self._release()

    def _release(self) -> None:
        # Its user's callbacks hold it in turn: what is large must not wait for the collector.
        self._receiver = None
        self._buffer = memoryview(bytearray())
        self._socket.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _readable(self) -> None:
        drained = 0
        while self._socket.fileno() >= 0:
            try:
                length = self._socket.recv_into(self._buffer)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                self._fail(error)
                return
            drained += 1
            self._deliver(time.monotonic_ns(), bytes(self._buffer[:length]))
        if drained > self._queue_limit and self._receiver:
            self._receiver.overrun()

    def _deliver(self, t_ns: int, datagram: bytes) -> None:
        if self._receiver:
            self._receiver.datagram(t_ns, datagram)
        else:
            self._incoming.append(datagram)
            self._wake()

    def _writable(self) -> None:
        try:
            while self._outgoing:
                self._socket.send(self._outgoing[0])
                self._outgoing.popleft()
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error)
        self._loop.remove_writer(self._socket)

    def _fail(self, error: OSError) -> MpaError:
        problem = socket_error(error, self.path)
        if self._lost is None and isinstance(problem, RemoteError):
            self._lost = problem
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            if self._receiver:
                # Not within the sender's own call: it gets the exception, the others this.
                self._loop.call_soon(self._receiver.lost, problem)
            self._wake()
        return problem

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)


def _private_folder() -> str:
    try:
        return tempfile.mkdtemp(prefix="wpa-ctrl-")
    except OSError as error:
        raise MachineError(
            f"no private folder for a socket can be made: {error.strerror}",
            where=tempfile.gettempdir(),
            remedy="free some space there, or set TMPDIR to a folder that this user may write",
        ) from error


def _kernel_queue_length() -> int:
    """How many datagrams a unix socket made now may queue (unix(7), max_dgram_qlen)."""
    with contextlib.suppress(OSError, ValueError):
        return int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text(encoding="ascii"))
    return 10  # the kernel's default
