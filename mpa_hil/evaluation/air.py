"""What the capture of the air tells of a mobile node: its frames, read off their headers. Pure.

Sources: IEEE Std 802.11-2020 s9.2.4 (frame control), s9.3 (frame formats); IEEE Std 802.1X-2020
s11.3 (EAPOL). Bodies need not be readable: data frames count by their addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mpa_hil.evaluation.timeline import Span
from mpa_hil.traffic.pcap import (
    ETHERTYPE_EAPOL,
    LINKTYPE_IEEE802_11,
    LINKTYPE_IEEE802_11_RADIOTAP,
    Capture,
    link_payload,
    radiotap_length,
)

LINKTYPES = (LINKTYPE_IEEE802_11, LINKTYPE_IEEE802_11_RADIOTAP)

_MANAGEMENT, _CONTROL, _DATA = 0, 1, 2
_ACK = 13
_DISASSOCIATION, _DEAUTHENTICATION = 10, 12
_NO_BODY = 0x4
"""Of a data frame's subtype: it carries nothing (Null, QoS Null)."""
_RETRY = 0x08


class Frame(NamedTuple):
    """One frame of the mobile node's, or an acknowledgement."""

    t_ns: int
    """On CLOCK_MONOTONIC."""
    kind: int
    subtype: int
    receiver: bytes
    transmitter: bytes
    """Empty in an acknowledgement, which names only whom it is for."""
    octets: int
    """Length in the air, without what the capture adds."""
    repeats: bool
    """Sent again for want of an acknowledgement."""
    data: bytes
    """As captured."""


def frames(capture: Capture, mn: bytes, offset_ns: int) -> Iterator[Frame]:
    """The frames to or from the radio `mn`, and every acknowledgement, in order of time.

    Args:
        capture: of 802.11 frames (`LINKTYPES`).
        mn: the MN's MAC address.
        offset_ns: CLOCK_REALTIME less CLOCK_MONOTONIC.
    """
    for t_ns, data, wire_bytes in capture.packets:
        start = radiotap_length(capture.linktype, data)
        head = data[start : start + 16]
        if len(head) < 10:
            continue
        kind, subtype = head[0] >> 2 & 3, head[0] >> 4
        receiver = head[4:10]
        if kind == _CONTROL and subtype == _ACK:
            transmitter = b""
        elif kind in (_MANAGEMENT, _DATA) and len(head) == 16:
            transmitter = head[10:16]
            if mn not in (receiver, transmitter):
                continue
        else:
            continue
        octets = wire_bytes - start
        repeats = bool(head[1] & _RETRY)
        yield Frame(t_ns - offset_ns, kind, subtype, receiver, transmitter, octets, repeats, data)


def last_on_ns(seen: Iterable[Frame], mn: bytes, bssid: bytes, until_ns: int) -> int | None:
    """When the MN's last frame on a PoA was in the air, at the latest `until_ns`; None: none was.

    Data frames that carry something count, either way, and so does the MN's own deauthentication
    or disassociation. A frame that was not acknowledged did not get through and does not count:
    an access point goes on sending to a station that has left. Where the capture shows no
    acknowledgement at all, every frame counts.
    """
    last: int | None = None
    acknowledged: int | None = None
    waiting: dict[bytes, int] = {}
    for frame in seen:
        if frame.t_ns > until_ns:
            break
        if frame.kind == _CONTROL:
            sent_ns = waiting.pop(frame.receiver, None)
            acknowledged = sent_ns if sent_ns is not None else acknowledged
        elif {frame.receiver, frame.transmitter} == {mn, bssid}:
            waiting.pop(frame.transmitter, None)
            if _counts(frame, mn):
                last = waiting[frame.transmitter] = frame.t_ns
    return last if acknowledged is None else acknowledged


def _counts(frame: Frame, mn: bytes) -> bool:
    if frame.kind == _DATA:
        return not frame.subtype & _NO_BODY
    return frame.transmitter == mn and frame.subtype in (_DISASSOCIATION, _DEAUTHENTICATION)


def management(seen: Iterable[Frame], span: Span) -> list[Frame]:
    """Management frames to and from the MN."""
    return [f for f in seen if f.kind == _MANAGEMENT and f.t_ns in span]


class Eapol(NamedTuple):
    """One EAPOL frame between the MN and a PoA."""

    frame: Frame
    packet: bytes
    """From the EAPOL version on."""

    @property
    def eap(self) -> bytes:
        """The EAP message in it (RFC 3748 s4); empty for EAPOL-Start, keys and the like."""
        if len(self.packet) < 8 or self.packet[1] != 0:
            return b""
        length = int.from_bytes(self.packet[6:8], "big")
        return self.packet[4 : 4 + max(length, 4)]


def eapol(seen: Iterable[Frame], bssid: bytes, span: Span, linktype: int) -> list[Eapol]:
    """The EAPOL frames that MN and PoA exchanged in the clear, repetitions included."""
    found = []
    for frame in seen:
        if frame.kind != _DATA or frame.t_ns not in span:
            continue
        if bssid in (frame.receiver, frame.transmitter):
            kind, packet = link_payload(linktype, frame.data)
            if kind == ETHERTYPE_EAPOL:
                found.append(Eapol(frame, packet))
    return found
