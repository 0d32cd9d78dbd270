"""From the lab file to what routers are told about holding: places, choices of flows, refusals."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest

from mpa_hil import scenario
from mpa_hil.agents.access_router_config import AccessRouterSettings
from mpa_hil.agents.config import Fields
from mpa_hil.agents.hold_fields import Holding as Taken
from mpa_hil.agents.hold_fields import read_holding
from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.handover.options import Hold, Level
from mpa_hil.lab import holding, mpa_servers
from mpa_hil.tunnel.flows import MAX_FLOWS, TCP, UDP, FlowChoice, Treat, check, decode, encode
from radios.errors import LocalError as BadFile

LAB = Path(__file__).parents[2] / "lab_configs" / "two_domains.toml"
HOME = ip_address("10.0.0.10")
VOICE, PROBE = 20_000, 20_002
"""Ports towards the MN."""


def told(*settings: str, level: Level = Level.BOUND) -> Taken:
    """What the MN's agent makes of a lab file's wishes."""
    lab = scenario.load(LAB, settings=settings)
    options = lab.schemes.mpa if level is Level.BOUND else lab.schemes.mpa_level2
    said = holding.command(lab, options, lab.domains[0])
    fields = Fields(said, "test")
    fields.truth("bicast", False)
    taken = read_holding(fields, level)
    fields.done()
    return taken


def flow(treat: Treat, port: int) -> FlowChoice:
    return FlowChoice(treat, UDP, HOME, own_port=port)


def test_by_default_everything_waits_at_the_next_router() -> None:
    taken = told()
    assert (taken.hold, taken.flows, taken.old) == (Hold.NEXT, (), None)
    assert (taken.ms, taken.octets, taken.packets) == (2000, 1 << 20, 2048)
    assert told("schemes.mpa.hold_limit_packets=7").packets == 7


@pytest.mark.parametrize("place", ["old", "both"])
def test_at_the_old_router(place: str) -> None:
    taken = told(f"schemes.mpa.hold={place}")
    assert taken.hold == {"old": Hold.OLD, "both": Hold.OLD | Hold.NEXT}[place]
    assert taken.old is not None
    assert (taken.old.realm, str(taken.old.ar.address), taken.old.ar.port) == (
        "a.example",
        "10.1.0.1",
        7165,
    )
    assert taken.flows == ()


@pytest.mark.parametrize(
    ("settings", "hold", "flows"),
    [
        (["flow.voice.hold=off"], Hold.NEXT, (flow(Treat.PASS, VOICE),)),
        (["flow.voice.hold=bicast"], Hold.NEXT, (flow(Treat.BOTH, VOICE),)),
        (["flow.voice.hold=next"], Hold.NEXT, ()),
        (
            ["flow.voice.hold=old", "flow.probe.hold=off"],
            Hold.NEXT | Hold.OLD,
            (flow(Treat.PASS, VOICE), flow(Treat.DROP, PROBE)),
        ),
        (
            ["schemes.mpa.hold=off", "flow.probe.hold=next"],
            Hold.NEXT,
            (flow(Treat.HOLD, PROBE), FlowChoice(Treat.PASS)),
        ),
        (
            ["schemes.mpa.bicast=true", "flow.probe.hold=next"],
            Hold.NEXT,
            (flow(Treat.HOLD, PROBE), FlowChoice(Treat.BOTH)),
        ),
        (
            ["schemes.mpa.hold=old", "flow.voice.hold=off"],
            Hold.NEXT | Hold.OLD,
            (flow(Treat.DROP, VOICE), FlowChoice(Treat.PASS)),
        ),
        (
            ["schemes.mpa.hold=off", "flow.probe.hold=old"],
            Hold.NEXT | Hold.OLD,
            (flow(Treat.PASS, PROBE), FlowChoice(Treat.DROP)),
        ),
    ],
)
def test_flows_with_a_place_of_their_own(
    settings: list[str], hold: Hold, flows: tuple[FlowChoice, ...]
) -> None:
    taken = told(*settings)
    assert (taken.hold, taken.flows) == (hold, flows)
    assert (taken.old is not None) == bool(hold & Hold.OLD)


def test_without_a_tunnel_only_the_old_router_can() -> None:
    assert told(level=Level.CONFIGURED).hold is Hold.OFF
    taken = told("schemes.mpa-level2.hold=old", "flow.voice.hold=off", level=Level.CONFIGURED)
    assert taken.hold is Hold.OLD
    assert taken.old is not None
    assert taken.old.flows == (flow(Treat.PASS, VOICE),)


def test_several_streams_and_a_download() -> None:
    lab = scenario.load(LAB, settings=["flow.voice.count=3", "flow.voice.hold=off"])
    assert [c.own_port for c in holding.places(lab, lab.schemes.mpa).flows] == [
        VOICE,
        VOICE + 2,
        VOICE + 4,
    ]
    with pytest.raises(BadFile, match="streams have a place of their own"):
        scenario.load(LAB, settings=[f"flow.voice.count={MAX_FLOWS}", "flow.voice.hold=off"])


def test_the_routers_grant_what_the_lab_file_says() -> None:
    settings = (
        "schemes.mpa.hold_limit_packets=9000",
        "schemes.mpa.hold_limit_octets=500000000",
        "schemes.mpa-level2.hold_limit_ms=5000",
    )
    for chosen, wanted in ((settings, (9000, 500_000_000, 5000)), ((), (2048, 1 << 20, 2000))):
        lab = scenario.load(LAB, settings=chosen)
        said = mpa_servers.access_router(lab, lab.domains[0], "/work")
        limits = AccessRouterSettings.read(said).tunnels
        assert limits is not None
        granted = limits.limits
        assert (granted.hold_packets, granted.hold_octets, granted.hold_ms) == wanted
        assert granted.all_hold_octets > granted.hold_octets


def test_what_is_no_command() -> None:
    for said, level in (
        ({"hold": "old"}, Level.BOUND),
        ({"hold": "nowhere"}, Level.BOUND),
        ({"flows": ["zz"]}, Level.BOUND),
        ({"flows": ["00"]}, Level.BOUND),
        ({"old_ar": "x", "old_realm": "a"}, Level.BOUND),
        ({"flows": [encode(FlowChoice(Treat.PASS)).hex()] * 33}, Level.BOUND),
    ):
        with pytest.raises(LocalError):
            read_holding(Fields(said, "test"), level)


@dataclass
class Case:
    choice: FlowChoice
    good: bool = True


@pytest.mark.parametrize(
    "case",
    [
        Case(FlowChoice(Treat.HOLD)),
        Case(FlowChoice(Treat.PASS, UDP, HOME, 1, ip_address("10.9.0.1"), 65535)),
        Case(FlowChoice(Treat.DROP, TCP, peer=ip_address("2001:db8::1"), peer_port=443)),
        Case(FlowChoice(Treat.BOTH, 0, own_port=5), good=False),
        Case(FlowChoice(Treat.BOTH, 50), good=False),
        Case(FlowChoice(Treat.BOTH, UDP, own_port=70_000), good=False),
        Case(FlowChoice(Treat.BOTH, UDP, HOME, 1, ip_address("::1")), good=False),
    ],
    ids=repr,
)
def test_choices_are_sent_and_checked(case: Case) -> None:
    if case.good:
        check(case.choice)
        octets = encode(case.choice)
        assert decode(octets) == case.choice
        for wrong in (octets[:5], b"\x09" + octets[1:], octets + b"x"):
            with pytest.raises(DecodeError):
                decode(wrong)
    else:
        with pytest.raises(LocalError):
            check(case.choice)
