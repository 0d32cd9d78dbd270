"""Mobile IPv6 with the kernel's part: tunnels, direct ways, nothing lost at a change of address."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_boxes import run
from home_lab6 import CARE_OF, CN, HA, HOME, Lab6, Mover
from test_home_tunnels import have

from tests.support.probing import PROBER, Count, counted, go

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab6]:
    if not have("ip6tnl", "local", "::1", "remote", "::2") or not have("dummy"):
        pytest.skip("this kernel has no ip6tnl or no dummy: run it in the guest")
    with Lab6(tmp_path) as standing:
        yield standing


def probe(lab: Lab6) -> list[subprocess.Popen[bytes]]:
    probers = [
        lab.spawn(box, "-c", PROBER, here, there, "1000")
        for box, here, there in (("cn", CN, HOME), ("mn", HOME, CN))
    ]
    go(*probers)
    return probers


def nothing_lost(counts: list[Count], least: int) -> None:
    cn, mn = counts
    assert cn["refused"] == mn["refused"] == 0
    assert min(cn["sent"], mn["sent"]) > least
    assert (mn["seen"], mn["twice"]) == (cn["sent"], 0), "the way to the node"
    assert (cn["seen"], cn["twice"]) == (mn["sent"], 0), "the way from the node"


def moves(mover: Mover, changes: int) -> None:
    for number in range(changes):
        mover.move(CARE_OF[(number + 1) % 5])
        if number % 5 == 4:  # all but the one left last: from there something may still come
            for old in CARE_OF[1:4]:
                mover.does("retire", old)


def test_no_packet_is_lost_at_a_change(lab: Lab6) -> None:
    """By the tunnel: probes every millisecond both ways, 50 changes."""
    lab.delay()
    before = lab.shows()
    agent, mover = lab.home_agent(), lab.mover()
    mover.does("register", CARE_OF[0])
    assert mover.hears("bound") == CARE_OF[0]
    probers = probe(lab)
    moves(mover, 50)
    nothing_lost(counted(*probers), 400)
    mover.end()
    assert agent.end() == 0
    assert lab.shows() == before


def test_no_packet_is_lost_at_a_change_of_the_direct_way(lab: Lab6) -> None:
    """With the correspondent told each time: tests, update, and the kernels' transformations."""
    lab.delay()
    before = lab.shows()
    agent, correspondent = lab.home_agent(), lab.correspondent()
    mover = lab.mover(route_optimisation=True, optimise=[CN])
    mover.does("register", CARE_OF[0])
    assert mover.hears("bound") == CARE_OF[0]
    assert mover.hears("direct") is True
    assert correspondent.event("mip6.binding")["care_of"] == CARE_OF[0]
    probers = probe(lab)
    moves(mover, 10)
    counts = counted(*probers)
    for number in range(10):
        changed = correspondent.event("mip6.binding")
        assert (changed["change"], changed["care_of"]) == ("changed", CARE_OF[(number + 1) % 5])
    mover.end()
    assert correspondent.event("mip6.binding")["reason"] == "deregistered"
    assert correspondent.end() == 0
    assert agent.end() == 0
    nothing_lost(counts, 80)
    assert lab.shows() == before


def test_a_silent_correspondent(lab: Lab6) -> None:
    """Nobody waits for it; the tunnel serves."""
    agent, mover = lab.home_agent(), lab.mover(route_optimisation=True, optimise=[CN])
    mover.does("register", CARE_OF[0])
    assert mover.hears("bound") == CARE_OF[0]
    lab.ping()
    assert mover.hears("direct") is False
    lab.ping()
    assert agent.event("mip6.binding")["change"] == "added"


def test_a_correspondent_that_restarts(lab: Lab6) -> None:
    """It has no binding any more: its kernel refuses what comes directly, it says so, and the node
    goes by the tunnel, until the correspondent knows again."""
    lab.home_agent()
    correspondent = lab.correspondent()
    mover = lab.mover(route_optimisation=True, optimise=[CN])
    mover.does("register", CARE_OF[0])
    assert mover.hears("direct") is True
    assert correspondent.end() == 0
    correspondent = lab.correspondent()
    subprocess.run(lab.inside("mn", "ping", "-c", "1", "-W", "1", "-I", HOME, CN), check=False)
    assert correspondent.event("mip6.binding")["change"] == "added"
    lab.ping("mn", CN, "-I", HOME)


