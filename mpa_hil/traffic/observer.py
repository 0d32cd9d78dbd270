"""The second observer: a flow's gap as an independent capture saw it, and whether both agree.

The receiver's figures come from the kernel stamps of its own socket. A capture by another program
(tcpdump) on an interface on the way has nothing in common with it but the kernel's clock. When the
two disagree by more than one packet interval, one of them is wrong, and no verdict is given.

A packet that crosses the interface encrypted shows no number. It is known by its length: flows of
one lab differ in theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpa_hil.traffic.endpoint import HEADER
from mpa_hil.traffic.figures import Window, largest_gap
from mpa_hil.traffic.pcap import (
    LINKTYPE_ETHERNET,
    Capture,
    ip_packet,
    sealed_octets,
    udp_datagram,
)
from mpa_hil.traffic.records import Arrival

_INNER_HEADERS = (20, 40, 60, 64, 80)
"""Octets of IP headers inside a handover tunnel: one of either version, or two of the home agent's
tunnel, or IPv6 with a type 2 routing header (24)."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One flow in one capture."""

    ssrc: int
    arrivals: tuple[Arrival, ...]
    """As captured, repeated sequence numbers kept; `received_ns` on the machine's realtime clock
    less `offset_ns`, so on CLOCK_MONOTONIC where the offset was given."""
    sealed_ns: tuple[int, ...] = ()
    """When encrypted packets of the flow's length were captured, on the same clock."""

    def gap_ms(self, window: Window, spacing_ns: int) -> float:
        """Largest hole touching the window, less the nominal spacing, ms (first sightings only)."""
        first: dict[int, int] = {}
        for arrival in self.arrivals:
            first.setdefault(arrival.sequence, arrival.received_ns)
        times = [*first.values(), *self.sealed_ns]
        return max(0, largest_gap(times, window).length_ns - spacing_ns) / 1e6


def sightings(capture: Capture, ports: set[int], offset_ns: int = 0) -> dict[int, Sighting]:
    """Our flows in a capture, by SSRC.

    Args:
        capture: from an interface of the receiving host, or any that the flow crosses once.
        ports: UDP destination ports of the flows.
        offset_ns: CLOCK_REALTIME less CLOCK_MONOTONIC of the capturing machine.
    """
    seen: dict[int, list[Arrival]] = {}
    for t_ns, frame, _ in capture.packets:
        packet = ip_packet(capture.linktype, frame)
        if packet is None:
            continue
        port, payload = udp_datagram(packet)
        if port not in ports or len(payload) < HEADER.size or payload[0] != 0x80:
            continue
        *_, ssrc, stamp, sequence = HEADER.unpack_from(payload)
        seen.setdefault(ssrc, []).append(Arrival(sequence, stamp, t_ns - offset_ns))
    return {ssrc: Sighting(ssrc, tuple(arrivals)) for ssrc, arrivals in seen.items()}


def sealed_lengths(udp_payload_bytes: int) -> frozenset[int]:
    """How long a flow's packets may be once encrypted, whatever headers are inside with them.

    ESP with AES-GCM: SPI and number, IV, payload padded to 4 with 2 octets of trailer, ICV (RFC
    4303 s2, RFC 4106). WireGuard: 16 octets of header, payload padded to 16, 16 of tag.
    """
    lengths = set()
    for headers in _INNER_HEADERS:
        inner = headers + 8 + udp_payload_bytes
        lengths.add(8 + 8 + -(-(inner + 2) // 4) * 4 + 16)
        lengths.add(16 + -(-inner // 16) * 16 + 16)
    return frozenset(lengths)


def sealed_times(
    capture: Capture, lengths: frozenset[int], to: bytes, offset_ns: int = 0
) -> tuple[int, ...]:
    """When encrypted packets of these lengths were captured, in Ethernet frames to an address.

    Args:
        to: MAC address of the receiving host: both directions cross its interface.
        offset_ns: as of `sightings`.
    """
    if capture.linktype != LINKTYPE_ETHERNET:
        return ()
    found = []
    for t_ns, frame, _ in capture.packets:
        if frame[:6] != to:
            continue
        packet = ip_packet(capture.linktype, frame)
        if packet is not None and sealed_octets(packet) in lengths:
            found.append(t_ns - offset_ns)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The verdict on two observations of one gap."""

    kernel_gap_ms: float
    capture_gap_ms: float
    interval_ms: float
    """Nominal packet spacing: what the two may differ by."""

    @property
    def difference_ms(self) -> float:
        """How far apart the two observers are."""
        return abs(self.kernel_gap_ms - self.capture_gap_ms)

    @property
    def agrees(self) -> bool:
        """Whether they are within one packet interval."""
        return self.difference_ms <= self.interval_ms

    def __str__(self) -> str:
        relation = "agree" if self.agrees else "DISAGREE"
        return (
            f"observers {relation}: socket {self.kernel_gap_ms:.3f} ms, "
            f"capture {self.capture_gap_ms:.3f} ms, "
            f"apart {self.difference_ms:.3f} of {self.interval_ms:g} ms allowed"
        )


def agree(kernel_gap_ms: float, capture_gap_ms: float, interval_ms: float) -> Agreement:
    """Compare the receiver's gap with the capture's; the bound is one packet interval."""
    return Agreement(kernel_gap_ms, capture_gap_ms, interval_ms)
