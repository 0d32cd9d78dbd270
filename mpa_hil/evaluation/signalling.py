"""Signalling during a handover, counted in its captures: messages, octets, EAP, AAA. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal

from mpa_hil.evaluation import air, radius
from mpa_hil.evaluation.raw import Taken
from mpa_hil.evaluation.timeline import MOBILE_NODE, Span
from mpa_hil.events import AaaExchange, AnyEvent, EapMessage
from mpa_hil.report.summary import Eap, Signalling
from mpa_hil.traffic.pcap import LINKTYPE_ETHERNET, carried, datagram, ip_packet

HOME_AAA = "home-aaa"
TUNNEL = "mpahome"
"""The MN's tunnel interface: what it shows was on the link before."""
AGENT = "capture"
"""The agent of events that were read off captures."""

_MN_LINK_PORTS = {"dhcp": (67, 68), "mip4": (434,), "hold": (4340,)}
"""UDP ports, either end: RFC 2131 s4.1, RFC 5944 s3.3, `mpa_hil.agents.hold`."""
_MN_LINK_PORTS_6: dict[str, tuple[int, ...]] = {"dhcp6": (546, 547)}
"""RFC 8415 s7.2."""
_MOBILITY_HEADER, _ICMP_6 = 135, 58
_NEIGHBOUR_DISCOVERY = range(133, 138)
"""ICMPv6 types: router and neighbour solicitations and advertisements, redirect (RFC 4861 s4)."""
_EAP_CODES: dict[int, Literal["request", "response", "success", "failure"]] = {
    1: "request",
    2: "response",
    3: "success",
    4: "failure",
}
_EAP_METHODS = {
    1: "Identity",
    2: "Notification",
    3: "Nak",
    13: "TLS",
    18: "SIM",
    21: "TTLS",
    23: "AKA",
    25: "PEAP",
    43: "FAST",
    50: "AKA'",
    52: "PWD",
}
"""IANA, EAP registry, Method Types."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look: addresses of those who took part in the handover.

    Attributes:
        mn: the MN's MAC address.
        old: the BSSID of the PoA left.
        new: the BSSID of the PoA joined.
        visited_aaa: box of the new domain's AAA server.
        home_aaa: address of the home AAA server.
        ipv6: the lab speaks it, so its protocols are counted too.
    """

    mn: bytes
    old: bytes
    new: bytes
    visited_aaa: str
    home_aaa: IPv4Address
    ipv6: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """What the captures tell of one handover."""

    signalling: dict[str, Signalling]
    """By protocol; one that no capture could show is left out."""
    eap: Eap | None
    """None without a capture that could show it, and where no EAP took place."""
    last_old_ns: int | None
    """The MN's last frame on the old PoA; None without a capture of the air."""
    events: list[AnyEvent]


def hear(
    captures: Sequence[Taken], place: Place, span: Span, port_open_ns: int | None, offset_ns: int
) -> Heard:
    """Count a handover's signalling.

    Args:
        span: from the trigger to the first packet.
        port_open_ns: the MN left the old PoA before that; None: `span`'s end.
        offset_ns: CLOCK_REALTIME less CLOCK_MONOTONIC.
    """
    signalling: dict[str, Signalling] = {}
    eapol: list[air.Eapol] | None = None
    last_old_ns: int | None = None
    sky = next((c for c in captures if c.capture.linktype in air.LINKTYPES), None)
    if sky is not None:
        seen = sorted(air.frames(sky.capture, place.mn, offset_ns), key=lambda frame: frame.t_ns)
        eapol = air.eapol(seen, place.new, span, sky.capture.linktype)
        signalling["802.11"] = _sum(f.octets for f in air.management(seen, span))
        signalling["eapol"] = _sum(e.frame.octets for e in eapol)
        until_ns = span.end_ns if port_open_ns is None else port_open_ns
        last_old_ns = air.last_on_ns(seen, place.mn, place.old, until_ns)
    home = link_of(captures, HOME_AAA)
    if home is not None:
        octets = _by_port(home, {"radius": (radius.PORT,)}, span, offset_ns)
        signalling["radius"] = _sum(octets["radius"])
    link = link_of(captures, MOBILE_NODE)
    if link is not None:
        by_protocol = _by_port(link, _MN_LINK_PORTS, span, offset_ns)
        if place.ipv6:
            by_protocol |= _by_port(link, _MN_LINK_PORTS_6, span, offset_ns)
            by_protocol |= _by_header(link, span, offset_ns)
        signalling |= {name: _sum(octets) for name, octets in by_protocol.items()}
    host, exchanges = _exchanges(captures, place, span, offset_ns)
    messages = _distinct(eapol or [])
    events: list[AnyEvent] = [*_eap_events(messages), *_aaa_events(host, exchanges or [])]
    round_trips = None if exchanges is None else len(exchanges)
    return Heard(
        signalling=signalling,
        eap=Eap(len(messages), round_trips) if messages else None,
        last_old_ns=last_old_ns,
        events=sorted(events, key=lambda event: event.t_ns),
    )


