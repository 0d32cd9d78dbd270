"""A lab's wiring, from its file to what each kernel is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpa_hil import scenario
from mpa_hil.lab import plan, servers
from mpa_hil.lab.secrets import draw
from rigs.links import Topology
from rigs.network_plan import link_batch, mac_of
from rigs.network_plan import plan as host_plans
from rigs.services import dhcp_server

LABS = Path(__file__).parents[2] / "lab_configs"
ROUTERS = ("A-router", "B-router")
LEASED = (
    "domain.B.dhcp6.addresses=stateful",
    "domain.B.dhcp6.first=2001:db8:2::1000",
    "domain.B.dhcp6.last=2001:db8:2::1fff",
)

OPTIMISED = ("schemes.mpa.route_optimisation=true",)


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


def test_ipv6_is_routed_from_end_to_end() -> None:
    described = lab("two_domains6.toml")
    topology = plan.topology(described, floor=False, agents=True)
    routers = {"core", "home-agent", "cn-router", "A-router", "B-router"}
    assert topology.ipv6 == routers | {"mn", "cn"}
    core, _ = told(topology, "core")
    assert "route replace 2001:db8::/64 via 2001:2::2\n" in core
    assert "route replace 2001:db8:2::/64 via 2001:2:0:2::2\n" in core
    assert "address replace 2001:2:0:2::1/64 dev B-router nodad\n" in core
    router, settings = told(topology, "B-router")
    assert "address replace 2001:db8:2::1/64 dev lan nodad\n" in router
    assert "route replace ::/0 via 2001:2:0:2::1\n" in router
    assert settings["net/ipv6/conf/all/forwarding"] == "1"
    assert settings["net/ipv6/conf/ca0/disable_ipv6"] == "1"
    cn, settings = told(topology, "cn")
    assert "route replace ::/0 via 2001:db8:9::1\n" in cn
    assert settings["net/ipv6/conf/all/forwarding"] == "0"
    _, settings = told(topology, "A-aaa")
    assert settings["net/ipv6/conf/all/disable_ipv6"] == "1"


def test_only_the_mobile_node_listens_to_advertisements() -> None:
    topology = plan.topology(lab("two_domains6.toml"), floor=False)
    for host in topology.ipv6:
        _, settings = told(topology, host)
        listening = {
            path for path, value in settings.items() if "accept_ra" in path and value != "0"
        }
        wanted = {"net/ipv6/conf/wlan0/accept_ra"} if host == "mn" else set()
        assert listening == wanted, host
    _, settings = told(topology, "mn")
    assert settings["net/ipv6/conf/wlan0/accept_dad"] == "1"


def test_the_floor_has_no_ipv6() -> None:
    whole = scenario.floor_scenario(lab("two_domains6.toml"))
    assert (whole.has_ipv6, whole.lab.family) == (False, "ipv4")
    assert plan.topology(whole, floor=True).ipv6 == frozenset()


def test_access_routers_advertise_what_the_lab_says() -> None:
    described = lab("two_domains6.toml")
    config = servers.dhcp_server(described.domains[1], described.schemes.reactive)
    lines = dhcp_server.text(config, "/run/test").splitlines()
    assert "enable-ra" in lines
    assert "dhcp-range=2001:db8:2::,ra-stateless,64,600" in lines
    assert "ra-param=lan,600,1800" in lines
    leased = scenario.load(LABS / "two_domains6.toml", LEASED)
    config = servers.dhcp_server(leased.domains[1], leased.schemes.reactive)
    lines = dhcp_server.text(config, "/run/test").splitlines()
    assert "dhcp-range=2001:db8:2::1000,2001:db8:2::1fff,64,600" in lines
    old = lab()
    text = dhcp_server.text(servers.dhcp_server(old.domains[1], old.schemes.reactive), "/run/test")
    assert "ra" not in {line.partition("=")[0].removeprefix("enable-") for line in text.split()}


def test_mobile_ipv6_is_configured_alike_at_all_its_ends() -> None:
    described = lab("two_domains6.toml")
    secrets = draw(described)
    agent, peer = servers.home_agent6(described, secrets), servers.correspondent6(described)
    node = servers.mobility6(scenario.load(LABS / "two_domains6.toml", OPTIMISED), secrets)
    assert node["home_agent"] == agent["address"] == "2001:db8::1"
    (known,) = agent["mobile_nodes"]
    for key in ("home_address", "spi", "key"):
        assert node[key] == known[key]
    assert node["optimise"] == [peer["address"]] == ["2001:db8:9::2"]
    assert node["correspondents"] == ["2001:db8:9::/64"]
    assert servers.mobility6(described, secrets)["optimise"] == []
