"""RADIUS packets in a stream (RFC 6613 s2.6), sans-IO: their length field is the frame."""

from __future__ import annotations

from mpa_hil.errors import DecodeError
from mpa_hil.radius.numbers import HEADER_OCTETS, MAX_PACKET_OCTETS

_LENGTH_ENDS = 4
"""Octets of a packet until its length is known."""


class PacketStream:
    """Cuts a stream into packets; holds less than one packet between calls."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, octets: bytes) -> list[bytes]:
        """The packets that these octets complete.

        Raises:
            DecodeError: a length that no packet has; the stream cannot be read any further, and
                the connection must be closed (RFC 6613 s2.6.4).
        """
        data = self._rest + octets
        packets = []
        at = 0
        while len(data) - at >= _LENGTH_ENDS:
            length = data[at + 2] << 8 | data[at + 3]
            if not HEADER_OCTETS <= length <= MAX_PACKET_OCTETS:
                raise DecodeError(
                    f"a packet of {length} octets",
                    where="RADIUS stream",
                    remedy="see who is at the other end: it does not speak RADIUS over TLS",
                )
            if len(data) - at < length:
                break
            packets.append(data[at : at + length])
            at += length
        self._rest = data[at:]
        return packets
