"""Starts the agents of RFC 6252 in a lab: a domain's, and the mobile node's."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Mapping

from mpa_hil.lab import agents, mpa_servers, servers
from mpa_hil.lab.agents import Agent
from mpa_hil.lab.secrets import Secrets
from mpa_hil.scenario import Domain, Reactive, Scenario
from rigs.host import Host
from rigs.services.certificates import Credentials, LabCa

ACCESS_ROUTER = "access_router"


async def start_domain(
    scenario: Scenario, domain: Domain, hosts: Mapping[str, Host], secrets: Secrets
) -> AsyncIterator[Agent]:
    """Start a domain's agents, one after the other: those that take keys before the AA.

    Raises:
        RemoteError: one of them did not come up.
    """
    authority = LabCa(dt.datetime.now(dt.UTC), f"{domain.realm} network authority"[:64])
    router = hosts[f"{domain.name}-router"]
    for role, module, configure in (
        ("ca", "configuration_agent", mpa_servers.configuration_agent),
        ("ar", ACCESS_ROUTER, mpa_servers.access_router),
    ):
        named = authority.server(mpa_servers.recipient_name(role, domain))
        await _put(router, role, authority, named)
        config = configure(scenario, domain, router.workdir)
        yield await agents.start(router, module, config, ready="keys.ready")
    for ap in domain.aps:
        host = hosts[ap.name]
        named = authority.server(mpa_servers.recipient_name("ep", domain, ap))
        await _put(host, "ep", authority, named)
        control = servers.access_point(scenario, ap, secrets, Reactive()).control_path(host)
        config = mpa_servers.enforcement_point(scenario, ap, control, host.workdir)
        yield await agents.start(host, "enforcement_point", config, ready="keys.ready")
    await _put(router, "aa", authority, authority.client(mpa_servers.aa_name(domain)))
    config = mpa_servers.authentication_agent(scenario, domain, secrets, router.workdir)
    yield await agents.start(router, "authentication_agent", config, ready="aa.ready")


async def start_node(scenario: Scenario, node: Host) -> Agent:
    """Start the MN's pre-authentication agent; its certificates lie in the work directory."""
    config = mpa_servers.preauthentication(scenario, node.workdir)
    return await agents.start(node, "preauthentication", config, ready="preauth.ready")


async def start_discovery(node: Host) -> Agent:
    """Start the MN's discovery agent; it remembers nothing over a restart."""
    return await agents.start(node, "discovery", {"host": "mn"}, ready="discovery.ready")


async def _put(host: Host, role: str, authority: LabCa, named: Credentials) -> None:
    await host.put(mpa_servers.CA_FILE, authority.certificate)
    await host.put(mpa_servers.CERTIFICATE.format(role), named.certificate)
    await host.put(mpa_servers.KEY.format(role), named.key, 0o600)
