"""What a crashed run left on this machine: finding it, and taking it away.

A host's guard (`rigs.netns`) removes everything when its controller goes, so there is work here
only after both were killed. Only what carries the lab's own marks is touched: namespaces and
root-namespace interfaces by their prefix, processes by the namespace they are in, by the
environment mark or as a guard, and the lab's run directory.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

from radios.errors import MachineError
from rigs import paths
from rigs.local import find_program
from rigs.netns import GUARD_NAME

_NETNS_DIRECTORY = "/run/netns"
_PATIENCE_S = 5.0


def leftovers(lab_id: str, run_directory: str = paths.RUN_DIRECTORY) -> list[str]:
    """Everything of the lab on this machine, one line each; empty when it is clean."""
    found = [f"process {pid}: {title}" for pid, title in _processes(lab_id)]
    found += [f"namespace {name}" for name in _namespaces(lab_id)]
    found += [f"interface {name}" for name in _interfaces(lab_id)]
    directory = paths.lab_directory(lab_id, run_directory)
    if os.path.lexists(directory):
        found.append(f"directory {directory}")
    return found


def sweep(lab_id: str, run_directory: str = paths.RUN_DIRECTORY) -> list[str]:
    """Remove everything of the lab from this machine; the lines of what was there.

    Raises:
        MachineError: something would not go (most likely the caller is not root).
    """
    found = leftovers(lab_id, run_directory)
    if not found:
        return []
    _kill_processes(lab_id)
    for name in _namespaces(lab_id):
        _ip("netns", "del", name)
    for name in _interfaces(lab_id):
        _ip("link", "del", "dev", name)
    shutil.rmtree(paths.lab_directory(lab_id, run_directory), ignore_errors=True)
    remaining = leftovers(lab_id, run_directory)
    if remaining:
        raise MachineError(
            "a former run's leftovers would not go: " + "; ".join(remaining),
            remedy="run it as root (sudo)",
        )
    return found


def _namespaces(lab_id: str) -> list[str]:
    prefix = paths.namespace_prefix(lab_id)
    with contextlib.suppress(FileNotFoundError):
        return sorted(name for name in os.listdir(_NETNS_DIRECTORY) if name.startswith(prefix))
    return []


def _interfaces(lab_id: str) -> list[str]:
    prefix = paths.namespace_prefix(lab_id)
    return sorted(name for name in os.listdir("/sys/class/net") if name.startswith(prefix))


def _processes(lab_id: str) -> Iterator[tuple[int, str]]:
    """Number and title of every process of the lab, but for the caller's own."""
    mark = f"{paths.LAB_VARIABLE}={lab_id}".encode()
    prefix = paths.namespace_prefix(lab_id).encode()
    inside = set()
    for name in _namespaces(lab_id):
        with contextlib.suppress(FileNotFoundError):
            inside.add(os.stat(f"{_NETNS_DIRECTORY}/{name}").st_ino)
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        # Processes end while one looks at them, and others' environments are not ours to read.
        with contextlib.suppress(OSError):
            argv = _read(f"/proc/{entry}/cmdline").split(b"\0")
            guard = GUARD_NAME.encode() in argv and any(word.startswith(prefix) for word in argv)
            if (
                guard
                or mark in _read(f"/proc/{entry}/environ").split(b"\0")
                or (inside and os.stat(f"/proc/{entry}/ns/net").st_ino in inside)
            ):
                yield int(entry), _title(argv)


def _title(argv: list[bytes]) -> str:
    words = [GUARD_NAME.encode()] if GUARD_NAME.encode() in argv else argv
    return b" ".join(words).decode(errors="replace").strip()[:120]


def _kill_processes(lab_id: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while pids := [pid for pid, _ in _processes(lab_id)]:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return  # `sweep` looks again and names what is left
        time.sleep(0.02)


def _ip(*words: str) -> None:
    # Failures show in the second look of `sweep`, which names the thing instead of the command.
    subprocess.run(
        [find_program("ip", "this machine"), *words],
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
