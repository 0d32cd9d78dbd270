"""Row F14: within a second a crowd of mobile nodes switches to one access router.

Eight nodes, a hundred in the whole campaign. Each has a link of its own, which is plugged from one
bridge into the other; what comes through its tunnel is unpacked by the kernel's common `tunl0`. The
access router's agent is the real one, on a real kernel.
"""

from __future__ import annotations

import heapq
import os
import select
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import pytest
from access_router_lab import AR, AccessRouterLab, Node, access_router
from agent_boxes import PATIENCE_S
from tunnel_lab import CN, Ip, TunnelLab, has

from mpa_hil.clock import instant
from mpa_hil.kernel.netlink import RouteSocket, interface_index, message, u32
from mpa_hil.mobility.interface import Send
from mpa_hil.tunnel.interface import Created, NodeOutput, PreparedSwitch

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")

COUNT = 100 if os.environ.get("MPA_HIL_CAMPAIGN") == "whole" else 8
WITHIN_S = 1.0
SPACING_S = 0.05
"""Between two packets for a node."""
AGAIN_S = 0.2
PORT = 4000
_RTM_SETLINK, _IFLA_MASTER = 19, 10
_AR = (str(AR.address), AR.port)


@dataclass
class Walker:
    """One node: its link, its addresses, its client, and what it heard."""

    number: int
    lab: AccessRouterLab
    sent: int = 0
    created_s: float = 0.0
    switched_s: float = 0.0
    began_s: float = 0.0
    switch: PreparedSwitch | None = None
    wanted: bytes = b""
    """The prepared datagram whose acknowledgement is waited for."""
    heard: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        tunnels, number = self.lab.tunnels, self.number
        self.outer: Ip = ip_address("10.1.0.20") + number
        self.inner: Ip = ip_address("10.2.0.20") + number
        self.device = f"w{number}"
        self.old = tunnels.udp("mn", self.outer, device=self.device)
        self.here = tunnels.udp("mn", self.inner, device=self.device)
        self.ears = tunnels.udp("mn", self.inner, PORT)
        for each in (self.old, self.here, self.ears):
            each.setblocking(False)
        mac = tunnels.mac("mn", self.device)
        self.node = Node(self.lab, f"mn{number}@home.example", self.outer, mac)

    def listen(self) -> None:
        while True:
            try:
                self.heard.append(int(self.ears.recv(99)))
            except BlockingIOError:
                return


