"""Row F10: the calendar is set an hour or a year back or ahead, in use and while an agent is down.

Lifetimes run on the monotonic clock. What outlives a process is read by that clock, too, as long as
the machine was not booted meanwhile; after that the calendar has to do, and nothing lives longer
for it than it was granted.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_interface
from pathlib import Path

import pytest
from campaign import dice, runs
from mip6_world import AGENT, CARE_OF, HOME, SA
from mip6_world import World as World6
from pana_pair import Pair
from tunnel_world import World as TunnelWorld

from mpa_hil import clock
from mpa_hil.agents.binding_journal import BindingJournal
from mpa_hil.authentication.journal import Journal
from mpa_hil.clock import Origin
from mpa_hil.configuration.acquisition import Lease
from mpa_hil.configuration.interface import Method, Wish, ethernet_client_id
from mpa_hil.configuration.record import HoldingRecord
from mpa_hil.mobility.interface import NS_PER_S, Endpoint, Instant, Registered, Send
from mpa_hil.mobility.mip4.authentication import SecurityAssociation
from mpa_hil.mobility.mip4.bindings import BindingAdded, Subscriber
from mpa_hil.mobility.mip4.home_agent import HomeAgent
from mpa_hil.mobility.mip4.mobile_node import MobileNode
from mpa_hil.mobility.mip6.bindings import Bound
from mpa_hil.mobility.mip6.bindings import Subscriber as Subscriber6
from mpa_hil.mobility.mip6.home_agent import HomeAgent as HomeAgent6
from mpa_hil.pana.preservation import restore
from mpa_hil.tunnel.record import record, restored

HOUR_S, YEAR_S = 3600, 365 * 86400
JUMPS_S = (-YEAR_S, -HOUR_S, 0, HOUR_S, YEAR_S)
UNIX_NS = 1_800_000_000 * NS_PER_S
HOME4, AGENT4, CARE_OF4 = (IPv4Address(a) for a in ("10.0.0.100", "10.0.0.1", "192.0.2.7"))
SA4 = SecurityAssociation(256, bytes(range(16)))
Values = Mapping[str, object]


@dataclass
class Clocks:
    """The machine's, which can be set."""

    now_ns: int = 5000 * NS_PER_S
    ahead_ns: int = UNIX_NS
    boot: str = "first"

    def instant(self) -> Instant:
        return Instant(self.now_ns, self.now_ns + self.ahead_ns)

    def pass_by(self, seconds: float) -> None:
        self.now_ns += int(seconds * NS_PER_S)

    def set(self, jump_s: int) -> None:
        self.ahead_ns += jump_s * NS_PER_S

    def start_anew(self, off_s: float) -> None:
        """The machine is switched off, and on again."""
        self.ahead_ns += self.now_ns - 20 * NS_PER_S + int(off_s * NS_PER_S)
        self.now_ns, self.boot = 20 * NS_PER_S, "second"


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clocks]:
    """Beneath `mpa_hil.clock`; a process that begins has forgotten what the one before it knew."""
    made = Clocks()
    monkeypatch.setattr(time, "monotonic_ns", lambda: made.now_ns)
    monkeypatch.setattr(time, "time_ns", lambda: made.now_ns + made.ahead_ns)
    monkeypatch.setattr(clock, "boot", lambda: made.boot)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: None)
    new_process()
    yield made
    monkeypatch.undo()
    new_process()


def new_process() -> None:
    clock._ahead_ns.cache_clear()


# --- who keeps what: written down now, and how much of its life is left later ---------------------


@dataclass(frozen=True)
class Store:
    write: Callable[[Clocks], Values]
    left_s: Callable[[Values, Instant], float]
    """0: it is over."""


def pana(clocks: Clocks) -> Values:
    pair = Pair(lifetime_s=600)
    pair.authenticate()
    (session_id,) = pair.paa_sessions()
    clocks.now_ns = pair.now_ns
    written = pair.paa.preserve(session_id, clock.instant())
    assert written is not None
    return written


