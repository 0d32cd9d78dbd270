"""What must hold between names, subnets, addresses and links of a lab."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from .model import CORRESPONDENT, HOME, Domain, Scenario
from .problem import Problem, bad_mac, bad_name, is_realm, repeated
from .shape import suggestion

SMALLEST_PREFIX, LARGEST_PREFIX = 8, 28
"""A /28 still holds router, AAA, static MN address and ten leases."""
FIXED_HOSTS = 3
"""The lowest host addresses of a domain's subnet: access router, AAA, an MN without DHCP."""


def problems(scenario: Scenario) -> Iterator[Problem]:
    """Everything wrong with the network, most basic first."""
    yield from _names(scenario)
    yield from _subnets(scenario)
    for domain in scenario.domains:
        yield from _dhcp(domain)
    yield from _mobile_node(scenario)
    yield from _realms(scenario)
    yield from _links(scenario)


def _names(scenario: Scenario) -> Iterator[Problem]:
    if not scenario.domains:
        yield Problem("domain", "there is no visited domain", "add a table `[[domain]]`")
    named = []
    for domain in scenario.domains:
        key = f"domain.{domain.name}"
        yield from bad_name(f"{key}.name", domain.name)
        named.append((f"{key}.name", domain.name))
        if not domain.aps:
            yield Problem(f"{key}.ap", "the domain has no access point", "add `[[domain.ap]]`")
        for ap in domain.aps:
            yield from bad_name(f"{key}.ap.{ap.name}.name", ap.name)
            named.append((f"{key}.ap.{ap.name}.name", ap.name))
    reserved = {HOME, CORRESPONDENT, *scenario.boxes[:6]}
    derived = {f"{domain.name}-{part}" for domain in scenario.domains for part in ("router", "aaa")}
    for key, name in named:
        if name in reserved | derived:
            yield Problem(key, f"the name '{name}' is the lab's own", "choose another name")
    yield from repeated(named, "name")


def _subnets(scenario: Scenario) -> Iterator[Problem]:
    subnets: list[tuple[str, IPv4Network]] = [
        ("home.subnet", scenario.home.subnet),
        *((f"domain.{d.name}.subnet", d.subnet) for d in scenario.domains),
        ("correspondent.subnet", scenario.correspondent.subnet),
    ]
    for key, subnet in subnets:
        if not SMALLEST_PREFIX <= subnet.prefixlen <= LARGEST_PREFIX:
            yield Problem(
                key,
                f"{subnet} is not between /{SMALLEST_PREFIX} and /{LARGEST_PREFIX}",
                "a /24 serves well",
            )
        if subnet.is_loopback or subnet.is_multicast or subnet.is_link_local:
            yield Problem(
                key,
                f"{subnet} is not for hosts in a routed network",
                "take a private one (RFC 1918), for example 10.1.0.0/24",
            )
    core = scenario.core.subnet
    if core.num_addresses < 4 * len(scenario.sites):
        yield Problem(
            "core.subnet",
            f"{core} is too small for {len(scenario.sites)} links of a /30 each",
            "a /24 serves well",
        )
    subnets.append(("core.subnet", core))
    for index, (key, subnet) in enumerate(subnets):
        for other_key, other in subnets[:index]:
            if subnet.overlaps(other):
                yield Problem(
                    key, f"{subnet} overlaps {other_key} ({other})", "give each its own subnet"
                )


def _dhcp(domain: Domain) -> Iterator[Problem]:
    key = f"domain.{domain.name}.dhcp"
    dhcp, subnet = domain.dhcp, domain.subnet
    usable = f"addresses from {subnet[FIXED_HOSTS + 1]} to {subnet[-2]} can be leased"
    for end, address in (("first", dhcp.first), ("last", dhcp.last)):
        if address not in subnet:
            yield Problem(f"{key}.{end}", f"{address} is outside the subnet {subnet}", usable)
        elif not int(subnet[FIXED_HOSTS]) < int(address) < int(subnet[-1]):
            yield Problem(
                f"{key}.{end}",
                f"{address} is one of the subnet's fixed addresses (network, router, AAA, MN, "
                "broadcast)",
                usable,
            )
    if int(dhcp.first) > int(dhcp.last):
        yield Problem(
            f"{key}.last",
            f"the range ends at {dhcp.last}, before it begins at {dhcp.first}",
            "exchange first and last",
        )


def _mobile_node(scenario: Scenario) -> Iterator[Problem]:
    mn, home = scenario.mn, scenario.home
    yield from bad_mac("mn.mac", mn.mac)
    taken: dict[IPv4Address, str] = {
        home.subnet[0]: "the subnet itself",
        home.agent_address: "the home agent",
        home.aaa_address: "the home AAA server",
        home.subnet[-1]: "the broadcast address",
    }
    remedy = f"an address from {home.subnet[3]} to {home.subnet[-2]}"
    if mn.home_address not in home.subnet:
        yield Problem(
            "mn.home_address",
            f"{mn.home_address} is outside the home subnet {home.subnet}",
            remedy,
        )
    elif mn.home_address in taken:
        yield Problem("mn.home_address", f"{mn.home_address} is {taken[mn.home_address]}", remedy)
    user, _, realm = mn.identity.rpartition("@")
    if not user or "@" in user or not user.isprintable() or any(c in ' "\\' for c in mn.identity):
        yield Problem(
            "mn.identity",
            f"'{mn.identity}' is not a network access identifier",
            f"write user@{home.realm}",
        )
    elif realm != home.realm:
        yield Problem(
            "mn.identity",
            f"realm '{realm}' is not the home realm '{home.realm}'",
            f"write {user}@{home.realm}",
        )


def _realms(scenario: Scenario) -> Iterator[Problem]:
    realms = [
        ("home.realm", scenario.home.realm),
        *((f"domain.{d.name}.realm", d.realm) for d in scenario.domains),
    ]
    for key, realm in realms:
        if not is_realm(realm):
            yield Problem(key, f"'{realm}' is not a realm", "write it like home.example")
    yield from repeated(((key, realm.lower()) for key, realm in realms), "realm")


def _links(scenario: Scenario) -> Iterator[Problem]:
    for link in scenario.links:
        key = f"link.{link.name}"
        if link.name not in scenario.sites:
            yield Problem(
                f"{key}.name",
                f"there is no site '{link.name}'",
                suggestion(link.name, scenario.sites),
            )
        if link.jitter_ms > link.delay_ms:
            yield Problem(
                f"{key}.jitter_ms",
                f"a jitter of {link.jitter_ms} ms needs a delay of at least as much "
                f"(it is {link.delay_ms} ms)",
                "raise delay_ms or lower jitter_ms",
            )
    yield from repeated(((f"link.{n.name}.name", n.name) for n in scenario.links), "link name")
