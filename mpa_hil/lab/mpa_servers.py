"""Configurations of the agents of RFC 6252 on a scenario's boxes; nothing is started here.

On each access router an authentication agent (AA), a configuration agent (CA) and an access router
agent (AR), at each access point an enforcement point (EP), at the MN the pre-authentication agent.
Within a domain they know each other by certificates of the domain's own authority, and speak IPv4;
with the MN they speak the lab's family.
"""

from __future__ import annotations

from typing import Any

from mpa_hil.discovery import wire
from mpa_hil.discovery.lab_file import from_scenario
from mpa_hil.lab import plan
from mpa_hil.lab.secrets import Secrets
from mpa_hil.scenario import AccessPoint, Domain, Scenario
from mpa_hil.tunnel.settings import Limits

CA_PORT, AR_PORT, EP_PORT = 7162, 7163, 7161
"""TCP, for key delivery over IPv4; CA and AR share the access router's addresses."""
CONFIGURATION_PORT, TUNNEL_PORT = 7164, 7165
"""UDP, for the MN's requests."""
KEYRING = "keyring"
"""The MN's socket for MN-CA and MN-AR keys, in its work directory."""
WISHES = "wishes"
"""Where its policy's wishes go to the pre-authentication agent."""
CA_FILE, CERTIFICATE, KEY = "domain-ca.pem", "{}.pem", "{}.key"


def aa_name(domain: Domain) -> str:
    """The AA's name in its certificate: a mailbox."""
    return f"aa@{domain.realm.lower()}"


def recipient_name(role: str, domain: Domain, ap: AccessPoint | None = None) -> str:
    """The name of a CA, AR or EP in its certificate: a DNS name."""
    parts = (role, *((ap.name.lower(),) if ap else ()), domain.realm.lower())
    return ".".join(parts)


def _tls(workdir: str, role: str) -> dict[str, Any]:
    return {
        "ca": f"{workdir}/{CA_FILE}",
        "certificate": f"{workdir}/{CERTIFICATE.format(role)}",
        "key": f"{workdir}/{KEY.format(role)}",
    }


def authentication_agent(
    scenario: Scenario, domain: Domain, secrets: Secrets, workdir: str
) -> dict[str, Any]:
    """The AA of a domain; its files lie in `workdir` of the access router."""
    box, router = f"{domain.name}-router", str(domain.router_address)
    own = str(scenario.agents_address(domain))
    recipients: list[dict[str, Any]] = [
        {
            "name": recipient_name(role, domain),
            "role": role,
            "address": router,
            "port": port,
            "peers": [own],
        }
        for role, port in (("ca", CA_PORT), ("ar", AR_PORT))
    ]
    recipients += [
        {
            "name": recipient_name("ep", domain, ap),
            "role": "ep",
            "address": plan.management_address(scenario, ap),
            "port": EP_PORT,
            "peers": [ap.bssid.lower()],
        }
        for ap in domain.aps
    ]
    neighbours = [other.realm.lower() for other in scenario.domains if other is not domain]
    return {
        "host": box,
        "name": aa_name(domain),
        "realm": domain.realm.lower(),
        "addresses": [own],
        "nas_identifier": f"aa.{domain.realm.lower()}",
        "servers": [
            {
                "name": f"{domain.name}-aaa",
                "address": str(domain.aaa_address),
                "secret": secrets.radius[box, f"{domain.name}-aaa"],
            }
        ],
        "recipients": recipients,
        **_tls(workdir, "aa"),
        "descriptions": wire.encode(from_scenario(scenario)).hex(),
        "neighbours": {ap.bssid.lower(): neighbours for ap in domain.aps},
        "own_networks": _networks(domain),
        "known_networks": [each for known in scenario.domains for each in _networks(known)],
        "store": f"{workdir}/aa.store",
    }


def _networks(domain: Domain) -> list[str]:
    """A domain's access subnets."""
    return [str(subnet) for subnet in (domain.subnet, domain.subnet6) if subnet is not None]


def key_holder(role: str, scenario: Scenario, domain: Domain, workdir: str) -> dict[str, Any]:
    """The CA ("ca") or AR ("ar") agent of a domain."""
    return {
        "host": f"{domain.name}-router",
        "name": recipient_name(role, domain),
        "authority": aa_name(domain),
        "listen": [str(domain.router_address)],
        "port": CA_PORT if role == "ca" else AR_PORT,
        "addresses": [str(scenario.agents_address(domain))],
        **_tls(workdir, role),
    }


def configuration_agent(scenario: Scenario, domain: Domain, workdir: str) -> dict[str, Any]:
    """The CA of a domain, with a port of its own on the access router's LAN."""
    own = {"interface": plan.CLIENT, "store": f"{workdir}/ca.store"}
    return {**key_holder("ca", scenario, domain, workdir), **own}


def access_router(scenario: Scenario, domain: Domain, workdir: str) -> dict[str, Any]:
    """The AR of a domain."""
    taken = [str(domain.router_address), str(domain.aaa_address)]
    if domain.router_address6 is not None:
        taken.append(str(domain.router_address6))
    most = Limits()
    ask = scenario.schemes.mpa, scenario.schemes.mpa_level2
    octets = max(most.hold_octets, *(each.hold_limit_octets for each in ask))
    tunnels = {
        "hold_ms": max(most.hold_ms, *(each.hold_limit_ms for each in ask)),
        "hold_octets": octets,
        "hold_packets": max(most.hold_packets, *(each.hold_limit_packets for each in ask)),
        "all_hold_octets": max(most.all_hold_octets, 4 * octets),
        "interface": plan.LAN,
        "networks": _networks(domain),
        "reserved": taken,
        "protections": ["esp", "plain", "wireguard"],
        "store": f"{workdir}/ar.store",
    }
    return {**key_holder("ar", scenario, domain, workdir), "tunnels": tunnels}


def enforcement_point(
    scenario: Scenario, ap: AccessPoint, control: str, workdir: str
) -> dict[str, Any]:
    """The EP of an access point whose hostapd has its control socket at `control`."""
    domain = scenario.domain_of(ap.name)
    return {
        "host": ap.name,
        "name": recipient_name("ep", domain, ap),
        "authority": aa_name(domain),
        "listen": [plan.management_address(scenario, ap)],
        "port": EP_PORT,
        "access_points": [{"bssid": ap.bssid.lower(), "control": control}],
        **_tls(workdir, "ep"),
    }


def preauthentication(scenario: Scenario, workdir: str) -> dict[str, Any]:
    """The MN's pre-authentication agent.

    It does not resume TLS sessions: each run measures a full authentication.
    """
    return {
        "host": "mn",
        "mac": scenario.mn.mac.lower(),
        "eap": {
            "method": "eap-tls",
            "identity": scenario.mn.identity,
            "ca_cert": f"{workdir}/ca.pem",
            "client_cert": f"{workdir}/mn.pem",
            "private_key": f"{workdir}/mn.key",
            "server_domain": scenario.home.realm,
            "resumption": False,
        },
        "keyring": f"{workdir}/{KEYRING}",
        "wishes": f"{workdir}/{WISHES}",
    }


def described(scenario: Scenario, domain: Domain) -> str:
    """What the MN is told of a candidate network: octets of `discovery.wire`, hexadecimal."""
    found = [each for each in from_scenario(scenario) if each.realm == domain.realm.lower()]
    return wire.encode(found).hex()
