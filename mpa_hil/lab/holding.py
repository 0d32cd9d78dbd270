"""Where the packets of each flow wait while the MN switches, as its agent is to be told. Pure.

A flow that has no place of its own in the lab file has the scheme's. What the old router gets is
packets in the handover tunnel, which it cannot tell apart; so where it holds, a flow that is not to
be held is not sent there at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from mpa_hil.lab import mpa_servers
from mpa_hil.scenario import Domain, Flow, Mpa, MpaLevel2, Scenario
from mpa_hil.traffic.plan import planned_flows, planned_transfers
from mpa_hil.tunnel.flows import TCP, UDP, FlowChoice, Treat, encode

Place = Literal["next", "old", "both", "bicast", "off"]
_NEXT = frozenset({"next", "both"})
_OLD = frozenset({"old", "both"})


class Holding(NamedTuple):
    """What the agent's command says."""

    hold: Place
    bicast: bool
    flows: tuple[FlowChoice, ...] = ()
    """At the next router."""
    old_flows: tuple[FlowChoice, ...] = ()
    """At the old one, where there is no tunnel."""

    @property
    def at_old(self) -> bool:
        """Whether the router that is left holds too."""
        return self.hold in _OLD


def places(scenario: Scenario, options: MpaLevel2) -> Holding:
    """Work it out of a scheme's options and the flows'."""
    own = {flow.name: flow.hold for flow in scenario.flows if flow.hold is not None}
    if not isinstance(options, Mpa):
        return _without_tunnel(scenario, options, own)
    usual: Place = "bicast" if options.bicast else options.hold
    used = {usual, *own.values()}
    if used == {usual}:
        return Holding(options.hold, options.bicast)
    old = bool(used & _OLD)
    treats = {
        "next": Treat.HOLD,
        "both": Treat.HOLD,
        "old": Treat.PASS,
        "bicast": Treat.BOTH,
        "off": Treat.DROP if old else Treat.PASS,
    }
    chosen = [
        choice
        for name, place in own.items()
        for choice in _choices(scenario, name, treats[place])
        if place != usual
    ]
    if treats[usual] is not Treat.HOLD:
        chosen.append(FlowChoice(treats[usual]))
    asks_next = bool(used & (_NEXT | {"bicast"})) or (old and "off" in used)
    both: Place = "both" if asks_next else "old"
    return Holding(both if old else "next", False, tuple(chosen))


def command(scenario: Scenario, options: MpaLevel2, left: Domain) -> dict[str, object]:
    """The part of the agent's `prepare` about holding.

    Args:
        left: the domain that the MN is in.
    """
    holding = places(scenario, options)
    wanted: dict[str, object] = {
        "hold": holding.hold,
        "bicast": holding.bicast,
        "hold_limit_octets": options.hold_limit_octets,
        "hold_limit_packets": options.hold_limit_packets,
        "hold_limit_ms": options.hold_limit_ms,
        "flows": [encode(choice).hex() for choice in holding.flows],
    }
    if holding.at_old:
        router = scenario.agents_address(left)
        wanted["old_realm"] = left.realm.lower()
        wanted["old_ar"] = f"{router} {mpa_servers.TUNNEL_PORT}"
        wanted["old_flows"] = [encode(choice).hex() for choice in holding.old_flows]
    return wanted


def _without_tunnel(scenario: Scenario, options: MpaLevel2, own: Mapping[str, str]) -> Holding:
    """Nothing is at the next router yet: flows are held by the old one, or not."""
    if options.hold == "off":
        return Holding("off", False)
    loose = [
        choice
        for name, place in own.items()
        if place == "off"
        for choice in _choices(scenario, name, Treat.PASS)
    ]
    return Holding("old", False, (), tuple(loose))


def _choices(scenario: Scenario, name: str, treat: Treat) -> Iterator[FlowChoice]:
    """One for each stream towards the MN that a flow of the lab file has."""
    mn = scenario.mn
    home = mn.home_address6 if scenario.lab.family == "ipv6" else mn.home_address
    entry = next(flow for flow in scenario.flows if flow.name == name)
    names = set(_streams(entry))
    for stream in planned_flows(scenario):
        if stream.name in names and stream.direction == "downlink":
            yield FlowChoice(treat, UDP, home, own_port=stream.port)
    for transfer in planned_transfers(scenario):
        if transfer.name in names:
            yield FlowChoice(treat, TCP, home, peer_port=transfer.port)


def _streams(flow: Flow) -> Iterator[str]:
    """Names in `traffic.plan`."""
    yield flow.name
    yield from (f"{flow.name}-{number}" for number in range(2, flow.count + 1))
