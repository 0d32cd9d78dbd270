"""UDP sockets of an asyncio agent, without asyncio's datagram transport: half the work for each."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from mpa_hil.errors import MachineError
from mpa_hil.mobility.interface import Address, Endpoint

_IP_PKTINFO = 8
_PKTINFO = struct.Struct("=i4s4s")
"""Interface, source, unused (ip(7))."""
_BURST = 64
"""Datagrams taken from one socket before others have their turn."""
_LONGEST = 65536
_BUFFER_OCTETS = 4 << 20
"""Receive buffer asked for: a burst of some thousand MNs waits in it instead of being lost."""

_KNOWN_SOURCES = 512
"""Sources whose addresses are not parsed anew for each datagram."""


class _Peer(Endpoint):
    """An endpoint that keeps its name for the socket."""

    name: tuple[str, int]


Receive = Callable[[bytes, Endpoint], None]


class UdpPort:
    """One address and port.

    Args:
        receive: called with each datagram and where it came from.
        done: called after a burst of them.

    Raises:
        MachineError: the port cannot be bound.
    """

    def __init__(
        self, address: Address, port: int, receive: Receive, done: Callable[[], None]
    ) -> None:
        self.address = address
        self._receive = receive
        self._done = done
        self._sources: dict[tuple[str, int], _Peer] = {}
        self._parse: type[IPv4Address] | type[IPv6Address] = type(address)
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_OCTETS)
        try:
            if address.version == 6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._socket.bind((str(address), port))
        except OSError as error:
            self._socket.close()
            raise MachineError(
                f"UDP port {port} cannot be bound: {error.strerror}",
                where=str(address),
                remedy="is the address this box's, and no other agent running?",
            ) from error
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._readable)

    def send_on(self, link: int, datagram: bytes, destination: Endpoint) -> None:
        """As `send`, by the interface with this index, past routes that lead elsewhere."""
        own = self.address.packed
        if self.address.version == 4:
            where = socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO.pack(link, own, bytes(4))
        else:
            where = socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, own + link.to_bytes(4, sys.byteorder)
        name = str(destination.address), destination.port
        with contextlib.suppress(OSError):
            self._socket.sendmsg([datagram], [where], 0, name)

    def send(self, datagram: bytes, destination: Endpoint) -> None:
        """Send. What cannot be sent is lost, as on the way; machines repeat what matters."""
        if isinstance(destination, _Peer):
            name = destination.name
        else:
            name = str(destination.address), destination.port
        try:
            self._socket.sendto(datagram, name)
        except OSError:
            return

    def close(self) -> None:
        """Give the port back."""
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        for _ in range(_BURST):
            try:
                datagram, source = self._socket.recvfrom(_LONGEST)
            except BlockingIOError:
                break
            except OSError:
                continue  # an ICMP error about an earlier datagram
            self._receive(datagram, self._sources.get(source) or self._endpoint(source))
        self._done()

    def _endpoint(self, source: tuple[str, int]) -> Endpoint:
        endpoint = _Peer(self._parse(source[0].partition("%")[0]), source[1])
        endpoint.name = source
        if len(self._sources) >= _KNOWN_SOURCES:  # a flood: those who stay are soon known again
            self._sources.clear()
        self._sources[source] = endpoint
        return endpoint
