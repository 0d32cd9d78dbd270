"""A UDP socket of the mobile node for signalling, in an asyncio loop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from collections.abc import Callable

from mpa_hil.mobility.interface import Address, Endpoint

_RECEIVE_OCTETS = 4096


class AgentPort:
    """One socket at one of the node's own addresses.

    Args:
        address: the source of all that is sent; it must be on an interface.
        on_datagram: called with what comes, and from where.
        interface: leave by this one, whatever the routing table says; empty: as it says.

    Raises:
        OSError: the address is not this node's, or the interface is gone.
    """

    def __init__(
        self,
        address: Address,
        on_datagram: Callable[[bytes, Endpoint], None],
        interface: str = "",
    ) -> None:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        self.address = address
        self._on_datagram = on_datagram
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            if interface:
                name = interface.encode() + b"\0"
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
            self._socket.bind((str(address), 0))
            asyncio.get_running_loop().add_reader(self._socket, self._receive)
        except OSError:
            self._socket.close()
            raise

    @property
    def port(self) -> int:
        """Its number."""
        number: int = self._socket.getsockname()[1]
        return number

    def send(self, datagram: bytes, destination: Endpoint) -> None:
        """Send; refused for the moment, as with no route yet, is as good as lost."""
        with contextlib.suppress(OSError):
            self._socket.sendto(datagram, (str(destination.address), destination.port))

    def queued(self) -> bool:
        """Whether something that was sent is still in this node (SIOCOUTQ)."""
        octets = fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4))
        left: int = struct.unpack("=i", octets)[0]
        return left > 0

    def close(self) -> None:
        """Close it; safe to repeat."""
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()

    def _receive(self) -> None:
        with contextlib.suppress(OSError):  # an ICMP error about what was sent: it is repeated
            datagram, (host, port, *_) = self._socket.recvfrom(_RECEIVE_OCTETS)
            kind = type(self.address)
            self._on_datagram(datagram, Endpoint(kind(host.partition("%")[0]), port))
