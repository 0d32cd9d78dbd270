"""Datagrams that leave a wireless interface the moment its port is open.

After an association the kernel puts the interface's queue to work from a work queue of its own,
which waits for its turn: some milliseconds, in which what goes through the queue is thrown away.
A frame that is made beforehand and sent past the queue leaves at once (packet(7),
PACKET_QDISC_BYPASS). Answers come to an ordinary socket.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv4Address

from mpa_hil.agents.agent_port import AgentPort
from mpa_hil.configuration.frames import checksum, ethernet, udp_segment
from mpa_hil.mobility.interface import Address, Endpoint

_SOL_PACKET, _PACKET_QDISC_BYPASS = 263, 20
_UDP, _TTL = 17, 64
_KINDS = {4: 0x0800, 6: 0x86DD}
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")


def udp_frame(
    macs: tuple[bytes, bytes], source: Endpoint, destination: Endpoint, datagram: bytes
) -> bytes:
    """A UDP datagram as an Ethernet frame.

    Args:
        macs: destination's, source's.
    """
    ends = source.address.packed + destination.address.packed
    segment = udp_segment(source.port, destination.port, datagram, ends)
    if isinstance(source.address, IPv4Address):
        size = _IPV4.size + len(segment)
        fields = (0x45, 0, size, 0, 0x4000, _TTL, _UDP)
        ends4 = (source.address.packed, destination.address.packed)
        sum_ = checksum(_IPV4.pack(*fields, 0, *ends4))
        header = _IPV4.pack(*fields, sum_, *ends4)
    else:
        header = _IPV6.pack(
            0x60000000,
            len(segment),
            _UDP,
            _TTL,
            source.address.packed,
            destination.address.packed,
        )
    return ethernet(*macs, _KINDS[source.address.version], header + segment)


class DirectPort(AgentPort):
    """An `AgentPort` whose datagrams to one router are sent as frames.

    Args:
        router_mac: where they go.
        mac: of the interface.

    Raises:
        OSError: also without CAP_NET_RAW.
    """

    def __init__(
        self,
        address: Address,
        on_datagram: Callable[[bytes, Endpoint], None],
        interface: str,
        router_mac: bytes,
        mac: bytes,
    ) -> None:
        super().__init__(address, on_datagram, interface)
        self._macs = router_mac, mac
        self._frames: dict[bytes, bytes] = {}
        self._raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            self._raw.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
            self._raw.bind((interface, 0))
        except OSError:
            self.close()
            raise

    def prepare(self, datagram: bytes, destination: Endpoint) -> None:
        """Make the frame for a datagram that will be sent; those made before are forgotten."""
        source = Endpoint(self.address, self.port)
        self._frames = {datagram: udp_frame(self._macs, source, destination, datagram)}

    def send(self, datagram: bytes, destination: Endpoint) -> None:
        """Send; refused for the moment, as while the port is shut, is as good as lost."""
        if datagram not in self._frames:
            self.prepare(datagram, destination)
        with contextlib.suppress(OSError):
            self._raw.send(self._frames[datagram])

    def close(self) -> None:
        """Close it; safe to repeat."""
        self._raw.close()
        super().close()
