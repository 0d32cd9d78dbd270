"""Management frames to an access point that the station is not on: who answers, who is heard.

Two of the kernel's own words, each by one round of generic netlink:

- what became of a frame that somebody (wpa_supplicant) had it send, and an end to the wait for an
  answer, during which the radio stays on the other channel: up to a second;
- from whom a probe response came. The kernel takes one only if it is addressed to this station, so
  it is an answer; wpa_supplicant tells it and a beacon as one.

Numbers: include/uapi/linux/nl80211.h of the kernel.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass

from radios.genetlink import (
    GenericNetlink,
    Message,
    decode_attributes,
    generic_attributes,
    kernel_error,
    u32,
)
from radios.nl80211 import FAMILY, MODULE, interface_index
from radios.wpa_text import mac_address

_GET_SCAN = 32
_FRAME_TX_STATUS = 60
_FRAME_WAIT_CANCEL = 67
_INTERFACE, _BSS, _FRAME, _COOKIE, _ACK = 3, 47, 51, 88, 92
_BSSID, _TSF, _PROBE_RESPONSE = 1, 3, 14
_GROUP = "mlme"
_TO = slice(4, 10)
"""Of a frame: whom it is for (IEEE 802.11 s9.3.3.1)."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a management frame.

    Attributes:
        to: whom it was for, in lower case.
        acknowledged: that radio has received it.
        cookie: the kernel's number of it.
    """

    to: str
    acknowledged: bool
    cookie: bytes


class Management:
    """Asks of the namespace that it was made in.

    Args:
        interface: the wireless one.

    Raises:
        MachineError: no such interface here, or no wireless stack.
    """

    def __init__(self, interface: str) -> None:
        self._index = u32(interface_index(interface))
        self._netlink = GenericNetlink(FAMILY, MODULE)
        self._told = GenericNetlink(FAMILY, MODULE)

    def watch(self) -> socket.socket:
        """Hear what becomes of management frames, until `unwatch`: wait on the socket, then `sent`.

        Raises:
            MpaError: the kernel refused.
        """
        try:
            return self._told.join(_GROUP)
        except OSError as error:
            raise kernel_error(error, "what becomes of management frames") from error

    def unwatch(self) -> None:
        """Hear no more: at a switch there is much to hear."""
        self._told.leave(_GROUP)

    def sent(self) -> list[Sent]:
        """What became of frames since it was asked last."""
        return [sent for sent in map(decode_sent, self._told.heard()) if sent is not None]

    def give_up(self, sent: Sent) -> None:
        """Wait no longer for an answer: the radio goes back to its channel. One whose wait is over
        already is fine."""
        with contextlib.suppress(OSError):
            wanted = [(_INTERFACE, self._index), (_COOKIE, sent.cookie)]
            self._netlink.request(_FRAME_WAIT_CANCEL, wanted)

    def answered(self) -> dict[str, int]:
        """Who has ever answered a probe request of ours, and its clock (TSF) when it last did:
        another figure after a scan means that it answered this one.

        Raises:
            MpaError: the kernel refused.
        """
        try:
            entries = self._netlink.dump(_GET_SCAN, [(_INTERFACE, self._index)])
        except OSError as error:
            raise kernel_error(error, "the scan table") from error
        return dict(found for found in map(decode_answer, entries) if found is not None)

    def close(self) -> None:
        """Close the sockets."""
        self._netlink.close()
        self._told.close()


def decode_sent(message: Message) -> Sent | None:
    """FRAME_TX_STATUS; None: another message, or not to be read."""
    if not message.payload or message.payload[0] != _FRAME_TX_STATUS:
        return None
    try:
        told = generic_attributes(message)
    except ValueError:
        return None
    frame, cookie = told.get(_FRAME, b""), told.get(_COOKIE, b"")
    if len(frame) < _TO.stop or len(cookie) != 8:
        return None
    return Sent(frame[_TO].hex(":"), _ACK in told, cookie)


def decode_answer(message: Message) -> tuple[str, int] | None:
    """An entry of the scan table; None: no probe response of it was ever received."""
    try:
        bss = decode_attributes(generic_attributes(message).get(_BSS, b""))
    except ValueError:
        return None
    bssid, tsf = bss.get(_BSSID, b""), bss.get(_TSF, b"")
    if _PROBE_RESPONSE not in bss or len(bssid) != 6 or len(tsf) != 8:
        return None
    return mac_address(bssid.hex(":")), int(struct.unpack("=Q", tsf)[0])
