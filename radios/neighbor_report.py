"""The 802.11k neighbour report: element, and as wpa_supplicant tells it. Pure, no I/O.

An element's body is BSSID (6 octets), BSSID information (4, least significant first), operating
class, channel, PHY type, then subelements (IEEE 802.11 s9.4.2.36).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from enum import IntFlag

from radios import operating_class
from radios.errors import LocalError, RemoteError
from radios.wpa_events import Event
from radios.wpa_text import MAX_SSID_OCTETS, find_mac, integer, mac_address

ELEMENT_ID = 52
"""Of a neighbour report among other elements (IEEE 802.11 table 9-92)."""
RECEIVED = "RRM-NEIGHBOR-REP-RECEIVED"
"""wpa_supplicant's event for each neighbour in a report."""
FAILED = "RRM-NEIGHBOR-REP-REQUEST-FAILED"
"""wpa_supplicant's event when no report came within its second."""

_FIXED = struct.Struct("<6sIBBB")
_SSID = 0
"""The SSID element's number, which many access points use as a subelement; not standardised."""
_PREFERENCE = 3
"""BSS transition candidate preference (table 9-173)."""


class ReportError(RemoteError):
    """What an access point sent is no neighbour report."""


class BssidInformation(IntFlag):
    """The bits that matter to a handover (IEEE 802.11 figure 9-337)."""

    REACHABLE = 0x3
    """Of two bits: 3 reachable for pre-authentication, 1 not, 2 unknown."""
    SAME_SECURITY = 0x4
    SAME_AUTHENTICATOR = 0x8
    RADIO_MEASUREMENT = 0x80
    MOBILITY_DOMAIN = 0x400


@dataclass(frozen=True, slots=True)
class NeighborReport:
    """One neighbour."""

    bssid: str
    information: int
    """`BssidInformation` and bits that are of no interest here."""
    operating_class: int
    channel: int
    phy_type: int
    ssid: bytes | None = None
    """As its element says, or the SSID that was asked for; None when neither names one."""
    preference: int | None = None
    """0 (excluded) to 255, where the access point ranks its neighbours (802.11v)."""

    @property
    def frequency_mhz(self) -> int | None:
        """Centre of its primary channel; None when class and channel do not say."""
        return operating_class.frequency_mhz(self.operating_class, self.channel)

    @property
    def reachable(self) -> bool | None:
        """For RSN pre-authentication through the reporting access point; None when not known."""
        return {1: False, 3: True}.get(self.information & BssidInformation.REACHABLE)

    def encode(self) -> bytes:
        """The element's body, as hostapd's SET_NEIGHBOR takes it.

        Raises:
            LocalError: a field that does not fit.
        """
        try:
            body = _FIXED.pack(
                bytes.fromhex(mac_address(self.bssid).replace(":", "")),
                self.information,
                self.operating_class,
                self.channel,
                self.phy_type,
            )
        except struct.error as error:
            raise LocalError(f"{self} cannot be a neighbour report: {error}") from None
        if self.ssid is not None:
            if len(self.ssid) > MAX_SSID_OCTETS:
                raise LocalError(f"an SSID of {len(self.ssid)} octets")
            body += bytes((_SSID, len(self.ssid))) + self.ssid
        if self.preference is not None:
            if not 0 <= self.preference <= 255:
                raise LocalError(f"a preference of {self.preference}")
            body += bytes((_PREFERENCE, 1, self.preference))
        return body


def decode(body: bytes) -> NeighborReport:
    """One element's body.

    Raises:
        ReportError: too short, or a subelement runs past the end.
    """
    if len(body) < _FIXED.size:
        raise ReportError(f"a neighbour report of {len(body)} octets")
    bssid, information, class_, channel, phy_type = _FIXED.unpack_from(body)
    found: dict[int, bytes] = {}
    for kind, value in _elements(body[_FIXED.size :]):
        found.setdefault(kind, value)
    ssid, preference = found.get(_SSID), found.get(_PREFERENCE)
    return NeighborReport(
        bssid=bssid.hex(":"),
        information=information,
        operating_class=class_,
        channel=channel,
        phy_type=phy_type,
        ssid=ssid if ssid and len(ssid) <= MAX_SSID_OCTETS else None,
        preference=preference[0] if preference else None,
    )


def decode_elements(octets: bytes) -> tuple[NeighborReport, ...]:
    """The neighbour reports among some elements, as in the ANQP element of that name.

    Raises:
        ReportError: an element runs past the end, or a report is broken.
    """
    return tuple(decode(value) for kind, value in _elements(octets) if kind == ELEMENT_ID)


def encode_elements(reports: tuple[NeighborReport, ...]) -> bytes:
    """Those reports as elements one after the other."""
    bodies = [report.encode() for report in reports]
    return b"".join(bytes((ELEMENT_ID, len(body))) + body for body in bodies)


def from_event(event: Event, asked: bytes | None = None) -> NeighborReport | None:
    """The neighbour that a RECEIVED event tells; None if it is another or a garbled event.

    The event leaves out every subelement but location, so the SSID is the one `asked` for:
    hostapd answers with neighbours of that SSID only.
    """
    if event.name != RECEIVED:
        return None
    bssid = find_mac(event.fields.get("bssid", ""))
    numbers = (
        _number(event.fields.get("info"), 0xFFFFFFFF),
        _number(event.fields.get("op_class"), 255),
        _number(event.fields.get("chan"), 255),
        _number(event.fields.get("phy_type"), 255),
    )
    information, class_, channel, phy_type = numbers
    if bssid is None or information is None or class_ is None or channel is None:
        return None
    return NeighborReport(bssid, information, class_, channel, phy_type or 0, asked)


_NUMBER = re.compile(r"0x[0-9a-f]{1,8}|[0-9]{1,10}")


def _number(text: str | None, limit: int) -> int | None:
    if text is None or not _NUMBER.fullmatch(text):
        return None
    number = integer(text, 16 if text.startswith("0x") else 10)
    return number if number is not None and number <= limit else None


def _elements(octets: bytes) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(octets):
        if at + 2 > len(octets) or at + 2 + octets[at + 1] > len(octets):
            raise ReportError(f"element {octets[at]} runs past the end of its frame")
        end = at + 2 + octets[at + 1]
        found.append((octets[at], octets[at + 2 : end]))
        at = end
    return found
