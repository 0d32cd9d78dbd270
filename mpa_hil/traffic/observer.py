"""The second observer: a flow's gap as an independent capture saw it, and whether both agree.

The receiver's figures come from the kernel stamps of its own socket. A capture by another program
(tcpdump) on an interface on the way has nothing in common with it but the kernel's clock. When the
two disagree by more than one packet interval, one of them is wrong, and no verdict is given.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpa_hil.traffic.endpoint import HEADER
from mpa_hil.traffic.figures import Window, largest_gap
from mpa_hil.traffic.pcap import Capture, ip_packet, udp_datagram
from mpa_hil.traffic.records import Arrival


@dataclass(frozen=True, slots=True)
class Sighting:
    """One flow in one capture."""

    ssrc: int
    arrivals: tuple[Arrival, ...]
    """As captured, repeated sequence numbers kept; `received_ns` on the machine's realtime clock
    less `offset_ns`, so on CLOCK_MONOTONIC where the offset was given."""

    def gap_ms(self, window: Window, spacing_ns: int) -> float:
        """Largest hole touching the window, less the nominal spacing, ms (first sightings only)."""
        first: dict[int, int] = {}
        for arrival in self.arrivals:
            first.setdefault(arrival.sequence, arrival.received_ns)
        return max(0, largest_gap(list(first.values()), window).length_ns - spacing_ns) / 1e6


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
