"""The next network's link while a node is elsewhere and when it comes: capture, proxies,
announcements, advertisements through the tunnel; copies, forwarding by the old router, limits."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from ipaddress import IPv6Network, ip_address

import pytest
from tunnel_lab import (
    LAN_B,
    NEIGHBOUR,
    NEW,
    OLD,
    ROUTER_A,
    ROUTER_B,
    Flow,
    TunnelLab,
    has,
    soon,
)

from mpa_hil.kernel.filters import Match
from mpa_hil.kernel.neighbour_discovery import Prefix, RouterAdvertisement, link_local
from mpa_hil.kernel.netlink import NetlinkSocket
from mpa_hil.kernel.router_tunnel import RouterLink, RouterTunnel
from mpa_hil.kernel.tunnel_advertisement import AdvertisementSocket
from mpa_hil.kernel.tunnel_end import TunnelEnd
from mpa_hil.kernel.tunnel_plan import TunnelPlan
from mpa_hil.kernel.warming import warm_up

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")


def waits(router: RouterTunnel, packets: int) -> bool:
    return router.backlog().packets == packets


@pytest.fixture(scope="module")
def standing() -> Iterator[TunnelLab]:
    if not has("ipip"):
        pytest.skip("this kernel has no ipip: run it in the guest")
    with TunnelLab() as lab:
        yield lab


@pytest.fixture
def lab(standing: TunnelLab) -> Iterator[TunnelLab]:
    standing.plug_into("a")
    boxes = ("a", "b", "mn")
    before = [standing.kernel(box) for box in boxes]
    yield standing
    for box, was in zip(boxes, before, strict=True):
        assert standing.kernel(box) == was


@pytest.mark.parametrize("version", [4, 6])
def test_its_neighbours_find_it(lab: TunnelLab, version: int) -> None:
    """A node of the candidate network talks to one that is elsewhere, then to the same one here: it
    has the router's MAC, then the node's, which it is told (R59, R103; no longer than that)."""
    router, node = lab.ends("plain", 4, (version,))
    lab.create(router, node)
    here = lab.udp("nb", NEIGHBOUR[version])
    there = lab.udp("mn", NEW[version])

    def heard(data: bytes) -> bool:
        here.sendto(data, there.getsockname())
        there.settimeout(1.0)
        try:
            return there.recv(99) == data
        except TimeoutError:
            return False

    def known() -> str:
        words = lab.ip("nb", "neigh", "show", str(NEW[version])).split()
        return words[words.index("lladdr") + 1] if "lladdr" in words else ""

    def announced() -> bool:
        node.announce()
        return known() == lab.mac("mn", "wlan0").hex(":")

    try:
        soon(heard, b"through the tunnel")
        assert known() == lab.mac("b", "lan").hex(":")
        router.hold()
        node.turn()
        here.sendto(b"held", there.getsockname())
        lab.plug_into("b")
        assert str(NEW[version]) in lab.ip("b", f"-{version}", "neigh", "show", "proxy")
        router.direct()
        assert not lab.ip("b", f"-{version}", "neigh", "show", "proxy")
        node.release()
        there.settimeout(2.0)
        assert there.recv(99) == b"held"
        with lab.inside_of("mn"):
            soon(node.settle)
        # IPv6: only with Override, when the address is no longer optimistic.
        soon(announced)
        with lab.inside_of("b"):
            soon(router.settle)
        assert heard(b"on the link")
    finally:
        lab.remove(router, node)
        here.close()
        there.close()
        lab.ip("b", f"-{version}", "neigh", "flush", "dev", "lan")


def test_advertised_through_the_tunnel(lab: TunnelLab) -> None:
    """R63, R68: what is on the link at the other end, by the router's link-local address there."""
    for outer in (4, 6):
        router, node = lab.ends("esp", outer, (4, 6))
        lab.create(router, node)
        mac = lab.mac("b", "lan")
        prefix = Prefix(IPv6Network("fd00:2::/64"), 86400, 14400)
        said = RouterAdvertisement(1800, (prefix,), mtu=1400, link_layer=mac)
        try:
            with lab.inside_of("b"):
                sender = AdvertisementSocket("mpatpht")
            with lab.inside_of("mn"):
                receiver = AdvertisementSocket("mpapht")
            sender.send(link_local(mac), said)
            found: list[RouterAdvertisement] = []

            def came(found: list[RouterAdvertisement], receiver: AdvertisementSocket) -> bool:
                heard = receiver.receive()
                found += [heard[0]] if heard else []
                return bool(found)

            soon(came, found, receiver)
            assert found == [said]
            assert receiver.receive() is None
            assert "fd00:2::/64" not in lab.ip("mn", "-6", "route", "show", "table", "main")
            sender.close()
            receiver.close()
        finally:
            lab.remove(router, node)


