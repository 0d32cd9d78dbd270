"""Where a switch lies in the kernel's tick."""

from __future__ import annotations

import time

_CLOCK_MONOTONIC_COARSE = 6
"""Its resolution is the kernel's tick (linux/time.h)."""


def align(lead_ns: int) -> None:
    """Wait for the moment from which a tick is `lead_ns` away; at most one tick long.

    mac80211 sends the association request from a timer, at the next tick. Begun at any time, the
    switch loses up to a tick there (4 ms at 250 Hz) while the link is down; begun so, it waits now
    instead, while packets still flow. An event loop's timers are too coarse.
    """
    tick_ns = round(1e9 * time.clock_getres(_CLOCK_MONOTONIC_COARSE))
    time.sleep(-(time.monotonic_ns() + lead_ns) % tick_ns / 1e9)
