"""A scenario's servers as typed configurations for `rigs.services`; nothing is started here."""

from __future__ import annotations

from math import ceil
from typing import Any

from mpa_hil.lab import mpa_servers, neighbourhood, plan
from mpa_hil.lab.secrets import Papers, Secrets
from mpa_hil.scenario import AccessPoint, Domain, L2Floor, Reactive, RsnPreauth, Scenario
from rigs.services import freeradius
from rigs.services.dhcp_server import Advertised, DhcpServerConfig
from rigs.services.freeradius import Client, EapTls, HomeServer, RadiusConfig, Route
from rigs.services.hostapd import HostapdConfig, Pmf, Psk, Radio, Radius
from rigs.services.wpa_supplicant import SupplicantConfig

HOLD_PORT = 4340
PMF = {"off": Pmf.OFF, "optional": Pmf.OPTIONAL, "required": Pmf.REQUIRED}
MAXIMUM_HOLD_MS = 2000
"""Longest that an access router keeps a node's packets: a switch that takes longer has failed."""


def home_aaa(scenario: Scenario, secrets: Secrets, papers: Papers) -> RadiusConfig:
    """The home AAA server: EAP-TLS for its realm, asked by the visited domains' servers."""
    clients = tuple(
        Client(
            f"{domain.name}-aaa",
            str(domain.aaa_address),
            secrets.radius[f"{domain.name}-aaa", "home-aaa"],
            called_station_ids=_called_station_ids(domain),
        )
        for domain in scenario.domains
    )
    # Stock wpa_supplicant stays with TLS 1.2; our own peer takes 1.3.
    eap_tls = EapTls(papers.ca, papers.server, (scenario.home.realm,), max_version="1.3")
    return RadiusConfig(clients, eap_tls, address=str(scenario.home.aaa_address))


def _called_station_ids(domain: Domain) -> tuple[str, ...]:
    """What the AAA servers behind a domain hear of it: its AA by the realm, its APs as hostapd
    calls them (RFC 3580 s3.20). With that the home server lets it pass for itself only (channel
    binding); an SSID that cannot be written down there leaves the domain unbound."""
    points = (f"{ap.bssid.upper().replace(':', '-')}:{ap.ssid}" for ap in domain.aps)
    names = (domain.realm.lower(), *points)
    return names if all(map(freeradius.can_be_called, names)) else ()


def visited_aaa(scenario: Scenario, domain: Domain, secrets: Secrets) -> RadiusConfig:
    """A visited domain's AAA server: proxies the home realm, asked by the access points."""
    box = f"{domain.name}-aaa"
    clients = tuple(
        Client(ap.name, plan.management_address(scenario, ap), secrets.radius[ap.name, box])
        for ap in domain.aps
    )
    router = f"{domain.name}-router"  # its authentication agent asks too
    clients += (Client(router, str(domain.router_address), secrets.radius[router, box]),)
    server = HomeServer(
        "home-aaa",
        str(scenario.home.aaa_address),
        secrets.radius[box, "home-aaa"],
        port=freeradius.AUTHENTICATION_PORT,
    )
    routes = (Route(scenario.home.realm, (server,)),)
    return RadiusConfig(clients, routes=routes, address=str(domain.aaa_address))


def access_point(
    scenario: Scenario, ap: AccessPoint, secrets: Secrets, options: Reactive | L2Floor
) -> HostapdConfig:
    """An access point as a scheme wants it."""
    domain = scenario.domain_of(ap.name)
    caching = isinstance(options, Reactive) and options.pmksa_caching
    reports = neighbourhood.discovers(options)
    asked = reports or neighbourhood.tests_reachability(scenario, options)
    security: Psk | Radius
    if ap.security == "wpa2-psk":
        security = Psk(secrets.psk[ap.name])
    else:
        security = Radius(
            str(domain.aaa_address),
            secrets.radius[ap.name, f"{domain.name}-aaa"],
            own_address=plan.management_address(scenario, ap),
            nas_identifier=ap.name,
        )
    return HostapdConfig(
        interface=plan.RADIO,
        security=security,
        radio=Radio(ap.ssid, ap.bssid, ap.channel, "g" if ap.channel <= 13 else "a"),
        bridge=plan.PORTS,
        pmf=PMF[ap.pmf],
        pmksa_caching=caching,
        preauthentication_interfaces=((plan.PORTS,) if isinstance(options, RsnPreauth) else ()),
        opportunistic_key_caching=caching,
        neighbor_report=reports,
        interworking=neighbourhood.interworking(scenario, ap) if asked else None,
    )


