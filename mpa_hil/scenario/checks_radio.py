"""What must hold for access points and for the movement between them."""

from __future__ import annotations

from collections.abc import Iterator

from . import movement as trace
from .model import AccessPoint, Scenario
from .problem import Problem, bad_mac, is_hex, repeated
from .shape import suggestion

SSID_LIMIT = 32
"""Octets in an SSID (IEEE 802.11-2020 s9.4.2.2)."""
CHANNELS_2_4 = range(1, 14)
CHANNELS_5 = (36, 40, 44, 48, 149, 153, 157, 161, 165)
RADAR_CHANNELS = (52, 56, 60, 64, *range(100, 145, 4))
"""5 GHz channels on which an AP must first listen for radar, a minute or more (DFS)."""


def problems(scenario: Scenario) -> Iterator[Problem]:
    """Everything wrong with access points, then with the movement."""
    keyed = [(f"domain.{d.name}.ap.{ap.name}", ap) for d in scenario.domains for ap in d.aps]
    for key, ap in keyed:
        yield from _access_point(key, ap)
    macs = [(f"{key}.bssid", ap.bssid.lower()) for key, ap in keyed]
    yield from repeated((*macs, ("mn.mac", scenario.mn.mac.lower())), "MAC address")
    yield from _networks(scenario)
    yield from _movement(scenario)


def _access_point(key: str, ap: AccessPoint) -> Iterator[Problem]:
    octets = len(ap.ssid.encode())
    if not 1 <= octets <= SSID_LIMIT:
        yield Problem(
            f"{key}.ssid",
            f"an SSID of {octets} octets",
            f"1 to {SSID_LIMIT} octets; letters outside ASCII take more than one",
        )
    if any(ord(c) < 32 or ord(c) == 127 for c in ap.ssid):
        yield Problem(f"{key}.ssid", "control character in the SSID", "use printable characters")
    yield from bad_mac(f"{key}.bssid", ap.bssid)
    if ap.channel in RADAR_CHANNELS:
        yield Problem(
            f"{key}.channel",
            f"channel {ap.channel} needs radar detection before an AP may send",
            "take 36, 40, 44 or 48 in 5 GHz",
        )
    elif ap.channel not in CHANNELS_2_4 and ap.channel not in CHANNELS_5:
        yield Problem(
            f"{key}.channel",
            f"{ap.channel} is no 20 MHz channel in 2.4 or 5 GHz",
            f"1 to 13, or one of {', '.join(map(str, CHANNELS_5))}",
        )
    if ap.psk is not None:
        if ap.security != "wpa2-psk":
            yield Problem(
                f"{key}.psk",
                "a pre-shared key for an AP that uses 802.1X",
                'remove it, or set security = "wpa2-psk"',
            )
        elif len(ap.psk) != 64 or not is_hex(ap.psk):
            yield Problem(
                f"{key}.psk",
                f"a pre-shared key of {len(ap.psk)} characters",
                "64 hexadecimal digits (openssl rand -hex 32), or leave it out",
            )


def _networks(scenario: Scenario) -> Iterator[Problem]:
    """One SSID is one network to the MN: one domain, one kind of security, one key."""
    first: dict[str, tuple[str, AccessPoint]] = {}
    for domain in scenario.domains:
        for ap in domain.aps:
            key = f"domain.{domain.name}.ap.{ap.name}.ssid"
            owner, other = first.setdefault(ap.ssid, (domain.name, ap))
            if owner != domain.name:
                yield Problem(
                    key,
                    f"SSID '{ap.ssid}' is already that of domain {owner}",
                    "give each domain its own SSID",
                )
            elif (ap.security, ap.psk) != (other.security, other.psk):
                yield Problem(
                    key,
                    f"SSID '{ap.ssid}' is also on {other.name}, with another security or key",
                    "same SSID, same security and key; or another SSID",
                )


def _movement(scenario: Scenario) -> Iterator[Problem]:
    movement = scenario.movement
    names = [ap.name for ap in scenario.aps]
    if movement.start not in names:
        yield Problem(
            "movement.start",
            f"there is no access point '{movement.start}'",
            suggestion(movement.start, names),
        )
    if movement.lost_dbm >= movement.leave_dbm:
        yield Problem(
            "movement.lost_dbm",
            f"the AP is lost at {movement.lost_dbm} dBm, before the MN wants to leave it "
            f"({movement.leave_dbm} dBm)",
            "lost_dbm must be lower than leave_dbm",
        )
    last: dict[str, float] = {}
    for index, point in enumerate(movement.points):
        key = f"movement.point.{index}"
        if point.ap not in names:
            yield Problem(
                f"{key}.ap",
                f"there is no access point '{point.ap}'",
                suggestion(point.ap, names),
            )
        if point.t_s <= last.get(point.ap, -1.0):
            yield Problem(
                f"{key}.t_s",
                f"{point.t_s} s is not after the point before it for {point.ap}",
                "list an AP's points in the order of time",
            )
        last[point.ap] = point.t_s
    for name in names:
        if name not in last:
            yield Problem(
                "movement.point",
                f"the trace says nothing about {name}",
                f'add `[[movement.point]]` with ap = "{name}"',
            )
    if movement.start in last and last.keys() == set(names):
        yield from _switch(scenario)


def _switch(scenario: Scenario) -> Iterator[Problem]:
    movement = scenario.movement
    if trace.signal_dbm(movement, movement.start, 0.0) <= movement.leave_dbm:
        yield Problem(
            "movement.start",
            f"{movement.start} is not above {movement.leave_dbm} dBm at the start",
            "begin on an AP that is heard well",
        )
        return
    switches = trace.switches(movement)
    if not switches:
        yield Problem(
            "movement.point",
            f"nothing makes the MN move: {movement.start} never falls to "
            f"{movement.leave_dbm} dBm with another AP there",
            "let its signal fall below leave_dbm",
        )
    for switch in switches:
        if trace.signal_dbm(movement, switch.new, switch.leave_s) <= movement.leave_dbm:
            yield Problem(
                "movement.point",
                f"no AP is above {movement.leave_dbm} dBm when {switch.old} falls to it "
                f"({switch.leave_s:g} s)",
                "let another AP rise earlier",
            )
        elif switch.lost_s is None:
            yield Problem(
                "movement.point",
                f"{switch.old} never falls to lost_dbm ({movement.lost_dbm} dBm)",
                "a client that waits for the loss of the link would never move: let it fall so far",
            )
