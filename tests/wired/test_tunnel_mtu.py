"""Packets as large as a link takes, through tunnels that take less: nothing disappears unheard."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from tunnel_lab import CN, NEW, Flow, TunnelLab, has, soon

from mpa_hil.kernel.tunnel_plan import tunnel_mtu

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")

KINDS = ["plain", "esp", "wireguard"]
MIXES = [(4, 4), (4, 6), (6, 6), (6, 4)]
HEADERS = {4: 28, 6: 48}
_LEVEL = {4: socket.IPPROTO_IP, 6: socket.IPPROTO_IPV6}
_DISCOVER = {4: 10, 6: 23}
_MTU = {4: 14, 6: 24}
_NEVER, _ALWAYS = 0, 2


@pytest.fixture(scope="module")
def lab() -> Iterator[TunnelLab]:
    if not has("ipip"):
        pytest.skip("this kernel has no ipip: run it in the guest")
    with TunnelLab() as standing:
        yield standing


def forget(lab: TunnelLab) -> None:
    """What earlier tests have taught about path MTUs."""
    for box in ("cn", "core", "a", "b", "mn"):
        for family in ("-4", "-6"):
            lab.ip(box, family, "route", "flush", "cache")


def narrowed(lab: TunnelLab, mtu: int) -> None:
    """The link that only the tunnel crosses."""
    lab.ip("core", "link", "set", "ra", "mtu", str(mtu))
    lab.ip("a", "link", "set", "wan", "mtu", str(mtu))


def discover(endpoint: socket.socket, version: int, how: int) -> None:
    endpoint.setsockopt(_LEVEL[version], _DISCOVER[version], how)


def known_mtu(endpoint: socket.socket, version: int) -> int:
    return endpoint.getsockopt(_LEVEL[version], _MTU[version])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("outer", "version"), MIXES)
@pytest.mark.parametrize("narrow", [1500, 1400])
def test_sweep(lab: TunnelLab, kind: str, outer: int, version: int, narrow: int) -> None:
    """Packets that must not be cut: up to the tunnel's MTU they arrive; beyond it the sender is
    told that very MTU, so the next one that it makes fits. Packets that may be cut all arrive.
    Also where the path of the tunnel itself is narrower than the tunnel thinks."""
    forget(lab)
    narrowed(lab, narrow)
    router, node = lab.ends(kind, outer, (version,))
    lab.create(router, node)
    # WireGuard has its own packets cut where the path is narrow, and tells nobody.
    fits = tunnel_mtu(outer, router.plan.protection, 1500 if kind == "wireguard" else narrow)
    try:
        flow = Flow(lab, NEW[version])
        flow.settle()
        ways = (
            (flow.far, NEW[version], flow.near, flow.arrived),
            (flow.near, CN[version], flow.far, flow.arrived_far),
        )
        for sender, address, receiver, arrived in ways:
            to = str(address), receiver.getsockname()[1]
            sender.connect(to)
            discover(sender, version, _ALWAYS)
            if kind == "wireguard" and narrow < 1500:  # its end learns about the path first
                soon(came, sender, arrived, fits - HEADERS[version])
            for size in (1280, fits - 1, fits):
                assert sent(sender, size - HEADERS[version]), (size, fits)
                assert [len(each) for each in arrived(1)] == [size - HEADERS[version]]
            for size in (fits + 1, 1500):
                soon(refused, sender, size - HEADERS[version])
                assert arrived() == []
                learnt = known_mtu(sender, version)
                assert learnt <= fits
                assert learnt > fits - 24, "it is told what fits, not much less"
            discover(sender, version, _NEVER)
            for size in (1500 - HEADERS[version], 1450, 4000):
                soon(came, sender, arrived, size)
        flow.close()
    finally:
        lab.remove(router, node)
        narrowed(lab, 1500)


def sent(endpoint: socket.socket, size: int) -> bool:
    """Whether the sender's kernel took it for what it knows of the path."""
    try:
        endpoint.send(bytes(size))
    except OSError as error:
        if error.errno != errno.EMSGSIZE:
            raise
        return False
    return True


def refused(endpoint: socket.socket, size: int) -> bool:
    return not sent(endpoint, size)


def came(endpoint: socket.socket, arrived: Callable[[int], list[bytes]], size: int) -> bool:
    """Sent and arrived, in however many pieces."""
    return sent(endpoint, size) and size in [len(each) for each in arrived(1)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("outer", "version"), [(4, 4), (6, 6)])
def test_a_download(lab: TunnelLab, kind: str, outer: int, version: int) -> None:
    """TCP, whose segments fill 1500 octets and must not be cut, both ways."""
    forget(lab)
    router, node = lab.ends(kind, outer, (version,))
    lab.create(router, node)
    octets = 400_000
    try:
        for box, far, address in (("cn", "mn", NEW[version]), ("mn", "cn", CN[version])):
            own = CN[version] if box == "cn" else NEW[version]
            kin = socket.AF_INET if version == 4 else socket.AF_INET6
            with contextlib.ExitStack() as stack:
                ends = []
                for where in (box, far):
                    with lab.inside_of(where):
                        ends.append(stack.enter_context(socket.socket(kin, socket.SOCK_STREAM)))
                client, server = ends
                server.bind((str(address), 0))
                server.listen()
                client.bind((str(own), 0))
                client.settimeout(20)
                client.connect(server.getsockname()[:2])
                taken, _ = server.accept()
                stack.enter_context(taken).settimeout(20)
                thread = threading.Thread(target=client.sendall, args=(bytes(octets),))
                thread.start()
                got = 0
                while got < octets:
                    part = len(taken.recv(1 << 16))
                    assert part, "it ended early"
                    got += part
                thread.join()
    finally:
        lab.remove(router, node)