@pytest.mark.parametrize(("outer", "version"), [(4, 4), (6, 6)])
def test_past_and_through(lab: TunnelLab, outer: int, version: int) -> None:
    """While packets wait, a socket bound to the tunnel still sends through it (the end marker), and
    one bound to the interface straight onto the link (the notice of arrival)."""
    router, node = lab.ends("esp", outer, (version,))
    lab.create(router, node)
    try:
        flow = Flow(lab, NEW[version])
        flow.settle()
        through = lab.udp("mn", NEW[version], device="mpapht")
        past = lab.udp("mn", NEW[version], device="wlan0")
        node.turn()
        router.hold()
        flow.up(1)
        far = flow.far.getsockname()
        through.sendto(b"last", far)
        assert flow.arrived_far(1) == [b"last"]
        lab.plug_into("b")
        agent = lab.udp("b", LAN_B[version].ip)
        past.sendto(b"here", agent.getsockname())
        agent.settimeout(2.0)
        assert agent.recv(99) == b"here"
        assert node.backlog().packets == 1
        for each in (through, past, agent):
            each.close()
        flow.close()
    finally:
        lab.remove(router, node)


def test_copies(lab: TunnelLab) -> None:
    """R74: through the tunnel and onto the link at once; then only onto the link."""
    router, node = lab.ends("plain", 4, (4,))
    lab.create(router, node)
    try:
        flow = Flow(lab, NEW[4])
        flow.settle()
        with lab.inside_of("air"):
            link = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            link.bind(("pb", 0x0003))  # every protocol: seen before the bridge takes it
        link.settimeout(2.0)
        router.bicast()
        assert flow.down(3) == flow.arrived(3)
        copies: list[bytes] = []
        while len(copies) < 3:
            packet = link.recv(2048)
            copies += [packet[28:]] if packet[9] == socket.IPPROTO_UDP else []
        assert copies == flow.numbers(3)
        lab.plug_into("b")
        router.direct()
        node.turn()
        node.release()
        there = flow.down(3)
        assert flow.arrived(3) == there, "once"
        link.close()
        flow.close()
    finally:
        lab.remove(router, node)


def test_detained_and_forwarded(lab: TunnelLab) -> None:
    """R73: the old router holds what comes for the old address, and forwards it to the new one."""
    state, mac = lab.state("a"), lab.mac("mn", "wlan0")
    old, flow = OLD[4], Flow(lab, OLD[4])
    flow.settle()
    with lab.inside_of("a"):
        plan = TunnelPlan("mpatold", ROUTER_A[4], NEW[4], (old,))
        router = RouterTunnel(RouterLink(state, "lan"), plan, mac, capture=False)
        router.create()
    assert flow.down(3) == flow.arrived(3), "nothing is changed yet"
    router.hold()
    held = flow.down(10)
    assert flow.arrived() == []
    lab.plug_into("b")
    lab.ip("mn", "addr", "add", "10.2.0.7/24", "dev", "wlan0")
    lab.ip("mn", "route", "replace", "10.0.0.0/8", "via", "10.2.0.1")
    receiving = TunnelPlan("mpaold", NEW[4], ROUTER_A[4], (old,))
    with lab.inside_of("mn"):
        end = TunnelEnd(lab.state("mn"), receiving, [(Match(4, destination=old), True)], [])
        end.create()
    router.resume()
    held += flow.down(5)
    assert flow.arrived(15) == held
    soon(router.restage)
    assert flow.down(5) == flow.arrived(5)
    with lab.inside_of("a"):
        router.remove()
        state.settled()
    with lab.inside_of("mn"):
        end.remove()
        lab.state("mn").settled()
    lab.ip("mn", "route", "del", "10.0.0.0/8")
    lab.ip("mn", "addr", "del", "10.2.0.7/24", "dev", "wlan0")
    flow.close()


