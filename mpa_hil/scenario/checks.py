"""What must hold for flows, schemes, secrets and placement; and all checks in their order."""

from __future__ import annotations

from collections.abc import Iterator

from mpa_hil.traffic.codecs import CODECS
from mpa_hil.tunnel.flows import MAX_FLOWS

from . import (
    checks_comparison,
    checks_faults,
    checks_ipv6,
    checks_movement,
    checks_network,
    checks_radio,
    policy,
)
from .model import Flow, Scenario
from .problem import Problem, is_hex, repeated
from .schemes import SCHEMES
from .shape import suggestion

RADIUS_SECRET_LENGTH = 16
"""Characters: RFC 2865 s3 prefers at least 16 octets."""
AGENT_KEY_DIGITS = 32
"""Hexadecimal digits: RFC 5944 s5.2 requires 128 bit keys."""


def problems(scenario: Scenario) -> Iterator[Problem]:
    """Everything wrong with a lab whose values each have the right type."""
    yield from _lab(scenario)
    yield from checks_network.problems(scenario)
    yield from checks_ipv6.problems(scenario)
    yield from checks_radio.problems(scenario)
    yield from checks_movement.problems(scenario)
    yield from _flows(scenario)
    yield from _secrets(scenario)
    yield from _placements(scenario)
    yield from checks_faults.problems(scenario)
    if scenario.compare is not None:
        yield from checks_comparison.problems(scenario.compare)
    if scenario.policy is not None:
        yield from policy.problems(scenario.policy)


def _lab(scenario: Scenario) -> Iterator[Problem]:
    name = scenario.lab.name
    if not name or len(name) > 64 or not name.replace("-", "").replace("_", "").isalnum():
        yield Problem(
            "lab.name",
            f"'{name}' cannot name a folder",
            "1 to 64 letters, digits, - and _",
        )
    if not scenario.lab.schemes:
        yield Problem("lab.schemes", "no scheme", f"choose from {', '.join(SCHEMES)}")
    for scheme in scenario.lab.schemes:
        if scheme not in SCHEMES:
            yield Problem("lab.schemes", f"unknown scheme '{scheme}'", suggestion(scheme, SCHEMES))
    yield from repeated((("lab.schemes", s) for s in scenario.lab.schemes), "scheme")


def _flows(scenario: Scenario) -> Iterator[Problem]:
    if not scenario.flows:
        yield Problem("flow", "no traffic, nothing to measure", "add a table `[[flow]]`")
    elif all(flow.kind == "tcp" for flow in scenario.flows):
        yield Problem(
            "flow",
            "downloads alone: a gap is looked for in equally spaced packets",
            "add a table `[[flow]]` with a codec",
        )
    for flow in scenario.flows:
        yield from _flow(f"flow.{flow.name}", flow)
    chosen = [flow for flow in scenario.flows if flow.hold is not None]
    if sum(flow.count for flow in chosen) >= MAX_FLOWS:
        yield Problem(
            f"flow.{chosen[-1].name}.hold",
            f"{sum(flow.count for flow in chosen)} streams have a place of their own",
            f"fewer than {MAX_FLOWS}: leave out what is as the scheme has it",
        )
    yield from repeated(((f"flow.{f.name}.name", f.name) for f in scenario.flows), "flow name")


