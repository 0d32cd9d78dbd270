"""A lab's IPv6: read, written out again, and refused where it does not fit together."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network
from pathlib import Path

import pytest

from mpa_hil import scenario
from mpa_hil.reference import lab_file
from radios.errors import LocalError

LABS = Path(__file__).parents[2] / "lab_configs"
SIX = (LABS / "two_domains6.toml").read_text(encoding="utf-8")
LEASED = (
    "domain.B.dhcp6.addresses=stateful",
    "domain.B.dhcp6.first=2001:db8:2::1000",
    "domain.B.dhcp6.last=2001:db8:2::1fff",
)


def load(tmp_path: Path, text: str, *settings: str) -> scenario.Scenario:
    path = tmp_path / "six.toml"
    path.write_text(text, encoding="utf-8")
    return scenario.load(path, settings)


def test_addresses_follow_from_subnets(tmp_path: Path) -> None:
    lab = load(tmp_path, SIX, *LEASED)
    assert lab.has_ipv6
    assert lab.lab.family == "ipv6"
    assert lab.home.agent_address6 == IPv6Address("2001:db8::1")
    assert lab.domains[1].router_address6 == IPv6Address("2001:db8:2::1")
    assert lab.domains[1].static_address6 == IPv6Address("2001:db8:2::3")
    assert lab.correspondent.address6 == IPv6Address("2001:db8:9::2")
    links = [lab.link_subnet6(site) for site in lab.sites]
    assert links == [IPv6Network(f"2001:2:0:{number:x}::/64") for number in range(4)]
    assert lab.domains[1].dhcp6.first == IPv6Address("2001:db8:2::1000")


def test_it_is_written_out_as_it_was_read(tmp_path: Path) -> None:
    lab = load(tmp_path, SIX, *LEASED)
    assert scenario.decode(scenario.encode(lab)) == lab
    assert load(tmp_path, scenario.to_toml(lab)) == lab


def test_without_it_nothing_has_an_address() -> None:
    lab = scenario.load(LABS / "two_domains.toml")
    assert not lab.has_ipv6
    assert lab.lab.family == "ipv4"
    made = (lab.home.agent_address6, lab.domains[0].router_address6, lab.correspondent.address6)
    assert made == (None, None, None)
    assert "2001" not in scenario.to_toml(lab).replace("2001:2::/48", "")


def test_the_reference_names_kinds_of_addresses() -> None:
    page = lab_file()
    assert "| `subnet6` | IPv6 subnet | left out |" in page
    assert "| `home_address6` | IPv6 address | left out |" in page
    assert "| `subnet` | IPv4 subnet | **required** |" in page


# Each row: words of the file replaced (once), the key named, words of the error, of the remedy.
REPLACED = [
    ('subnet6 = "2001:db8::/64"\n', "", "home.subnet6", "missing, though lab.family", "leave"),
    ('subnet6 = "2001:db8:2::/64"\n', "", "domain.B.subnet6", "missing", "leave IPv6 out"),
    ('subnet6 = "2001:db8:9::/64"\n', "", "correspondent.subnet6", "missing", "leave IPv6 out"),
    ('home_address6 = "2001:db8::10"\n', "", "mn.home_address6", "missing", "leave IPv6 out"),
    ('"2001:db8:2::/64"', '"2001:db8:2::/60"', "domain.B.subnet6", "is no /64", "2001:db8:1"),
    ('"2001:db8:2::/64"', '"2001:db8:1::/64"', "domain.B.subnet6", "overlaps domain.A", "own"),
    ('"2001:db8:2::/64"', '"fe80::/64"', "domain.B.subnet6", "not for hosts", "fd00"),
    ('"2001:db8:2::/64"', '"ff05::/64"', "domain.B.subnet6", "not for hosts", "fd00"),
    ('"2001:db8:2::/64"', '"2001:2::/64"', "core.subnet6", "overlaps domain.B", "own subnet"),
    ('"2001:db8:2::/64"', '"2001:db8:2::"', "domain.B.subnet6", "lacks its prefix", "access"),
    ('"2001:db8:2::/64"', '"10.2.0.0/24"', "domain.B.subnet6", "10.2.0.0", "access subnet"),
    ('"2001:db8::10"', '"2001:db8:1::10"', "mn.home_address6", "outside the home", "2001:db8::3"),
    ('"2001:db8::10"', '"2001:db8::1"', "mn.home_address6", "the home agent", "2001:db8::3"),
    ('"2001:db8::10"', '"2001:db8::"', "mn.home_address6", "every router", "2001:db8::3"),
    ('"2001:db8::10"', '"10.0.0.10"', "mn.home_address6", "10.0.0.10", "its address in"),
    ('family = "ipv6"', 'family = "ipv5"', "lab.family", "ipv5", "IP version"),
    ('"stateless"', '"stateful"', "domain.A.dhcp6.first", "missing", "2001:db8:1::4"),
    ('"stateless"', '"slaac"', "domain.A.dhcp6.addresses", "slaac", "advertised"),
    (
        '"stateless"',
        '"stateless"\nlast = "2001:db8:1::9"',
        "domain.A.dhcp6.last",
        "nothing is leased",
        "stateful",
    ),
    (
        'subnet6 = "2001:db8:9::/64"\n',
        'subnet6 = "2001:db8:9::/64"\n[core]\nsubnet6 = "2001:2::/63"\n',
        "core.subnet6",
        "too small for 4 links",
        "/48",
    ),
]


@pytest.mark.parametrize(("old", "new", "key", "what", "remedy"), REPLACED)
def test_refused(tmp_path: Path, old: str, new: str, key: str, what: str, remedy: str) -> None:
    assert old in SIX
    with pytest.raises(LocalError) as caught:
        load(tmp_path, SIX.replace(old, new, 1))
    assert caught.value.where.endswith(f": {key}")
    assert what in caught.value.what
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ("domain.B.dhcp6.first=2001:db8:1::1000", "outside the subnet"),
        ("domain.B.dhcp6.first=2001:db8:2::3", "fixed addresses"),
        ("domain.B.dhcp6.first=2001:db8:2::2000", "before it begins"),
        ("domain.B.dhcp6.lease_s=10", ">= 120"),
    ],
)
def test_ranges_that_cannot_be(tmp_path: Path, setting: str, what: str) -> None:
    with pytest.raises(LocalError, match=what):
        load(tmp_path, SIX, *LEASED, setting)


def test_a_lab_of_ipv4_takes_no_addresses_of_ipv6(tmp_path: Path) -> None:
    two = (LABS / "two_domains.toml").read_text(encoding="utf-8")
    with pytest.raises(LocalError, match="the lab has IPv6 elsewhere"):
        load(tmp_path, two, "mn.home_address6=2001:db8::10")


def test_route_optimisation_is_mobile_ipv6s(tmp_path: Path) -> None:
    setting = "schemes.mpa.route_optimisation=true"
    assert load(tmp_path, SIX, setting).schemes.mpa.route_optimisation
    with pytest.raises(LocalError, match="Mobile IPv4 has none") as caught:
        load(tmp_path, SIX, setting, "lab.family=ipv4")
    assert "ipv6" in caught.value.remedy
