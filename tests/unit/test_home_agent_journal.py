"""Home agents that are killed and go on: what they write down, and what they believe of it."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from mpa_hil.agents import binding_journal
from mpa_hil.agents.binding_journal import BindingJournal
from mpa_hil.mobility.interface import NS_PER_S, Discarded, Endpoint, Instant, Send
from mpa_hil.mobility.mip4.authentication import SecurityAssociation
from mpa_hil.mobility.mip4.bindings import BindingAdded, Refused, Subscriber
from mpa_hil.mobility.mip4.home_agent import HomeAgent
from mpa_hil.mobility.mip4.mobile_node import MobileNode
from mpa_hil.mobility.mip6.bindings import Bound
from mpa_hil.mobility.mip6.bindings import Refused as Refused6
from radios.errors import LocalError
from tests.support.mip6_world import AGENT, CARE_OF, HOME, World

HOME4, AGENT4, CARE_OF4 = (IPv4Address(a) for a in ("10.0.0.100", "10.0.0.1", "192.0.2.7"))
SA4 = SecurityAssociation(256, bytes(range(16)))


def at(seconds: float) -> Instant:
    ns = int(seconds * NS_PER_S)
    return Instant(ns, 18 * 10**17 + ns)


def agent4(started_s: float) -> HomeAgent:
    return HomeAgent(AGENT4, [Subscriber(HOME4, (SA4,))], started=at(started_s))


def test_mobile_ipv4_goes_on() -> None:
    agent = agent4(0)
    node = MobileNode(home_address=HOME4, home_agent=AGENT4, association=SA4)
    (send,) = node.register(CARE_OF4, at(1))
    assert isinstance(send, Send)
    agent.receive(send.datagram, Endpoint(CARE_OF4, 1000), at(1))
    record = json.loads(json.dumps(agent.record(HOME4, at(1))))
    # The machine was started anew meanwhile: its monotonic clock began again.
    later = Instant(5 * NS_PER_S, at(61).unix_ns)
    again = HomeAgent(AGENT4, [Subscriber(HOME4, (SA4,))], started=later)
    (added,) = again.restore(HOME4, record, later)
    assert isinstance(added, BindingAdded)
    assert added.binding.care_of == CARE_OF4
    assert added.binding.expires_ns == later.monotonic_ns + (1800 - 60) * NS_PER_S
    refused = again.receive(send.datagram, Endpoint(CARE_OF4, 1000), at(62))
    assert any(isinstance(output, Refused) for output in refused), "a replay"
    over = replace_time(later, 3600)
    assert agent4(100).restore(HOME4, record, over) == ()
    assert agent4(100).restore(IPv4Address("10.0.0.9"), record, later) == ()


def replace_time(now: Instant, seconds: int) -> Instant:
    return Instant(now.monotonic_ns, now.unix_ns + seconds * NS_PER_S)


@pytest.mark.parametrize(
    "record", [{}, {"floor": "x", "bindings": []}, {"floor": 1, "bindings": [{"care_of": "?"}]}]
)
def test_damaged_records_are_left_out(record: dict[str, object]) -> None:
    (discarded,) = agent4(0).restore(HOME4, record, at(1))
    assert isinstance(discarded, Discarded)
    world = World(optimises=False)
    (discarded6,) = world.agent.restore(HOME, {"sequence": 1, **record}, world.agents_now())
    assert isinstance(discarded6, Discarded)
    assert not world.agent.bindings


def test_mobile_ipv6_goes_on() -> None:
    world = World(optimises=False)
    world.register(CARE_OF[0])
    world.run(3)
    (binding,) = world.agent.bindings
    record = json.loads(json.dumps(world.agent.record(HOME, world.agents_now())))
    world.restart_home_agent()
    (bound,) = world.agent.restore(HOME, record, world.agents_now())
    assert isinstance(bound, Bound)
    assert bound.change == "added"
    assert [replace(b, expires_ns=0) for b in bound.after] == [replace(binding, expires_ns=0)]
    world.caches((bound,), "agent")
    checks = len(world.said)
    world.register(CARE_OF[1])
    world.run(0.1)
    assert world.at_home_agent[HOME] == (CARE_OF[1],), "without another check of the address"
    assert not any(isinstance(output, Refused6) for output in world.said[checks:])
    assert world.agent.restore(AGENT, record, world.agents_now()) == ()
    world.run(4000)
    stale = world.agent.record(HOME, world.agents_now())
    world.restart_home_agent()
    world.now_ns += 4000 * NS_PER_S
    assert world.agent.restore(HOME, stale, world.agents_now()) == ()


def test_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding_journal, "_COMPACT_AT", 5)
    path = tmp_path / "bindings"
    journal = BindingJournal(str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    for number in range(20):
        journal.note("a", {"number": number})
        journal.note("b", {"number": -number})
    assert len(path.read_bytes().splitlines()) <= 7
    with path.open("ab") as file:
        file.write(b'["c", {"numb')  # cut off
    journal.close()
    again = BindingJournal(str(path))
    assert again.records == {"a": {"number": 19}, "b": {"number": -19}}
    again.close()
    with pytest.raises(LocalError):
        BindingJournal(str(tmp_path / "nowhere" / "file"))
