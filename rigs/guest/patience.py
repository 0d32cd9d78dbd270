"""How long a silent guest is waited for, on a machine that may have little time for it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

IDLE_SHARE = 0.01
"""Of a processor: a guest that gets less has nothing to do. One that is starved by others' work
still gets some per cent."""
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Patience:
    """Silence in a guest's own time.

    Args:
        silence_s: of processor time, and at least so much of the wall's.
        used_s: processor time that the guest has had so far.
        now_s: the wall's clock.
    """

    def __init__(
        self,
        silence_s: float,
        used_s: Callable[[], float],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._silence_s = silence_s
        self._used_s = used_s
        self._now_s = now_s
        self._since_s = self._looked_s = now_s()
        self._used_since_s = self._used_looked_s = used_s()

    def heard(self) -> None:
        """It has said something."""
        self._since_s = self._looked_s = self._now_s()
        self._used_since_s = self._used_looked_s = self._used_s()

    def is_over(self) -> bool:
        """Asked when it has been silent for `silence_s` again: whether it hangs.

        It does when it has had that much processor time since it was heard, or hardly any since it
        was looked at last.
        """
        now_s, used_s = self._now_s(), self._used_s()
        lately_s, spent_s = now_s - self._looked_s, used_s - self._used_looked_s
        self._looked_s, self._used_looked_s = now_s, used_s
        if used_s - self._used_since_s >= self._silence_s:
            return True
        return spent_s < IDLE_SHARE * lately_s


def processor_s(pid: int) -> float:
    """Processor time of a process and its threads so far; 0 when it has ended."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_bytes().rsplit(b")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * _TICK_S
    return 0.0
