"""The guest's command port without a guest: the real server behind a socket, as QEMU offers one."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

from rigs.guest.serving import Server


class Port:
    """A virtio serial port and QEMU's socket before it: one connection at a time, one server."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: socket.socket | None = None
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(8)
        self.server = Server(self._send)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            if self._connection is not None:
                self._connection.sendall(data)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._connection, _ = self._listening.accept()
                while chunk := self._connection.recv(65536):
                    self.server.receive(chunk)
                self._connection.close()
                self.server.cancel_all()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self.drop()
        self._thread.join()
        self._listening.close()

    def drop(self) -> None:
        """The machine is gone."""
        with contextlib.suppress(OSError):
            if self._connection is not None:
                self._connection.shutdown(socket.SHUT_RDWR)