def link_of(captures: Iterable[Taken], host: str) -> Taken | None:
    """A box's Ethernet-like capture of a link; None when none was made."""
    for taken in captures:
        ethernet = taken.capture.linktype == LINKTYPE_ETHERNET
        if ethernet and taken.host == host and taken.interface != TUNNEL:
            return taken
    return None


def _sum(octets: Iterable[int]) -> Signalling:
    sizes = list(octets)
    return Signalling(messages=len(sizes), bytes=sum(sizes))


def _by_port(
    taken: Taken, protocols: dict[str, tuple[int, ...]], span: Span, offset_ns: int
) -> dict[str, list[int]]:
    """Frame lengths of the datagrams from or to each protocol's ports, outside any tunnel."""
    names = {port: name for name, ports in protocols.items() for port in ports}
    sizes: dict[str, list[int]] = {name: [] for name in protocols}
    for t_ns, frame, wire_bytes in taken.capture.packets:
        if t_ns - offset_ns not in span:
            continue
        packet = ip_packet(taken.capture.linktype, frame)
        found = None if packet is None else datagram(packet, depth=1)
        if found is None:
            continue
        name = names.get(found.destination_port) or names.get(found.source_port)
        if name is not None:
            sizes[name].append(wire_bytes)
    return sizes


def _by_header(taken: Taken, span: Span, offset_ns: int) -> dict[str, list[int]]:
    """Frame lengths of Mobile IPv6's and neighbour discovery's messages, outside any tunnel."""
    sizes: dict[str, list[int]] = {"mip6": [], "nd": []}
    for t_ns, frame, wire_bytes in taken.capture.packets:
        if t_ns - offset_ns not in span:
            continue
        packet = ip_packet(taken.capture.linktype, frame)
        found = None if packet is None else carried(packet)
        if found is None:
            continue
        protocol, body = found
        if protocol == _MOBILITY_HEADER:
            sizes["mip6"].append(wire_bytes)
        elif protocol == _ICMP_6 and body[:1] and body[0] in _NEIGHBOUR_DISCOVERY:
            sizes["nd"].append(wire_bytes)
    return sizes


def _exchanges(
    captures: Sequence[Taken], place: Place, span: Span, offset_ns: int
) -> tuple[str, list[radius.Exchange] | None]:
    """The box at which round trips to the home AAA were seen, and those; None without a capture.

    The visited AAA server's end of the way shows how long each took; where it was not captured,
    the home AAA's own link shows that there were as many.
    """
    visited = link_of(captures, place.visited_aaa)
    if visited is not None:
        found = radius.exchanges(visited.capture, span, offset_ns, place.home_aaa)
        if found:
            return place.visited_aaa, found
    home = link_of(captures, HOME_AAA)
    if home is not None:
        return HOME_AAA, radius.exchanges(home.capture, span, offset_ns)
    return HOME_AAA, None if visited is None else []


def _distinct(eapol: Iterable[air.Eapol]) -> list[air.Eapol]:
    """The EAP messages; one that was sent again for want of an acknowledgement counts once."""
    found: list[air.Eapol] = []
    for one in eapol:
        if not one.eap or one.eap[0] not in _EAP_CODES:
            continue
        again = found and one.frame.repeats and found[-1].packet == one.packet
        if not again:
            found.append(one)
    return found


def _eap_events(messages: Iterable[air.Eapol]) -> Iterable[EapMessage]:
    for count, one in enumerate(messages, start=1):
        method = _EAP_METHODS.get(one.eap[4], f"type {one.eap[4]}") if len(one.eap) > 4 else ""
        yield EapMessage(
            t_ns=max(0, one.frame.t_ns),
            host=MOBILE_NODE,
            agent=AGENT,
            direction=_EAP_CODES[one.eap[0]],
            count=count,
            method=method,
        )


def _aaa_events(host: str, exchanges: Iterable[radius.Exchange]) -> Iterable[AaaExchange]:
    for count, one in enumerate(exchanges, start=1):
        yield AaaExchange(
            t_ns=max(0, one.answered_ns),
            host=host,
            agent=AGENT,
            peer=HOME_AAA,
            code=one.code,
            round_trip_ms=max(0, one.answered_ns - one.requested_ns) / 1e6,
            count=count,
        )