def supplicant(options: Reactive | L2Floor) -> SupplicantConfig:
    """The MN's wpa_supplicant as a scheme wants it."""
    caching = isinstance(options, Reactive) and options.pmksa_caching
    return SupplicantConfig(interface=plan.RADIO, opportunistic_key_caching=caching)


def dhcp_server(domain: Domain, options: Reactive) -> DhcpServerConfig:
    """A domain's DHCP server, on its access router's LAN."""
    check, rapid = options.dhcp_conflict_check, options.dhcp_rapid_commit
    # Its authentication agent and its DNS server are on the access router.
    router = (str(domain.router_address),) if neighbourhood.discovers(options) else ()
    return DhcpServerConfig(
        interface=plan.LAN,
        subnet=str(domain.subnet),
        first=str(domain.dhcp.first),
        last=str(domain.dhcp.last),
        router=str(domain.router_address),
        lease_s=domain.dhcp.lease_s,
        conflict_check=domain.dhcp.conflict_check if check is None else check,
        rapid_commit=domain.dhcp.rapid_commit if rapid is None else rapid,
        paa=router,
        dns=router,
        names=neighbourhood.agent_names(domain) if router else (),
        advertised=advertised(domain),
    )


def advertised(domain: Domain) -> Advertised | None:
    """What its access router advertises of IPv6; None in a domain without."""
    if domain.subnet6 is None:
        return None
    wanted = domain.dhcp6
    return Advertised(
        str(domain.subnet6),
        None if wanted.first is None else str(wanted.first),
        None if wanted.last is None else str(wanted.last),
        wanted.lease_s,
        wanted.advertisement_s,
    )


def rapid_commit(domain: Domain, options: Reactive) -> bool:
    """Whether the MN asks for the two-message exchange there."""
    wanted = options.dhcp_rapid_commit
    return domain.dhcp.rapid_commit if wanted is None else wanted


def home_agent(scenario: Scenario, secrets: Secrets) -> dict[str, Any]:
    """Configuration of `mpa_hil.agents.home_agent`."""
    node = {
        "home_address": str(scenario.mn.home_address),
        "spi": scenario.home.agent.spi,
        "key": secrets.mobility_key,
        "maximum_lifetime_s": scenario.home.agent.lifetime_s,
    }
    return {
        "host": "home-agent",
        "address": str(scenario.home.agent_address),
        "home_interface": "home-aaa",
        "mobile_nodes": [node],
        "simultaneous_s": _simultaneous_s(scenario),
    }


def _simultaneous_s(scenario: Scenario) -> int:
    """How long a binding may be kept beside another: a node says itself when it is sure; before a
    move and after it it may be in doubt for as long as the lab file says."""
    if "policy" not in scenario.lab.schemes:
        return 0
    return ceil(2 * scenario.schemes.policy.doubt_limit_ms / 1000)


def home_agent6(scenario: Scenario, secrets: Secrets) -> dict[str, Any]:
    """Configuration of `mpa_hil.agents.home_agent6`, in a lab with IPv6."""
    node = {
        "home_address": str(scenario.mn.home_address6),
        "spi": scenario.home.agent.spi,
        "key": secrets.mobility_key,
        "maximum_lifetime_s": scenario.home.agent.lifetime_s,
    }
    return {
        "host": "home-agent",
        "address": str(scenario.home.agent_address6),
        "home_interface": "home-aaa",
        "mobile_nodes": [node],
    }


