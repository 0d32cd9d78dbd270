"""Everything secret in a lab: drawn for each run unless the lab file gives it."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from mpa_hil.scenario import Scenario
from rigs.services.certificates import Credentials, LabCa
from rigs.services.freeradius import new_secret

PSK_OCTETS = 32
MOBILITY_KEY_OCTETS = 16
"""RFC 5944 s5.1."""
HOLD_KEY_OCTETS = 32


def server_name(scenario: Scenario) -> str:
    """The name in the home AAA server's certificate."""
    return f"aaa.{scenario.home.realm}"


@dataclass(frozen=True, slots=True)
class Papers:
    """Certificates of EAP-TLS; `ca` is PEM and vouches for both."""

    ca: bytes
    server: Credentials
    client: Credentials


@dataclass(frozen=True, slots=True)
class Secrets:
    """Keys of one lab. None of them is ever logged."""

    psk: Mapping[str, str] = field(repr=False)
    """By access point with a pre-shared key: 64 hexadecimal digits."""
    radius: Mapping[tuple[str, str], str] = field(repr=False)
    """By RADIUS client box and server box."""
    mobility_key: str = field(repr=False)
    """MN-HA key, hexadecimal."""
    hold_key: str = field(repr=False)
    """Shared by the MN and its access router, hexadecimal."""


def draw(scenario: Scenario) -> Secrets:
    """Fresh secrets, those of the lab file in their places."""
    given = scenario.home.aaa.radius_secret
    hops = {
        hop: given or new_secret()
        for domain in scenario.domains
        for hop in (
            *((ap.name, f"{domain.name}-aaa") for ap in domain.aps),
            (f"{domain.name}-router", f"{domain.name}-aaa"),
            (f"{domain.name}-aaa", "home-aaa"),
        )
    }
    return Secrets(
        psk={
            ap.name: ap.psk or secrets.token_hex(PSK_OCTETS)
            for ap in scenario.aps
            if ap.security == "wpa2-psk"
        },
        radius=hops,
        mobility_key=scenario.home.agent.key or secrets.token_hex(MOBILITY_KEY_OCTETS),
        hold_key=secrets.token_hex(HOLD_KEY_OCTETS),
    )


def make_papers(scenario: Scenario, now: dt.datetime) -> Papers:
    """A CA of the lab's own, and both certificates.

    Args:
        now: by the clock of the boxes that check them.
    """
    ca = LabCa(now, f"{scenario.lab.name} lab CA"[:64])
    server = ca.server(server_name(scenario))
    return Papers(ca.certificate, server, ca.client(scenario.mn.identity))


def given_papers(pem: Mapping[str, bytes]) -> Papers:
    """The user's own certificates, by lab key (`mpa_hil.scenario.certificate_files`)."""
    return Papers(
        pem["home.aaa.ca"],
        Credentials(pem["home.aaa.cert"], pem["home.aaa.key"], 0),
        Credentials(pem["mn.cert"], pem["mn.key"], 0),
    )
