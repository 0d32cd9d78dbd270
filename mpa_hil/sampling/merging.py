"""Readings of all sources as one row of samples for each access point. Sans-IO.

Left out is what says nothing: a radio that does not know (9999, 0), what no receiver can have
received, the same reading told again, and one older than the last. A noise floor is remembered by
channel, because most sources tell none: wpa_supplicant tells 9999 before its first scan.
"""

from __future__ import annotations

from mpa_hil.policy.interface import Sample
from radios.signal import SignalSample, known_noise

STRONGEST_DBM = -20
"""Stronger, a receiver's reading says only "very near": it is saturated, and counts as this."""
WEAKEST_DBM = -110
"""Weaker, nothing can have been received."""
UNHEARD_DBM = -100.0
"""Told of an access point that looks at its channel do not find: no more than that arrives."""
USUAL_NOISE_DBM = -92.0
"""Thermal noise in 20 MHz, -101 dBm, and a receiver's own 9 dB."""
_NOISE_DBM = range(-110, -55)
"""Outside of it a driver's noise is a constant or a mistake."""
_NOISE_KEPT_NS = 60_000_000_000
"""A channel's noise is no news after a minute, but better than none: it is used until replaced by
the noise of another channel that is fresher."""


class Merger:
    """What was last heard of each access point.

    Args:
        repeat_ns: the same figure within this time is the same reading.
    """

    def __init__(self, repeat_ns: int) -> None:
        self._repeat_ns = repeat_ns
        self._names: dict[str, str] = {}
        self._last: dict[str, Sample] = {}
        self._noise: dict[int, tuple[int, int]] = {}

    def name(self, bssid: str, ap: str) -> None:
        """Access points go by names from here on; one without a name is of no interest."""
        self._names[bssid.lower()] = ap

    def ap(self, bssid: str) -> str | None:
        """The name."""
        return self._names.get(bssid.lower())

    def heard_ns(self, ap: str) -> int | None:
        """When it was last heard; None: never."""
        last = self._last.get(ap)
        return None if last is None else last.t_ns

    def snr_db(self, ap: str) -> float | None:
        """Its last signal over the noise, the usual one where none is known; None: never heard."""
        last = self._last.get(ap)
        if last is None or last.signal_dbm is None:
            return None
        return last.signal_dbm - (USUAL_NOISE_DBM if last.noise_dbm is None else last.noise_dbm)

    def add(self, reading: SignalSample) -> Sample | None:
        """A reading as a sample; None: it says nothing new."""
        noise = self._noise_of(reading)
        ap = self.ap(reading.bssid)
        signal = _first_known(reading.signal_dbm, reading.average_dbm, reading.beacon_average_dbm)
        if ap is None or signal is None:
            return None
        made = Sample(
            reading.t_ns,
            ap,
            float(min(signal, STRONGEST_DBM)),
            None if noise is None else float(noise),
            source=reading.source,
        )
        return self._take(made)

    def unheard(self, ap: str, t_ns: int) -> Sample | None:
        """Its channel was looked at, more than once, and it was not found."""
        return self._take(Sample(t_ns, ap, UNHEARD_DBM, source="unheard"))

    def forget(self, ap: str) -> None:
        """It is of no interest any more."""
        self._last.pop(ap, None)
        self._names = {bssid: name for bssid, name in self._names.items() if name != ap}

    def _take(self, sample: Sample) -> Sample | None:
        last = self._last.get(sample.ap)
        if last is not None:
            if sample.t_ns < last.t_ns:
                return None
            again = (sample.signal_dbm, sample.noise_dbm) == (last.signal_dbm, last.noise_dbm)
            if again and sample.t_ns - last.t_ns < self._repeat_ns:
                return None
        self._last[sample.ap] = sample
        return sample

    def _noise_of(self, reading: SignalSample) -> int | None:
        told = known_noise(reading.noise_dbm)
        if told is not None and told in _NOISE_DBM:
            self._noise[reading.frequency_mhz] = (told, reading.t_ns)
            return told
        kept = self._noise.get(reading.frequency_mhz)
        if kept is not None and reading.t_ns - kept[1] <= _NOISE_KEPT_NS:
            return kept[0]
        newest = max(self._noise.values(), key=lambda each: each[1], default=None)
        return None if newest is None else newest[0]


def _first_known(*values: int | None) -> int | None:
    return next((v for v in values if v is not None and WEAKEST_DBM <= v < 0), None)
