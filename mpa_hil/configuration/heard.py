"""What the configuration agent hears on the link, decoded once for all who may want it. Sans-IO."""

from __future__ import annotations

from mpa_hil.configuration.dhcp4 import message as dhcp4
from mpa_hil.configuration.dhcp6 import message as dhcp6
from mpa_hil.configuration.frames import ETHER_IPV6, ArpReply, DecodeError, Udp4, decode4
from mpa_hil.configuration.frames6 import (
    NeighbourAdvertised,
    NeighbourSolicited,
    RouterAdvertised,
    Udp6,
    decode6,
)

Heard = (
    ArpReply
    | dhcp4.Message
    | dhcp6.Message
    | RouterAdvertised
    | NeighbourSolicited
    | NeighbourAdvertised
)
_PORTS = {
    Udp4: (dhcp4.SERVER_PORT, dhcp4.CLIENT_PORT),
    Udp6: (dhcp6.SERVER_PORT, dhcp6.CLIENT_PORT),
}
_IPV6 = ETHER_IPV6.to_bytes(2, "big")


def hear(frame: bytes) -> Heard:
    """What a frame says.

    Raises:
        mpa_hil.errors.DecodeError: nothing that concerns the agent.
    """
    said = decode6(frame) if frame[12:14] == _IPV6 else decode4(frame)
    if not isinstance(said, Udp4 | Udp6):
        return said
    if (said.source_port, said.port) != _PORTS[type(said)]:
        raise DecodeError(f"UDP to port {said.port}")
    decode = dhcp4.decode if isinstance(said, Udp4) else dhcp6.decode
    return decode(said.payload)
