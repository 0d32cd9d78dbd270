"""How often a node asks, and what looking elsewhere may cost. Sans-IO."""

from __future__ import annotations

from dataclasses import dataclass

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each with its unit; docs/sampling.md has the measured costs behind the defaults.

    Attributes:
        poll_ms: between two questions for the present signal; what the driver tells by itself comes
            on top.
        repeat_ms: the same figure again within this time is the same reading (one crossing of a
            threshold is told up to seven times).
        hole_ms_per_s: how much of the time the radio may be away from its channel, on average, for
            looks that nobody asked for.
        burst_ms: as much may be saved up.
        debt_ms: as much may be owed for looks that were asked for.
        hole_ms: what one look is taken to cost until some were measured: mac80211's 64 to 78 ms.
        look_s: least time between two looks at one channel.
        stale_s: an access point heard within this time needs no look.
        guard_ms: no look for so long after the node came to an access point.
        patience_ms: a look that was asked for and may not be taken is answered after this time.
        missed_looks: looks at its channel that do not find an access point, before it is told as
            not heard: a probe response gets lost.
        noise_s: between two questions for the noise floor, which the kernel's station entry lacks.
        beacons_missed: beacons in a row that did not come, before it is told.
        background: look for candidates without being asked.
        calm_db: nor then while the present access point is heard so far above the noise: nobody
            wants to leave it.
    """

    poll_ms: int = 200
    repeat_ms: int = 20
    hole_ms_per_s: float = 20.0
    burst_ms: float = 200.0
    debt_ms: float = 600.0
    hole_ms: float = 75.0
    look_s: float = 5.0
    stale_s: float = 3.0
    guard_ms: int = 1000
    patience_ms: int = 1500
    missed_looks: int = 2
    noise_s: float = 10.0
    beacons_missed: int = 4
    background: bool = True
    calm_db: float = 35.0