def test_two_addresses_at_once(lab: Lab6) -> None:
    """RFC 5648: copies to both until one is retired."""
    agent, mover = lab.home_agent(), lab.mover(simultaneous=True)
    mover.does("register", CARE_OF[0])
    mover.hears("bound")
    assert "others" not in agent.event("mip6.binding")
    mover.move(CARE_OF[1])
    both = agent.event("mip6.binding")
    assert (both["care_of"], both["others"]) == (CARE_OF[1], [CARE_OF[0]])
    assert "DUP!" in lab.ping(), "the echo request came twice"
    mover.does("retire", CARE_OF[0])
    while (one := agent.event("mip6.binding"))["change"] == "refreshed":
        continue  # the update was sent again while the kernel was still loading modules
    assert (one["care_of"], one.get("others"), one["reason"]) == (CARE_OF[1], None, "overwritten")
    assert "DUP!" not in lab.ping()
    mover.end()
    assert agent.end() == 0


def test_a_home_address_that_somebody_has(lab: Lab6) -> None:
    lab.ip("cn", "addr", "add", f"{HOME}/64", "dev", "home", "nodad")
    agent, mover = lab.home_agent(), lab.mover()
    mover.does("register", CARE_OF[0])
    assert "somebody else" in str(mover.hears("failed", fails=True))
    assert agent.event("mip6.refused")["status"] == 134
    assert "proxy" not in lab.ip("ha", "-6", "neigh", "show", "proxy")


def test_the_home_link(lab: Lab6) -> None:
    """Nodes there find the home agent under the home address, also those that knew another."""
    lab.ip("cn", "neigh", "add", HOME, "lladdr", "02:00:00:00:00:99", "dev", "home", "nud", "stale")
    agent, mover = lab.home_agent(), lab.mover()
    mover.does("register", CARE_OF[0])
    mover.hears("bound")
    shown = lab.ip("ha", "-o", "link", "show", "dev", "home")
    mac = shown.split("link/ether ")[1].split()[0]
    assert mac in lab.ip("cn", "-6", "neigh", "show", HOME), "the advertisement took its place"
    lab.ping()
    mover.end()
    assert agent.end() == 0


def test_only_the_home_address_leaves_the_tunnel(lab: Lab6) -> None:
    """A packet with another source inside is dropped at the home agent (s10.4.5)."""
    lab.home_agent()
    mover = lab.mover()
    mover.does("register", CARE_OF[0])
    mover.hears("bound")
    lab.ip("mn", "addr", "add", "2001:db8:99::1/128", "dev", "lo", "nodad")
    tunnel = lab.ip("mn", "-6", "route", "get", CN, "from", HOME).split(" dev ")[1].split()[0]
    lab.ip("mn", "route", "add", f"{CN}/128", "dev", tunnel, "metric", "1")
    lab.ip("cn", "route", "add", "2001:db8:99::/64", "via", HA)
    ping = ("ping", "-c", "1", "-W", "1", "-I")
    lost = subprocess.run(lab.inside("mn", *ping, "2001:db8:99::1", CN), capture_output=True)
    assert lost.returncode == 1
    run(*lab.inside("mn", *ping, HOME, CN))


def test_a_killed_home_agent(lab: Lab6) -> None:
    """It goes on from its journal: the node is served before it says another word, and the old
    agent's tunnel is gone."""
    journal = str(lab.folder / "bindings")
    agent, mover = lab.home_agent(journal=journal), lab.mover()
    mover.does("register", CARE_OF[0])
    mover.hears("bound")
    agent.process.kill()
    agent.process.wait(20)
    lab.ping()  # the kernel goes on meanwhile
    again = lab.home_agent(expect="mip6.binding", journal=journal)
    assert lab.ip("ha", "-o", "link", "show", "type", "ip6tnl").count("mpah") == 1
    lab.ping()
    mover.move(CARE_OF[1])
    lab.ping()
    mover.end()
    again.event("mip6.ready")
    assert again.event("mip6.binding")["change"] == "changed"
    assert again.end() == 0
    assert "mpah" not in lab.ip("ha", "link")
