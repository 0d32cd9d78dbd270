"""Two networks, a core and a mobile node that is plugged from one into the other.

    cn --- core --- a: lan 10.1.0.1 --- air: bra --.
             '----- b: lan 10.2.0.1 --- air: brb --+--- mn: wlan0
                                             '--- nb: a neighbour, 10.2.0.8

Everything the tests do in a box they do from this process, which enters its namespace for a moment.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from typing import Any

import tunnel_keys
from agent_boxes import Boxes, run

from mpa_hil.kernel.netlink import RouteSocket
from mpa_hil.kernel.node_tunnel import NextNetwork, NodeTunnel
from mpa_hil.kernel.objects import link_layer_address
from mpa_hil.kernel.router_tunnel import RouterLink, RouterTunnel
from mpa_hil.kernel.state import KernelState
from mpa_hil.kernel.tunnel_plan import Plain, Protection, TunnelPlan

Ip = IPv4Address | IPv6Address
_NEW_NET = 0x40000000
_BUFFER_FORCED = 33
"""SO_RCVBUFFORCE: what a long queue lets go at once fits."""
_LIBC = ctypes.CDLL(None, use_errno=True)
_PLAIN = Plain()

_CHANGING = r"multicast|0@NONE|expires|fe80|ff00::"
CN = {4: ip_address("10.9.0.1"), 6: ip_address("fd00:9::1")}
ROUTER_A = {4: ip_address("10.0.1.1"), 6: ip_address("fd00:a1::1")}
ROUTER_B = {4: ip_address("10.0.2.1"), 6: ip_address("fd00:a2::1")}
LAN_B = {4: ip_interface("10.2.0.1/24"), 6: ip_interface("fd00:2::1/64")}
OLD = {4: ip_address("10.1.0.7"), 6: ip_address("fd00:1::7")}
NEW = {4: ip_address("10.2.0.7"), 6: ip_address("fd00:2::7")}
NEIGHBOUR = {4: ip_address("10.2.0.8"), 6: ip_address("fd00:2::8")}

_NODE = "net.ipv4.conf.all.promote_secondaries=1"
_ROUTED = "net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"
_COMMANDS = {
    "core": """
        link add ra type veth peer name wan netns {a}
        link add rb type veth peer name wan netns {b}
        link add rc type veth peer name eth0 netns {cn}
        addr add 10.9.0.254/24 dev rc
        addr add fd00:9::254/64 dev rc nodad
        link set rc up
        addr add 10.0.1.254/24 dev ra
        addr add fd00:a1::254/64 dev ra nodad
        addr add 10.0.2.254/24 dev rb
        addr add fd00:a2::254/64 dev rb nodad
        link set ra up
        link set rb up
        route add 10.1.0.0/24 via 10.0.1.1
        route add 10.2.0.0/24 via 10.0.2.1
        route add fd00:1::/64 via fd00:a1::1
        route add fd00:2::/64 via fd00:a2::1
        """,
    "cn": """
        addr add 10.9.0.1/24 dev eth0
        addr add fd00:9::1/64 dev eth0 nodad
        link set eth0 up
        route add default via 10.9.0.254
        route add default via fd00:9::254
        """,
    "a": """
        link add lan type bridge
        link add port type veth peer name pa netns {air}
        link set port master lan up
        addr add 10.1.0.1/24 dev lan
        addr add fd00:1::1/64 dev lan nodad
        addr add 10.0.1.1/24 dev wan
        addr add fd00:a1::1/64 dev wan nodad
        link set lan up
        link set wan up
        route add default via 10.0.1.254
        route add default via fd00:a1::254
        """,
    "b": """
        link add lan type bridge
        link add port type veth peer name pb netns {air}
        link set port master lan up
        addr add 10.2.0.1/24 dev lan
        addr add fd00:2::1/64 dev lan nodad
        addr add 10.0.2.1/24 dev wan
        addr add fd00:a2::1/64 dev wan nodad
        link set lan up
        link set wan up
        route add default via 10.0.2.254
        route add default via fd00:a2::254
        """,
    "air": """
        link add bra type bridge
        link add brb type bridge
        link set pa master bra up
        link set pb master brb up
        link set bra up
        link set brb up
        link add wl type veth peer name wlan0 netns {mn}
        link set wl master bra up
        link add wn type veth peer name eth0 netns {nb}
        link set wn master brb up
        """,
    "mn": """
        addr add 10.1.0.7/24 dev wlan0
        addr add fd00:1::7/64 dev wlan0 nodad
        addr add fd00:77::7/128 dev wlan0 home nodad
        link set wlan0 up
        route add default via 10.1.0.1 metric 1003
        route add default via fd00:1::1 metric 1024
        """,
    "nb": """
        addr add 10.2.0.8/24 dev eth0
        addr add fd00:2::8/64 dev eth0 nodad
        link set eth0 up
        route add default via 10.2.0.1
        route add default via fd00:2::1
        """,
}


class TunnelLab(Boxes):
    """The boxes, and the two ends of tunnels in them."""

    def __init__(self) -> None:
        super().__init__("cn", "core", "a", "b", "air", "mn", "nb")

    def __enter__(self) -> TunnelLab:
        super().__enter__()
        self._route: dict[str, RouteSocket] = {}
        self._state: dict[str, KernelState] = {}
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _build(self) -> None:
        for box in _COMMANDS:  # an address that is being checked answers nobody for a second
            run(*self.inside(box, "sysctl", "-q", "-w", "net.ipv6.conf.default.accept_dad=0"))
        for box, commands in _COMMANDS.items():
            text = commands.format(**self._names)
            argv = ["ip", "-n", self._names[box], "-batch", "-"]
            subprocess.run(argv, input=text.encode(), check=True, timeout=60)
        for box in ("core", "a", "b"):
            run(*self.inside(box, "sysctl", "-q", "-w", *_ROUTED.split()))
        run(*self.inside("mn", "sysctl", "-q", "-w", _NODE))

    def __exit__(self, *_: object) -> None:
        for box, state in self._state.items():
            with self.inside_of(box):
                state.close()
        for route in self._route.values():
            route.close()
        super().__exit__(*_)

    @contextlib.contextmanager
    def inside_of(self, box: str) -> Iterator[None]:
        """This thread is in the box's network namespace."""
        with open("/proc/self/ns/net") as here, open(f"/run/netns/{self._names[box]}") as there:
            if _LIBC.setns(there.fileno(), _NEW_NET):
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                _LIBC.setns(here.fileno(), _NEW_NET)

    def name(self, box: str) -> str:
        """The box's network namespace."""
        return self._names[box]

    def state(self, box: str) -> KernelState:
        """The box's ledger."""
        if box not in self._state:
            with self.inside_of(box):
                self._route[box] = RouteSocket()
                self._state[box] = KernelState(self._route[box])
        return self._state[box]

    def mac(self, box: str, interface: str) -> bytes:
        state = self.state(box)
        with self.inside_of(box):
            return link_layer_address(state.route, interface)

    def router_end(
        self,
        inner: tuple[Ip, ...],
        protection: Protection = _PLAIN,
        *,
        outer: int = 4,
        device: str = "mpatpht",
        **more: Any,
    ) -> RouterTunnel:
        """At b, towards the node at a."""
        plan = TunnelPlan(device, ROUTER_B[outer], OLD[outer], inner, protection, **more)
        state, mac = self.state("b"), self.mac("mn", "wlan0")
        with self.inside_of("b"):
            return RouterTunnel(RouterLink(state, "lan"), plan, mac)

    def node_end(
        self,
        inner: tuple[Ip, ...],
        protection: Protection = _PLAIN,
        *,
        outer: int = 4,
        **more: Any,
    ) -> NodeTunnel:
        plan = TunnelPlan("mpapht", OLD[outer], ROUTER_B[outer], inner, protection, **more)
        mac = self.mac("b", "lan")
        networks = tuple(
            NextNetwork(
                ip_interface(f"{address}/{LAN_B[address.version].network.prefixlen}"),
                LAN_B[address.version].ip,
                mac,
            )
            for address in inner
        )
        state = self.state("mn")
        with self.inside_of("mn"):
            return NodeTunnel(state, plan, "wlan0", networks)

    def ends(
        self, kind: str, outer: int, families: tuple[int, ...], *, mtu: int = 0
    ) -> tuple[RouterTunnel, NodeTunnel]:
        """Both ends of a tunnel with fresh keys."""
        inner = tuple(NEW[version] for version in families)
        ours, theirs = tunnel_keys.pair(kind)
        router = self.router_end(inner, ours, outer=outer, mtu=mtu)
        return router, self.node_end(inner, theirs, outer=outer, mtu=mtu)

    def create(self, router: RouterTunnel, node: NodeTunnel) -> None:
        """Both ends, each in its box."""
        with self.inside_of("b"):
            router.create()
        with self.inside_of("mn"):
            node.create()

    def remove(self, router: RouterTunnel, node: NodeTunnel) -> None:
        with self.inside_of("b"):
            router.remove()
        with self.inside_of("mn"):
            node.remove()
        for box in ("b", "mn"):
            self.state(box).settled()

    def kernel(self, box: str) -> list[str]:
        """All that an agent might leave in a box's kernel."""
        shows = [
            "-o link",
            "-o addr",
            "rule",
            "-6 rule",
            "route show table all",
            "neigh show proxy",
        ]
        shows += ["-6 route show table all", "-6 neigh show proxy", "xfrm state", "xfrm policy"]
        found = []
        for show in shows:
            lines = self.ip(box, *show.split()).splitlines()
            if show == "-o link":
                lines = [line.split()[1] for line in lines]
            # What encapsulation brings with it, and what the kernel adds in its own time.
            lines = [line for line in lines if not re.search(_CHANGING, line)]
            found += [f"{show}: {line.strip()}" for line in sorted(lines)]
        return found

    def inject(self, box: str, interface: str, to: bytes, octets: bytes) -> None:
        """Send an IP packet as it is; `to` is the link-layer address, empty on a tunnel."""
        kind = {4: 0x0800, 6: 0x86DD}[octets[0] >> 4]
        with self.inside_of(box):
            link = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            with link:
                link.bind((interface, kind))
                if to:
                    link.sendto(octets, (interface, kind, 0, 0, to))
                else:  # an address would have to be as long as the device's, 16 octets for some
                    link.send(octets)

    def plug_into(self, network: str) -> None:
        """The node's link is at `a` or `b`, or (empty) down."""
        if not network:
            self.ip("air", "link", "set", "wl", "nomaster", "down")
            return
        self.ip("air", "link", "set", "wl", "master", f"br{network}", "up")

    def udp(self, box: str, address: Ip, port: int = 0, device: str = "") -> socket.socket:
        """A socket in a box."""
        kin = socket.AF_INET if address.version == 4 else socket.AF_INET6
        with self.inside_of(box):
            made = socket.socket(kin, socket.SOCK_DGRAM)
        self._stack.callback(made.close)
        if device:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        made.setsockopt(socket.SOL_SOCKET, _BUFFER_FORCED, 1 << 23)
        made.bind((str(address), port))
        return made