class Crowd:
    """All of them on one clock, in one thread."""

    def __init__(self, lab: AccessRouterLab, count: int) -> None:
        self.walkers = [Walker(number, lab) for number in range(count)]
        self._plugs = Plugs(lab.tunnels, count)
        self._cn = lab.tunnels.udp("cn", CN[4])
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._left = 0
        self._sockets: dict[socket.socket, Walker] = {}
        lab.deliver(*(walker.node for walker in self.walkers))

    def at(self, when_s: float, do: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._agenda, (when_s, self._order, do))

    def all(self, begin: Callable[[Walker], None], walkers: list[Walker]) -> None:
        """Each begins in its turn, within a second; until all are done."""
        self._left = len(walkers)
        now_s = time.monotonic()
        for place, walker in enumerate(walkers):
            self.at(now_s + WITHIN_S * place / len(walkers), lambda one=walker: begin(one))
        self._run(lambda: not self._left, PATIENCE_S)

    def _run(self, done: Callable[[], bool], bound_s: float) -> None:
        limit_s = time.monotonic() + bound_s
        while not done():
            now_s = time.monotonic()
            assert now_s < limit_s, "it takes too long"
            while self._agenda and self._agenda[0][0] <= now_s:
                heapq.heappop(self._agenda)[2]()
            wait_s = max(0.0, self._agenda[0][0] - time.monotonic()) if self._agenda else 0.1
            ready, _, _ = select.select(list(self._sockets), [], [], min(wait_s, 0.1))
            for each in ready:
                self._receive(self._sockets[each], each)

    def rest(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        self._run(lambda: time.monotonic() >= end_s, seconds + PATIENCE_S)

    def end(self) -> None:
        """No more packets; what is under way comes."""
        self._agenda.clear()
        self.rest(0.5)

    # --- the stream

    def stream(self, walker: Walker) -> None:
        """A packet for it, and the next one a little later."""
        self._cn.sendto(b"%d" % walker.sent, (str(walker.inner), PORT))
        walker.sent += 1
        self.at(time.monotonic() + SPACING_S, lambda: self.stream(walker))

    # --- tunnels

    def create(self, walker: Walker) -> None:
        walker.began_s = time.monotonic()
        self._sockets[walker.old] = walker
        self._carry_out(
            walker, walker.node.client.create(walker.node.wish(walker.inner), instant())
        )

    def _carry_out(self, walker: Walker, outputs: tuple[NodeOutput, ...]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                walker.old.sendto(output.datagram, _AR)
            elif not walker.created_s:
                assert isinstance(output, Created), output
                walker.created_s = time.monotonic() - walker.began_s
                self._left -= 1
        due_ns = walker.node.client.next_deadline()
        if due_ns is not None and not walker.created_s:
            again = walker.node.client.expire
            self.at(due_ns / 1e9, lambda: self._carry_out(walker, again(instant())))

    # --- the switch

    def leave(self, walker: Walker) -> None:
        walker.began_s = time.monotonic()
        walker.switch = walker.node.prepare()
        self._fire(walker, walker.old, walker.switch.disable)

    def _fire(self, walker: Walker, by: socket.socket, datagram: bytes) -> None:
        walker.wanted = datagram

        def send() -> None:
            if walker.wanted is datagram:
                by.sendto(datagram, _AR)
                self.at(time.monotonic() + AGAIN_S, send)

        send()

    def _receive(self, walker: Walker, by: socket.socket) -> None:
        octets = by.recv(2048)
        if walker.switch is None:
            self._carry_out(walker, walker.node.client.receive(octets, instant()))
            return
        ack = walker.node.client.acknowledged(octets, walker.wanted) if walker.wanted else None
        if ack is None:
            return
        assert ack.done, ack
        if walker.wanted is walker.switch.disable:
            self._plugs.into_b(walker.number)
            self._sockets[walker.here] = walker
            self._fire(walker, walker.here, walker.switch.arrived)
        else:
            walker.wanted = b""
            walker.switched_s = time.monotonic() - walker.began_s
            by.sendto(walker.switch.leave, _AR)
            self._left -= 1


def link_up(tunnels: TunnelLab, count: int) -> None:
    """So many links from the box `mn`, on network a, with addresses of both networks.

    What leaves from an address of b goes to b's router; both are known by name from the start, so
    that nobody has to be asked for after a move.
    """
    gateways = {"a": "10.1.0.1", "b": "10.2.0.1"}
    macs = {box: tunnels.mac(box, "lan").hex(":") for box in gateways}
    air, mn = [], ["rule add from 10.2.0.0/24 lookup 77", "link set tunl0 up"]
    for n in range(count):
        air.append(f"link add wl{n} type veth peer name w{n} netns {tunnels.name('mn')}")
        air.append(f"link set wl{n} master bra up")
        mn += [f"link set w{n} up", f"addr add 10.1.0.{20 + n}/32 dev w{n}"]
        mn.append(f"addr add 10.2.0.{20 + n}/32 dev w{n}")
        for box, table in (("a", "main"), ("b", "77")):
            gateway = gateways[box]
            mn.append(f"neigh add {gateway} lladdr {macs[box]} dev w{n} nud permanent")
            way = f"via {gateway} dev w{n} onlink metric {3000 + n} table {table}"
            mn.append(f"route add default {way}")
    for box, lines in (("air", air), ("mn", mn)):
        argv = ["ip", "-n", tunnels.name(box), "-batch", "-"]
        subprocess.run(argv, input="\n".join(lines).encode(), check=True, timeout=60)


class Plugs:
    """The other ends of the nodes' links."""

    def __init__(self, tunnels: TunnelLab, count: int) -> None:
        with tunnels.inside_of("air"):
            self._route = RouteSocket()
            self._to = interface_index("brb")
            self._links = [interface_index(f"wl{n}") for n in range(count)]

    def into_b(self, number: int) -> None:
        head = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, self._links[number], 0, 0)
        move = message(_RTM_SETLINK, 0, head + u32(_IFLA_MASTER, self._to))
        self._route.request(move, "plug a node in")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[AccessRouterLab]:
    if not has("ipip"):
        pytest.skip("this kernel has no ipip: run it in the guest")
    with TunnelLab() as tunnels:
        wanted = [f"net.ipv4.conf.{which}.arp_ignore=1" for which in ("all", "default")]
        subprocess.run(tunnels.inside("mn", "sysctl", "-q", "-w", *wanted), check=True, timeout=60)
        link_up(tunnels, COUNT + 1)
        with access_router(tunnels, tmp_path) as standing:
            standing.start()
            yield standing


def nobody_waits_for(lab: AccessRouterLab) -> None:
    """The agent's events go nowhere: a full pipe would stop it."""
    assert lab.agent is not None
    assert lab.agent.process.stdout is not None
    descriptor = lab.agent.process.stdout.fileno()

    def drain() -> None:
        while os.read(descriptor, 65536):
            pass

    threading.Thread(target=drain, daemon=True).start()


def test_a_crowd_switches_within_a_second(lab: AccessRouterLab) -> None:
    """Nobody loses a packet, and in the crowd neither a tunnel nor a switch takes more than three
    times as long as alone, at the 99th percentile (G4, F14)."""
    crowd = Crowd(lab, COUNT + 1)
    nobody_waits_for(lab)
    alone, others = crowd.walkers[:1], crowd.walkers[1:]
    for walkers in (alone, others):
        crowd.all(crowd.create, walkers)
    for walker in crowd.walkers:
        crowd.stream(walker)
    crowd.rest(1.0)
    for walkers in (alone, others):
        crowd.all(crowd.leave, walkers)
    crowd.rest(0.5)
    crowd.end()
    for walker in crowd.walkers:
        walker.listen()
        assert walker.heard == list(range(walker.sent)), walker.number
    for what in ("created_s", "switched_s"):
        single = getattr(alone[0], what)
        times = sorted(getattr(walker, what) for walker in others)
        middle, p99 = times[len(times) // 2], times[-(-99 * len(times) // 100) - 1]
        print(f"{what}: alone {1e3 * single:.1f} ms, of {len(times)} at once: median ", end="")
        print(f"{1e3 * middle:.1f}, p99 {1e3 * p99:.1f}, most {1e3 * times[-1]:.1f} ms")
        assert p99 <= 3 * single, (what, single, middle, times)
        assert times[-1] < AGAIN_S or what == "created_s", times
