"""Ending whoever keeps a standing lab, or is putting one up: politely, then by force."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path

from radios.errors import MachineError

from .session_keeper import END_BOUND_S
from .session_place import Place

DOWN_BOUND_S = END_BOUND_S + 30.0
"""For an orderly end before it is forced; the keeper has a bound of its own within it."""
KILL_BOUND_S = 15.0
"""For the kernel to take a killed process away; a guest's 3 GiB take it a second."""
LOOK_S = 0.05
"""Between two attempts at the lock."""


def end(here: Place, say: Callable[[str], None]) -> int:
    """End whoever holds the place's lock; the lock, once it can be had.

    Raises:
        MachineError: somebody would not go.
    """
    # The process that answers for the lab may change while it is being put up.
    holders: dict[int, _Holder] = {}
    started_s = time.monotonic()
    with contextlib.ExitStack() as stack:
        while (lock := here.claim()) is None:
            waited_s = time.monotonic() - started_s
            if waited_s > DOWN_BOUND_S + KILL_BOUND_S:
                raise MachineError(
                    "the lab's processes would not end",
                    where=str(here.folder),
                    remedy="the kernel holds them; restart the machine",
                )
            record = here.read()
            if record is not None and record.pid not in holders:
                holder = _Holder.find(here, record.pid)
                if holder is not None:
                    say(f"taking the lab {record.lab} down")
                    holders[record.pid] = holder
                    stack.callback(holder.close)
                    holder.signal(signal.SIGTERM)
            if waited_s > DOWN_BOUND_S:
                for holder in holders.values():
                    holder.signal(signal.SIGKILL)
            time.sleep(LOOK_S)
        # One that removed the lock with all the rest may be on its way out still.
        for holder in holders.values():
            holder.wait(KILL_BOUND_S)
    return lock


class _Holder:
    """A process that holds the lock, known by more than a number that may come to mean another."""

    def __init__(self, pidfd: int) -> None:
        self._pidfd = pidfd

    @classmethod
    def find(cls, here: Place, pid: int) -> _Holder | None:
        """The process of that number, if it does hold the place's lock open."""
        try:
            holder = cls(os.pidfd_open(pid))
        except OSError:
            return None
        if _has_open(pid, here.lock):
            return holder
        holder.close()
        return None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens once it ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def wait(self, bound_s: float) -> None:
        """Return when it has ended, or after `bound_s`."""
        select.select([self._pidfd], [], [], bound_s)

    def close(self) -> None:
        """Forget it."""
        os.close(self._pidfd)


def _has_open(pid: int, path: Path) -> bool:
    with contextlib.suppress(OSError):
        found, folder = path.stat(), f"/proc/{pid}/fd"
        return any(_is_file(f"{folder}/{name}", found) for name in os.listdir(folder))
    return False


def _is_file(path: str, found: os.stat_result) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.stat(path), found)
    return False