def _flow(key: str, flow: Flow) -> Iterator[Problem]:
    if not flow.name or not flow.name.replace("-", "").replace("_", "").isalnum():
        yield Problem(f"{key}.name", f"'{flow.name}' cannot be a name", "letters, digits, - and _")
    if flow.kind == "tcp":
        yield from _download(key, flow)
        return
    if flow.rate_mbit is not None:
        yield Problem(
            f"{key}.rate_mbit",
            "the packets' size and spacing already say it",
            'leave it out, or write kind = "tcp"',
        )
    explicit = [
        field for field in ("spacing_ms", "payload_bytes") if getattr(flow, field) is not None
    ]
    if flow.codec is not None:
        if flow.codec not in CODECS:
            yield Problem(
                f"{key}.codec", f"unknown codec '{flow.codec}'", suggestion(flow.codec, CODECS)
            )
        if explicit:
            yield Problem(
                f"{key}.{explicit[0]}",
                "the codec already says it",
                "give a codec, or spacing_ms and payload_bytes",
            )
    elif len(explicit) != 2:
        missing = "payload_bytes" if explicit == ["spacing_ms"] else "spacing_ms"
        yield Problem(
            f"{key}.{missing if explicit else 'codec'}",
            "the flow does not say its packets",
            f"give codec ({', '.join(CODECS)}), or spacing_ms and payload_bytes",
        )


def _download(key: str, flow: Flow) -> Iterator[Problem]:
    for field in ("codec", "spacing_ms", "payload_bytes"):
        if getattr(flow, field) is not None:
            yield Problem(
                f"{key}.{field}", "TCP cuts its stream itself", "give rate_mbit, or nothing"
            )
    if flow.direction != "downlink":
        yield Problem(
            f"{key}.direction",
            f"a download does not go {'up' if flow.direction == 'uplink' else 'both ways'}",
            'write direction = "downlink"',
        )


def _secrets(scenario: Scenario) -> Iterator[Problem]:
    secret, key = scenario.home.aaa.radius_secret, scenario.home.agent.key
    if secret is not None and (len(secret) < RADIUS_SECRET_LENGTH or not _plain(secret)):
        yield Problem(
            "home.aaa.radius_secret",
            "too short a secret, or one with spaces, quotes, backslashes or non-ASCII characters",
            f"{RADIUS_SECRET_LENGTH} or more plain characters, or leave it out",
        )
    if key is not None and (len(key) < AGENT_KEY_DIGITS or len(key) % 2 or not is_hex(key)):
        yield Problem(
            "home.agent.key",
            f"{len(key)} characters are no MN-HA key",
            f"{AGENT_KEY_DIGITS} or more hexadecimal digits (openssl rand -hex 16), an even "
            "number; or leave it out",
        )


def _plain(text: str) -> bool:
    """Characters that mean themselves in every daemon's configuration."""
    return all("!" <= c <= "~" and c not in "\"'\\#$%{}" for c in text)


def _placements(scenario: Scenario) -> Iterator[Problem]:
    radios = {"mn", *(ap.name for ap in scenario.aps)}
    for place in scenario.placements:
        key = f"host.{place.name}"
        if place.name not in scenario.boxes:
            yield Problem(
                f"{key}.name",
                f"the lab has no box '{place.name}'",
                suggestion(place.name, scenario.boxes),
            )
        for field in ("address", "user", "key"):
            value = getattr(place, field)
            if not value or value.startswith("-") or (field != "key" and " " in value):
                yield Problem(
                    f"{key}.{field}", f"'{value}' will not do", "each host needs its own SSH access"
                )
        if place.name in radios and not place.interface:
            yield Problem(
                f"{key}.interface",
                "a machine with a radio must say which",
                'name its wireless interface, for example interface = "wlan0" (iw dev lists them)',
            )
        if place.interface and (len(place.interface) > 15 or not place.interface.isprintable()):
            yield Problem(
                f"{key}.interface",
                f"'{place.interface}' is no interface name",
                "15 characters at most; iw dev lists them",
            )
    yield from repeated(((f"host.{p.name}.name", p.name) for p in scenario.placements), "box name")


def bench_problems(scenario: Scenario) -> Iterator[Problem]:
    """What the bench rig needs besides: a machine for the MN and for every access point."""
    placed = {place.name for place in scenario.placements}
    for name in ("mn", *(ap.name for ap in scenario.aps)):
        if name not in placed:
            yield Problem(
                f"host.{name}",
                f"on a bench, {name} must be a machine with a radio",
                f'add a table `[[host]]` with name = "{name}"',
            )
