"""What the kernel has counted and measured of one peer: a station's access point, mostly.

`radios.nl80211` reads the same by pyroute2, and more; this is for a program that asks several times
a second. It takes the standard library and one round through the kernel, and no room on the control
socket of wpa_supplicant, where a question in flight would keep a command of the switch waiting.

Numbers: include/uapi/linux/nl80211.h of the kernel.
"""

from __future__ import annotations

import errno
import struct
import time
from dataclasses import dataclass

from radios.genetlink import (
    Attribute,
    GenericNetlink,
    Message,
    decode_attributes,
    generic_attributes,
    kernel_error,
    u32,
)
from radios.nl80211 import FAMILY, MODULE, interface_index
from radios.signal import SignalSample, sample, signed_octet
from radios.wpa_text import mac_address

_GET_STATION = 17
_ATTRIBUTE_INTERFACE = 3
_ATTRIBUTE_ADDRESS = 6
_ATTRIBUTE_INFO = 21
_SIGNAL, _SIGNAL_AVERAGE, _BEACON_SIGNAL_AVERAGE = 7, 13, 30
_BEACONS_RECEIVED, _BEACON_LOSSES = 29, 18
_PACKETS_RECEIVED = 9


@dataclass(frozen=True, slots=True)
class Station:
    """One entry of the kernel's station table; None: the driver does not say.

    Attributes:
        beacons: received of it since association.
        losses: times that the driver gave its beacons up for lost.
        packets: received of it since association, beacons not among them with every driver.
    """

    reading: SignalSample
    beacons: int | None
    losses: int | None
    packets: int | None = None

    @property
    def heard(self) -> int | None:
        """A count that rises with whatever is received of the peer; None: the driver has none.

        While it stands still, the reading is of a frame that was read before.
        """
        known = [count for count in (self.beacons, self.packets) if count is not None]
        return sum(known) if known else None


class StationReader:
    """Reads one interface's stations, in the namespace that it was made in.

    Raises:
        MachineError: no such interface here, or no wireless stack.
    """

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._index = u32(interface_index(interface))
        self._netlink = GenericNetlink(FAMILY, MODULE)

    def read(self, address: str, frequency_mhz: int = 0) -> Station | None:
        """The entry of one peer; None: there is none, as when the link is gone.

        Args:
            frequency_mhz: of its channel, for the reading; the kernel does not say.

        Raises:
            MpaError: the kernel refused.
        """
        octets = bytes.fromhex(mac_address(address).replace(":", ""))
        asked: list[Attribute] = [(_ATTRIBUTE_INTERFACE, self._index), (_ATTRIBUTE_ADDRESS, octets)]
        try:
            answers = self._netlink.inquire(_GET_STATION, asked)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP):
                return None
            raise kernel_error(error, f"station {address} of {self._interface}") from error
        t_ns = time.monotonic_ns()
        return decode(answers[0], t_ns, address, frequency_mhz) if answers else None

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()


def decode(message: Message, t_ns: int, address: str, frequency_mhz: int) -> Station:
    """NEW_STATION; ValueError when a length is wrong."""
    info = decode_attributes(generic_attributes(message).get(_ATTRIBUTE_INFO, b""))

    def power_dbm(number: int) -> int | None:
        octets = info.get(number)
        return signed_octet(octets[0]) if octets else None

    reading = sample(
        t_ns,
        address.lower(),
        frequency_mhz,
        power_dbm(_SIGNAL),
        source="station",
        average_dbm=power_dbm(_SIGNAL_AVERAGE),
        beacon_average_dbm=power_dbm(_BEACON_SIGNAL_AVERAGE),
    )
    return Station(
        reading,
        _number(info.get(_BEACONS_RECEIVED)),
        _number(info.get(_BEACON_LOSSES)),
        _number(info.get(_PACKETS_RECEIVED)),
    )


def _number(octets: bytes | None) -> int | None:
    """The kernel pads 64-bit values, and counts some in 32."""
    if octets is None or len(octets) not in (4, 8):
        return None
    return int(struct.unpack("=Q" if len(octets) == 8 else "=I", octets)[0])
