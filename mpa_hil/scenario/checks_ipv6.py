"""What must hold for a lab's IPv6: in all networks or in none, and addresses that fit together."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network

from .model import Domain, Scenario
from .problem import Problem

PREFIX = 64
"""Nodes make their own address in such a prefix only (RFC 4862 s5.5.3, RFC 4291 s2.5.1)."""
FIXED_HOSTS = 3
"""The lowest addresses of a domain's subnet: access router, one left free, an MN without DHCP."""
_EXAMPLE = "take a /64 such as 2001:db8:1::/64 or fd00:1::/64"


def problems(scenario: Scenario) -> Iterator[Problem]:
    """Everything wrong with the lab's IPv6, most basic first."""
    given = _given(scenario)
    wanted = scenario.lab.family == "ipv6"
    if any(value is not None for value in given.values()) or wanted:
        for key, value in given.items():
            if value is None:
                cause = "lab.family is ipv6" if wanted else "the lab has IPv6 elsewhere"
                yield Problem(
                    key, f"missing, though {cause}", "give it, or leave IPv6 out everywhere"
                )
    if scenario.has_ipv6:
        yield from _subnets(scenario)
        yield from _home_address(scenario)
    for domain in scenario.domains:
        yield from _dhcp6(domain)
    if scenario.schemes.mpa.route_optimisation and not wanted:
        yield Problem(
            "schemes.mpa.route_optimisation",
            "Mobile IPv4 has none: packets go by the home agent",
            'write family = "ipv6" in [lab]',
        )


def _given(scenario: Scenario) -> dict[str, object]:
    """What a lab with IPv6 has, by key."""
    return {
        "home.subnet6": scenario.home.subnet6,
        **{f"domain.{domain.name}.subnet6": domain.subnet6 for domain in scenario.domains},
        "correspondent.subnet6": scenario.correspondent.subnet6,
        "mn.home_address6": scenario.mn.home_address6,
    }


def _subnets(scenario: Scenario) -> Iterator[Problem]:
    seen: list[tuple[str, IPv6Network]] = []
    found = {k: v for k, v in _given(scenario).items() if isinstance(v, IPv6Network)}
    for key, subnet in found.items():
        if subnet.prefixlen != PREFIX:
            yield Problem(key, f"{subnet} is no /{PREFIX}", _EXAMPLE)
        if subnet.is_loopback or subnet.is_multicast or subnet.is_link_local:
            yield Problem(key, f"{subnet} is not for hosts in a routed network", _EXAMPLE)
        seen.append((key, subnet))
    core = scenario.core.subnet6
    if core.prefixlen > PREFIX or core.num_addresses >> 64 < len(scenario.sites):
        yield Problem(
            "core.subnet6",
            f"{core} is too small for {len(scenario.sites)} links of a /{PREFIX} each",
            "a /48 serves well",
        )
    seen.append(("core.subnet6", core))
    for index, (key, subnet) in enumerate(seen):
        for other_key, other in seen[:index]:
            if subnet.overlaps(other):
                yield Problem(
                    key, f"{subnet} overlaps {other_key} ({other})", "give each its own subnet"
                )


def _home_address(scenario: Scenario) -> Iterator[Problem]:
    address, subnet = scenario.mn.home_address6, scenario.home.subnet6
    if address is None or subnet is None:
        return
    remedy = f"an address from {subnet[3]} up"
    if address not in subnet:
        yield Problem("mn.home_address6", f"{address} is outside the home subnet {subnet}", remedy)
    elif address in (subnet[0], subnet[1]):
        what = (
            "the home agent" if address == subnet[1] else "that of every router (RFC 4291 s2.6.1)"
        )
        yield Problem("mn.home_address6", f"{address} is {what}", remedy)


def _dhcp6(domain: Domain) -> Iterator[Problem]:
    key, dhcp = f"domain.{domain.name}.dhcp6", domain.dhcp6
    ends: dict[str, IPv6Address | None] = {"first": dhcp.first, "last": dhcp.last}
    if domain.subnet6 is None or dhcp.addresses == "stateless":
        for end, address in ends.items():
            if address is not None:
                yield Problem(
                    f"{key}.{end}", "nothing is leased here", 'write addresses = "stateful"'
                )
        return
    usable = f"addresses from {domain.subnet6[FIXED_HOSTS + 1]} up can be leased"
    for end, address in ends.items():
        if address is None:
            yield Problem(f"{key}.{end}", "missing, though addresses are leased", usable)
        elif address not in domain.subnet6:
            yield Problem(
                f"{key}.{end}", f"{address} is outside the subnet {domain.subnet6}", usable
            )
        elif int(address) <= int(domain.subnet6[FIXED_HOSTS]):
            yield Problem(
                f"{key}.{end}",
                f"{address} is one of the subnet's fixed addresses (router, MN)",
                usable,
            )
    if dhcp.first is not None and dhcp.last is not None and dhcp.first > dhcp.last:
        yield Problem(
            f"{key}.last",
            f"the range ends at {dhcp.last}, before it begins at {dhcp.first}",
            "exchange first and last",
        )
