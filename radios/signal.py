"""What a radio measured of one access point at one time."""

from __future__ import annotations

from dataclasses import dataclass

UNKNOWN_NOISE = frozenset({9999, 0, -256})
"""What stands for "no idea": 9999 in wpa_supplicant, 0 or -256 in several drivers."""

UNKNOWN_SIGNAL = frozenset({9999, 0, -9999})
"""0 dBm at a receiver would be a milliwatt: drivers that do not know report it all the same."""


@dataclass(frozen=True, slots=True)
class SignalSample:
    """One reading; `None` wherever the radio does not know.

    Attributes:
        t_ns: CLOCK_MONOTONIC when the reading was taken over, in ns.
        bssid: of the access point, "" when the source does not say.
        frequency_mhz: of the primary channel, 0 when the source does not say.
        signal_dbm: the newest frame's power.
        average_dbm: the driver's running mean over all frames.
        beacon_average_dbm: the driver's running mean over beacons only.
        noise_dbm: noise floor on the channel.
        snr_db: `signal_dbm` less `noise_dbm`.
        source: where the reading comes from, e.g. "signal_poll".
    """

    t_ns: int
    bssid: str
    frequency_mhz: int
    signal_dbm: int | None
    average_dbm: int | None
    beacon_average_dbm: int | None
    noise_dbm: int | None
    snr_db: int | None
    source: str


def sample(
    t_ns: int,
    bssid: str,
    frequency_mhz: int | None,
    signal_dbm: int | None,
    *,
    source: str,
    average_dbm: int | None = None,
    beacon_average_dbm: int | None = None,
    noise_dbm: int | None = None,
) -> SignalSample:
    """A sample from raw readings: values that stand for "unknown" become None, SNR is derived."""
    signal = known_signal(signal_dbm)
    noise = known_noise(noise_dbm)
    return SignalSample(
        t_ns=t_ns,
        bssid=bssid,
        frequency_mhz=frequency_mhz or 0,
        signal_dbm=signal,
        average_dbm=known_signal(average_dbm),
        beacon_average_dbm=known_signal(beacon_average_dbm),
        noise_dbm=noise,
        snr_db=None if signal is None or noise is None else signal - noise,
        source=source,
    )


def known_noise(noise_dbm: int | None) -> int | None:
    """A noise reading, or None when it stands for "unknown"."""
    return None if noise_dbm is None or noise_dbm in UNKNOWN_NOISE else noise_dbm


def known_signal(signal_dbm: int | None) -> int | None:
    """A power reading, or None when it stands for "unknown"."""
    return None if signal_dbm is None or signal_dbm in UNKNOWN_SIGNAL else signal_dbm


def signed_octet(value: int) -> int:
    """A dBm value that netlink carried as an unsigned octet."""
    return value - 256 if value > 127 else value
