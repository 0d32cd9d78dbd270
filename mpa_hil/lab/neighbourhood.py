"""What a lab's networks tell of themselves and of each other, for schemes that discover.

Access points report their neighbours by 802.11k and describe them by ANQP; DHCP and DNS name each
network's own authentication agent. All of it is what the lab file says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpa_hil.discovery import nearby, wire
from mpa_hil.discovery.lab_file import from_domain
from mpa_hil.discovery.search import AGENT_LABEL
from mpa_hil.scenario import AccessPoint, Domain, L2Floor, MpaLevel1, Piloted, Reactive, Scenario
from radios.anqp import InfoId
from radios.control import ControlClient
from radios.hostapd import Hostapd
from rigs.services.interworking import Interworking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpa_hil.discovery.description import PointOfAttachment
    from rigs.host import Host

MAX_REPORTS = 25
"""In one ANQP element: with the longest SSIDs they fit."""


def discovers(options: Reactive | L2Floor) -> bool:
    """Whether a scheme's MN has to ask for the next network."""
    return isinstance(options, MpaLevel1) and options.discovers


def tests_reachability(scenario: Scenario, options: Reactive | L2Floor) -> bool:
    """Whether a scheme's MN asks access points for an answer before it goes to them (R83)."""
    choice = scenario.policy
    return isinstance(options, Piloted) and bool(choice and choice.options.get("reachability_test"))


def interworking(scenario: Scenario, ap: AccessPoint) -> Interworking:
    """What an access point tells by ANQP: its operator, whose users may come in, the neighbours."""
    domain = scenario.domain_of(ap.name)
    others = tuple(from_domain(scenario, each) for each in scenario.domains if each is not domain)
    reports = tuple(filter(None, map(nearby.report_of, _neighbours(scenario, ap))))
    return Interworking(
        domain_names=(domain.realm.lower(),),
        realms=(scenario.home.realm.lower(),),
        elements=(
            (nearby.DESCRIPTION, nearby.encode_element(others)),
            (InfoId.NEIGHBOR_REPORT, nearby.encode_reports(reports[:MAX_REPORTS])),
        ),
    )


async def announce(scenario: Scenario, ap: AccessPoint, host: Host, control: str) -> None:
    """Tell an access point's hostapd of its neighbours, for its 802.11k reports."""
    async with ControlClient(control, host.connect, events=False) as client:
        for point in _neighbours(scenario, ap):
            report = nearby.report_of(point)
            if report is not None:
                # hostapd keeps the SSID beside the report, and none is in it on the air.
                octets = replace(report, ssid=None).encode()
                await Hostapd(client).set_neighbor(point.bssid, point.ssid, octets)


def agent_names(domain: Domain) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The DNS names of a domain: that of its authentication agent."""
    return ((f"{AGENT_LABEL}.{domain.realm.lower()}", (str(domain.router_address),)),)


def known_at_first(scenario: Scenario) -> list[str]:
    """The access points that the MN is set up with: those of the network where it begins."""
    return [ap.name for ap in scenario.domain_of(scenario.movement.start).aps]


def described_at_first(scenario: Scenario) -> str:
    """That network without its agents: octets of `discovery.wire`, hexadecimal."""
    domain = scenario.domain_of(scenario.movement.start)
    return wire.encode((replace(from_domain(scenario, domain), aa=(), ca=(), ar=()),)).hex()


def _neighbours(scenario: Scenario, ap: AccessPoint) -> Iterator[PointOfAttachment]:
    """Every other access point of the lab."""
    for domain in scenario.domains:
        for point in from_domain(scenario, domain).points:
            if point.bssid != ap.bssid.lower():
                yield point
