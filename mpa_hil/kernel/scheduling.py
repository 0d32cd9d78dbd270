"""What an agent that runs in real time must not do as such."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def as_others() -> Iterator[None]:
    """For a moment without real-time scheduling.

    Who writes to some files of /proc/sys/net while somebody has the kernel's network lock does not
    wait for it: the kernel has the write begin anew until the lock is free (`restart_syscall`). In
    real time, whoever has it would never get to let it go.
    """
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    ordinary = policy & ~os.SCHED_RESET_ON_FORK == os.SCHED_OTHER
    if not ordinary:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    try:
        yield
    finally:
        if not ordinary:
            os.sched_setscheduler(0, policy, parameter)
