"""What the kernel says of an interface that a node has come to."""

from __future__ import annotations

import struct
from ipaddress import IPv6Address
from typing import cast

import pytest

from mpa_hil.kernel.arrival import queue_works, receives
from mpa_hil.kernel.netlink import RouteSocket, attribute
from mpa_hil.kernel.objects import LINK_HEAD

NEW, OTHER = IPv6Address("2001:db8:2::7"), IPv6Address("2001:db8:1::7")
LOOPBACK = 1
LOCAL, UNICAST = 2, 1


class Kernel:
    """Gives the answers that are laid down."""

    def __init__(self, link: bytes = b"", routes: list[bytes] | None = None) -> None:
        self._link = link
        self._routes = routes or []

    def get(self, request: bytes, what: str) -> bytes:
        return self._link

    def dump(self, request: bytes, what: str) -> list[bytes]:
        return self._routes


def kernel(link: bytes = b"", routes: list[bytes] | None = None) -> RouteSocket:
    return cast(RouteSocket, Kernel(link, routes))


def local(address: IPv6Address, index: int = LOOPBACK, kind: int = LOCAL) -> bytes:
    head = struct.pack("=BBBBBBBBI", 10, 128, 0, 0, 255, 2, 0, kind, 0)
    return head + attribute(1, address.packed) + attribute(4, struct.pack("=I", index))


@pytest.mark.parametrize(
    ("state", "works"), [(0, True), (1, False), (2, False), (3, False), (5, True), (6, True)]
)
def test_the_queue_works_from_dormant_on(state: int, works: bool) -> None:
    link = LINK_HEAD.pack(0, 0, LOOPBACK, 0, 0) + attribute(16, bytes((state,)))
    assert queue_works(kernel(link), "lo") is works


def test_a_new_address_receives_when_its_own_interface_has_the_route() -> None:
    elsewhere = [local(OTHER), local(NEW, index=77), local(NEW, kind=UNICAST)]
    assert not receives(kernel(routes=elsewhere), "lo", [NEW])
    assert receives(kernel(routes=[*elsewhere, local(NEW)]), "lo", [NEW])
    assert not receives(kernel(routes=[local(NEW)]), "lo", [NEW, OTHER])
    assert receives(kernel(), "lo", [])
