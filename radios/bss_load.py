"""The BSS load element: how busy an access point says that it is. Pure, no I/O.

IEEE 802.11 s9.4.2.27: number of stations (2 octets), share of time that the channel is busy in
255ths, admission capacity left (2 octets).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

ELEMENT_ID = 11
_BODY = struct.Struct("<HBH")


@dataclass(frozen=True, slots=True)
class BssLoad:
    """What an access point tells of itself; `busy` is 0 to 1."""

    stations: int
    busy: float


def find(elements: bytes) -> BssLoad | None:
    """The load among the elements of a beacon or probe response; None: it is not told."""
    at = 0
    while at + 2 <= len(elements):
        kind, size = elements[at], elements[at + 1]
        body = elements[at + 2 : at + 2 + size]
        if kind == ELEMENT_ID and len(body) == _BODY.size:
            stations, busy, _ = _BODY.unpack(body)
            return BssLoad(stations, busy / 255)
        at += 2 + size
    return None
