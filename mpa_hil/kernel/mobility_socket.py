"""A raw socket for Mobility Headers, with what of the packet around them counts (RFC 6275 s6).

The kernel exchanges the addresses of a packet with a Home Address option or a type 2 routing header
before it hands it on, and shows the exchanged ones in the headers: here they go back.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv6Address

from mpa_hil.mobility.mip6.messages import Packet, checksum_holds, with_checksum
from mpa_hil.mobility.mip6.numbers import MOBILITY_HEADER
from radios.errors import MachineError

_RECEIVE_OCTETS = 2048
_ANCILLARY_OCTETS = 512
_IPV6_RECVERR = 25
_CHECKSUM_BY_US = -1
_HOME_ADDRESS_OPTION = 201
_HOP_LIMIT = 64
_TYPE_2 = 2


class MobilitySocket:
    """Sends and receives Mobility Headers.

    Args:
        address: the only one to receive at; None: every address of this machine.

    Raises:
        MachineError: no raw socket, or no such address.
    """

    def __init__(self, address: IPv6Address | None = None) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            self._socket = socket.socket(socket.AF_INET6, kind, MOBILITY_HEADER)
            for option in (
                socket.IPV6_RECVPKTINFO,
                socket.IPV6_RECVDSTOPTS,
                socket.IPV6_RECVRTHDR,
            ):
                self._socket.setsockopt(socket.IPPROTO_IPV6, option, 1)
            # The kernel's own would take the addresses on the wire, not those that count.
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_CHECKSUM, _CHECKSUM_BY_US)
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, _HOP_LIMIT)
            if address is not None:
                self._socket.bind((str(address), 0))
        except OSError as error:
            raise MachineError(
                f"no socket for Mobility Headers: {error.strerror}",
                where=str(address or "IPv6"),
                remedy="run it as root, on a machine with IPv6 and that address",
            ) from error

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        """Close it; safe to repeat."""
        self._socket.close()

    def send(self, packet: Packet) -> None:
        """Send a packet, its checksum filled in.

        Raises:
            OSError: the kernel refused; it is as good as lost on the way.
        """
        speaker = packet.source if packet.home is None else packet.home
        header = with_checksum(packet.header, speaker, packet.destination)
        ancillary = [
            (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, packet.source.packed + struct.pack("=i", 0))
        ]
        if packet.home is not None:
            ancillary.append((socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, _option(packet.home)))
        if packet.via is not None:
            ancillary.append((socket.IPPROTO_IPV6, socket.IPV6_RTHDR, _routing(packet.via)))
        self._socket.sendmsg([header], ancillary, 0, (str(packet.destination), 0))

    def receive(self) -> Packet | None:
        """The next packet, or None: nothing is there, or what is there has a wrong checksum.

        Raises:
            BlockingIOError: nothing is there.
        """
        header, ancillary, _, (name, *_) = self._socket.recvmsg(_RECEIVE_OCTETS, _ANCILLARY_OCTETS)
        speaker = IPv6Address(name.partition("%")[0])
        destination, care_of, via = None, None, None
        for level, kind, octets in ancillary:
            if level != socket.IPPROTO_IPV6:
                continue
            if kind == socket.IPV6_PKTINFO:
                destination = IPv6Address(octets[:16])
            elif kind == socket.IPV6_DSTOPTS:
                care_of = _home_address_option(octets)
            elif kind == socket.IPV6_RTHDR and len(octets) == 24 and octets[2] == _TYPE_2:
                via = IPv6Address(octets[8:])
        if destination is None or not checksum_holds(header, speaker, destination):
            return None
        if care_of is None:
            return Packet(header, speaker, destination, via=via)
        return Packet(header, care_of, destination, home=speaker, via=via)

    def packets(self) -> Iterator[Packet]:
        """All packets that are there."""
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = self.receive()
                if packet is not None:
                    yield packet


def _option(home: IPv6Address) -> bytes:
    """A Destination Options header with a Home Address option at 8n + 6."""
    return bytes((0, 2, 1, 2, 0, 0, _HOME_ADDRESS_OPTION, 16)) + home.packed


def _routing(via: IPv6Address) -> bytes:
    """A type 2 routing header as the kernel wants it: with the address to go by."""
    return bytes((0, 2, _TYPE_2, 1, 0, 0, 0, 0)) + via.packed


def _home_address_option(header: bytes) -> IPv6Address | None:
    at = 2
    while at < len(header):
        if header[at] == 0:
            at += 1
            continue
        if at + 2 > len(header):
            return None
        end = at + 2 + header[at + 1]
        if header[at] == _HOME_ADDRESS_OPTION and end - at == 18 and end <= len(header):
            return IPv6Address(header[at + 2 : end])
        at = end
    return None
