"""Candidate networks as the lab file describes them: known before anything is asked. Sans-IO."""

from __future__ import annotations

from mpa_hil.mobility.interface import Endpoint
from mpa_hil.scenario import AccessPoint, Domain, Scenario

from .description import (
    MAX_LIFETIME_S,
    PANA_PORT,
    PROTOCOL_PORT,
    Akm,
    CandidateNetwork,
    Learnt,
    Pmf,
    PointOfAttachment,
    Source,
)

_AKMS = {"wpa2-enterprise": (Akm.EAP, Akm.EAP_SHA256), "wpa2-psk": (Akm.PSK, Akm.PSK_SHA256)}
_PMF = {"off": Pmf.OFF, "optional": Pmf.OPTIONAL, "required": Pmf.REQUIRED}


def from_scenario(scenario: Scenario) -> tuple[CandidateNetwork, ...]:
    """Every domain of the lab, in the file's order; AA, CA and AR are on its access router."""
    return tuple(from_domain(scenario, domain) for domain in scenario.domains)


def from_domain(scenario: Scenario, domain: Domain) -> CandidateNetwork:
    """One domain of the lab."""
    router = scenario.agents_address(domain)
    return CandidateNetwork(
        realm=domain.realm.lower(),
        points=tuple(_point(ap) for ap in domain.aps),
        aa=(Endpoint(router, PANA_PORT),),
        ca=(Endpoint(router, PROTOCOL_PORT),),
        ar=(Endpoint(router, PROTOCOL_PORT),),
        name=domain.name,
        lifetime_s=MAX_LIFETIME_S,
    )


def learnt_from_scenario(scenario: Scenario, now_ns: int) -> tuple[Learnt, ...]:
    """The same with its source, as the cache takes it.

    Args:
        now_ns: CLOCK_MONOTONIC.
    """
    return tuple(Learnt(each, Source.LAB_FILE, now_ns) for each in from_scenario(scenario))


def _point(ap: AccessPoint) -> PointOfAttachment:
    plain, sha256 = _AKMS[ap.security]
    pmf = _PMF[ap.pmf]
    return PointOfAttachment(
        name=ap.name,
        ssid=ap.ssid.encode(),
        bssid=ap.bssid.lower(),
        frequency_mhz=ap.frequency_mhz,
        # hostapd offers the SHA-256 suites with protected management frames (rigs.services.hostapd)
        akms=(plain, sha256) if pmf else (plain,),
        pmf=pmf,
    )
