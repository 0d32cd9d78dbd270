"""The one place where processes read both clocks; machines are told.

The monotonic clock never steps; the calendar does, when somebody sets it. So a process reads the
calendar once and carries it on by the monotonic clock: setting it in between changes no lifetime,
no time stamp, no order of messages. What is written down for a later process has an `Origin` beside
it: in the same boot the monotonic clock alone tells how long ago that was; only after another boot
does the calendar have to, and what was written must bound by itself how far it believes it.
"""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import NamedTuple

from mpa_hil.mobility.interface import Instant

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Origin(NamedTuple):
    """Whose clocks something was written down by.

    Attributes:
        boot: the kernel's name for the time since it was started; "": unknown.
        ahead_ns: the calendar less the monotonic clock.
    """

    boot: str
    ahead_ns: int

    def read(self, now: Instant) -> Instant:
        """The present as whoever wrote has it, to read what was written with."""
        if not self.boot or self.boot != boot():
            return now
        return Instant(now.monotonic_ns, now.monotonic_ns + self.ahead_ns)


def instant() -> Instant:
    """Now, by the monotonic clock and by the calendar as this process found it (ns)."""
    now_ns = time.monotonic_ns()
    return Instant(now_ns, now_ns + _ahead_ns())


def origin() -> Origin:
    """Of what this process writes down."""
    return Origin(boot(), _ahead_ns())


@functools.cache
def boot() -> str:
    """The kernel's own name for this boot; "" where it has none."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


@functools.cache
def _ahead_ns() -> int:
    return time.time_ns() - time.monotonic_ns()
