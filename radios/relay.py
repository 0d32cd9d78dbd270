"""Carry unix datagram sockets over this process's standard input and output.

SSH forwards streams only, and wpa control sockets are datagram sockets. So this script runs beside
the daemons and speaks frames over its pipes. It needs nothing but Python's standard library and
this one file, which need not be installed there: `radios.relay_channel.far_command` starts a
Python that first reads this text from its standard input and then goes on with the frames.

A frame, either way, is: octets that follow (u32), channel (u32), kind (one octet), payload; network
byte order.

    near to far   O  open channel to the socket path in the payload
                  D  send the payload as one datagram
                  C  close the channel
    far to near   R  (channel 0, first of all) ready; payload: version of this protocol, one octet
                  K  the channel is open
                  D  a datagram was received
                  E  opening or sending failed: errno (u32), then its text; the channel is closed
                  V  the kernel's queue was found full: the daemon may have dropped datagrams

It ends when its standard input does, and removes its socket files.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import struct
import sys
import tempfile

VERSION = 1
HEADER = struct.Struct("!IIc")
FAILURE = struct.Struct("!I")
MAX_FRAME_OCTETS = 1 << 20
MAX_DATAGRAM_OCTETS = 65536
RECEIVE_BUFFER_OCTETS = 1 << 20


def frame(channel: int, kind: bytes, payload: bytes = b"") -> bytes:
    """One frame."""
    return HEADER.pack(HEADER.size - 4 + len(payload), channel, kind) + payload


class FrameReader:
    """Frames out of a byte stream cut anywhere. Pure."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes, bytes]]:
        """(channel, kind, payload) of every frame now complete; ValueError on a bad length."""
        self._buffer += data
        frames = []
        while len(self._buffer) >= HEADER.size:
            length, channel, kind = HEADER.unpack_from(self._buffer)
            if not HEADER.size - 4 <= length <= MAX_FRAME_OCTETS:
                raise ValueError(f"a frame of {length} octets")
            if len(self._buffer) < 4 + length:
                break
            frames.append((channel, kind, bytes(self._buffer[HEADER.size : 4 + length])))
            del self._buffer[: 4 + length]
        return frames


class Relay:
    """The far side: one socket a channel, served from a selector."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._frames = FrameReader()
        self._selector = selectors.DefaultSelector()
        self._sockets: dict[int, socket.socket] = {}
        self._folder = tempfile.mkdtemp(prefix="wpa-relay-")
        self._made = 0
        self._queue_limit = _kernel_queue_length()

    def run(self) -> None:
        """Serve until standard input ends."""
        self._selector.register(self._read_fd, selectors.EVENT_READ, None)
        try:
            self._write(frame(0, b"R", bytes([VERSION])))
            while True:
                for key, _ in self._selector.select():
                    if key.data is not None:
                        self._drain(key.data)
                    elif not self._take_input():
                        return
        finally:
            for channel in list(self._sockets):
                self._close(channel)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _take_input(self) -> bool:
        data = os.read(self._read_fd, 65536)
        for channel, kind, payload in self._frames.feed(data):
            if kind == b"O":
                self._open(channel, payload)
            elif kind == b"D":
                self._send(channel, payload)
            elif kind == b"C":
                self._close(channel)
        return bool(data)

    def _open(self, channel: int, path: bytes) -> None:
        self._close(channel)
        self._made += 1
        far = os.fsdecode(path)
        local = os.path.join(self._folder, str(self._made))
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_OCTETS)
            made.bind(local)
            self._share(local, far)
            made.connect(far)
        except OSError as error:
            made.close()
            with contextlib.suppress(OSError):
                os.unlink(local)
            self._fail(channel, error)
            return
        self._sockets[channel] = made
        self._selector.register(made, selectors.EVENT_READ, channel)
        self._write(frame(channel, b"K"))

    def _share(self, local: str, far: str) -> None:
        # A daemon that dropped its privileges must be able to answer to our socket file.
        owner = os.stat(far)
        if os.geteuid() == 0 and owner.st_uid != 0:
            os.chown(local, owner.st_uid, owner.st_gid)
            os.chmod(self._folder, 0o711)  # search only: the names in it stay unreadable

    def _send(self, channel: int, payload: bytes) -> None:
        target = self._sockets.get(channel)
        if target is None:
            return
        try:
            target.send(payload)
        except OSError as error:  # a full queue too: the near side's reply timeout follows
            if not isinstance(error, BlockingIOError):
                self._fail(channel, error)

    def _drain(self, channel: int) -> None:
        source = self._sockets.get(channel)
        drained = 0
        while source is not None:
            try:
                datagram = source.recv(MAX_DATAGRAM_OCTETS)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                self._fail(channel, error)
                return
            drained += 1
            self._write(frame(channel, b"D", datagram))
        if drained > self._queue_limit:
            self._write(frame(channel, b"V"))

    def _fail(self, channel: int, error: OSError) -> None:
        self._close(channel)
        text = (error.strerror or str(error)).encode()
        self._write(frame(channel, b"E", FAILURE.pack(error.errno or 0) + text))

    def _close(self, channel: int) -> None:
        closing = self._sockets.pop(channel, None)
        if closing is not None:
            self._selector.unregister(closing)
            local = closing.getsockname()
            closing.close()
            with contextlib.suppress(OSError):
                os.unlink(local)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._write_fd, view) :]


def _kernel_queue_length() -> int:
    try:
        with open("/proc/sys/net/unix/max_dgram_qlen", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 10  # the kernel's default


def main() -> int:
    """Run on this process's standard input and output."""

    def leave(_number: int, _frame: object) -> None:
        raise SystemExit(0)  # unwinds `run`, which removes the socket files

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, leave)
    try:
        Relay(sys.stdin.fileno(), sys.stdout.fileno()).run()
    except BrokenPipeError:
        return 0  # the near side is gone; that is an end like any other
    except ValueError as error:
        print(f"relay: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