def pana_left(values: Values, now: Instant) -> float:
    session = restore(values, Pair().paa_settings, os.urandom, now)
    return 0 if session is None else (session.expires_ns - now.monotonic_ns) / NS_PER_S


def lease(clocks: Clocks) -> Values:
    address, router, mac = ip_interface("10.2.0.7/24"), ip_address("10.2.0.1"), bytes(6)
    held = Lease(address, router, mac, (), 600.0, 300.0, clocks.now_ns, (address.network,))
    wish = Wish(Method.DHCPV4, mac, ethernet_client_id(mac), 1, "")
    return HoldingRecord.of("mn@home.example", wish, held, clock.instant()).values()


def lease_left(values: Values, now: Instant) -> float:
    held = HoldingRecord.read(values, now).lease
    return max(0, held.life_s - (now.monotonic_ns - held.since_ns) / NS_PER_S)


def tunnel(clocks: Clocks) -> Values:
    world = TunnelWorld()
    world.node(1).create(life_s=600)
    (session,) = world.router.sessions
    clocks.now_ns = world.ns
    written = record(session, clock.instant())
    assert written is not None
    return written.values()


def tunnel_left(values: Values, now: Instant) -> float:
    session = restored(values, now)
    return 0 if session is None else (session.expires_ns - now.monotonic_ns) / NS_PER_S


def agent4(started: Instant) -> HomeAgent:
    return HomeAgent(AGENT4, [Subscriber(HOME4, (SA4,))], started=started)


def binding4(clocks: Clocks) -> Values:
    agent = agent4(clock.instant())
    clocks.pass_by(1)
    node = MobileNode(home_address=HOME4, home_agent=AGENT4, association=SA4)
    (send,) = node.register(CARE_OF4, clock.instant())
    assert isinstance(send, Send)
    agent.receive(send.datagram, Endpoint(CARE_OF4, 1000), clock.instant())
    return agent.record(HOME4, clock.instant())


def binding4_left(values: Values, now: Instant) -> float:
    for output in agent4(now).restore(HOME4, values, now):
        assert isinstance(output, BindingAdded)
        assert output.binding.expires_ns is not None
        return (output.binding.expires_ns - now.monotonic_ns) / NS_PER_S
    return 0


def binding6(clocks: Clocks) -> Values:
    world = World6(optimises=False)
    world.register(CARE_OF[0])
    world.run(5)
    assert world.agent.bindings
    clocks.now_ns = world.now_ns
    return world.agent.record(HOME, clock.instant())


def binding6_left(values: Values, now: Instant) -> float:
    agent = HomeAgent6(AGENT, (Subscriber6(HOME, (SA,)),), started=now)
    for output in agent.restore(HOME, values, now):
        assert isinstance(output, Bound)
        return (output.after[-1].expires_ns - now.monotonic_ns) / NS_PER_S
    return 0


STORES = {
    "authentication agent": Store(pana, pana_left),
    "configuration agent": Store(lease, lease_left),
    "access router": Store(tunnel, tunnel_left),
    "home agent": Store(binding4, binding4_left),
    "home agent, IPv6": Store(binding6, binding6_left),
}


@dataclass(frozen=True)
class Kept:
    """For `Journal.write`."""

    kept: Values

    def values(self) -> dict[str, object]:
        return dict(self.kept)


def written(path: Path, values: Values, home: bool) -> None:
    if home:
        journal = BindingJournal(str(path))
        journal.note("a", values)
        journal.close()
        return
    sessions = Journal(path)
    sessions.load()
    sessions.write([(1, Kept(values))])
    sessions.close()


def found(path: Path, home: bool) -> tuple[Values, Instant]:
    if home:
        journal = BindingJournal(str(path))
        ((_, values, now),) = journal.each(clock.instant())
        journal.close()
        return values, now
    sessions = Journal(path)
    ((values, now),) = sessions.load().each(clock.instant())
    sessions.close()
    return values, now


