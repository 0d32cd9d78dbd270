"""From what radios report to one figure that access points can be compared by: SNR. Sans-IO.

Drivers report no noise, a constant, or 9999; some an SNR and nothing else. The signal is then taken
over the noise that the same radio last reported anywhere, else over an assumed one, so that all
access points are measured with one rule.
"""

from __future__ import annotations

from radios.signal import UNKNOWN_NOISE, UNKNOWN_SIGNAL

from .interface import Sample

ASSUMED_NOISE_DBM = -92.0
"""Thermal noise in 20 MHz (-101) and a receiver's own 9 dB."""
SATURATED_DBM = -20.0
"""Stronger, a receiver's reading says only "very near": it counts as this."""
_WEAKEST_DBM = -110.0
"""Weaker, nothing can have been received."""
_NOISE_DBM = (-110.0, -55.0)
"""Outside of it a driver's noise is a constant or a mistake."""
_SNR_DB = (-20.0, 100.0)


class Noise:
    """The noise floor of one radio."""

    def __init__(self) -> None:
        self.dbm = ASSUMED_NOISE_DBM
        self.measured = False

    def snr_db(self, sample: Sample) -> float | None:
        """The sample as SNR; None: it says nothing."""
        signal = sample.signal_dbm
        if signal is None or signal in UNKNOWN_SIGNAL or not _WEAKEST_DBM <= signal <= 0:
            snr = sample.snr_db
            return snr if snr is not None and _SNR_DB[0] <= snr <= _SNR_DB[1] else None
        noise = sample.noise_dbm
        if noise is None and sample.snr_db is not None:
            noise = signal - sample.snr_db
        if (
            noise is not None
            and noise not in UNKNOWN_NOISE
            and _NOISE_DBM[0] <= noise <= _NOISE_DBM[1]
        ):
            self.dbm = noise
            self.measured = True
        return (signal if signal < SATURATED_DBM else SATURATED_DBM) - self.dbm
