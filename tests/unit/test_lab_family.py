"""Where the agents of a lab meet its mobile node: over the lab's family, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mpa_hil import scenario
from mpa_hil.agents.access_router_config import AccessRouterSettings
from mpa_hil.agents.authentication_config import AuthenticationAgentSettings
from mpa_hil.discovery.lab_file import from_scenario
from mpa_hil.lab import mpa_servers, servers
from mpa_hil.lab.secrets import draw

LABS = Path(__file__).parents[2] / "lab_configs"
ROUTER = {"two_domains.toml": "10.2.0.1", "two_domains6.toml": "2001:db8:2::1"}
labs = pytest.mark.parametrize("name", ROUTER)


def agents(described: scenario.Scenario) -> dict[str, dict[str, Any]]:
    """The configurations of B's agents."""
    domain = described.domains[1]
    return {
        "aa": mpa_servers.authentication_agent(described, domain, draw(described), "/run"),
        "ca": mpa_servers.configuration_agent(described, domain, "/run"),
        "ar": mpa_servers.access_router(described, domain, "/run"),
    }


@labs
def test_the_mobile_node_is_told_of_agents_that_it_can_reach(name: str) -> None:
    network = from_scenario(scenario.load(LABS / name))[1]
    for endpoints in (network.aa, network.ca, network.ar):
        assert [str(each.address) for each in endpoints] == [ROUTER[name]]


@labs
def test_agents_answer_the_mobile_node_there_and_each_other_over_ipv4(name: str) -> None:
    configured = agents(scenario.load(LABS / name))
    for config in configured.values():
        assert config["addresses"] == [ROUTER[name]]
    keyed = {each["role"]: each for each in configured["aa"]["recipients"]}
    for role in ("ca", "ar"):
        assert keyed[role]["peers"] == [ROUTER[name]]
        assert [keyed[role]["address"]] == configured[role]["listen"] == ["10.2.0.1"]


@labs
def test_the_agents_take_these_configurations(name: str) -> None:
    configured = agents(scenario.load(LABS / name))
    router = AccessRouterSettings.read(configured["ar"])
    agent = AuthenticationAgentSettings.read(configured["aa"])
    assert router.tunnels is not None
    versions = {4, 6} if name == "two_domains6.toml" else {4}
    assert {each.version for each in router.tunnels.networks} == versions
    assert {each.version for each in agent.agent.own_networks} == versions
    assert {each.version for each in agent.agent.admission.networks} == versions


@labs
def test_the_mobile_node_has_one_binding_of_the_family(name: str) -> None:
    described = scenario.load(LABS / name)
    config = servers.mobile_node(described, draw(described), "/run", floor=False)
    wanted = "mobility6" if name == "two_domains6.toml" else "mobility"
    assert [key for key in config if key.startswith("mobility")] == [wanted]
