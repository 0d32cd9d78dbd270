"""A lab's wiring, from its file to what each kernel is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpa_hil import scenario
from mpa_hil.lab import plan
from rigs.links import Topology
from rigs.network_plan import link_batch, mac_of
from rigs.network_plan import plan as host_plans

LABS = Path(__file__).parents[2] / "lab_configs"
ROUTERS = ("A-router", "B-router")


def lab(name: str = "two_domains.toml") -> scenario.Scenario:
    return scenario.load(LABS / name)


def told(topology: Topology, host: str) -> tuple[str, dict[str, str]]:
    """`ip` lines and settings of one host."""
    steps = host_plans(topology, set(topology.hosts()))[host]
    return steps.ip_batch, dict(steps.settings)


def test_the_configuration_agent_has_a_port_of_its_own_on_the_lan() -> None:
    topology = plan.topology(lab(), floor=False, agents=True)
    assert plan.CLIENT == "ca0"
    for router in ROUTERS:
        batch, settings = told(topology, router)
        assert "link set dev ca0 mtu 1500 up\n" in batch
        assert "link set dev ca-port mtu 1500 master lan up\n" in batch
        assert not [line for line in batch.splitlines() if "address" in line and "dev ca" in line]
        for interface in ("ca0", "ca-port"):
            assert settings[f"net/ipv6/conf/{interface}/disable_ipv6"] == "1"
    laid = link_batch(topology, {host: f"ns-{host}" for host in topology.hosts()})
    (line,) = [line for line in laid.splitlines() if "name ca0" in line and "ns-A-router" in line]
    assert line.count("netns ns-A-router") == 2
    macs = {mac_of(router, end) for router in ROUTERS for end in ("ca0", "ca-port")}
    assert len(macs) == 4


@pytest.mark.parametrize("floor", [False, True])
def test_without_agents_there_is_no_such_port(floor: bool) -> None:
    described = lab("l2_floor.toml") if floor else lab()
    topology = plan.topology(described, floor=floor)
    for host in topology.hosts():
        batch, settings = told(topology, host)
        assert "ca0" not in batch
        assert "ca-port" not in batch
        assert not [path for path in settings if "/ca" in path]