@pytest.mark.parametrize("kind", ["plain", "esp", "wireguard"])
@pytest.mark.parametrize("outer", [4, 6])
def test_another_outer_address(lab: TunnelLab, kind: str, outer: int) -> None:
    """The node gets another address in its old network; keys and counters stay, and no packet that
    is sent afterwards is lost."""
    router, node = lab.ends(kind, outer, (4, 6))
    lab.create(router, node)
    other = {4: ip_address("10.1.0.77"), 6: ip_address("fd00:1::77")}[outer]
    prefix = 24 if outer == 4 else 64
    try:
        flows = [Flow(lab, NEW[version]) for version in (4, 6)]
        for flow in flows:
            flow.settle()
        lab.ip("mn", "addr", "add", f"{other}/{prefix}", "dev", "wlan0", *["nodad"] * (outer == 6))
        lab.ip("mn", "addr", "del", f"{OLD[outer]}/{prefix}", "dev", "wlan0")
        with lab.inside_of("mn"):
            node.move(other)
        with lab.inside_of("b"):
            router.move(other)
        for flow in flows:
            flow.settle()
            assert flow.up(5) == flow.arrived_far(5)
            assert flow.down(5) == flow.arrived(5)
            flow.close()
        if kind == "esp":
            assert f"src {OLD[outer]} " not in lab.ip("b", "xfrm", "policy")
    finally:
        lab.remove(router, node)
        dad = ["nodad"] * (outer == 6)
        lab.ip("mn", "addr", "add", f"{OLD[outer]}/{prefix}", "dev", "wlan0", *dad)
        lab.ip("mn", "addr", "del", f"{other}/{prefix}", "dev", "wlan0")
        if outer == 4:
            lab.ip("mn", *["route", "replace", "default", "via", "10.1.0.1", "metric", "1003"])


@pytest.mark.parametrize("protected", [False, True])
def test_one_that_nobody_asked_for_leaves_nothing(lab: TunnelLab, protected: bool) -> None:
    """One of each family is made, and gone; the fixture looks at what the kernel has."""
    own = (ROUTER_B[4], ROUTER_B[6], LAN_B[4].ip)
    with lab.inside_of("b"):
        assert warm_up(RouterLink(lab.state("b"), "lan"), own, protected=protected) == 2


def test_what_is_too_much_is_counted(lab: TunnelLab) -> None:
    node = lab.node_end((NEW[4],))
    small = lab.router_end((NEW[4],), hold_octets=5000)
    lab.create(small, node)
    try:
        flow = Flow(lab, NEW[4])
        flow.settle()
        small.hold()
        sent = flow.down(30, size=400)
        soon(lambda: small.backlog().packets + small.backlog().dropped == 30)
        backlog = small.backlog()
        assert 0 < backlog.octets <= 5000
        small.resume()
        assert flow.arrived(backlog.packets) == sent[: backlog.packets]
        flow.close()
    finally:
        lab.remove(small, node)


def test_a_long_queue(lab: TunnelLab) -> None:
    """Nearly as many packets as a processor's backlog takes (1000), and so each of these wires."""
    node, router = lab.node_end((NEW[4],)), lab.router_end((NEW[4],), hold_octets=1 << 20)
    lab.create(router, node)
    try:
        flow = Flow(lab, NEW[4])
        flow.settle()
        for arrives in (False, True):
            router.hold()
            held = flow.down(900)
            soon(waits, router, 900)
            if arrives:
                lab.plug_into("b")
                router.direct()
            else:
                router.resume()
            assert flow.arrived(900) == held
            if not arrives:
                soon(router.restage)
        flow.close()
    finally:
        lab.remove(router, node)


def test_each_step_of_a_switch_is_one_send(lab: TunnelLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of octets that were there before, and with two addresses as with one."""
    sent: list[bytes] = []
    request = NetlinkSocket.request

    def counted(self: NetlinkSocket, messages: bytes, what: str, count: int = 1) -> None:
        sent.append(messages)
        request(self, messages, what, count)

    router, node = lab.ends("esp", 4, (4, 6))
    lab.create(router, node)
    monkeypatch.setattr(NetlinkSocket, "request", counted)
    try:
        for _ in range(2):
            for step in (router.hold, node.turn, router.resume, node.back):
                step()
            assert len(sent) == 4
            soon(router.restage)
            soon(node.restage)
            assert len(sent) == 6
            again, sent[:] = sent[:], []
        for step in (router.hold, node.turn, router.direct, node.release):
            step()
        assert len(sent) == 4
        assert sent[:2] == again[:2]
    finally:
        lab.remove(router, node)