@pytest.mark.parametrize("name", STORES)
def test_an_agent_starts_again_under_a_calendar_that_was_set(
    name: str, tmp_path: Path, clocks: Clocks
) -> None:
    """To the second what it would have been, in either direction."""
    store, home = STORES[name], name.startswith("home")
    chance = dice(f"F10 {name}")
    for number in range(runs(20)):
        new_process()
        path = tmp_path / f"{number}"
        values = store.write(clocks)
        before_s = store.left_s(values, clock.instant())
        assert before_s > 400
        for jump_s in (chance.choice(JUMPS_S), chance.choice(JUMPS_S)):
            clocks.set(jump_s)  # while it writes, and while it is down
            if not path.exists():
                written(path, values, home)
        down_s = chance.uniform(0, 300)
        clocks.pass_by(down_s)
        new_process()
        read, now = found(path, home)
        assert store.left_s(read, now) == pytest.approx(before_s - down_s, abs=0.01)
        assert now.monotonic_ns == clocks.now_ns


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize("jump_s", JUMPS_S)
def test_the_machine_starts_again_with_a_wrong_calendar(
    name: str, jump_s: int, tmp_path: Path, clocks: Clocks
) -> None:
    """There is no other clock then; but a life is not longer than what was granted."""
    store, home = STORES[name], name.startswith("home")
    values = store.write(clocks)
    granted_s = store.left_s(values, clock.instant())
    written(tmp_path / "kept", values, home)
    clocks.start_anew(off_s=60)
    clocks.set(jump_s)
    new_process()
    read, now = found(tmp_path / "kept", home)
    left_s = store.left_s(read, now)
    if jump_s > 0:
        assert left_s == 0
    elif jump_s == 0:
        assert left_s == pytest.approx(granted_s - 60, abs=0.01)
    else:
        assert 0 < left_s <= granted_s + 10  # seconds may have passed since it was granted


@pytest.mark.parametrize("jump_s", JUMPS_S)
def test_a_process_carries_the_calendar_on_by_itself(jump_s: int, clocks: Clocks) -> None:
    before = clock.instant()
    clocks.set(jump_s)
    clocks.pass_by(7)
    after = clock.instant()
    assert after.monotonic_ns - before.monotonic_ns == 7 * NS_PER_S
    assert after.unix_ns - before.unix_ns == 7 * NS_PER_S
    assert clock.origin() == Origin("first", UNIX_NS)


@pytest.mark.parametrize("jump_s", JUMPS_S)
@pytest.mark.parametrize("booted", [False, True])
def test_a_home_agent_set_back_does_not_lock_its_nodes_out(
    jump_s: int, booted: bool, clocks: Clocks
) -> None:
    """What it accepted last may lie a year ahead of it; replays are refused all the same."""
    node = MobileNode(home_address=HOME4, home_agent=AGENT4, association=SA4)
    agent = agent4(clock.instant())
    clocks.pass_by(1)
    right = Clocks(clocks.now_ns, clocks.ahead_ns)  # the node's own
    (first,) = node.register(CARE_OF4, right.instant())
    assert isinstance(first, Send)
    place = Endpoint(CARE_OF4, 1000)
    agent.receive(first.datagram, place, clock.instant())
    kept, origin = json.loads(json.dumps(agent.record(HOME4, clock.instant()))), clock.origin()
    if booted:
        clocks.start_anew(off_s=5)
        right.pass_by(5)
    clocks.set(jump_s)
    new_process()
    agent = agent4(clock.instant())
    agent.restore(HOME4, kept, origin.read(clock.instant()))
    said: list[object] = []
    for _ in range(3):
        clocks.pass_by(1)
        right.pass_by(1)
        now = right.instant()
        sends = [*(node.expire(now) if said else node.register(CARE_OF4, now))]
        while sends:
            send = sends.pop(0)
            if not isinstance(send, Send):
                said.append(send)
                continue
            for answer in agent.receive(send.datagram, place, clock.instant()):
                if isinstance(answer, Send):
                    sends += node.receive(answer.datagram, Endpoint(AGENT4, 434), right.instant())
        said.append("tried")
    assert any(isinstance(each, Registered) for each in said), said
    replayed = agent.receive(first.datagram, place, clock.instant())
    assert not any(isinstance(each, BindingAdded) for each in replayed)
