"""The far end of `rigs.ssh`: starts, feeds and ends processes on a machine reached over SSH.

It is sent over as text, with `rigs.far_child`, and needs only Python 3.9 and its standard library
there. Its life is
its standard input: when that ends (orderly, or with a lost connection), or says nothing for
`SILENCE_S` seconds (the network is gone and TCP has not noticed), it kills every process it started
and their descendants, runs what was deferred, removes the work directory, and exits. It is the
subreaper of what it starts, so a process that left its group and session is its descendant still;
and a parent-death signal ends its direct children should it be killed itself.

A frame, either way: length of the header, length of the payload (u32 each, network byte order), the
header as JSON, the payload. Requests carry "op" and, where an answer is wanted, "id"; answers carry
"re"; what happens unasked carries "event".
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import selectors
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable

from rigs.far_child import CHUNK_OCTETS, Child, Header, Refused

READY = b"mpa-hil-far-1\n"
"""Printed first, so that what a login script prints before it can be told from frames."""
LENGTHS = struct.Struct("!II")
MAX_FRAME_OCTETS = 256 << 20
SILENCE_S = 60
"""The near end says something every few seconds; so long a silence means that it is gone."""
PATIENCE_S = 10.0
"""Bound for killing what was started; only a process stuck in the kernel outlasts it."""
DEFERRED_S = 10.0
"""Bound for each deferred command."""
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36


class Supervisor:
    """Serves one near end on two file descriptors."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._input = bytearray()
        self._selector = selectors.DefaultSelector()
        self._children: dict[int, Child] = {}
        self._deferred: list[tuple[list[bytes], bytes]] = []
        self._workdir = ""
        self._lock = -1
        self._lab = ""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._operations: dict[str, Callable[[Header, bytes], tuple[Header, bytes] | None]] = {
            "open": self._open,
            "start": self._start,
            "write": self._write_to,
            "end": self._end_input,
            "signal": self._signal,
            "pause": self._pause,
            "resume": self._resume,
            "put": self._put,
            "get": self._get,
            "remove": self._remove,
            "defer": self._defer,
            "ping": lambda header, payload: ({}, b""),
        }

    def run(self) -> None:
        """Serve until the near end is gone, then take everything away."""
        wake, waker = os.pipe()
        for end in (wake, waker):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._selector.register(self._read_fd, selectors.EVENT_READ, self._take_input)
        self._selector.register(wake, selectors.EVENT_READ, lambda: self._reap(wake))
        try:
            self._write(READY)
            while True:
                for key, _ in self._selector.select():
                    # An earlier one of the same round may have closed it.
                    if self._selector.get_map().get(key.fd) is key:
                        key.data()
                self._forget_finished()
        finally:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGALRM):
                signal.signal(number, signal.SIG_IGN)
            self._take_away()

    # Frames

    def _take_input(self) -> None:
        data = os.read(self._read_fd, CHUNK_OCTETS)
        if not data:
            raise SystemExit(0)
        signal.alarm(SILENCE_S)
        self._input += data
        while len(self._input) >= LENGTHS.size:
            header_size, payload_size = LENGTHS.unpack_from(self._input)
            total = LENGTHS.size + header_size + payload_size
            if total > MAX_FRAME_OCTETS:
                raise SystemExit(f"a frame of {total} octets")
            if len(self._input) < total:
                return
            header = json.loads(self._input[LENGTHS.size : LENGTHS.size + header_size])
            payload = bytes(self._input[LENGTHS.size + header_size : total])
            del self._input[:total]
            self._serve(header, payload)

    def _serve(self, header: Header, payload: bytes) -> None:
        try:
            answer = self._operations[header["op"]](header, payload)
        except Refused as refusal:
            answer = {"error": refusal.text, "kind": refusal.kind}, b""
        except OSError as error:
            answer = {"error": error.strerror or str(error), "kind": "failed"}, b""
        if answer is not None and "id" in header:
            self._send({"re": header["id"], **answer[0]}, answer[1])

    def _send(self, header: Header, payload: bytes = b"") -> None:
        text = json.dumps(header).encode()
        self._write(LENGTHS.pack(len(text), len(payload)) + text + payload)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._write_fd, view) :]
            except BlockingIOError:
                select.select([], [self._write_fd], [])

    # The work directory

    def _open(self, header: Header, _: bytes) -> tuple[Header, bytes]:
        parent = os.path.join(header["run_directory"] or _default_run_directory(), header["lab"])
        workdir = os.path.join(parent, header["host"])
        os.makedirs(parent, mode=0o755, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(workdir, 0o700)
        lock = os.open(workdir, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(lock).st_uid != os.geteuid():
                raise Refused(f"{workdir} belongs to another user", "taken")
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise Refused(f"another run of this lab uses {workdir}", "taken") from None
        os.fchmod(lock, 0o700)
        for name in os.listdir(workdir):  # nobody holds the lock: a killed run left it
            _remove_tree(os.path.join(workdir, name))
        self._workdir, self._lock, self._lab = workdir, lock, header["lab"]
        return {"workdir": workdir}, b""

    def _put(self, header: Header, payload: bytes) -> tuple[Header, bytes]:
        path = header["path"]
        os.makedirs(os.path.dirname(path), exist_ok=True)
        temporary = f"{path}.put-{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(payload)
                os.fchmod(file.fileno(), header["mode"])
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        return {}, b""

    def _get(self, header: Header, _: bytes) -> tuple[Header, bytes]:
        with open(header["path"], "rb") as file:
            return {}, file.read()

    def _remove(self, header: Header, _: bytes) -> tuple[Header, bytes]:
        _remove_tree(header["path"])
        return {}, b""

    # Processes

    def _environment(self, extra: Header) -> Header:
        path = f"{os.environ.get('PATH', os.defpath)}:{SBIN}"
        return {**os.environ, "PATH": path, **extra, "MPA_HIL_LAB": self._lab}

    def _start(self, header: Header, _: bytes) -> tuple[Header, bytes]:
        environment = self._environment(header["env"])
        program = header["argv"][0]
        if os.path.dirname(program):
            program = os.path.join(self._workdir, program)
        found = shutil.which(program, path=environment["PATH"])
        if found is None:
            raise Refused(program, "missing")
        log = -1
        try:
            if header["log"]:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
                log = os.open(os.path.join(self._workdir, header["log"]), flags, 0o600)
            process = subprocess.Popen(
                [_octets(argument) for argument in header["argv"]],
                executable=_octets(found),
                stdin=subprocess.PIPE if header["stdin"] else subprocess.DEVNULL,
                stdout=subprocess.PIPE if header["stdout"] else log,
                stderr=subprocess.PIPE if log < 0 else log,
                env={_octets(key): _octets(value) for key, value in environment.items()},
                cwd=self._workdir,
                start_new_session=True,
                bufsize=0,
                preexec_fn=lambda: self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),
            )
        finally:
            if log >= 0:
                os.close(log)
        number = header["number"]
        self._children[number] = Child(number, process, self._selector, self._send)
        return {"pid": process.pid}, b""

    def _pause(self, header: Header, _: bytes) -> None:
        if child := self._children.get(header["of"]):
            child.pause(header["fd"])

    def _resume(self, header: Header, _: bytes) -> None:
        if child := self._children.get(header["of"]):
            child.resume(header["fd"])

    def _write_to(self, header: Header, payload: bytes) -> None:
        child = self._children.get(header["of"])
        if child is None:
            raise Refused("standard input is closed", "broken pipe")
        child.write(payload, header.get("id", 0))

    def _end_input(self, header: Header, _: bytes) -> None:
        if child := self._children.get(header["of"]):
            child.end_input()

    def _signal(self, header: Header, _: bytes) -> None:
        if child := self._children.get(header["of"]):
            child.signal(header["number"], header["group"])

    def _reap(self, wake: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(wake, 512):
                pass
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            for child in self._children.values():
                if child.process.pid == ended.si_pid:
                    child.bury()
                    break
            else:
                os.waitpid(ended.si_pid, 0)  # a descendant that was left to us

    def _forget_finished(self) -> None:
        for number in [n for n, child in self._children.items() if child.finished]:
            del self._children[number]

    # The end

    def _defer(self, header: Header, payload: bytes) -> tuple[Header, bytes]:
        self._deferred.append(([_octets(argument) for argument in header["argv"]], payload))
        return {}, b""

    def _take_away(self) -> None:
        self._kill_descendants()
        for argv, stdin in reversed(self._deferred):
            # Each on its own: what one cannot put back must not keep the next from its work.
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                subprocess.run(
                    argv,
                    input=stdin,
                    env=self._environment({}),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=DEFERRED_S,
                    check=False,
                )
        self._kill_descendants()
        if self._workdir:
            shutil.rmtree(self._workdir, ignore_errors=True)
            os.close(self._lock)
            with contextlib.suppress(OSError):  # other hosts of the lab are in it still
                os.rmdir(os.path.dirname(self._workdir))

    def _kill_descendants(self) -> None:
        """Until none is left: as each dies, its own children become ours."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for pid in _children_of(os.getpid()):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return
            time.sleep(0.005)


def _children_of(parent: int) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", "rb") as file:
                # "pid (any name) state ppid ...": the name may hold anything, brackets too.
                if int(file.read().rpartition(b")")[2].split()[1]) == parent:
                    found.append(int(entry))
    return found


def _default_run_directory() -> str:
    if os.geteuid() == 0:
        return "/run/mpa-hil"
    own = os.environ.get("XDG_RUNTIME_DIR")
    return os.path.join(own, "mpa-hil") if own else f"/tmp/mpa-hil-{os.geteuid()}"


def _remove_tree(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def main() -> int:
    """Serve on this process's standard input and output."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(0)  # unwinds `run`, which takes everything away

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, leave)
    signal.alarm(SILENCE_S)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        Supervisor(sys.stdin.fileno(), sys.stdout.fileno()).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
