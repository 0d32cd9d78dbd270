"""One process of `rigs.far_supervisor`, with its pipes. Sent to the far machine beside it."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
from collections.abc import Callable
from typing import Any

CHUNK_OCTETS = 65536

Header = dict[str, Any]


class Refused(Exception):
    """A request that cannot be done; the text goes back in the answer."""

    def __init__(self, text: str, kind: str = "failed") -> None:
        super().__init__(text)
        self.text = text
        self.kind = kind


class Child:
    """A process that leads its session; its output goes to `send`, its input comes by `write`.

    Args:
        number: what the near end calls it.
        process: the process, its pipes unbuffered.
        selector: watches its pipes; the data of each key is a callable.
        send: sends one frame to the near end.
    """

    def __init__(
        self,
        number: int,
        process: subprocess.Popen[bytes],
        selector: selectors.BaseSelector,
        send: Callable[[Header, bytes], None],
    ) -> None:
        self.number = number
        self.process = process
        self._selector = selector
        self._send = send
        self._outputs = {1: process.stdout, 2: process.stderr}
        self._backlog = bytearray()
        self._writers: list[tuple[int, int]] = []  # (octets until it is done, request to answer)
        self._closing = False
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
        self.resume(1)
        self.resume(2)

    @property
    def finished(self) -> bool:
        """Whether it is reaped and all of its output is sent."""
        pipes = self._outputs.values()
        return self.process.returncode is not None and all(p is None or p.closed for p in pipes)

    def signal(self, number: int, group: bool) -> None:
        """Send a signal; nothing once it is reaped, when its number may be another's."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if group else os.kill)(self.process.pid, number)

    def bury(self) -> None:
        """Reap it (it ended), after what it left in its process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        _, status = os.waitpid(self.process.pid, 0)
        returncode = self.process.returncode = os.waitstatus_to_exitcode(status)
        self._close_input()
        self._send({"event": "ended", "of": self.number, "returncode": returncode}, b"")

    def pause(self, descriptor: int) -> None:
        """Read its output (1) or error output (2) no further: the near end has enough for now."""
        pipe = self._outputs.get(descriptor)
        if pipe is not None and not pipe.closed and self._watched(pipe.fileno()):
            self._selector.unregister(pipe)

    def resume(self, descriptor: int) -> None:
        """Read on."""
        pipe = self._outputs.get(descriptor)
        if pipe is not None and not pipe.closed and not self._watched(pipe.fileno()):
            self._selector.register(pipe, selectors.EVENT_READ, lambda: self._forward(descriptor))

    def _forward(self, descriptor: int) -> None:
        pipe = self._outputs[descriptor]
        assert pipe is not None
        data = os.read(pipe.fileno(), CHUNK_OCTETS)
        self._send({"event": "output", "of": self.number, "fd": descriptor}, data)
        if not data:
            self._selector.unregister(pipe)
            pipe.close()

    def write(self, data: bytes, request: int) -> None:
        """Queue `data` for its input; answers `request` (if not 0) once it is written."""
        stdin = self.process.stdin
        if stdin is None or stdin.closed or self._closing:
            raise Refused("standard input is closed", "broken pipe")
        self._backlog += data
        self._writers.append((len(self._backlog), request))
        self._flush()

    def end_input(self) -> None:
        """Close its input after what is queued."""
        self._closing = True
        self._flush()

    def _flush(self) -> None:
        stdin = self.process.stdin
        if stdin is None or stdin.closed:
            return
        try:
            while self._backlog:
                written = os.write(stdin.fileno(), self._backlog)
                del self._backlog[:written]
                self._writers = [(left - written, request) for left, request in self._writers]
        except BlockingIOError:
            if not self._watched(stdin.fileno()):
                self._selector.register(stdin, selectors.EVENT_WRITE, self._flush)
        except BrokenPipeError:
            self._close_input()
            return
        for left, request in self._writers:
            if left <= 0 and request:
                self._send({"re": request}, b"")
        self._writers = [(left, request) for left, request in self._writers if left > 0]
        if not self._backlog:
            if self._watched(stdin.fileno()):
                self._selector.unregister(stdin)
            if self._closing:
                self._close_input()

    def _close_input(self) -> None:
        stdin = self.process.stdin
        if stdin is None or stdin.closed:
            return
        if self._watched(stdin.fileno()):
            self._selector.unregister(stdin)
        stdin.close()
        for _, request in self._writers:
            if request:
                error = {"error": "standard input is closed", "kind": "broken pipe"}
                self._send({"re": request, **error}, b"")
        self._writers = []

    def _watched(self, descriptor: int) -> bool:
        return descriptor in self._selector.get_map()
