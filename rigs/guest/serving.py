"""The guest's end of the command port: runs what `rigs.guest.remote` asks for.

Each command has a thread that carries its output and sees its end, and one more if it is given
input. A command ends when its first process does: what it left in the background goes on, but is
no longer listened to. Standard library only, see `rigs.guest.inside`.
"""

from __future__ import annotations

import contextlib
import os
import queue
import selectors
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import BinaryIO

from . import exec_protocol as protocol

EXEC_PORT = "/dev/vport0p1"
DRIVERS = ("virtio_pci", "virtio_console")
APPEAR_S = 5.0
"""For the port's device to appear once its drivers are there."""
_LOOK_S = 0.1
COMMANDS_LIMIT = 64
"""Commands at a time; each costs two or three threads of a machine with one processor."""
KILL_AFTER_S = 2.0
"""From SIGTERM to SIGKILL for a command whose asker went away."""
LINGER_S = 0.3
"""How long the output is listened to after the end, when a process in the background holds it."""

CANNOT_RUN = 127
TOO_MANY = 126

Send = Callable[[bytes], None]


class Server:
    """Takes what came in on the port and answers through `send`, from several threads."""

    def __init__(self, send: Send) -> None:
        self._port = send
        self._sending = threading.Lock()
        self._frames = protocol.Frames()
        self._commands: dict[str, _Command] = {}
        self._changing = threading.Lock()

    def receive(self, data: bytes) -> None:
        """Act on octets from the host."""
        for frame in self._frames.feed(data):
            identity = frame["id"]
            command = self._commands.get(identity)
            if command is not None:
                command.told(frame)
            elif "argv" in frame:
                self._start(identity, frame)

    def cancel_all(self) -> None:
        """End every command: nobody is there to hear of them."""
        for command in list(self._commands.values()):
            command.cancel()

    def send(self, identity: str, **fields: object) -> None:
        """One frame to the host, whole."""
        with self._sending:
            self._port(protocol.encode(identity, **fields))

    def _start(self, identity: str, frame: protocol.Frame) -> None:
        if len(self._commands) >= COMMANDS_LIMIT:
            self._refuse(identity, f"{COMMANDS_LIMIT} commands run already", TOO_MANY)
            return
        try:
            command = _Command(self, identity, frame)
        except (OSError, ValueError, TypeError) as error:
            self._refuse(identity, f"cannot run {frame['argv']}: {error}", CANNOT_RUN)
            return
        self._commands[identity] = command
        threading.Thread(target=self._see_through, args=(command,), daemon=True).start()

    def _see_through(self, command: _Command) -> None:
        status = command.attend()
        del self._commands[command.identity]
        self.send(command.identity, status=status)

    def _refuse(self, identity: str, why: str, status: int) -> None:
        self.send(identity, stderr=protocol.text(f"{why}\n".encode()))
        self.send(identity, status=status)


class _Command:
    """One running command; `told` and `cancel` are called by the port's thread."""

    def __init__(self, server: Server, identity: str, frame: protocol.Frame) -> None:
        self.identity = identity
        self._server = server
        self._credit = protocol.WINDOW
        self._cancelled = False
        self._changed = threading.Condition()
        self._input: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        cwd = frame.get("cwd") or "/"
        self._process = subprocess.Popen(
            frame["argv"],
            stdin=subprocess.PIPE if frame.get("input") else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(frame.get("env") or {})},
            cwd=cwd if os.path.isdir(cwd) else "/",
            start_new_session=True,
            bufsize=0,
        )
        if self._process.stdin is not None:
            threading.Thread(target=self._feed, daemon=True).start()

    def told(self, frame: protocol.Frame) -> None:
        """A frame about this command came from the host."""
        if frame.get("cancel"):
            self.cancel()
        elif "stdin" in frame:
            data = frame["stdin"]
            self._input.put(None if data is None else protocol.octets(data))
        elif isinstance(frame.get("taken"), int):
            with self._changed:
                self._credit += frame["taken"]
                self._changed.notify()

    def cancel(self) -> None:
        """SIGTERM now, SIGKILL soon; its output goes nowhere from here on."""
        with self._changed:
            if self._cancelled:
                return
            self._cancelled = True
            self._changed.notify()
        self._signal(signal.SIGTERM)
        timer = threading.Timer(KILL_AFTER_S, self._signal, (signal.SIGKILL,))
        timer.daemon = True
        timer.start()

    def attend(self) -> int:
        """Carry the output until the command ended; its exit status (128 + signal)."""
        outputs = {self._process.stdout: "stdout", self._process.stderr: "stderr"}
        ended = False
        pidfd = os.pidfd_open(self._process.pid)
        with selectors.DefaultSelector() as selector:
            selector.register(pidfd, selectors.EVENT_READ, None)
            for stream, name in outputs.items():
                assert stream is not None
                selector.register(stream, selectors.EVENT_READ, name)
            while not ended or len(selector.get_map()):
                ready = selector.select(LINGER_S if ended else None)
                if ended and not ready:
                    break
                for key, _ in ready:
                    if key.data is None:
                        ended = True
                        selector.unregister(pidfd)
                    elif data := os.read(key.fd, protocol.CHUNK):
                        self._pass_on(key.data, data)
                    else:
                        selector.unregister(key.fileobj)
        os.close(pidfd)
        status = self._reap()
        for stream in outputs:
            assert stream is not None
            stream.close()
        self._input.put(None)
        return status

    def _pass_on(self, name: str, data: bytes) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._credit > 0 or self._cancelled)
            if self._cancelled:
                return
            self._credit -= len(data)
        self._server.send(self.identity, **{name: protocol.text(data)})

    def _feed(self) -> None:
        """Thread: write the command's input as it takes it."""
        stdin = self._process.stdin
        assert stdin is not None
        while (data := self._input.get()) is not None:
            # A program need not read its input: what it leaves counts as taken.
            with contextlib.suppress(BrokenPipeError):
                view = memoryview(data)
                while view:
                    view = view[stdin.write(view) :]
            self._server.send(self.identity, taken=len(data))
        with contextlib.suppress(BrokenPipeError):
            stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        with self._changed:
            # Reaped only under this lock, so the number cannot mean another group by now.
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)

    def _reap(self) -> int:
        with self._changed:
            number = self._process.wait()
        return number if number >= 0 else 128 - number


def open_port(path: str = EXEC_PORT) -> BinaryIO:
    """The port, its drivers loaded.

    Raises:
        OSError: this machine has none.
    """
    subprocess.run(["modprobe", "-a", *DRIVERS], check=False)
    pause = threading.Event()
    for _ in range(int(APPEAR_S / _LOOK_S)):
        if os.path.exists(path):
            break
        pause.wait(_LOOK_S)
    return open(path, "r+b", buffering=0)


def serve(port: BinaryIO) -> None:
    """Answer on the port for as long as this process lives."""
    pause = threading.Event()

    def send(data: bytes) -> None:
        # Blocks while nobody is connected; what it then sends late, the next asker drops.
        view = memoryview(data)
        while view:
            view = view[port.write(view) :]

    server = Server(send)
    while True:
        chunk = port.read(protocol.WINDOW)
        if chunk:
            server.receive(chunk)
        else:
            server.cancel_all()
            pause.wait(_LOOK_S)  # nobody is connected: the port reads as ended
