"""What a lab's networks tell of each other, as configurations, and what the MN begins with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mpa_hil import scenario
from mpa_hil.discovery import nearby, wire
from mpa_hil.discovery.cache import Cache, Place
from mpa_hil.discovery.description import Learnt, Source
from mpa_hil.discovery.lab_file import from_scenario
from mpa_hil.discovery.search import AskAnqp, AskReport, Search
from mpa_hil.lab import neighbourhood, servers
from mpa_hil.lab.secrets import draw
from radios.anqp import MAX_ELEMENT_OCTETS
from rigs.services import dhcp_server, hostapd

LABS = Path(__file__).parents[2] / "lab_configs"
FOLDER = "/run/test"
S = 10**9


def lab(way: str, name: str = "fig10.toml") -> scenario.Scenario:
    return scenario.load(LABS / name, (f"schemes.mpa-level1.discovery={way}",))


def access_point(described: scenario.Scenario, name: str) -> hostapd.HostapdConfig:
    options = described.schemes.mpa_level1
    return servers.access_point(described, described.ap(name), draw(described), options)


def dhcp(described: scenario.Scenario, options: Any = None) -> dhcp_server.DhcpServerConfig:
    return servers.dhcp_server(described.domains[0], options or described.schemes.mpa_level1)


@pytest.mark.parametrize("way", ["air", "service"])
def test_an_access_point_describes_the_networks_beside_its_own(way: str) -> None:
    described = lab(way)
    a, b = from_scenario(described)
    config = access_point(described, "a1")
    assert config.neighbor_report
    assert config.interworking is not None
    told = nearby.told(dict(config.interworking.elements))
    assert told.networks == (b,)
    assert [report.bssid for report in told.reports] == [point.bssid for point in b.points]
    assert config.interworking.domain_names == (a.realm,)
    text = hostapd.text(config, FOLDER)
    assert "rrm_neighbor_report=1\n" in text
    assert f"anqp_elem={nearby.DESCRIPTION}:" in text


def test_access_points_of_one_network_are_neighbours_too() -> None:
    config = access_point(lab("air"), "b1")
    assert config.interworking is not None
    elements = dict(config.interworking.elements)
    reported = {each.bssid for each in nearby.told(elements).reports}
    assert reported == {"02:00:00:00:0a:01", "02:00:00:00:0b:02"}


def test_dhcp_and_dns_name_the_agent_of_their_own_network() -> None:
    described = lab("service")
    text = dhcp_server.text(dhcp(described), FOLDER)
    assert "dhcp-option=136,10.1.0.1\n" in text
    assert "dhcp-option=6,10.1.0.1\n" in text
    assert "aa.a.example" in text


@pytest.mark.parametrize("scheme", ["reactive", "reactive_tuned", "rsn_preauth", "mpa_level1"])
def test_schemes_that_ask_nobody_find_the_networks_as_they_were(scheme: str) -> None:
    """Their figures must not move because others can ask."""
    described = lab("lab-file" if scheme == "mpa_level1" else "air")
    options = getattr(described.schemes, scheme)
    config = servers.access_point(described, described.ap("a1"), draw(described), options)
    assert not config.neighbor_report
    assert config.interworking is None
    config = dhcp(described, options)
    assert (config.paa, config.dns, config.names) == ((), (), ())


@pytest.mark.parametrize("tests", [True, False])
def test_who_is_tested_can_answer(tests: bool) -> None:
    """R83: a policy that tests access points finds some that answer, and is told of nobody else."""
    word = f"policy.options.reachability_test={str(tests).lower()}"
    described = scenario.load(LABS / "corridor.toml", (word,))
    options = described.schemes.policy
    config = servers.access_point(described, described.ap("a1"), draw(described), options)
    assert (config.interworking is not None) is tests
    assert not config.neighbor_report


def test_a_doubt_is_bounded_at_the_home_agent_too() -> None:
    described = scenario.load(LABS / "corridor.toml", ("schemes.policy.doubt_limit_ms=2400",))
    assert servers.home_agent(described, draw(described))["simultaneous_s"] == 5
    without = lab("air")
    assert servers.home_agent(without, draw(without))["simultaneous_s"] == 0, "nobody is in doubt"


def test_a_node_that_asks_begins_with_its_own_network_and_no_agent() -> None:
    described = lab("air")
    a, b = from_scenario(described)
    (known,) = wire.decode(bytes.fromhex(neighbourhood.described_at_first(described)))
    assert (known.realm, known.points) == (a.realm, a.points)
    assert (known.aa, known.ca, known.ar) == ((), (), ())
    assert neighbourhood.known_at_first(described) == ["a1"]
    assert b.realm.encode() not in wire.encode((known,))


def test_what_is_told_is_enough_to_prepare() -> None:
    """R26, R27: from the access point's configuration to the candidate, without a lab file."""
    described = lab("air")
    _, b = from_scenario(described)
    known = wire.decode(bytes.fromhex(neighbourhood.described_at_first(described)))
    cache = Cache()
    search = Search(cache)
    here = Place("02:00:00:00:0a:01", b"operator-a")
    cache.learn(Learnt(each, Source.LAB_FILE, S) for each in known)
    assert AskAnqp(here.bssid) in search.look(here, S)
    interworking = access_point(described, "a1").interworking
    assert interworking is not None
    told = nearby.told(dict(interworking.elements))
    assert AskReport(b"operator-b") in search.told(here.bssid, told, S, S)
    (found,) = search.candidates(S)
    assert found.network.aa == b.aa
    assert found.network.points == b.points


def test_the_longest_reports_fit_one_element() -> None:
    (report,) = filter(None, [nearby.report_of(from_scenario(lab("air"))[0].points[0])])
    longest = nearby.encode_reports((report,))
    spare = 32 - len(report.ssid or b"")
    assert neighbourhood.MAX_REPORTS * (len(longest) + spare) <= MAX_ELEMENT_OCTETS
