"""What must hold for access points."""

from __future__ import annotations

from collections.abc import Iterator

from .model import AccessPoint, Scenario
from .problem import Problem, bad_mac, is_hex, repeated

SSID_LIMIT = 32
"""Octets in an SSID (IEEE 802.11-2020 s9.4.2.2)."""
CHANNELS_2_4 = range(1, 14)
CHANNELS_5 = (36, 40, 44, 48, 149, 153, 157, 161, 165)
RADAR_CHANNELS = (52, 56, 60, 64, *range(100, 145, 4))
"""5 GHz channels on which an AP must first listen for radar, a minute or more (DFS)."""


def problems(scenario: Scenario) -> Iterator[Problem]:
    """Everything wrong with access points."""
    keyed = [(f"domain.{d.name}.ap.{ap.name}", ap) for d in scenario.domains for ap in d.aps]
    for key, ap in keyed:
        yield from _access_point(key, ap)
    macs = [(f"{key}.bssid", ap.bssid.lower()) for key, ap in keyed]
    yield from repeated((*macs, ("mn.mac", scenario.mn.mac.lower())), "MAC address")
    yield from _networks(scenario)


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
