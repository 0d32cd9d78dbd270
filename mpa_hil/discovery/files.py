"""The remembered cache on disk: readable and writable by its owner alone, replaced as a whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mpa_hil.errors import DecodeError, LocalError, MachineError
from mpa_hil.mobility.interface import Instant

from . import memory
from .cache import Cache

MODE = 0o600
"""It names agents that the node will talk to; nobody else may change it, or see where it was."""


def save(path: Path, cache: Cache, now: Instant) -> None:
    """Write what a cache holds. A reader sees the old file or the new one, never a part.

    Raises:
        MachineError: the folder cannot be written.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(memory.dump(cache, now))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MachineError(
            f"remembered networks cannot be written: {error.strerror}",
            where=str(path),
            remedy="choose a folder that this user may write to",
        ) from error


def load(path: Path, now: Instant) -> Cache:
    """What was remembered; an empty cache when there is no file.

    Raises:
        LocalError: somebody else owns the file, or may write to it: its trust is worth nothing.
        DecodeError: it holds something else.
        MachineError: it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return Cache()
    except OSError as error:
        raise MachineError(
            f"remembered networks cannot be read: {error.strerror}",
            where=str(path),
            remedy="remove it, or give it back to this user",
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        foreign = status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077
        if not stat.S_ISREG(status.st_mode) or foreign:
            raise LocalError(
                "remembered networks that others may write or read",
                where=str(path),
                remedy=f"remove it, or: chmod {MODE:o} {path}",
            )
        octets = file.read(memory.MAX_OCTETS + 1)
    try:
        return memory.load(octets, now)
    except DecodeError as error:
        raise DecodeError(error.what, where=str(path), remedy="remove the file") from None
