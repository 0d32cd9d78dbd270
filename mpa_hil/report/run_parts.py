"""Parts of a RUN in summary.json that not every lab has: downloads, held packets, more switches.

As with `mpa_hil.report.summary`: keys are a contract.
"""

from __future__ import annotations

import msgspec

from mpa_hil.traffic.transfers import TransferFigures


class TransferSummary(msgspec.Struct, frozen=True):
    """One download (definitions: `mpa_hil.traffic.transfers`)."""

    octets: int
    rate_mbit: float
    stall_ms: float
    usual_ms: float
    recovered: bool
    retransmissions: int
    error: str = ""


class HoldSummary(msgspec.Struct, frozen=True):
    """What was held in one direction while the link switched."""

    packets: int
    """That waited; where the one who held them does not count, 0."""
    dropped: int
    """That were too many."""
    ms: float
    """How long at the longest."""
    release_ms: float | None = None
    """Port open to the release; below 0, it was released before."""
    drain_ms: float | None = None
    """How much of `ms` was over when the MN had everything that was sent before."""


class SwitchSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One of several switches of a run. Keys that a RUN has too mean the same here."""

    old: str
    """Access point left."""
    new: str
    """Access point joined."""
    l2_ms: float | None
    l3_ms: float | None
    gap_ms: dict[str, float]
    """By direction, of the run's gap flow."""
    lost: dict[str, int]
    """By direction, of all flows: packets due between this trigger and the next."""
    total_ms: float | None
    hold: dict[str, HoldSummary] = {}


def transfer_summary(figures: TransferFigures) -> TransferSummary:
    """The figures of a download as they are stored."""
    return TransferSummary(
        octets=figures.octets,
        rate_mbit=figures.rate_mbit,
        stall_ms=figures.stall_ms,
        usual_ms=figures.usual_ms,
        recovered=figures.recovered,
        retransmissions=figures.retransmissions,
        error=figures.error,
    )
