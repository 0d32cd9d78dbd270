"""Timers and limits of Mobile IPv4, with where each comes from.

A value marked "must" keeps to RFC 5944 only in the direction that its text says.
"""

from __future__ import annotations

from dataclasses import dataclass

from radios.errors import LocalError


@dataclass(frozen=True, slots=True)
class Tuning:
    """Replace single fields with `dataclasses.replace`; all times in seconds."""

    lifetime_s: int = 1800
    """Lifetime asked for: the default router lifetime of ICMP (s3.6.1.2). 65535: without end."""

    minimum_interval_s: float = 1.0
    """Between two requests for one care-of address (s3.6.3: must not be less than 1 s)."""

    backoff_factor: float = 2.0
    """Each time-out over the one before it (s3.6.3: should be at least 2)."""

    maximum_interval_s: float = 60.0
    """Longest time-out; the lifetime asked for caps it further (s3.6.3). Ours: one minute keeps a
    node that was cut off from staying silent long after the network came back."""

    attempts: int = 6
    """Requests for a new binding before TimedOut: 1+2+4+8+16+32 s, about a minute. The RFC sets no
    bound. A renewal goes on until the binding that it renews runs out."""

    resynchronisations: int = 4
    """Answers 133 in a row that are mended by moving the clock (s3.6.2.3) before they are believed.
    Spaced like time-outs they span 15 s: enough to outlive a time stamp that was accepted at the
    far edge of the window before the node restarted."""

    renew_fraction: float = 2 / 3
    """Renewal starts when this part of the lifetime is over (s3.6.2.2 wants it before the end)."""

    timestamp_window_s: float = 7.0
    """Clock difference that a home agent tolerates (s5.7.1: default 7, should exceed 3)."""

    maximum_lifetime_s: int = 3600
    """Longest lifetime that a home agent grants (s3.8.2.2 leaves it to the home agent)."""

    maximum_bindings: int = 1000
    """Bindings at one home agent, code 130 beyond: each is a tunnel device in its kernel."""

    def __post_init__(self) -> None:
        if self.minimum_interval_s < 1.0:
            raise LocalError(
                f"minimum_interval_s = {self.minimum_interval_s} is under one second",
                where="Mobile IPv4 tuning",
                remedy="RFC 5944 s3.6.3 forbids it; set 1.0 or more",
            )
        if not (0 < self.renew_fraction < 1 and self.backoff_factor >= 1 and self.attempts >= 1):
            raise LocalError(
                "renew_fraction must lie between 0 and 1, backoff_factor and attempts be 1 or more",
                where="Mobile IPv4 tuning",
            )
        if not (0 < self.lifetime_s <= 0xFFFF and 0 < self.maximum_lifetime_s <= 0xFFFF):
            raise LocalError(
                "lifetimes must be between 1 and 65535 seconds", where="Mobile IPv4 tuning"
            )
