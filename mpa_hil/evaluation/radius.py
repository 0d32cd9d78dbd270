"""Round trips to an AAA server, read off a capture of a link. Pure.

Source: RFC 2865 s3 (packet format: code, identifier, length, authenticator), s4 (codes).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from mpa_hil.evaluation.timeline import Span
from mpa_hil.traffic.pcap import Capture, datagram, ip_packet

PORT = 1812

_ACCESS_REQUEST = 1
_ANSWERS = {2: "Access-Accept", 3: "Access-Reject", 11: "Access-Challenge"}
_HEADER_OCTETS = 20


@dataclass(frozen=True, slots=True)
class Exchange:
    """An Access-Request that was answered. Times on CLOCK_MONOTONIC, as seen on the link."""

    requested_ns: int
    answered_ns: int
    code: str
    """Of the answer."""


def exchanges(
    capture: Capture, span: Span, offset_ns: int, server: IPv4Address | None = None
) -> list[Exchange]:
    """The round trips whose request was on the link within `span`, in order of their answers.

    A request that was sent again counts once, from its first sending; one that nobody answered
    does not count.

    Args:
        offset_ns: CLOCK_REALTIME less CLOCK_MONOTONIC.
        server: only requests to this address.
    """
    return [e for e in _pairs(capture, offset_ns, server) if e.requested_ns in span]


def _pairs(capture: Capture, offset_ns: int, server: IPv4Address | None) -> Iterator[Exchange]:
    """Requests and answers matched by addresses, ports and identifier (RFC 2865 s3)."""
    wanted = None if server is None else server.packed
    waiting: dict[tuple[bytes, int, bytes, int], tuple[bytes, int]] = {}
    for realtime_ns, frame, _ in capture.packets:
        packet = ip_packet(capture.linktype, frame)
        found = None if packet is None else datagram(packet, depth=1)
        if found is None or len(found.payload) < _HEADER_OCTETS:
            continue
        code, identifier = found.payload[:2]
        t_ns = realtime_ns - offset_ns
        if found.destination_port == PORT and code == _ACCESS_REQUEST:
            if wanted is not None and found.destination != wanted:
                continue
            key = (found.source, found.source_port, found.destination, identifier)
            authenticator = found.payload[4:_HEADER_OCTETS]
            if waiting.get(key, (b"", 0))[0] != authenticator:
                waiting[key] = (authenticator, t_ns)
        elif found.source_port == PORT and code in _ANSWERS:
            key = (found.destination, found.destination_port, found.source, identifier)
            request = waiting.pop(key, None)
            if request is not None:
                yield Exchange(request[1], t_ns, _ANSWERS[code])
