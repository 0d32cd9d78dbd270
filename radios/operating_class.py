"""Operating classes and channels as frequencies (IEEE 802.11 annex E, table E-4). Pure, no I/O.

Only the global classes are known: the national ones use the same numbers for different bands, and
a neighbour report does not say which nation it means.
"""

from __future__ import annotations

from typing import NamedTuple

GHZ_2, GHZ_5, GHZ_6 = 2407, 5000, 5950
"""MHz to which 5 MHz for each channel number is added."""


class OperatingClass(NamedTuple):
    """What the channel numbers of one class mean."""

    start_mhz: int
    channels: tuple[int, ...]
    """Primary 20 MHz channels."""

    def frequency_mhz(self, channel: int) -> int | None:
        """Centre of that channel, None if the class does not have it."""
        return self.start_mhz + 5 * channel if channel in self.channels else None


_LOW = tuple(range(1, 14))
_UNII_1, _UNII_2 = (36, 40, 44, 48), (52, 56, 60, 64)
_UNII_2E = tuple(range(100, 145, 4))
_UNII_3 = tuple(range(149, 178, 4))
_ALL_5 = _UNII_1 + _UNII_2 + _UNII_2E + _UNII_3
_ALL_6 = tuple(range(1, 234, 4))

CLASSES: dict[int, OperatingClass] = {
    81: OperatingClass(GHZ_2, _LOW),
    82: OperatingClass(2414, (14,)),
    83: OperatingClass(GHZ_2, tuple(range(1, 10))),
    84: OperatingClass(GHZ_2, tuple(range(5, 14))),
    115: OperatingClass(GHZ_5, _UNII_1),
    116: OperatingClass(GHZ_5, _UNII_1[::2]),
    117: OperatingClass(GHZ_5, _UNII_1[1::2]),
    118: OperatingClass(GHZ_5, _UNII_2),
    119: OperatingClass(GHZ_5, _UNII_2[::2]),
    120: OperatingClass(GHZ_5, _UNII_2[1::2]),
    121: OperatingClass(GHZ_5, _UNII_2E),
    122: OperatingClass(GHZ_5, _UNII_2E[::2]),
    123: OperatingClass(GHZ_5, _UNII_2E[1::2]),
    124: OperatingClass(GHZ_5, _UNII_3[:4]),
    125: OperatingClass(GHZ_5, _UNII_3),
    126: OperatingClass(GHZ_5, _UNII_3[::2]),
    127: OperatingClass(GHZ_5, _UNII_3[1::2]),
    # 80 and 160 MHz: hostapd and others report the primary channel; the standard's own number is
    # the centre of the wide channel, which does not name the primary one and is not taken.
    128: OperatingClass(GHZ_5, _ALL_5),
    129: OperatingClass(GHZ_5, _ALL_5),
    130: OperatingClass(GHZ_5, _ALL_5),
    131: OperatingClass(GHZ_6, _ALL_6),
    132: OperatingClass(GHZ_6, _ALL_6),
    133: OperatingClass(GHZ_6, _ALL_6),
    134: OperatingClass(GHZ_6, _ALL_6),
    135: OperatingClass(GHZ_6, _ALL_6),
    136: OperatingClass(5925, (2,)),
}
_PLAIN = (81, 82, 115, 118, 121, 124, 125, 131, 136)
"""The 20 MHz classes, which between them have every frequency."""


def frequency_mhz(operating_class: int, channel: int) -> int | None:
    """Centre of the primary channel in MHz; None for a class or channel that is not known."""
    found = CLASSES.get(operating_class)
    return None if found is None else found.frequency_mhz(channel)


def of_frequency(mhz: int) -> tuple[int, int] | None:
    """The 20 MHz operating class and channel of a frequency, None if no class has it."""
    for number in _PLAIN:
        start_mhz, channels = CLASSES[number]
        channel, rest = divmod(mhz - start_mhz, 5)
        if not rest and channel in channels:
            return number, channel
    return None
