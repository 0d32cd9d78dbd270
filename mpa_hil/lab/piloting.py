"""Hands the lab's MN over to its policy: who there is to go to, and how. Pure."""

from __future__ import annotations

from typing import Any

from mpa_hil.lab import mpa_servers
from mpa_hil.scenario import AccessPoint, Piloted, PolicyChoice, Scenario
from mpa_hil.traffic.plan import planned_flows


def command(scenario: Scenario, options: Piloted, *, lead_us: int) -> dict[str, Any]:
    """The MN's `pilot` command (`mpa_hil.agents.pilot_config`), as the lab file has it."""
    choice = scenario.policy or PolicyChoice()
    spacings_ms = [flow.codec.spacing_ns / 1e6 for flow in planned_flows(scenario)]
    return {
        "policy": choice.name,
        "options": dict(choice.options),
        "places": [_place(scenario, ap) for ap in scenario.aps],
        "protection": options.protection,
        "hold": options.hold,
        "bicast": options.bicast,
        "hold_limit_ms": options.hold_limit_ms,
        "hold_limit_octets": options.hold_limit_octets,
        "deadline_s": options.deadline_s,
        "spacing_ms": min(spacings_ms, default=0.0),
        "lead_us": lead_us,
        "doubt_limit_ms": options.doubt_limit_ms,
    }


def _place(scenario: Scenario, ap: AccessPoint) -> dict[str, Any]:
    domain = scenario.domain_of(ap.name)
    router = scenario.agents_address(domain)
    return {
        "ap": ap.name,
        "realm": domain.realm.lower(),
        "networks": mpa_servers.described(scenario, domain),
        "ca": f"{router} {mpa_servers.CONFIGURATION_PORT}",
        "ar": f"{router} {mpa_servers.TUNNEL_PORT}",
        "frequency_mhz": ap.frequency_mhz,
        # There is no key ahead for an access point that takes none from EAP.
        "highest": 3 if ap.security == "wpa2-enterprise" else 0,
    }
