"""The l2-floor's topology, made from any lab: one subnet, two APs, pre-shared keys."""

from __future__ import annotations

import msgspec

from radios.errors import LocalError

from . import movement
from .model import Dhcp6, Scenario


def is_floor(scenario: Scenario) -> bool:
    """Whether the switch of the movement already is one between PSK APs of one subnet."""
    switch = movement.switch(scenario)
    if switch is None:
        return False
    pair = (scenario.ap(switch.old), scenario.ap(switch.new))
    same = scenario.domain_of(switch.old) == scenario.domain_of(switch.new)
    return same and all(ap.security == "wpa2-psk" for ap in pair)


def floor_scenario(scenario: Scenario) -> Scenario:
    """The same lab with nothing above the link layer to change.

    The AP that the MN would move to keeps name, channel and SSID, but stands in the first AP's
    domain; both use a pre-shared key. Other APs and domains, their links and machines are left
    out. The radios' addresses differ from the lab's in one bit, so that both labs can stand at
    once. IPv6 is left out: a link does not care. A lab that already is so comes back as it is.

    Raises:
        LocalError: the trace asks for no switch.
    """
    scenario = _without_ipv6(scenario)
    if is_floor(scenario):
        return scenario
    switch = movement.switch(scenario)
    if switch is None:
        raise LocalError(
            "the movement asks for no switch",
            where=scenario.lab.name,
            remedy="let the signal of the first AP fall below leave_dbm",
        )
    replace = msgspec.structs.replace
    kept = (switch.old, switch.new)
    aps = tuple(
        replace(ap, security="wpa2-psk", bssid=_other_address(ap.bssid))
        for ap in map(scenario.ap, kept)
    )
    domain = replace(scenario.domain_of(switch.old), aps=aps)
    points = tuple(point for point in scenario.movement.points if point.ap in kept)
    floor = replace(
        scenario,
        domains=(domain,),
        mn=replace(scenario.mn, mac=_other_address(scenario.mn.mac)),
        movement=replace(scenario.movement, points=points),
    )
    return replace(
        floor,
        links=tuple(link for link in scenario.links if link.name in floor.sites),
        placements=tuple(place for place in scenario.placements if place.name in floor.boxes),
    )


def _without_ipv6(scenario: Scenario) -> Scenario:
    if not scenario.has_ipv6:
        return scenario
    replace = msgspec.structs.replace
    return replace(
        scenario,
        lab=replace(scenario.lab, family="ipv4"),
        home=replace(scenario.home, subnet6=None),
        domains=tuple(replace(domain, subnet6=None, dhcp6=Dhcp6()) for domain in scenario.domains),
        correspondent=replace(scenario.correspondent, subnet6=None),
        mn=replace(scenario.mn, home_address6=None),
    )


def _other_address(mac: str) -> str:
    """A MAC address that differs in one bit, in none that says what kind of address it is."""
    octets = bytearray.fromhex(mac.replace(":", "").replace("-", ""))
    octets[1] ^= 0x80
    return octets.hex(":")
