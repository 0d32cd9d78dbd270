"""Answers of the kernel that do not fit: told, and never taken for those of another request."""

from __future__ import annotations

import socket
import struct

import pytest

from mpa_hil.kernel.netlink import DUMP, Overrun, RouteSocket, interface_index, message

GET_LINK = 18
MANY = 400
LEAST_OCTETS = 2304
"""SOCK_MIN_RCVBUF, about."""


def query(index: int) -> bytes:
    return message(GET_LINK, 0, struct.pack("=BxHiII", 0, 0, index, 0, 0))


def test_more_answers_than_fit() -> None:
    with RouteSocket() as route:
        route._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LEAST_OCTETS)
        with pytest.raises(Overrun, match="missing"):
            route.request(query(interface_index("lo")) * MANY, "ask too much", MANY)
        # What is asked next is answered as if nothing had been.
        found = route.get(query(interface_index("lo")), "ask once")
        assert found is not None
        assert b"lo\0" in found
        assert route.get(query(0x7FFFFFF0), "ask for nothing") is None


def test_a_list_that_changes_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = message(GET_LINK, DUMP, struct.pack("=BxHiII", 0, 0, 0, 0, 0))
    with RouteSocket() as route:
        whole, asked = route._dump, []

        def changing(request: bytes, what: str) -> list[bytes]:
            asked.append(what)
            if len(asked) < 3:
                raise Overrun(what)
            return whole(request, what)

        monkeypatch.setattr(route, "_dump", changing)
        assert any(b"lo\0" in entry for entry in route.dump(listing, "links"))
        monkeypatch.setattr(route, "_dump", lambda *_: (_ for _ in ()).throw(Overrun("links")))
        with pytest.raises(Overrun):
            route.dump(listing, "links")
