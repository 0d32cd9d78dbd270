"""The access router's agent with a real kernel: tunnels, holding, restarts, strangers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from access_router_lab import AR, AccessRouterLab, Node, access_router, second_node
from tunnel_lab import NEW, Flow, TunnelLab, has, soon

from mpa_hil.clock import instant
from mpa_hil.kernel.node_tunnel import NodeTunnel
from mpa_hil.key_delivery.messages import Presence, Withdraw
from mpa_hil.tunnel.interface import Ack, Code, Created, Deleted, Refreshed, Refused

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")


@pytest.fixture(scope="module")
def tunnels() -> Iterator[TunnelLab]:
    if not has("ipip"):
        pytest.skip("this kernel has no ipip: run it in the guest")
    with TunnelLab() as standing:
        yield standing


@pytest.fixture
def lab(tunnels: TunnelLab, tmp_path: Path) -> Iterator[AccessRouterLab]:
    tunnels.plug_into("a")
    before = tunnels.kernel("b")
    with access_router(tunnels, tmp_path) as standing:
        yield standing
    for _ in range(3):  # a guardian takes its time
        with contextlib.suppress(AssertionError):
            soon(lambda: tunnels.kernel("b") == before)
            return
    assert tunnels.kernel("b") == before


@pytest.fixture
def node(lab: AccessRouterLab) -> Iterator[tuple[Node, NodeTunnel]]:
    """The agent runs, the MN's key is there, and the MN's end stands."""
    lab.start()
    tunnels = lab.tunnels
    mobile = Node(lab, mac=tunnels.mac("mn", "wlan0"))
    lab.deliver(mobile)
    end = tunnels.node_end((NEW[4],))
    with tunnels.inside_of("mn"):
        end.create()
    try:
        yield mobile, end
    finally:
        with tunnels.inside_of("mn"):
            end.remove()


def test_a_switch_loses_nothing(lab: AccessRouterLab, node: tuple[Node, NodeTunnel]) -> None:
    """Through the tunnel, held, released on the link in order; the end mark; nothing is left."""
    mobile, end = node
    terms = mobile.create()
    assert (terms.inner, terms.router, terms.mtu) == ((NEW[4],), AR.address, 1480)
    assert terms.router_mac == lab.tunnels.mac("b", "lan")
    assert lab.event("tunnel.checked")["free"]
    assert lab.changed("tunnelled")["inner"] == [str(NEW[4])]
    flow = Flow(lab.tunnels, NEW[4])
    assert flow.down(5) == flow.arrived(5)
    switch = mobile.prepare()
    first = mobile.fire(switch.disable)
    assert first.done
    assert mobile.fire(switch.disable) == first  # again: the same answer, nothing is done twice
    there = flow.down(10)
    assert flow.arrived() == []
    end.turn()
    tunnel = lab.tunnels.udp("mn", NEW[4])
    lab.tunnels.plug_into("")
    lab.tunnels.plug_into("b")
    here = lab.tunnels.udp("mn", NEW[4], device="wlan0")
    arrived = mobile.fire(switch.arrived, here)
    assert (arrived.done, arrived.drained) == (True, False)
    there += flow.down(5)
    assert flow.arrived(len(there)) == there
    tunnel.close()
    here.sendto(switch.leave, (str(AR.address), AR.port))
    drained = mobile.client.acknowledged(here.recv(2048), switch.arrived)
    assert drained is not None
    assert drained.drained
    end.release()
    holding = lab.changed("holding")
    assert (holding["cause"], holding["before"]) == ("disable", "tunnelled")
    assert 0 < int(str(holding["answer_ns"])) < 5_000_000
    direct = lab.changed("direct")
    assert direct["held_packets"] in range(10, 25), direct
    assert direct["dropped_packets"] == 0
    assert lab.tunnels.ip("b", "neigh", "show", "proxy") == ""
    assert mobile.fire(switch.delete, here).done
    assert lab.changed("gone")["cause"] == "delete"
    back = flow.up(5)
    assert flow.arrived_far(5) == back
    assert flow.down(5) == flow.arrived(5)
    lab.end()


def test_a_switch_that_fails(lab: AccessRouterLab, node: tuple[Node, NodeTunnel]) -> None:
    """What was held comes through the tunnel after all; so it does when nobody asks for it."""
    mobile, _ = node
    mobile.create(hold_ms=300)
    flow = Flow(lab.tunnels, NEW[4])
    for asked in (True, False, True):
        switch = mobile.prepare()
        assert mobile.fire(switch.disable).done
        there = flow.down(10)
        assert not asked or flow.arrived() == []
        if asked:
            assert mobile.fire(switch.enable).done
        there += flow.down(5)
        assert flow.arrived(15) == there
    lab.event("tunnel.checked")
    states = [lab.event("tunnel.changed") for _ in range(7)]
    causes = [event["cause"] for event in states]
    assert causes[1:] == ["disable", "enable", "disable", "hold limit", "disable", "enable"]
    assert mobile.get(Deleted, mobile.client.delete(instant()))
    lab.end()


def test_the_old_network_is_lost_without_a_word(
    lab: AccessRouterLab, node: tuple[Node, NodeTunnel]
) -> None:
    """No DISABLE was heard: from ARRIVED on packets go onto the link."""
    mobile, end = node
    mobile.create()
    switch = mobile.prepare()
    end.turn()
    lab.tunnels.plug_into("b")
    here = lab.tunnels.udp("mn", NEW[4], device="wlan0")
    assert mobile.fire(switch.arrived, here) == Ack(True, drained=True)
    end.release()
    flow = Flow(lab.tunnels, NEW[4])
    assert flow.down(5) == flow.arrived(5)
    assert lab.tunnels.ip("b", "neigh", "show", "proxy") == ""
    assert mobile.fire(switch.delete, here).done
    assert flow.down(5) == flow.arrived(5)


def test_bicasting(lab: AccessRouterLab, node: tuple[Node, NodeTunnel]) -> None:
    """Nothing waits: packets go both ways, until they need go one way only (R74)."""
    mobile, _ = node
    mobile.create(bicast=True)
    switch = mobile.prepare()
    flow = Flow(lab.tunnels, NEW[4])
    assert mobile.fire(switch.disable).done
    assert flow.down(5) == flow.arrived(5)
    assert mobile.fire(switch.enable).done
    assert flow.down(5) == flow.arrived(5)
    lab.event("tunnel.checked")
    states = [lab.event("tunnel.changed")["state"] for _ in range(3)]
    assert states == ["tunnelled", "bicasting", "tunnelled"]


def test_a_full_buffer_drops_and_says_so(
    lab: AccessRouterLab, node: tuple[Node, NodeTunnel]
) -> None:
    mobile, _ = node
    mobile.create(hold_octets=8192)
    flow = Flow(lab.tunnels, NEW[4])
    switch = mobile.prepare()
    assert mobile.fire(switch.disable).done
    there = flow.down(20, 1000)
    assert mobile.fire(switch.enable).done
    came = flow.arrived(7)
    assert came == there[: len(came)]
    assert 5 <= len(came) <= 8
    lab.event("tunnel.checked"), lab.changed("tunnelled"), lab.changed("holding")
    resumed = lab.changed("tunnelled")
    assert resumed["held_packets"] == len(came)
    assert resumed["dropped_packets"] == 20 - len(came)


def test_who_may_have_what(lab: AccessRouterLab, node: tuple[Node, NodeTunnel]) -> None:
    """Two MNs with keys of their own: neither gets at what the other has (A6)."""
    mobile, _ = node
    other = second_node(lab)
    lab.say(other.install())
    lab.event("keys.held")
    mobile.create()
    for wish, code in (
        (other.wish(NEW[4]), Code.ADDRESS_IN_USE),
        (other.wish(mobile.outer), Code.NOT_YOURS),
        (mobile.wish(NEW[4] + 3), Code.NOT_YOURS),  # the outer address is not its own
        (other.wish(NEW[4] - 6), Code.NOT_YOURS),  # the router's own
        (other.wish(NEW[4] + 400), Code.NOT_YOURS),
    ):
        assert other.get(Refused, other.client.create(wish, instant())).code is code
    assert other.get(Deleted, other.client.delete(instant()))  # its own, of which there is none
    flow = Flow(lab.tunnels, NEW[4])
    assert flow.down(5) == flow.arrived(5)
    theirs = other.get(Created, other.client.create(other.wish(NEW[4] + 3), instant()))
    assert theirs.terms.inner == (NEW[4] + 3,)
    assert flow.down(5) == flow.arrived(5)


def test_an_address_that_somebody_has(lab: AccessRouterLab, node: tuple[Node, NodeTunnel]) -> None:
    """Duplicate address detection on the link (R96)."""
    mobile, _ = node
    wish = mobile.wish(NEW[4] + 1)  # the neighbour's
    assert mobile.get(Refused, mobile.client.create(wish, instant())).code is Code.ADDRESS_IN_USE
    assert not lab.event("tunnel.checked")["free"]


def test_killed_and_restarted(lab: AccessRouterLab, node: tuple[Node, NodeTunnel]) -> None:
    """The tunnel goes on without its agent, and under the next one; what was recorded before says
    nothing to it."""
    mobile, _ = node
    mobile.create()
    flow = Flow(lab.tunnels, NEW[4])
    assert flow.down(5) == flow.arrived(5)
    before = mobile.prepare()
    lab.kill()
    assert flow.down(5) == flow.arrived(5)
    ready = lab.start()
    assert (ready["restored"], ready["dropped"], ready["swept"]) == (1, 0, 3)
    lab.deliver(mobile)
    assert flow.down(5) == flow.arrived(5)
    assert mobile.fire(before.delete).stale
    assert mobile.get(Refreshed, mobile.client.refresh(mobile.outer, instant()))
    switch = mobile.prepare()
    assert mobile.fire(switch.disable).done
    lab.changed("holding")
    lab.kill()  # while it holds
    ready = lab.start()
    assert (ready["restored"], ready["swept"]) == (0, 3)
    lab.deliver(mobile)
    ack = mobile.fire(mobile.prepare().arrived)
    assert ack.stale
    ack = mobile.fire(mobile.prepare().arrived)
    assert ack.code is Code.NO_SESSION
    mobile.create()
    assert flow.down(5) == flow.arrived(5)


def test_killed_for_good(lab: AccessRouterLab, node: tuple[Node, NodeTunnel]) -> None:
    """The guardian tidies up; the fixture looks."""
    mobile, _ = node
    mobile.create()
    lab.kill()


def test_other_signs_of_arrival(lab: AccessRouterLab, node: tuple[Node, NodeTunnel]) -> None:
    """The access point's word releases what is held (R62); a key that is over ends the session."""
    mobile, _ = node
    mobile.create()
    assert mobile.fire(mobile.prepare().disable).done
    lab.event("tunnel.checked"), lab.changed("tunnelled"), lab.changed("holding")
    lab.say(Presence(mobile.key.name, True))
    assert lab.changed("direct")["cause"] == "associated"
    assert lab.tunnels.ip("b", "neigh", "show", "proxy") == ""
    lab.say(Withdraw(mobile.key.name))
    assert lab.changed("gone")["cause"] == "key withdrawn"