def correspondent6(scenario: Scenario) -> dict[str, Any]:
    """Configuration of `mpa_hil.agents.correspondent6`, in a lab with IPv6."""
    return {"host": "cn", "address": str(scenario.correspondent.address6)}


def mobility(scenario: Scenario, secrets: Secrets) -> dict[str, Any]:
    """What the MN needs for Mobile IPv4 (`mpa_hil.agents.binding`)."""
    return {
        "home_address": str(scenario.mn.home_address),
        "home_agent": str(scenario.home.agent_address),
        "spi": scenario.home.agent.spi,
        "key": secrets.mobility_key,
        "lifetime_s": scenario.home.agent.lifetime_s,
        "correspondents": [str(scenario.correspondent.subnet)],
    }


def mobility6(scenario: Scenario, secrets: Secrets) -> dict[str, Any]:
    """What the MN needs for Mobile IPv6 (`mpa_hil.agents.binding6`)."""
    peer, optimises = scenario.correspondent, optimises_routes(scenario)
    return {
        "home_address": str(scenario.mn.home_address6),
        "home_agent": str(scenario.home.agent_address6),
        "spi": scenario.home.agent.spi,
        "key": secrets.mobility_key,
        "lifetime_s": scenario.home.agent.lifetime_s,
        "correspondents": [str(peer.subnet6)],
        "optimise": [str(peer.address6)] if optimises else [],
    }


def optimises_routes(scenario: Scenario) -> bool:
    """Whether the lab's CN takes bindings, and the MN sends it some, in a scheme that does."""
    return scenario.lab.family == "ipv6" and scenario.schemes.mpa.route_optimisation


def hold(domain: Domain, secrets: Secrets, options: L2Floor) -> dict[str, Any]:
    """Configuration of `mpa_hil.agents.hold` on the domain's access router."""
    node = {
        "address": str(domain.static_address),
        "key": secrets.hold_key,
        "limit_octets": options.hold_limit_octets,
        "maximum_hold_ms": MAXIMUM_HOLD_MS,
    }
    return {
        "host": f"{domain.name}-router",
        "bind": str(domain.router_address),
        "port": HOLD_PORT,
        "interface": plan.LAN,
        "nodes": [node],
    }


def mobile_node(
    scenario: Scenario, secrets: Secrets, workdir: str, *, floor: bool, ahead: bool = False
) -> dict[str, Any]:
    """Configuration of `mpa_hil.agents.mobile_node`; its certificates will lie in `workdir`.

    Args:
        ahead: it moves by RFC 6252 too.
    """
    networks: dict[str, Any] = {ap.name: _network(ap, secrets) for ap in scenario.aps}
    config: dict[str, Any] = {
        "host": "mn",
        "interface": plan.RADIO,
        "workdir": workdir,
        "networks": networks,
    }
    if floor:
        config["hold_key"] = secrets.hold_key
    elif scenario.lab.family == "ipv6":
        config["mobility6"] = mobility6(scenario, secrets)
    else:
        config["mobility"] = mobility(scenario, secrets)
    if ahead:
        keyring = f"{workdir}/{mpa_servers.KEYRING}"
        config["mpa"] = {"keyring": keyring, "mac": scenario.mn.mac.lower()}
        config["wishes"] = f"{workdir}/{mpa_servers.WISHES}"
    if plan.needs_home(scenario, floor=floor):
        config["eap_tls"] = {
            "identity": scenario.mn.identity,
            "ca_cert": f"{workdir}/ca.pem",
            "client_cert": f"{workdir}/mn.pem",
            "private_key": f"{workdir}/mn.key",
            # A suffix, so that it holds for the user's own certificates too.
            "server_domain": scenario.home.realm,
        }
    return config


def _network(ap: AccessPoint, secrets: Secrets) -> dict[str, Any]:
    network: dict[str, Any] = {
        "ssid": ap.ssid,
        "bssid": ap.bssid,
        "frequency_mhz": ap.frequency_mhz,
        "pmf": int(PMF[ap.pmf]),
    }
    if ap.security == "wpa2-psk":
        network["psk"] = secrets.psk[ap.name]
    return network