class Flow:
    """Numbered datagrams both ways between the correspondent and one address of a node."""

    def __init__(self, lab: TunnelLab, address: Ip, box: str = "mn") -> None:
        self.version = address.version
        self.far = lab.udp("cn", CN[address.version], 0)
        self.near = lab.udp(box, address, 0)
        self._sent = 0

    def close(self) -> None:
        self.far.close()
        self.near.close()

    def down(self, count: int, size: int = 0) -> list[bytes]:
        return self._send(self.far, self.near, count, size)

    def up(self, count: int, size: int = 0) -> list[bytes]:
        return self._send(self.near, self.far, count, size)

    def numbers(self, count: int) -> list[bytes]:
        """The last ones sent."""
        return [f"{number} ".encode() for number in range(self._sent - count, self._sent)]

    def arrived(self, count: int = 0) -> list[bytes]:
        """What has come to the node, once it is `count` datagrams."""
        return _received(self.near, count)

    def arrived_far(self, count: int = 0) -> list[bytes]:
        return _received(self.far, count)

    def settle(self) -> None:
        """Have it come through once each way: neighbours known, WireGuard's handshake done."""

        def both() -> bool:
            there, back = self.down(1), self.up(1)
            return self.arrived(1)[-1:] == there and self.arrived_far(1)[-1:] == back

        soon(both)

    def _send(self, source: socket.socket, to: socket.socket, count: int, size: int) -> list[bytes]:
        numbers = [f"{self._sent + n} ".encode().ljust(size, b".") for n in range(count)]
        self._sent += count
        for number in numbers:
            source.sendto(number, to.getsockname())
        return numbers


