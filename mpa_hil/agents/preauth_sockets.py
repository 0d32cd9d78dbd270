"""The mobile node's sockets to authentication agents, and its address towards each of them.

Each network has its own socket, so nothing of one session can be taken for another's, and the agent
tells them apart by port. They are bound to no address: the routing table knows the one that is good
now, and a message that is repeated after a move leaves from the new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from ipaddress import ip_address

from mpa_hil.mobility.interface import Endpoint

_RECEIVE_OCTETS = 9000
_BATCH = 64
"""Datagrams read at a stretch, so that a flood on one socket cannot starve the rest."""
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_ADDRESS_PREFERENCES, _CARE_OF = 72, 4
"""IPV6_ADDR_PREFERENCES, IPV6_PREFER_SRC_COA (linux/in6.h; RFC 5014): by itself the kernel sends
from the home address, which this is not about."""
_SETTLE_S = 0.005
"""Address and routes come as several netlink messages; they are looked at once."""
_NETLINK_GROUPS = 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP_IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE (linux/rtnetlink.h)."""

OnDatagram = Callable[[str, bytes, Endpoint], None]


class Sockets:
    """UDP sockets by network and address family.

    Args:
        on_datagram: called with realm, datagram and source.
    """

    def __init__(self, on_datagram: OnDatagram) -> None:
        self._on_datagram = on_datagram
        self._loop = asyncio.get_running_loop()
        self._open: dict[tuple[str, int], socket.socket] = {}
        self._peers: dict[str, Endpoint] = {}

    def send(self, realm: str, datagram: bytes, destination: Endpoint) -> str:
        """Send; why it could not be, or an empty text. As good as lost then: it is repeated."""
        self._peers[realm] = destination
        key = (realm, destination.address.version)
        try:
            if key not in self._open:
                self._open[key] = self._make(*key)
            self._open[key].sendto(datagram, (str(destination.address), destination.port))
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def close(self, realm: str) -> None:
        """Close a network's sockets; none open is fine."""
        self._peers.pop(realm, None)
        for key in [key for key in self._open if key[0] == realm]:
            opened = self._open.pop(key)
            self._loop.remove_reader(opened)
            opened.close()

    def close_all(self) -> None:
        """Close every socket."""
        for realm in {realm for realm, _ in self._open}:
            self.close(realm)

    def sources(self) -> dict[str, str]:
        """This node's address towards each network's agent; no entry where there is no route."""
        found = {}
        for realm, peer in self._peers.items():
            address = source_address(peer)
            if address:
                found[realm] = address
        return found

    def _make(self, realm: str, version: int) -> socket.socket:
        opened = _socket(version)
        opened.setblocking(False)
        self._loop.add_reader(opened, self._receive, realm, opened)
        return opened

    def _receive(self, realm: str, opened: socket.socket) -> None:
        for _ in range(_BATCH):
            try:
                datagram, (address, port, *_) = opened.recvfrom(_RECEIVE_OCTETS)
            except OSError:
                return  # nothing more, or an ICMP error about something sent
            self._on_datagram(realm, datagram, Endpoint(ip_address(address.split("%")[0]), port))
            if opened.fileno() < 0:
                return  # that was its end


def source_address(peer: Endpoint) -> str:
    """The address that the kernel would send from; empty where it has no route."""
    with _socket(peer.address.version) as probe:
        try:
            probe.connect((str(peer.address), peer.port))
            return str(probe.getsockname()[0])
        except OSError:
            return ""


def _socket(version: int) -> socket.socket:
    """One that sends from the care-of address."""
    opened = socket.socket(_FAMILIES[version], socket.SOCK_DGRAM)
    if version == 6:
        opened.setsockopt(socket.IPPROTO_IPV6, _ADDRESS_PREFERENCES, _CARE_OF)
    return opened


class AddressWatch:
    """Calls back when addresses or routes of this box have changed."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        try:
            self._socket.bind((0, _NETLINK_GROUPS))
        except OSError:
            self._socket.close()
            raise
        self._loop.add_reader(self._socket, self._readable)

    def close(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        # What changed is asked of the routing table, so an overrun (ENOBUFS) loses nothing.
        with contextlib.suppress(OSError):
            while self._socket.recv(65536):
                pass
        if self._timer is None:
            self._timer = self._loop.call_later(_SETTLE_S, self._tell)

    def _tell(self) -> None:
        self._timer = None
        self._on_change()
