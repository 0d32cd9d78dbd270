"""The one place where processes read both clocks; machines are told."""

from __future__ import annotations

import time

from mpa_hil.mobility.interface import Instant


def instant() -> Instant:
    """Now, by the monotonic clock and by the calendar (ns)."""
    return Instant(time.monotonic_ns(), time.time_ns())