def _received(endpoint: socket.socket, count: int) -> list[bytes]:
    found: list[bytes] = []
    endpoint.settimeout(2.0)
    with contextlib.suppress(TimeoutError):
        while len(found) < count:
            found.append(endpoint.recv(65535))
    endpoint.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(endpoint.recv(65535))
    return found


def soon(done: Callable[..., bool], *arguments: object) -> None:
    """Ask until it says yes: what the kernel does a moment after a call."""
    limit = time.monotonic() + 5.0
    while not done(*arguments):
        assert time.monotonic() < limit
        time.sleep(0.002)


def has(kind: str) -> bool:
    """Whether this kernel makes such devices."""
    name = f"mpatest{os.getpid() % 1000}"
    argv = ["ip", "link", "add", name, "type", kind]
    if kind in ("ipip", "sit"):
        argv += ["remote", "192.0.2.1", "local", "192.0.2.2"]
    if subprocess.run(argv, capture_output=True, timeout=60).returncode:
        return False
    run("ip", "link", "del", name)
    return True


def datagram(source: Ip, to: tuple[Ip, int], data: bytes) -> bytes:
    """A whole IP packet with a UDP datagram."""
    address, port = to
    udp = struct.pack("!HHHH", 9, port, 8 + len(data), 0) + data
    if source.version == 6:
        pseudo = source.packed + address.packed + struct.pack("!II", len(udp), 17)
        udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp) or 0xFFFF) + udp[8:]
    return encapsulated(source, address, 17, udp)


def encapsulated(source: Ip, to: Ip, protocol: int, octets: bytes) -> bytes:
    """An IP packet round anything."""
    if source.version == 6:
        head = struct.pack("!IHBB", 6 << 28, len(octets), protocol, 64)
        return head + source.packed + to.packed + octets
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(octets), 0, 0, 64, protocol, 0)
    head += source.packed + to.packed
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + octets


def checksum(octets: bytes) -> int:
    """The Internet checksum."""
    octets += b"\0" * (len(octets) % 2)
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
