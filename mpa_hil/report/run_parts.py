"""Parts of a RUN in summary.json that not every lab has: downloads.

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
