"""What access points tell of the neighbourhood: 802.11k reports and ANQP elements. Sans-IO.

Anybody in range can say these things. They name points of attachment, and agents of a network of
which nothing better is known; `cache` keeps them from changing what was said under authentication.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mpa_hil import errors
from radios import anqp, operating_class
from radios.anqp import InfoId
from radios.neighbor_report import (
    BssidInformation,
    NeighborReport,
    ReportError,
    decode_elements,
    encode_elements,
)

from . import wire
from .description import (
    MAX_POINTS,
    Akm,
    CandidateNetwork,
    Pmf,
    PointOfAttachment,
    is_bssid,
    is_realm,
)

DESCRIPTION = 65280
"""Info ID of the ANQP element that carries descriptions. IEEE 802.11 reserves it (table 9-331);
a vendor-specific element would be proper, but wpa_supplicant 2.10 throws away those of vendors that
it does not know, before anybody can ask for them."""
_MAGIC = b"MPA"
QUERY = (DESCRIPTION, InfoId.NEIGHBOR_REPORT, InfoId.DOMAIN_NAME, InfoId.NAI_REALM)
"""What to ask an access point for."""
MAX_REPORTS = 64
PHY_TYPE_HT = 7
"""IEEE 802.11 annex C, dot11PHYType."""


class DecodeError(errors.DecodeError):
    """An element cannot be read."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="ANQP element")


@dataclass(frozen=True, slots=True)
class Told:
    """What one access point answered by ANQP; broken elements are left out."""

    networks: tuple[CandidateNetwork, ...] = ()
    reports: tuple[NeighborReport, ...] = ()
    domain_names: tuple[str, ...] = ()
    """Of the operator of that very access point: its realm, if it says so itself."""
    home_realms: tuple[str, ...] = ()
    """Users of these realms may come in."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Neighbour reports laid beside what is known."""

    networks: tuple[CandidateNetwork, ...]
    """Of known networks the points that were reported, old and new, and nothing else."""
    strangers: tuple[NeighborReport, ...]
    """Access points of nobody known; ANQP may tell whose they are."""


def encode_element(networks: tuple[CandidateNetwork, ...]) -> bytes:
    """The ANQP element DESCRIPTION, with as many of the first networks as fit."""
    room = anqp.MAX_ELEMENT_OCTETS - len(_MAGIC)
    return _MAGIC + wire.encode(wire.fitting(networks, room))


def encode_reports(reports: tuple[NeighborReport, ...]) -> bytes:
    """The ANQP element NEIGHBOR_REPORT. Unlike 802.11k's, its reports may name their SSIDs."""
    return encode_elements(reports)


def decode_element(octets: bytes) -> tuple[CandidateNetwork, ...]:
    """The descriptions in a DESCRIPTION element.

    Raises:
        errors.DecodeError: another use of the same Info ID, or broken.
    """
    if not octets.startswith(_MAGIC) or len(octets) > anqp.MAX_ELEMENT_OCTETS:
        raise DecodeError(f"{len(octets)} octets that hold no description")
    return wire.decode(octets[len(_MAGIC) :])


def told(elements: Mapping[int, bytes]) -> Told:
    """What an access point's elements say; whatever they hold, this raises nothing."""
    return Told(
        networks=_descriptions(elements.get(DESCRIPTION)),
        reports=_reports(elements.get(InfoId.NEIGHBOR_REPORT)),
        domain_names=_domain_names(elements.get(InfoId.DOMAIN_NAME)),
        home_realms=_realms(elements.get(InfoId.NAI_REALM)),
    )


def report_of(point: PointOfAttachment) -> NeighborReport | None:
    """The neighbour report that describes a point; None if its frequency is in no class."""
    place = operating_class.of_frequency(point.frequency_mhz)
    if place is None:
        return None
    # Not reachable for RSN pre-authentication: another domain's wire does not come here.
    information = BssidInformation.REACHABLE & 1
    return NeighborReport(point.bssid, information, *place, PHY_TYPE_HT, point.ssid)


def matched(reports: Iterable[NeighborReport], known: Iterable[CandidateNetwork]) -> Matched:
    """Sort reported access points by whose they are: a known BSSID, else a known SSID.

    A known point stays as it is known, whatever the report says of it. A new one under a known SSID
    gets the security of its network's points of that SSID.
    """
    networks = tuple(known)
    by_bssid = {point.bssid: (n, point) for n in networks for point in n.points}
    by_ssid = {point.ssid: (n, point) for n in reversed(networks) for point in n.points}
    points: dict[str, dict[str, PointOfAttachment]] = {}
    strangers: list[NeighborReport] = []
    for report, _ in zip(reports, range(MAX_REPORTS), strict=False):
        if not is_bssid(report.bssid):
            continue
        owner = by_bssid.get(report.bssid)
        point = owner[1] if owner else None
        if owner is None and report.ssid in by_ssid:
            owner = by_ssid[report.ssid]
            point = reported_point(report, owner[1].akms, owner[1].pmf)
        if owner is None:
            strangers.append(report)
        elif point is not None:
            mine = points.setdefault(owner[0].realm, {})
            if len(mine) < MAX_POINTS:
                mine.setdefault(point.bssid, point)
    found = (CandidateNetwork(realm, tuple(mine.values())) for realm, mine in points.items())
    return Matched(tuple(found), tuple(strangers))


def reported_point(
    report: NeighborReport, akms: tuple[Akm, ...] = (), pmf: Pmf = Pmf.OPTIONAL
) -> PointOfAttachment | None:
    """The point of attachment that a report describes; None if it leaves out SSID or channel."""
    frequency_mhz = report.frequency_mhz
    if frequency_mhz is None or not report.ssid or not is_bssid(report.bssid):
        return None
    name = report.bssid.replace(":", "")
    return PointOfAttachment(name, report.ssid, report.bssid, frequency_mhz, akms, pmf)


def _descriptions(octets: bytes | None) -> tuple[CandidateNetwork, ...]:
    try:
        return decode_element(octets) if octets else ()
    except errors.DecodeError:
        return ()


def _reports(octets: bytes | None) -> tuple[NeighborReport, ...]:
    try:
        return decode_elements(octets)[:MAX_REPORTS] if octets else ()
    except ReportError:
        return ()


def _domain_names(octets: bytes | None) -> tuple[str, ...]:
    try:
        found = anqp.domain_names(octets) if octets else ()
    except anqp.AnqpError:
        return ()
    return tuple(name for name in found if is_realm(name))


def _realms(octets: bytes | None) -> tuple[str, ...]:
    try:
        found = anqp.nai_realms(octets) if octets else ()
    except anqp.AnqpError:
        return ()
    return tuple(name for realm in found for name in realm.names if is_realm(name))
