"""Starts what serves the mobile node's home address in a lab: home agent and correspondent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from mpa_hil.lab import agents, servers
from mpa_hil.lab.agents import Agent
from mpa_hil.lab.secrets import Secrets
from mpa_hil.scenario import Scenario
from rigs.host import Host


async def start(
    scenario: Scenario, hosts: Mapping[str, Host], secrets: Secrets
) -> AsyncIterator[Agent]:
    """Start those of the lab's family.

    Raises:
        RemoteError: one of them did not come up.
    """
    home = hosts["home-agent"]
    journal = {"journal": f"{home.workdir}/bindings"}
    if scenario.lab.family == "ipv4":
        config = servers.home_agent(scenario, secrets) | journal
        yield await agents.start(home, "home_agent", config, ready="mip4.ready")
        return
    config = servers.home_agent6(scenario, secrets) | journal
    yield await agents.start(home, "home_agent6", config, ready="mip6.ready")
    if servers.optimises_routes(scenario):
        config = servers.correspondent6(scenario)
        yield await agents.start(hosts["cn"], "correspondent6", config, ready="mip6.ready")
